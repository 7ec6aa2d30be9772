"""Rules that turn a gradient into a step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.elementary import quiet, wide

Array = NDArray[Any]


@quiet
def sgd_update(
    parameter: Array, gradient: ArrayLike, learning_rate: float, *, weight_decay: float = 0.0, l2: float = 0.0
) -> None:
    """Set p to (1 - eta wd) p - eta (g + l2 p) in place. Decoupled decay: Loshchilov and Hutter, 2019."""
    p, g = wide(parameter), wide(gradient)
    parameter[...] = (1 - learning_rate * weight_decay) * p - learning_rate * (g + l2 * p)


@quiet
def momentum_update(
    parameter: Array,
    gradient: ArrayLike,
    velocity: Array,
    learning_rate: float,
    *,
    momentum: float = 0.9,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    l2: float = 0.0,
) -> None:
    """Set v to mu v + (1 - dampening) g, p to p - eta v or p - eta (g + mu v). Polyak, 1964; Sutskever et al., 2013."""
    p = wide(parameter)
    g = wide(gradient) + l2 * p
    velocity[...] = momentum * wide(velocity) + (1 - dampening) * g
    step = g + momentum * velocity if nesterov else velocity
    parameter[...] = (1 - learning_rate * weight_decay) * p - learning_rate * step


@quiet
def adagrad_update(
    parameter: Array,
    gradient: ArrayLike,
    square_sum: Array,
    learning_rate: float,
    *,
    epsilon: float = 1e-10,
    weight_decay: float = 0.0,
    l2: float = 0.0,
) -> None:
    """Set s to s + g^2, p to p - eta g / (sqrt s + eps). Duchi, Hazan and Singer, 2011."""
    p = wide(parameter)
    g = wide(gradient) + l2 * p
    square_sum[...] = wide(square_sum) + g**2
    parameter[...] = (1 - learning_rate * weight_decay) * p - learning_rate * g / (np.sqrt(square_sum) + epsilon)


@quiet
def rmsprop_update(
    parameter: Array,
    gradient: ArrayLike,
    square: Array,
    velocity: Array,
    learning_rate: float,
    *,
    rho: float = 0.99,
    momentum: float = 0.0,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    l2: float = 0.0,
) -> None:
    """Set s to rho s + (1 - rho) g^2, v to mu v + g / (sqrt s + eps), p to p - eta v. Hinton, 2012."""
    p = wide(parameter)
    g = wide(gradient) + l2 * p
    square[...] = rho * wide(square) + (1 - rho) * g**2
    velocity[...] = momentum * wide(velocity) + g / (np.sqrt(square) + epsilon)
    parameter[...] = (1 - learning_rate * weight_decay) * p - learning_rate * velocity


@quiet
def adam_update(
    parameter: Array,
    gradient: ArrayLike,
    mean: Array,
    square: Array,
    learning_rate: float,
    step: int,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    l2: float = 0.0,
) -> None:
    """Adam with bias correction. Kingma and Ba, 2015; decoupled decay: Loshchilov and Hutter, 2019."""
    p = wide(parameter)
    g = wide(gradient) + l2 * p
    mean[...] = beta1 * wide(mean) + (1 - beta1) * g
    square[...] = beta2 * wide(square) + (1 - beta2) * g**2
    unbiased = np.sqrt(square / (1 - beta2**step))
    parameter[...] = (1 - learning_rate * weight_decay) * p - learning_rate * mean / (1 - beta1**step) / (
        unbiased + epsilon
    )


@quiet
def rprop_update(
    parameter: Array,
    gradient: ArrayLike,
    before: Array,
    size: Array,
    learning_rate: float,
    *,
    smallest: float = 1e-6,
    largest: float = 50.0,
) -> None:
    """Sizes times 1.2 or 1/2 by the sign of the gradient, and a rest after it turned. Riedmiller and Braun, 1993."""
    p, g = wide(parameter), wide(gradient)
    agree = np.sign(g) * np.sign(wide(before))
    grown = np.where(size > 0, wide(size), learning_rate)
    grown = np.where(agree > 0, np.minimum(grown * 1.2, largest), grown)
    size[...] = np.where(agree < 0, np.maximum(grown * 0.5, smallest), grown)
    before[...] = np.where(agree < 0, 0.0, g)
    parameter[...] = p - np.sign(before) * size
