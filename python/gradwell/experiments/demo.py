"""The demonstration: a logistic network that does not learn is trained, diagnosed, treated, and trained again.

It has four hidden layers of 30 units and sees 1,500 of the built-in digits. What the trials say helps is the only
difference between the two trainings: digits, their order, loss and number of steps are the same.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.datasets import digits
from gradwell.doctor import Diagnosis, Treatment
from gradwell.experiments import demo_figures, demo_story
from gradwell.report.terminal import bars

SIZES: Final = [64, 30, 30, 30, 30, 10]
TRAIN: Final = 1500
EPOCHS: Final = 60
BATCH: Final = 10
LOSS: Final = "sigmoid_cross_entropy"
RATE: Final = 0.1


@dataclass(frozen=True)
class Trained:
    """One network of the demonstration: its gradients before training, and how training went."""

    title: str
    what: str
    """What is particular about it."""
    network: gw.Network
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

    @property
    def first_gradient(self) -> float:
        """Median over all training steps of the first layer's weight gradient."""
        return float(np.median(self.history.gradients.norm("weight")[:, 0]))

    def as_json(self) -> dict[str, Any]:
        """Return the figures of this network."""
        metrics = self.history.metrics
        return {
            "network": f"{self.title}: {self.what}",
            "layers": self.before.layers,
            "error_norm": self.before.norm("error")[0].tolist(),
            **{f"gain_{part}": _known(self.before.gain(part)[0]) for part in ("total", "weight", "derivative")},
            "last_over_first": self.slowness,
            "median_last_over_first_in_training": float(np.median(self.history.gradients.ratio("error"))),
            "median_first_layer_gradient": self.first_gradient,
            "loss": self.history.loss.tolist(),
            "validation_accuracy": metrics["validation_accuracy"].tolist(),
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Shown:
    """All that the demonstration came to."""

    sick: Trained
    diagnosis: Diagnosis
    cure: Treatment
    treated: Trained | None
    """None where nothing that was tried helped."""

    @property
    def trained(self) -> list[Trained]:
        """The networks, as it was first."""
        return [self.sick, *([self.treated] if self.treated else [])]


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


def sick() -> gw.Network:
    """Return the network that does not learn: logistic units, standard-normal biases, weights of variance 1/fan-in."""
    return gw.mlp(SIZES, activation="sigmoid", init="nielsen", seed=0)


def train(
    network: gw.Network, title: str, what: str, epochs: int = EPOCHS, live: TextIO | None = None, **settings: Any
) -> Trained:
    """Train a network on the digits; `settings` are those of `fit` that a remedy may have changed."""
    x, y, unseen, wanted = _split()
    before = gw.gradients(network, x, y, loss=LOSS)
    begun = time.perf_counter()
    history = gw.fit(
        network,
        (x, y),
        loss=LOSS,
        batch_size=BATCH,
        epochs=epochs,
        validation=(unseen, wanted),
        stats=True,
        seed=0,
        progress=False,
        callbacks=[_LiveNorms(live, epochs)] if live else [],
        **settings,
    )
    return Trained(title, what, network, before, history, time.perf_counter() - begun)


def run(folder: Path | None, *, epochs: int = EPOCHS, quiet: bool = False) -> dict[str, Any]:
    """Train, diagnose, treat and train again; say what is seen, and save two figures and a report.

    Parameters
    ----------
    folder
        Where the files go; None writes none.
    epochs
        Passes over the 1,500 digits.
    quiet
        Print nothing.

    Returns
    -------
    dict
        The figures of both networks, the diagnosis, the trials, and the files written, ready for JSON.
    """

    def say(text: str) -> None:
        if not quiet:
            print(text, flush=True)

    live = sys.stdout if not quiet and sys.stdout.isatty() else None
    say(demo_story.opening(SIZES, TRAIN))
    ill = train(sick(), "as it was", "logistic units", epochs, live, optimizer=gw.SGD(RATE))
    say(demo_story.illness(ill, TRAIN))
    diagnosis = gw.diagnose(ill.history)
    say(demo_story.verdict(diagnosis))
    x, y, *_ = _split()
    cure = gw.treat(
        sick(),
        (x, y),
        loss=LOSS,
        optimizer=gw.SGD(RATE),
        batch_size=BATCH,
        progress=False if quiet else None,
    )
    say(demo_story.trials(cure))
    treated = None
    if cure.winner is not None and cure.winner.remedy is not None:
        treated = train(cure.network, "treated", cure.winner.remedy.name, epochs, live, **cure.settings)
        say(demo_story.proof(ill, treated, TRAIN))
    shown = Shown(ill, diagnosis, cure, treated)
    figures, report = _write(folder, shown, say) if folder else ([], None)
    say(demo_story.closing(shown))
    return {
        "networks": [trained.as_json() for trained in shown.trained],
        "diagnosis": diagnosis.to_dict(),
        "treatment": cure.to_dict(),
        "code": cure.code,
        "figures": [str(file) for file in figures],
        "report": str(report) if report else None,
    }


def _split() -> tuple[NDArray[Any], ...]:
    """Return digits and labels to train on, and those held back."""
    x, y = digits()
    order = np.random.default_rng(0).permutation(len(x))
    inside, outside = order[:TRAIN], order[TRAIN:]
    return x[inside], y[inside], x[outside], y[outside]


def _write(folder: Path, shown: Shown, say: Any) -> tuple[list[Path], Path | None]:
    folder.mkdir(parents=True, exist_ok=True)
    figures, report = [], None
    say("")
    try:
        figures = demo_figures.save(folder, shown.trained)
        say("Figures: " + ", ".join(map(str, figures)))
    except ImportError as error:
        say(f"No figures: {error}")
    try:
        report = gw.report.write(
            folder / "demo-report.html",
            shown.sick.history,
            network=shown.sick.network,
            treatment=shown.cure,
            title="The network that does not learn",
        )
        say(f"Report:  {report} (open it in a browser)")
    except ImportError as error:
        say(f"No report: {error}")
    return figures, report


def _known(values: NDArray[Any]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
