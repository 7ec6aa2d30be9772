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
from gradwell.statistics import QUANTITIES, GradientRecord

Array = NDArray[Any]

MATCHES = ("name", "position")
_ROWS = 256  # of the records, looked at together


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
    first, parted, medians = _examined(left, right, pairs, (steps, rows_a, rows_b), losses, rtol)
    layers = left.record.layers
    ours, theirs = {i for i, _ in pairs}, {j for _, j in pairs}
    given = given_differently(left.facts, right.facts) if left.facts and right.facts else None
    return Comparison(
        first,
        parted,
        rtol,
        steps,
        tuple(layers[i] for i, _ in pairs),
        tuple(name for i, name in enumerate(layers) if i not in ours),
        tuple(name for j, name in enumerate(right.record.layers) if j not in theirs),
        medians,
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


def _examined(
    a: Side, b: Side, pairs: list[tuple[int, int]], rows: tuple[Array, Array, Array], losses: Losses, rtol: float
) -> tuple[Difference | None, Difference | None, dict[str, tuple[Array, Array]]]:
    """Go through the common steps in parts: long records are not joined, and only medians need all of them."""
    first, parted = _first_loss(losses, None), _first_loss(losses, rtol)
    steps, rows_a, rows_b = rows
    looking = searching = True  # for the first difference, and for the first beyond rtol
    seen: dict[str, list[tuple[Array, Array]]] = {}
    for begin in range(0, len(steps), _ROWS):
        some = slice(begin, begin + _ROWS)
        tables = _Tables(a.record, b.record, pairs, rows_a[some], rows_b[some])
        if looking:
            found = _first(tables, steps[some], None)
            first, looking = _earlier(first, found), found is None
        if searching and not looking:
            found = _first(tables, steps[some], rtol)
            parted, searching = _earlier(parted, found), found is None
        for kind, pair in tables.shown():
            seen.setdefault(kind, []).append(pair)
    joined = {kind: [np.concatenate(side) for side in zip(*parts, strict=True)] for kind, parts in seen.items()}
    return first, parted, {kind: (middle(left), middle(right)) for kind, (left, right) in joined.items()}


def _earlier(a: Difference | None, b: Difference | None) -> Difference | None:
    known = [difference for difference in (a, b) if difference is not None]
    return min(known, key=_when) if known else None


class _Table(NamedTuple):
    """One quantity in both runs (common steps, paired layers)."""

    kind: str
    quantity: str
    a: Array
    b: Array


class _Tables:
    """What both records hold of the paired layers in some common steps, one quantity at a time."""

    def __init__(
        self, a: GradientRecord, b: GradientRecord, pairs: list[tuple[int, int]], rows_a: Array, rows_b: Array
    ):
        self.names = a.layers
        self.layers = [i for i, _ in pairs]
        sides = ((a, rows_a, self.layers), (b, rows_b, [j for _, j in pairs]))
        self._sides = [
            (record[int(rows[0]) : int(rows[-1]) + 1], rows - rows[0], layers) for record, rows, layers in sides
        ]
        self._kinds = [kind for kind in a.kinds if kind in b.kinds]

    def all(self, norms_only: bool) -> Iterator[_Table]:
        """Return every quantity, or the norms, sizes and updates."""
        for kind in self._kinds:
            for quantity in ("norm",) if norms_only else QUANTITIES:
                yield self._table(kind, quantity, "get", kind, quantity)
        for what in ("size", "update"):
            for kind in self._kinds:
                if kind not in ("error", "activation"):
                    yield self._table(what, kind, what, kind)

    def shown(self) -> Iterator[tuple[str, tuple[Array, Array]]]:
        """Return what medians are shown of."""
        asked = [(kind, ("get", kind, "norm")) for kind in ("error", "weight") if kind in self._kinds]
        for kind, (ask, *arguments) in [*asked, ("gain", ("gain", "total"))]:
            table = self._table(kind, "", ask, *arguments)
            yield kind, (table.a, table.b)

    def _table(self, kind: str, quantity: str, ask: str, *arguments: str) -> _Table:
        a, b = (getattr(record, ask)(*arguments)[rows][:, layers] for record, rows, layers in self._sides)
        return _Table(kind, quantity, a, b)


def _first(tables: _Tables, steps: Array, rtol: float | None) -> Difference | None:
    """Return the first difference in time; with `rtol`, the first in a norm, a size or an update that exceeds it."""
    found: list[tuple[tuple[int, ...], Difference]] = []
    for number, table in enumerate(tables.all(rtol is not None)):
        apart = _apart(table.a, table.b, rtol)
        rows = apart.any(axis=1)
        if not rows.any():
            continue
        row = int(rows.argmax())
        for column in np.flatnonzero(apart[row]).tolist():
            layer = tables.layers[column]
            a, b = float(table.a[row, column]), float(table.b[row, column])
            difference = Difference(int(steps[row]), tables.names[layer], table.kind, table.quantity, a, b)
            backward = difference.phase == "backward"
            found.append(((*_when(difference), -layer if backward else layer, number), difference))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _first_loss(losses: Losses, rtol: float | None) -> Difference | None:
    rows = np.flatnonzero(_apart(losses.a, losses.b, rtol))
    if not len(rows):
        return None
    row = int(rows[0])
    return Difference(int(losses.steps[row]), None, "loss", "loss", float(losses.a[row]), float(losses.b[row]))


def _when(difference: Difference) -> tuple[int, int]:
    return difference.step, PHASES.index(difference.phase)


def _apart(a: Array, b: Array, rtol: float | None) -> Array:
    """Return where two arrays differ, in bits or by more than rtol times the smaller; never where one is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        if rtol is None:
            return np.asarray((a != b) & ~np.isnan(a) & ~np.isnan(b))
        return np.asarray(np.abs(a - b) > rtol * np.minimum(np.abs(a), np.abs(b)))
