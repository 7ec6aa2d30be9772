"""Targets of a regression whose size is nothing like 1."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told

SQUARED = ("mean_squared_error", "quadratic")
LARGE, SMALL, SEVERE = 30.0, 1e-3, 300.0


@rule
class Targets(Rule):
    """Targets of a squared loss that spread by more than 30, or by less than 0.001; severe above 300.

    A blind guess's loss says it: the variance of the targets, half of their sum for "quadratic". Errors at the start
    are as large as the targets, and weights and usual rates are made for errors of about 1 (LeCun et al., 1998).
    """

    name = "targets"
    source = "LeCun et al., 1998"

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        if case.facts is None or case.facts.blind is None or not case.facts.loss:
            return "the targets are not known"
        return None if case.facts.loss in SQUARED else "the targets are classes"

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        assert case.facts is not None
        assert case.facts.blind is not None
        outputs = case.facts.stages[-1][3] if case.facts.loss == "quadratic" else 1
        factor = 2.0 / max(outputs, 1) if case.facts.loss == "quadratic" else 1.0
        spread = math.sqrt(factor * case.facts.blind)
        if not spread > LARGE and not 0 < spread < SMALL:
            return
        last = case.layers[-1] if case.layers else None
        yield Finding(
            self.name,
            "severe" if spread > SEVERE else "warning",
            f"Targets spread by {told(spread)}; weights and rates are made for about 1.",
            last,
            (last,) if last is not None else (),
            None,
            "data",
            {"spread": spread, "large": LARGE, "small": SMALL},
            remedies("standardise targets", "lower rate", "adam", "clip"),
        )
