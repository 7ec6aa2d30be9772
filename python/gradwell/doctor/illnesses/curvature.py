"""The learning rate beside the loss's curvature."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told

EDGE, BEYOND, FAR = 1.6, 2.5, 8.0
UNLEARNT = 0.5  # of a blind guess's loss: below, the sharpness has not kept the network from learning


@rule
class EdgeOfStability(Rule):
    """Sharpness times learning rate, s = lambda eta / (1 + beta): above 2 a step along the top direction overshoots.

    Gradient descent trains at s near 2 of itself, the edge of stability (Cohen et al., 2021): a note, and so is more
    where the loss is below half of a blind guess's. Else s above 2.5 is a warning, above 8 severe. Plain and momentum
    gradient descent only.
    """

    name = "edge_of_stability"
    source = "Cohen et al., 2021"
    explained_by = ("nonfinite", "inputs", "exploding", "violent_updates", "batch_normalization", "initialization")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        if case.probe is None:
            return "no look at the network (gradwell.doctor.probe)"
        if not math.isfinite(case.probe.sharpness):
            return "the curvature is not finite or not known"
        if case.facts is None or not math.isfinite(case.facts.learning_rate):
            return "the learning rate is not known"
        rule = (case.facts.optimizer or {}).get("name")
        return None if rule in ("sgd", "momentum", "nesterov") else f"{rule} scales every step by itself"

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        assert case.probe is not None
        assert case.facts is not None
        rate = case.facts.learning_rate
        momentum = float((case.facts.optimizer or {}).get("momentum", 0.0))
        product = case.probe.sharpness * rate / (1 + momentum)
        if product < EDGE:
            return
        probe = case.probe
        learnt = probe.blind is not None and probe.loss < UNLEARNT * probe.blind
        severity = "note" if product < BEYOND or learnt else "warning" if product < FAR else "severe"
        what = "at the edge of stability" if product < BEYOND else "above 2 steps overshoot"
        yield Finding(
            self.name,
            severity,
            f"The loss bends by {told(probe.sharpness)}: times the learning rate {product:.2g}, {what}.",
            None,
            (),
            None,
            "rate",
            {"sharpness": probe.sharpness, "learning_rate": rate, "product": product, "threshold": BEYOND},
            remedies("lower rate", "clip", "batchnorm"),
        )
