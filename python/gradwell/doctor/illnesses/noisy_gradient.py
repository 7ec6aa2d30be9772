"""Batches too small for their noise: the gradients of two have nothing in common."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told

TIMES = 10.0  # the noise scale over the batch
UNLEARNT = 0.5  # of a blind guess's loss: below, noise is what is left of a gradient that has done its work


@rule
class NoisyGradient(Rule):
    """A noise scale tr(S) / |G|^2 of more than 10 batches while the loss is above half of a blind guess's.

    Steps then mostly undo one another (McCandlish et al., 2018); near a minimum that is how it should be.
    """

    name = "noisy_gradient"
    source = "McCandlish et al., 2018"
    explained_by = (
        *("nonfinite", "inputs", "initialization", "saturation", "exploding", "vanishing", "dead_units"),
        *("batch_normalization", "rank_collapse", "shattered_gradient", "short_memory"),
    )

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        if case.probe is None:
            return "no look at the network (gradwell.doctor.probe)"
        if case.probe.agreement is None:
            return "fewer samples than two batches, or sequences of lengths"
        return None if case.probe.blind is not None else "the loss of a blind guess is not known"

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        probe = case.probe
        assert probe is not None
        assert probe.agreement is not None
        assert probe.blind is not None
        agreement = probe.agreement
        scale = agreement.noise_scale / agreement.batch_size
        if not scale > TIMES or not probe.loss > UNLEARNT * probe.blind:
            return
        cosines = {name: value for name, value in agreement.cosine.items() if np.isfinite(value)}
        worst = min(cosines, key=lambda name: cosines[name], default=None)
        layers = (worst.rsplit(".", 1)[0],) if worst else ()
        size = f"{told(scale)} times the variance" if np.isfinite(scale) else "all that is left"
        yield Finding(
            self.name,
            "warning",
            f"Of the gradient of a batch of {agreement.batch_size} noise is {size} of the signal: batches disagree.",
            layers[0] if layers else None,
            layers,
            None,
            "data",
            {
                "noise_scale": agreement.noise_scale,
                "batch_size": float(agreement.batch_size),
                "threshold": TIMES * agreement.batch_size,
                "least_cosine": cosines[worst] if worst else float("nan"),
            },
            remedies("larger batch", "lower rate", "standardise"),
        )
