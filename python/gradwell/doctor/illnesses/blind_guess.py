"""A loss no better than that of a guess which looks at no sample, or a start far above it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies
from gradwell.doctor.wording import told

LEARNT, ENOUGH = 0.95, 100
FAR = 30.0


@rule
class BlindGuess(Rule):
    """Mean loss over the last tenth of 100 steps or more above 95 % of a blind guess, or the first loss 30 times it.

    The best constant answer gives the classes' shares, or the targets' mean (Karpathy, 2019: "verify loss at init").
    """

    name = "blind_guess"
    source = "Karpathy, 2019"
    explained_by = (
        *("nonfinite", "inputs", "targets", "violent_updates", "vanishing", "short_memory", "dead_units", "saturation"),
        *("exploding", "batch_normalization", "initialization", "clipping", "stalled_updates", "rank_collapse"),
        *("shattered_gradient", "slow_updates", "edge_of_stability", "noisy_gradient"),
    )

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        if case.facts is None or case.facts.blind is None:
            return "the loss of a blind guess is not known"
        if case.facts.blind < 1e-6:
            return "the targets are all the same"
        return None if case.trained or case.record.loss is not None else "no loss"

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        assert case.facts is not None
        assert case.facts.blind is not None
        blind = case.facts.blind
        first = float(case.losses[0]) if case.trained else float(case.record.loss or 0.0)
        count = len(case.losses)
        last = float(np.mean(case.losses[-max(count // 10, 10) :])) if count else first
        evidence = {"first": first, "last": last, "blind": blind}
        if count >= ENOUGH and not last < LEARNT * blind:
            yield Finding(
                self.name,
                "severe",
                f"After {count} steps the loss is {last:.4g}; an answer that looks at no sample has {blind:.4g}.",
                None,
                (),
                (count - count // 10, count - 1),
                "loss",
                {**evidence, "threshold": LEARNT * blind},
                remedies("adam", "lsuv", "higher rate", "standardise"),
            )
        elif first > FAR * blind:
            yield Finding(
                self.name,
                "warning",
                f"The first loss is {first:.4g}, {told(first / blind)} times a blind guess: outputs start far off.",
                case.layers[-1],
                (case.layers[-1],),
                (0, 0) if count else None,
                "loss",
                {**evidence, "threshold": FAR * blind},
                remedies("lsuv", "standardise", "lower rate"),
            )
