"""Losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.activation import softplus
from gradwell.reference.elementary import quiet, sigmoid, wide

Array = NDArray[Any]


def _dense_targets(targets: ArrayLike, outputs: Array) -> Array:
    """Return targets as (batch, outputs): class numbers become one-hot rows."""
    targets = np.asarray(targets)
    return wide(np.eye(outputs.shape[1])[targets] if targets.ndim == 1 else targets)


@quiet
def softmax_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> tuple[Any, Array]:
    """Return the batch mean of sum_k t_k (log sum_j e^z_j - z_k), and (s softmax(z) - t) / batch.

    logits (batch, classes); s = sum_k t_k. Bridle, 1990.
    """
    z = wide(logits)
    t = _dense_targets(targets, z)
    shifted = z - z.real.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    mass = t.sum(axis=1, keepdims=True)
    loss = (t * (np.log(total) - shifted)).sum() / len(z)
    return loss, (mass * np.exp(shifted) / total - t) / len(z)


@quiet
def sigmoid_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> tuple[Any, Array]:
    """Return the batch mean of sum_k t softplus(-z) + (1 - t) softplus(z), and (sigmoid(z) - t) / batch.

    logits (batch, outputs). Nielsen, 2015, ch. 3.
    """
    z = wide(logits)
    t = _dense_targets(targets, z)
    loss = (t * softplus(-z) + (1 - t) * softplus(z)).sum() / len(z)
    return loss, ((1 - t) * sigmoid(z) - t * sigmoid(-z)) / len(z)


@quiet
def quadratic(outputs: ArrayLike, targets: ArrayLike) -> tuple[Any, Array]:
    """Return the batch mean of |a - t|^2 / 2, and (a - t) / batch; a, t (batch, outputs). Nielsen, 2015."""
    a = wide(outputs)
    difference = a - _dense_targets(targets, a)
    return (difference**2).sum() / (2 * len(a)), difference / len(a)


@quiet
def mean_squared_error(outputs: ArrayLike, targets: ArrayLike) -> tuple[Any, Array]:
    """Return mean over batch and outputs of (a - t)^2, and 2 (a - t) / (batch * outputs)."""
    a = wide(outputs)
    difference = a - _dense_targets(targets, a)
    return (difference**2).mean(), 2 * difference / a.size
