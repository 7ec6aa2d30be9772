"""Heat maps of the page: a table of numbers as a small picture, with ticks, a colour scale and what stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell.report.condensing import anywhere, bounds_of, quantiles
from gradwell.report.pixels import data_uri, png
from gradwell.report.scales import (
    BROKEN,
    DIVERGING,
    LEVELS,
    SEQUENTIAL,
    ZERO,
    Tick,
    linear_ticks,
    log_ticks,
    number,
    placed,
    shades,
    short,
    spread_out,
)

Array = NDArray[Any]

MOST_COLUMNS: Final = 600
MOST_ROWS: Final = 200
MISSING, EXACT_ZERO, NOT_FINITE = LEVELS, LEVELS + 1, LEVELS + 2
_LIMITS: Final = (2.0, 4.0, 10.0, 100.0, 1000.0)  # a gain's scale goes from 1 over one of these to it


@dataclass(frozen=True)
class Bar:
    """A colour scale: CSS colours from left to right, and ticks."""

    colours: str
    ticks: tuple[Tick, ...]
    label: str


@dataclass(frozen=True)
class Picture:
    """A heat map as the page's template draws it."""

    title: str
    alt: str
    uri: str
    height: int
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    row_label: str
    column_label: str
    bar: Bar
    marks: tuple[str, ...] = ()
    """Which of "missing", "zero", "broken" occur: they are put beside the scale."""
    notes: tuple[str, ...] = ()
    wide: bool = True
    """Whether it keeps its width on a narrow screen and scrolls."""
    hatched: bool = True
    """Whether what is transparent was not measured."""

    @property
    def row_width(self) -> int:
        """Characters of the longest label of a row."""
        return max((len(tick.text) for tick in self.rows), default=1)


