"""Layer normalisation of the rows of x."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core

Array = NDArray[Any]


def layernorm_forward(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    epsilon: float = 1e-5,
    activation: str = "identity",
    alpha: float | None = None,
) -> tuple[Array, Array, Array]:
    """Return y = f(gamma (x - mean) / sqrt(variance + epsilon) + beta), mean and biased variance of each row.

    Parameters
    ----------
    x
        Samples (batch, columns), at least one column.
    gamma, beta
        Scale and offset (columns,) of x's dtype; ones and zeros by default.
    epsilon
        Added to the variance; above 0.
    activation, alpha
        f, as in `activation_forward`.

    Returns
    -------
    y, mean, variance
        y (batch, columns) of x's dtype; the moments (batch,) in float64.

    References
    ----------
    J. Ba, J. Kiros, G. Hinton (2016), Layer normalization.

    Examples
    --------
    >>> layernorm_forward(np.array([[1.0, 3.0]]))[0].round(3)
    array([[-1.,  1.]])
    """
    return _core.layernorm_forward(x, gamma, beta, epsilon, activation, alpha)


def layernorm_backward(
    dy: Array, x: Array, gamma: Array | None, mean: Array, variance: Array, *, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return dx, dgamma, dbeta from dy = dC/d(gamma x^ + beta), with the moments of the forward pass.

    With g = gamma dy: dx = (g - mean(g) - x^ mean(g x^)) / sqrt(variance + epsilon), averages over the row.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0]])
    >>> _, mean, variance = layernorm_forward(x)
    >>> layernorm_backward(np.ones((1, 2)), x, None, mean, variance)[0]
    array([[0., 0.]])
    """
    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    return _core.layernorm_backward(dy, x, gamma, mean, variance, epsilon)
