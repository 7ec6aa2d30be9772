"""Nielsen, chapter 5: how large each hidden layer's gradient is before any training.

Networks [784, 30 x k, 10] of logistic units with k = 2, 3, 4 hidden layers; weights N(0, 1/n_in), biases
N(0, 1); cross-entropy summed over ten logistic outputs. Measured is the norm of the mean of dC/db over the first
1000 training images of MNIST.

M. Nielsen (2015), Neural Networks and Deep Learning, chapter 5, and its code samples (generate_gradient.py).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result, few_seeds, first_images, over_seeds
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 300
IMAGES: Final = 1000
# The first row of norms_during_training_{2,3,4}_layers.json in Nielsen's code samples: one network each.
PUBLISHED: Final = {
    2: (0.06574134, 0.30921849),
    3: (0.01183821, 0.05996520, 0.28314239),
    4: (0.00297527, 0.01707667, 0.06953924, 0.28513894),
}
# Medians of 300 networks in an independent re-run of the same set-up for this project.
MEDIANS: Final = {2: (0.057, 0.293), 3: (0.0115, 0.057, 0.283), 4: (0.0025, 0.012, 0.060, 0.296)}

Norms = dict[int, NDArray[np.float64]]  # for each depth (seeds, hidden layers)


def run(options: Options) -> Result:
    """Measure the gradient of many untrained networks and compare with the published ones."""
    seeds = options.seed_count(SEEDS)
    x, y = first_images(options.data, IMAGES)
    norms: Norms = {}
    with options.bar(len(PUBLISHED) * seeds, "network") as bar:
        for depth in PUBLISHED:
            norms[depth] = over_seeds(seeds, partial(measure, x, y, depth), bar.update)
    return summarise(norms)


def measure(x: NDArray[np.float32], y: NDArray[np.int64], depth: int, seed: int) -> NDArray[np.float64]:
    """Return the norm of each hidden layer's mean dC/db in one untrained network (hidden layers,)."""
    net = gw.mlp([784, *[30] * depth, 10], activation="sigmoid", init="nielsen", seed=seed)
    norms: NDArray[np.float64] = gw.gradients(net, x, y, loss="sigmoid_cross_entropy").norm("bias")
    return norms[0, :-1]


def summarise(norms: Norms) -> Result:
    """Turn the norms of all seeds, (seeds, hidden layers) for each depth, into figures and checks."""
    figures, checks, rows = {}, [], []
    for depth, values in norms.items():
        low, median, high = np.percentile(values, (5, 50, 95), axis=0)
        increasing = float(np.mean(np.all(np.diff(values, axis=1) > 0, axis=1)))
        figures[str(depth)] = {
            "published": PUBLISHED[depth],
            "median": median,
            "p5": low,
            "p95": high,
            "increasing": increasing,
        }
        for layer in range(depth):
            published, expected = PUBLISHED[depth][layer], MEDIANS[depth][layer]
            where = f"{depth} hidden layers, layer {layer + 1}"
            checks.append(Check(f"{where}: median", float(median[layer]), 0.9 * expected, 1.1 * expected))
            checks.append(Check(f"{where}: published in band", published, float(low[layer]), float(high[layer])))
            rows.append(
                [
                    str(depth) if layer == 0 else "",
                    str(layer + 1),
                    f"{published:.4f}",
                    f"{median[layer]:.4f}",
                    f"{low[layer]:.4f} … {high[layer]:.4f}",
                    f"{increasing:.0%}" if layer == 0 else "",
                ]
            )
        checks.append(Check(f"{depth} hidden layers: share with norms that increase", increasing, 1.0, 1.0))
    headers = ["hidden layers", "layer", "published", "median", "5–95 % of seeds", "increasing"]
    seeds = len(next(iter(norms.values())))
    notes = ["Norm of the mean of ∂C/∂b over 1000 images before training; layer 1 is nearest the input."]
    smallest = np.mean([np.mean(values.argmin(axis=1) == 0) for values in norms.values()])
    notes.append(f"Layer 1 has the smallest gradient in {smallest:.0%} of {seeds} random networks of each depth.")
    return Result(
        "nielsen-gradients",
        {"seeds": seeds, "depths": figures},
        checks,
        text_table(headers, rows),
        lambda: draw(norms),
        [*notes, *few_seeds(seeds, SEEDS)],
    )


def draw(norms: Norms) -> Figure:
    """Draw published norm, median and seed band of every layer, a panel for each depth."""
    figure, panels = plots.subplots(1, len(norms), size=(9.5, 3.8), sharey=True)
    for axes, (depth, values) in zip(panels[0], norms.items(), strict=True):
        layers = np.arange(1, depth + 1)
        low, median, high = np.percentile(values, (5, 50, 95), axis=0)
        axes.vlines(layers, low, high, color=plots.BLUE, linewidth=9, alpha=0.3, label="5–95 % of seeds")
        axes.plot(layers, median, "o-", color=plots.BLUE, linewidth=1.2, label="median of seeds")
        axes.plot(layers, PUBLISHED[depth], "D", color=plots.ORANGE, markersize=6, label="published (one network)")
        axes.set(yscale="log", xticks=layers, xlim=(0.5, depth + 0.5), xlabel="hidden layer")
        axes.set_title(f"{depth} hidden layers")
    panels[0, 0].set_ylabel("norm of the mean of ∂C/∂b")
    panels[0, 0].legend(loc="lower right")
    figure.suptitle("Gradient of each hidden layer before training (Nielsen, chapter 5)")
    return figure
