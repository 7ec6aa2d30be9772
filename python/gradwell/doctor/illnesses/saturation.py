"""Outputs where the activation is flat."""

from __future__ import annotations

from collections.abc import Iterable

from gradwell.doctor.case import Case, middle, most
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

SHARE, SEVERE = 0.5, 0.9
FLAT = ("sigmoid", "tanh")


@rule
class Saturation(Rule):
    """More than half of a hidden layer's outputs have under 1 % of the largest derivative.

    For tanh that is |z| > 3, for the logistic function |z| > 6 (Glorot and Bengio, 2010, draw such shares).
    """

    name = "saturation"
    source = "Glorot and Bengio, 2010"
    explained_by = ("inputs", "initialization", "violent_updates")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return super().missing(case) or (None if self._places(case) else "no hidden layer of tanh or logistic units")

    @staticmethod
    def _places(case: Case) -> list[int]:
        kinds = [description.rsplit("+", 1)[-1] for description in case.record.descriptions]
        return [i for i in range(len(kinds) - 1) if kinds[i] in FLAT]

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        shares = case.record.saturated()
        typical = middle(shares)
        bad = [i for i in self._places(case) if typical[i] > SHARE]
        if not bad:
            return
        worst = max(bad, key=lambda i: typical[i])
        yield Finding(
            self.name,
            "severe" if typical[worst] > SEVERE else "warning",
            f"{typical[worst]:.0%} of layer {case.layers[worst]}'s outputs lie where its activation is flat.",
            case.layers[worst],
            tuple(case.layers[i] for i in bad),
            case.span(most(shares[:, bad], 1) > SHARE),
            "derivative",
            {"share": float(typical[worst]), "threshold": SHARE},
            remedies("matching init", "standardise", "batchnorm", "lower rate"),
        )
