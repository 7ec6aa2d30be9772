"""Where the neuron goes, and the derivative of where it ends, carried along or by going back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwell.checks import check_count, check_number, check_positive
from gradwell.theory.dynamics.neuron import EPS, STEPS, Array, reals, sigmoid, together


@dataclass(frozen=True)
class FinalState:
    """The state after the last step, `x`, and its derivatives `dx_dw` and `dx_db`, in one shape."""

    x: Array
    dx_dw: Array
    dx_db: Array


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
        states[t + 1] = (1 - eps) * states[t] + eps * (sigmoid(w * states[t] + b)[0] + drive[t])
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
            y, slope = sigmoid(w * x + b)
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
            through = upstream * sigmoid(w * state + b)[1]
            by_w, by_b = by_w + eps * through * state, by_b + eps * through
            upstream = (1 - eps) * upstream + eps * w * through
    return FinalState(states[-1], by_w, by_b)


def _prepared(
    operation: str, steps: int, eps: float, inputs: Any, input_weight: float, **values: Any
) -> tuple[list[Array], Array]:
    """Check what all trajectories take; return x0, w, b in one shape, and w_in u of every step."""
    check_count(operation, "steps", steps)
    check_positive(operation, "eps", eps, 1)
    drive = np.zeros(steps) if inputs is None else reals(operation, "inputs", inputs)
    if drive.shape != (steps,):
        raise ValueError(f"[{operation}] inputs has shape {drive.shape}; needs ({steps},), one a step")
    return together(operation, **values), drive * check_number(operation, "input_weight", input_weight)
