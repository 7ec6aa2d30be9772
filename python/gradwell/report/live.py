"""A view of a fit in the terminal, drawn in place while it runs."""

from __future__ import annotations

import sys
import time
from typing import Any, Final

from gradwell.callbacks import Callback, TrainingState
from gradwell.checks import check_number
from gradwell.doctor.case import Case
from gradwell.doctor.diagnosis import Diagnosis
from gradwell.doctor.examination import diagnose_case
from gradwell.history import History
from gradwell.report.live_view import View, clipped_share, epoch_line, layers_of, lines_of

_DRAWING, _DIAGNOSING = 0.01, 0.02  # shares of the time that they may take
_FIRST_LOOK: Final = 0.002  # seconds a layer: most of it the forecast, which is kept for later looks
_MOST_RECORDS: Final = 500  # the doctor looks at; of a longer record at every second, third, ...


class Live(Callback):
    """Show a fit while it runs: loss, every layer's error and gain, clipping, and the worst that the doctor finds.

    A callback of `fit`. The block is drawn on stderr, in place of the progress bar. Bars are norms of the error signal
    on a logarithmic scale, medians of the last records; a gain is coloured and has an arrow where it is beyond a
    factor of 2. Where the layers do not fit, those that tell most are shown. Drawing takes 1 % of the time and the
    doctor 2 % at most: where they cost more, they come more rarely. Where stderr is no terminal, a line is printed
    after each epoch. The weights are the same bits as without.

    Parameters
    ----------
    every
        Least seconds between two drawings.
    diagnose_every
        Least seconds between two diagnoses; None leaves the doctor out.
    console
        A `rich.console.Console` to draw on instead of stderr.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 30, 10], activation="tanh", seed=0)
    >>> history = gw.fit(
    ...     net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=3, callbacks=[gw.report.Live()]
    ... )
    """

    def __init__(self, *, every: float = 0.25, diagnose_every: float | None = 5.0, console: Any = None):
        self.every = check_number("Live", "every", every, lowest=0.0)
        self.diagnose_every = diagnose_every
        if diagnose_every is not None:
            self.diagnose_every = check_number("Live", "diagnose_every", diagnose_every, lowest=0.0)
        self._given = console
        self._console: Any = None
        self._live: Any = None
        self._begun = self._first_step = 0.0
        self._draw_at = self._diagnose_at = 0.0
        self._diagnosis: Diagnosis | None = None
        self._trouble = ""
        self._case: Case | None = None

    @property
    def shows_progress(self) -> bool:
        """Whether it draws in a terminal: `fit` then leaves its bar out."""
        console = self._on()
        return bool(console.is_terminal and not console.is_dumb_terminal)

    def _on(self) -> Any:
        if self._console is None:
            from rich.console import Console

            self._console = self._given if self._given is not None else Console(stderr=True, highlight=False)
        return self._console

    def on_start(self, state: TrainingState) -> None:
        """Begin afresh, and open the block."""
        self._begun, self._first_step = time.perf_counter(), state.step
        first_look = max(self.diagnose_every or 0.0, _FIRST_LOOK * len(state.history.gradients.layers) / _DIAGNOSING)
        self._draw_at, self._diagnose_at = self._begun, self._begun + first_look
        self._diagnosis, self._trouble, self._case = None, "", None
        if self.shows_progress:
            from rich.live import Live as Block

            beside = sys.stdout is not None and sys.stdout.isatty()  # else what is printed goes elsewhere
            self._live = Block(console=self._on(), auto_refresh=False, vertical_overflow="crop", redirect_stdout=beside)
            self._live.start()

    def on_chunk(self, state: TrainingState) -> None:
        """Draw, if it is time to."""
        if self._live is None or time.perf_counter() < self._draw_at:
            return
        self._look(state.history)
        begun = time.perf_counter()
        self._draw(state)
        self._draw_at = _next(begun, self.every, _DRAWING)

    def on_epoch(self, state: TrainingState) -> None:
        """Print a line where there is no terminal."""
        if self._live is None:
            self._look(state.history)
            line = epoch_line(state.step, state.epoch, state.history, self._diagnosis)
            self._on().print(line, markup=False, highlight=False, soft_wrap=True)

    def on_end(self, state: TrainingState) -> None:
        """Draw the end, with a last look of the doctor."""
        if self._live is not None:
            self._diagnose_at = 0.0
            self._look(state.history)
            self._draw(state)

    def on_exit(self, state: TrainingState) -> None:
        """Give the terminal back: the cursor is shown again, the last drawing stays."""
        if self._live is not None:
            block, self._live = self._live, None
            block.stop()

    def _look(self, history: History) -> None:
        """Let the doctor look, if it is time to; a rule that fails does not end the training."""
        if self.diagnose_every is None or time.perf_counter() < self._diagnose_at or not len(history.step_loss):
            return
        begun = time.perf_counter()
        record = history.gradients
        case = Case(
            record[:: -(-len(record) // _MOST_RECORDS) or 1],
            history.facts,
            losses=history.step_loss,
            clipping=history.clipping,
            fault=history.fault,
            skipped=tuple(history.skipped),
        )
        if self._case is not None:
            case.expected = self._case.expected  # of the start of the training, which stays what it was
        self._case = case
        try:
            self._diagnosis, self._trouble = diagnose_case(case), ""
        except Exception as error:
            self._diagnosis, self._trouble = None, f"a rule failed: {type(error).__name__}: {error}"
        self._diagnose_at = _next(begun, self.diagnose_every, _DIAGNOSING)

    def _view(self, state: TrainingState) -> View:
        history = state.history
        seconds = time.perf_counter() - self._begun
        metrics = {name: float(values[-1]) for name, values in history.metrics.items() if len(values)}
        return View(
            state.step,
            state.epoch,
            seconds,
            (state.step - self._first_step) / seconds if seconds > 0 else 0.0,
            history.step_loss,
            metrics,
            layers_of(history),
            clipped_share(history),
            self._diagnosis,
            self._trouble,
        )

    def _draw(self, state: TrainingState) -> None:
        from rich.console import Group

        console = self._on()
        width, height = console.size
        ascii_only = console.options.ascii_only
        self._live.update(Group(*lines_of(self._view(state), width, max(height - 1, 6), ascii_only)), refresh=True)


def _next(begun: float, least: float, share: float) -> float:
    """Return when something that began then may be done again, if it is to take that share of the time."""
    ended = time.perf_counter()
    return ended + max(least, (ended - begun) / share)
