"""A recurrent layer whose gradient does not reach the beginning of the sequence, or explodes on the way."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case, logs, middle
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

LOST = 24 * np.log10(2)  # below 2^-24 of the last step's, the first step's part of a float32 sum is rounded away
GROWN = 3.0


@rule
class ShortMemory(Rule):
    """|dC/dh| at the first step below 2^-24 of the last step's, or above 1,000 times it.

    A weight's gradient is a sum over time: in float32 a part below 2^-24 of it is rounded away, so that the first steps
    teach nothing (Hochreiter, 1991; Bengio, Simard and Frasconi, 1994).
    """

    name = "short_memory"
    source = "Bengio, Simard and Frasconi, 1994; IEEE 754"

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return super().missing(case) or (None if case.record.recurrent else "no recurrent layer")

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield a finding for each layer."""
        for layer in case.record.recurrent:
            time = case.record.time(layer)
            norms = logs(time.norm("hidden"))
            norms = norms[:, ::-1] if time.backward else norms
            if norms.shape[1] < 3:
                continue
            change = norms[:, 0] - norms[:, -1]
            # Of sequences of several lengths the last step belongs to few: only the steps' own gains make a rise.
            grown = np.minimum(change, np.nansum(logs(time.gain("total")), axis=1))
            change = np.where(change > 0, np.maximum(grown, 0.0), change)
            level = float(middle(change))
            if -LOST <= level <= GROWN:
                continue
            lost = level < 0
            memory = float(np.median(time.memory(0.01)))
            parts = {part: float(middle(logs(time.gain(part)).ravel())) for part in ("weight", "derivative")}
            text = f"|dC/dh| at the first step is {10**level:.1e} of the last step's" + (
                f"; it falls to 1 % in {memory:.0f} of {norms.shape[1]} steps." if lost else "."
            )
            helps = ("lstm", "orthogonal") if lost else ("clip", "orthogonal", "lower rate")
            yield Finding(
                self.name,
                "severe" if (lost and level < -2 * LOST) or level > 2 * GROWN else "warning",
                text,
                layer,
                (layer,),
                case.span(change < -LOST if lost else change > GROWN),
                "time",
                {"log10_ratio": level, "memory_1_percent": memory, "steps": float(norms.shape[1]), **parts},
                remedies(*helps),
            )
