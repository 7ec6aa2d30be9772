"""Units that are off, or saturated, for every sample."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case, middle, most
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

SHARE, SEVERE = 0.5, 0.9


@rule
class DeadUnits(Rule):
    """More than half of a hidden layer's units have no derivative for any of 1,000 samples.

    The share less two standard errors of a share of that many units must exceed 1/2 (the share that SageMaker Debugger
    takes); severe above 0.9.
    """

    name = "dead_units"
    source = "Amazon SageMaker Debugger, DeadRelu; Lu et al., 2019"
    explained_by = ("inputs", "violent_updates", "initialization")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        reason = super().missing(case)
        if reason is None and not np.isfinite(case.record.dead()[:, case.trunk]).any():
            reason = "fewer than 1,000 samples recorded, or no hidden activation"
        return reason

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        dead = case.record.dead()
        late = middle(dead[len(dead) // 2 :]) if len(dead) > 1 else dead[-1]
        sure = {}
        for i in range(len(case.layers) - 1):
            units = case.facts.stages[i][3] if case.facts else 30
            if np.isfinite(late[i]):
                sure[i] = float(late[i] - 2 * np.sqrt(late[i] * (1 - late[i]) / units))
        bad = [i for i, share in sure.items() if share > SHARE]
        if not bad:
            return
        worst = max(bad, key=lambda i: late[i])
        relu = "relu" in case.record.descriptions[worst]
        yield Finding(
            self.name,
            "severe" if late[worst] > SEVERE else "warning",
            f"{late[worst]:.0%} of layer {case.layers[worst]}'s units have no derivative for any sample looked at.",
            case.layers[worst],
            tuple(case.layers[i] for i in bad),
            case.span(most(dead[:, bad], 1) > SHARE),
            "derivative",
            {"share": float(late[worst]), "threshold": SHARE},
            remedies(*(("leaky relu",) if relu else ()), "lower rate", "batchnorm", "lsuv", "standardise"),
        )
