"""Errors that leave the range of float32 and become 0."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case, middle
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

SMALLEST = 2.0**-116  # within a thousand of the smallest normal float32
SHARE = 0.1


@rule
class Underflow(Rule):
    """The smallest non-zero error of a layer within 2^10 of float32's smallest normal number, and a tenth of them 0."""

    name = "underflow"
    source = "IEEE 754"
    explained_by = ("vanishing", "saturation", "dead_units", "initialization", "inputs")

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        record = case.record
        smallest = middle(record.smallest("error"))
        with np.errstate(invalid="ignore", divide="ignore"):
            zeros = middle(record.zeros("error") / record.get("error", "count"))
            norms = middle(record.norm("error"))
        tiny = (smallest > 0) & (smallest < SMALLEST) & (zeros > SHARE)
        gone = (norms == 0) & (middle(record.norm("error"))[-1] > 0)
        bad = np.flatnonzero(tiny | gone)
        if not bad.size:
            return
        worst = int(bad[np.argmax(zeros[bad])])
        yield Finding(
            self.name,
            "warning",
            f"{zeros[worst]:.0%} of layer {case.layers[worst]}'s errors are 0, and the others near the end of float32.",
            case.layers[worst],
            tuple(case.layers[i] for i in bad),
            None,
            "format",
            {"zeros": float(zeros[worst]), "smallest": float(smallest[worst]), "threshold": SMALLEST},
            remedies("amplify", "residual"),
        )
