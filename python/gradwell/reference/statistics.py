"""What one pass over an array tells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.kernels.statistics import GradientStatistics
from gradwell.reference.elementary import quiet

Array = NDArray[Any]


@quiet
def gradient_statistics(array: ArrayLike) -> GradientStatistics:
    """Return norm, moments, extremes, special values and the histogram of floor(log2 |x|).

    Numbers below the smallest normal of the array's dtype are zeros. Scaling by the largest magnitude keeps
    the squares in range (Blue, 1978).
    """
    given = np.asarray(array).ravel()
    x = np.where(np.abs(given) < np.finfo(given.dtype).tiny, 0, given).astype(np.float64)
    finite = x[np.isfinite(x)]
    size = np.abs(finite)
    nonzero = size[size > 0]
    n, nan = len(finite), math.nan
    largest = float(size.max()) if n else nan
    scale = largest if n and largest > 0 else 1.0
    scaled = finite / scale
    root = math.sqrt(math.fsum(scaled**2))
    mean = math.fsum(scaled) / n if n else nan
    exponent = np.frexp(nonzero)[1].astype(np.int64) - 1  # frexp's mantissa lies in [1/2, 1)
    lowest = int(exponent.min()) if len(exponent) else 0
    counts = np.bincount(exponent - lowest) if len(exponent) else np.zeros(0, np.int64)
    return GradientStatistics(
        count=len(x),
        norm=scale * root if n or not len(x) else nan,
        rms=scale * (root / math.sqrt(n)) if n else nan,
        mean=scale * mean,
        std=scale * math.sqrt(math.fsum((scaled - mean) ** 2) / n) if n else nan,
        min=float(finite.min()) if n else nan,
        max=float(finite.max()) if n else nan,
        largest=largest,
        smallest=float(nonzero.min()) if len(nonzero) else nan,
        zeros=n - len(nonzero),
        nans=int(np.isnan(x).sum()),
        infs=int(np.isinf(x).sum()),
        exponents=np.arange(lowest, lowest + len(counts)),
        counts=counts.astype(np.int64),
    )
