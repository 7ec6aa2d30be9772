"""What the demonstration says at each step, in plain words and with the figures measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gradwell.doctor import Diagnosis, Finding, Treatment
from gradwell.report.terminal import bars, layer_table, text_table

_SPARKS: Final = "▁▂▃▄▅▆▇█"
_WIDTH: Final = 30


def opening(sizes: Sequence[int], samples: int) -> str:
    """Say what is trained."""
    return _titled(
        "1. A network that does not learn",
        f"{'-'.join(map(str, sizes))} logistic units read {samples:,} pictures of digits, 8 x 8 pixels each.",
    )


def illness(ill: Any, samples: int) -> str:
    """Show what reached each layer before training, and what training came to."""
    return "\n".join(
        [
            "",
            f"Before the first step, over all {samples:,} digits (layer 0 is nearest the input):",
            "",
            layer_table(ill.before),
            "",
            "‖δ‖ is how strongly the loss pulls at a layer. On its way from the last line up to the first it",
            f"shrinks in every layer: the last hidden one is pulled {ill.slowness:.3g} times as hard as the first.",
            f"After {ill.history.epochs} epochs ({ill.seconds:.1f} s) the loss went from {ill.history.loss[0]:.3f} to "
            f"{ill.history.loss[-1]:.3f}, and {ill.accuracy:.1%} of unseen digits are right.",
            "Guessing gets 10 %.",
        ]
    )


def verdict(diagnosis: Diagnosis) -> str:
    """Show the diagnosis, and say what it comes to."""
    root = diagnosis.roots[0] if diagnosis.roots else None
    if root is None:
        return _titled("2. What the doctor says", str(diagnosis))
    effects = [f.rule.replace("_", " ") for f in _explained(diagnosis, root.rule)]
    fault = {"derivative": "the derivative of its activation", "weight": "its weights"}.get(root.factor or "", "")
    lines = [str(diagnosis), "", f"In short: {root.rule.replace('_', ' ')} is the cause"]
    lines[-1] += f", {fault} at fault." if fault else "."
    lines += [f"It explains what else was found: {', '.join(effects)}."] if effects else []
    return _titled("2. What the doctor says", "\n".join(lines))


def trials(cure: Treatment) -> str:
    """Show the trials, and say how to read them."""
    said = (
        "Each remedy trained the network anew for 300 steps. gone: in how many of the trainings the finding was not\n"
        "there any more; the better half was tried on three orders of the digits. The lowest loss wins.\n"
    )
    return _titled("3. What helps: every remedy tried on the same digits", f"{said}\n{cure}")


def proof(ill: Any, treated: Any, samples: int) -> str:
    """Hold the treated network beside the one as it was."""
    norms = np.concatenate([trained.before.norm("error")[0] for trained in (ill, treated)])
    drawn = bars(norms, _WIDTH)
    count = len(ill.before.layers)
    lines = [f"‖δ‖ of every layer before the first step, on one log scale ({samples:,} digits):", ""]
    if len(norms) == 2 * count:
        for k, name in enumerate(ill.before.layers):
            ours, theirs = drawn[k], drawn[count + k]
            lines.append(
                f"  layer {name:>2}  {norms[k]:7.1e} {ours:<{_WIDTH}}  {norms[count + k]:7.1e} {theirs}".rstrip()
            )
        lines.insert(2, f"  {'':8}  {ill.title:<{_WIDTH + 10}}{treated.title}")
    low = min(float(trained.history.loss.min()) for trained in (ill, treated))
    high = max(float(trained.history.loss.max()) for trained in (ill, treated))
    lines += ["", "Training loss by epoch, on one log scale:", ""]
    for trained in (ill, treated):
        loss = trained.history.loss
        lines.append(f"  {trained.title:<10}  {_sparks(loss, low, high)}  {loss[0]:.3f} → {loss[-1]:.3g}")
    rows = [
        ["training loss", *(f"{t.history.loss[-1]:.3g}" for t in (ill, treated))],
        ["unseen digits right", *(f"{t.accuracy:.1%}" for t in (ill, treated))],
        ["first layer's gradient, median of all steps", *(f"{t.first_gradient:.2e}" for t in (ill, treated))],
        ["last hidden layer's ‖δ‖ over the first's, at the start", *(f"{t.slowness:.3g}" for t in (ill, treated))],
    ]
    table = text_table([f"after {ill.history.epochs} epochs", ill.title, treated.title], rows)
    return _titled("4. The proof: trained again with what won", "\n".join([*lines, "", table]))


def closing(shown: Any) -> str:
    """Say in a few sentences what was measured."""
    ill, treated = shown.sick, shown.treated
    gains = ill.before.gain("derivative")[0][:-1], ill.before.gain("weight")[0][:-1]
    derivative, weight = (float(np.exp(np.mean(np.log(gain)))) for gain in gains)
    which = "activation's derivative" if derivative < weight else "weights"
    text = (
        f"\nA layer of the network as it was hands back {weight * derivative:.2f} of the pull on average: its weights "
        f"{weight:.2f} × its\nderivative {derivative:.2f}; what shrinks it is the {which}. "
    )
    if treated is None:
        return text + "Nothing that was tried helped."
    factor = treated.first_gradient / ill.first_gradient if ill.first_gradient else float("inf")
    return text + (
        f"With\n    {shown.cure.code}\nthe first layer's gradient is {factor:.3g} times as large, and unseen digits "
        f"go from {ill.accuracy:.1%} to {treated.accuracy:.1%} right."
    )


def _explained(diagnosis: Diagnosis, rule: str) -> list[Finding]:
    """Return what a rule's finding explains, and what that explains."""
    effects = [f for f in diagnosis if f.explained_by == rule]
    return [found for f in effects for found in (f, *_explained(diagnosis, f.rule))]


def _titled(title: str, text: str) -> str:
    return f"\n{title}\n{'─' * len(title)}\n{text}"


def _sparks(values: Any, low: float, high: float) -> str:
    """Draw values as blocks of eight heights between two limits, on a log scale."""
    logs = np.log(np.maximum(np.asarray(values, float), 1e-12))
    span = max(np.log(max(high, 1e-12)) - np.log(max(low, 1e-12)), 1e-12)
    chosen = logs[np.linspace(0, len(logs) - 1, min(_WIDTH, len(logs))).round().astype(int)]
    heights = (chosen - np.log(max(low, 1e-12))) / span * (len(_SPARKS) - 1)
    return "".join(_SPARKS[int(h)] for h in np.clip(heights.round(), 0, len(_SPARKS) - 1))
