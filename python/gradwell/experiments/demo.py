"""The demonstration: a logistic network whose front layers hardly learn, and one without that problem.

Both have four hidden layers of 30 units, see the same 1,500 of the built-in digits in the same order, and train
with the same loss and learning rate; activation and initial weights are the only difference.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.datasets import digits
from gradwell.report import plots
from gradwell.report.terminal import bars, layer_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES: Final = [64, 30, 30, 30, 30, 10]
TRAIN: Final = 1500
EPOCHS: Final = 60
LOSS: Final = "sigmoid_cross_entropy"
RATE: Final = 0.1
RECIPES: Final = {"logistic": ("sigmoid", "nielsen"), "healthier": ("tanh", "glorot")}


@dataclass(frozen=True)
class Trained:
    """One network of the demonstration: its gradients before training, and how training went."""

    title: str
    before: gw.GradientRecord
    history: gw.History
    seconds: float

    @property
    def accuracy(self) -> float:
        """Validation accuracy after the last epoch."""
        return float(self.history.metrics["validation_accuracy"][-1])

    @property
    def slowness(self) -> float:
        """How many times larger the last hidden layer's error signal is than the first's, before training."""
        return float(self.before.ratio("error")[0])

    def as_json(self) -> dict[str, Any]:
        """Return the figures of this network."""
        metrics = self.history.metrics
        return {
            "network": self.title,
            "layers": self.before.layers,
            "error_norm": self.before.norm("error")[0].tolist(),
            **{f"gain_{part}": _known(self.before.gain(part)[0]) for part in ("total", "weight", "derivative")},
            "last_over_first": self.slowness,
            "median_last_over_first_in_training": float(np.median(self.history.gradients.ratio("error"))),
            "loss": self.history.loss.tolist(),
            "validation_accuracy": metrics["validation_accuracy"].tolist(),
            "seconds": self.seconds,
        }


class _LiveNorms:
    """Redraws, while a network trains, one bar a layer for the norm of its error signal."""

    def __init__(self, stream: TextIO, epochs: int):
        self.stream = stream
        self.epochs = epochs
        self.lines = 0
        self.drawn = 0.0
        self.width = max(4, min(40, shutil.get_terminal_size().columns - 24))

    def on_chunk(self, state: Any) -> None:
        norms = state.history.gradients.last("error", "norm")
        now = time.perf_counter()
        if norms is None or now - self.drawn < 0.1:
            return
        self.drawn = now
        layers = state.history.gradients.layers
        drawn = zip(layers, norms, bars(norms, self.width), strict=True)
        lines = [f"  epoch {state.epoch + 1:>3} of {self.epochs}   ‖δ‖ of each layer, log scale"]
        lines += [f"  layer {name:>2}  {norm:8.1e}  {bar}" for name, norm, bar in drawn]
        up = f"\x1b[{self.lines}A" if self.lines else ""
        self.stream.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self.stream.flush()
        self.lines = len(lines)


def train(recipe: str, epochs: int = EPOCHS, live: TextIO | None = None) -> Trained:
    """Train one of `RECIPES` on the digits."""
    activation, init = RECIPES[recipe]
    x, y = digits()
    order = np.random.default_rng(0).permutation(len(x))
    inside, outside = order[:TRAIN], order[TRAIN:]
    net = gw.mlp(SIZES, activation=activation, init=init, seed=0)
    before = gw.gradients(net, x[inside], y[inside], loss=LOSS)
    begun = time.perf_counter()
    history = gw.fit(
        net,
        (x[inside], y[inside]),
        loss=LOSS,
        optimizer=gw.SGD(RATE),
        batch_size=10,
        epochs=epochs,
        validation=(x[outside], y[outside]),
        stats=True,
        seed=0,
        progress=False,
        callbacks=[_LiveNorms(live, epochs)] if live else [],
    )
    return Trained(f"{activation}, {init} weights", before, history, time.perf_counter() - begun)


def run(folder: Path | None, *, epochs: int = EPOCHS, quiet: bool = False) -> dict[str, Any]:
    """Train both networks, print what was seen, and save two figures.

    Parameters
    ----------
    folder
        Where the figures go; None draws none.
    epochs
        Passes over the 1,500 digits.
    quiet
        Print nothing.

    Returns
    -------
    dict
        The figures of both networks and the files written, ready for JSON.
    """
    live = sys.stdout if not quiet and sys.stdout.isatty() else None
    shown = []
    for recipe in RECIPES:
        if not quiet:
            activation, init = RECIPES[recipe]
            shape = "-".join(map(str, SIZES))
            print(f"\nThe {recipe} network: {shape}, {activation} units, {init} weights")
        trained = train(recipe, epochs, live)
        shown.append(trained)
        if not quiet:
            print(f"\nBefore training, over all {TRAIN} digits (layer 0 is nearest the input):\n")
            print(layer_table(trained.before))
            print(f"\n{epochs} epochs in {trained.seconds:.1f} s: {trained.accuracy:.1%} of unseen digits right.")
    files = _save_figures(folder, shown, quiet) if folder else []
    if not quiet:
        print("\n" + closing(*shown))
    return {"networks": [trained.as_json() for trained in shown], "figures": [str(file) for file in files]}


def closing(slow: Trained, healthy: Trained) -> str:
    """Say in three sentences what was measured."""
    gains = slow.before.gain("derivative")[0][:-1], slow.before.gain("weight")[0][:-1]
    derivative, weight = (float(np.exp(np.mean(np.log(gain)))) for gain in gains)
    which = "activation's derivative" if derivative < weight else "weights"
    return (
        f"Before training, the last hidden layer's error signal is {slow.slowness:.3g} times the first's in the\n"
        f"{slow.title} network, and {healthy.slowness:.3g} times in the {healthy.title} network.\n"
        f"A layer of the first network passes back {weight * derivative:.2f} of it on average: weights {weight:.2f} × "
        f"derivative {derivative:.2f};\nwhat shrinks it is the {which}.\n"
        f"After the same {slow.history.epochs} epochs they get {slow.accuracy:.1%} and {healthy.accuracy:.1%} of "
        "unseen digits right."
    )


def _known(values: NDArray[Any]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _save_figures(folder: Path, shown: list[Trained], quiet: bool) -> list[Path]:
    try:
        figures = {"demo-gradients.png": draw_gradients(shown), "demo-learning.png": draw_learning(shown)}
    except ImportError as error:
        if not quiet:
            print(f"\nNo figures: {error}")
        return []
    folder.mkdir(parents=True, exist_ok=True)
    files = [plots.save(figure, folder / name) for name, figure in figures.items()]
    if not quiet:
        print("\nFigures: " + ", ".join(map(str, files)))
    return files


def draw_gradients(shown: list[Trained]) -> Figure:
    """Draw every layer's error norm over training, a panel for each network, on one scale."""
    figure, panels = plots.subplots(1, len(shown), size=(10.5, 4.4), sharey=True)
    for axes, trained in zip(panels[0], shown, strict=True):
        record = trained.history.gradients
        names = [f"layer {layer}" for layer in record.layers]
        plots.draw_norms(axes, record.steps, names, record.norm("error"))
        axes.set(xlabel="step", title=trained.title)
    panels[0, 0].set_ylabel("norm of the error signal ‖∂C/∂z‖")
    figure.legend(*panels[0, -1].get_legend_handles_labels(), loc="outside lower center", ncols=len(SIZES) - 1)
    figure.suptitle("Gradient of every layer while training (layer 0 is nearest the input)")
    return figure


def draw_learning(shown: list[Trained]) -> Figure:
    """Draw training loss and validation accuracy of both networks."""
    figure, panels = plots.subplots(1, 2, size=(10.5, 4.2))
    loss, accuracy = panels[0]
    for trained, colour, line in zip(shown, (plots.ORANGE, plots.BLUE), ("--", "-"), strict=True):
        epochs = np.arange(1, trained.history.epochs + 1)
        loss.plot(epochs, trained.history.loss, line, color=colour, label=trained.title)
        right = 100 * trained.history.metrics["validation_accuracy"]
        accuracy.plot(epochs, right, line, color=colour, label=trained.title)
    loss.set(xlabel="epoch", ylabel="training loss", yscale="log")
    accuracy.set(xlabel="epoch", ylabel="unseen digits right (%)", ylim=(0, 102))
    accuracy.legend(loc="center right")
    figure.suptitle("The same digits, learning rate and number of steps")
    return figure
