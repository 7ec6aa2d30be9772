"""Which steps to measure: one in so many, or as many as a share of the time pays for."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

BUDGET = 0.02  # of the time
FIRST = 3  # steps that are measured in any case: the start matters most
LONGEST = 1000


class Pace:
    """Decides step by step.

    With "auto", a measured step costs what it takes longer than those that are not; the next one comes when that cost
    is 2 % of the time since: two steps later at the earliest, 1,000 at the latest.

    Examples
    --------
    >>> pace = Pace("auto")
    >>> measured = []
    >>> for step in range(100):
    ...     measured += [step] * pace.due(step)
    ...     pace.took(step, 0.015 if pace.due(step) else 0.010)
    >>> measured, pace.gap
    ([0, 1, 2, 4, 29, 54, 79], 25)
    """

    def __init__(self, every: int | str):
        self.every = every
        self.gap = 2 if every == "auto" else int(every)
        self._next = 0
        self._seconds: dict[bool, deque[float]] = {True: deque(maxlen=9), False: deque(maxlen=9)}

    def due(self, step: int) -> bool:
        """Say whether a step is measured."""
        return step % self.gap == 0 if self.every != "auto" else step >= self._next or step < FIRST

    def took(self, step: int, seconds: float) -> None:
        """Note how long a step took, before the next one is asked about."""
        if self.every != "auto":
            return
        due = self.due(step)
        self._seconds[due].append(seconds)
        slow, plain = self._seconds[True], self._seconds[False]
        if due:
            if plain:
                cost = median(slow) - median(plain)
                self.gap = min(max(2, math.ceil(cost / (BUDGET * median(plain)) - 1e-9)), LONGEST)
            self._next = step + self.gap
