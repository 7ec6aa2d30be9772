"""Steps too short to learn anything in the time there was."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case, middle
from gradwell.doctor.finding import Finding
from gradwell.doctor.illnesses.stalled_updates import LOST
from gradwell.doctor.illnesses.steps import step_ratios
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies

SLOW = 3e-5  # of the weights a step; a thousandth is usual
ENOUGH = 100  # steps
UNLEARNT = 0.9  # of the first loss, and of a blind guess's


@rule
class SlowUpdates(Rule):
    """|step| / |weight| of every layer below 3e-5, the median of the records, and a loss that has hardly fallen.

    That is a loss still above 0.9 of the first, and of a blind guess's where that is known, after 100 steps or more.
    """

    name = "slow_updates"
    source = "Karpathy, 2019"
    explained_by = (
        *("nonfinite", "clipping", "stalled_updates", "vanishing", "dead_units", "saturation", "initialization"),
        *("inputs", "exploding", "batch_normalization", "rank_collapse", "short_memory"),
    )

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return super().missing(case) or (None if len(case.losses) >= ENOUGH else f"fewer than {ENOUGH} training steps")

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        typical = middle(step_ratios(case))
        if not np.isfinite(typical).any():
            return
        largest = int(np.nanargmax(typical))
        tenth = max(len(case.losses) // 10, 10)
        first, last = float(np.mean(case.losses[:tenth])), float(np.mean(case.losses[-tenth:]))
        blind = case.facts.blind if case.facts is not None and case.facts.blind is not None else first
        if not LOST <= typical[largest] < SLOW or not last > UNLEARNT * max(first, 0.0) or not last > UNLEARNT * blind:
            return
        yield Finding(
            self.name,
            "warning",
            f"A step moves no layer's weights by more than {typical[largest]:.2g} of their norm (usual is 0.001), and "
            f"after {len(case.losses)} steps the loss is {last:.3g} of {first:.3g} at the start.",
            case.layers[largest],
            tuple(case.layers),
            case.span(np.ones(len(case.record), bool)),
            "rate",
            {"ratio": float(typical[largest]), "threshold": SLOW, "first": first, "last": last},
            remedies("higher rate", "adam"),
        )
