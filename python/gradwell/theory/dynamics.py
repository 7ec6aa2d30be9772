"""One neuron in time: its equilibria, and the gradient of where it ends.

The state x follows x' = (1 - eps) x + eps (sigma(w x + b) + w_in u), sigma the logistic function and 0 < eps <= 1 the
share of the state renewed in a step. With w > 4 there are biases with two stable states, and x(0) ends in one or the
other: between them the final state has a cliff, and its gradient there is a product of T equal factors above 1.

K. Doya (1993), Bifurcations of recurrent neural networks in gradient descent learning. R. Pascanu, T. Mikolov and
Y. Bengio (2013), On the difficulty of training recurrent neural networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, check_number, check_positive, real_array

Array = NDArray[np.float64]

WEIGHT: Final = 5.0
EPS, STEPS = 0.5, 100  # from 1e-4 beside the cliff the final state comes within 1e-3 of its limit
START, TARGET = 0.5, 0.855
_BLUE, _ORANGE = "#0072B2", "#D55E00"
_ROUNDING = 1e-12  # a multiplier this near 1 is that of a fold


@dataclass(frozen=True)
class Folds:
    """Where a stable and an unstable equilibrium meet and vanish, low x first: `x` and `b`, (2,) or (0,)."""

    x: Array
    b: Array


@dataclass(frozen=True)
class Equilibria:
    """The states `x` (count,) that stay as they are, low to high, and each one's `multiplier`: see `equilibria`."""

    w: float
    b: float
    eps: float
    x: Array
    multiplier: Array

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Whether a small deviation shrinks, |multiplier| < 1; at a fold it does so from one side only: False."""
        return np.abs(self.multiplier) < 1 - _ROUNDING

    def plot(self, axes: Any = None) -> Any:
        """Draw all equilibria of this weight by bias, mark the folds and the states of this bias; return the axes."""
        if axes is None:
            try:
                from matplotlib.figure import Figure
            except ImportError:
                raise ImportError('plots need matplotlib: pip install "gradwell[plot]"') from None
            axes = Figure(figsize=(7, 4), layout="constrained").subplots()
        found = folds(self.w)
        x = np.sort(np.concatenate([np.linspace(0.002, 0.998, 2001), found.x]))
        b, size = equilibrium_bias(x, self.w), np.abs(_multiplier(x, self.w, self.eps))
        axes.plot(np.where(size <= 1 + _ROUNDING, b, np.nan), x, color=_BLUE, label="stable")
        axes.plot(np.where(size >= 1 - _ROUNDING, b, np.nan), x, "--", color=_ORANGE, label="unstable")
        axes.plot(found.b, found.x, "s", color="black", markersize=5, label="fold")
        axes.plot(np.full(len(self.x), self.b), self.x, "o", color="black", fillstyle="none", label=f"b = {self.b:g}")
        axes.set(xlabel="bias b", ylabel="equilibrium x")
        axes.legend()
        return axes


@dataclass(frozen=True)
class FinalState:
    """The state after the last step, `x`, and its derivatives `dx_dw` and `dx_db`, in one shape."""

    x: Array
    dx_dw: Array
    dx_db: Array


@dataclass(frozen=True)
class CliffLoss:
    """The loss at each (w, b), and its gradient (dw, db), in one shape: see `cliff_loss`."""

    w: Array
    b: Array
    loss: Array
    dw: Array
    db: Array

    @property
    def norm(self) -> Array:
        """Norm of the gradient."""
        return np.hypot(self.dw, self.db)


@dataclass(frozen=True)
class Descent:
    """A path in (w, b), with the loss and the gradient's norm before clipping at each place: (updates + 1, ...)."""

    w: Array
    b: Array
    loss: Array
    norm: Array

    @property
    def moves(self) -> Array:
        """How far each update went in (w, b) (updates, ...)."""
        return np.hypot(np.diff(self.w, axis=0), np.diff(self.b, axis=0))


def equilibrium_bias(x: Any, w: float = WEIGHT) -> Array:
    """Return the bias that makes x an equilibrium: b = ln(x / (1 - x)) - w x, 0 < x < 1.

    Examples
    --------
    >>> equilibrium_bias(0.5).item()
    -2.5
    """
    states, w = _reals("equilibrium_bias", "x", x), check_number("equilibrium_bias", "w", w)
    if not ((states > 0) & (states < 1)).all():
        raise ValueError("[equilibrium_bias] x has values outside of (0, 1); needs states the logistic function takes")
    return np.asarray(np.log(states) - np.log1p(-states) - w * states)


