"""Clipping that decides every step, or none."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

ALWAYS, HARD = 0.95, 0.1
ENOUGH = 100  # steps


@rule
class Clipping(Rule):
    """At least 95 % of the steps clipped to less than a tenth, the median; or none of 100 steps, a note.

    Clipping is for rare steps (Pascanu, Mikolov and Bengio, 2013); where it cuts every step the limit is the learning
    rate.
    """

    name = "clipping"
    source = "Pascanu, Mikolov and Bengio, 2013"
    explained_by = ("exploding", "batch_normalization", "inputs")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return None if len(case.clipping) else "no clipping"

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        ledger = case.clipping
        share, factor = float(ledger.clipped.mean()), float(np.median(ledger.factor))
        steps = (int(ledger.steps[0]), int(ledger.steps[-1]))
        evidence = {"share": share, "factor": factor, "suggested": ledger.suggest()}
        if share >= ALWAYS and factor < HARD:
            text = f"{share:.0%} of the steps were clipped, the median to {factor:.2g} of its norm."
            helps = remedies("no clip", "lower rate")
            yield Finding(self.name, "warning", text, None, (), steps, "clip", evidence, helps)
        elif share == 0 and len(ledger) >= ENOUGH:
            text = f"None of {len(ledger)} steps was clipped: the limit does nothing."
            yield Finding(self.name, "note", text, None, (), steps, "clip", evidence)
