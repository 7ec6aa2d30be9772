"""The temporal order task: what clipping and Pascanu's regulariser do for a plain recurrent cell.

Two relevant symbols stand among distractors, the first near the start of the sequence and the second near its middle;
the class is which two, in which order, and is asked for at the end. A tanh cell of 50 units with small random weights
is trained by gradient descent as it is, with clipping by norm, and with clipping and the regulariser that keeps
|delta_t| the same from step to step. An LSTM is trained on the same sequences for comparison.

R. Pascanu, T. Mikolov and Y. Bengio (2013), On the difficulty of training recurrent neural networks, section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.datasets import temporal_order
from gradwell.experiments.experiment import Check, Options, Result, few_seeds
from gradwell.initializers import Normal
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 5
LENGTHS: Final = (20, 50)
UNITS: Final = 50
STD: Final = 0.1
RATE, BATCH, MAX_NORM, OMEGA = 0.01, 20, 1.0, 2.0
SEQUENCES: Final = 20_000  # of a pass, 1,000 updates
PASSES: Final = 25
WATCHED, TESTED = 2000, 10_000
METHODS: Final = ("plain", "clip", "clip + omega", "lstm")

Array = NDArray[np.float64]


class Trained(NamedTuple):
    """One network's training."""

    wrong: Array  # (passes,) share of errors on the watched sequences
    mistakes: int  # on the tested ones, at the end
    updates: int


def network(method: str, length: int, seed: int) -> gw.Network:
    """Return the network of a name in `METHODS`."""
    small = Normal(0, STD)
    if method == "lstm":
        return gw.Network([gw.LSTM(UNITS, forget_bias=5.0), gw.Dense(4)], input_shape=(length, 6), seed=seed)
    omega = OMEGA if method == "clip + omega" else 0.0
    cell = gw.RNN(UNITS, init=small, recurrent_init=small, omega=omega)
    return gw.Network([cell, gw.Dense(4, init=small)], input_shape=(length, 6), seed=seed)


def run(options: Options, lengths: Sequence[int] = LENGTHS, sequences: int = SEQUENCES, passes: int = PASSES) -> Result:
    """Train with every method at every length, for every seed."""
    seeds = options.seed_count(SEEDS)
    found: dict[tuple[str, int], list[Trained]] = {}
    with options.bar(len(lengths) * len(METHODS) * seeds, "network") as bar:
        for length in lengths:
            watched = temporal_order(WATCHED, length, seed=1)[:2]
            tested = temporal_order(TESTED, length, seed=2)[:2]
            for seed in range(seeds):
                data = temporal_order(sequences, length, seed=10 + seed)[:2]
                for method in METHODS:
                    trained = train(method, network(method, length, seed), data, watched, tested, passes, seed)
                    found.setdefault((method, length), []).append(trained)
                    bar.update()
    return summarise(found)


def train(method: str, net: gw.Network, data: Any, watched: Any, tested: Any, passes: int, seed: int) -> Trained:
    """Train until no tested sequence is wrong, looked at only when no watched one is, or for all passes."""
    wrong: list[float] = []

    class Watch(gw.Callback):
        def on_epoch(self, state: Any) -> None:
            wrong.append(mistakes(net, watched) / len(watched[1]))
            if not wrong[-1] and not mistakes(net, tested):
                state.stop("solved")

    settings: dict[str, Any] = {"batch_size": BATCH, "epochs": passes, "seed": seed, "callbacks": [Watch()]}
    settings |= {"clip": None if method == "plain" else gw.clip_by_norm(MAX_NORM), "nonfinite": "stop"}
    optimizer: Any = gw.Adam(2e-3) if method == "lstm" else gw.SGD(RATE)
    history = gw.fit(
        net, data, loss="softmax_cross_entropy", optimizer=optimizer, stats=False, progress=False, **settings
    )
    return Trained(np.array(wrong), mistakes(net, tested), len(history.step_loss))


def mistakes(net: gw.Network, data: Any) -> int:
    """Return how many sequences are put into the wrong class."""
    return int((net.predict(data[0]).argmax(axis=1) != data[1]).sum())


