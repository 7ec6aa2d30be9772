"""The adding problem: which recurrent cells learn to add two marked values, and what keeps the others from it.

A sequence of T to 1.1 T pairs of a value and a marker; the answer is due at its end. A sequence counts as right if the
error is below 0.04, and a network succeeds if at least 9,000 of 10,000 sequences that it has not seen are right. A
plain tanh cell, a relu cell that starts as the identity (IRNN) and an LSTM whose forget gates start open all get the
same sequences. The gradient by step of the plain cell and the LSTM tells them apart before any training.

S. Hochreiter and J. Schmidhuber (1997), Long short-term memory, experiment 4. Q. Le, N. Jaitly and G. Hinton (2015), A
simple way to initialize recurrent networks of rectified linear units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.datasets import adding
from gradwell.experiments.experiment import Check, Options, Result, few_seeds
from gradwell.initializers import Normal
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 5
LENGTHS: Final = (50, 100)
SEQUENCES: Final = 20_000  # of a pass
PASSES: Final = 20
BATCH: Final = 50
WATCHED, TESTED = 2000, 10_000
CLOSE: Final = 0.04
NEEDED: Final = 0.9
MODELS: Final = ("rnn tanh", "irnn", "lstm")
RATES: Final = {"rnn tanh": 1e-3, "irnn": 1e-3, "lstm": 5e-3}
PUBLISHED: Final = {100: 74_000}  # training sequences of the LSTM of 1997

Array = NDArray[np.float64]
Sequences = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


class Trained(NamedTuple):
    """One network's training."""

    errors: Array  # (passes + 1,) mean absolute error on the watched sequences
    right: float  # share of the tested ones that are right at the end
    sequences: int  # trained on
    hidden: Array  # (2, steps) |dC/dh_t| at the start and at the end
    memory: Array  # (2, 2) steps to 1/e and to 1 %, at the start and at the end


def layer(model: str) -> Any:
    """Return the layer of a name in `MODELS`."""
    if model == "lstm":
        return gw.LSTM(32, forget_bias=5.0)
    if model == "irnn":
        return gw.RNN(64, activation="relu", recurrent_init="identity", init=Normal(0, 0.001))
    return gw.RNN(32)


def run(options: Options, lengths: Sequence[int] = LENGTHS, sequences: int = SEQUENCES, passes: int = PASSES) -> Result:
    """Train every model at every length, for every seed."""
    seeds = options.seed_count(SEEDS)
    found: dict[tuple[str, int], list[Trained]] = {}
    with options.bar(len(lengths) * len(MODELS) * seeds, "network") as bar:
        for length in lengths:
            data, watched, tested = (adding(n, length, seed=i) for i, n in enumerate((sequences, WATCHED, TESTED), 1))
            for model in MODELS:
                found[model, length] = []
                for seed in range(seeds):
                    found[model, length].append(train(model, seed, data, watched, tested, passes))
                    bar.update()
    return summarise(found)


def train(model: str, seed: int, data: Any, watched: Sequences, tested: Sequences, passes: int) -> Trained:
    """Train until the network succeeds, or for all passes."""
    net = gw.Network([layer(model), gw.Dense(1)], input_shape=data[0].shape[1:], seed=seed)
    looks = [look(net, watched)]
    errors = [off(net, watched)]
    shares = [float("nan")]

    class Watch(gw.Callback):
        def on_epoch(self, state: Any) -> None:
            errors.append(off(net, watched))
            if (errors[-1] < CLOSE).mean() > NEEDED:
                shares.append(float((off(net, tested) < CLOSE).mean()))
                if shares[-1] >= NEEDED:
                    state.stop("success")

    settings: dict[str, Any] = {"batch_size": BATCH, "epochs": passes, "clip": gw.clip_by_norm(1.0), "seed": seed}
    settings |= {"stats": False, "progress": False, "nonfinite": "stop", "callbacks": [Watch()]}
    history = gw.fit(net, data, loss="mean_squared_error", optimizer=gw.Adam(RATES[model]), **settings)
    if history.stopped != "success":
        shares.append(float((off(net, tested) < CLOSE).mean()))
    looks.append(look(net, watched))
    hidden, memory = (np.array(part) for part in zip(*looks, strict=True))
    mean_errors = np.array([error.mean() for error in errors])
    return Trained(mean_errors, shares[-1], len(history.step_loss) * BATCH, hidden, memory)


def off(net: gw.Network, data: Sequences) -> Array:
    """Return the absolute error of each sequence."""
    error: Array = np.abs(net.predict(data[0], lengths=data[2]).astype(np.float64) - data[1])[:, 0]
    return error


def look(net: gw.Network, data: Sequences) -> tuple[Array, Array]:
    """Return |dC/dh_t| and the steps to 1/e and 1 %, over the sequences that fill every step."""
    full = data[2] == data[0].shape[1]
    time = gw.gradients(net, data[0][full], data[1][full], loss="mean_squared_error").time(0)
    return time.norm("hidden")[0], np.array([time.memory()[0], time.memory(0.01)[0]])


