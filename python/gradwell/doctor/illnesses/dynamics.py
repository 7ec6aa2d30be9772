"""What the loss does over the steps: it diverges, jumps and comes back, or stands still."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

PARTS = 20
ENOUGH = 100
DIVERGED, JUMPED = 2.0, 3.0
PLATEAU = 0.5, 0.95  # of a blind guess's loss: above, nothing was learnt, and the rule of that name says so


@rule
class LossDynamics(Rule):
    """By twentieths of at least 100 steps: a last loss twice the best is divergence.

    A loss that jumps to three times the first and comes back below its start is a catapult (Lewkowycz et al., 2020),
    and one that stands still over the last half, at 0.5 to 0.95 of a blind guess's, a plateau: notes.
    """

    name = "loss_dynamics"
    source = "Lewkowycz et al., 2020"
    explained_by = ("nonfinite", "targets", "violent_updates", "inputs", "exploding", "batch_normalization")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return None if len(case.losses) >= ENOUGH else f"fewer than {ENOUGH} training steps"

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        parts = np.array([np.median(part) for part in np.array_split(case.losses, PARTS)])
        spread = float(np.median([np.std(part) / np.sqrt(len(part)) for part in np.array_split(case.losses, PARTS)]))
        best, last, top = float(parts.min()), float(parts[-1]), int(parts.argmax())
        size = len(case.losses)
        begins = [round(k * size / PARTS) for k in range(PARTS + 1)]
        evidence = {"first": float(parts[0]), "best": best, "last": last, "largest": float(parts[top])}
        blind = case.facts.blind if case.facts and case.facts.blind else float(parts[0])
        if last > DIVERGED * best and last - best > 3 * spread and last > 0.1 * blind:
            low = int(parts.argmin())
            yield Finding(
                self.name,
                "severe" if last > parts[0] else "warning",
                f"The loss rose from {best:.3g} to {last:.3g}.",
                None,
                (),
                (begins[low + 1], size - 1),
                "rate",
                {**evidence, "threshold": DIVERGED * best},
                remedies("lower rate", "clip"),
            )
        elif parts[top] > JUMPED * parts[0] and top > 0 and last < parts[0]:
            text = f"The loss jumped to {parts[top]:.3g} and came back: a catapult."
            yield Finding(self.name, "note", text, None, (), (begins[top], begins[top + 1] - 1), "rate", evidence)
        elif _stands_still(parts[PARTS // 2 :], spread, blind) and PLATEAU[0] < last / blind < PLATEAU[1]:
            text = f"The loss has stood at {last:.3g} for the last half of the steps."
            yield Finding(self.name, "note", text, None, (), (begins[PARTS // 2], size - 1), None, evidence)


def _stands_still(parts: NDArray[np.float64], spread: float, blind: float) -> bool:
    """Say whether the second half of some parts is no lower than the first, but for what chance and 1 % explain."""
    first, second = np.split(parts, 2)
    fallen = float(first.mean() - second.mean())
    return abs(fallen) < max(2 * spread * math.sqrt(2 / len(first)), 0.01 * blind)
