"""The two figures of the demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradwell.report import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(folder: Path, shown: list[Any]) -> list[Path]:
    """Draw both and return where they are; ImportError where matplotlib is not installed."""
    figures = {"demo-gradients.png": gradients(shown), "demo-learning.png": learning(shown)}
    return [plots.save(figure, folder / name) for name, figure in figures.items()]


def gradients(shown: list[Any]) -> Figure:
    """Draw every layer's error norm over training, a panel for each network, on one scale."""
    figure, panels = plots.subplots(1, len(shown), size=(10.5, 4.4), sharey=True)
    for axes, trained in zip(panels[0], shown, strict=True):
        record = trained.history.gradients
        names = [f"layer {layer}" for layer in record.layers]
        plots.draw_norms(axes, record.steps, names, record.norm("error"))
        axes.set(xlabel="step", title=f"{trained.title}: {trained.what}")
    panels[0, 0].set_ylabel("norm of the error signal ‖∂C/∂z‖")
    columns = len(shown[-1].before.layers)
    figure.legend(*panels[0, -1].get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    figure.suptitle("Gradient of every layer while training (layer 0 is nearest the input)")
    return figure


def learning(shown: list[Any]) -> Figure:
    """Draw training loss and validation accuracy of the networks."""
    figure, panels = plots.subplots(1, 2, size=(10.5, 4.2))
    loss, accuracy = panels[0]
    for trained, colour, line in zip(shown, (plots.ORANGE, plots.BLUE), ("--", "-"), strict=False):
        epochs = np.arange(1, trained.history.epochs + 1)
        loss.plot(epochs, trained.history.loss, line, color=colour, label=trained.title)
        right = 100 * trained.history.metrics["validation_accuracy"]
        accuracy.plot(epochs, right, line, color=colour, label=trained.title)
    loss.set(xlabel="epoch", ylabel="training loss", yscale="log")
    accuracy.set(xlabel="epoch", ylabel="unseen digits right (%)", ylim=(0, 102))
    accuracy.legend(loc="center right")
    figure.suptitle("The same digits in the same order, and as many steps")
    return figure
