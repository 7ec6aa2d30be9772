"""Ioffe and Szegedy, figure 1: batch normalisation in a logistic network on MNIST.

A network [784, 100, 100, 100, 10] of logistic units with small normal weights, batches of 60, stochastic gradient
descent, with and without batch normalisation in front of every activation. With it the network learns faster and
better, and the inputs of a typical unit of the last hidden layer keep their distribution while it trains.

S. Ioffe, C. Szegedy (2015), Batch normalization: accelerating deep network training by reducing internal covariate
shift. The paper shows curves only; the steps, the batch and the network are its, the rate is not said and is 0.1 here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result, first_images
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS: Final = 50_000
POINTS: Final = 50
BATCH: Final = 60
TRAIN: Final = 50_000
RATE: Final = 0.1
STD: Final = 0.05
PERCENTILES: Final = (15, 50, 85)

Array = NDArray[np.float64]


class Curve(NamedTuple):
    """One network: accuracy and inputs of one unit at POINTS steps."""

    accuracy: Array  # (points,)
    inputs: Array  # (points, 3) percentiles of one unit's pre-activation over 10,000 images


def run(options: Options, steps: int = STEPS) -> Result:
    """Train both networks."""
    x, y = first_images(options.data, 60_000)
    with options.bar(2 * POINTS, "point") as bar:
        curves = {norm: measure(norm, x, y, steps, bar.update) for norm in (False, True)}
    return summarise(curves, steps)


def network(norm: bool, seed: int = 0) -> gw.Network:
    """Return the network, with or without batch normalisation."""
    layers: list[Any] = []
    for _ in range(3):
        layers.append(gw.Dense(100, init={"name": "normal", "std": STD}))
        layers += [gw.BatchNorm(), gw.Sigmoid()] if norm else [gw.Sigmoid()]
    return gw.Network([*layers, gw.Dense(10, init={"name": "normal", "std": STD})], input_shape=784, seed=seed)


def measure(norm: bool, x: NDArray[np.float32], y: NDArray[np.int64], steps: int, tick: Any) -> Curve:
    """Train one network and look at it POINTS times."""
    net = network(norm)
    below = gw.Network(net.layers[:-2], 784, seed=0)
    accuracy, inputs = [], []
    for point in range(1, POINTS + 1):
        gw.fit(
            net,
            (x[:TRAIN], y[:TRAIN]),
            loss="softmax_cross_entropy",
            optimizer=gw.SGD(RATE),
            batch_size=BATCH,
            epochs=steps * BATCH // TRAIN + 1,
            max_steps=steps * point // POINTS,
            stats=False,
            progress=False,
            resume=point > 1,
        )
        accuracy.append(float((net.predict(x[TRAIN:]).argmax(axis=1) == y[TRAIN:]).mean()))
        for name, view in below.parameters.items():
            view[...] = net.parameters[name]
        for name, buffer in below.buffers.items():
            buffer[...] = net.buffers[name]
        unit = below.predict(x[TRAIN:])[:, 0]  # before the last logistic units
        inputs.append(np.percentile(unit.astype(np.float64), PERCENTILES))
        tick()
    return Curve(np.array(accuracy), np.array(inputs))


def steps_to(curve: Curve, accuracy: float, steps: int) -> float:
    """Return the first looked-at step with this accuracy, NaN where there is none."""
    reached = np.flatnonzero(curve.accuracy >= accuracy)
    return float((reached[0] + 1) * steps / POINTS) if len(reached) else float("nan")


def summarise(curves: dict[bool, Curve], steps: int) -> Result:
    """Turn the two curves into figures and checks."""
    plain, normed = curves[False], curves[True]
    target = float(plain.accuracy[-1])
    faster = steps_to(normed, target, steps) / steps
    drift = {norm: float(np.ptp(curve.inputs[POINTS // 5 :, 1])) for norm, curve in curves.items()}
    spread = {norm: float(np.median(curve.inputs[:, 2] - curve.inputs[:, 0])) for norm, curve in curves.items()}
    moves = {norm: drift[norm] / spread[norm] for norm in curves}
    checks = [
        Check("accuracy with batch norm minus without", float(normed.accuracy[-1]) - target, 0.0, 1.0),
        Check("share of the steps in which batch norm reaches the other's accuracy", faster, 0.0, 0.5),
        Check("accuracy with batch norm", float(normed.accuracy[-1]), 0.97, 1.0),
    ]
    rows = []
    for norm, curve in curves.items():
        name = "with batch norm" if norm else "without"
        first = f"{steps_to(curve, 0.9, steps):.0f}"
        rows.append([name, first, f"{100 * curve.accuracy[-1]:.2f}", f"{moves[norm]:.2f}"])
    notes = [
        f"The last column is how far the median input of one unit wanders after the first fifth of the {steps} steps, "
        "over the width of its distribution (15th to 85th percentile). The paper's curves are not published as numbers."
    ]
    data = {
        "steps": steps,
        "accuracy": {"without": plain.accuracy, "with": normed.accuracy},
        "inputs": {"without": plain.inputs, "with": normed.inputs},
        "drift": {"without": moves[False], "with": moves[True]},
    }
    headers = ["network", "steps to 90 %", "accuracy %", "drift of the median"]
    return Result("ioffe-szegedy", data, checks, text_table(headers, rows), lambda: draw(curves, steps), notes)


def draw(curves: dict[bool, Curve], steps: int) -> Figure:
    """Draw accuracy over the steps, and the percentiles of one unit's inputs without and with."""
    figure, panels = plots.subplots(1, 3, size=(12.0, 3.9))
    at = np.arange(1, POINTS + 1) * steps / POINTS
    for norm, colour in ((False, plots.ORANGE), (True, plots.BLUE)):
        name = "with batch norm" if norm else "without"
        panels[0, 0].plot(at, 100 * curves[norm].accuracy, color=colour, label=name)
        axes = panels[0, 1 + norm]
        inputs = curves[norm].inputs
        axes.fill_between(at, inputs[:, 0], inputs[:, 2], color=colour, alpha=0.25, linewidth=0)
        axes.plot(at, inputs[:, 1], color=colour)
        axes.set(xlabel="step", title=f"Inputs of one unit, {name}", ylabel="15th, 50th, 85th percentile")
    low = max(60.0, 100 * min(float(curve.accuracy.min()) for curve in curves.values()))
    panels[0, 0].set(xlabel="step", ylabel="accuracy (%)", ylim=(low, 100), title="On 10,000 other images")
    panels[0, 0].legend(loc="lower right")
    figure.suptitle("Batch normalisation in a logistic network (after Ioffe and Szegedy, figure 1)")
    return figure
