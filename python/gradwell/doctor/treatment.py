"""`treat`: try the remedies, say what helped."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradwell.checks import check_count
from gradwell.clipping import Clip
from gradwell.doctor.changes import NotApplicableError, Setup, applied
from gradwell.doctor.diagnosis import WIDTH, Diagnosis
from gradwell.doctor.examination import diagnose
from gradwell.doctor.finding import Finding, Remedy
from gradwell.doctor.trials import Job, Trial, jobs_of, run, skipped
from gradwell.facts import blind_loss
from gradwell.network import Network
from gradwell.nonfinite import NonFiniteError
from gradwell.optimizers import Optimizer
from gradwell.training import fit

LET_PASS, NEAR_BLIND = 1.05, 1.5  # of the untreated loss, and of a blind guess's


class NothingToTreatError(ValueError):
    """The doctor found nothing wrong."""


@dataclass(frozen=True)
class Treatment:
    """What the trials came to.

    Attributes
    ----------
    finding
        The finding that was treated, of the untreated network.
    untreated
        The untreated network's trial.
    trials
        The remedies, the best first; those that were dropped or skipped last.
    network
        A network with the winner's change, not trained yet; the given one, copied, where nothing helped.
    settings
        Arguments for `fit` with the winner's change: optimizer and clip.
    blind
        Loss of the best answer that looks at no sample; None where that is not known.
    """

    finding: Finding
    untreated: Trial
    trials: tuple[Trial, ...]
    network: Network
    settings: dict[str, Any]
    blind: float | None = None

    @property
    def winner(self) -> Trial | None:
        """The best remedy that made the finding vanish in most seeds; None where none did.

        Its loss is at most 1.05 times that of the untreated network, and 1.5 times that of a blind guess.
        """
        first = self.trials[0] if self.trials else None
        most = min(self.untreated.loss * LET_PASS, math.inf if self.blind is None else self.blind * NEAR_BLIND)
        return first if first is not None and first.gone > 0.5 and first.loss <= most else None

    @property
    def code(self) -> str:
        """The winner's line to paste, or an empty text."""
        return self.winner.remedy.code if self.winner and self.winner.remedy else ""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it ready for JSON."""
        winner = self.winner
        return {
            "finding": self.finding.to_dict(),
            "untreated": self.untreated.to_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
            "winner": winner.remedy.name if winner and winner.remedy else None,
        }

    def to_json(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        found = f"{self.finding.severity}: {self.finding.rule.replace('_', ' ')}. {self.finding.text}"
        lines = [*textwrap.wrap(found, WIDTH), ""]
        width = max(len(trial.remedy.name if trial.remedy else "") for trial in (self.untreated, *self.trials)) + 2
        lines.append(f"  {'':{width}} {'gone':>7} {'loss':>10} {'± seeds':>9}")
        for trial in (self.untreated, *self.trials):
            name = trial.remedy.name if trial.remedy else "untreated"
            if trial.skipped is not None:
                lines.append(f"  {name:{width}} not tried: {trial.skipped}")
                continue
            anew = " *" if trial.drawn_anew else ""
            share = f"{sum(o.gone for o in trial.outcomes)} of {len(trial.outcomes)}"
            lines.append(f"  {name + anew:{width}} {share:>7} {trial.loss:>10.4g} {trial.spread:>9.2g}")
        if any(trial.drawn_anew for trial in self.trials):
            lines.append("* starts from new weights, drawn from each seed")
        winner = self.winner
        lines.append("")
        lines.append("What helped: " + (self.code if winner else "nothing that was tried"))
        return "\n".join(lines)


def treat(
    network: Network,
    data: tuple[Any, Any],
    *,
    loss: str,
    optimizer: Optimizer,
    batch_size: int = 32,
    clip: Clip | None = None,
    rule: str | None = None,
    remedies: Sequence[Remedy] | None = None,
    steps: int = 300,
    seeds: int = 3,
    jobs: int = 1,
    progress: bool | None = None,
) -> Treatment:
    """Try each remedy against a finding, from the same weights and on the same batches, and say what helped.

    Every remedy is first trained for one seed; the better half (finding gone, then loss) goes on to the others. A
    remedy helps where the finding is gone in most seeds and the loss is not higher than untreated, nor far
    above that of a blind guess.

    Parameters
    ----------
    network, data
        The network, which stays as it is, and (x, y), or (x, y, lengths) of sequences.
    loss, optimizer, batch_size, clip
        As in `fit`.
    rule
        Name of the rule whose finding is treated; by default the worst root cause that has remedies.
    remedies
        What to try; by default the finding's own, and those of what it explains.
    steps, seeds
        Of each training, and how many different orders of the batches.
    jobs
        Processes, through joblib (``pip install "gradwell[trials]"``) and the backend set there; 1 trains here.
    progress
        Whether to show a bar; by default on a terminal.

    Raises
    ------
    ValueError
        Nothing was found, or not what `rule` names; samples that do not fit.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, *[30] * 5, 10], activation="sigmoid", init="nielsen", seed=0)
    >>> cure = gw.treat(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), seeds=2)
    >>> cure.winner.gone
    1.0
    """
    for name, count in (("steps", steps), ("seeds", seeds), ("jobs", jobs), ("batch_size", batch_size)):
        check_count("treat", name, count)
    if not isinstance(network, Network):
        raise TypeError(f"[treat] network is of type {type(network).__name__}; needs a gradwell.Network")
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError("[treat] data is no pair; needs (x, y), or (x, y, lengths)")
    if remedies is not None and (
        not isinstance(remedies, Sequence) or any(not isinstance(remedy, Remedy) for remedy in remedies)
    ):
        raise TypeError(f"[treat] remedies is {remedies!r}; needs a list such as [gw.doctor.REMEDIES['adam']]")
    x, y = np.asarray(data[0]), np.asarray(data[1])
    per_epoch = -(-len(x) // batch_size)
    settings = {"loss": loss, "batch_size": batch_size, "epochs": -(-steps // max(per_epoch, 1)), "max_steps": steps}
    lengths = np.asarray(data[2]) if len(data) == 3 and data[2] is not None else None
    setup = Setup(network, x, y, optimizer, clip, lengths=lengths)
    found = _examined(setup, settings)
    finding = _chosen(found, rule)
    tried = list(remedies) if remedies is not None else _offered(found, finding)
    bar = _bar(progress, 2 + len(tried) * seeds)
    try:
        return _compared(setup, finding, tried, settings, seeds, jobs, bar)
    finally:
        bar.close()


def _examined(setup: Setup, settings: dict[str, Any]) -> Diagnosis:
    given: dict[str, Any] = {"optimizer": setup.optimizer, "clip": setup.clip, "seed": 0, **settings}
    network = setup.network.copy()
    network.training_state = None
    try:
        return diagnose(fit(network, setup.data, stats=True, progress=False, **given))
    except NonFiniteError as error:
        return diagnose(error)


def _chosen(found: Diagnosis, rule: str | None) -> Finding:
    wrong = [f for f in (*found.roots, *found.findings) if f.severity != "note" and f.remedies]
    if rule is None:
        if not wrong:
            raise NothingToTreatError("[treat] the doctor found nothing wrong; there is nothing to treat")
        return wrong[0]
    finding = found.get(rule)
    if finding is None:
        raise ValueError(f'[treat] rule is "{rule}" but it found nothing; found: {", ".join(f.rule for f in found)}')
    return finding


def _offered(found: Diagnosis, finding: Finding) -> list[Remedy]:
    """Return the finding's remedies, and those of what it explains, each once."""
    effects = [f for f in found if f.explained_by == finding.rule]
    return list({r.name: r for f in (finding, *effects) for r in f.remedies}.values())


