"""What a watch holds: the record so far, what went wrong, and the doctor's opinion."""

from __future__ import annotations

import time
import warnings
from typing import Any, TypeVar

import numpy as np

from gradwell.checks import check_count
from gradwell.doctor.case import Case
from gradwell.doctor.diagnosis import Diagnosis
from gradwell.doctor.examination import diagnose_case
from gradwell.nonfinite import NonFiniteError
from gradwell.statistics import GradientRecord
from gradwell.watch.measurements import Step, chunk_of, record_of
from gradwell.watch.pace import Pace
from gradwell.watch.targets import Targets

AT_ONCE = 64  # steps that wait to be put into the record
Self = TypeVar("Self", bound="Watch")


class WatchedNonFiniteError(NonFiniteError):
    """Where the first value came from that was not finite, in a model that is only watched.

    Examples
    --------
    >>> WatchedNonFiniteError(3, "forward", "conv1", "conv", {})
    WatchedNonFiniteError('[watch] step 3: first non-finite value in the forward pass of layer conv1, operation conv')
    """

    def _text(self) -> str:
        if self.phase == "input":
            return f"[watch] step {self.step}: the samples have values that are not finite"
        where = f" of layer {self.layer}" if self.layer is not None else ""
        first = f"[watch] step {self.step}: first non-finite value in the {self.phase} pass{where}"
        return f"{first}, operation {self.operation}"


class Watch:
    """Measures a model of another framework while it trains, and changes nothing in it.

    A context manager: when it ends, the model is as it was. What goes wrong in measuring is kept in `faults` and told
    once as a warning; it never reaches the training.
    """

    def __init__(self, every: int | str):
        if every != "auto":
            check_count("watch", "every", every)
        self.pace = Pace(every)
        self.step = 0
        """Number of training steps so far."""
        self.faults: list[Exception] = []
        """What went wrong while measuring."""
        self.origin: WatchedNonFiniteError | None = None
        """Where the first value came from that was not finite."""
        self.losses: list[float] = []
        self._stages: list[tuple[str, str]] = []
        self._parameters: list[tuple[str, str]] = []
        self._targets = Targets()
        self._closed = False
        self._told: set[str] = set()
        self._begun = time.perf_counter()
        self._done: list[tuple[int, Step]] = []
        self._record: GradientRecord | None = None

    @property
    def recording(self) -> bool:
        """Whether this step is measured."""
        return self.pace.due(self.step)

    @property
    def record(self) -> GradientRecord:
        """The gradient record of the steps so far."""
        if not self._done:
            return record_of([], []) if self._record is None else self._record
        if self._record is None:
            self._record = record_of(self._stages, self._parameters)
        names = [name for name, _ in self._stages]
        self._record.append(chunk_of(self._done, names, [name for name, _ in self._parameters]))
        self._done = []
        return self._record

    def loss(self, value: Any, targets: Any = None) -> None:
        """Note the loss of the step, a number or an array of one; rules on the loss need it.

        With class numbers as `targets`, a cross-entropy is compared with that of an answer that looks at no sample.
        """
        try:
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
            if array.size != 1 or array.dtype.kind not in "fiu":
                raise TypeError(f"[watch] loss has shape {array.shape} and dtype {array.dtype}; needs one real number")
            self.losses.append(float(array.reshape(())))
            if targets is not None:
                self._targets.add(targets)
        except Exception as error:
            self._failed(error)

    def diagnose(self) -> Diagnosis:
        """Return the doctor's verdict on the steps so far."""
        return diagnose_case(self._case())

    def _case(self) -> Case:
        return Case(self.record, losses=np.array(self.losses), fault=self.origin)

    def close(self) -> None:
        """Stop watching."""
        self._closed = True

    def __enter__(self: Self) -> Self:
        if self._closed:
            raise ValueError("[watch] the watch is closed; needs a new one for the model to be watched again")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end_step(self, measured: Step | None) -> None:
        if measured is not None and measured.keys:
            self._done.append((self.step, measured))
        if len(self._done) >= AT_ONCE:
            _ = self.record  # takes them in
        now = time.perf_counter()
        self.pace.took(self.step, now - self._begun)
        self._begun = now
        self.step += 1

    def _failed(self, error: Exception) -> None:
        if not self.faults:
            text = f"a measurement failed and was left out: {type(error).__name__}: {error}"
            warnings.warn(f"[watch] {text}", RuntimeWarning, stacklevel=3)
        self.faults.append(error)

    def _tell(self, text: str) -> None:
        """Say once what is not measured, and why."""
        if text not in self._told:
            self._told.add(text)
            self.faults.append(RuntimeError(text))
            warnings.warn(f"[watch] {text}", RuntimeWarning, stacklevel=3)

    def _blame(self, phase: str, layer: str | None, operation: str) -> None:
        if self.origin is None:
            self.origin = WatchedNonFiniteError(self.step, phase, layer, operation, {})
