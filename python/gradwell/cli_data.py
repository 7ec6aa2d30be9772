"""The data of ``gradwell train``: a table read, checked, split and brought to one scale."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.cli_settings import Settings
from gradwell.losses import check_finite

Array = NDArray[Any]

_MOST_CLASSES = 10_000
_BUILT_IN = ("digits", "mnist")


class Table(NamedTuple):
    """Rows to train on and rows held out; `scaled` where they are in units of their own."""

    x: Array
    y: Array
    x_held: Array
    y_held: Array
    outputs: int
    scaled: bool
    features: tuple[str, ...]
    """Names of the columns, where the file has some."""
    classes: tuple[str, ...] | None
    """Names of the classes, where they have some."""
    sha256: str
    """Of all rows as they were read."""


class Scale(NamedTuple):
    """Mean and spread of each column."""

    mean: Array
    spread: Array

    @classmethod
    def of(cls, values: Array) -> Scale:
        """Measure; a column that is the same throughout has spread 1."""
        spread = values.std(axis=0, dtype=np.float64)
        return cls(values.mean(axis=0, dtype=np.float64), np.where(spread > 0, spread, 1.0))

    def applied(self, values: Array) -> Array:
        """Return values in units of the spread about the mean, in their own dtype."""
        return np.asarray(((values - self.mean) / self.spread).astype(values.dtype))

    def to_dict(self) -> dict[str, Any]:
        """Return both as lists of numbers."""
        return {"mean": np.ravel(self.mean).tolist(), "spread": np.ravel(self.spread).tolist()}


class Prepared(NamedTuple):
    """A table as a network is trained on it."""

    table: Table
    loss: str
    x_scale: Scale | None
    y_scale: Scale | None

    @property
    def inside(self) -> tuple[Array, Array]:
        """Samples and targets to train on."""
        return _scaled(self.x_scale, self.table.x), _scaled(self.y_scale, self.table.y)

    @property
    def held(self) -> tuple[Array, Array] | None:
        """Samples and targets held out, or None."""
        if not len(self.table.x_held):
            return None
        return _scaled(self.x_scale, self.table.x_held), _scaled(self.y_scale, self.table.y_held)


def prepared(settings: Settings, table: Table) -> Prepared:
    """Choose the loss and the scales."""
    values = table.y.dtype.kind == "f"
    loss = settings.loss or ("mean_squared_error" if values else "softmax_cross_entropy")
    x_scale = Scale.of(table.x) if table.scaled else None
    y_scale = Scale.of(table.y) if table.scaled and values and not loss.endswith("cross_entropy") else None
    return Prepared(table, loss, x_scale, y_scale)


def read(settings: Settings) -> Table:
    """Read the data, check it, and hold a share of the rows out."""
    held: tuple[Array, Array] | None = None
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    if settings.data == "mnist":
        digits = gw.datasets.mnist()
        x, y, held = digits.train_images, digits.train_labels, (digits.test_images, digits.test_labels)
        x, held = x.reshape(len(x), -1), (held[0].reshape(len(held[0]), -1), held[1])
    elif settings.data == "digits":
        x, y = gw.datasets.digits()
    else:
        x, y, features, classes = _read_file(settings)
    check_finite("train", "x", x)
    if y.dtype.kind == "f":
        y = y.reshape(len(y), -1)
        check_finite("train", "target", y)
        outputs = y.shape[1]
    else:
        outputs = _classes(y)
    sha256 = _digest(x, y, classes)
    if held is None:
        count = round(settings.validation * len(x))
        if len(x) - count < 1:
            raise ValueError(f"[train] {settings.data} has {len(x)} rows; needs at least one to train on")
        order = np.random.default_rng(settings.seed).permutation(len(x))
        held = x[order[:count]], y[order[:count]]
        x, y = x[order[count:]], y[order[count:]]
    return Table(x, y, held[0], held[1], outputs, settings.data not in _BUILT_IN, features, classes, sha256)


def place(data: str) -> str:
    """Return where data is, to be found again from any folder: a built-in name, or the file's full path."""
    return data if data in _BUILT_IN else str(Path(data).absolute())


def fold(net: gw.Network, x_scale: Scale | None, y_scale: Scale | None) -> None:
    """Rewrite the first and last layer so that the network takes and returns values in their own units."""
    names = [name.removesuffix(".weight") for name in net.parameters if name.endswith(".weight")]
    first, last = names[0], names[-1]
    if x_scale is not None:
        weight = net.parameters[f"{first}.weight"].astype(np.float64) / x_scale.spread[:, None]
        net.parameters[f"{first}.bias"][...] = net.parameters[f"{first}.bias"] - x_scale.mean @ weight
        net.parameters[f"{first}.weight"][...] = weight
    if y_scale is not None:
        net.parameters[f"{last}.weight"][...] = net.parameters[f"{last}.weight"] * y_scale.spread
        net.parameters[f"{last}.bias"][...] = net.parameters[f"{last}.bias"] * y_scale.spread + y_scale.mean


def _read_file(settings: Settings) -> tuple[Array, Array, tuple[str, ...], tuple[str, ...] | None]:
    kind = Path(settings.data).suffix.lower()
    if kind == ".npz":
        table = gw.datasets.load_npz(settings.data)
    elif kind == ".csv":
        text = settings.target
        target: str | int = int(text) if text.lstrip("+-").isdecimal() else text
        table = gw.datasets.load_csv(settings.data, target=target)
    else:
        raise ValueError(f"[train] data is {settings.data!r}; needs a .csv or .npz file, 'digits' or 'mnist'")
    assert table.y is not None
    return table.x.reshape(len(table.x), -1), table.y, table.feature_names, table.classes


def _digest(x: Array, y: Array, classes: tuple[str, ...] | None) -> str:
    found = hashlib.sha256()
    for array in (x, y):
        found.update(f"{array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).data)
    found.update("\n".join(classes or ()).encode())
    return found.hexdigest()


def _scaled(scale: Scale | None, values: Array) -> Array:
    return values if scale is None else scale.applied(values)


def _classes(y: Array) -> int:
    if y.ndim != 1 or not len(y) or y.min() < 0 or y.max() >= _MOST_CLASSES:
        span = f"{y.min()} to {y.max()}" if y.size else "nothing"
        raise ValueError(
            f"[train] target holds integers {span} of shape {y.shape}; needs class numbers from 0 up, below "
            f"{_MOST_CLASSES}, one a row (store values as floating point)"
        )
    return max(int(y.max()) + 1, 2)
