"""Clipping of gradients and weights, in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Array | Sequence[Array] | Mapping[str, Array]


def _arrays(gradients: Arrays) -> list[Array]:
    if isinstance(gradients, Mapping):
        return list(gradients.values())
    return [gradients] if isinstance(gradients, np.ndarray) else list(gradients)


def _norm(arrays: list[Array]) -> float:
    return float(np.sqrt(sum(np.sum(a.astype(np.longdouble) ** 2) for a in arrays)))


def clip_by_norm(gradients: Arrays, max_norm: float) -> float:
    """Scale to `max_norm` where the norm is larger; return it as it was. Pascanu, Mikolov and Bengio, 2013."""
    arrays = _arrays(gradients)
    norm = _norm(arrays)
    for array in arrays:
        np.multiply(array, max_norm / norm if norm > max_norm else 1.0, out=array)
    return norm


def clip_by_value(gradients: Arrays, limit: float) -> float:
    """Cut elements off at +-limit; return the norm before."""
    arrays = _arrays(gradients)
    norm = _norm(arrays)
    for array in arrays:
        np.clip(array, -limit, limit, out=array)
    return norm


def clip_adaptive(gradient: Array, weight: Array, ratio: float = 0.01, *, floor: float = 1e-3) -> float:
    """Scale each column to ratio max(|W_i|, floor) where it is larger. Brock, De, Smith and Simonyan, 2021."""
    norm = _norm([gradient])
    for j in range(gradient.shape[1]):
        most = ratio * max(_norm([weight[:, j]]), floor)
        size = _norm([gradient[:, j]])
        gradient[:, j] *= most / size if size > most else 1.0
    return norm


def max_norm(weight: Array, limit: float) -> int:
    """Scale each column to `limit` where it is larger; return how many. Srebro and Shraibman, 2005."""
    found = 0
    for j in range(weight.shape[1]):
        size = _norm([weight[:, j]])
        if size > limit:
            weight[:, j] *= limit / size
            found += 1
    return found
