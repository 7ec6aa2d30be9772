"""`compare`: the first step and layer at which two runs part, and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_number
from gradwell.doctor.case import middle
from gradwell.doctor.compared import PHASES, Comparison, Difference, Losses
from gradwell.doctor.given import given_differently
from gradwell.doctor.sides import Side
from gradwell.statistics import QUANTITIES

Array = NDArray[Any]

MATCHES = ("name", "position")


def compare(a: Any, b: Any, *, match: str = "name", rtol: float = 1.0) -> Comparison:
    """Say where two runs part: the same script on two machines, in two precisions, with and without a change.

    Compared are the steps and the layers that both recorded. Within a step, time runs through the weights, the forward
    pass from the input up, the loss, the backward pass from the output down, and the update; the first value in that
    order that differs is the first difference. Values that one of the two did not measure are not compared. What is
    compared are statistics in double precision: one unit in the last place of a single float32 weight shows at once;
    of a float64 weight it may be lost in the rounding of their sums, and shows later.

    Parameters
    ----------
    a, b
        A `History`, a watch (`gradwell.watch`) or a `GradientRecord`. Histories and watches have their losses
        compared at every step, recorded or not.
    match
        "name" pairs layers of the same name, "position" the first with the first and so on.
    rtol
        Norms, relative updates and losses of different behaviour are apart by more than this share of the smaller one;
        1.0 is a factor of 2.

    Returns
    -------
    Comparison
        `identical`, `first_difference`, `parted` (the first beyond the tolerance), `ratios` by layer, `losses`,
        `given`.

    Raises
    ------
    TypeError, ValueError
        Something that has no record; no layer or no recorded step in common.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> def run(schedule):
    ...     net = gw.mlp([64, 30, 30, 10], activation="tanh", seed=0)
    ...     return gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(schedule), stats=True)
    >>> a, b = run(0.1), run(gw.schedules.StepDecay(0.1, every=20, factor=0.5))
    >>> found = gw.compare(a, b).first_difference
    >>> found.step, found.phase, found.kind
    (20, 'update', 'update')
    """
    if match not in MATCHES:
        raise ValueError(f'[compare] match is "{match}"; needs one of {", ".join(MATCHES)}')
    rtol = check_number("compare", "rtol", rtol, lowest=0.0)
    left, right = Side.of(a, "compare", "a"), Side.of(b, "compare", "b")
    pairs = _paired(left, right, match)
    steps, rows_a, rows_b = _common_steps(left, right)
    losses = _losses(left, right)
    tables = _Tables(left, right, pairs, rows_a, rows_b)
    first = _first(tables, steps, losses, None)
    layers = left.record.layers
    ours, theirs = {i for i, _ in pairs}, {j for _, j in pairs}
    given = given_differently(left.facts, right.facts) if left.facts and right.facts else None
    return Comparison(
        first,
        None if first is None else _first(tables, steps, losses, rtol),
        rtol,
        steps,
        tuple(layers[i] for i, _ in pairs),
        tuple(name for i, name in enumerate(layers) if i not in ours),
        tuple(name for j, name in enumerate(right.record.layers) if j not in theirs),
        tables.medians(),
        losses,
        given,
    )


def _paired(a: Side, b: Side, match: str) -> list[tuple[int, int]]:
    ours, theirs = a.record.layers, b.record.layers
    if match == "position":
        if len(ours) != len(theirs):
            raise ValueError(f"[compare] b has {len(theirs)} layers; needs the {len(ours)} of a")
        return [(i, i) for i in range(len(ours))]
    positions = {name: j for j, name in enumerate(theirs)}
    pairs = [(i, positions[name]) for i, name in enumerate(ours) if name in positions]
    if not pairs:
        raise ValueError(
            f"[compare] b has layers {_few(theirs)}; needs some of a's {_few(ours)}, "
            'or match="position" to compare them in order'
        )
    return pairs


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown}, …" if len(names) > 4 else shown or "none"


def _common_steps(a: Side, b: Side) -> tuple[Array, Array, Array]:
    sides = {"a": np.asarray(a.record.steps, np.int64), "b": np.asarray(b.record.steps, np.int64)}
    for name, numbers in sides.items():
        if not len(numbers):
            raise ValueError(f"[compare] {name} has no recorded step; fit with stats=True, or use gw.gradients")
    found = np.intersect1d(sides["a"], sides["b"], return_indices=True)
    if not len(found[0]):
        spans = " and ".join(f"{name} has {len(n)} from {n[0]} to {n[-1]}" for name, n in sides.items())
        raise ValueError(f"[compare] no recorded step in common: {spans}; stats=True records every step")
    return found


def _losses(a: Side, b: Side) -> Losses:
    steps, rows_a, rows_b = np.intersect1d(a.loss_steps, b.loss_steps, return_indices=True)
    return Losses(steps, a.losses[rows_a], b.losses[rows_b])


class _Table(NamedTuple):
    """One quantity in both runs (common steps, paired layers)."""

    kind: str
    quantity: str
    a: Array
    b: Array


class _Tables:
    """Whatever both records hold of the paired layers in the common steps, one quantity at a time."""

    def __init__(self, a: Side, b: Side, pairs: list[tuple[int, int]], rows_a: Array, rows_b: Array):
        self._sides = ((a.record, rows_a, [i for i, _ in pairs]), (b.record, rows_b, [j for _, j in pairs]))
        self.kinds = [kind for kind in a.record.kinds if kind in b.record.kinds]
        self.parameters = [kind for kind in self.kinds if kind not in ("error", "activation")]

    def __iter__(self) -> Iterator[_Table]:
        for kind in self.kinds:
            for quantity in QUANTITIES:
                yield self._table(kind, quantity, "get", kind, quantity)
        for what in ("size", "update"):
            for kind in self.parameters:
                yield self._table(what, kind, what, kind)

    def medians(self) -> dict[str, tuple[Array, Array]]:
        """Return medians over the common steps of norms and gain, by layer, in a and in b."""
        asked = [(kind, self._table(kind, "norm", "get", kind, "norm")) for kind in ("error", "weight")]
        asked = [(kind, table) for kind, table in asked if kind in self.kinds]
        asked.append(("gain", self._table("gain", "total", "gain", "total")))
        return {kind: (middle(table.a), middle(table.b)) for kind, table in asked}

    def _table(self, kind: str, quantity: str, ask: str, *arguments: str) -> _Table:
        a, b = (getattr(record, ask)(*arguments)[rows][:, layers] for record, rows, layers in self._sides)
        return _Table(kind, quantity, a, b)


def _first(tables: _Tables, steps: Array, losses: Losses, rtol: float | None) -> Difference | None:
    """Return the first difference in time; with `rtol`, the first in a norm, an update or a loss that exceeds it."""
    names = tables._sides[0][0].layers
    found: list[tuple[tuple[int, ...], Difference]] = []
    for number, table in enumerate(tables):
        if rtol is not None and table.kind not in ("size", "update") and table.quantity != "norm":
            continue
        apart = _apart(table.a, table.b, rtol)
        rows = apart.any(axis=1)
        if not rows.any():
            continue
        row = int(rows.argmax())
        for column in np.flatnonzero(apart[row]).tolist():
            layer = tables._sides[0][2][column]
            a, b = float(table.a[row, column]), float(table.b[row, column])
            difference = Difference(int(steps[row]), names[layer], table.kind, table.quantity, a, b)
            backward = difference.phase == "backward"
            found.append(((*_when(difference), -layer if backward else layer, number), difference))
    rows = _apart(losses.a, losses.b, rtol)
    if rows.any():
        row = int(rows.argmax())
        difference = Difference(
            int(losses.steps[row]), None, "loss", "loss", float(losses.a[row]), float(losses.b[row])
        )
        found.append(((*_when(difference), 0, 0), difference))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _when(difference: Difference) -> tuple[int, int]:
    return difference.step, PHASES.index(difference.phase)


def _apart(a: Array, b: Array, rtol: float | None) -> Array:
    """Return where two arrays differ, in bits or by more than rtol times the smaller; never where one is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        if rtol is None:
            return np.asarray((a != b) & ~np.isnan(a) & ~np.isnan(b))
        return np.asarray(np.abs(a - b) > rtol * np.minimum(np.abs(a), np.abs(b)))
