"""Clipping of gradients and weights, in place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.checks import check_positive

Array = NDArray[Any]
Arrays = Array | Iterable[Array] | Mapping[str, Array]


def _named(operation: str, gradients: Arrays) -> list[tuple[str, Array]]:
    if isinstance(gradients, Mapping):
        named = [(f'gradient "{name}"', array) for name, array in gradients.items()]
    elif isinstance(gradients, np.ndarray):
        named = [("the gradient", gradients)]
    else:
        named = [(f"gradient {i}", array) for i, array in enumerate(gradients)]
    for name, array in named:  # all before any is changed
        if not isinstance(array, np.ndarray):
            raise TypeError(f"[{operation}] {name} is of type {type(array).__name__}; needs a NumPy array")
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"[{operation}] {name} has dtype {array.dtype}; needs float32 or float64")
        if not array.flags.writeable:
            raise ValueError(f"[{operation}] {name} is read-only; needs an array that can be written")
        if not (array.flags.c_contiguous and array.flags.aligned):
            raise ValueError(f"[{operation}] {name} is not contiguous or not aligned; needs a C-contiguous array")
    return named


def _whole_norm(operation: str, gradients: list[tuple[str, Array]]) -> float:
    """Return the norm of all arrays together; raise where one is not finite."""
    whole = 0.0
    for name, array in gradients:
        norm = _core.norm(array)
        if not math.isfinite(norm):
            raise ValueError(f"[{operation}] {name} has the norm {norm}; needs finite numbers, nothing was changed")
        whole = math.hypot(whole, norm)
    return whole


def clip_by_norm(gradients: Arrays, max_norm: float) -> float:
    """Scale the gradients to `max_norm` where their norm together is larger; return the norm before.

    g <- g max_norm / |g|, |g| over all arrays (Pascanu, Mikolov, Bengio, 2013).

    Parameters
    ----------
    gradients
        An array, a list of arrays or a mapping of names to arrays; float, writable, C-contiguous.
    max_norm
        Above 0.

    Raises
    ------
    ValueError
        A norm that is not finite, named; nothing is changed then.

    Examples
    --------
    >>> g = np.array([3.0, 4.0])
    >>> clip_by_norm(g, 1.0), g
    (5.0, array([0.6, 0.8]))
    """
    limit = check_positive("clip_by_norm", "max_norm", max_norm)
    named = _named("clip_by_norm", gradients)
    norm = _whole_norm("clip_by_norm", named)
    factor = limit / norm if norm > limit else 1.0
    for _, array in named:
        # A factor too small for float32 is taken in two steps.
        for step in [factor] if factor > 1e-30 else [factor**0.5] * 2:
            _core.scale("clip_by_norm", array, step)
    return norm


def clip_by_value(gradients: Arrays, limit: float) -> float:
    """Cut every element off at +-limit; return the norm before.

    Examples
    --------
    >>> g = np.array([3.0, -0.5])
    >>> clip_by_value(g, 1.0), g
    (3.0413812651491097, array([ 1. , -0.5]))
    """
    check_positive("clip_by_value", "limit", limit)
    named = _named("clip_by_value", gradients)
    norm = _whole_norm("clip_by_value", named)
    for _, array in named:
        _core.clip_by_value("clip_by_value", array, limit)
    return norm


def clip_adaptive(gradient: Array, weight: Array, ratio: float = 0.01, *, floor: float = 1e-3) -> float:
    """Scale each unit's gradient to ratio max(|W_i|, floor) where it is larger; return the norm before.

    Units are columns of the weight (in, out). Adaptive gradient clipping (Brock, De, Smith, Simonyan, 2021).

    Examples
    --------
    >>> g, w = np.array([[3.0, 0.1], [4.0, 0.0]]), np.ones((2, 2))
    >>> clip_adaptive(g, w, 1.0), g.round(4)
    (5.000999900019995, array([[0.8485, 0.1   ],
           [1.1314, 0.    ]]))
    """
    norm = _whole_norm("clip_adaptive", _named("clip_adaptive", gradient))
    _core.clip_adaptive(gradient, weight, ratio, floor)
    return norm


def max_norm(weight: Array, limit: float) -> int:
    """Scale each column of the weight to `limit` where its norm is larger; return how many there were.

    Max-norm constraint (Srebro, Shraibman, 2005; with dropout: Srivastava et al., 2014).

    Examples
    --------
    >>> w = np.array([[3.0, 0.1], [4.0, 0.0]])
    >>> max_norm(w, 1.0), w
    (1, array([[0.6, 0.1],
           [0.8, 0. ]]))
    """
    return _core.max_norm(weight, limit)
