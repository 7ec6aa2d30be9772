"""Figures: matplotlib is imported only when one is drawn, and never its global state."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradwell.statistics import GradientRecord

# Okabe and Ito (2008), Color universal design: told apart with every common kind of colour blindness.
BLUE, ORANGE, GREEN, PURPLE, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"
FORMATS: Final = (".png", ".svg", ".pdf")
_MISSING = 'figures need matplotlib: pip install "gradwell[plot]"'
_MOST_POINTS = 250
_STYLE: Final[Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "legend.frameon": False,
    "svg.fonttype": "none",
}
_LABELS: Final = {
    "error": "norm of the error signal ‖∂C/∂z‖",
    "weight": "norm of the weight gradient ‖∂C/∂W‖",
    "bias": "norm of the bias gradient ‖∂C/∂b‖",
    "activation": "norm of the output",
}


def subplots(rows: int = 1, columns: int = 1, *, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """Return a new figure and its array of axes, in the package's style.

    Parameters
    ----------
    rows, columns
        Number of panels.
    size
        Width and height in inches.
    options
        Passed on to `matplotlib.figure.Figure.subplots`.

    Raises
    ------
    ImportError
        matplotlib is not installed; the message says how to get it.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(_MISSING) from error
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def axes_or_new(axes: Axes | None, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return axes, those of a new figure unless given, and matplotlib with the parts that figures of it use."""
    if axes is None:
        axes = subplots(size=size)[1][0, 0]
    import matplotlib
    import matplotlib.cm
    import matplotlib.colors
    import matplotlib.lines
    import matplotlib.patches
    import matplotlib.ticker

    return axes, matplotlib


def check_record(operation: str, record: Any) -> None:
    """Raise unless `record` is a gradient record with something in it."""
    if not (hasattr(record, "layers") and hasattr(record, "steps")):
        raise TypeError(f"[{operation}] record is of type {type(record).__name__}; needs a GradientRecord")
    if not len(record):
        raise ValueError(f"[{operation}] the record is empty; fit with stats=True, or use gw.gradients")


def check_destination(path: str | os.PathLike[str]) -> Path:
    """Return where a figure will go, or say now, before any work, why it cannot be written there.

    Raises
    ------
    ValueError
        The name ends with something else than .png, .svg or .pdf.
    FileNotFoundError
        Its folder does not exist.
    ImportError
        matplotlib is not installed.
    """
    destination = Path(path).expanduser()
    if destination.suffix.lower() not in FORMATS:
        raise ValueError(f"[figure] got {str(path)!r}, needed a name that ends with .png, .svg or .pdf")
    if not destination.parent.is_dir():
        raise FileNotFoundError(f"[figure] the folder {destination.parent} does not exist")
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError(_MISSING)
    return destination


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, SVG or PDF, by the name's ending, and return its path."""
    import matplotlib

    destination = check_destination(path)
    with matplotlib.rc_context(_STYLE):
        figure.savefig(destination)
    return destination


def shades(count: int) -> list[tuple[float, ...]]:
    """Return colours for layers in order, first to last dark to light; safe for colour-blind readers."""
    import matplotlib

    return [tuple(colour) for colour in matplotlib.colormaps["viridis"](np.linspace(0.0, 0.82, max(count, 1)))]


def draw_norms(axes: Axes, steps: NDArray[Any], layers: Sequence[str], norms: NDArray[np.float64]) -> None:
    """Draw a magnitude of each layer over the steps, on a logarithmic axis.

    Long records are drawn as the median of neighbouring steps, with their 10 to 90 % range behind it. Zeros
    and NaNs cannot be drawn on a logarithmic axis: they leave gaps, and a layer that has nothing else says so in
    the legend.

    Parameters
    ----------
    axes
        Where to draw.
    steps
        (records,) step numbers.
    layers
        Name of each layer.
    norms
        (records, layers) magnitudes.
    """
    drawable = np.where(np.isfinite(norms) & (norms > 0), norms, np.nan)
    groups = np.array_split(np.arange(len(steps)), min(len(steps), _MOST_POINTS)) if len(steps) else []
    places = [np.mean(steps[group]) for group in groups]
    for layer, (name, colour) in enumerate(zip(layers, shades(len(layers)), strict=True)):
        values = [drawable[group, layer] for group in groups]
        usable = [value[~np.isnan(value)] for value in values]
        low, middle, high = (
            np.array([np.percentile(value, level) if value.size else np.nan for value in usable])
            for level in (10, 50, 90)
        )
        empty = all(value.size == 0 for value in usable)
        label = f"{name} ({_why_empty(norms[:, layer])})" if empty else name
        axes.plot(places, middle, color=colour, linewidth=1.6, marker="o" if len(groups) == 1 else "", label=label)
        if len(steps) > _MOST_POINTS:
            axes.fill_between(places, low, high, color=colour, alpha=0.12, linewidth=0)
    if np.isfinite(drawable).any():
        axes.set_yscale("log")


def plot_norms(record: GradientRecord, kind: str = "error", axes: Axes | None = None) -> Axes:
    """Draw the norm of every layer over the recorded steps.

    Parameters
    ----------
    record
        From `gradwell.fit` or `gradwell.gradients`.
    kind
        One of ``record.kinds``: "error", "weight", "bias", "activation".
    axes
        Where to draw; a new figure unless given (``axes.figure.savefig("norms.png")`` writes it).

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    if axes is None:
        _, panels = subplots(size=(7.5, 4.5))
        axes = panels[0, 0]
    names = [f"{name} {what}" for name, what in zip(record.layers, record.descriptions, strict=True)]
    draw_norms(axes, np.asarray(record.steps), names, np.asarray(record.norm(kind), np.float64))
    axes.set_xlabel("step")
    axes.set_ylabel(_LABELS.get(kind, f"norm of {kind}"))
    axes.legend(title="layer", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return axes


def _why_empty(values: NDArray[np.float64]) -> str:
    return "not measured" if np.isnan(values).all() else "no drawable value"
