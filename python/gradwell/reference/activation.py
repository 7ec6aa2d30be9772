"""Activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.elementary import (
    at_infinity,
    branch,
    normal_cdf,
    normal_density,
    quiet,
    sigmoid,
    tanh,
    wide,
)

Array = NDArray[Any]

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
_DEFAULT_ALPHA = {"leaky_relu": 0.01, "elu": 1.0}


def softplus(x: Array) -> Array:
    """Return log(1 + e^x), written for either sign so that neither tail overflows."""
    return branch(x, x + np.log1p(np.exp(-x)), np.log1p(np.exp(x)))


def _elu(x: Array, scale: float, alpha: float) -> Array:
    return branch(x, scale * x, scale * alpha * np.expm1(x))


def _silu_derivative(x: Array) -> Array:
    return at_infinity(x, sigmoid(x) * (1 + x * sigmoid(-x)), 0.0, 1.0)


_FORWARD: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda x, _: x.copy(),
    "sigmoid": lambda x, _: sigmoid(x),
    "tanh": lambda x, _: tanh(x),
    "relu": lambda x, _: branch(x, x, 0.0),
    "leaky_relu": lambda x, alpha: branch(x, x, alpha * x),
    "elu": lambda x, alpha: _elu(x, 1.0, alpha),
    "selu": lambda x, _: _elu(x, SELU_SCALE, SELU_ALPHA),
    "softplus": lambda x, _: softplus(x),
    "silu": lambda x, _: at_infinity(x, x * sigmoid(x), 0.0, np.inf),
    "gelu": lambda x, _: at_infinity(x, x * normal_cdf(x), 0.0, np.inf),
}
_FROM_INPUT: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda x, _: np.ones_like(x),
    "sigmoid": lambda x, _: sigmoid(x) * sigmoid(-x),
    "tanh": lambda x, _: 4 * sigmoid(2 * x) * sigmoid(-2 * x),
    "relu": lambda x, _: branch(x, 1.0, 0.0),
    "leaky_relu": lambda x, alpha: branch(x, 1.0, alpha),
    "elu": lambda x, alpha: branch(x, 1.0, alpha * np.exp(x)),
    "selu": lambda x, _: branch(x, SELU_SCALE, SELU_SCALE * SELU_ALPHA * np.exp(x)),
    "softplus": lambda x, _: sigmoid(x),
    "silu": lambda x, _: _silu_derivative(x),
    "gelu": lambda x, _: at_infinity(x, normal_cdf(x) + x * normal_density(x), 0.0, 1.0),
}
_FROM_OUTPUT: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda y, _: np.ones_like(y),
    "sigmoid": lambda y, _: y * (1 - y),
    "tanh": lambda y, _: (1 - y) * (1 + y),
    "relu": lambda y, _: branch(y, 1.0, 0.0),
    "leaky_relu": lambda y, alpha: branch(y, 1.0, alpha),
    "elu": lambda y, alpha: branch(y, 1.0, y + alpha),
    "selu": lambda y, _: branch(y, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),
}
ACTIVATIONS = tuple(_FORWARD)


def _alpha(activation: str, alpha: float | None) -> float:
    return _DEFAULT_ALPHA.get(activation, 0.0) if alpha is None else alpha


@quiet
def activation_forward(x: ArrayLike, activation: str, *, alpha: float | None = None) -> Array:
    """Return f(x), any shape.

    elu: Clevert et al., 2016; selu: Klambauer et al., 2017; softplus: Dugas et al., 2001;
    gelu and silu: Hendrycks and Gimpel, 2016; leaky_relu: Maas et al., 2013.
    """
    return _FORWARD[activation](wide(x), _alpha(activation, alpha))


@quiet
def activation_derivative(x: ArrayLike, activation: str, *, alpha: float | None = None) -> Array:
    """Return f'(x), any shape; at the kink 0 the branch x <= 0 counts."""
    return _FROM_INPUT[activation](wide(x), _alpha(activation, alpha))


@quiet
def activation_backward(
    dy: ArrayLike,
    activation: str,
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    alpha: float | None = None,
) -> Array:
    """Return dx = dy * f', from the input x or from the output y = f(x)."""
    if x is not None:
        return np.asarray(wide(dy) * activation_derivative(x, activation, alpha=alpha))
    assert y is not None
    return np.asarray(wide(dy) * _FROM_OUTPUT[activation](wide(y), _alpha(activation, alpha)))


@quiet
def prelu_forward(x: ArrayLike, slope: ArrayLike) -> Array:
    """Return y = x where x > 0, else slope * x; x (batch, units), slope (units,). He et al., 2015, eq. 1."""
    x = wide(x)
    return branch(x, x, wide(slope) * x)


@quiet
def prelu_backward(dy: ArrayLike, x: ArrayLike, slope: ArrayLike) -> tuple[Array, Array]:
    """Return dx = dy * (1 or slope), dslope = batch sum of dy * min(x, 0). He et al., 2015, eq. 3."""
    dy, x = wide(dy), wide(x)
    return dy * branch(x, 1.0, wide(slope)), (dy * branch(x, 0.0, x)).sum(axis=0)
