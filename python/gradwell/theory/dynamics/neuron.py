"""The neuron itself: its usual constants, its slope, and what all its functions check."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import real_array

Array = NDArray[np.float64]

WEIGHT: Final = 5.0
EPS, STEPS = 0.5, 100  # from 1e-4 beside the cliff the final state comes within 1e-3 of its limit
START, TARGET = 0.5, 0.855


def sigmoid(z: Array) -> tuple[Array, Array]:
    """Return sigma(z) and sigma'(z), accurate in both tails."""
    tail = np.exp(-np.abs(z))
    return np.where(z < 0, tail, 1.0) / (1 + tail), tail / (1 + tail) ** 2


def reals(operation: str, argument: str, value: Any) -> Array:
    """Return a value as float64; raise unless all of it is finite."""
    array = real_array(operation, argument, value).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"[{operation}] {argument} has values that are not finite; needs finite numbers")
    return array


def together(operation: str, **values: Any) -> list[Array]:
    """Return the values as float64 arrays of one shape."""
    arrays = [reals(operation, name, value) for name, value in values.items()]
    try:
        return [np.array(array) for array in np.broadcast_arrays(*arrays)]
    except ValueError:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in zip(values, arrays, strict=True))
        raise ValueError(f"[{operation}] shapes are {shapes}; needs ones that broadcast together") from None
