"""Nielsen, chapter 5: more hidden layers do not help.

Networks [784, 30 x k, 10], k = 1 to 4, of logistic units: 50,000 images of MNIST train, the last 10,000 of
the 60,000 validate; stochastic gradient descent with batch 10, learning rate 0.1, 30 epochs, L2 with lambda = 5
over n = 50,000 (weight decay 1e-4, not on biases); cross-entropy summed over ten logistic outputs.

M. Nielsen (2015), Neural Networks and Deep Learning, chapter 5 (accuracies in the text).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result, few_seeds, first_images, over_seeds
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 3
EPOCHS: Final = 30
TRAIN: Final = 50_000
PUBLISHED: Final = {1: 96.48, 2: 96.90, 3: 96.57, 4: 96.53}  # per cent, one network each
RANGES: Final = {1: (96.0, 97.3), 2: (96.0, 97.3), 3: (96.0, 97.3), 4: (95.3, 96.9)}

Array = NDArray[np.float64]
Accuracies = Mapping[int, Array]  # for each depth (seeds, epochs) validation accuracy in per cent


def run(options: Options, epochs: int = EPOCHS) -> Result:
    """Train networks of one to four hidden layers and compare their validation accuracies."""
    seeds = options.seed_count(SEEDS)
    x, y = first_images(options.data, 60_000)
    accuracies = {}
    with options.bar(len(PUBLISHED) * seeds * epochs, "epoch") as bar:
        for depth in PUBLISHED:
            measure = partial(train, x, y, depth, epochs, bar.update)
            accuracies[depth] = 100 * over_seeds(seeds, measure, lambda: None)
    return summarise(accuracies)


def train(
    x: NDArray[np.float32], y: NDArray[np.int64], depth: int, epochs: int, tick: Callable[[], Any], seed: int
) -> Array:
    """Train one network and return its validation accuracy after each epoch; `tick` is called there."""
    net = gw.mlp([784, *[30] * depth, 10], activation="sigmoid", init="nielsen", seed=seed)
    history = gw.fit(
        net,
        (x[:TRAIN], y[:TRAIN]),
        loss="sigmoid_cross_entropy",
        optimizer=gw.SGD(0.1, weight_decay=5 / TRAIN),
        batch_size=10,
        epochs=epochs,
        validation=(x[TRAIN:], y[TRAIN:]),
        stats=False,
        seed=seed,
        progress=False,
        callbacks=[_EachEpoch(tick)],
    )
    return history.metrics["validation_accuracy"]


class _EachEpoch(gw.Callback):
    def __init__(self, tick: Callable[[], Any]):
        self.tick = tick

    def on_epoch(self, state: Any) -> None:
        self.tick()


def summarise(accuracies: Accuracies) -> Result:
    """Turn validation accuracies, (seeds, epochs) for each depth, into figures and checks."""
    final = {depth: values[:, -1] for depth, values in accuracies.items()}
    checks, rows = [], []
    for depth, values in final.items():
        for name, value in (("lowest", values.min()), ("highest", values.max())):
            checks.append(Check(f"{depth} hidden layers: {name} accuracy", float(value), *RANGES[depth]))
        band = f"{values.min():.2f} … {values.max():.2f}"
        rows.append([str(depth), f"{PUBLISHED[depth]:.2f}", f"{np.median(values):.2f}", band])
    figures = {
        str(depth): {"published": PUBLISHED[depth], "accuracy": values, "median": float(np.median(values))}
        for depth, values in final.items()
    }
    seeds = len(next(iter(final.values())))
    separate = told_apart(final)
    return Result(
        "nielsen-depth",
        {"seeds": seeds, "depths": figures, "depths_told_apart": separate},
        checks,
        text_table(["hidden layers", "published %", "median %", "band of seeds %"], rows),
        lambda: draw(accuracies),
        [describe_order(final, separate), *few_seeds(seeds, SEEDS)],
    )


def told_apart(final: Accuracies) -> list[tuple[int, int]]:
    """Return the pairs of depths whose ranges over the seeds do not overlap."""
    return [
        (a, b) for a, b in combinations(final, 2) if final[a].max() < final[b].min() or final[b].max() < final[a].min()
    ]


def describe_order(final: Accuracies, separate: list[tuple[int, int]]) -> str:
    """Say in a sentence how far the order of the depths is more than the choice of seed."""
    pairs = len(final) * (len(final) - 1) // 2
    spread = max(float(np.ptp(values)) for values in final.values())
    medians = [float(np.median(values)) for values in final.values()]
    seeds = len(next(iter(final.values())))
    said = (
        f"The medians of the depths differ by at most {np.ptp(medians):.2f} points; one depth alone varies by up to "
        f"{spread:.2f} points over {seeds} seeds. "
    )
    if not separate:
        return f"{said}All ranges overlap: the ordering by depth lies inside the seed noise."
    named = ", ".join(f"{a} and {b}" for a, b in separate)
    if len(separate) == pairs:
        return f"{said}No two ranges overlap: with these seeds the ordering by depth is more than seed noise."
    return (
        f"{said}{pairs - len(separate)} of {pairs} pairs of depths overlap, so their order lies inside the seed "
        f"noise; only {named} hidden layers are told apart by every seed."
    )


def draw(accuracies: Accuracies) -> Figure:
    """Draw the final accuracies beside the published ones, and the accuracy over the epochs."""
    figure, panels = plots.subplots(1, 2, size=(9.5, 4.2))
    left, right = panels[0]
    depths = list(accuracies)
    for depth, colour in zip(depths, plots.shades(len(depths)), strict=True):
        values = accuracies[depth]
        label = "each seed" if depth == depths[0] else None
        left.plot([depth] * len(values), values[:, -1], "o", color=plots.BLUE, alpha=0.7, label=label)
        epochs = np.arange(1, values.shape[1] + 1)
        right.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
        right.plot(epochs, np.median(values, axis=0), color=colour, label=f"{depth}")
    left.plot(
        depths,
        [PUBLISHED[depth] for depth in depths],
        "D",
        color=plots.ORANGE,
        label="published (one network)",
    )
    left.set(xticks=depths, xlabel="hidden layers", ylabel="validation accuracy (%)", title="After the last epoch")
    left.margins(x=0.15, y=0.15)
    left.legend(loc="best")
    right.set(xlabel="epoch", ylabel="validation accuracy (%)", title="Median and range of the seeds")
    top = max(float(values.max()) for values in accuracies.values())
    right.set_ylim(max(90.0, min(float(values.min()) for values in accuracies.values()) - 0.5), top + 0.3)
    right.legend(title="hidden layers", loc="lower right")
    figure.suptitle("Logistic networks of one to four hidden layers on MNIST (Nielsen, chapter 5)")
    return figure
