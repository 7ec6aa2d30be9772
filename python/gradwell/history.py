"""What a fit leaves behind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.clipping import ClipLedger
from gradwell.facts import Facts
from gradwell.nonfinite import NonFiniteError
from gradwell.parts import array_part, list_part, part
from gradwell.statistics import GradientRecord

Array = NDArray[Any]


class History:
    """Losses, metrics and the gradient record of one `fit`.

    Attributes
    ----------
    gradients
        The gradient record; empty with ``stats=False``.
    clipping
        The ledger of what clipping did at every step; empty without ``clip``.
    facts
        What the fit was given, as a diagnosis needs it (`gradwell.facts`).
    fault
        The error that names where a non-finite value came from, if one stopped the fit.
    stopped
        Why the fit ended: "finished", "interrupted", that max_steps was reached, or the reason a callback or a
        non-finite value gave.
    first_step
        Number of the first step: above 0 where the fit resumed another.
    skipped
        Steps whose update was left out because a value was not finite.
    seconds
        Time spent, validation included.
    recording_seconds
        How much longer recorded steps took than as many plain ones; NaN where there were not both.
    """

    def __init__(self, gradients: GradientRecord, parameters: Sequence[str] = ()):
        self.gradients = gradients
        self.clipping = ClipLedger(parameters)
        self.facts: Facts | None = None
        self.fault: NonFiniteError | None = None
        self.stopped = "finished"
        self.first_step = 0
        self.skipped: list[int] = []
        self.seconds = 0.0
        self.recording_seconds = math.nan
        self._step_losses: list[Array] = []
        self._epoch_values: dict[str, list[float]] = {}

    @property
    def loss(self) -> Array:
        """Mean training loss of each epoch, measured while the weights changed (epochs,)."""
        return np.array(self._epoch_values.get("loss", []))

    @property
    def step_loss(self) -> Array:
        """Loss of each step's batch before its update (steps,)."""
        return np.concatenate(self._step_losses) if self._step_losses else np.zeros(0)

    @property
    def metrics(self) -> dict[str, Array]:
        """Each metric by epoch: "accuracy" for classes; with validation, "validation_" ones too."""
        return {name: np.array(v) for name, v in self._epoch_values.items() if name not in ("loss", "regularization")}

    @property
    def regularization(self) -> Array:
        """What the regularizers add to the loss, after each epoch (epochs,); empty where there are none."""
        return np.array(self._epoch_values.get("regularization", []))

    @property
    def epochs(self) -> int:
        """Number of epochs finished."""
        return len(self._epoch_values.get("loss", []))

    def add_steps(self, losses: Array) -> None:
        """Append the losses of a run of steps."""
        self._step_losses.append(losses)

    def add_epoch(self, values: dict[str, float]) -> None:
        """Append the figures of one epoch."""
        for name, value in values.items():
            self._epoch_values.setdefault(name, []).append(value)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as lists and numbers, ready for JSON; NaN is None."""
        return {
            "loss": _plain(self.loss),
            "step_loss": _plain(self.step_loss),
            "metrics": {name: _plain(values) for name, values in self.metrics.items()},
            "stopped": self.stopped,
            "skipped": self.skipped,
            "seconds": self.seconds,
            **({"regularization": _plain(self.regularization)} if len(self.regularization) else {}),
            **({"clipping": self.clipping.to_dict()} if len(self.clipping) else {}),
            "gradients": self.gradients.to_dict(),
        }

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what is said in words, ready for JSON, and every number as arrays by name: see `from_arrays`."""
        pieces = {"gradients": self.gradients, "facts": self.facts, "fault": self.fault}
        taken = {name: (None, {}) if piece is None else piece.to_arrays() for name, piece in pieces.items()}
        about = {
            "stopped": self.stopped,
            "seconds": self.seconds,
            "recording_seconds": None if math.isnan(self.recording_seconds) else self.recording_seconds,
            "first_step": self.first_step,
            "parameters": self.clipping.parameters,
            "epochs": list(self._epoch_values),
            **{name: description for name, (description, _) in taken.items()},
        }
        arrays = {
            "step_loss": np.asarray(self.step_loss, np.float64),
            "skipped": np.array(self.skipped, np.int64),
            **{f"epochs/{name}": np.array(values, np.float64) for name, values in self._epoch_values.items()},
            **{f"clipping/{name}": array for name, array in self.clipping.to_arrays().items()},
        }
        for name, (_, inside) in taken.items():
            arrays |= {f"{name}/{key}": array for key, array in inside.items()}
        return about, arrays

    @classmethod
    def from_arrays(cls, description: Any, arrays: Mapping[str, Array]) -> History:
        """Return the history that `to_arrays` took apart; ValueError where the parts do not fit one another."""
        history = cls(GradientRecord.from_arrays(part(description, "gradients", dict), _below("gradients", arrays)))
        parameters = list_part(description, "parameters", str)
        history.clipping = ClipLedger.from_arrays(parameters, _below("clipping", arrays))
        if part(description, "facts", dict, None) is not None:
            history.facts = Facts.from_arrays(description["facts"], _below("facts", arrays))
            if [stage[0] for stage in history.facts.stages] != history.gradients.layers:
                raise ValueError("facts and gradients are of different layers")
        if part(description, "fault", dict, None) is not None:
            history.fault = NonFiniteError.from_arrays(description["fault"], _below("fault", arrays))
            history.fault.history = history
        history.stopped = part(description, "stopped", str)
        history.seconds = float(part(description, "seconds", float))
        recording = part(description, "recording_seconds", float, None)
        history.recording_seconds = math.nan if recording is None else recording
        history.first_step = part(description, "first_step", int)
        history.skipped = array_part(arrays, "skipped", "int64", (None,)).tolist()
        losses = array_part(arrays, "step_loss", "float64", (None,))
        history._step_losses = [losses] if len(losses) else []
        for name in list_part(description, "epochs", str):
            history._epoch_values[name] = array_part(arrays, f"epochs/{name}", "float64", (None,)).tolist()
        return history

    def __repr__(self) -> str:
        last = {name: round(values[-1], 4) for name, values in self._epoch_values.items() if values}
        return f"<History {self.epochs} epochs, {len(self.step_loss)} steps, {last}, {self.stopped}>"


def _below(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(f"{prefix}/"): a for name, a in arrays.items() if name.startswith(f"{prefix}/")}


def _plain(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
