"""Initial weights that cannot work: all equal, or wrong by the theory of random networks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.illnesses.passage import HALF
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told
from gradwell.facts import Moments

EQUAL = 1e-14  # of the mean square: float32 tells values apart down to some 1e-15
FAR = 3 / np.log(10)  # as in vanishing


@rule
class Initialization(Rule):
    """Hidden layers whose weights are all equal, or expected gains that lose or multiply the error by e^3.

    Units that start equal stay equal. The expected passage is that of a random network with the same moments of weights
    (Poole et al., 2016; Schoenholz et al., 2017), so it does not depend on what training did.
    """

    name = "initialization"
    source = "Schoenholz et al., 2017"
    explained_by = ("inputs",)

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return "the network's start is not known" if case.facts is None else None

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        assert case.facts is not None
        equal = [case.layers[i] for i in case.trunk if _is_equal(case.facts.moments.get(f"{case.layers[i]}.weight"))]
        if equal:
            yield Finding(
                self.name,
                "severe",
                f"All weights of layer {equal[0]} start equal: its units stay copies of one another.",
                equal[0],
                tuple(equal),
                None,
                "weight",
                {"equal_layers": float(len(equal))},
                remedies("random init", "lsuv"),
            )
            return
        normed = any("norm" in case.record.descriptions[i] for i in case.trunk)
        if case.expected is None or len(case.trunk) < 2 or normed:
            return  # normalisation makes the weights' scale irrelevant
        error = case.expected.error
        first, last = case.trunk[0], case.trunk[-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = float(np.log10(error[first] / error[last]))
        if not abs(change) > (FAR if change < 0 else 2.0):
            return
        hidden = case.expected.hidden
        about = {} if hidden is None else {"chi": hidden.chi, "q": hidden.q, "trainable_depth": 6 * hidden.depth_scale}
        depth = "" if hidden is None else f"; they would train {6 * hidden.depth_scale:.2g} layers deep"
        what = "shrink" if change < 0 else "multiply"
        yield Finding(
            self.name,
            "warning",
            f"By its initial weights and activations the network would {what} the error signal "
            f"{told(10 ** abs(change))} times{depth}.",
            case.layers[first],
            tuple(case.layers[i] for i in case.trunk),
            None,
            _factor(case, change),
            {"expected_log10_ratio": change, "threshold": -FAR if change < 0 else 2.0, **about},
            remedies("matching init", "lsuv", "batchnorm", "residual"),
        )


def _is_equal(moments: Moments | None) -> bool:
    return moments is not None and moments.size > 1 and moments.variance <= EQUAL * moments.square


def _factor(case: Case, change: float) -> str:
    """Return "weight" where weights of their mean square cannot keep a norm, else "derivative"."""
    assert case.facts is not None
    spare = []
    for i in case.trunk:
        moments = case.facts.moments.get(f"{case.layers[i]}.weight")
        if moments is not None:
            half = case.record.descriptions[i].rsplit("+", 1)[-1] in HALF
            spare.append(case.facts.stages[i][2] * moments.square / (2.0 if half else 1.0))
    return "derivative" if change < 0 and spare and np.median(spare) > 0.8 else "weight"
