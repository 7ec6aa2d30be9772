"""Statistics of arrays that count as one, such as gradients of several passes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.statistics import QUANTITIES

Array = NDArray[Any]

COUNT, NORM, RMS, MEAN, STD, MIN, MAX, LARGEST, SMALLEST, ZEROS, NANS, INFS = range(len(QUANTITIES))


class Measurement(NamedTuple):
    """Statistics of one quantity of one layer in one step, and its histogram: see `GradientRecord`."""

    numbers: Array
    low: int
    """Exponent of the first bin."""
    counts: Array

    def merged(self, other: Measurement) -> Measurement:
        """Return the statistics of both sets of numbers taken together."""
        if not len(other.counts):
            return self._replace(numbers=_merged(self.numbers, other.numbers))
        if not len(self.counts):
            return other._replace(numbers=_merged(self.numbers, other.numbers))
        low = min(self.low, other.low)
        high = max(self.low + len(self.counts), other.low + len(other.counts))
        counts = np.zeros(high - low, np.int64)
        for part in (self, other):
            counts[part.low - low : part.low - low + len(part.counts)] += part.counts
        return Measurement(_merged(self.numbers, other.numbers), low, counts)


def merged_rows(
    keys: list[tuple[str, str]], numbers: Array, where: Array, counts: Array
) -> tuple[list[tuple[str, str]], Array, Array, Array]:
    """Return rows with those of the same key taken together, each where its first was."""
    found: dict[tuple[str, str], Measurement] = {}
    for key, row, (low, bins, at) in zip(keys, numbers, where.tolist(), strict=True):
        one = Measurement(row, low, counts[at : at + bins])
        found[key] = found[key].merged(one) if key in found else one
    sizes = [len(one.counts) for one in found.values()]
    begins = np.cumsum([0, *sizes])[:-1].tolist()
    places = [[one.low, size, at] for one, size, at in zip(found.values(), sizes, begins, strict=True)]
    bins = np.concatenate([one.counts for one in found.values()]).astype(np.uint32)
    return list(found), np.array([one.numbers for one in found.values()]), np.array(places, np.int64), bins


def _merged(a: Array, b: Array) -> Array:
    """Return the numbers of two sets taken together."""
    if a[COUNT] == 0 or b[COUNT] == 0:
        return b.copy() if a[COUNT] == 0 else a.copy()
    found = a + b  # counts add up
    weights = np.array([s[COUNT] - s[NANS] - s[INFS] for s in (a, b)])
    total = weights.sum()
    found[NORM] = math.hypot(a[NORM], b[NORM])
    found[RMS] = found[NORM] / math.sqrt(total) if total else math.nan
    known = [s for s, w in zip((a, b), weights, strict=True) if w]
    if len(known) == 1:
        found[[MEAN, STD, MIN, MAX, LARGEST]] = known[0][[MEAN, STD, MIN, MAX, LARGEST]]
    else:
        share = weights / total if total else weights
        found[MEAN] = share @ [a[MEAN], b[MEAN]]
        spread = share @ [a[STD] ** 2, b[STD] ** 2] + share[0] * share[1] * (a[MEAN] - b[MEAN]) ** 2
        found[STD] = math.sqrt(spread)
        found[MIN], found[MAX] = min(a[MIN], b[MIN]), max(a[MAX], b[MAX])
        found[LARGEST] = max(a[LARGEST], b[LARGEST])
    found[SMALLEST] = np.fmin(a[SMALLEST], b[SMALLEST])
    return found
