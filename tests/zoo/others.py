"""What other tools' default thresholds say on the same records: sick, if any rule fires at any of ten steps.

Mean magnitudes are taken as sqrt(2 / pi) of the root mean square, exact for normal numbers: the record holds no mean
magnitude. Only rules that the record can answer are applied.
"""

from __future__ import annotations

import numpy as np


def rows(record):
    """Ten recorded steps, spread over the training."""
    return np.unique(np.linspace(0, len(record) - 1, 10).astype(int))


def magnitudes(record, at):
    return np.sqrt(2 / np.pi) * record.rms("weight")[at] if "weight" in record.kinds else np.zeros((len(at), 0))


def known(values):
    return values[:, np.isfinite(values).any(axis=0)] if values.size else values


def sagemaker(record, losses):
    """Amazon SageMaker Debugger: vanishing gradient, dead relu, exploding tensor."""
    at = rows(record)
    small = known(magnitudes(record, at))
    bad = record.nans("weight") + record.infs("weight") if "weight" in record.kinds else np.zeros((1, 1))
    with np.errstate(invalid="ignore"):
        return bool((small < 1e-7).any() or np.nansum(bad) > 0 or (record.dead()[at] > 0.5).any())


def autotrainer(record, losses):
    """AutoTrainer: vanish, explode, dying relu."""
    at = rows(record)
    size = known(magnitudes(record, at))
    if size.shape[1] < 2:
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = size[:, 0] / size[:, -1]
        zeros = known(record.zeros("weight")[at] / record.get("weight", "count")[at])
    vanish = (ratio < 1e-3) & (size[:, 0] < 1e-4)
    explode = (ratio > 70) | ~np.isfinite(ratio)
    return bool(vanish.any() or explode.any() or (losses >= 1e3).any() or (zeros >= 0.7).any())


def deepchecker(record, losses):
    """TheDeepChecker: vanishing and exploding gradients, layer by layer."""
    size = known(magnitudes(record, rows(record)))
    if size.shape[1] < 2:
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        step = size[:, :-1] / size[:, 1:]
    mean = np.array([np.median(row[np.isfinite(row)]) for row in step if np.isfinite(row).any()])
    return bool((size < 1e-6).any() or (size > 1e6).any() or (mean < 0.5).any() or (mean > 2).any())


def torchmortem(record, losses):
    """torchmortem: ratio of last to first layer, and norms."""
    norms = known(record.norm("weight")[rows(record)]) if "weight" in record.kinds else np.zeros((1, 0))
    if norms.shape[1] < 2:
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        return bool((norms[:, -1] / norms[:, 0] > 100).any() or (norms > 1000).any())


OTHERS = {"SageMaker": sagemaker, "AutoTrainer": autotrainer, "TheDeepChecker": deepchecker, "torchmortem": torchmortem}
