"""Measurements of arrays that come one by one, and the gradient record they make up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.statistics import QUANTITIES, GradientRecord
from gradwell.watch.merging import Measurement, merged_rows

Array = NDArray[Any]
Key = tuple[str, str]

FIELDS = len(QUANTITIES)
NORM, NANS, INFS = (QUANTITIES.index(name) for name in ("norm", "nans", "infs"))
SCALED = [QUANTITIES.index(name) for name in ("norm", "rms", "mean", "std", "min", "max", "largest", "smallest")]


class Step:
    """What was measured in one training step.

    Attributes
    ----------
    keys, numbers, where, counts
        Kind and layer or parameter of each array, its statistics (arrays, 12), for its histogram the exponent of the
        first bin, the bins and where they begin (arrays, 3), and the bins of all.
    outputs
        |dC/dy| by layer.
    saturated, dead
        Shares of outputs and of units by layer.
    moved
        Names of parameters, and |change| and |parameter| of each (parameters, 2).
    """

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.numbers: Array = np.zeros((0, FIELDS))
        self.where: Array = np.zeros((0, 3), np.int64)
        self.counts: Array = np.zeros(0, np.uint32)
        self.outputs: dict[str, float] = {}
        self.saturated: dict[str, float] = {}
        self.dead: dict[str, float] = {}
        self.moved: tuple[list[str], Array] = ([], np.zeros((0, 2)))

    def settle(
        self,
        keys: list[Key],
        arrays: list[Array],
        outputs: Sequence[tuple[str, Array]] = (),
        units: Sequence[tuple[Any, ...]] = (),
        scale: float = 1.0,
    ) -> tuple[list[Key], list[int]]:
        """Measure arrays by key, the norms of `outputs` by layer, and units, all in one call.

        Errors and outputs are `scale`, a power of two, times what counts. Returns the keys of arrays with a value that
        is not finite, in their order, and how many numbers of each set of units are saturated.
        """
        numbers, where, counts, norms, flat = _core.survey(arrays, [array for _, array in outputs], list(units), True)
        if scale != 1.0:
            scaled = [i for i, (kind, _) in enumerate(keys) if kind == "error"]
            numbers[np.ix_(scaled, SCALED)] /= scale
            where[scaled, 0] -= round(math.log2(scale))
        spoilt = [keys[i] for i in np.flatnonzero(numbers[:, NANS] + numbers[:, INFS])]
        self.keys, self.numbers, self.where, self.counts = keys, numbers, where, counts
        if len(set(keys)) < len(keys):
            self.keys, self.numbers, self.where, self.counts = merged_rows(keys, numbers, where, counts)
        for (name, _), norm in zip(outputs, norms.tolist(), strict=True):
            self.outputs[name] = math.hypot(self.outputs.get(name, 0.0), norm / scale)
        return spoilt, flat.tolist()


def measured(arrays: list[Array]) -> list[Measurement]:
    """Measure arrays, each by itself."""
    numbers, where, counts, _, _ = _core.survey(arrays, [], [], True)
    rows = zip(numbers, where.tolist(), strict=True)
    return [Measurement(row, low, counts[at : at + bins]) for row, (low, bins, at) in rows]


def chunk_of(steps: Sequence[tuple[int, Step]], layers: Sequence[str], parameters: Sequence[str]) -> dict[str, Array]:
    """Return steps in the form in which a compiled program hands over its record."""
    order = [("error", name) for name in layers] + [("activation", name) for name in layers]
    entries = {key: i for i, key in enumerate([*order, *(("parameter", name) for name in parameters)])}
    places = {name: i for i, name in enumerate(parameters)}
    rows = len(steps)
    statistics = np.full((rows, len(entries), FIELDS), np.nan)
    where = np.zeros((rows, len(entries), 3), np.int64)
    counts: list[Array] = []
    offset = 0
    stages = np.full((rows, len(layers), 5), np.nan)
    values = np.full((rows, len(parameters), 2), np.nan)
    for row, (_, step) in enumerate(steps):
        known, to = _placed(step.keys, entries)
        statistics[row, to] = step.numbers[known]
        where[row, to] = step.where[known] + [0, 0, offset]
        counts.append(step.counts)
        offset += len(step.counts)
        names, moved = step.moved
        known, to = _placed(names, places)
        values[row, to] = moved[known]
        errors = statistics[row, : len(layers), NORM].tolist()  # |dC/dy| where nothing follows a layer but another
        stages[row, :, 0] = [step.outputs.get(name, error) for name, error in zip(layers, errors, strict=True)]
        for column, shares in ((1, step.saturated), (2, step.dead)):
            stages[row, :, column] = [shares.get(name, math.nan) for name in layers]
    return {
        "steps": np.array([number for number, _ in steps], np.int64),
        "statistics": statistics,
        "histograms": where,
        "counts": np.concatenate(counts) if counts else np.zeros(0, np.uint32),
        "stages": stages,
        "parameters": values,
        "time": np.zeros((rows, 0)),
    }


def _placed(keys: Sequence[Any], entries: dict[Any, int]) -> tuple[list[int], list[int]]:
    """Return which keys the record knows, and where they go."""
    known = [i for i, key in enumerate(keys) if key in entries]
    return known, [entries[keys[i]] for i in known]


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
