"""The error that names where a NaN or an infinity came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.parts import array_part, list_part, part
from gradwell.statistics import QUANTITIES

Array = NDArray[Any]


class NonFiniteError(ArithmeticError):
    """A training step made a NaN or an infinity; its update was not applied.

    The step's batch was run again layer by layer to find the first operation that made a non-finite value out of
    finite ones.

    Attributes
    ----------
    step
        Number of the step.
    phase
        "input", "forward", "loss", "backward" or "update".
    layer
        Name of the layer, or None where the values came from outside.
    operation
        Name of the kernel.
    values
        For each array that went in or came out, its statistics by name.
    """

    def __init__(
        self, step: int, phase: str, layer: str | None, operation: str, values: Mapping[str, tuple[float, ...]]
    ):
        self.step = step
        self.phase = phase
        self.layer = layer
        self.operation = operation
        self.values = {name: dict(zip(QUANTITIES, numbers, strict=True)) for name, numbers in values.items()}
        self.history: Any = None
        """What had been recorded before, set by `fit`."""
        super().__init__(self._text())

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make the error again: it may have to come back from another process."""
        numbers = {name: tuple(statistics.values()) for name, statistics in self.values.items()}
        return type(self), (self.step, self.phase, self.layer, self.operation, numbers), {"history": self.history}

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what the error says, ready for JSON, and its statistics as one array: see `from_arrays`."""
        about = {"step": self.step, "phase": self.phase, "layer": self.layer, "operation": self.operation}
        numbers = [[statistics[q] for q in QUANTITIES] for statistics in self.values.values()]
        table = np.array(numbers, np.float64).reshape(len(numbers), len(QUANTITIES))
        return {**about, "values": list(self.values)}, {"statistics": table}

    @classmethod
    def from_arrays(cls, description: Any, arrays: Mapping[str, Array]) -> NonFiniteError:
        """Return the error that `to_arrays` took apart; ValueError where the parts do not fit one another."""
        names = list_part(description, "values", str)
        table = array_part(arrays, "statistics", "float64", (len(names), len(QUANTITIES)))
        if not np.isfinite(table[:, [QUANTITIES.index("nans"), QUANTITIES.index("infs")]]).all():
            raise ValueError("statistics have no number of NaNs and infinities")
        return cls(
            part(description, "step", int),
            part(description, "phase", str),
            part(description, "layer", str, None),
            part(description, "operation", str),
            {name: tuple(row) for name, row in zip(names, table.tolist(), strict=True)},
        )

    def _text(self) -> str:
        where = f" in layer {self.layer}" if self.layer is not None else ""
        parts = "; ".join(f"{name} {_described(s)}" for name, s in self.values.items())
        return (
            f"[fit] step {self.step}: first non-finite value in the {self.phase} pass{where}, operation "
            f"{self.operation}: {parts}. The update was not applied."
        )


def _described(statistics: Mapping[str, float]) -> str:
    nans, infs = int(statistics["nans"]), int(statistics["infs"])
    bad = [f"{n} {what}" for n, what in ((nans, "NaN"), (infs, "Inf")) if n]
    return f"largest {statistics['largest']:.3g}" + (f" with {' and '.join(bad)}" if bad else "")
