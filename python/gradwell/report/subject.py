"""What a page is about, whatever it was given: a record, a diagnosis, and what is known of the training."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.clipping import ClipLedger
from gradwell.doctor.diagnosis import Diagnosis
from gradwell.doctor.examination import diagnose
from gradwell.doctor.treatment import Treatment
from gradwell.facts import Facts
from gradwell.history import History
from gradwell.network import Network
from gradwell.nonfinite import NonFiniteError
from gradwell.statistics import GradientRecord
from gradwell.watch.watching import Watch

Array = NDArray[Any]


@dataclass(frozen=True)
class Subject:
    """What a page is about."""

    record: GradientRecord
    diagnosis: Diagnosis
    losses: Array = field(default_factory=lambda: np.zeros(0))
    """Of every training step."""
    metrics: dict[str, Array] = field(default_factory=dict)
    """By epoch."""
    clipping: ClipLedger | None = None
    facts: Facts | None = None
    steps: int | None = None
    """How many steps were trained; None where that is not known."""
    seconds: float | None = None
    recording_seconds: float = math.nan
    """Of them, for recording; NaN where that was not measured."""
    stopped: str | None = None
    skipped: tuple[int, ...] = ()
    faults: tuple[str, ...] = ()
    """What went wrong while measuring."""
    network: Network | None = None
    treatment: Treatment | None = None


def subject_of(what: Any, network: Any = None, treatment: Any = None) -> Subject:
    """Return the subject of a page; raise `TypeError` or `ValueError` for what makes none."""
    if network is not None and not isinstance(network, Network):
        raise TypeError(f"[report] network is of type {type(network).__name__}; needs a gradwell.Network")
    if treatment is not None and not isinstance(treatment, Treatment):
        raise TypeError(f"[report] treatment is of type {type(treatment).__name__}; needs what gw.treat returned")
    if isinstance(what, NonFiniteError):
        if what.history is None:
            raise ValueError("[report] what is an error without a history; needs one that `fit` raised")
        return _of_history(what.history, diagnose(what), network, treatment)
    if isinstance(what, History):
        return _of_history(what, diagnose(what), network, treatment)
    if isinstance(what, Watch):
        return Subject(
            what.record,
            what.diagnose(),
            losses=np.asarray(what.losses, np.float64),
            steps=what.step,
            faults=tuple(f"{type(fault).__name__}: {fault}" for fault in what.faults),
            network=network,
            treatment=treatment,
        )
    if isinstance(what, GradientRecord):
        return Subject(what, diagnose(what), network=network, treatment=treatment)
    raise TypeError(
        f"[report] what is of type {type(what).__name__}; needs a History, a Watch, a GradientRecord or a "
        "NonFiniteError"
    )


def _of_history(
    history: History, diagnosis: Diagnosis, network: Network | None, treatment: Treatment | None
) -> Subject:
    return Subject(
        history.gradients,
        diagnosis,
        losses=history.step_loss,
        metrics={"loss": history.loss, **history.metrics} if len(history.loss) else dict(history.metrics),
        clipping=history.clipping if len(history.clipping) else None,
        facts=history.facts,
        steps=len(history.step_loss),
        seconds=history.seconds,
        recording_seconds=history.recording_seconds,
        stopped=history.stopped,
        skipped=tuple(history.skipped),
        network=network,
        treatment=treatment,
    )
