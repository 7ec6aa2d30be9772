"""How the error signal fares on its way from the last hidden layer to the first, and which factor decides that."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.doctor.case import Case, logs, middle

Array = NDArray[Any]

HALF = ("relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "softplus")
"""Activations that pass half of the squared error by design: initial weights make up for it."""


class Passage(NamedTuple):
    """Figures of the way back through the hidden layers."""

    kind: str
    """"error", or "weight" where only gradients of weights were measured, whose root mean squares then stand for it."""
    ratio: Array
    """log10 of first over last hidden layer's error norm (records,); NaN where the last's is 0."""
    gains: Array
    """log10 of each hidden layer's gain (layers,), the median of the records; NaN where not measured."""
    worst: int
    """Position of the layer with the least gain, or with the largest, by the sign of the passage."""
    expected: float
    """log10 of the ratio that theory expects of the start; NaN where it says nothing."""


def passage(case: Case) -> Passage | None:
    """Measure it; None where there are fewer than two hidden layers with gradients."""
    trunk = case.trunk
    record = case.record
    if len(trunk) < 2:
        return None
    kind = "error"
    sizes = record.norm("error")
    if not np.isfinite(sizes).any() and "weight" in record.kinds:
        kind, sizes = "weight", record.rms("weight")
        trunk = [i for i in trunk if np.isfinite(sizes[:, i]).any()]
    if len(trunk) < 2 or not np.isfinite(sizes).any():
        return None
    errors = logs(sizes)
    first, last = trunk[0], trunk[-1]
    way = trunk[:-1]
    gains = np.full(errors.shape[1], np.nan)
    gains[way] = middle(errors[:, way] - errors[:, trunk[1:]])
    ratio = np.where(sizes[:, last] > 0, errors[:, first] - errors[:, last], np.nan)
    downward = float(middle(ratio)) < 0
    known = [i for i in way if np.isfinite(gains[i])]
    worst = min(known, key=lambda i: gains[i] if downward else -gains[i]) if known else first
    return Passage(kind, ratio, gains, worst, _expected(case, first, last))


def onset(where: Array) -> Array:
    """Return where something holds for the first time: what follows may be its own work."""
    first = np.zeros_like(where)
    first[np.argmax(where)] = where.any()
    return first


def factors(case: Case, where: Array) -> dict[str, float]:
    """Return log10 of what each factor did in all, at the records (records,) where something holds.

    Below 0 it shrank the error. The half of the squared error that relu and its kin pass counts as the weights', which
    are to make up for it.
    """
    record = case.record
    derivative = middle(logs(record.gain("derivative")[where]))
    weight, norm = middle(logs(record.gain("weight")[where])), middle(logs(record.gain("norm")[where]))
    sums = {"weight": 0.0, "derivative": 0.0, "norm": 0.0}
    for i in case.trunk[:-1]:
        kind = record.descriptions[i].rsplit("+", 1)[-1]
        share = 0.5 * np.log10(0.5) if kind in HALF else 0.0
        if np.isfinite(derivative[i]):
            sums["derivative"] += float(derivative[i] - share)
        if np.isfinite(norm[i]):
            sums["norm"] += float(norm[i])
        elif np.isfinite(weight[i]):
            sums["weight"] += float(weight[i] + share)
    return sums


def _expected(case: Case, first: int, last: int) -> float:
    if case.expected is None:
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log10(case.expected.error[first] / case.expected.error[last]))


def place(case: Case, found: Passage, factor: str | None) -> str:
    """Return the layer at fault: the weights that hand back a layer's error are those of the layer above."""
    above = case.record.above[found.worst]
    return case.layers[above if factor in ("weight", "norm") and above >= 0 else found.worst]


def missing_passage(case: Case) -> str | None:
    """Return why there is no passage, or None."""
    return "fewer than two hidden layers with gradients" if passage(case) is None else None


def at_fault(parts: dict[str, float], downward: bool) -> str | None:
    """Return the factor that did most of it; None where none was measured."""
    if not any(parts.values()):
        return None
    choose = min if downward else max
    return choose(parts, key=lambda part: parts[part])
