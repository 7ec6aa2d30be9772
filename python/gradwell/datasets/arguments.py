"""Checks of what users give, for this package, which imports nothing of the others."""

import operator
from typing import Any

import numpy as np


def whole_number(operation: str, argument: str, value: Any, lowest: int = 1) -> int:
    """Return `value` as an int; raise unless it is a whole number of at least `lowest`.

    Examples
    --------
    >>> whole_number("adding", "length", np.int64(20))
    20
    """
    if isinstance(value, (bool, np.bool_, np.ndarray)) or not hasattr(value, "__index__"):
        raise TypeError(f"[{operation}] {argument} is of type {type(value).__name__}; needs an int")
    number = operator.index(value)
    if number < lowest:
        raise ValueError(f"[{operation}] {argument} is {number}; needs at least {lowest}")
    return number


def one_of(operation: str, argument: str, value: Any, options: tuple[Any, ...]) -> None:
    """Raise unless `value` is one of `options`.

    Examples
    --------
    >>> one_of("adding", "variant", "hochreiter", ("hochreiter", "arjovsky"))
    """
    if not any(type(value) is type(option) and value == option for option in options):
        raise ValueError(f"[{operation}] {argument} is {value!r}; needs {' or '.join(map(repr, options))}")


def generator(operation: str, seed: Any, argument: str = "seed") -> np.random.Generator:
    """Return the generator of `seed`; raise unless that is a whole number of at least 0.

    Examples
    --------
    >>> bool(generator("adding", 7).random() == generator("adding", 7).random())
    True
    """
    return np.random.default_rng(whole_number(operation, argument, seed, 0))
