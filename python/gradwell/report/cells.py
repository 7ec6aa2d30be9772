"""Cells of a heat map: numbers of colours for magnitudes, and colours of their own for what is no magnitude."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.report.condensing import anywhere, bounds_of, quantiles
from gradwell.report.scales import BROKEN, DIVERGING, LEVELS, SEQUENTIAL, ZERO, log_ticks, shades

Array = NDArray[Any]

MOST_COLUMNS: Final = 600
MOST_ROWS: Final = 200
MISSING, EXACT_ZERO, NOT_FINITE = LEVELS, LEVELS + 1, LEVELS + 2
_LIMITS: Final = (2.0, 4.0, 10.0, 100.0, 1000.0)  # a gain's scale goes from 1 over one of these to it


class Cells(NamedTuple):
    """A heat map's cells.

    A cell of a longer record holds the median of its neighbours, but is marked as 0 or not finite where one of them is.
    """

    indices: Array
    """Number of each cell's colour (rows, columns)."""
    logs: Array
    """log10 of each cell's magnitude; NaN where there is none (rows, columns)."""
    colours: Array
    """Of the scale (levels, 3)."""
    low: float
    """log10 at the scale's lower end."""
    high: float
    columns: Array
    """Which records each column stands for, as `bounds_of` gives them."""
    rows: Array
    ticks: list[tuple[float, str]]
    """log10 and text of the scale's ticks."""

    @property
    def palette(self) -> Array:
        """All colours as red, green, blue and opacity; not measured is transparent (colours, 4)."""
        special = np.array([[*ZERO, 0], [*ZERO, 255], [*BROKEN, 255]], np.uint8)
        return np.concatenate([opaque(self.colours), special])

    @property
    def marks(self) -> tuple[str, ...]:
        """Which of "missing", "zero", "broken" occur."""
        named = {"missing": MISSING, "zero": EXACT_ZERO, "broken": NOT_FINITE}
        return tuple(name for name, index in named.items() if (self.indices == index).any())


def cells_of(
    values: Array, broken: Array | None = None, *, limit: float | None = None, most: int = MOST_COLUMNS
) -> Cells:
    """Return the cells of magnitudes on a logarithmic scale.

    Parameters
    ----------
    values
        Magnitudes (records, rows); NaN is not measured, 0 an exact 0.
    broken
        Where values were NaN or infinite (records, rows).
    limit
        Of gains: the scale is centred on 1 and goes to `limit` and its inverse.
    most
        Columns, before neighbouring records share one.

    Examples
    --------
    >>> cells_of(np.array([[1.0, 0.0, np.nan], [0.1, 10.0, np.nan]])).indices.tolist()
    [[32, 0], [65, 63], [64, 64]]
    """
    infinite = np.isinf(values)
    columns, rows = bounds_of(len(values), most), bounds_of(values.shape[1], MOST_ROWS)
    usable = np.where((values > 0) & ~infinite, values, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(quantiles(quantiles(usable, columns).T, rows))
    low, high = _range(logs) if limit is None else (-float(np.log10(limit)), float(np.log10(limit)))
    shade = np.clip(np.nan_to_num((logs - low) / (high - low), nan=0.0), 0, 1) * (LEVELS - 1)
    indices = np.where(np.isnan(logs), MISSING, shade.round()).astype(np.int64)
    indices[_marked(values == 0, columns, rows)] = EXACT_ZERO
    indices[_marked(infinite if broken is None else infinite | broken, columns, rows)] = NOT_FINITE
    ticks = log_ticks(low, high) if limit is None else _factors(limit)
    return Cells(indices, logs, shades(SEQUENTIAL if limit is None else DIVERGING), low, high, columns, rows, ticks)


def gain_limit(gains: Sequence[Array]) -> float:
    """Return how far the scale of gains must go to hold nearly all of them: 2, 4, 10, 100 or 1000.

    Examples
    --------
    >>> gain_limit([np.array([0.3, 1.0, np.nan])])
    4.0
    """
    known = np.concatenate([g[np.isfinite(g) & (g > 0)].ravel() for g in gains] or [np.ones(1)])
    known = known[:: max(1, len(known) // 100_000)]
    far = float(np.quantile(np.maximum(known, 1 / known), 0.98)) if known.size else 1.0
    return next((limit for limit in _LIMITS if far <= limit * 1.001), _LIMITS[-1])


def opaque(colours: Array) -> Array:
    """Return colours with full opacity (colours, 4)."""
    return np.column_stack([colours, np.full(len(colours), 255, np.uint8)])


def _marked(flags: Array, columns: Array, rows: Array) -> Array:
    return anywhere(anywhere(flags, columns).T, rows)


def _range(logs: Array) -> tuple[float, float]:
    known = logs[np.isfinite(logs)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    short = max(0.0, 0.6 - (high - low)) / 2  # figures that hardly differ should not look as if they did
    return low - short, high + short


def _factors(limit: float) -> list[tuple[float, str]]:
    inner = {4.0: [2.0], 100.0: [10.0], 1000.0: [10.0]}.get(limit, [])
    above = [*inner, limit]
    pairs = [(1 / f, f"1/{f:g}") for f in reversed(above)] + [(1.0, "1")] + [(f, f"{f:g}") for f in above]
    return [(float(np.log10(factor)), text) for factor, text in pairs]
