"""Measurements of arrays that come one by one, and the gradient record they make up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.statistics import QUANTITIES, GradientRecord

Array = NDArray[Any]

FIELDS = len(QUANTITIES)
COUNT, NORM, RMS, MEAN, STD, MIN, MAX, LARGEST, SMALLEST, ZEROS, NANS, INFS = range(FIELDS)


class Measurement(NamedTuple):
    """Statistics of one quantity of one layer in one step, and its histogram: see `GradientRecord`."""

    numbers: Array
    low: int
    """Exponent of the first bin."""
    counts: Array

    def merged(self, other: Measurement) -> Measurement:
        """Return the statistics of both sets of numbers taken together."""
        if not len(other.counts):
            return self._replace(numbers=_merged(self.numbers, other.numbers))
        if not len(self.counts):
            return other._replace(numbers=_merged(self.numbers, other.numbers))
        low = min(self.low, other.low)
        high = max(self.low + len(self.counts), other.low + len(other.counts))
        counts = np.zeros(high - low, np.int64)
        for part in (self, other):
            counts[part.low - low : part.low - low + len(part.counts)] += part.counts
        return Measurement(_merged(self.numbers, other.numbers), low, counts)


def measured(arrays: list[Array], scales: Sequence[float]) -> list[Measurement]:
    """Measure arrays, all in one call; their values are `scales`, powers of two, times what counts."""
    numbers, where, counts = _core.gradient_statistics_of_all(arrays, True)
    found = []
    for row, (low, bins, at), scale in zip(numbers, where.tolist(), scales, strict=True):
        if scale != 1.0:
            row[[NORM, RMS, MEAN, STD, MIN, MAX, LARGEST, SMALLEST]] /= scale
        found.append(Measurement(row, low - round(math.log2(scale)), counts[at : at + bins]))
    return found


def _merged(a: Array, b: Array) -> Array:
    """Return the numbers of two sets taken together."""
    if a[COUNT] == 0 or b[COUNT] == 0:
        return b.copy() if a[COUNT] == 0 else a.copy()
    found = a + b  # counts add up
    weights = np.array([s[COUNT] - s[NANS] - s[INFS] for s in (a, b)])
    total = weights.sum()
    found[NORM] = math.hypot(a[NORM], b[NORM])
    found[RMS] = found[NORM] / math.sqrt(total) if total else math.nan
    known = [s for s, w in zip((a, b), weights, strict=True) if w]
    if len(known) == 1:
        found[[MEAN, STD, MIN, MAX, LARGEST]] = known[0][[MEAN, STD, MIN, MAX, LARGEST]]
    else:
        share = weights / total if total else weights
        found[MEAN] = share @ [a[MEAN], b[MEAN]]
        spread = share @ [a[STD] ** 2, b[STD] ** 2] + share[0] * share[1] * (a[MEAN] - b[MEAN]) ** 2
        found[STD] = math.sqrt(spread)
        found[MIN], found[MAX] = min(a[MIN], b[MIN]), max(a[MAX], b[MAX])
        found[LARGEST] = max(a[LARGEST], b[LARGEST])
    found[SMALLEST] = np.fmin(a[SMALLEST], b[SMALLEST])
    return found


class Waiting(NamedTuple):
    """An array that is to be measured."""

    kind: str  # "error", "activation", "output" or "parameter"
    name: str
    array: Array
    scale: float = 1.0


class Step:
    """What was measured in one training step: by (kind, layer or parameter)."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []
        self.found: dict[tuple[str, str], Measurement] = {}
        self.saturated: dict[str, float] = {}
        self.dead: dict[str, float] = {}
        self.updates: dict[str, tuple[float, float]] = {}

    def settle(self) -> tuple[str, str] | None:
        """Measure what is waiting; return kind and name of the first with a value that is not finite."""
        items, self.waiting = self.waiting, []
        first = None
        results = measured([item.array for item in items], [item.scale for item in items])
        for item, result in zip(items, results, strict=True):
            key = item.kind, item.name
            self.found[key] = self.found[key].merged(result) if key in self.found else result
            if first is None and result.numbers[NANS] + result.numbers[INFS] > 0:
                first = key
        return first

    def output_gradient(self, name: str) -> float:
        """Return |dC/dy| of a layer; that of its error where nothing follows it but another layer."""
        found = self.found.get(("output", name)) or self.found.get(("error", name))
        return float(found.numbers[NORM]) if found else math.nan


def chunk_of(steps: Sequence[tuple[int, Step]], layers: Sequence[str], parameters: Sequence[str]) -> dict[str, Array]:
    """Return steps in the form in which a compiled program hands over its record."""
    order = [("error", name) for name in layers] + [("activation", name) for name in layers]
    order += [("parameter", name) for name in parameters]
    rows = len(steps)
    statistics = np.full((rows, len(order), FIELDS), np.nan)
    where = np.zeros((rows, len(order), 3), np.int64)
    counts: list[Array] = []
    offset = 0
    stages = np.full((rows, len(layers), 5), np.nan)
    values = np.full((rows, len(parameters), 2), np.nan)
    for row, (_, step) in enumerate(steps):
        for entry, key in enumerate(order):
            measurement = step.found.get(key)
            if measurement is None:
                continue
            statistics[row, entry] = measurement.numbers
            where[row, entry] = measurement.low, len(measurement.counts), offset
            counts.append(measurement.counts.astype(np.uint32))
            offset += len(measurement.counts)
        for i, name in enumerate(layers):
            stages[row, i, :3] = (
                step.output_gradient(name),
                step.saturated.get(name, math.nan),
                step.dead.get(name, math.nan),
            )
        for i, name in enumerate(parameters):
            values[row, i] = step.updates.get(name, (math.nan, math.nan))
    return {
        "steps": np.array([number for number, _ in steps], np.int64),
        "statistics": statistics,
        "histograms": where,
        "counts": np.concatenate(counts) if counts else np.zeros(0, np.uint32),
        "stages": stages,
        "parameters": values,
        "time": np.zeros((rows, 0)),
    }


def record_of(
    stages: Sequence[tuple[str, str]], parameters: Sequence[tuple[str, str]], chunk: dict[str, Array] | None = None
) -> GradientRecord:
    """Return a record of stages (name, description) in a row, and of parameters (name, stage)."""
    names = [name for name, _ in stages]
    last = len(stages) - 1
    full = [(name, kind, 0, 0, i - 1, i + 1 if i < last else -1) for i, (name, kind) in enumerate(stages)]
    record = GradientRecord(full, [(name, names.index(stage)) for name, stage in parameters])
    if chunk is not None:
        record.append(chunk)
    return record
