"""The loss of where the neuron ends, its wall, and descents beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwell.checks import check_count, check_number, check_positive
from gradwell.theory.dynamics.neuron import EPS, START, STEPS, TARGET, Array, together
from gradwell.theory.dynamics.trajectories import forward_sensitivity


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


def cliff_loss(
    w: Any, b: Any, *, x0: Any = START, target: float = TARGET, steps: int = STEPS, eps: float = EPS
) -> CliffLoss:
    """Return (target - x(T))^2 without input, and its gradient; w, b, x0 broadcast, w[:, None] and b to a surface.

    Examples
    --------
    >>> cliff_loss(5.0, [-2.5001, -2.4999]).loss.round(3).tolist()
    [0.504, 0.0]
    """
    x0, w, b = together("cliff_loss", x0=x0, w=w, b=b)
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
    w, b = together("descend", w=w, b=b)
    path = []
    for update in range(updates + 1):
        at = cliff_loss(w, b, **settings)
        if not np.isfinite(at.norm).all():
            raise ValueError(f"[descend] the gradient at update {update} is not finite; needs fewer steps")
        path.append((w, b, at.loss, at.norm))
        size = rate * np.minimum(1.0, limit / np.maximum(at.norm, np.finfo(float).tiny))
        w, b = w - size * at.dw, b - size * at.db
    return Descent(*(np.array(values) for values in zip(*path, strict=True)))
