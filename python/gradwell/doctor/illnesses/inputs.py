"""Samples on a scale that initial weights are not made for."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told
from gradwell.layers import Embedding

LARGE, SMALL, WIDEST = 10.0, 0.02, 100.0


@rule
class Inputs(Rule):
    """Root mean square of the inputs above 10 or below 0.02, or of one feature 100 times the median feature's.

    Initial weights are made for inputs of variance about 1 (LeCun et al., 1998).
    """

    name = "inputs"
    source = "LeCun et al., 1998"

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        if case.facts is None or case.facts.inputs is None:
            return "the samples are not known"
        return "the inputs are tokens" if isinstance(next(iter(case.facts.layers), None), Embedding) else None

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        assert case.facts is not None
        inputs = case.facts.inputs
        assert inputs is not None
        size = math.sqrt(inputs.square) if inputs.square >= 0 else math.nan
        if not math.isfinite(size) or (SMALL <= size <= LARGE and inputs.widest <= WIDEST):
            return
        if inputs.widest > WIDEST:
            text = f"One feature is {told(inputs.widest)} times as large as the median feature."
        else:
            text = f"Inputs have a root mean square of {size:.3g}; weights are made for about 1."
        severe = size > 10 * LARGE or inputs.widest > 10 * WIDEST
        evidence = {"rms": size, "widest": inputs.widest, "large": LARGE, "small": SMALL}
        first = case.layers[0]
        yield Finding(
            self.name,
            "severe" if severe else "warning",
            text,
            first,
            (first,),
            None,
            "data",
            evidence,
            remedies("standardise", "batchnorm"),
        )
