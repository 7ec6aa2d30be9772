"""What the loss does over the steps: it diverges, jumps and comes back, or stands still."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

PARTS = 20
ENOUGH = 100
DIVERGED, JUMPED = 2.0, 3.0


@rule
class LossDynamics(Rule):
    """By twentieths of at least 100 steps: a last loss twice the best is divergence.

    A loss that jumps to three times the first and comes back below its start is a catapult (Lewkowycz et al., 2020): a
    note.
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
