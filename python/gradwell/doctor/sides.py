"""One run as a comparison reads it: record, losses with their step numbers, what it was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.facts import Facts
from gradwell.history import History
from gradwell.statistics import GradientRecord

Array = NDArray[Any]


@dataclass(frozen=True)
class Side:
    """A run.

    Attributes
    ----------
    record
        The gradient record.
    losses, loss_steps
        Loss of each step, and the steps' numbers; empty where there was no training.
    epochs
        Loss and metrics by epoch.
    facts
        What the run was given; None where that is not known.
    """

    record: GradientRecord
    losses: Array = field(default_factory=lambda: np.zeros(0))
    loss_steps: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    epochs: dict[str, Array] = field(default_factory=dict)
    facts: Facts | None = None

    @classmethod
    def of(cls, what: Any, operation: str, argument: str) -> Side:
        """Read a `History`, a watch or a `GradientRecord`; TypeError for something else."""
        if isinstance(what, History):
            losses = what.step_loss
            epochs = {"loss": what.loss, **what.metrics} if what.epochs else {}
            return cls(what.gradients, losses, _numbers(what, len(losses)), epochs, what.facts)
        if isinstance(what, GradientRecord):
            if what.loss is None or len(what) != 1:
                return cls(what)
            return cls(what, np.array([what.loss]), np.asarray(what.steps))
        record = getattr(what, "record", None)
        if not isinstance(record, GradientRecord):
            kinds = "a History, a watch or a GradientRecord"
            raise TypeError(f"[{operation}] {argument} is of type {type(what).__name__}; needs {kinds}")
        losses = np.asarray(getattr(what, "losses", ()), np.float64)
        return cls(record, losses, np.arange(len(losses)))


def _numbers(history: History, count: int) -> Array:
    """Return the numbers of the steps that have a loss: those left out have none."""
    begin = history.first_step
    numbers = np.arange(begin, begin + count + len(history.skipped))
    return numbers[~np.isin(numbers, history.skipped)][:count]
