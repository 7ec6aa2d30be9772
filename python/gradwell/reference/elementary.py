"""Elementary functions in float64 or complex128, and what the others share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

quiet = np.errstate(all="ignore")  # both branches of np.where are evaluated, one may overflow


def wide(x: ArrayLike) -> Array:
    """Return x as float64, or complex128 if it is complex."""
    array = np.asarray(x)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def branch(x: Array, positive: ArrayLike, otherwise: ArrayLike) -> Array:
    """Take `positive` where x > 0, `otherwise` where x <= 0, and NaN where x is NaN."""
    return np.where(np.isnan(x), np.nan, np.where(x.real > 0, positive, otherwise))


def at_infinity(x: Array, value: Array, minus: float, plus: float) -> Array:
    """Put the limits where the formula would give 0 * inf."""
    return np.where(x == -np.inf, minus, np.where(x == np.inf, plus, value))


def normal_density(x: Array) -> Array:
    """Return e^(-x^2 / 2) / sqrt(2 pi)."""
    return np.asarray(np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def normal_cdf(x: Array) -> Array:
    """Phi(x) = erfc(-x / sqrt 2) / 2, off the real line to first order: enough for a complex step."""
    real = np.asarray([math.erfc(-v / math.sqrt(2)) / 2 for v in x.real.ravel()]).reshape(x.shape)
    return real + 1j * x.imag * normal_density(x.real) if np.iscomplexobj(x) else real


@quiet
def exp(x: ArrayLike) -> Array:
    """Return e^x."""
    return np.asarray(np.exp(wide(x)))


@quiet
def log(x: ArrayLike) -> Array:
    """Return the natural logarithm: log 0 = -inf, NaN below 0."""
    return np.asarray(np.log(wide(x)))


@quiet
def tanh(x: ArrayLike) -> Array:
    """Return (e^x - e^-x) / (e^x + e^-x)."""
    return np.asarray(np.tanh(wide(x)))


@quiet
def sigmoid(x: ArrayLike) -> Array:
    """Return 1 / (1 + e^-x), written for either sign so that neither tail overflows."""
    x = wide(x)
    return branch(x, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))
