"""Batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.activation import activation_forward
from gradwell.reference.elementary import quiet, wide

Array = NDArray[Any]


@quiet
def batchnorm_forward(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    epsilon: float = 1e-5,
    activation: str = "identity",
    alpha: float | None = None,
) -> tuple[Array, Array, Array]:
    """Return y = f(gamma x^ + beta) and the moments of the columns. Ioffe and Szegedy, 2015."""
    x = wide(x)
    m = x.mean(axis=0) if mean is None else wide(mean)
    v = ((x - m) ** 2).mean(axis=0) if variance is None else wide(variance)
    z = (x - m) / np.sqrt(v + epsilon)
    z = z * (1.0 if gamma is None else wide(gamma)) + (0.0 if beta is None else wide(beta))
    return activation_forward(z, activation, alpha=alpha), m, v


@quiet
def batchnorm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike | None,
    mean: ArrayLike,
    variance: ArrayLike,
    *,
    epsilon: float = 1e-5,
    constant: bool = False,
) -> tuple[Array, Array, Array]:
    """Return dx, dgamma, dbeta from dC/d(gamma x^ + beta). Ioffe and Szegedy, 2015."""
    d, root = wide(dy), np.sqrt(wide(variance) + epsilon)
    normal = (wide(x) - wide(mean)) / root
    slope = (1.0 if gamma is None else wide(gamma)) / root
    rest = d if constant else d - d.mean(axis=0) - normal * (d * normal).mean(axis=0)
    return slope * rest, (d * normal).sum(axis=0), d.sum(axis=0)
