"""Long records made short: many neighbouring records become one column of a picture or one point of a curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def bounds_of(count: int, most: int) -> Array:
    """Return where each of at most `most` groups of neighbours begins, and at last `count`.

    All have the same size but for the last: a group of another size would have another median, and look like news.

    Examples
    --------
    >>> bounds_of(5, 2).tolist(), bounds_of(2, 9).tolist()
    ([0, 3, 5], [0, 1, 2])
    """
    size = max(1, -(-count // most))
    return np.append(np.arange(0, count, size), count).astype(np.int64)


def quantiles(values: Array, bounds: Array, share: float = 0.5) -> Array:
    """Return an order statistic of each group (groups, columns); NaNs are left out, a group of NaNs stays NaN.

    Parameters
    ----------
    values
        Numbers (records, columns).
    bounds
        From `bounds_of`.
    share
        0 the least, 0.5 the lower median, 1 the greatest.

    Examples
    --------
    >>> quantiles(np.array([[1.0], [np.nan], [5.0], [3.0]]), bounds_of(4, 2)).tolist()
    [[1.0], [3.0]]
    """
    at = bounds[:-1, None] + np.arange(np.diff(bounds).max(initial=1))
    inside = at < bounds[1:, None]
    if len(bounds) < 2:
        return np.zeros((0, values.shape[1]))
    groups = np.where(inside[:, :, None], values[np.minimum(at, len(values) - 1)], np.nan)
    groups.sort(axis=1)  # NaNs go to the end
    known = (~np.isnan(groups)).sum(axis=1)
    place = np.floor(np.maximum(known - 1, 0) * share).astype(np.int64)
    return np.asarray(np.take_along_axis(groups, place[:, None], axis=1)[:, 0])


def anywhere(flags: Array, bounds: Array) -> Array:
    """Return for each group whether a flag is set in any of its records (groups, columns).

    Examples
    --------
    >>> anywhere(np.array([[True], [False], [False]]), bounds_of(3, 2)).tolist()
    [[True], [False]]
    """
    return np.asarray(np.logical_or.reduceat(flags, bounds[:-1], axis=0))


def sums(values: Array, bounds: Array) -> Array:
    """Return the sum over each group (groups, columns).

    Examples
    --------
    >>> sums(np.array([[1], [2], [3]]), bounds_of(3, 2)).tolist()
    [[3], [3]]
    """
    return np.asarray(np.add.reduceat(values, bounds[:-1], axis=0))
