"""What ``gradwell train`` does: read a table, train, and say what reached each layer.

Columns of a .csv or .npz file are brought to mean 0 and spread 1 for training, and so are targets that are
values. The network that is saved takes the file's own units: the scaling is folded into its first and last
weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.losses import check_finite
from gradwell.report.terminal import layer_table

Array = NDArray[Any]

_MOST_CLASSES = 10_000
_MOST_ROWS = 1000  # of the backward pass for the table


@dataclass(frozen=True)
class Settings:
    """The options of ``gradwell train``."""

    data: str
    target: str
    hidden: str
    activation: str
    init: str | None
    loss: str | None
    normalization: str | None
    dropout: float
    optimizer: str
    clip_norm: float | None
    epochs: int
    learning_rate: float | None
    weight_decay: float
    batch_size: int
    validation: float
    seed: int
    save: Path | None


class Table(NamedTuple):
    """Rows to train on and rows held out; `scaled` where they are in units of their own."""

    x: Array
    y: Array
    x_held: Array
    y_held: Array
    outputs: int
    scaled: bool


class Scale(NamedTuple):
    """Mean and spread of each column."""

    mean: Array
    spread: Array

    @classmethod
    def of(cls, values: Array) -> Scale:
        """Measure; a column that is the same throughout has spread 1."""
        spread = values.std(axis=0, dtype=np.float64)
        return cls(values.mean(axis=0, dtype=np.float64), np.where(spread > 0, spread, 1.0))


class Outcome(NamedTuple):
    """A trained network and what to say about it."""

    network: gw.Network
    history: gw.History
    record: gw.GradientRecord
    rows: tuple[int, int]
    loss: str
    saved: Path | None

    def figures(self) -> dict[str, float]:
        """Return the last epoch's figures; for values the share of variance explained beside the loss."""
        last = {"loss": float(self.history.loss[-1])}
        last |= {name: float(values[-1]) for name, values in self.history.metrics.items()}
        return last

    def text(self) -> str:
        """Return the last figures and the per-layer table."""
        shown = [
            f"{name.replace('_', ' ')} {f'{value:.2%}' if 'accuracy' in name else f'{value:.4g}'}"
            for name, value in self.figures().items()
        ]
        lines = [f"{self.network}", f"{self.rows[0]} rows to train on, {self.rows[1]} held out; {self.loss}"]
        lines += [f"{self.history.epochs} epochs in {self.history.seconds:.1f} s: {', '.join(shown)}"]
        lines += self.history.clipping.summary().splitlines() if len(self.history.clipping) else []
        lines.append("")
        lines += ["What reaches each layer after training (the first line is nearest the input):", ""]
        lines.append(layer_table(self.record))
        lines += ["", str(gw.diagnose(self.history))]
        if self.saved:
            lines += ["", f"Saved to {self.saved}; gradwell.load reads it."]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return figures by epoch, and the gradients of every layer after training."""
        return {
            "network": repr(self.network),
            "loss_name": self.loss,
            "rows": {"train": self.rows[0], "held_out": self.rows[1]},
            "epochs": self.history.epochs,
            "seconds": self.history.seconds,
            "final": self.figures(),
            "loss": self.history.loss.tolist(),
            "metrics": {name: values.tolist() for name, values in self.history.metrics.items()},
            **({"clipping": self.history.clipping.to_dict()} if len(self.history.clipping) else {}),
            "gradients": self.record.to_dict(),
            "diagnosis": gw.diagnose(self.history).to_dict(),
            "saved": str(self.saved) if self.saved else None,
        }


def train(settings: Settings, progress: bool | None) -> Outcome:
    """Read, train, measure the gradients once more, save."""
    widths = _widths(settings.hidden)
    if settings.save is not None:
        _check_save(settings.save)
    table = read(settings)
    values = table.y.dtype.kind == "f"
    loss = settings.loss or ("mean_squared_error" if values else "softmax_cross_entropy")
    x_scale = Scale.of(table.x) if table.scaled else None
    y_scale = Scale.of(table.y) if table.scaled and values and not loss.endswith("cross_entropy") else None
    inside = _apply(x_scale, table.x), _apply(y_scale, table.y)
    held = (_apply(x_scale, table.x_held), _apply(y_scale, table.y_held)) if len(table.x_held) else None
    net = gw.mlp(
        [table.x.shape[1], *widths, table.outputs],
        activation=settings.activation,
        init=settings.init,
        normalization=settings.normalization,
        dropout=settings.dropout,
        seed=settings.seed,
    )
    history = gw.fit(
        net,
        inside,
        loss=loss,
        optimizer=optimizer(settings),
        clip=None if settings.clip_norm is None else gw.clip_by_norm(settings.clip_norm),
        batch_size=min(settings.batch_size, len(table.x)),
        epochs=settings.epochs,
        validation=held,
        seed=settings.seed,
        progress=progress,
    )
    record = gw.gradients(net, inside[0][:_MOST_ROWS], inside[1][:_MOST_ROWS], loss=loss)
    if settings.save is not None:
        fold(net, x_scale, y_scale)
        net.training_state = None  # its steps were taken on scaled columns
        net.save(settings.save)
    return Outcome(net, history, record, (len(table.x), len(table.x_held)), loss, settings.save)


def optimizer(settings: Settings) -> Any:
    """Return the optimiser by its name, with its usual learning rate where none is given."""
    usual = {"sgd": 0.1, "momentum": 0.01, "adagrad": 0.01, "rmsprop": 1e-3, "adam": 1e-3, "adamw": 1e-3}
    if settings.optimizer not in usual:
        raise ValueError(f"[train] optimizer is {settings.optimizer!r}; needs one of {', '.join(usual)}")
    rate = usual[settings.optimizer] if settings.learning_rate is None else settings.learning_rate
    decay = settings.weight_decay
    if settings.optimizer in ("sgd", "momentum"):
        return gw.SGD(rate, weight_decay=decay, momentum=0.9 if settings.optimizer == "momentum" else 0.0)
    classes = {"adagrad": gw.Adagrad, "rmsprop": gw.RMSprop, "adam": gw.Adam, "adamw": gw.AdamW}
    return classes[settings.optimizer](rate, **({"weight_decay": decay} if decay else {}))


def read(settings: Settings) -> Table:
    """Read the data, check it, and hold a share of the rows out."""
    held: tuple[Array, Array] | None = None
    if settings.data == "mnist":
        digits = gw.datasets.mnist()
        x, y, held = digits.train_images, digits.train_labels, (digits.test_images, digits.test_labels)
    elif settings.data == "digits":
        x, y = gw.datasets.digits()
    else:
        x, y = _read_file(settings)
    check_finite("train", "x", x)
    if y.dtype.kind == "f":
        y = check_finite("train", "target", y.reshape(len(y), -1))
        outputs = y.shape[1]
    else:
        outputs = _classes(y)
    if held is None:
        count = round(settings.validation * len(x))
        if len(x) - count < 1:
            raise ValueError(f"[train] {settings.data} has {len(x)} rows; needs at least one to train on")
        order = np.random.default_rng(settings.seed).permutation(len(x))
        held = x[order[:count]], y[order[:count]]
        x, y = x[order[count:]], y[order[count:]]
    return Table(x, y, held[0], held[1], outputs, settings.data not in ("digits", "mnist"))


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


def _read_file(settings: Settings) -> tuple[Array, Array]:
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
    return table.x.reshape(len(table.x), -1), table.y


def _apply(scale: Scale | None, values: Array) -> Array:
    """Return values in units of the spread about the mean, in their own dtype."""
    return values if scale is None else ((values - scale.mean) / scale.spread).astype(values.dtype)


def _classes(y: Array) -> int:
    if y.ndim != 1 or not len(y) or y.min() < 0 or y.max() >= _MOST_CLASSES:
        span = f"{y.min()} to {y.max()}" if y.size else "nothing"
        raise ValueError(
            f"[train] target holds integers {span} of shape {y.shape}; needs class numbers from 0 up, below "
            f"{_MOST_CLASSES}, one a row (store values as floating point)"
        )
    return max(int(y.max()) + 1, 2)


def _widths(hidden: str) -> list[int]:
    parts = [part.strip() for part in hidden.split(",") if part.strip()]
    if any(not part.isdecimal() or int(part) < 1 for part in parts):
        raise ValueError(f"[train] hidden is {hidden!r}; needs whole numbers of at least 1, such as 30,30")
    return [int(part) for part in parts]


def _check_save(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise ValueError(f"[train] save is {str(path)!r}; needs a name that ends with .safetensors")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"[train] save: the folder {path.parent} does not exist")
