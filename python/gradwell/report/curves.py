"""Curves of the page: paths of an inline SVG that takes its colours from the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell.report.condensing import bounds_of, quantiles
from gradwell.report.scales import Tick, linear_ticks, log_ticks, number, placed

Array = NDArray[Any]

MOST_POINTS: Final = 250
MOST_DOTS: Final = 40
SIDE: Final = 1000  # of the drawing, in its own units


@dataclass(frozen=True)
class Curve:
    """What is drawn: a name, places and values; NaN leaves a gap."""

    name: str
    x: Array
    y: Array
    style: int = 0
    """Which of the page's colours and dashes, 0 to 4."""
    dots: bool = False
    """Whether each value is marked: few, such as one an epoch."""


@dataclass(frozen=True)
class Line:
    """A curve as the page's template draws it."""

    name: str
    style: int
    path: str
    band: str
    dots: tuple[tuple[float, float], ...]
    last: str


@dataclass(frozen=True)
class Chart:
    """Curves with axes as the page's template draws them."""

    title: str
    alt: str
    lines: tuple[Line, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    row_label: str
    column_label: str
    notes: tuple[str, ...] = ()

    @property
    def row_width(self) -> int:
        """Characters of the longest label of a row."""
        return max((len(tick.text) for tick in self.rows), default=1)


def chart(
    title: str,
    curves: Sequence[Curve],
    *,
    row_label: str,
    column_label: str = "step",
    logarithmic: bool | None = None,
    notes: tuple[str, ...] = (),
) -> Chart | None:
    """Return curves on common axes; None where there is nothing to draw.

    Parameters
    ----------
    title, row_label, column_label
        Words for the heading and the axes.
    curves
        What is drawn. Those of more than 250 points are drawn as the median of neighbours, their 10 to 90 % range
        behind it.
    logarithmic
        Whether the axis of values is; by default where they are all positive and span a factor of 50.
    notes
        Sentences below.
    """
    curves = [c for c in curves if np.isfinite(c.y).any()]
    if not curves:
        return None
    values = np.concatenate([c.y[np.isfinite(c.y)] for c in curves])
    places = np.concatenate([c.x[np.isfinite(c.y)] for c in curves])
    if logarithmic is None:
        logarithmic = bool(values.min() > 0 and values.max() > 50 * values.min())
    scaled = [_scaled(c.y, logarithmic) for c in curves]
    known = np.concatenate([s[np.isfinite(s)] for s in scaled])
    if not known.size:
        return None
    low, high = float(known.min()), float(known.max())
    room = 0.04 * (high - low) or max(abs(high), 1.0) * 0.05
    low, high = low - room, high + room
    left, right = float(places.min()), float(places.max())
    if left == right:
        left, right = left - 1, right + 1
    ticks = log_ticks(low, high, 5) if logarithmic else linear_ticks(low, high, 5)
    lines = tuple(_line(c, s, (left, right), (low, high)) for c, s in zip(curves, scaled, strict=True))
    across = [(v, text) for v, text in linear_ticks(left, right) if float(v).is_integer()]
    many = any(len(c.y) > MOST_POINTS for c in curves)
    more = ("Medians of neighbouring steps; the band holds 80 % of them.",) if many else ()
    return Chart(
        title,
        _alt(title, curves),
        lines,
        tuple(placed(ticks, low, high, upward=True)),
        tuple(placed(across, left, right)),
        row_label,
        column_label,
        more + notes,
    )


def _scaled(values: Array, logarithmic: bool) -> Array:
    values = np.where(np.isfinite(values), values, np.nan)
    if not logarithmic:
        return np.asarray(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.where(values > 0, values, np.nan))


def _line(curve: Curve, scaled: Array, across: tuple[float, float], upward: tuple[float, float]) -> Line:
    bounds = bounds_of(len(scaled), MOST_POINTS)
    low, middle, high = (quantiles(scaled[:, None], bounds, share)[:, 0] for share in (0.1, 0.5, 0.9))
    x = np.add.reduceat(curve.x.astype(np.float64), bounds[:-1]) / np.diff(bounds)
    x = (x - across[0]) / ((across[1] - across[0]) or 1.0) * SIDE
    low, middle, high = (SIDE - (v - upward[0]) / (upward[1] - upward[0]) * SIDE for v in (low, middle, high))
    band = _band(x, low, high) if len(scaled) > MOST_POINTS else ""
    few = len(scaled) == 1 or (curve.dots and len(scaled) <= MOST_DOTS)
    known = ~np.isnan(middle)
    dots = tuple(
        (round(float(a) / 10, 2), round(float(b) / 10, 2)) for a, b in zip(x[known], middle[known], strict=True)
    )
    finite = curve.y[np.isfinite(curve.y)]
    return Line(curve.name, curve.style, _path(x, middle), band, dots if few else (), number(float(finite[-1])))


def _path(x: Array, y: Array) -> str:
    parts, drawing = [], False
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if math.isnan(b):  # a NaN leaves a gap
            drawing = False
            continue
        parts.append(f"{'L' if drawing else 'M'}{a:.1f} {b:.1f}")
        drawing = True
    return "".join(parts)


def _band(x: Array, low: Array, high: Array) -> str:
    known = ~(np.isnan(low) | np.isnan(high))
    if known.sum() < 2:
        return ""
    there = [f"{a:.1f} {b:.1f}" for a, b in zip(x[known], high[known], strict=True)]
    back = [f"{a:.1f} {b:.1f}" for a, b in zip(x[known][::-1], low[known][::-1], strict=True)]
    return "M" + "L".join(there + back) + "Z"


def _alt(title: str, curves: Sequence[Curve]) -> str:
    parts = []
    for curve in curves:
        known = curve.y[np.isfinite(curve.y)]
        parts.append(f"{curve.name} from {number(float(known[0]))} to {number(float(known[-1]))}")
    return f"Curves: {title}; " + ", ".join(parts) + "."
