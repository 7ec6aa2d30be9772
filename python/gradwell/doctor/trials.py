"""Trials: every remedy trained beside the untreated network, on the same batches, from the same weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gradwell._core import num_threads, set_num_threads
from gradwell.doctor.changes import NotApplicableError, Setup, applied
from gradwell.doctor.examination import diagnose
from gradwell.doctor.finding import Remedy
from gradwell.nonfinite import NonFiniteError
from gradwell.trainer import check_batches
from gradwell.training import fit


class Outcome(NamedTuple):
    """What one training came to."""

    gone: bool
    """Whether the finding is not there any more."""
    loss: float
    """Mean loss over the last tenth of the steps; infinite where a value was not finite."""


@dataclass(frozen=True)
class Trial:
    """A remedy's trainings.

    Attributes
    ----------
    remedy
        What was changed; None: nothing.
    outcomes
        One for each seed that was tried; remedies dropped early have fewer.
    drawn_anew
        Whether the weights were not the given ones but drawn from each seed.
    skipped
        Why it was not tried, or None.
    """

    remedy: Remedy | None
    outcomes: tuple[Outcome, ...] = ()
    drawn_anew: bool = False
    skipped: str | None = None

    @property
    def gone(self) -> float:
        """Share of the seeds in which the finding was gone."""
        return float(np.mean([o.gone for o in self.outcomes])) if self.outcomes else 0.0

    @property
    def loss(self) -> float:
        """Mean loss over the seeds."""
        return float(np.mean([o.loss for o in self.outcomes])) if self.outcomes else float("inf")

    @property
    def spread(self) -> float:
        """Standard deviation of the loss over the seeds."""
        return float(np.std([o.loss for o in self.outcomes])) if np.isfinite(self.loss) else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return all of it ready for JSON."""
        finite = np.isfinite(self.loss)
        return {
            "remedy": self.remedy.name if self.remedy else None,
            "code": self.remedy.code if self.remedy else None,
            "seeds": len(self.outcomes),
            "gone": self.gone,
            "loss": self.loss if finite else None,
            "spread": self.spread if finite else None,
            "drawn_anew": self.drawn_anew,
            "skipped": self.skipped,
        }


@dataclass(frozen=True)
class Job:
    """One training of a trial, ready to be sent to another process."""

    setup: Setup
    rule: str
    settings: dict[str, Any]
    threads: int | None = None

    def __call__(self) -> Outcome:
        """Train a copy and look whether the finding is still there."""
        before = num_threads()
        if self.threads is not None:
            set_num_threads(self.threads)
        try:
            return self._train()
        finally:
            set_num_threads(before)

    def _train(self) -> Outcome:
        network = self.setup.network.copy()
        network.training_state = None
        network.forget_optimizer()
        given: dict[str, Any] = {"optimizer": self.setup.optimizer, "clip": self.setup.clip, **self.settings}
        try:
            history = fit(network, self.setup.data, stats=True, progress=False, **given)
        except NonFiniteError:
            return Outcome(False, float("inf"))
        losses = history.step_loss
        tail = losses[-max(len(losses) // 10, 1) :]
        finding = diagnose(history).get(self.rule)
        return Outcome(finding is None or finding.severity == "note", float(np.mean(tail)))


def jobs_of(
    remedy: Remedy | None, setup: Setup, rule: str, settings: dict[str, Any], seeds: Iterable[int]
) -> list[Job]:
    """Return a training for each seed; raise `NotApplicableError` where a remedy does not fit."""
    made = []
    for seed in seeds:
        changed = setup if remedy is None else applied(remedy, setup, seed)
        try:
            check_batches(changed.network, len(changed.x), settings["batch_size"])
        except ValueError as error:
            raise NotApplicableError(str(error).removeprefix("[fit] ")) from None
        made.append(Job(changed, rule, {**settings, "seed": seed}))
    return made


def run(jobs: Sequence[Job], processes: int, advance: Any) -> list[Outcome]:
    """Train all, here or in other processes through joblib and whatever backend is set there."""
    if processes == 1:
        found = []
        for job in jobs:
            found.append(job())
            advance(1)
        return found
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise ImportError('trials in several processes need joblib: pip install "gradwell[trials]"') from None
    alone = [Job(job.setup, job.rule, job.settings, 1) for job in jobs]
    results: list[Outcome] = list(Parallel(n_jobs=processes)(delayed(_call)(job) for job in alone))
    advance(len(jobs))
    return results


def _call(job: Job) -> Outcome:
    return job()


def skipped(remedy: Remedy, error: NotApplicableError) -> Trial:
    """Return a trial that was not made."""
    return Trial(remedy, skipped=str(error))
