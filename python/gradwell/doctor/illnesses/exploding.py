"""The error signal grows on its way to the front."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case, middle, windows
from gradwell.doctor.finding import Finding
from gradwell.doctor.illnesses.passage import at_fault, factors, missing_passage, onset, passage, place
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told

GROWTH, SEVERE = 2.0, 3.5


@rule
class Exploding(Rule):
    """First over last hidden layer's |delta| above 100, at the first record or the median of a third.

    Twice as far from 1, in logarithms, as what counts as vanishing: a front that learns faster does less harm than one
    that does not learn. Growth that batch normalisation makes is the rule batch_normalization's.
    """

    name = "exploding"
    source = "Pascanu, Mikolov and Bengio, 2013; the threshold by trial on networks that train"
    explained_by = ("initialization", "violent_updates")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return super().missing(case) or missing_passage(case)

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        found = passage(case)
        if found is None:
            return
        level = max(float(middle(part)) for part in windows(found.ratio))
        if not level > GROWTH:
            return
        parts = factors(case, onset(found.ratio > GROWTH))
        factor = at_fault(parts, False)
        if factor == "norm":
            return
        expected = "" if math.isnan(found.expected) else f" (expected of the start: {told(10**found.expected)})"
        layers = [case.layers[i] for i in case.trunk[:-1] if found.gains[i] > GROWTH / len(case.trunk)]
        yield Finding(
            self.name,
            "severe" if level > SEVERE else "warning",
            f"The first hidden layer's error signal is {told(10**level)} times larger than the last's{expected}.",
            place(case, found, factor),
            tuple(layers),
            case.span(found.ratio > GROWTH),
            factor,
            {
                "log10_ratio": level,
                "threshold": GROWTH,
                "expected_log10_ratio": found.expected,
                "largest_gain": float(10 ** np.nanmax(found.gains)),
                **{f"log10_{part}": value for part, value in parts.items()},
            },
            remedies("matching init", "lsuv", "layernorm", "clip", "lower rate"),
        )
