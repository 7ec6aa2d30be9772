"""Steps that change no weight."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case, middle, most
from gradwell.doctor.finding import Finding
from gradwell.doctor.illnesses.steps import step_ratios, unmeasured_steps
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

LOST = 2.0**-24  # a step below this share of a float32 is rounded away


@rule
class StalledUpdates(Rule):
    """|step| / |weight| of all layers below 2^-24, half an ulp of float32, the median of the records."""

    name = "stalled_updates"
    source = "IEEE 754"
    explained_by = ("clipping", "vanishing", "dead_units", "saturation", "initialization", "inputs")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return super().missing(case) or unmeasured_steps(case)

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        ratios = step_ratios(case)
        typical = middle(ratios)
        if not np.isfinite(typical).any() or not np.nanmax(typical) < LOST:
            return
        largest = int(np.nanargmax(typical))
        by = f" by more than {typical[largest]:.1e} of its norm: float32 rounds it away" if typical[largest] > 0 else ""
        yield Finding(
            self.name,
            "severe",
            f"No step changes any weight{by}.",
            case.layers[largest],
            tuple(case.layers),
            case.span(most(ratios, 1) < LOST),
            "rate",
            {"ratio": float(typical[largest]), "threshold": LOST},
            remedies("higher rate", "adam"),
        )
