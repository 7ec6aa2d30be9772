"""Losses: the mean over the batch, and its gradient."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell import _core

Array = NDArray[Any]

LOSSES: Final = ("softmax_cross_entropy", "sigmoid_cross_entropy", "quadratic", "mean_squared_error")


def _targets(outputs: Array, targets: Array) -> Array:
    """Class numbers as int64; values in the dtype of the outputs."""
    if not isinstance(targets, np.ndarray) or targets.dtype.kind not in "biuf" or not isinstance(outputs, np.ndarray):
        return targets
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        return targets.astype(np.int64, copy=False)
    return targets.astype(outputs.dtype, copy=False)


def softmax_cross_entropy(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the mean of -sum_k t_k log softmax(a)_k over the batch, and its gradient by the logits a.

    Parameters
    ----------
    outputs
        Logits (batch, classes).
    targets
        Class numbers, integers (batch,), or weights of the classes (batch, classes).

    Returns
    -------
    loss, d_outputs
        A float, in nats, and an array (batch, classes): (softmax(a) sum_k t_k - t) / batch.

    Examples
    --------
    >>> loss, gradient = softmax_cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), gradient
    (0.6931, array([[-0.5,  0.5]]))
    """
    return _core.loss("softmax_cross_entropy", outputs, _targets(outputs, targets))


def sigmoid_cross_entropy(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the cross-entropy of logistic outputs, summed over them, averaged over the batch; and its gradient.

    sum_k softplus(a_k) - t_k a_k, with gradient (sigmoid(a) - t) / batch: the cross-entropy of Nielsen (2015),
    chapter 3. `outputs` are logits (batch, outputs); `targets` class numbers (batch,) or values (batch, outputs).

    Examples
    --------
    >>> loss, gradient = sigmoid_cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), gradient
    (1.3863, array([[-0.5,  0.5]]))
    """
    return _core.loss("sigmoid_cross_entropy", outputs, _targets(outputs, targets))


def quadratic(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the mean over the batch of 1/2 |a - t|^2, and its gradient (a - t) / batch.

    `outputs` (batch, outputs); `targets` values of that shape, or class numbers (batch,) for one-hot targets.

    Examples
    --------
    >>> quadratic(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    (2.0, array([[0., 2.]]))
    """
    return _core.loss("quadratic", outputs, _targets(outputs, targets))


def mean_squared_error(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the mean of (a - t)^2 over batch and outputs, and its gradient 2 (a - t) / (batch outputs).

    `outputs` (batch, outputs); `targets` values of that shape, or class numbers (batch,) for one-hot targets.

    Examples
    --------
    >>> mean_squared_error(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    (2.0, array([[0., 2.]]))
    """
    return _core.loss("mean_squared_error", outputs, _targets(outputs, targets))
