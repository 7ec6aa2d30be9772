"""Layer normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.activation import activation_forward
from gradwell.reference.elementary import quiet, wide

Array = NDArray[Any]


@quiet
def layernorm_forward(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    epsilon: float = 1e-5,
    activation: str = "identity",
    alpha: float | None = None,
) -> tuple[Array, Array, Array]:
    """Return y = f(gamma x^ + beta) and the moments of the rows. Ba, Kiros and Hinton, 2016."""
    x = wide(x)
    m = x.mean(axis=1)
    v = ((x - m[:, None]) ** 2).mean(axis=1)
    z = (x - m[:, None]) / np.sqrt(v + epsilon)[:, None]
    z = z * (1.0 if gamma is None else wide(gamma)) + (0.0 if beta is None else wide(beta))
    return activation_forward(z, activation, alpha=alpha), m, v


@quiet
def layernorm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike | None,
    mean: ArrayLike,
    variance: ArrayLike,
    *,
    epsilon: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Return dx, dgamma, dbeta from dC/d(gamma x^ + beta). Ba, Kiros and Hinton, 2016."""
    d, root = wide(dy), np.sqrt(wide(variance) + epsilon)[:, None]
    normal = (wide(x) - wide(mean)[:, None]) / root
    g = d * (1.0 if gamma is None else wide(gamma))
    rest = g - g.mean(axis=1, keepdims=True) - normal * (g * normal).mean(axis=1, keepdims=True)
    return rest / root, (d * normal).sum(axis=0), d.sum(axis=0)
