"""The dense layer."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from gradwell.reference.activation import activation_backward, activation_forward
from gradwell.reference.elementary import quiet, wide

Array = NDArray[Any]


@quiet
def dense_forward(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    activation: str = "identity",
    *,
    alpha: float | None = None,
) -> Array:
    """Return y = f(x W + b); x (batch, in), weight (in, out), bias (out,). Rumelhart et al., 1986."""
    z = wide(x) @ wide(weight) + (0.0 if bias is None else wide(bias))
    return activation_forward(z, activation, alpha=alpha)


@quiet
def dense_backward(
    dy: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    activation: str = "identity",
    *,
    y: ArrayLike | None = None,
    z: ArrayLike | None = None,
    alpha: float | None = None,
    need_dx: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Return dx = d W', dW = x' d, db = sum over the batch of d, with d = dy * f'. Rumelhart et al., 1986."""
    plain = activation == "identity"
    delta = wide(dy) if plain else activation_backward(dy, activation, x=z, y=y, alpha=alpha)
    dx = delta @ wide(weight).T if need_dx else None
    return dx, wide(x).T @ delta, delta.sum(axis=0)
