"""Checks of what users give: each raises by operation, argument, what it got and what it needed."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LARGEST_COUNT = 2**62  # so that the sum of two still fits the core's 64-bit integers


def check_count(operation: str, argument: str, value: Any, lowest: int = 1) -> None:
    """Raise unless `value` is an int from `lowest` to 2**62."""
    if isinstance(value, (bool, np.bool_, np.ndarray)) or not hasattr(value, "__index__"):
        raise TypeError(f"[{operation}] {argument} is of type {type(value).__name__}; needs an int")
    if value < lowest:
        raise ValueError(f"[{operation}] {argument} is {value}; needs at least {lowest}")
    if value > LARGEST_COUNT:
        raise ValueError(f"[{operation}] {argument} is {value}; needs at most {LARGEST_COUNT}")


def check_number(operation: str, argument: str, value: Any, lowest: float = -math.inf) -> float:
    """Return `value` as a float; raise unless it is a finite number of at least `lowest`.

    Examples
    --------
    >>> check_number("SGD", "learning_rate", np.float64(0.5), lowest=0)
    0.5
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"[{operation}] {argument} is of type {type(value).__name__}; needs a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < lowest:
        bound = "" if lowest == -math.inf else f" of at least {lowest:g}"
        raise ValueError(f"[{operation}] {argument} is {number}; needs a finite number{bound}")
    return number


def check_flag(operation: str, argument: str, value: Any) -> bool:
    """Return `value` as a bool; raise unless it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"[{operation}] {argument} is of type {type(value).__name__}; needs True or False")
    return bool(value)


def real_array(operation: str, argument: str, value: Any) -> Array:
    """Return `value` as an array of real numbers, of its own dtype."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"[{operation}] {argument} cannot be read as one array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"[{operation}] {argument} has dtype {array.dtype}; needs integers or real numbers")
    return array


def integer_array(operation: str, argument: str, value: Any) -> Array:
    """Return `value` as an int64 array; raise unless it holds integers.

    Examples
    --------
    >>> integer_array("fit", "lengths", [3, 1]).tolist()
    [3, 1]
    """
    array = real_array(operation, argument, value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"[{operation}] {argument} has dtype {array.dtype}; needs integers")
    if array.size and array.max() > LARGEST_COUNT:
        raise ValueError(f"[{operation}] {argument} has {array.max()}; needs at most {LARGEST_COUNT}")
    return array.astype(np.int64, copy=False)


def converted(operation: str, argument: str, array: Array, dtype: str) -> Array:
    """Return `array` in `dtype`; raise where a finite number is too large for it."""
    try:
        with np.errstate(over="raise"):
            return array.astype(dtype, copy=False)
    except FloatingPointError:
        raise ValueError(
            f"[{operation}] {argument} has dtype {array.dtype} and numbers too large for {dtype}"
        ) from None


def check_positive(operation: str, argument: str, value: Any, highest: float = math.inf) -> float:
    """Return `value` as a float; raise unless it is a finite number above 0 and at most `highest`.

    Examples
    --------
    >>> check_positive("clip_by_norm", "max_norm", 1)
    1.0
    """
    number = check_number(operation, argument, value)
    if not 0 < number <= highest:
        bound = "" if highest == math.inf else f" and at most {highest:g}"
        raise ValueError(f"[{operation}] {argument} is {number}; needs a finite number above 0{bound}")
    return number


def check_share(operation: str, argument: str, value: Any) -> float:
    """Return `value` as a float; raise unless it is a number from 0 to below 1.

    Examples
    --------
    >>> check_share("dropout", "rate", 0.5)
    0.5
    """
    number = check_number(operation, argument, value)
    if not 0 <= number < 1:
        raise ValueError(f"[{operation}] {argument} is {number}; needs a number from 0 to below 1")
    return number
