"""Batch normalisation of the columns of x."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core

Array = NDArray[Any]


def batchnorm_forward(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    mean: Array | None = None,
    variance: Array | None = None,
    epsilon: float = 1e-5,
    activation: str = "identity",
    alpha: float | None = None,
) -> tuple[Array, Array, Array]:
    """Return y = f(gamma (x - mean) / sqrt(variance + epsilon) + beta), and the mean and variance used.

    Without `mean` and `variance` they are those of the batch, the variance divided by the number of rows (biased).

    Parameters
    ----------
    x
        Samples (batch, columns); at least 2 rows where the moments are the batch's.
    gamma, beta
        Scale and offset (columns,) of x's dtype; ones and zeros by default.
    mean, variance
        Moments (columns,) in float64 to normalise by, both or neither.
    epsilon
        Added to the variance; above 0.
    activation, alpha
        f, as in `activation_forward`.

    Returns
    -------
    y, mean, variance
        y (batch, columns) of x's dtype; the moments (columns,) in float64.

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes that do not fit, or a batch of one row.

    References
    ----------
    S. Ioffe, C. Szegedy (2015), Batch normalization: accelerating deep network training.

    Examples
    --------
    >>> y, mean, variance = batchnorm_forward(np.array([[1.0], [3.0]]))
    >>> y.round(3).ravel(), mean, variance
    (array([-1.,  1.]), array([2.]), array([1.]))
    """
    if (mean is None) != (variance is None):
        raise ValueError("[batchnorm_forward] needs both of mean and variance, or neither; got one")
    mean = None if mean is None else np.asarray(mean, np.float64)
    variance = None if variance is None else np.asarray(variance, np.float64)
    return _core.batchnorm_forward(x, gamma, beta, mean, variance, epsilon, activation, alpha)


def batchnorm_backward(
    dy: Array,
    x: Array,
    gamma: Array | None,
    mean: Array,
    variance: Array,
    *,
    epsilon: float = 1e-5,
    constant: bool = False,
) -> tuple[Array, Array, Array]:
    """Return dx, dgamma, dbeta from dy = dC/d(gamma x^ + beta), with the moments of the forward pass.

    dx = gamma / sqrt(variance + epsilon) (dy - mean(dy) - x^ mean(dy x^)), averages over the batch; with `constant`
    the moments did not depend on x (inference), and dx = gamma / sqrt(variance + epsilon) dy.

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]])
    >>> _, mean, variance = batchnorm_forward(x)
    >>> dx, dgamma, dbeta = batchnorm_backward(np.array([[1.0], [0.0]]), x, None, mean, variance)
    >>> dgamma.round(3), dbeta
    (array([-1.]), array([1.]))
    """
    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    return _core.batchnorm_backward(dy, x, gamma, mean, variance, epsilon, constant)
