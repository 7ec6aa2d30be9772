"""Samples as a machine reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import converted, real_array

Array = NDArray[Any]

KINDS = ("binary", "gaussian")


def checked_samples(operation: str, argument: str, x: Any, units: int, kind: str, dtype: str) -> Array:
    """Return samples as (batch, units) of `dtype`; raise on a wrong width, NaN, or what binary units cannot take.

    Examples
    --------
    >>> checked_samples("fit", "x", [[0, 1]], 2, "binary", "float32").dtype
    dtype('float32')
    """
    array = real_array(operation, argument, x)
    if array.ndim < 2 or int(np.prod(array.shape[1:])) != units:
        raise ValueError(f"[{operation}] {argument} has shape {array.shape}; needs (batch, {units})")
    if not len(array):
        raise ValueError(f"[{operation}] {argument} has no rows; needs at least one")
    array = converted(operation, argument, array.reshape(len(array), units), dtype)
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"[{operation}] {argument} has {array[row, column]} in row {row}, column {column}")
    low, high = array.min(), array.max()
    if kind == "binary" and (low < 0 or high > 1):
        raise ValueError(
            f"[{operation}] {argument} has values from {low:g} to {high:g}; binary units need 0 to 1 "
            '(kind="gaussian" takes any, best with mean 0 and variance 1)'
        )
    return array
