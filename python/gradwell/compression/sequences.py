"""Sequences of symbols as the compressor reads them, and what is left of them after a level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import integer_array

Array = NDArray[Any]
Items = NDArray[np.int64]
"""One sequence of a level (length, 1 + level): a symbol, then its gap at each level passed."""

NAME = "HistoryCompressor"


@dataclass(frozen=True)
class Compressed:
    """What is left of sequences after some levels, and all that is needed to have them back.

    Attributes
    ----------
    items
        For each sequence an int64 array (length, 1 + level): the symbols that were not expected, and for each level
        passed how many steps of the level below they lie after the one before. The first of a sequence has gap 1.
    lengths
        Symbols of each sequence at the levels below, the lowest first (n, level): where the expected ones end.
    """

    items: list[Items]
    lengths: NDArray[np.int64]

    @property
    def level(self) -> int:
        """How many levels were passed."""
        return int(self.lengths.shape[1])

    @property
    def symbols(self) -> list[NDArray[np.int64]]:
        """The symbols of each sequence, without their gaps."""
        return [item[:, 0] for item in self.items]

    @property
    def gaps(self) -> list[NDArray[np.int64]]:
        """The gaps of each sequence at the last level passed; empty arrays at level 0."""
        return [item[:, -1] if self.level else item[:, :0].reshape(-1) for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        counts = [len(item) for item in self.items]
        return f"<Compressed {len(self)} sequences at level {self.level}, {min(counts)} to {max(counts)} symbols>"


def checked_sequences(x: Any, lengths: Any = None, alphabet: int | None = None) -> list[Items]:
    """Return sequences as items of level 0; raise on anything but integers from 0 to below `alphabet`.

    Examples
    --------
    >>> [items.shape for items in checked_sequences([[0, 2, 1], [1]])]
    [(3, 1), (1, 1)]
    >>> [items.shape for items in checked_sequences(np.zeros((2, 4), int), lengths=[4, 2])]
    [(4, 1), (2, 1)]
    """
    if isinstance(x, (str, bytes)) or not isinstance(x, Iterable):
        raise TypeError(f"[{NAME}] x is of type {type(x).__name__}; needs a list of integer arrays, or one (n, time)")
    if isinstance(x, np.ndarray) and x.dtype != object and x.ndim != 2:
        raise ValueError(f"[{NAME}] x has shape {x.shape}; needs (n, time), or a list of arrays of one dimension")
    rows = list(x)
    if not rows:
        raise ValueError(f"[{NAME}] x has no sequences; needs at least one")
    counts = [None] * len(rows) if lengths is None else _counts(rows, lengths)
    return [_sequence(i, row, count, alphabet) for i, (row, count) in enumerate(zip(rows, counts, strict=True))]


def _counts(rows: list[Any], lengths: Any) -> list[int]:
    counts = integer_array(NAME, "lengths", lengths)
    if counts.shape != (len(rows),):
        raise ValueError(f"[{NAME}] lengths has shape {counts.shape} but x has {len(rows)} rows; needs ({len(rows)},)")
    for i, (row, count) in enumerate(zip(rows, counts, strict=True)):
        if not 1 <= count <= np.size(row):
            raise ValueError(f"[{NAME}] lengths has {count} in row {i}; needs 1 to {np.size(row)}")
    listed: list[int] = counts.tolist()
    return listed


def _sequence(i: int, row: Any, count: int | None, alphabet: int | None) -> Items:
    where = f"x[{i}]"
    if np.size(row) == 0:
        raise ValueError(f"[{NAME}] {where} has no symbols; needs at least one")
    array = integer_array(NAME, where, row)
    if array.ndim != 1:
        raise ValueError(f"[{NAME}] {where} has shape {array.shape}; needs (time,)")
    array = array[:count]
    low = np.flatnonzero(array < 0)
    if low.size:
        raise ValueError(f"[{NAME}] {where} has {array[low[0]]} at step {low[0]}; needs symbols of at least 0")
    high = np.flatnonzero(array >= alphabet) if alphabet is not None else low
    if high.size:
        raise ValueError(
            f"[{NAME}] {where} has {array[high[0]]} at step {high[0]}; needs symbols below {alphabet}, the alphabet"
        )
    return np.array(array[:, None], np.int64)


def pass_up(items: Items, expected: NDArray[np.bool_]) -> Items:
    """Return the items that were not expected, each with its gap.

    Examples
    --------
    >>> pass_up(np.array([[5], [6], [7], [8]]), np.array([False, True, True, False])).tolist()
    [[5, 1], [8, 3]]
    """
    places = np.flatnonzero(~expected)
    return np.column_stack([items[places], np.diff(places, prepend=-1)])


def padded(sequences: list[Items]) -> tuple[Items, NDArray[np.int64]]:
    """Return sequences as one array (n, longest, columns), zeros behind their ends, and their lengths."""
    lengths = np.array([len(items) for items in sequences], np.int64)
    together = np.zeros((len(sequences), int(lengths.max()), sequences[0].shape[1]), np.int64)
    for row, items in zip(together, sequences, strict=True):
        row[: len(items)] = items
    return together, lengths
