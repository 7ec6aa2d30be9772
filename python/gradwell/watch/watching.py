"""What a watch holds: the record so far, what went wrong, and the doctor's opinion."""

from __future__ import annotations

import time
import warnings
from typing import Any

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
        self.origin: NonFiniteError | None = None
        """Where the first value came from that was not finite."""
        self.losses: list[float] = []
        self._stages: list[tuple[str, str]] = []
        self._parameters: list[tuple[str, str]] = []
        self._targets = Targets()
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
        self.losses.append(float(value.detach() if hasattr(value, "detach") else value))
        if targets is not None:
            self._targets.add(targets)

    def diagnose(self) -> Diagnosis:
        """Return the doctor's verdict on the steps so far."""
        return diagnose_case(self._case())

    def _case(self) -> Case:
        return Case(self.record, losses=np.array(self.losses), fault=self.origin)

    def close(self) -> None:
        """Stop watching."""

    def __enter__(self) -> Watch:
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

    def _blame(self, phase: str, layer: str | None, operation: str) -> None:
        if self.origin is None:
            self.origin = NonFiniteError(self.step, phase, layer, operation, {})
