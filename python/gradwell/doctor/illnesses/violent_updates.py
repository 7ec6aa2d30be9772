"""Steps that change the weights by too much."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case, middle, most
from gradwell.doctor.finding import Finding
from gradwell.doctor.illnesses.steps import step_ratios, unmeasured_steps
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

VIOLENT, SEVERE = 0.1, 0.5
REPLACED, FIRST = 4.0, 10


@rule
class ViolentUpdates(Rule):
    """|step| / |weight| of a layer above 0.1, the median of a third of the records, or above 4 in all of the first ten.

    About 1e-3 is usual (Karpathy, 2019). Weights that start at 0 have grown by the sum of 1, 1/2, 1/3 ... after a few
    steps, 2.8 in all, which is not violent.
    """

    name = "violent_updates"
    source = "Karpathy, 2019"
    explained_by = ("inputs", "targets", "exploding", "batch_normalization")
    acts_later = True

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return super().missing(case) or unmeasured_steps(case)

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        ratios = step_ratios(case)
        typical = most(np.array([middle(part) for part in np.array_split(ratios, 3) if len(part)]), 0)
        first = np.nansum(ratios[:FIRST], axis=0)
        typical = np.where(first > REPLACED, np.fmax(typical, first / FIRST), typical)
        if not np.isfinite(typical).any() or np.nanmax(typical) <= VIOLENT:
            return
        worst = int(np.nanargmax(typical))
        yield Finding(
            self.name,
            "severe" if typical[worst] > SEVERE else "warning",
            f"A step moves layer {case.layers[worst]}'s weights by {typical[worst]:.2g} of their norm; usual is 0.001.",
            case.layers[worst],
            tuple(case.layers[i] for i in np.flatnonzero(typical > VIOLENT)),
            case.span(most(ratios, 1) > VIOLENT),
            "rate",
            {"ratio": float(typical[worst]), "threshold": VIOLENT},
            remedies("lower rate", "clip", "adam"),
        )
