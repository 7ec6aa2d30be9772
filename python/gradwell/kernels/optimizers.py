"""Rules that turn a gradient into a step."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradwell import _core
from gradwell.checks import check_count, check_share

Array = NDArray[Any]


def sgd_update(
    parameter: Array, gradient: Array, learning_rate: float, *, weight_decay: float = 0.0, l2: float = 0.0
) -> None:
    """Update `parameter` in place: p <- (1 - learning_rate weight_decay) p - learning_rate (g + l2 p).

    Plain stochastic gradient descent (Robbins and Monro, 1951) with decoupled weight decay (Loshchilov and Hutter,
    2019) and the gradient of l2/2 |p|^2. `parameter` must be writable and C-contiguous, `gradient` of its shape.

    Examples
    --------
    >>> p = np.array([1.0, 2.0])
    >>> sgd_update(p, np.array([1.0, 0.0]), 0.5)
    >>> p
    array([0.5, 2. ])
    """
    rule = {"name": "sgd", "learning_rate": learning_rate, "weight_decay": weight_decay, "l2": l2}
    _core.optimizer_update("sgd_update", parameter, gradient, [], rule, 1)


def momentum_update(
    parameter: Array,
    gradient: Array,
    velocity: Array,
    learning_rate: float,
    *,
    momentum: float = 0.9,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    l2: float = 0.0,
) -> None:
    """Update `parameter` and `velocity` in place: v <- momentum v + (1 - dampening) g, p <- p - learning_rate v.

    With `nesterov` p moves by g + momentum v instead (Polyak, 1964; Sutskever et al., 2013).

    Examples
    --------
    >>> p, v = np.array([1.0]), np.array([2.0])
    >>> momentum_update(p, np.array([1.0]), v, 0.1)
    >>> p, v
    (array([0.72]), array([2.8]))
    """
    rule = {
        "name": "nesterov" if nesterov else "momentum",
        "learning_rate": learning_rate,
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": weight_decay,
        "l2": l2,
    }
    _core.optimizer_update("momentum_update", parameter, gradient, [velocity], rule, 1)


def adagrad_update(
    parameter: Array,
    gradient: Array,
    square_sum: Array,
    learning_rate: float,
    *,
    epsilon: float = 1e-10,
    weight_decay: float = 0.0,
    l2: float = 0.0,
) -> None:
    """Update in place: s <- s + g^2, p <- p - learning_rate g / (sqrt(s) + epsilon) (Duchi, Hazan, Singer, 2011).

    Examples
    --------
    >>> p, s = np.array([1.0]), np.array([0.0])
    >>> adagrad_update(p, np.array([2.0]), s, 0.1)
    >>> p, s
    (array([0.9]), array([4.]))
    """
    rule = {
        "name": "adagrad",
        "learning_rate": learning_rate,
        "epsilon": epsilon,
        "weight_decay": weight_decay,
        "l2": l2,
    }
    _core.optimizer_update("adagrad_update", parameter, gradient, [square_sum], rule, 1)


def rmsprop_update(
    parameter: Array,
    gradient: Array,
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
    """Update in place: s <- rho s + (1 - rho) g^2, v <- momentum v + g / (sqrt(s) + epsilon), p <- p - learning_rate v.

    Hinton (2012), lecture 6e.

    Examples
    --------
    >>> p, s, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> rmsprop_update(p, np.array([2.0]), s, v, 0.1, rho=0.75)
    >>> p.round(6), s, v.round(6)
    (array([0.8]), array([1.]), array([2.]))
    """
    rule = {
        "name": "rmsprop",
        "learning_rate": learning_rate,
        "decay": rho,
        "momentum": momentum,
        "epsilon": epsilon,
        "weight_decay": weight_decay,
        "l2": l2,
    }
    _core.optimizer_update("rmsprop_update", parameter, gradient, [square, velocity], rule, 1)


def adam_update(
    parameter: Array,
    gradient: Array,
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
    """Update in place by Adam (Kingma, Ba, 2015); with `weight_decay` AdamW (Loshchilov, Hutter, 2019).

    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2,
    p <- p - learning_rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon), t = `step` counted from 1.

    Examples
    --------
    >>> p, m, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam_update(p, np.array([2.0]), m, v, 0.1, 1)
    >>> p.round(6)
    array([0.9])
    """
    for name, value in (("beta1", beta1), ("beta2", beta2)):
        check_share("adam_update", name, value)
    check_count("adam_update", "step", step)
    rule = {
        "name": "adam",
        "learning_rate": learning_rate,
        "momentum": beta1,
        "decay": beta2,
        "epsilon": epsilon,
        "weight_decay": weight_decay,
        "l2": l2,
    }
    _core.optimizer_update("adam_update", parameter, gradient, [mean, square], rule, step)


def rprop_update(
    parameter: Array,
    gradient: Array,
    before: Array,
    size: Array,
    learning_rate: float,
    *,
    smallest: float = 1e-6,
    largest: float = 50.0,
) -> None:
    """Update in place by the gradient's sign alone, each parameter with its own step size (Riedmiller, Braun, 1993).

    The size grows by 1.2 while the sign stays and halves when it turns; a parameter whose sign turned rests for this
    step. `before` is the gradient of the step before (zeros at first), `size` the step sizes (zeros at first: they
    start at `learning_rate`).

    Examples
    --------
    >>> p, before, size = np.array([1.0]), np.array([1e-30]), np.array([0.5])
    >>> rprop_update(p, np.array([1e-25]), before, size, 0.1)
    >>> p, size
    (array([0.4]), array([0.6]))
    """
    rule = {"name": "rprop", "learning_rate": learning_rate, "smallest": smallest, "largest": largest}
    _core.optimizer_update("rprop_update", parameter, gradient, [before, size], rule, 1)
