"""Schoenholz et al.: how deep a tanh network trains is what mean-field theory says before.

Networks of tanh units with weights N(0, sigma_w^2 / n_in) and biases N(0, 0.05). The depth scale xi says over how many
layers a gradient changes by a factor e; networks are expected to train up to about 6 xi. For each sigma_w^2 on both
sides of the critical 1.76, networks of increasing depth take the same 300 steps on 3,000 images of MNIST; the trained
depth is where their accuracy falls through one half.

S. Schoenholz, J. Gilmer, S. Ganguli, J. Sohl-Dickstein (2017), Deep information propagation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell import theory
from gradwell.experiments.experiment import Check, Options, Result, few_seeds, first_images
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 3
BIAS_VARIANCE: Final = 0.05
WEIGHT_VARIANCES: Final = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.76, 2.2, 2.6, 3.0, 3.5, 4.0, 5.0)
DEPTHS: Final = (4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 86)
WIDTH: Final = 100
IMAGES: Final = 3000
STEPS: Final = 300
BATCH: Final = 50
RATE: Final = 0.02

Array = NDArray[np.float64]


def run(options: Options) -> Result:
    """Train the grid of networks."""
    seeds = options.seed_count(SEEDS)
    x, y = first_images(options.data, IMAGES)
    x = x - x.mean(axis=0)
    x = x / np.sqrt((x**2).mean())
    accuracy = np.zeros((len(WEIGHT_VARIANCES), len(DEPTHS)))
    with options.bar(accuracy.size * seeds, "network") as bar:
        for i, variance in enumerate(WEIGHT_VARIANCES):
            for j, depth in enumerate(DEPTHS):
                accuracy[i, j] = np.median([train(variance, depth, x, y, seed) for seed in range(seeds)])
                bar.update(seeds)
    return summarise(accuracy, seeds)


def train(variance: float, depth: int, x: NDArray[np.float32], y: NDArray[np.int64], seed: int) -> float:
    """Return the accuracy on its own training images after the steps."""
    layers: list[Any] = []
    for i in range(depth):
        std = math.sqrt(variance / (784 if i == 0 else WIDTH))
        bias = {"name": "normal", "std": math.sqrt(BIAS_VARIANCE)}
        layers += [gw.Dense(WIDTH, init={"name": "normal", "std": std}, bias_init=bias), gw.Tanh()]
    net = gw.Network([*layers, gw.Dense(10)], input_shape=784, seed=seed)
    gw.fit(
        net,
        (x, y),
        loss="softmax_cross_entropy",
        optimizer=gw.SGD(RATE),
        batch_size=BATCH,
        epochs=STEPS * BATCH // IMAGES + 1,
        max_steps=STEPS,
        stats=False,
        progress=False,
        seed=seed,
        nonfinite="stop",
    )
    return float((net.predict(x).argmax(axis=1) == y).mean())


def trained_depth(accuracy: Array) -> float:
    """Return the depth at which accuracy (depths,) falls through one half, between depths on a logarithmic scale."""
    above = np.flatnonzero(accuracy >= 0.5)
    if not len(above):
        return float(DEPTHS[0])
    last = above[-1]
    if last == len(DEPTHS) - 1:
        return float(DEPTHS[-1])
    share = (accuracy[last] - 0.5) / (accuracy[last] - accuracy[last + 1])
    return float(DEPTHS[last] * (DEPTHS[last + 1] / DEPTHS[last]) ** share)


def rank_correlation(a: Array, b: Array) -> float:
    """Return Spearman's correlation of two arrays without ties."""
    first, second = (np.argsort(np.argsort(values)).astype(np.float64) for values in (a, b))
    first, second = first - first.mean(), second - second.mean()
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def summarise(accuracy: Array, seeds: int) -> Result:
    """Turn accuracies (weight variances, depths) into figures and checks."""
    scales = [theory.mean_field(v, BIAS_VARIANCE, "tanh").depth_scale for v in WEIGHT_VARIANCES]
    predicted = 6 * np.array(scales)
    trained = np.array([trained_depth(row) for row in accuracy])
    correlation = rank_correlation(predicted, trained)
    critical = theory.critical_weight_variance(BIAS_VARIANCE, "tanh")
    best = WEIGHT_VARIANCES[int(np.argmax(trained))]
    checks = [
        Check("rank correlation of predicted and trained depth", correlation, 0.8, 1.0),
        Check("sigma_w^2 that trains deepest", best, 1.2, 2.7),
    ]
    rows = [
        [f"{v:.2f}", f"{p:.1f}" if p < 1000 else "> 1000", f"{t:.1f}"]
        for v, p, t in zip(WEIGHT_VARIANCES, predicted, trained, strict=True)
    ]
    notes = [
        f"The critical σ_w² at σ_b² = {BIAS_VARIANCE} is {critical:.4f}. {STEPS} steps do not train what is far deeper "
        f"than {max(trained):.0f} layers, whatever the prediction: the trained depth is smaller than 6 ξ near it.",
        *few_seeds(seeds, SEEDS),
    ]
    data = {
        "seeds": seeds,
        "weight_variances": WEIGHT_VARIANCES,
        "depths": DEPTHS,
        "accuracy": accuracy,
        "predicted": predicted,
        "trained": trained,
        "rank_correlation": correlation,
        "critical": critical,
    }
    headers = ["σ_w²", "predicted 6 ξ", "trained depth"]
    return Result(
        "trainable-depth", data, checks, text_table(headers, rows), lambda: draw(accuracy, predicted, trained), notes
    )


def draw(accuracy: Array, predicted: Array, trained: Array) -> Figure:
    """Draw the accuracy over the grid, with predicted and trained depth."""
    figure, panels = plots.subplots(1, 1, size=(7.2, 4.6))
    axes = panels[0, 0]
    mesh = axes.pcolormesh(
        np.arange(len(WEIGHT_VARIANCES)), DEPTHS, 100 * accuracy.T, cmap="viridis", shading="nearest", vmin=0, vmax=100
    )
    places = np.arange(len(WEIGHT_VARIANCES))
    axes.plot(places, np.minimum(predicted, 400), "--", color="white", linewidth=2.5)
    axes.plot(
        places, np.minimum(predicted, 400), "--", color=plots.ORANGE, linewidth=1.6, label="6 ξ, mean-field theory"
    )
    axes.plot(places, trained, "o-", color="white", markersize=4, label="accuracy one half")
    axes.set(yscale="log", ylim=(DEPTHS[0], DEPTHS[-1]), xlabel="σ_w²", ylabel="hidden layers")
    axes.set_xticks(places, [f"{v:g}" for v in WEIGHT_VARIANCES])
    axes.set_yticks(DEPTHS, [str(depth) for depth in DEPTHS])
    axes.minorticks_off()
    axes.grid(visible=False)
    legend = axes.legend(loc="upper left", frameon=True)
    legend.get_frame().set_facecolor("#555555")
    for text in legend.get_texts():
        text.set_color("white")
    figure.colorbar(mesh, label=f"accuracy (%) after {STEPS} steps")
    axes.set_title("How deep tanh networks train (after Schoenholz et al., 2017)")
    return figure