def picture(
    title: str,
    values: Array,
    steps: Array,
    names: Sequence[str],
    *,
    what: str,
    gain: bool = False,
    limit: float = 10.0,
    broken: Array | None = None,
    rows: str = "layer",
    most: int = MOST_COLUMNS,
) -> Picture:
    """Return the picture of magnitudes on a logarithmic scale.

    Parameters
    ----------
    title, what
        What is shown: a heading, and the words for one value.
    values
        Magnitudes (records, rows); NaN is not measured, 0 an exact 0.
    steps
        Number of each record's step (records,).
    names
        Of the rows, from the top.
    gain
        Whether the values are gains: the scale is then centred on 1 and goes to `limit` and its inverse.
    broken
        Where values were NaN or infinite (records, rows).
    rows
        What a row is.
    most
        Columns, before neighbouring records share one.

    Notes
    -----
    A cell of a longer record holds the median of its neighbours, but is marked as 0 or not finite where one is.
    """
    broken = np.zeros(values.shape, bool) if broken is None else broken
    broken = broken | np.isinf(values)
    columns, lines = bounds_of(len(values), most), bounds_of(values.shape[1], MOST_ROWS)
    zero = _marked(values == 0, columns, lines)
    fault = _marked(broken, columns, lines)
    usable = np.where((values > 0) & np.isfinite(values), values, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(quantiles(quantiles(usable, columns).T, lines))
    low, high = (-np.log10(limit), np.log10(limit)) if gain else _range(logs)
    shade = np.clip(np.nan_to_num((logs - low) / (high - low), nan=0.0), 0, 1) * (LEVELS - 1)
    cells = np.where(np.isnan(logs), MISSING, shade.round()).astype(np.int64)
    cells[zero] = EXACT_ZERO
    cells[fault] = NOT_FINITE
    colours = shades(DIVERGING if gain else SEQUENTIAL)
    labels = [short(names[i], 20) for i in lines[:-1]]
    missing = np.isnan(values) & ~broken
    beyond = gain and bool((np.abs(logs[np.isfinite(logs)]) > high * 1.001).any())
    found = {"missing": (cells == MISSING).any(), "zero": zero.any(), "broken": fault.any()}
    return Picture(
        title,
        _alt(title, what, rows, logs, cells, names, steps, low, high),
        data_uri(png(cells, _palette(colours))),
        _height(len(cells)),
        tuple(spread_out(labels, 26)),
        step_ticks(steps),
        rows,
        "step",
        Bar(shade_css(colours), tuple(placed(_ticks(gain, limit, low, high), low, high)), what),
        tuple(name for name, there in found.items() if there),
        _notes(values, missing, values == 0, broken, names, columns, lines, rows, beyond),
        cells.shape[1] > 60,
    )


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


def step_ticks(steps: Array) -> tuple[Tick, ...]:
    """Return round step numbers at the place of their records, which need not be evenly spaced."""
    count = len(steps)
    if count == 1:
        return (Tick(50.0, f"{steps[0]:,}"),)
    wanted = [v for v, _ in linear_ticks(float(steps[0]), float(steps[-1])) if float(v).is_integer()]
    places = np.interp(wanted, steps, np.arange(count)) + 0.5
    return tuple(Tick(round(float(p) / count * 100, 2), f"{int(v):,}") for v, p in zip(wanted, places, strict=True))


def _marked(flags: Array, columns: Array, lines: Array) -> Array:
    return anywhere(anywhere(flags, columns).T, lines)


def _range(logs: Array) -> tuple[float, float]:
    known = logs[np.isfinite(logs)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    short = max(0.0, 0.6 - (high - low)) / 2  # figures that hardly differ should not look as if they did
    return low - short, high + short


def _ticks(gain: bool, limit: float, low: float, high: float) -> list[tuple[float, str]]:
    if not gain:
        return log_ticks(low, high)
    inner = {4.0: [2.0], 100.0: [10.0], 1000.0: [10.0]}.get(limit, [])
    above = [*inner, limit]
    pairs = (
        [(-np.log10(f), f"1/{f:g}") for f in reversed(above)] + [(0.0, "1")] + [(np.log10(f), f"{f:g}") for f in above]
    )
    return [(float(at), text) for at, text in pairs]


def _palette(colours: Array) -> Array:
    special = np.array([[*ZERO, 0], [*ZERO, 255], [*BROKEN, 255]], np.uint8)  # not measured: the paper shows through
    return np.concatenate([np.column_stack([colours, np.full(len(colours), 255, np.uint8)]), special])


def shade_css(colours: Array) -> str:
    """Return colours of a scale, from left to right, as CSS writes them."""
    picked = colours[np.linspace(0, len(colours) - 1, 9).round().astype(int)]
    return ", ".join("#" + "".join(f"{c:02x}" for c in colour) for colour in picked.tolist())


def _height(rows: int) -> int:
    return rows * max(2, min(24, 440 // rows))


def _alt(
    title: str,
    what: str,
    rows: str,
    logs: Array,
    cells: Array,
    names: Sequence[str],
    steps: Array,
    low: float,
    high: float,
) -> str:
    span = f"steps {steps[0]} to {steps[-1]}" if len(steps) > 1 else f"step {steps[0]}"
    text = f"Heat map: {title}, {len(names)} {rows}s from the top, {span} from left to right."
    known = np.isfinite(logs)
    if not known.any():
        return f"{text} Nothing measured."
    least, most = 10 ** float(logs[known].min()), 10 ** float(logs[known].max())
    return f"{text} {what} goes from {number(least)} to {number(most)}."


def _notes(
    values: Array,
    missing: Array,
    zero: Array,
    broken: Array,
    names: Sequence[str],
    columns: Array,
    lines: Array,
    rows: str,
    beyond: bool,
) -> tuple[str, ...]:
    notes = []
    never = [name for name, gone in zip(names, np.asarray(missing.all(axis=0)).tolist(), strict=True) if gone]
    if never:
        shown = ", ".join(never[:8]) + (f" and {len(never) - 8} more" if len(never) > 8 else "")
        notes.append(f"Not measured: {rows} {shown}.")
    for flags, text in ((zero, "exactly 0"), (broken, "NaN or infinite")):
        if flags.any():
            notes.append(f"{int(flags.sum()):,} of {values.size:,} values are {text}.")
    if beyond:
        notes.append("What lies beyond the scale has the colour of its end.")
    each = int(np.diff(columns).max(initial=1))
    if each > 1:
        notes.append(f"A column is the median of up to {each} neighbouring records; a 0 or a NaN in any of them shows.")
    tall = int(np.diff(lines).max(initial=1))
    if tall > 1:
        notes.append(f"A line is the median of up to {tall} neighbouring {rows}s; a 0 or a NaN in any of them shows.")
    return tuple(notes)
