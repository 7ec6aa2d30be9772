"""The states that the neuron keeps, whether they are stable, and where they meet and vanish."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_number, check_positive
from gradwell.theory.dynamics.neuron import EPS, START, WEIGHT, Array, reals, sigmoid

_BLUE, _ORANGE = "#0072B2", "#D55E00"
_ROUNDING: Final = 1e-12  # a multiplier this near 1 is that of a fold


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


def equilibrium_bias(x: Any, w: float = WEIGHT) -> Array:
    """Return the bias that makes x an equilibrium: b = ln(x / (1 - x)) - w x, 0 < x < 1.

    Examples
    --------
    >>> equilibrium_bias(0.5).item()
    -2.5
    """
    states, w = reals("equilibrium_bias", "x", x), check_number("equilibrium_bias", "w", w)
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
    x = sigmoid(z)[0]
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
        return z - w * float(sigmoid(np.array(z))[0]) - b

    turns = (w * folds(w).x + folds(w).b).tolist()
    edges = [min([b + min(w, 0.0), *turns]) - 1, *turns, max([b + max(w, 0.0), *turns]) + 1]
    values = [min(excess(edges[0]), 0.0), *map(excess, turns), max(excess(edges[-1]), 0.0)]
    rounding = 8 * np.finfo(float).eps * (abs(b) + abs(w))
    roots = [z for z, value in zip(turns, values[1:-1], strict=True) if abs(value) <= rounding]
    for i, (low, high) in enumerate(pairwise(edges)):
        if low not in roots and high not in roots and values[i] * values[i + 1] <= 0:
            roots.append(_bisect(excess, low, high))
    x = np.sort(sigmoid(np.array(roots))[0])
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
