"""What ``gradwell train`` does: read a table, train, say what reached each layer, keep the run.

Columns of a .csv or .npz file are brought to mean 0 and spread 1 for training, and so are targets that are
values. The network that is saved takes the file's own units: the scaling is folded into its first and last
weights. The one in a run folder is as it was trained; the scales are among the run's settings.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gradwell as gw
from gradwell import cli_settings
from gradwell.cli_data import Prepared, fold, place, prepared, read
from gradwell.cli_settings import Settings
from gradwell.report.terminal import layer_table
from gradwell.runs import check_folder

_MOST_ROWS = 1000  # of the backward pass for the table
_MOST_CLASSES = 20  # that are named one by one


class Destination(NamedTuple):
    """Where the results go."""

    save: Path | None = None
    run: Path | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Raise now what would be raised after the training."""
        if self.save is not None:
            if self.save.suffix != ".safetensors":
                raise ValueError(f"[train] save is {str(self.save)!r}; needs a name that ends with .safetensors")
            if not self.save.parent.is_dir():
                raise FileNotFoundError(f"[train] save: the folder {self.save.parent} does not exist")
        if self.run is not None:
            check_folder(self.run, self.overwrite)
            there = next(folder for folder in (self.run, *self.run.absolute().parents) if folder.exists())
            if not there.is_dir():
                raise NotADirectoryError(f"[train] run: {there} is a file; needs a folder")
            if not os.access(there, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))


class Outcome(NamedTuple):
    """A trained network and what to say about it."""

    network: gw.Network
    history: gw.History
    record: gw.GradientRecord
    data: Prepared
    by_class: dict[str, tuple[int, int]]
    """For every named class, how many of the rows held out were right, and how many there are."""
    to: Destination

    def figures(self) -> dict[str, float]:
        """Return the last epoch's figures."""
        last = {"loss": float(self.history.loss[-1])}
        last |= {name: float(values[-1]) for name, values in self.history.metrics.items()}
        return last

    @property
    def rows(self) -> tuple[int, int]:
        """Rows to train on, and rows held out."""
        return len(self.data.table.x), len(self.data.table.x_held)

    def text(self) -> str:
        """Return the last figures, the per-layer table and the diagnosis."""
        shown = [
            f"{name.replace('_', ' ')} {f'{value:.2%}' if 'accuracy' in name else f'{value:.4g}'}"
            for name, value in self.figures().items()
        ]
        lines = [f"{self.network}", f"{self.rows[0]} rows to train on, {self.rows[1]} held out; {self.data.loss}"]
        lines += [f"{self.history.epochs} epochs in {self.history.seconds:.1f} s: {', '.join(shown)}"]
        if self.by_class:
            named = [f"{name} {right} of {rows}" for name, (right, rows) in self.by_class.items()]
            more = [f"and {len(named) - _MOST_CLASSES} more classes"] if len(named) > _MOST_CLASSES else []
            lines.append(f"held out, right by class: {', '.join(named[:_MOST_CLASSES] + more)}")
        lines += self.history.clipping.summary().splitlines() if len(self.history.clipping) else []
        lines.append("")
        lines += ["What reaches each layer after training (the first line is nearest the input):", ""]
        lines.append(layer_table(self.record))
        lines += ["", str(gw.diagnose(self.history))]
        if self.to.save:
            lines += ["", f"Saved to {self.to.save}; gradwell.load reads it."]
        if self.to.run:
            lines += ["", f"Run kept in {self.to.run}; gradwell diagnose, treat, compare and report read it."]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return figures by epoch, and the gradients of every layer after training."""
        return {
            "network": repr(self.network),
            "loss_name": self.data.loss,
            "rows": {"train": self.rows[0], "held_out": self.rows[1]},
            "classes": self.data.table.classes,
            "by_class": {name: {"right": right, "rows": rows} for name, (right, rows) in self.by_class.items()},
            "epochs": self.history.epochs,
            "seconds": self.history.seconds,
            "final": self.figures(),
            "loss": self.history.loss.tolist(),
            "metrics": {name: values.tolist() for name, values in self.history.metrics.items()},
            **({"clipping": self.history.clipping.to_dict()} if len(self.history.clipping) else {}),
            "gradients": self.record.to_dict(),
            "diagnosis": gw.diagnose(self.history).to_dict(),
            "saved": str(self.to.save) if self.to.save else None,
            "run": str(self.to.run) if self.to.run else None,
        }


def train(settings: Settings, to: Destination, progress: bool | None) -> Outcome:
    """Read, train, measure the gradients once more, save."""
    cli_settings.widths(settings.hidden)
    to.check()
    data = prepared(settings, read(settings))
    net = cli_settings.network(settings, data.table.x.shape[1], data.table.outputs)
    how = {"optimizer": cli_settings.optimizer(settings), "clip": cli_settings.clip(settings)}
    return trained(net, data, settings, how, to, progress)


def trained(
    net: gw.Network,
    data: Prepared,
    settings: Settings,
    how: dict[str, Any],
    to: Destination,
    progress: bool | None,
    remedies: tuple[str, ...] = (),
) -> Outcome:
    """Train a network; a fit that ends early leaves its run as well."""
    about = run_settings(settings, data, remedies)
    inside = data.inside
    try:
        history = gw.fit(
            net,
            inside,
            loss=data.loss,
            batch_size=min(settings.batch_size, len(data.table.x)),
            epochs=settings.epochs,
            validation=data.held,
            seed=settings.seed,
            stats=cli_settings.stats(settings),
            progress=progress,
            **how,
        )
    except (gw.NonFiniteError, KeyboardInterrupt) as error:
        before = getattr(error, "history", None)
        if to.run is not None and before is not None:
            gw.save_run(to.run, before, network=net, settings=about, overwrite=to.overwrite)
        raise
    record = gw.gradients(net, inside[0][:_MOST_ROWS], inside[1][:_MOST_ROWS], loss=data.loss)
    by_class = _by_class(net, data)
    if to.run is not None:
        gw.save_run(to.run, history, network=net, settings=about, overwrite=to.overwrite)
    if to.save is not None:
        fold(net, data.x_scale, data.y_scale)
        net.training_state = None  # its steps were taken on scaled columns
        net.save(to.save)
    return Outcome(net, history, record, data, by_class, to)


def run_settings(settings: Settings, data: Prepared, remedies: tuple[str, ...]) -> dict[str, Any]:
    """Return what a run folder keeps of how it came about."""
    table = data.table
    return {
        "made_by": cli_settings.MADE_BY,
        "options": settings.to_dict(),
        "loss": data.loss,
        "data": {
            "place": place(settings.data),
            "sha256": table.sha256,
            "rows": len(table.x),
            "held_out": len(table.x_held),
            "features": list(table.features),
            "classes": None if table.classes is None else list(table.classes),
        },
        "scale": {name: scale and scale.to_dict() for name, scale in (("x", data.x_scale), ("y", data.y_scale))},
        "remedies": list(remedies),
    }


def _by_class(net: gw.Network, data: Prepared) -> dict[str, tuple[int, int]]:
    if data.table.classes is None or data.held is None or data.held[1].dtype.kind != "i":
        return {}
    x, y = data.held
    right = net.predict(x).argmax(axis=1) == y
    return {
        name: (int(np.sum(right[y == number])), int(np.sum(y == number)))
        for number, name in enumerate(data.table.classes)
    }
