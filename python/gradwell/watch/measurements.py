"""Measurements of arrays that come one by one, and the gradient record they make up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.statistics import QUANTITIES, GradientRecord

Array = NDArray[Any]

FIELDS = len(QUANTITIES)
COUNT, NORM, RMS, MEAN, STD, MIN, MAX, LARGEST, SMALLEST, ZEROS, NANS, INFS = range(FIELDS)


class Measurement:
    """Statistics of one quantity of one layer in one step, of all arrays it came in: see `GradientRecord`."""

    def __init__(self) -> None:
        self.numbers = np.full(FIELDS, np.nan)
        self.numbers[[COUNT, NORM, ZEROS, NANS, INFS]] = 0
        self.histogram: Array | None = None

    def add(self, array: Array, scale: float = 1.0) -> None:
        """Take an array in; its values are `scale` times what counts, a power of two."""
        numbers, histogram = _core.gradient_statistics(array, True)
        new = np.array(numbers, np.float64)
        if scale != 1.0:
            new[[NORM, RMS, MEAN, STD, MIN, MAX, LARGEST, SMALLEST]] /= scale
            histogram = np.roll(histogram, -round(math.log2(scale)))
        self.histogram = histogram if self.histogram is None else self.histogram + histogram
        self.numbers = new if self.numbers[COUNT] == 0 else _merged(self.numbers, new)

    @property
    def nonfinite(self) -> bool:
        """Whether there was a NaN or an infinity."""
        return bool(self.numbers[NANS] + self.numbers[INFS] > 0)


def _merged(a: Array, b: Array) -> Array:
    """Return the statistics of two sets of numbers taken together."""
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


class Step:
    """What was measured in one training step: by (kind, layer or parameter)."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Measurement] = {}
        self.output_gradients: dict[str, float] = {}
        self.saturated: dict[str, float] = {}
        self.dead: dict[str, float] = {}
        self.updates: dict[str, tuple[float, float]] = {}

    def measure(self, kind: str, name: str, array: Array, scale: float = 1.0) -> Measurement:
        """Measure an array of a kind."""
        measurement = self.found.setdefault((kind, name), Measurement())
        measurement.add(array, scale)
        return measurement


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
            if measurement is None or measurement.histogram is None:
                continue
            statistics[row, entry] = measurement.numbers
            occupied = np.flatnonzero(measurement.histogram)
            if occupied.size:
                first, last = int(occupied[0]), int(occupied[-1]) + 1
                where[row, entry] = first - _core.exponent_bias, last - first, offset
                counts.append(measurement.histogram[first:last].astype(np.uint32))
                offset += last - first
        for i, name in enumerate(layers):
            stages[row, i, :3] = (
                step.output_gradients.get(name, math.nan),
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
