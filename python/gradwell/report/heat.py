"""Heat maps of the page: a table of numbers as a small picture, with ticks, a colour scale and what stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.report.cells import MOST_COLUMNS, Cells, cells_of
from gradwell.report.pixels import data_uri, png
from gradwell.report.scales import Tick, linear_ticks, number, placed, short, spread_out

Array = NDArray[Any]


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
    limit: float | None = None,
    broken: Array | None = None,
    rows: str = "layer",
    most: int = MOST_COLUMNS,
) -> Picture:
    """Return the picture of magnitudes on a logarithmic scale.

    Parameters
    ----------
    title, what
        What is shown: a heading, and the words for one value.
    values, limit, broken, most
        As in `gradwell.report.cells.cells_of`.
    steps
        Number of each record's step (records,).
    names
        Of the rows, from the top.
    rows
        What a row is.
    """
    found = cells_of(values, broken, limit=limit, most=most)
    broken = np.isinf(values) if broken is None else broken | np.isinf(values)
    return Picture(
        title,
        _alt(title, what, rows, found, names, steps),
        data_uri(png(found.indices, found.palette)),
        _height(len(found.indices)),
        tuple(spread_out([short(names[i], 20) for i in found.rows[:-1]], 22)),
        step_ticks(steps),
        rows,
        "step",
        Bar(shade_css(found.colours), tuple(placed(found.ticks, found.low, found.high)), what),
        found.marks,
        _notes(values, broken, names, found, rows),
        found.indices.shape[1] > 60,
    )


def step_ticks(steps: Array) -> tuple[Tick, ...]:
    """Return round step numbers at the place of their records, which need not be evenly spaced."""
    count = len(steps)
    if count == 1:
        return (Tick(50.0, f"{steps[0]:,}"),)
    wanted = [v for v, _ in linear_ticks(float(steps[0]), float(steps[-1])) if float(v).is_integer()]
    places = (np.interp(wanted, steps, np.arange(count)) + 0.5) / count * 100
    ticks: list[Tick] = []
    for step, place in zip(wanted, places.tolist(), strict=True):
        if not ticks or place - ticks[-1].at > 9:  # where few records are far apart labels would meet
            ticks.append(Tick(round(place, 2), f"{int(step):,}"))
    return tuple(ticks)


def shade_css(colours: Array) -> str:
    """Return colours of a scale, from left to right, as CSS writes them."""
    picked = colours[np.linspace(0, len(colours) - 1, 9).round().astype(int)]
    return ", ".join("#" + "".join(f"{c:02x}" for c in colour) for colour in picked.tolist())


def _height(rows: int) -> int:
    return rows * max(2, min(24, 440 // rows))


def _alt(title: str, what: str, rows: str, found: Cells, names: Sequence[str], steps: Array) -> str:
    span = f"steps {steps[0]} to {steps[-1]}" if len(steps) > 1 else f"step {steps[0]}"
    text = f"Heat map: {title}, {len(names)} {rows}s from the top, {span} from left to right."
    known = found.logs[np.isfinite(found.logs)]
    if not known.size:
        return f"{text} Nothing measured."
    return f"{text} {what} goes from {number(10 ** float(known.min()))} to {number(10 ** float(known.max()))}."


def _notes(values: Array, broken: Array, names: Sequence[str], found: Cells, rows: str) -> tuple[str, ...]:
    notes = []
    never = np.asarray((np.isnan(values) & ~broken).all(axis=0)).tolist()
    missing = [name for name, gone in zip(names, never, strict=True) if gone]
    if missing:
        shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        notes.append(f"Not measured: {rows} {shown}.")
    for flags, text in ((values == 0, "exactly 0"), (broken, "NaN or infinite")):
        if flags.any():
            notes.append(f"{int(flags.sum()):,} of {values.size:,} values are {text}.")
    known = found.logs[np.isfinite(found.logs)]
    if (np.maximum(known - found.high, found.low - known) > 1e-3).any():
        notes.append("What lies beyond the scale has the colour of its end.")
    for bounds, line, each in ((found.columns, "column", "record"), (found.rows, "line", rows)):
        count = int(np.diff(bounds).max(initial=1))
        if count > 1:
            notes.append(f"A {line} is the median of up to {count} neighbouring {each}s; a 0 or a NaN in any shows.")
    return tuple(notes)
