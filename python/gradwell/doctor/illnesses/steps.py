"""How far the steps of a training go, layer by layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradwell.doctor.case import Case


def step_ratios(case: Case) -> NDArray[np.float64]:
    """Return |step| / |weight| (records, layers), the largest of a layer's weights; NaN where there is none."""
    found = np.full((len(case.record), len(case.layers)), np.nan)
    for kind in case.record.kinds:
        if kind.endswith("weight"):
            ratio = case.record.update(kind)
            found = np.fmax(found, np.where(np.isfinite(ratio), ratio, np.nan))
    return found


def unmeasured_steps(case: Case) -> str | None:
    """Return why there are no steps to look at, or None."""
    if not case.trained:
        return "no training"
    return None if np.isfinite(step_ratios(case)).any() else "no update was measured"
