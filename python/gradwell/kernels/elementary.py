"""Elementary functions, element by element."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradwell import _core

Array = NDArray[Any]


def exp(x: Array, *, flush_denormals: bool = True) -> Array:
    """Return e^x, within 2 units in the last place.

    Examples
    --------
    >>> exp(np.zeros(1))
    array([1.])
    """
    return _core.exp(x, flush_denormals)


def log(x: Array, *, flush_denormals: bool = True) -> Array:
    """Return the natural logarithm, within 2 units in the last place: -inf at 0, NaN below.

    Examples
    --------
    >>> log(np.ones(1))
    array([0.])
    """
    return _core.log(x, flush_denormals)


def tanh(x: Array, *, flush_denormals: bool = True) -> Array:
    """Return tanh x, within 2 units in the last place.

    Examples
    --------
    >>> tanh(np.zeros(1))
    array([0.])
    """
    return _core.tanh(x, flush_denormals)


def sigmoid(x: Array, *, flush_denormals: bool = True) -> Array:
    """Return 1 / (1 + e^-x), within 2 units in the last place.

    Examples
    --------
    >>> sigmoid(np.zeros(1))
    array([0.5])
    """
    return _core.sigmoid(x, flush_denormals)
