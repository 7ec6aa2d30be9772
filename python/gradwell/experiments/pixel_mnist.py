"""Digits read pixel by pixel: 784 steps, the class asked for at the end.

A short training, far from the accuracies published for this task, with the gradient of every step recorded on the
way: how much of the loss reaches the first pixels, at the start and as the LSTM learns.

Q. Le, N. Jaitly, G. Hinton (2015), A simple way to initialize recurrent networks of rectified linear units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.datasets import mnist, pixel_mnist
from gradwell.experiments.experiment import Check, Options, Result
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS: Final = 64
TRAINED, TESTED = 6400, 2000
BATCH: Final = 32
EPOCHS: Final = 8
FORGET: Final = 4.0
RECURRENT: Final = 0.1  # size of the orthogonal recurrent weight: at 1 the first gradient explodes to 1e20
SHOWN: Final = (0, 196, 392, 588, 783)

Array = NDArray[np.float64]


def run(
    options: Options, trained: int = TRAINED, tested: int = TESTED, epochs: int = EPOCHS, units: int = UNITS
) -> Result:
    """Train an LSTM on some of the images and look at the gradient of every pixel."""
    x, y, xv, yv = images(options, trained, tested)
    layer = gw.LSTM(units, forget_bias=FORGET, recurrent_init=gw.initializers.Orthogonal(RECURRENT))
    net = gw.Network([layer, gw.Dense(10)], input_shape=(784, 1), seed=0)
    with options.bar(epochs, "epoch") as bar:

        class Watch(gw.Callback):
            def on_epoch(self, state: Any) -> None:
                bar.update()

        settings: dict[str, Any] = {"loss": "softmax_cross_entropy", "batch_size": BATCH, "epochs": epochs, "seed": 0}
        settings |= {"optimizer": gw.Adam(1e-3), "clip": gw.clip_by_norm(1.0), "callbacks": [Watch()]}
        history = gw.fit(net, (x, y), **settings, validation=(xv, yv), stats=True, progress=False)
    time = history.gradients.time()
    hidden, cell = time.norm("hidden"), time.norm("cell")
    first, last = history.loss[0], history.loss[-1]
    accuracy = float(history.metrics["validation_accuracy"][-1])
    columns = (cell[0], cell[-1], hidden[0], hidden[-1])
    rows = [[str(t), *(f"{column[t]:.1e}" for column in columns)] for t in SHOWN]
    table = text_table(["pixel", "cell, first", "cell, last", "hidden, first", "hidden, last"], rows)
    notes = [
        f"A short run: {trained:,} images, {epochs} passes, an LSTM of {units} with forget bias {FORGET:g} and a small "
        f"recurrent weight, Adam, clipping by norm to 1. {100 * accuracy:.1f} % of {tested:,} other images are right; "
        f"the loss fell from {first:.3f} to {last:.3f}. Published results take hundreds of passes over all 60,000.",
        "The table: norms of the gradient by the LSTM's cell and output at five pixels, in the first and last step.",
    ]
    reached = np.isfinite(cell).all() and bool((cell[:, 0] > 0).all())
    checks = [
        Check("loss, last over first pass", float(last / first), 0.0, 0.999),
        Check("accuracy, tenths", 10 * accuracy, 4.0, 10.0),
        Check("the gradient reaches the first pixel at every step", float(reached), 1.0, 1.0),
    ]
    figures = {
        "accuracy": accuracy,
        "loss": history.loss.tolist(),
        "cell": {"first": cell[0].tolist(), "last": cell[-1].tolist()},
        "hidden": {"first": hidden[0].tolist(), "last": hidden[-1].tolist()},
        "first_over_last": {"first": float(cell[0, 0] / cell[0, -1]), "last": float(cell[-1, 0] / cell[-1, -1])},
    }
    return Result("pixel-mnist", figures, checks, table, lambda: draw(time, history.step_loss), notes)


def images(options: Options, trained: int, tested: int) -> tuple[Any, Any, Any, Any]:
    """Return sequences of pixels and classes for training and for testing."""
    train, classes, test, others = mnist(options.data)
    return pixel_mnist(train[:trained]), classes[:trained], pixel_mnist(test[:tested]), others[:tested]


def draw(time: gw.TimeRecord, losses: Array) -> Figure:
    """Draw the loss, and maps of the gradient over training step and pixel."""
    figure, panels = plots.subplots(1, 3, size=(12, 4))
    panels[0, 0].plot(losses, color="0.8", linewidth=0.7)
    smooth = np.convolve(losses, np.ones(20) / 20, "valid") if len(losses) >= 20 else losses
    panels[0, 0].plot(np.arange(len(smooth)) + (len(losses) - len(smooth)), smooth, color=plots.BLUE)
    panels[0, 0].set(xlabel="training step", ylabel="loss", title="Pixel by pixel")
    for axes, quantity in zip(panels[0, 1:], ("cell", "hidden"), strict=True):
        time.plot(quantity, axes)
        axes.set(xlabel="pixel", title=f"gradient by the {'cell' if quantity == 'cell' else 'output'}")
    return figure
