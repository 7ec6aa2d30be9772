"""Heat maps for papers: norms and gains by layer and step, histograms over the steps. See `plots` for their style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradwell.report.cells import Cells, cells_of, gain_limit
from gradwell.report.heat import step_ticks
from gradwell.report.maps import PARTS, WORDS, gains, histogram_title, norms, shares
from gradwell.report.plots import axes_or_new, check_record
from gradwell.report.scales import BROKEN, SEQUENTIAL, ZERO, Tick, shades, short, spread_out
from gradwell.statistics import GradientRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS: Final = {"missing": "not measured", "zero": "exactly 0", "broken": "NaN or infinite"}


def plot_norm_map(record: GradientRecord, kind: str = "error", axes: Axes | None = None) -> Axes:
    """Draw the norm of every layer at every recorded step as a heat map, the layer nearest the input on top.

    What was not measured is hatched, an exact 0 black, NaN and infinities pink. Records beyond 600 share columns: the
    median, but a 0 or a NaN in any shows.

    Parameters
    ----------
    record
        From `gradwell.fit`, `gradwell.gradients` or a watch.
    kind
        One of ``record.kinds``.
    axes
        Where to draw; a new figure unless given.

    Raises
    ------
    ValueError
        There is no such kind, or nothing recorded.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 30, 10], activation="sigmoid", seed=0)
    >>> history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), stats=True)
    >>> axes = gw.report.plot_norm_map(history.gradients)
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['0', '2', '4']
    """
    check_record("plot_norm_map", record)
    found = norms(record, kind)
    label = f"norm of the {WORDS.get(kind, f'gradient of {kind}')}"
    return _drawn(record, cells_of(found.values, found.broken), record.layers, label, axes)


def plot_gain_map(record: GradientRecord, part: str = "total", axes: Axes | None = None) -> Axes:
    """Draw what each layer multiplies the error by at every recorded step, or a part of it, as a heat map.

    Blue shrinks the error on its way back, orange makes it grow, grey leaves it as it is.

    Parameters
    ----------
    record
        From `gradwell.fit`, `gradwell.gradients` or a watch.
    part
        As in `GradientRecord.gain`.
    axes
        Where to draw; a new figure unless given.

    Raises
    ------
    ValueError
        There is no such part, or nothing recorded.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 30, 10], activation="sigmoid", seed=0)
    >>> record = gw.gradients(net, x, y, loss="softmax_cross_entropy")
    >>> gw.report.plot_gain_map(record, "derivative").get_xlabel()
    'step'
    """
    check_record("plot_gain_map", record)
    found = gains(record, part)[part]
    cells = cells_of(found.values, found.broken, limit=gain_limit([found.values]))
    return _drawn(record, cells, record.layers, PARTS[part], axes)


def plot_histogram(record: GradientRecord, kind: str, layer: int | str, axes: Axes | None = None) -> Axes:
    """Draw the share of a layer's elements between each power of two and the next, over the recorded steps.

    Parameters
    ----------
    record
        From `gradwell.fit`, `gradwell.gradients` or a watch.
    kind
        One of ``record.kinds``.
    layer
        Name or position.
    axes
        Where to draw; a new figure unless given.

    Raises
    ------
    ValueError
        There is no such kind or layer, or no histogram of it.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 10], activation="sigmoid", seed=0)
    >>> record = gw.gradients(net, x, y, loss="softmax_cross_entropy")
    >>> gw.report.plot_histogram(record, "weight", "0").get_title()
    'Weight gradients of layer 0'
    """
    exponents, counts = record.histogram(kind, layer)
    position = record.layers.index(layer) if isinstance(layer, str) else layer
    if not exponents.size:
        raise ValueError(f"[plot_histogram] layer {layer!r} has no histogram of {kind}; needs one that was recorded")
    there, share = shares(counts)
    axes, matplotlib = axes_or_new(axes, (7.5, 4.0))
    colours = matplotlib.colors.ListedColormap(shades(SEQUENTIAL) / 255)
    extent = (0.0, 100.0, float(exponents[0]), float(exponents[-1] + 1))
    image = axes.imshow(
        np.where(there > 0, share, np.nan),
        cmap=colours,
        vmin=0.0,
        aspect="auto",
        interpolation="nearest",
        extent=extent,
    )
    axes.grid(False)
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(8, integer=True))
    axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"$2^{{{value:.0f}}}$"))
    _set_ticks(axes.xaxis, step_ticks(record.steps))
    axes.set(xlabel="step", ylabel="magnitude", title=histogram_title(record, kind, position))
    axes.figure.colorbar(
        image, ax=axes, label="share of the elements", format=matplotlib.ticker.PercentFormatter(1.0, 0)
    )
    return axes


def _drawn(record: GradientRecord, cells: Cells, names: Sequence[str], label: str, axes: Axes | None) -> Axes:
    axes, matplotlib = axes_or_new(axes, (7.5, min(6.0, max(2.2, 1.2 + 0.28 * len(names)))))
    axes.imshow(cells.palette[cells.indices], aspect="auto", interpolation="nearest", extent=(0.0, 100.0, 100.0, 0.0))
    axes.grid(False)
    axes.patch.set(facecolor="white", edgecolor="#b5b5b5", hatch="////")  # shows where nothing was measured
    _set_ticks(axes.xaxis, step_ticks(record.steps))
    _set_ticks(axes.yaxis, spread_out([short(names[i], 20) for i in cells.rows[:-1]], 22))
    axes.set(xlabel="step", ylabel="layer")
    colours = matplotlib.colors.ListedColormap(cells.colours / 255)
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(cells.low, cells.high), colours)
    bar = axes.figure.colorbar(scale, ax=axes, label=label)
    bar.set_ticks([at for at, _ in cells.ticks], labels=[text for _, text in cells.ticks])
    if cells.marks:
        looks: dict[str, dict[str, Any]] = {
            "missing": {"facecolor": "white", "edgecolor": "#b5b5b5", "hatch": "////"},
            "zero": {"facecolor": np.array(ZERO) / 255},
            "broken": {"facecolor": np.array(BROKEN) / 255},
        }
        handles = [matplotlib.patches.Patch(label=_MARKS[mark], **looks[mark]) for mark in cells.marks]
        axes.legend(
            handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderpad=0.2, frameon=False
        )
    return axes


def _set_ticks(axis: Any, ticks: Sequence[Tick]) -> None:
    axis.set_ticks([tick.at for tick in ticks], labels=[tick.text for tick in ticks])
