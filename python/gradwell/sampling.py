"""Which steps are recorded: all, none, or as many as a time budget allows."""

from __future__ import annotations

import math
from typing import Any

from gradwell.checks import check_number


class RecordSchedule:
    """Steps whose number is a multiple of `every` are recorded; 0 records none.

    With "auto" the cost of a recorded step is measured against that of a plain one, and `every` is chosen so
    that recording takes at most `budget` of the training time. Recording changes no weight, so neither does
    the choice. Three quarters of the budget are aimed at, since costs vary. The first four steps and the last are
    recorded in any case.

    Examples
    --------
    >>> RecordSchedule(True, 0.02).every, RecordSchedule(False, 0.02).every
    (1, 0)
    """

    HEAD = 4  # steps at the start
    FIRST = 64  # until both costs are known
    SHARE = 0.75  # of the budget that is aimed at: costs vary from step to step
    LAST = 1_000_000  # however small the budget

    def __init__(self, stats: bool | str, budget: float):
        if not (isinstance(stats, bool) or stats == "auto"):
            raise ValueError(f'[fit] stats is {stats!r}; needs True, False or "auto"')
        self.budget = check_number("fit", "stats_budget", budget)
        if not 0 < self.budget <= 1:
            raise ValueError(f"[fit] stats_budget is {budget}; needs a number above 0 and at most 1")
        self.automatic = stats == "auto"
        self.every = self.FIRST if self.automatic else int(stats)
        self._plain = self._recorded = math.nan  # seconds a step

    def plan(self, step: int, steps: int, left: int) -> tuple[int, int]:
        """Return how many of `steps` to take from `step` on, of the `left` ones of the fit, and which to record.

        Examples
        --------
        >>> schedule = RecordSchedule("auto", 0.02)
        >>> schedule.plan(0, 50, 100), schedule.plan(4, 50, 96), schedule.plan(54, 46, 46), schedule.plan(99, 1, 1)
        ((4, 1), (50, 64), (45, 64), (1, 1))
        """
        if not self.automatic:
            return steps, self.every
        if step < self.HEAD:
            return min(steps, self.HEAD - step), 1
        if left == 1:
            return 1, 1
        return min(steps, left - 1), self.every

    def learn(self, result: dict[str, Any]) -> None:
        """Take the timings of a run of steps into account."""
        if not self.automatic:
            return
        if result["plain_steps"]:
            self._plain = _blend(self._plain, result["plain_seconds"] / result["plain_steps"])
        if result["recorded_steps"]:
            self._recorded = _blend(self._recorded, result["recorded_seconds"] / result["recorded_steps"])
        if math.isnan(self._plain) or math.isnan(self._recorded):
            return
        extra = max(self._recorded / max(self._plain, 1e-9) - 1.0, 0.0)
        self.every = max(1, math.ceil(min(extra / (self.SHARE * self.budget), self.LAST)))


def _blend(old: float, new: float) -> float:
    """Return a running mean that forgets: half of what is known, half of what was just seen."""
    return new if math.isnan(old) else 0.5 * (old + new)
