"""Some rows of a gradient record, as views of what it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def selected(chunks: list[dict[str, Array]], key: int | slice) -> list[dict[str, Array]]:
    """Return what `chunks` hold of the rows that `key` names, chunk by chunk; nothing is joined and little copied.

    Raises
    ------
    IndexError
        A number beyond the rows.
    ValueError
        A slice that runs backwards.

    Examples
    --------
    >>> chunk = {"steps": np.arange(5), "histograms": np.zeros((5, 1, 3), int), "counts": np.zeros(0, np.uint32)}
    >>> [part["steps"].tolist() for part in selected([chunk, chunk], slice(3, 8, 2))]
    [[3], [0, 2]]
    """
    count = sum(len(chunk["steps"]) for chunk in chunks)
    if isinstance(key, slice):
        rows = range(count)[key]
        if rows.step < 0:
            raise ValueError(f"[record] rows {key} run backwards; needs a step above 0")
    else:
        if not -count <= key < count:
            raise IndexError(f"[record] row is {key}; there are {count}")
        rows = range(key % count, key % count + 1)
    found, offset = [], 0
    for chunk in chunks:
        size = len(chunk["steps"])
        first = rows.start + max(0, -(-(offset - rows.start) // rows.step)) * rows.step
        local = slice(first - offset, min(rows.stop - offset, size), rows.step)
        if local.start < local.stop:
            found.append(dict(chunk) if local == slice(0, size, 1) else _part(chunk, local))
        offset += size
    return found


def histograms(chunk: dict[str, Array], entry: int) -> list[tuple[int, Array]]:
    """Return the first exponent and the counts of one entry for each row of a chunk."""
    rows = chunk["histograms"][:, entry].tolist()
    return [(low, chunk["counts"][offset : offset + bins]) for low, bins, offset in rows]


def _part(chunk: dict[str, Array], rows: slice) -> dict[str, Array]:
    part = {key: values if key == "counts" else values[rows] for key, values in chunk.items()}
    where = part["histograms"]
    filled = where[where[:, :, 1] > 0]
    begin, end = (filled[:, 2].min(), (filled[:, 1] + filled[:, 2]).max()) if len(filled) else (0, 0)
    part["counts"] = chunk["counts"][begin:end]
    part["histograms"] = np.stack([where[:, :, 0], where[:, :, 1], np.maximum(where[:, :, 2] - begin, 0)], axis=2)
    return part