def summarise(found: dict[tuple[str, int], list[Trained]]) -> Result:
    """Turn trainings, by method and length, into figures and checks."""
    lengths = sorted({length for _, length in found})
    shortest, longest = lengths[0], lengths[-1]
    solved = {key: [not run.mistakes for run in runs] for key, runs in found.items()}
    count = {key: sum(flags) for key, flags in solved.items()}
    seeds = len(found["plain", longest])
    checks = [
        Check(
            f"T = {longest}: {more} minus {less}, seeds solved", count[more, longest] - count[less, longest], 0, seeds
        )
        for less, more in (("plain", "clip"), ("clip", "clip + omega"))
    ]
    checks += [
        Check(f"T = {shortest}: clip + omega, share solved", count["clip + omega", shortest] / seeds, 0.8, 1.0),
        Check(f"T = {longest}: lstm, share solved", count["lstm", longest] / seeds, 0.8, 1.0),
    ]
    rows, figures = [], {}
    for (method, length), runs in found.items():
        updates = [run.updates for run, success in zip(runs, solved[method, length], strict=True) if success]
        used = f"{np.median(updates):,.0f}" if updates else "-"
        left = 100 * float(np.median([run.wrong[-1] if len(run.wrong) else 1.0 for run in runs]))
        rows.append([f"T = {length}, {method}", f"{count[method, length]} of {len(runs)}", used, f"{left:.2f}"])
        figures[f"{method}, T = {length}"] = [run._asdict() for run in runs]
    budget = PASSES * SEQUENCES // BATCH
    notes = [
        f"Solved: no error on {TESTED:,} sequences not trained on, looked at after each {SEQUENCES // BATCH:,} updates "
        f"where {WATCHED:,} others have none. Medians; updates: of the seeds that solve it; errors: of all, on the "
        f"{WATCHED:,}. The budget is {budget:,} updates, far smaller than the paper's, and the sequences come again "
        "after each pass: more updates would solve more, and the shares are not to be compared with the paper's.",
        f"{UNITS} tanh units, weights from N(0, {STD:g}^2), batches of {BATCH}, rate {RATE:g}, clipping to "
        f"{MAX_NORM:g}, weight of the regulariser {OMEGA:g}. The spectral radius starts near {STD * UNITS**0.5:.2f}: "
        "gradients vanish first, and clipping acts once they have grown. The LSTM uses Adam and a forget bias of 5.",
        *few_seeds(seeds, SEEDS),
    ]
    table = text_table(["method", "solved", "updates", "errors %"], rows)
    data = {"seeds": seeds, "budget": budget, **figures}
    return Result("pascanu-temporal-order", data, checks, table, lambda: draw(found), notes)


def draw(found: dict[tuple[str, int], list[Trained]]) -> Figure:
    """Draw the share of errors over the updates, for each length and method."""
    lengths = sorted({length for _, length in found})
    figure, panels = plots.subplots(1, len(lengths), size=(5.0 * len(lengths), 4.2), sharey=True)
    colours = dict(zip(METHODS, (plots.BLACK, plots.ORANGE, plots.BLUE, plots.GREEN), strict=True))
    styles = dict(zip(METHODS, ("--", "-", "-", "-"), strict=True))
    for axes, length in zip(panels[0], lengths, strict=True):
        for method, colour in colours.items():
            for i, run in enumerate(found[method, length]):
                each = run.updates / max(len(run.wrong), 1) / 1000
                steps = each * np.arange(len(run.wrong) + 1)
                errors = 100 * np.append(0.75, run.wrong)
                axes.plot(steps, errors, styles[method], color=colour, linewidth=1.2, label=None if i else method)
        axes.set(xlabel="updates (thousands)", title=f"T = {length}", ylim=(-2, 80))
    panels[0, 0].set_ylabel("errors (%), each seed")
    panels[0, -1].legend(loc="upper right", bbox_to_anchor=(1.0, 0.92), fontsize="small")
    figure.suptitle("Temporal order: clipping and a regulariser against vanishing gradients")
    return figure