def summarise(found: dict[tuple[str, int], list[Trained]]) -> Result:
    """Turn trainings, by model and length, into figures and checks."""
    lengths = sorted({length for _, length in found})
    longest = lengths[-1]
    seeds = len(found["lstm", longest])
    won = {key: [run.right >= NEEDED for run in runs] for key, runs in found.items()}
    rows = []
    for (model, length), runs in found.items():
        tried = [run.sequences for run, success in zip(runs, won[model, length], strict=True) if success]
        needed = f"{np.median(tried) / 1000:.0f}k" if tried else "-"
        published = f"{PUBLISHED[length] // 1000}k" if model == "lstm" and length in PUBLISHED else ""
        memory = np.median([run.memory for run in runs], axis=0)
        right = 100 * np.median([run.right for run in runs])
        cells = [f"{sum(won[model, length])} of {len(runs)}", f"{right:.1f}", needed, published]
        rows.append([f"T = {length}, {model}", *cells, f"{memory[0, 0]:.0f}", f"{memory[0, 1]:.0f}"])
    plain, gated = ([run.memory[0, 1] for run in found[model, longest]] for model in ("rnn tanh", "lstm"))
    left = {m: [run.hidden[0, 0] / run.hidden[0, -1] for run in found[m, longest]] for m in ("rnn tanh", "lstm")}
    steps = found["lstm", longest][0].hidden.shape[1]
    ratio = min(steps, float(np.min(gated))) / min(steps, float(np.max(plain)))
    faded = float(np.log10(np.median(left["lstm"]) / np.median(left["rnn tanh"])))
    checks = [
        *(Check(f"T = {t}: lstm, share of the seeds", float(np.mean(won["lstm", t])), 1.0, 1.0) for t in lengths),
        Check(f"T = {longest}: rnn tanh, share of the seeds", float(np.mean(won["rnn tanh", longest])), 0.0, 0.0),
        Check(f"T = {longest}: memory to 1 %, lstm over rnn, worst seeds", ratio, 1.0 + 1e-9, np.inf),
        Check(f"T = {longest}: powers of ten more that reach step 0 in the lstm", faded, 2.0, np.inf),
    ]
    before = {model: f"{np.median(values):.1e}" for model, values in left.items()}
    notes = [
        f"A success: an error below {CLOSE:g} for {100 * NEEDED:.0f} % of {TESTED:,} sequences not trained on, looked "
        f"at after each pass over {found['lstm', longest][0].sequences and SEQUENCES:,} sequences, {PASSES} passes at "
        "most. Sequences: median of the seeds that succeed; memory: median steps over which |dC/dh_t| falls to 1/e and "
        "to 1 % before training.",
        f"Why the plain cell fails at T = {longest}: before training |dC/dh_0| is {before['rnn tanh']} of |dC/dh_T| in "
        f"it, {before['lstm']} in the LSTM, whose forget gates start at sigmoid(5) = 0.993. Training does not change "
        "that for the plain cell: the values to be remembered have next to no part in its gradient.",
        "Adam, clipping by norm to 1, and rates chosen by hand for each model: the published count was reached with "
        "another optimiser and a smaller network, and is there for orientation.",
        *few_seeds(seeds, SEEDS),
    ]
    figures = {f"{model}, T = {t}": [r._asdict() for r in runs] for (model, t), runs in found.items()}
    headers = ["model", "succeed", "right %", "sequences", "published", "1/e", "1 %"]
    table = text_table(headers, rows)
    return Result("adding-problem", {"seeds": seeds, **figures}, checks, table, lambda: draw(found), notes)


def draw(found: dict[tuple[str, int], list[Trained]]) -> Figure:
    """Draw errors over training sequences for each length, and the gradient by step at the longest."""
    lengths = sorted({length for _, length in found})
    figure, panels = plots.subplots(1, len(lengths) + 1, size=(3.9 * (len(lengths) + 1), 4.2))
    colours = dict(zip(MODELS, (plots.ORANGE, plots.GREEN, plots.BLUE), strict=True))
    for axes, length in zip(panels[0], lengths, strict=False):
        for model, colour in colours.items():
            for i, run in enumerate(found[model, length]):
                seen = np.linspace(0, run.sequences / 1000, len(run.errors))
                axes.plot(seen, run.errors, color=colour, linewidth=1, alpha=0.8, label=None if i else model)
        axes.set(xlabel="training sequences (thousands)", yscale="log", title=f"T = {length}", ylim=(0.008, 1.2))
    panels[0, 0].set_ylabel("mean absolute error, each seed")
    panels[0, 0].legend(loc="upper right", fontsize="small")
    last = panels[0, -1]
    for model in ("rnn tanh", "lstm"):
        norms = np.array([run.hidden / run.hidden[:, -1:] for run in found[model, lengths[-1]]])
        for moment, (style, when) in enumerate(((":", "start"), ("-", "end"))):
            middle = np.median(norms[:, moment], axis=0)
            shown = np.where(middle > 0, middle, np.nan)
            last.plot(shown, style, color=colours[model], linewidth=1.6, label=f"{model}, {when}")
    last.set(xlabel="step t of the sequence", yscale="log", title=f"|∂C/∂h_t| over |∂C/∂h_T|, T = {lengths[-1]}")
    last.legend(loc="lower right", fontsize="small")
    figure.suptitle("The adding problem")
    return figure