def folds(w: float = WEIGHT) -> Folds:
    """Return both folds: x = (1 -+ sqrt(1 - 4 / w)) / 2, where w sigma' = 1, and their b = ln(x / (1 - x)) - w x.

    In z = w x + b they are at -+2 arcosh(sqrt(w) / 2), which is accurate for every w. There are none for w <= 4, where
    w sigma' nowhere exceeds 1 and every bias has one equilibrium: the arrays are empty.

    Examples
    --------
    >>> folds(5.0).b.round(4).tolist(), folds(4.0).b.tolist()
    ([-2.3444, -2.6556], [])
    """
    w = check_number("folds", "w", w)
    z = np.array([-2.0, 2.0]) * math.acosh(math.sqrt(w) / 2) if w > 4 else np.empty(0)
    x = _sigmoid(z)[0]
    return Folds(x, z - w * x)


def equilibria(b: float, w: float = WEIGHT, *, eps: float = EPS) -> Equilibria:
    """Return every x with x = sigma(w x + b), and the derivative of a step there, 1 - eps + eps w sigma'(w x + b).

    In z = ln(x / (1 - x)) they are the roots of z - w sigma(z) - b, found by bisection between the folds, where that is
    monotone. Near a fold they are as uncertain as the square root of rounding, 1e-8; elsewhere they are good to 1e-12.

    Parameters
    ----------
    b, w
        Bias and weight, any sign.
    eps
        Share of the state renewed in a step, above 0 and at most 1: it changes the multiplier, not the place.

    Returns
    -------
    Equilibria
        One state, or three between the folds; at a fold two, of which one is the fold itself.

    Raises
    ------
    ValueError
        An argument that is not finite, or eps out of range.

    Examples
    --------
    >>> at = equilibria(-2.5)
    >>> at.x.round(4).tolist(), at.stable.tolist()
    ([0.1448, 0.5, 0.8552], [True, False, True])
    """
    b, w = check_number("equilibria", "b", b), check_number("equilibria", "w", w)
    eps = check_positive("equilibria", "eps", eps, 1)

    def excess(z: float) -> float:
        return z - w * float(_sigmoid(np.array(z))[0]) - b

    turns = (w * folds(w).x + folds(w).b).tolist()
    edges = [min([b + min(w, 0.0), *turns]) - 1, *turns, max([b + max(w, 0.0), *turns]) + 1]
    values = [min(excess(edges[0]), 0.0), *map(excess, turns), max(excess(edges[-1]), 0.0)]
    rounding = 8 * np.finfo(float).eps * (abs(b) + abs(w))
    roots = [z for z, value in zip(turns, values[1:-1], strict=True) if abs(value) <= rounding]
    for i, (low, high) in enumerate(pairwise(edges)):
        if low not in roots and high not in roots and values[i] * values[i + 1] <= 0:
            roots.append(_bisect(excess, low, high))
    x = np.sort(_sigmoid(np.array(roots))[0])
    return Equilibria(w, b, eps, x, _multiplier(x, w, eps))


def basin_boundary(x0: float = START, w: float = WEIGHT) -> float:
    """Return the bias below which x0 ends in the low stable state, and above which it ends in the high one.

    It makes x0 the unstable equilibrium, b = ln(x0 / (1 - x0)) - w x0, whatever eps, and is no bifurcation: both stable
    states exist on either side. For an x0 that is not between the states of the folds, it is the nearer fold's bias.

    Raises ValueError where w is at most 4: there is one stable state.

    Examples
    --------
    >>> basin_boundary(0.5), basin_boundary(0.5, w=6)
    (-2.5, -3.0)
    """
    found, x0 = folds(w), check_number("basin_boundary", "x0", x0)
    if not len(found.x):
        raise ValueError(f"[basin_boundary] w is {w}; needs more than 4, below which there is one equilibrium")
    if found.x[0] < x0 < found.x[1]:
        return float(equilibrium_bias(x0, w))
    return float(found.b[0] if x0 <= found.x[0] else found.b[1])


