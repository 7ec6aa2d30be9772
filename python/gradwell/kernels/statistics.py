"""What one pass over an array tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class GradientStatistics:
    """What one pass over an array tells; sums, moments and extremes run over its finite elements."""

    count: int
    """Number of elements."""
    norm: float
    """Square root of the sum of squares."""
    rms: float
    """Root of the mean square."""
    mean: float
    std: float
    """Population standard deviation."""
    min: float
    max: float
    largest: float
    """Largest magnitude."""
    smallest: float
    """Smallest non-zero magnitude."""
    zeros: int
    nans: int
    infs: int
    exponents: Array
    """Consecutive binary exponents floor(log2 |x|), from the lowest occupied to the highest."""
    counts: Array
    """Number of finite non-zero elements with each exponent."""


def gradient_statistics(array: Array, *, flush_denormals: bool = True) -> GradientStatistics:
    """Measure an array of any shape in one pass, summing in double.

    What cannot be said is NaN: everything but the counts where no element is finite, and the moments of an empty
    array, whose norm is 0. With `flush_denormals` denormal numbers count as zeros.

    Examples
    --------
    >>> s = gradient_statistics(np.array([3.0, -4.0, 0.0, np.nan]))
    >>> s.norm, s.zeros, s.nans, s.smallest
    (5.0, 1, 1, 3.0)
    >>> s.exponents, s.counts
    (array([1, 2]), array([1, 1]))
    """
    numbers, histogram = _core.gradient_statistics(array, flush_denormals)
    occupied = np.flatnonzero(histogram)
    first, last = (int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else (0, 0)
    exponents = np.arange(first, last) - _core.exponent_bias
    everything = (*numbers, exponents, histogram[first:last].astype(np.int64))
    return GradientStatistics(*everything)
