"""Representations that no longer tell samples apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

SPREAD = 1e-4  # of the mean square
RANK, OF_INPUTS = 1.2, 3.0


@rule
class RankCollapse(Rule):
    """Samples that behind a layer all look the same (spread below 1e-4), or differ in one direction only.

    The rank is the participation ratio of the covariance's eigenvalues: below 1.2 where that of the inputs is above 3.
    In the ordered phase representations of all samples become one, layer by layer (Schoenholz et al., 2017); without
    normalisation, products of random matrices lose their rank (Daneshmand et al., 2020).
    """

    name = "rank_collapse"
    source = "Daneshmand et al., 2020"
    explained_by = ("nonfinite", "inputs", "dead_units", "saturation", "initialization", "vanishing", "exploding")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        if case.probe is None:
            return "no look at the network (gradwell.doctor.probe)"
        found = case.probe.representations
        if found is None:
            return "sequences, or fewer than two samples"
        return None if len(found.layers) > 1 else "no hidden layers"

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        assert case.probe is not None
        found = case.probe.representations
        assert found is not None
        alike = found.spread[1:] < SPREAD
        flat = (found.rank[1:] < RANK) & (found.rank[0] > OF_INPUTS) & bool(found.spread[0] >= SPREAD)
        if not (alike | flat).any() or not found.spread[0] >= SPREAD:
            return
        at = int(np.argmax(alike | flat)) + 1
        layers = tuple(found.layers[1 + int(i)] for i in np.flatnonzero(alike | flat))
        if alike[at - 1]:
            what = f"all samples look the same: their variance is {found.spread[at]:.2g} of the mean square"
        else:
            what = f"samples differ in one direction only (rank {found.rank[at]:.3g}; inputs {found.rank[0]:.3g})"
        yield Finding(
            self.name,
            "severe" if alike.any() else "warning",
            f"Behind layer {found.layers[at]} {what}.",
            found.layers[at],
            layers,
            None,
            "weight",
            {
                "spread": float(found.spread[at]),
                "rank": float(found.rank[at]),
                "rank_of_inputs": float(found.rank[0]),
                "threshold": SPREAD if alike[at - 1] else RANK,
            },
            remedies("batchnorm", "residual", "lsuv", "matching init"),
        )
