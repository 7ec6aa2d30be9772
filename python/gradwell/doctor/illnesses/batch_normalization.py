"""Batch normalisation multiplies the error signal at every layer."""

from __future__ import annotations

from collections.abc import Iterable

from gradwell.doctor.case import Case, middle, windows
from gradwell.doctor.finding import Finding
from gradwell.doctor.illnesses.passage import at_fault, factors, missing_passage, onset, passage, place
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told

GROWTH, SEVERE = 2.0, 3.5


@rule
class BatchNormalization(Rule):
    """First over last hidden layer's |delta| above 100 by normalisation, first or the median of a third.

    Deep stacks of batch normalisation without skip connections multiply the squared gradient by pi / (pi - 1) a layer
    for relu, whatever the weights (Yang et al., 2019).
    """

    name = "batch_normalization"
    source = "Yang et al., 2019"

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        normed = any(kind.startswith("batchnorm") for kind in case.record.descriptions)
        return super().missing(case) or (missing_passage(case) if normed else "no batch normalisation")

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        found = passage(case)
        level = 0.0 if found is None else max(float(middle(part)) for part in windows(found.ratio))
        if found is None or not level > GROWTH:
            return
        parts = factors(case, onset(found.ratio > GROWTH))
        if at_fault(parts, False) != "norm":
            return
        yield Finding(
            self.name,
            "severe" if level > SEVERE else "warning",
            f"The first hidden layer's error signal is {told(10**level)} times larger than the last's, and batch "
            f"normalisation is what multiplies it: by {10 ** parts['norm']:.3g} in all.",
            place(case, found, "norm"),
            tuple(case.layers[i] for i in case.trunk if case.record.descriptions[i].startswith("batchnorm")),
            case.span(found.ratio > GROWTH),
            "norm",
            {"log10_ratio": level, "threshold": GROWTH, **{f"log10_{p}": v for p, v in parts.items()}},
            remedies("residual", "fewer layers", "lower rate", "clip"),
        )
