"""Weights whose norm runs away."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told

GROWTH, SEVERE = 10.0, 100.0


@rule
class WeightGrowth(Rule):
    """A weight matrix whose norm has grown more than tenfold since the first recorded step."""

    name = "weight_growth"
    source = "by trial on networks that train: threefold is usual"
    explained_by = ("violent_updates", "batch_normalization", "exploding", "inputs", "nonfinite", "initialization")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        if not (case.trained and len(case.record) > 1):
            return super().missing(case) or "fewer than two records of a training"
        return None if "weight" in case.record.kinds else "no layer has weights"

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        sizes = case.record.size("weight")
        with np.errstate(invalid="ignore", divide="ignore"):
            growth = np.where(sizes[0] > 0, sizes[-1] / sizes[0], np.nan)
        if not (np.isfinite(growth).any() and np.nanmax(growth) > GROWTH):
            return
        worst = int(np.nanargmax(growth))
        yield Finding(
            self.name,
            "severe" if growth[worst] > SEVERE else "warning",
            f"The norm of layer {case.layers[worst]}'s weights has grown {told(growth[worst])} times.",
            case.layers[worst],
            tuple(case.layers[i] for i in np.flatnonzero(growth > GROWTH)),
            case.span(sizes[:, worst] > GROWTH * sizes[0, worst]),
            "weight",
            {"growth": float(growth[worst]), "threshold": GROWTH},
            remedies("decay", "lower rate"),
        )
