"""What can be called while a network trains: at its start, about ten times a second, and after each epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

from gradwell.checks import check_count, check_number
from gradwell.history import History
from gradwell.network import Network
from gradwell.storage import load


class TrainingState:
    """What a callback sees.

    Attributes
    ----------
    network, history
        The network as it is now, and what has been recorded.
    step, epoch
        Steps taken, and epochs finished.
    """

    def __init__(self, network: Network, history: History, step: int, epoch: int):
        self.network = network
        self.history = history
        self.step = step
        self.epoch = epoch
        self.reason: str | None = None

    def stop(self, reason: str = "stopped by a callback") -> None:
        """End the fit after this call; `history.stopped` will be `reason`, the first one given."""
        if self.reason is None:
            self.reason = reason


class Callback:
    """Base of callbacks; any object with some of these methods will do. Returning True ends the fit."""

    def on_start(self, state: TrainingState) -> Any:
        """Before the first step."""

    def on_chunk(self, state: TrainingState) -> Any:
        """After each run of steps, about every 100 ms."""

    def on_epoch(self, state: TrainingState) -> Any:
        """After each epoch."""

    def on_end(self, state: TrainingState) -> Any:
        """After the last step, however the fit came to its end, but for an exception."""

    def on_exit(self, state: TrainingState) -> Any:
        """When all is over, after an exception too: what was opened is closed here."""


def check_callbacks(callbacks: Iterable[Any]) -> list[Any]:
    """Return the callbacks as a list; raise TypeError for one alone, a class, or an object without any event."""
    events = ("on_start", "on_chunk", "on_epoch", "on_end", "on_exit")
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"[fit] callbacks is of type {type(callbacks).__name__}; needs a list of callbacks")
    listeners = list(callbacks)
    for listener in listeners:
        if isinstance(listener, type):
            raise TypeError(
                f"[fit] callbacks has the class {listener.__name__}; needs an object: {listener.__name__}(...)"
            )
        if not any(hasattr(listener, event) for event in events):
            raise TypeError(f"[fit] callbacks has a {type(listener).__name__}; needs one of {', '.join(events)}")
    return listeners


def _value(state: TrainingState, metric: str) -> float:
    values = state.history.loss if metric == "loss" else state.history.metrics.get(metric)
    if values is None or not len(values):
        known = ", ".join(["loss", *state.history.metrics])
        raise ValueError(f'[callback] metric is "{metric}"; this fit has {known}')
    return float(values[-1])


def _improves(metric: str, value: float, best: float, by: float = 0.0) -> bool:
    """Whether it is better than best: accuracies go up, losses down, and anything is better than NaN."""
    if math.isnan(value) or math.isnan(best):
        return not math.isnan(value)
    return (value - best if "accuracy" in metric else best - value) > by


class EarlyStopping(Callback):
    """End the fit when `metric` has not improved by more than `min_delta` for `patience` epochs.

    With `restore_best` the network is put back at the end of the fit to what it was after the best epoch, its training
    state included: a fit that resumes goes on from there. Metrics named accuracy are to go up, others down.

    Examples
    --------
    >>> EarlyStopping("validation_loss", patience=3).patience
    3
    """

    def __init__(
        self,
        metric: str = "validation_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = False,
    ):
        check_count("EarlyStopping", "patience", patience)
        self.metric = metric
        self.patience = patience
        self.min_delta = check_number("EarlyStopping", "min_delta", min_delta, lowest=0.0)
        self.restore_best = restore_best
        self.best = math.nan
        self._waited = 0
        self._best_state: dict[str, Any] | None = None

    def on_start(self, state: TrainingState) -> None:
        """Forget an earlier fit."""
        self.best, self._waited, self._best_state = math.nan, 0, None

    def on_epoch(self, state: TrainingState) -> None:
        """Compare with the best epoch so far."""
        value = _value(state, self.metric)
        if _improves(self.metric, value, self.best, by=self.min_delta):
            self.best, self._waited = value, 0
            if self.restore_best:
                self._best_state = state.network.snapshot()
            return
        self._waited += 1
        if self._waited >= self.patience:
            state.stop(f"{self.metric} has not improved for {self.patience} epochs")

    def on_end(self, state: TrainingState) -> None:
        """Put the best epoch's network back."""
        if self._best_state is not None:
            state.network.restore(self._best_state)


class Checkpoint(Callback):
    """Save the network and its training state to `path` after every epoch, or when `metric` is at its best.

    Parameters
    ----------
    path
        A safetensors file; replaced in one piece each time.
    metric
        None saves after every epoch; a name such as "validation_accuracy" saves the best epoch only.

    Examples
    --------
    >>> Checkpoint("best.safetensors", metric="validation_accuracy").metric
    'validation_accuracy'
    """

    def __init__(self, path: str | os.PathLike[str], *, metric: str | None = None):
        self.path = path
        self.metric = metric
        self.best = math.nan

    def on_start(self, state: TrainingState) -> None:
        """Look for the folder before training, and forget an earlier fit unless this one resumes it.

        A resumed fit takes the best value from the file, where it was saved by a fit with this metric.
        """
        folder = os.path.dirname(self.path) or "."
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"[Checkpoint] {folder}: no such folder")
        if state.step == 0:
            self.best = math.nan
        elif self.metric is not None and math.isnan(self.best) and os.path.isfile(self.path):
            before = load(self.path).training_state or {}
            self.best = float((before.get("metrics") or {}).get(self.metric, math.nan))

    def on_epoch(self, state: TrainingState) -> None:
        """Save, if there is something to save."""
        if self.metric is not None:
            value = _value(state, self.metric)
            if not _improves(self.metric, value, self.best):
                return
            self.best = value
        state.network.save(self.path)