def trajectory(
    x0: Any, w: Any, b: Any, *, steps: int = STEPS, eps: float = EPS, inputs: Any = None, input_weight: float = 1.0
) -> Array:
    """Return x(0) ... x(steps) of x' = (1 - eps) x + eps (sigma(w x + b) + w_in u), (steps + 1, ...).

    Parameters
    ----------
    x0, w, b
        First state, weight and bias: numbers, or arrays that broadcast to one shape.
    steps, eps
        How many steps, and the share of the state renewed in each.
    inputs, input_weight
        u (steps,), by default none, and w_in.

    Raises ValueError for values that are not finite, shapes that do not fit, and eps outside of (0, 1].

    Examples
    --------
    >>> trajectory(0.5, 5.0, [-2.51, -2.49])[-1].round(3).tolist()
    [0.142, 0.858]
    """
    (x, w, b), drive = _prepared("trajectory", steps, eps, inputs, input_weight, x0=x0, w=w, b=b)
    states = np.empty((steps + 1, *x.shape))
    states[0] = x
    for t in range(steps):
        states[t + 1] = (1 - eps) * states[t] + eps * (_sigmoid(w * states[t] + b)[0] + drive[t])
    return states


def forward_sensitivity(
    x0: Any, w: Any, b: Any, *, steps: int = STEPS, eps: float = EPS, inputs: Any = None, input_weight: float = 1.0
) -> FinalState:
    """Return x(T) and its derivatives s, carried along: s' = (1 - eps + eps w sigma') s + eps sigma' (x, 1).

    Arguments and errors are those of `trajectory`. Derivatives too large for float64 are infinite. Real-time recurrent
    learning (Williams and Zipser, 1989) of one neuron.

    Examples
    --------
    >>> at = forward_sensitivity(0.5, 5.0, -2.5, steps=100)
    >>> bool(np.isclose(at.dx_db, 1.125**100 - 1)), bool(np.isclose(at.dx_dw, at.dx_db / 2))
    (True, True)
    """
    (x, w, b), drive = _prepared("forward_sensitivity", steps, eps, inputs, input_weight, x0=x0, w=w, b=b)
    by_w, by_b = np.zeros(x.shape), np.zeros(x.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps):
            y, slope = _sigmoid(w * x + b)
            factor = 1 - eps + eps * w * slope
            by_w, by_b = factor * by_w + eps * slope * x, factor * by_b + eps * slope
            x = (1 - eps) * x + eps * (y + drive[t])
    return FinalState(x, by_w, by_b)