def _compared(
    setup: Setup, finding: Finding, tried: list[Remedy], settings: dict[str, Any], seeds: int, jobs: int, bar: Any
) -> Treatment:
    untreated = Trial(None, tuple(run(jobs_of(None, setup, finding.rule, settings, range(seeds)), jobs, bar.update)))
    trials, waiting = [], {}
    for remedy in tried:
        try:
            waiting[remedy.name] = (remedy, jobs_of(remedy, setup, finding.rule, settings, range(seeds)))
        except NotApplicableError as error:
            trials.append(skipped(remedy, error))
    first = run([made[0] for _, made in waiting.values()], jobs, bar.update)
    ranked = sorted(zip(waiting.values(), first, strict=True), key=lambda pair: (not pair[1].gone, pair[1].loss))
    kept = max(2, -(-len(ranked) // 2))
    rest: list[Job] = [job for (_, made), _ in ranked[:kept] for job in made[1:]]
    others = iter(run(rest, jobs, bar.update))
    done = []
    for k, ((remedy, made), outcome) in enumerate(ranked):
        more = [next(others) for _ in made[1:]] if k < kept else []
        done.append(Trial(remedy, (outcome, *more), made[0].setup.drawn_anew))
    best = sorted(done[:kept], key=lambda trial: (trial.gone <= 0.5, trial.loss)) + done[kept:]
    targets = setup.network.targets("treat", "y", setup.y, len(setup.x), setup.lengths)
    blind = None if setup.lengths is not None else blind_loss(settings["loss"], targets, setup.network.output_shape[-1])
    result = Treatment(finding, untreated, (*best, *trials), setup.network.copy(), {}, blind)
    winner = result.winner
    chosen = applied(winner.remedy, setup, 0) if winner and winner.remedy else setup
    fitting = {"optimizer": chosen.optimizer, "clip": chosen.clip}
    return replace(result, network=chosen.network.copy(), settings=fitting)


class _Silent:
    def update(self, count: int) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing was opened."""


def _bar(progress: bool | None, total: int) -> Any:
    if progress or (progress is None and sys.stderr is not None and sys.stderr.isatty()):
        from tqdm import tqdm

        return tqdm(total=total, unit="training", desc="trials", dynamic_ncols=True)
    return _Silent()
