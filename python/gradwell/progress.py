"""The progress bar of a fit: loss, speed, and the gradient norms of the first and the last layer."""

from __future__ import annotations

import sys
import time
from typing import Any

from gradwell.history import History


class Progress:
    """A tqdm bar over steps; nothing at all where `show` is false, or None and stderr is no terminal."""

    def __init__(self, show: bool | None, total: int, start: int):
        self._bar: Any = None
        self._shown = 0.0
        if show or (show is None and sys.stderr is not None and sys.stderr.isatty()):
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=start, unit="step", dynamic_ncols=True, mininterval=0.1)

    def advance(self, steps: int, history: History, losses: Any) -> None:
        """Move on and refresh the figures, at most ten times a second."""
        if self._bar is None:
            return
        now = time.perf_counter()
        if now - self._shown > 0.1 and len(losses):
            self._shown = now
            self._bar.set_postfix_str(_figures(history, losses), refresh=False)
        self._bar.update(steps)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _figures(history: History, losses: Any) -> str:
    text = f"loss {losses.mean():.4g}"
    last = history.gradients.last("error", "norm")
    if last is not None:
        text += f", |δ| first {last[0]:.2e} last {last[-1]:.2e}"
    return text
