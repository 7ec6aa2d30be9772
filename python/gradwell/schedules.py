"""Learning rates that change while training: the rate of each step, from its number t = 0, 1, ..."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, check_number, check_positive

Array = NDArray[np.float64]


class Schedule:
    """Base of schedules. `rates(steps, state)` returns the rate of each step; state is what `begin` returned.

    A schedule that listens to the training changes its state at the end of each epoch; the state is plain numbers,
    saved with the network.
    """

    @property
    def needs(self) -> str | None:
        """The metric that `after_epoch` looks at, None for none."""
        return None

    def begin(self) -> dict[str, Any]:
        """Return the state before the first step."""
        return {}

    def rates(self, steps: Array, state: Mapping[str, Any]) -> Array:
        """Return the rates of the steps with these numbers."""
        raise NotImplementedError

    def after_epoch(self, state: dict[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
        """Return the state after an epoch with these metrics."""
        return state


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    Examples
    --------
    >>> Constant(0.1).rates(np.arange(3.0), {})
    array([0.1, 0.1, 0.1])
    """

    rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_number("Constant", "rate", self.rate, lowest=0))

    def rates(self, steps: Array, state: Mapping[str, Any]) -> Array:
        """Return the rate, for every step."""
        return np.full(len(steps), self.rate)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """rate factor^floor(t / every).

    Examples
    --------
    >>> StepDecay(0.1, every=2, factor=0.5).rates(np.arange(5.0), {})
    array([0.1  , 0.1  , 0.05 , 0.05 , 0.025])
    """

    rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_number("StepDecay", "rate", self.rate, lowest=0))
        check_count("StepDecay", "every", self.every)
        object.__setattr__(self, "factor", check_positive("StepDecay", "factor", self.factor))

    def rates(self, steps: Array, state: Mapping[str, Any]) -> Array:
        """Return the rates of these steps."""
        return np.asarray(self.rate * self.factor ** np.floor(steps / self.every))


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """From `rate` to `final` in `steps` steps along half a cosine, then `final` (Loshchilov, Hutter, 2017).

    Examples
    --------
    >>> CosineDecay(0.1, steps=4).rates(np.arange(6.0), {}).round(4)
    array([0.1   , 0.0854, 0.05  , 0.0146, 0.    , 0.    ])
    """

    rate: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        for argument in ("rate", "final"):
            value = check_number("CosineDecay", argument, getattr(self, argument), lowest=0)
            object.__setattr__(self, argument, value)
        check_count("CosineDecay", "steps", self.steps)

    def rates(self, steps: Array, state: Mapping[str, Any]) -> Array:
        """Return the rates of these steps."""
        share = (1 + np.cos(np.pi * np.minimum(steps / self.steps, 1.0))) / 2
        return np.asarray(self.final + (self.rate - self.final) * share)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """(t + 1) / steps of what `then` says for the first `steps` steps, after that `then` itself (Goyal et al., 2017).

    Examples
    --------
    >>> WarmUp(0.1, steps=4).rates(np.arange(6.0), {})
    array([0.025, 0.05 , 0.075, 0.1  , 0.1  , 0.1  ])
    """

    then: Schedule | float
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "then", schedule("WarmUp", "then", self.then))
        check_count("WarmUp", "steps", self.steps)

    @property
    def needs(self) -> str | None:
        """The metric that the schedule that follows looks at."""
        return self._then().needs

    def begin(self) -> dict[str, Any]:
        """Return the state of the schedule that follows."""
        return self._then().begin()

    def rates(self, steps: Array, state: Mapping[str, Any]) -> Array:
        """Return the rates of these steps."""
        return np.asarray(self._then().rates(steps, state) * np.minimum((steps + 1) / self.steps, 1.0))

    def after_epoch(self, state: dict[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
        """Return the state of the schedule that follows."""
        return self._then().after_epoch(state, metrics)

    def _then(self) -> Schedule:
        assert isinstance(self.then, Schedule)
        return self.then


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """`rate`, times `factor` whenever `metric` has not improved by more than `min_delta` for `patience` epochs.

    Metrics named accuracy are to go up, others down. The rate does not fall below `lowest`. A fit that resumes goes on
    with the rate as it has become; a loop of one's own, without epochs, keeps `rate`.

    Examples
    --------
    >>> plateau = ReduceOnPlateau(0.1, patience=1, factor=0.5)
    >>> state = plateau.begin()
    >>> for loss in (1.0, 1.0):
    ...     state = plateau.after_epoch(state, {"loss": loss})
    >>> plateau.rates(np.zeros(1), state)
    array([0.05])
    """

    rate: float
    factor: float = 0.1
    patience: int = 5
    metric: str = "loss"
    min_delta: float = 0.0
    lowest: float = 0.0

    def __post_init__(self) -> None:
        for argument in ("rate", "min_delta", "lowest"):
            value = check_number("ReduceOnPlateau", argument, getattr(self, argument), lowest=0)
            object.__setattr__(self, argument, value)
        object.__setattr__(self, "factor", check_positive("ReduceOnPlateau", "factor", self.factor, 1.0))
        check_count("ReduceOnPlateau", "patience", self.patience)
        if not isinstance(self.metric, str):
            raise TypeError(f"[ReduceOnPlateau] metric is of type {type(self.metric).__name__}; needs a name")
        if self.lowest > self.rate:
            raise ValueError(f"[ReduceOnPlateau] lowest is {self.lowest} but rate is {self.rate}; needs at most that")

    @property
    def needs(self) -> str | None:
        """The metric."""
        return self.metric

    def begin(self) -> dict[str, Any]:
        """Return the state before the first epoch."""
        return {"rate": self.rate, "best": None, "waited": 0}

    def rates(self, steps: Array, state: Mapping[str, Any]) -> Array:
        """Return the rate as it is now, for every step."""
        return np.full(len(steps), state["rate"])

    def after_epoch(self, state: dict[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
        """Return the state after an epoch: the rate falls where the metric has stood still for long enough."""
        if self.metric not in metrics:
            known = ", ".join(metrics)
            raise ValueError(f'[ReduceOnPlateau] metric is "{self.metric}"; this fit has {known}')
        value, best = metrics[self.metric], state["best"]
        gain = math.inf if best is None else (value - best if "accuracy" in self.metric else best - value)
        if not math.isnan(value) and gain > self.min_delta:
            return {**state, "best": value, "waited": 0}
        if state["waited"] + 1 < self.patience:
            return {**state, "waited": state["waited"] + 1}
        return {**state, "rate": max(state["rate"] * self.factor, self.lowest), "waited": 0}


def schedule(operation: str, argument: str, value: Any) -> Schedule:
    """Return `value` as a schedule: itself, or a number at every step."""
    if isinstance(value, Schedule):
        return value
    return Constant(check_number(operation, argument, value, lowest=0))


def check_rates(rates: Any, steps: int) -> Array:
    """Return what a schedule gave as an array; raise unless it is one number of at least 0 for each step."""
    try:
        array = np.asarray(rates, np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.shape != (steps,):
        raise ValueError(f"[schedule] rates gave {rates!r}; needs an array of {steps} numbers")
    if not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"[schedule] rates has {array.min()}; needs finite numbers of at least 0")
    return array
