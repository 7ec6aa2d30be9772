"""Gradients of neighbouring inputs that resemble white noise."""

from __future__ import annotations

from collections.abc import Iterable

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

SHATTERED, SEVERE = 0.5, 0.2


@rule
class ShatteredGradient(Rule):
    """A mean cosine below 0.5 between dC/dx at neighbours among 64 points on the line between two samples.

    It is near 1 in shallow and in residual networks, and falls towards 0 with depth in plain ones (Balduzzi et al.,
    2017), at once where weights are so large that neighbours part from layer to layer.
    """

    name = "shattered_gradient"
    source = "Balduzzi et al., 2017"
    explained_by = ("nonfinite", "inputs", "exploding", "initialization", "saturation")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        if case.probe is None:
            return "no look at the network (gradwell.doctor.probe)"
        if case.probe.resemblance is None:
            return "sequences, tokens, layers that look at the whole batch or draw at random, or no gradient"
        return None

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        assert case.probe is not None
        found = case.probe.resemblance
        assert found is not None
        if found >= SHATTERED:
            return
        yield Finding(
            self.name,
            "severe" if found < SEVERE else "warning",
            f"Gradients of neighbouring inputs have a mean cosine of {found:.2g}: they are close to white noise.",
            case.layers[0] if case.layers else None,
            tuple(case.layers[i] for i in case.trunk),
            None,
            "weight",
            {"cosine": found, "threshold": SHATTERED},
            remedies("residual", "lsuv", "matching init", "orthogonal layers"),
        )
