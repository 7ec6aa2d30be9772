"""Tables as text: aligned, at most 100 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gradwell.statistics import GradientRecord

_MOST_ROWS = 32  # of a layer table; the layers in the middle of a deeper network are left out
_SHRINKS, _GROWS = 0.8, 1.25  # a gain between these is called steady
_FLAT, _DEAD = 0.6, 0.2  # shares of outputs and of units worth a note
_WIDTH = 100


def text_table(headers: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Align cells under their headers.

    Parameters
    ----------
    headers
        One for each column.
    rows
        Cells, as many in each row as there are headers.
    left
        Which columns are aligned to the left; the others are numbers, aligned to the right.

    Returns
    -------
    str
        Lines without trailing blanks: headers, a rule, the rows.

    Examples
    --------
    >>> print(text_table(["layer", "norm"], [["0", "0.05"], ["2", "1.25"]]))
    layer  norm
    ─────  ────
    0      0.05
    2      1.25
    """
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    lines = [headers, ["─" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def layer_table(record: GradientRecord, row: int = -1) -> str:
    """Show one row of a gradient record, a line for each layer, the layer nearest the input first.

    ``‖δ‖`` is the norm of the error signal, ``of last`` its share of the last layer's, ``gain`` what it was
    multiplied by on the way from the layer after: the product of the two factors beside it, what the weights did
    and what the activation's derivative did. A dash stands for what was not measured.

    Parameters
    ----------
    record
        From `gradwell.fit` or `gradwell.gradients`.
    row
        Which recorded step; the last one unless told.

    Returns
    -------
    str
        The table, at most 100 columns wide.
    """
    if not len(record):
        raise ValueError("[layer_table] the record is empty; fit with stats=True, or use gw.gradients")
    norms = np.asarray(record.norm("error"), np.float64)[row]
    gain, weight, derivative = (
        np.asarray(record.gain(part), np.float64)[row] for part in ("total", "weight", "derivative")
    )
    broken = np.asarray(record.nans("error"))[row] + np.asarray(record.infs("error"))[row]
    saturated, dead = (np.asarray(share)[row] for share in (record.saturated(), record.dead()))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = norms / norms[-1]
    rows = []
    for layer, (name, description) in enumerate(zip(record.layers, record.descriptions, strict=True)):
        factors = f"{_number(weight[layer])} × {_number(derivative[layer])}"
        note = _note(norms[layer], broken[layer], gain[layer], weight[layer], derivative[layer])
        note = ", ".join(filter(None, [note, _units(saturated[layer], dead[layer])]))
        rows.append(
            [
                str(name),
                _cut(str(description), 24),
                _number(norms[layer]),
                _share(share[layer]),
                _number(gain[layer]),
                factors if np.isfinite(gain[layer]) else "–",
                note,
            ]
        )
    headers = ["layer", "what", "‖δ‖", "of last", "gain", "weight × derivative", "note"]
    text = text_table(headers, _without_middle(rows), left=(0, 1, 6))
    return "\n".join(_cut(line, _WIDTH) for line in text.splitlines())


def bars(values: NDArray[np.float64], width: int = 40) -> list[str]:
    """Draw magnitudes as bars on one logarithmic scale; the longest is the largest, 0 and NaN have none.

    Examples
    --------
    >>> bars(np.array([0.01, 1.0]), width=8)
    ['█', '████████']
    """
    usable = values[np.isfinite(values) & (values > 0)]
    if not usable.size:
        return ["" for _ in values]
    top = np.log10(usable.max())
    span = max(top - np.log10(usable.min()), 1.0)
    drawn = []
    for value in values:
        if not np.isfinite(value) or value <= 0:
            drawn.append("")
            continue
        length = 1 + (width - 1) * (1 - (top - np.log10(value)) / span)
        drawn.append("█" * round(length))
    return drawn


def _note(norm: float, broken: int, gain: float, weight: float, derivative: float) -> str:
    if broken:
        return f"{int(broken)} NaN or Inf"
    if np.isnan(norm):
        return "not measured"
    if norm == 0:
        return "no gradient at all"
    if not np.isfinite(gain):
        return ""
    if _SHRINKS <= gain <= _GROWS:
        return "steady"
    factor = "weights" if (weight < derivative) == (gain < 1) else "derivative"
    return f"{'shrinks' if gain < 1 else 'grows'}: {factor}"


def _units(saturated: float, dead: float) -> str:
    if dead > _DEAD:
        return f"{dead:.0%} dead"
    # Half of a healthy relu layer's outputs are saturated: that is no news.
    return f"{saturated:.0%} saturated" if saturated > _FLAT else ""


def _number(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.3g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def _share(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.1%}" if value >= 1e-3 else f"{value:.0e}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _without_middle(rows: list[list[str]]) -> list[list[str]]:
    if len(rows) <= _MOST_ROWS:
        return rows
    kept = _MOST_ROWS // 2
    gap = ["…", f"{len(rows) - 2 * kept} layers", *[""] * (len(rows[0]) - 2)]
    return [*rows[:kept], gap, *rows[-kept:]]
