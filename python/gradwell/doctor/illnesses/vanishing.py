"""The error signal shrinks on its way to the front."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case, middle
from gradwell.doctor.finding import Finding
from gradwell.doctor.illnesses.passage import Passage, at_fault, factors, missing_passage, passage, place
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told

TRAINABLE = 3 / math.log(10)  # 6 depth scales: the squared norm falls by e^-6
SEVERE = 3.0


@rule
class Vanishing(Rule):
    """First over last hidden layer's |delta| below e^-3, the median of the records.

    Networks train up to a depth of about six depth scales, over which the squared norm falls by e^-6 (Schoenholz et
    al., 2017); severe below 1e-3, which AutoTrainer (2021) takes.
    """

    name = "vanishing"
    source = "Schoenholz et al., 2017; Zhang et al. (AutoTrainer), 2021"
    explained_by = ("saturation", "dead_units", "inputs", "initialization")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return super().missing(case) or missing_passage(case)

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        found = passage(case)
        if found is None:
            return
        level = float(middle(found.ratio))
        if not level < -TRAINABLE:
            return
        low = found.ratio < -TRAINABLE
        parts = factors(case, low)
        factor = at_fault(parts, True)
        layers = [case.layers[i] for i in case.trunk[:-1] if found.gains[i] < -TRAINABLE / len(case.trunk)]
        kinds = {description.rsplit("+", 1)[-1] for description in case.record.descriptions}
        usual = ("tanh", "relu") if "sigmoid" in kinds and factor == "derivative" else ("matching init", "lsuv")
        yield Finding(
            self.name,
            "severe" if level < -SEVERE else "warning",
            _text(found, level, parts),
            place(case, found, factor),
            tuple(layers),
            case.span(low),
            factor,
            {
                "log10_ratio": level,
                "threshold": -TRAINABLE,
                "expected_log10_ratio": found.expected,
                "least_gain": float(10 ** np.nanmin(found.gains)),
                **{f"log10_{part}": value for part, value in parts.items()},
            },
            remedies(*usual, "batchnorm", "residual", "adam"),
        )


def _text(found: Passage, level: float, parts: dict[str, float]) -> str:
    expected = "" if math.isnan(found.expected) else f" (expected of the start: {told(10**-found.expected)})"
    what = "error signal" if found.kind == "error" else "weight gradient"
    text = f"The first hidden layer's {what} is {told(10**-level)} times smaller than the last's{expected}"
    if not any(parts.values()):
        return f"{text}."
    return (
        f"{text}; weights multiply it by {10 ** parts['weight']:.2g} on that way, derivatives by "
        f"{10 ** parts['derivative']:.2g}."
    )
