"""A gradient record as one flat table: a column for each layer, kind and quantity, a row for each recorded step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.statistics import QUANTITIES, GradientRecord

Array = NDArray[Any]

GAINS: Final = ("total", "weight", "derivative", "norm", "skip", "branch")


class Column(NamedTuple):
    """What a column of the table is of: the position of a layer, a kind and a quantity."""

    layer: int
    kind: str
    quantity: str


def columns_of(record: GradientRecord) -> list[Column]:
    """Return the table's columns in order: kind by kind, quantity by quantity, layer by layer.

    A layer that has no bias has no column of it. Beside the statistics of each kind there are "gain" by part, "update"
    and "size" by kind of parameter, and the shares "saturated" and "dead" among the quantities of "activation".

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> record = gw.gradients(gw.mlp([64, 30, 10], seed=0), x, y, loss="softmax_cross_entropy")
    >>> columns_of(record)[0], len(columns_of(record))
    (Column(layer=0, kind='error', quantity='count'), 120)
    """
    layers = range(len(record.layers))
    measured = {kind: np.zeros(len(layers), bool) for kind in record.kinds}
    for part in blocks(record, 1024):
        for kind in measured:
            measured[kind] |= np.isfinite(part.get(kind, "count")).any(axis=0)
    owners = {(what, kind): kind for what in ("update", "size") for kind in parameters_of(record)}
    found = []
    for kind, quantity in _tables(record):
        has = measured.get(owners.get((kind, quantity), kind))
        found += [Column(layer, kind, quantity) for layer in layers if has is None or has[layer]]
    return found


def values_of(record: GradientRecord, columns: list[Column]) -> Array:
    """Return the table's values (records, columns); NaN is not measured."""
    tables = {table: _values(record, *table) for table in dict.fromkeys((c.kind, c.quantity) for c in columns)}
    return np.stack([tables[c.kind, c.quantity][:, c.layer] for c in columns], axis=1)


def blocks(record: GradientRecord, rows: int) -> Iterator[GradientRecord]:
    """Return the record in parts of at most so many rows, one after the other."""
    for begin in range(0, len(record), rows):
        yield record[begin : begin + rows]


def parameters_of(record: GradientRecord) -> list[str]:
    """Return the kinds that are gradients of parameters."""
    return [kind for kind in record.kinds if kind not in ("error", "activation")]


def _tables(record: GradientRecord) -> list[tuple[str, str]]:
    found = []
    for kind in record.kinds:
        found += [(kind, quantity) for quantity in QUANTITIES]
        found += [(kind, share) for share in ("saturated", "dead") if kind == "activation"]
    found += [("gain", part) for part in GAINS]
    return found + [(what, kind) for what in ("update", "size") for kind in parameters_of(record)]


def _values(record: GradientRecord, kind: str, quantity: str) -> Array:
    if quantity in ("saturated", "dead"):
        return record.saturated() if quantity == "saturated" else record.dead()
    if kind in ("gain", "update", "size"):
        ask = {"gain": record.gain, "update": record.update, "size": record.size}[kind]
        return np.asarray(ask(quantity))
    return record.get(kind, quantity)
