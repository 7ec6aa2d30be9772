"""Random guessing: tasks said to need a long memory that random weights solve sooner than gradients do.

The latch problem, one tanh unit that has to keep a bit against 500 steps of noise, and parity of 50 bits read by two
tanh units. All weights are drawn again and again until the training sequences are right; gradient descent through time
gets the same network and as many passes over the same sequences, from several starts.

Y. Bengio, P. Simard and P. Frasconi (1994), Learning long-term dependencies with gradient descent is difficult.
S. Hochreiter and J. Schmidhuber (1996), Bridging long time lags by weight guessing and "long short-term memory".
J. Schmidhuber, S. Hochreiter and Y. Bengio (2001), Evaluating benchmark problems by random guessing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.datasets import latch
from gradwell.experiments.experiment import Check, Options, Result, few_seeds, over_seeds
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 10
SCALE: Final = 100.0  # weights from U[-100, 100], as published
CLOSE: Final = 0.4  # to the target, 1 or -1, of every sequence
RATE: Final = 0.01
TESTED: Final = 1000
REPEATS: Final = 100  # of the sequences in an epoch of gradient descent, each one step: fewer ends of epochs
NEEDED: Final = 0.95

Array = NDArray[np.float64]
Sequences = tuple[NDArray[np.float32], NDArray[np.float32]]


class Task(NamedTuple):
    """A task: its length, sequences, network, and the budget of passes over them."""

    steps: int
    sequences: int
    trials: int  # passes over the sequences: guesses, or steps of gradient descent
    start: int  # steps of gradient descent before the next start
    published: str


TASKS: Final = {
    "latch": Task(500, 100, 2000, 500, "22 on average"),
    "parity": Task(50, 40, 40_000, 4000, ""),
}


def network(name: str, steps: int, seed: int) -> gw.Network:
    """Return the network of a task."""
    layers = [gw.RNN(1)] if name == "latch" else [gw.RNN(2), gw.Dense(1)]
    return gw.Network(layers, input_shape=(steps, 1), seed=seed)


def data(name: str, count: int, steps: int, seed: int) -> Sequences:
    """Draw sequences of a task, targets 1 and -1."""
    if name == "latch":
        x, y = latch(count, steps, seed=seed)
        return x, np.sign(y)
    bits = np.random.default_rng(seed).integers(2, size=(count, steps))
    x = (2 * bits - 1).astype(np.float32)
    return x[:, :, None], x.prod(axis=1, keepdims=True) * np.float32(
        (-1) ** steps
    )  # 1 where the number of ones is even


def off(name: str, outputs: Any, targets: Any) -> float:
    """Return what a search makes small: the worst error of the latch, the share of wrong signs of parity."""
    if name == "latch":
        return float(np.abs(outputs - targets).max())
    return float((np.sign(outputs) != targets).mean())


def reached(name: str, loss: float) -> bool:
    """Whether every training sequence is right."""
    return loss <= (CLOSE if name == "latch" else 0.0)


def right(name: str, net: gw.Network, tested: Sequences) -> float:
    """Return the share of unseen sequences that are right."""
    outputs = net.predict(tested[0])
    close = np.abs(outputs - tested[1]) <= CLOSE if name == "latch" else np.sign(outputs) == tested[1]
    return float(close.mean())


def run(options: Options, trials: dict[str, int] | None = None) -> Result:
    """Guess and descend on every task, for every seed."""
    seeds = options.seed_count(SEEDS)
    budget = {name: task.trials for name, task in TASKS.items()} | (trials or {})
    found: dict[str, Array] = {}
    with options.bar(2 * len(TASKS) * seeds, "run") as bar:
        for name, task in TASKS.items():
            limited = task._replace(trials=budget[name])
            both = [over_seeds(seeds, partial(one, name, limited), bar.update) for one in (guess, descend)]
            found[name] = np.stack(both)
    return summarise(found, budget)


def guess(name: str, task: Task, seed: int) -> Array:
    """Return passes used, whether every training sequence is right, and the share of unseen ones that are."""
    found = gw.search.random_guessing(
        network(name, task.steps, seed),
        data(name, task.sequences, task.steps, 2 * seed),
        loss=lambda outputs, targets: off(name, outputs, targets),
        target_loss=CLOSE if name == "latch" else 0.0,
        trials=task.trials,
        scale=SCALE,
        seed=seed,
        progress=False,
    )
    tested = data(name, TESTED, task.steps, 2 * seed + 1)
    return np.array([found.evaluations, found.reached, right(name, found.network, tested)])


def descend(name: str, task: Task, seed: int) -> Array:
    """Return the same of gradient descent from new weights every `start` steps, each on all sequences."""
    x, y = data(name, task.sequences, task.steps, 2 * seed)
    tested = data(name, TESTED, task.steps, 2 * seed + 1)
    many = tuple(np.tile(array, (REPEATS, *[1] * (array.ndim - 1))) for array in (x, y))
    used, shares = 0, []
    while used < task.trials:
        net = network(name, task.steps, 1000 * seed + used)
        steps = min(task.start, task.trials - used)
        gw.fit(
            net,
            many,
            loss="mean_squared_error",
            optimizer=gw.Adam(RATE),
            batch_size=len(x),
            epochs=-(-steps // REPEATS),
            max_steps=steps,
            clip=gw.clip_by_norm(1.0),
            stats=False,
            shuffle=False,
            progress=False,
        )
        used += steps
        shares.append(right(name, net, tested))
        if reached(name, off(name, net.predict(x), y)):
            return np.array([used, True, shares[-1]])
    return np.array([used, False, max(shares)])


def summarise(found: dict[str, Array], budget: dict[str, int]) -> Result:
    """Turn passes and shares, (guess or descent, seed, quantity) by task, into figures and checks."""
    rows, figures, checks = [], {}, []
    seeds = found["latch"].shape[1]
    for name, both in found.items():
        solved = both[:, :, 1] * (both[:, :, 2] >= NEEDED)
        for method, values, good in zip(("guessing", "bptt"), both, solved, strict=True):
            used = values[good > 0, 0]
            spread = f"{used.min():,.0f} to {used.max():,.0f}" if used.size else "-"
            middle = f"{np.median(used):,.0f}" if used.size else "-"
            published = TASKS[name].published if method == "guessing" else ""
            rows.append([f"{name}, {method}", f"{good.sum():.0f} of {seeds}", middle, spread, published])
            names = ("passes", "reached", "unseen right")
            figures[f"{name}, {method}"] = {key: values[:, i] for i, key in enumerate(names)}
        checks.append(Check(f"{name}: guessing, share solved", float(solved[0].mean()), 0.8, 1.0))
        checks.append(Check(f"{name}: gradient descent, share solved", float(solved[1].mean()), 0.0, 0.2))
    trials = float(np.median(found["latch"][0, :, 0]))
    checks.append(Check("latch: median trials of guessing over the published mean", trials / 22, 0.2, 5.0))
    sizes = [
        f"{name.capitalize()}: {task.sequences} sequences of {task.steps} steps, {budget[name]:,} trials, or as many "
        f"steps of Adam at {RATE:g} begun anew every {task.start:,}."
        for name, task in TASKS.items()
    ]
    notes = [
        f"Solved: every training sequence and at least {NEEDED:.0%} of {TESTED:,} others right; of the latch an output "
        f"within {CLOSE:g} of the target 1 or -1, of parity its sign. Trials: median and range of the seeds that solve "
        "it. A trial is one pass over the training sequences; a step of gradient descent counts as one too, though it "
        f"costs some three. {' '.join(sizes)}",
        f"Guesses are from U[-{SCALE:g}, {SCALE:g}]. Published for this form of the latch, one tanh unit with a bias "
        "and targets 1 and -1: 22 trials on average, against 1,600 of the methods of 1994 on a simpler one. Which "
        "error counts as solved is ours, and so is all of parity. Guessing is no method for more than a few weights: "
        "it shows that a task is no proof of a long memory.",
        *few_seeds(seeds, SEEDS),
    ]
    table = text_table(["task", "solved", "trials", "range", "published"], rows)
    return Result("random-guessing", {"seeds": seeds, **figures}, checks, table, lambda: draw(found, budget), notes)


def draw(found: dict[str, Array], budget: dict[str, int]) -> Figure:
    """Draw the share of seeds that have solved each task by passes over the training sequences."""
    figure, panels = plots.subplots(1, len(found), size=(4.8 * len(found), 3.9))
    for axes, (name, both) in zip(panels[0], found.items(), strict=True):
        methods = (("random guessing", plots.BLUE, "-"), ("gradient descent", plots.ORANGE, "--"))
        for (method, colour, style), values in zip(methods, both, strict=True):
            used = np.sort(values[(values[:, 1] > 0) & (values[:, 2] >= NEEDED), 0])
            share = 100 * np.arange(len(used) + 1) / len(values)
            places = np.concatenate([[1], used, [budget[name]]])
            axes.step(places, np.append(share, share[-1]), style, where="post", color=colour, label=method)
        axes.set(xscale="log", ylim=(-3, 104), xlabel="passes over the training sequences")
        axes.set_title(f"{name}, {TASKS[name].steps} steps")
    panels[0, 0].set_ylabel("seeds that have solved it (%)")
    panels[0, 0].legend(loc="center left")
    figure.suptitle("Weights guessed at random against gradients")
    return figure
