"""A NaN or an infinity, and where it came from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule, rule
from gradwell.doctor.remedies import remedies


@rule
class NonFinite(Rule):
    """Any step with a NaN or an infinity; the origin as the replay of its batch named it."""

    name = "nonfinite"
    source = "any such value"
    explained_by = ("violent_updates", "exploding", "batch_normalization", "inputs")

    def missing(self, case: Case) -> str | None:
        """Return what was not measured."""
        return None if case.fault or case.skipped else super().missing(case)

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield at most one finding."""
        record = case.record
        kinds = [kind for kind in record.kinds if len(record)]
        counts = np.zeros((len(record), len(case.layers)))
        for kind in kinds:
            counts += np.nan_to_num(record.nans(kind) + record.infs(kind))
        bad = np.nansum(counts, axis=1) > 0
        if case.fault is None and not case.skipped and not bad.any():
            return
        fault = case.fault
        helps = remedies("lower rate", "clip", "standardise")
        if fault is not None:
            where = f"in the {fault.phase} pass" + (f" of layer {fault.layer}" if fault.layer is not None else "")
            steps = sorted({*case.skipped, fault.step})
            text = f"The first value that is not finite was made {where}, by {fault.operation}."
            if fault.phase == "input":
                text = "The samples have values that are not finite."
            factor = "data" if fault.phase == "input" else None
            evidence = {"steps": float(len(steps))}
            yield Finding(self.name, "severe", text, fault.layer, (), (steps[0], steps[-1]), factor, evidence, helps)
            return
        layers = [case.layers[i] for i in np.flatnonzero(np.nansum(counts, axis=0) > 0)]
        steps = list(case.skipped) or [int(s) for s in record.steps[bad]]
        inputs = None if case.facts is None else case.facts.inputs
        given = inputs is not None and not np.isfinite(inputs.mean)
        text = f"Values that are not finite at {len(steps)} step{'s' * (len(steps) != 1)}"
        yield Finding(
            self.name,
            "severe",
            f"{text}; the samples have some." if given else f"{text}.",
            layers[-1] if layers else None,
            tuple(layers),
            (steps[0], steps[-1]),
            "data" if given else None,
            {"steps": float(len(steps))},
            helps,
        )
