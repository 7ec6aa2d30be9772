"""Training: `fit` hands runs of about 100 ms of steps to the program and looks up in between."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from gradwell.callbacks import TrainingState, check_callbacks
from gradwell.checks import check_count
from gradwell.clipping import Amplify, Clip
from gradwell.history import History
from gradwell.network import Network
from gradwell.nonfinite import NonFiniteError
from gradwell.optimizers import Optimizer
from gradwell.progress import Progress
from gradwell.sampling import RecordSchedule
from gradwell.trainer import Trainer


def fit(
    network: Network,
    data: tuple[Any, ...],
    *,
    loss: str,
    optimizer: Optimizer,
    batch_size: int = 32,
    epochs: int = 1,
    max_steps: int | None = None,
    validation: tuple[Any, ...] | None = None,
    clip: Clip | None = None,
    amplify: Amplify | None = None,
    stats: bool | str = "auto",
    stats_budget: float = 0.02,
    seed: int = 0,
    shuffle: bool = True,
    progress: bool | None = None,
    callbacks: Iterable[Any] = (),
    nonfinite: str = "raise",
    resume: bool = False,
) -> History:
    """Train `network` in place and return what happened.

    Parameters
    ----------
    network
        The network; its weights are changed.
    data
        (x, y): samples (n, features) and targets, class numbers (n,) or values (n, outputs). Sequences are
        (n, time, features), or (n, time) tokens, and may come as (x, y, lengths), lengths (n,). Where the outputs are
        sequences so are the targets, (n, time) or (n, time, outputs), and losses are means over all steps that take
        part.
    loss
        "softmax_cross_entropy", "sigmoid_cross_entropy", "quadratic" or "mean_squared_error": means over the batch.
    optimizer
        Such as ``SGD(0.1)`` or ``Adam(1e-3)``; its learning rate may be a schedule (`gradwell.schedules`).
    batch_size, epochs
        Samples a step (the last step of an epoch takes what is left), and passes over the data.
    max_steps
        Stop after this many steps, counted from the beginning of the fit, or of the one that `resume` goes on with.
    validation
        (x, y), or (x, y, lengths), measured after each epoch.
    clip
        Clipping of the gradients, such as ``gw.clip_by_norm(1.0)``; what it did is in ``history.clipping``.
    amplify
        A factor on the gradients of chosen layers in chosen epochs: `gw.Amplify`.
    stats
        True records every step's gradients, False none, "auto" as many as fit into `stats_budget`.
    stats_budget
        Fraction of the training time "auto" may spend on recording.
    seed, shuffle
        Each epoch's order is drawn from (seed, epoch); without shuffling it is the order of the data.
    progress
        True shows a bar, False none, None one if stderr is a terminal and no callback shows what goes on.
    callbacks
        Objects like `gradwell.callbacks.Callback`.
    nonfinite
        What to do when a step makes a NaN or an infinity: "raise" NonFiniteError, "stop", or "skip" the step. Its
        update is never applied.
    resume
        Go on from `network.training_state`, as an earlier fit or `gradwell.load` left it: the same bits as if there
        had been no stop. `epochs` counts from the beginning.

    Returns
    -------
    History
        Losses, metrics and the gradient record. On KeyboardInterrupt or NonFiniteError the exception carries it as
        ``.history``, and the network is as after the last whole step.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 10], activation="tanh", seed=0)
    >>> history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.2), batch_size=10, epochs=3)
    >>> bool(history.metrics["accuracy"][-1] > 0.9)
    True
    """
    trainer = Trainer(network, data, loss, optimizer, batch_size, validation, seed, shuffle, nonfinite, clip, amplify)
    check_count("fit", "epochs", epochs, lowest=0)
    if max_steps is not None:
        check_count("fit", "max_steps", max_steps, lowest=0)
    schedule = RecordSchedule(stats, stats_budget)
    listeners = check_callbacks(callbacks)
    trainer.start(resume)
    last = epochs * trainer.steps_per_epoch
    last = last if max_steps is None else min(last, max_steps)
    state = TrainingState(network, trainer.history, trainer.step, trainer.step // trainer.steps_per_epoch)
    if progress is None and any(getattr(listener, "shows_progress", False) for listener in listeners):
        progress = False  # two that draw in one terminal would write over each other
    bar = Progress(progress, last, trainer.step)
    begun = time.perf_counter()
    try:
        running = _call(listeners, "on_start", state)
        trainer.take_over(resume)
        trainer.hold_samples()
        while running and trainer.step < last:
            before = trainer.step
            running = trainer.run_chunk(last, schedule, bar)
            ended = trainer.step > before and trainer.step % trainer.steps_per_epoch == 0
            if ended:
                trainer.end_epoch()
            state.step, state.epoch = trainer.step, trainer.step // trainer.steps_per_epoch
            running = _call(listeners, "on_chunk", state) and running
            if ended:
                running = _call(listeners, "on_epoch", state) and running
        _call(listeners, "on_end", state)
        if last < epochs * trainer.steps_per_epoch and trainer.step >= last and trainer.history.stopped == "finished":
            trainer.history.stopped = f"max_steps {max_steps} reached"
    except (KeyboardInterrupt, NonFiniteError) as error:
        trainer.history.stopped = str(error) or "interrupted"
        error.history = trainer.history  # type: ignore[union-attr]
        raise
    finally:
        trainer.history.seconds = time.perf_counter() - begun
        network.program.release()
        bar.close()
        for listener in listeners:
            getattr(listener, "on_exit", _nothing)(state)
    if state.reason is not None:
        trainer.history.stopped = state.reason
    return trainer.history


def _nothing(state: TrainingState) -> None:
    """Stand in for an event that a callback does not have."""


def _call(listeners: list[Any], event: str, state: TrainingState) -> bool:
    """Call every listener; False when one asked to stop."""
    for listener in listeners:
        method = getattr(listener, event, None)
        answer = method(state) if method is not None else None
        if isinstance(answer, (bool, np.bool_)) and answer:
            state.stop()
    return state.reason is None