def backpropagation_through_time(
    x0: Any, w: Any, b: Any, *, steps: int = STEPS, eps: float = EPS, inputs: Any = None, input_weight: float = 1.0
) -> FinalState:
    """Return what `forward_sensitivity` does, by going back: dx(T)/dx(t) = dx(T)/dx(t+1) (1 - eps + eps w sigma'_t).

    Arguments and errors are those of `trajectory`, whose states are stored (Werbos, 1990).

    Examples
    --------
    >>> back, along = (way(0.5, 5.0, -2.4) for way in (backpropagation_through_time, forward_sensitivity))
    >>> bool(np.isclose(back.dx_db, along.dx_db, rtol=1e-12))
    True
    """
    (x, w, b), drive = _prepared("backpropagation_through_time", steps, eps, inputs, input_weight, x0=x0, w=w, b=b)
    states = trajectory(x, w, b, steps=steps, eps=eps, inputs=drive)
    upstream, by_w, by_b = np.ones(x.shape), np.zeros(x.shape), np.zeros(x.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for state in states[-2::-1]:
            through = upstream * _sigmoid(w * state + b)[1]
            by_w, by_b = by_w + eps * through * state, by_b + eps * through
            upstream = (1 - eps) * upstream + eps * w * through
    return FinalState(states[-1], by_w, by_b)


def cliff_loss(
    w: Any, b: Any, *, x0: Any = START, target: float = TARGET, steps: int = STEPS, eps: float = EPS
) -> CliffLoss:
    """Return (target - x(T))^2 without input, and its gradient; w, b, x0 broadcast, w[:, None] and b to a surface.

    Examples
    --------
    >>> cliff_loss(5.0, [-2.5001, -2.4999]).loss.round(3).tolist()
    [0.504, 0.0]
    """
    x0, w, b = _together("cliff_loss", x0=x0, w=w, b=b)
    end = forward_sensitivity(x0, w, b, steps=steps, eps=eps)
    error = check_number("cliff_loss", "target", target) - end.x
    return CliffLoss(w, b, error**2, -2 * error * end.dx_dw, -2 * error * end.dx_db)


def descend(
    w: Any, b: Any, *, learning_rate: float, updates: int, max_norm: float | None = None, **settings: Any
) -> Descent:
    """Descend `cliff_loss` from (w, b) by its gradient g, or by g max_norm / |g| where |g| exceeds `max_norm`.

    Clipping by norm is algorithm 1 of Pascanu, Mikolov and Bengio (2013).

    Parameters
    ----------
    w, b
        Where to start: numbers, or arrays of many starts.
    learning_rate, updates
        Size and number of the updates.
    max_norm
        What to clip the norm of (dL/dw, dL/db) to; by default it is not clipped.
    settings
        x0, target, steps and eps of `cliff_loss`.

    Raises ValueError where an argument is out of range or a gradient not finite.

    Examples
    --------
    >>> w = np.linspace(5.1, 6.0, 20)
    >>> free, held = (descend(w, -w / 2, learning_rate=0.2, updates=999, max_norm=c, steps=50) for c in (None, 0.3))
    >>> bool((free.moves.max(0) > 1).mean() > 0.4), bool(held.moves.max() < 0.061), bool((held.loss[-1] < 1e-4).all())
    (True, True, True)
    """
    rate = check_positive("descend", "learning_rate", learning_rate)
    limit = math.inf if max_norm is None else check_positive("descend", "max_norm", max_norm)
    check_count("descend", "updates", updates)
    w, b = _together("descend", w=w, b=b)
    path = []
    for update in range(updates + 1):
        at = cliff_loss(w, b, **settings)
        if not np.isfinite(at.norm).all():
            raise ValueError(f"[descend] the gradient at update {update} is not finite; needs fewer steps")
        path.append((w, b, at.loss, at.norm))
        size = rate * np.minimum(1.0, limit / np.maximum(at.norm, np.finfo(float).tiny))
        w, b = w - size * at.dw, b - size * at.db
    return Descent(*(np.array(values) for values in zip(*path, strict=True)))


def _sigmoid(z: Array) -> tuple[Array, Array]:
    """Return sigma(z) and sigma'(z), accurate in both tails."""
    tail = np.exp(-np.abs(z))
    return np.where(z < 0, tail, 1.0) / (1 + tail), tail / (1 + tail) ** 2


def _multiplier(x: Array, w: float, eps: float) -> Array:
    return 1 + eps * (w * x * (1 - x) - 1)  # at an equilibrium sigma' is x (1 - x)


def _bisect(f: Callable[[float], float], low: float, high: float) -> float:
    """Return where f changes its sign, to the last bit."""
    rising = f(low) <= f(high)
    while low < (middle := (low + high) / 2) < high:
        if not (value := f(middle)):
            return middle
        low, high = (middle, high) if (value < 0) == rising else (low, middle)
    return high


def _reals(operation: str, argument: str, value: Any) -> Array:
    array = real_array(operation, argument, value).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"[{operation}] {argument} has values that are not finite; needs finite numbers")
    return array


def _together(operation: str, **values: Any) -> list[Array]:
    """Return the values as float64 arrays of one shape."""
    arrays = [_reals(operation, name, value) for name, value in values.items()]
    try:
        return [np.array(array) for array in np.broadcast_arrays(*arrays)]
    except ValueError:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in zip(values, arrays, strict=True))
        raise ValueError(f"[{operation}] shapes are {shapes}; needs ones that broadcast together") from None


def _prepared(
    operation: str, steps: int, eps: float, inputs: Any, input_weight: float, **values: Any
) -> tuple[list[Array], Array]:
    """Check what all trajectories take; return x0, w, b in one shape, and w_in u of every step."""
    check_count(operation, "steps", steps)
    check_positive(operation, "eps", eps, 1)
    drive = np.zeros(steps) if inputs is None else _reals(operation, "inputs", inputs)
    if drive.shape != (steps,):
        raise ValueError(f"[{operation}] inputs has shape {drive.shape}; needs ({steps},), one a step")
    return _together(operation, **values), drive * check_number(operation, "input_weight", input_weight)
