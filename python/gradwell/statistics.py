"""The gradient record: what every recorded step left behind, and how to ask it.

A layer of the record is a stage of the program: a dense layer with the activation behind it, named as its weight
is. Quantities come as arrays (records, layers); NaN means not measured, never healthy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradwell.record_parts import apart, together
from gradwell.record_rows import histograms, selected
from gradwell.time_record import TimeRecord

if TYPE_CHECKING:
    from gradwell.network import Network

Array = NDArray[Any]

QUANTITIES = (
    "count",
    "norm",
    "rms",
    "mean",
    "std",
    "min",
    "max",
    "largest",
    "smallest",
    "zeros",
    "nans",
    "infs",
)


_NORMED = ("gain", "recurrent_gain", "cell_gain", "cell_shift")
_RECURRENT = ("weight", "recurrent_weight", "bias", "recurrent_bias", "peephole", *_NORMED)
_KINDS = (
    "error",
    *_RECURRENT,
    *(f"backward_{kind}" for kind in _RECURRENT),
    *("gamma", "beta", "slope", "scale", "activation"),
)
_PARTS = ("total", "weight", "derivative", "norm", "skip", "branch")


class GradientRecord:
    """Statistics of every recorded step and layer.

    For layer l with pre-activation z, output y = f(z) and the mean loss C of the batch, the kinds are
    "error" (dC/dz, Nielsen's delta), "weight" and "bias" (dC/dW, dC/db) and "activation" (y). Each has the quantities
    count, norm, rms, mean, std, min, max, largest and smallest non-zero magnitude, zeros, nans, infs, and a histogram
    over binary exponents.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 30, 10], activation="sigmoid", init="nielsen", seed=0)
    >>> record = gw.gradients(net, x, y, loss="sigmoid_cross_entropy")
    >>> record.layers
    ['0', '2', '4']
    >>> record.norm("error").shape
    (1, 3)
    >>> bool(record.ratio()[0] > 1)
    True
    """

    def __init__(
        self,
        stages: Sequence[tuple[Any, ...]],
        parameters: Sequence[tuple[str, int]],
        times: Sequence[tuple[Any, ...]] = (),
    ):
        self._made_of = {"stages": stages, "parameters": parameters, "times": times}
        self.layers = [name for name, *_ in stages]
        self.descriptions = [kind for _, kind, *_ in stages]
        self.above = [above for *_, above in stages]
        """For each layer the position of the one that reads its output, -1 for the last."""
        count = len(stages)
        # Where each kind's statistics stand among a record's entries, by layer; -1: the layer has none.
        self._entries = {"error": list(range(count)), "activation": list(range(count, 2 * count))}
        self._parameters: dict[str, list[int]] = {}
        for i, (name, stage) in enumerate(parameters):
            kind = name.rsplit(".", 1)[1]
            self._parameters.setdefault(kind, [-1] * count)[stage] = i
        for kind, positions in self._parameters.items():
            self._entries[kind] = [-1 if i < 0 else 2 * count + i for i in positions]
        self.loss: float | None = None
        """Loss of the batch, in a record made by `gradients`."""
        self._chunks: list[dict[str, Array]] = []
        # Where each recurrent layer's time record begins among a record's figures, and how long one direction's is.
        self._times: dict[int, tuple[int, int, bool]] = {}
        begin = 0
        for i, (steps, quantities, directions, backwards) in enumerate(times):
            if directions:
                self._times[i] = (begin, steps * quantities + 1, backwards)
                begin += directions * (steps * quantities + 1)

    @classmethod
    def of(cls, network: Network) -> GradientRecord:
        """Return an empty record of a network's layers."""
        program = network.program
        return cls(program.stages, program.parameter_stages, program.time_stages)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the record's structure, ready for JSON, and all it holds as arrays: see `from_arrays`."""
        self._joined("steps", (0,))
        return apart(self._made_of, self._chunks, self.loss)

    @classmethod
    def from_arrays(cls, description: Any, arrays: Mapping[str, Array]) -> GradientRecord:
        """Return the record that `to_arrays` took apart; ValueError where the parts do not fit one another."""
        structure, chunk, loss = together(description, arrays, len(QUANTITIES))
        record = cls(*structure)
        record.loss = loss
        record.append(chunk)
        return record

    def time(self, layer: int | str | None = None, direction: str = "forward") -> TimeRecord:
        """Return the record by step of the sequence of a recurrent layer; by default of the only one.

        `direction` is "backward" for the one of a `Bidirectional` that reads from the end.
        """
        if not self._times:
            raise ValueError("[record] there is no recurrent layer; needs one")
        if layer is None and len(self._times) > 1:
            names = ", ".join(self.layers[i] for i in self._times)
            raise ValueError(f"[record] layer is None but there are several recurrent layers; needs one of {names}")
        index = next(iter(self._times)) if layer is None else self._layer(layer)
        if index not in self._times:
            raise ValueError(
                f"[record] layer {self.layers[index]} is {self.descriptions[index]}; needs a recurrent one"
            )
        kind, _, cell = self.descriptions[index].rpartition(" ")
        known = ("forward", "backward") if kind == "bidirectional" else ("forward",)
        if direction not in known:
            raise ValueError(f'[record] direction is "{direction}"; needs one of {", ".join(known)}')
        begin, size, backwards = self._times[index]
        begin += size if direction == "backward" else 0
        values = self._joined("time", (0, begin + size))[:, begin : begin + size]
        return TimeRecord(values, self.steps, cell, self.layers[index], backwards != (direction == "backward"))

    @property
    def recurrent(self) -> list[str]:
        """Names of the layers that have a record by time."""
        return [self.layers[i] for i in self._times]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What statistics there are of: "error", "weight", "bias" and so on."""
        known = {kind: i for i, kind in enumerate(_KINDS)}  # models of others have parameters of other names
        return tuple(sorted(self._entries, key=lambda kind: known.get(kind, len(known))))

    def append(self, chunk: dict[str, Array]) -> None:
        """Add the records of one run of steps, as the program returns them."""
        if len(chunk["steps"]):
            self._chunks.append(chunk)

    def __len__(self) -> int:
        return sum(len(chunk["steps"]) for chunk in self._chunks)

    def __getitem__(self, key: int | slice) -> GradientRecord:
        """Return the record of some rows, `record[-1]` or `record[::10]`: views, so that a part costs little."""
        part = copy(self)
        part._chunks = selected(self._chunks, key)
        return part

    def __repr__(self) -> str:
        span = f", steps {self.steps[0]} to {self.steps[-1]}" if len(self) else ""
        return f"<GradientRecord of {len(self.layers)} layers, {len(self)} records{span}>"

    @property
    def steps(self) -> Array:
        """Number of each recorded step (records,); the record of a step is of the state before its update."""
        return np.concatenate([chunk["steps"] for chunk in self._chunks]) if self._chunks else np.zeros(0)

    def get(self, kind: str, quantity: str) -> Array:
        """Return a quantity of a kind (records, layers)."""
        if kind not in self._entries:
            raise ValueError(f'[record] kind is "{kind}"; needs one of {", ".join(self.kinds)}')
        if quantity not in QUANTITIES:
            raise ValueError(f'[record] quantity is "{quantity}"; needs one of {", ".join(QUANTITIES)}')
        return self._picked("statistics", self._entries[kind], QUANTITIES.index(quantity))

    def last(self, kind: str, quantity: str) -> Array | None:
        """Return a quantity of the newest record (layers,), or None where there is none; cheap while training."""
        if not self._chunks:
            return None
        newest = self._chunks[-1]["statistics"][-1, :, QUANTITIES.index(quantity)]
        return np.array([newest[i] if i >= 0 else np.nan for i in self._entries[kind]])

    def norm(self, kind: str = "error") -> Array:
        """Return Frobenius norms (records, layers)."""
        return self.get(kind, "norm")

    def rms(self, kind: str = "error") -> Array:
        """Return root mean squares (records, layers): norms that do not grow with the layer's size."""
        return self.get(kind, "rms")

    def mean(self, kind: str = "error") -> Array:
        """Return means (records, layers)."""
        return self.get(kind, "mean")

    def std(self, kind: str = "error") -> Array:
        """Return population standard deviations (records, layers)."""
        return self.get(kind, "std")

    def min(self, kind: str = "error") -> Array:
        """Return least values (records, layers)."""
        return self.get(kind, "min")

    def max(self, kind: str = "error") -> Array:
        """Return greatest values (records, layers)."""
        return self.get(kind, "max")

    def largest(self, kind: str = "error") -> Array:
        """Return largest magnitudes (records, layers)."""
        return self.get(kind, "largest")

    def smallest(self, kind: str = "error") -> Array:
        """Return smallest non-zero magnitudes (records, layers)."""
        return self.get(kind, "smallest")

    def zeros(self, kind: str = "error") -> Array:
        """Return counts of zeros (records, layers), underflowed values among them."""
        return self.get(kind, "zeros")

    def nans(self, kind: str = "error") -> Array:
        """Return counts of NaNs (records, layers)."""
        return self.get(kind, "nans")

    def infs(self, kind: str = "error") -> Array:
        """Return counts of infinities (records, layers)."""
        return self.get(kind, "infs")

    def histogram(self, kind: str, layer: int | str) -> tuple[Array, Array]:
        """Return exponents (bins,) and counts (records, bins) of floor(log2 |x|) for one layer."""
        index = self._layer(layer)
        self.get(kind, "count")  # checks kind
        entry = self._entries[kind][index]
        found = [histograms(chunk, entry) for chunk in self._chunks] if entry >= 0 else []
        rows = [row for chunk in found for row in chunk]
        occupied = [row for row in rows if len(row[1])]
        if not occupied:
            return np.zeros(0, np.int64), np.zeros((len(self), 0), np.int64)
        low = min(first for first, _ in occupied)
        high = max(first + len(counts) for first, counts in occupied)
        table = np.zeros((len(rows), high - low), np.int64)
        for line, (first, counts) in zip(table, rows, strict=True):
            line[first - low : first - low + len(counts)] = counts
        return np.arange(low, high), table

    def gain(self, part: str = "total") -> Array:
        """Return |delta^l| / |delta^(l+1)| (records, layers), or a part of it; l+1 is the layer that reads l's output.

        "weight" is |dC/dy^l| / |delta^(l+1)|, what the layer above does to the error on its way back, by its weights
        where it has any; "derivative" is |delta^l| / |dC/dy^l|, what the activation does; "total" is their product.
        "norm" is the weight part where the layer above is a normalisation. Where layer l closes a residual block,
        "skip" and "branch" are the norms that its skip connection and its branch hand back to the block's beginning,
        over |delta^l|. NaN is not measured: the last layer has no layer above, and a block that begins at the network's
        input hands nothing back.
        """
        error = self.norm("error")
        stage = list(range(len(self.layers)))
        output = self._picked("stages", stage, 0)
        above = np.full_like(error, np.nan)
        for i, reader in enumerate(self.above):
            if reader >= 0:
                above[:, i] = error[:, reader]
        normed = [r >= 0 and self.descriptions[r].startswith(("batchnorm", "layernorm")) for r in self.above]
        with np.errstate(divide="ignore", invalid="ignore"):
            if part == "total":
                return error / above
            if part == "weight":
                return output / above
            if part == "norm":
                return np.where(normed, output / above, np.nan)
            if part == "derivative":
                return error / output
            if part in ("skip", "branch"):
                return self._picked("stages", stage, 3 if part == "skip" else 4) / error
        raise ValueError(f'[record] part is "{part}"; needs one of {", ".join(_PARTS)}')

    def ratio(self, kind: str = "error") -> Array:
        """Return norm in the last hidden layer over norm in the first layer (records,): above 1 the front is slower.

        With fewer than three layers that is the last layer over the first.
        """
        norms = self.norm(kind)
        last = norms.shape[1] - 2 if norms.shape[1] > 2 else norms.shape[1] - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(norms[:, last] / norms[:, 0])

    def update(self, kind: str = "weight") -> Array:
        """Return |step| / |parameter before it| (records, layers): is anything moving."""
        if kind not in self._parameters:
            raise ValueError(f'[record] kind is "{kind}"; needs one of {", ".join(self._parameters)}')
        positions = self._parameters[kind]
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._picked("parameters", positions, 0) / self._picked("parameters", positions, 1)

    def size(self, kind: str = "weight") -> Array:
        """Return |parameter| before the step (records, layers)."""
        if kind not in self._parameters:
            raise ValueError(f'[record] kind is "{kind}"; needs one of {", ".join(self._parameters)}')
        return self._picked("parameters", self._parameters[kind], 1)

    def saturated(self) -> Array:
        """Return the fraction of outputs whose derivative is under 1 % of its maximum (records, layers)."""
        return self._picked("stages", list(range(len(self.layers))), 1)

    def dead(self) -> Array:
        """Return the fraction of units saturated for all samples of the window (records, layers).

        The window is the recorded steps that make up 1,000 samples, and the figure that of the last full window: not
        measured before there is one. In a record made by `gradients` the one batch is the window.
        """
        return self._picked("stages", list(range(len(self.layers))), 2)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the histograms as lists and numbers, ready for JSON; not measured is None."""
        kinds = {kind: {q: _plain(self.get(kind, q)) for q in QUANTITIES} for kind in self.kinds}
        return {
            "layers": self.layers,
            "descriptions": self.descriptions,
            "steps": self.steps.tolist(),
            **({} if self.loss is None else {"loss": self.loss}),
            **kinds,
            "gain": {part: _plain(self.gain(part)) for part in _PARTS},
            "update": {kind: _plain(self.update(kind)) for kind in self._parameters},
            "saturated": _plain(self.saturated()),
            "dead": _plain(self.dead()),
            **({"time": [self.time(i).to_dict() for i in self._times]} if self._times else {}),
        }

    def plot(self, kind: str = "error", axes: Any = None) -> Any:
        """Draw the norm of `kind` by step, one line a layer, or by layer where there is one record only.

        Returns the matplotlib axes; needs ``pip install "gradwell[plot]"``.
        """
        if not len(self):
            raise ValueError("[record] there is nothing to plot; fit with stats=True, or use gw.gradients")
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise ImportError('plots need matplotlib: pip install "gradwell[plot]"') from None
        if axes is None:
            axes = plt.subplots(figsize=(7, 4), layout="constrained")[1]
        norms = np.where(self.norm(kind) > 0, self.norm(kind), np.nan)
        colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(self.layers)))
        if len(self) == 1:
            axes.plot(range(len(self.layers)), norms[0], "o-", color=colors[0])
            axes.set_xticks(range(len(self.layers)), self.layers)
            axes.set_xlabel("layer")
        else:
            for i, color in enumerate(colors):
                axes.plot(self.steps, norms[:, i], color=color, label=f"{self.layers[i]} {self.descriptions[i]}")
            axes.set_xlabel("step")
            axes.legend(title="layer", fontsize="small")
        axes.set_yscale("log")
        axes.set_ylabel(f"norm of the {kind} gradient" if kind != "activation" else "norm of the activation")
        return axes

    def _layer(self, layer: int | str) -> int:
        if isinstance(layer, str) and layer in self.layers:
            return self.layers.index(layer)
        if isinstance(layer, int) and -len(self.layers) <= layer < len(self.layers):
            return layer % len(self.layers)
        raise ValueError(f"[record] layer is {layer!r}; needs a position or one of {', '.join(self.layers)}")

    def _joined(self, key: str, empty_shape: tuple[int, ...]) -> Array:
        if len(self._chunks) > 1:  # join once: later questions find one chunk
            offsets = np.cumsum([0, *(len(chunk["counts"]) for chunk in self._chunks[:-1])])
            for chunk, offset in zip(self._chunks, offsets, strict=True):
                chunk["histograms"] = chunk["histograms"] + np.array([0, 0, offset])
            self._chunks = [{k: np.concatenate([c[k] for c in self._chunks]) for k in self._chunks[0]}]
        return self._chunks[0][key] if self._chunks else np.zeros(empty_shape)

    def _picked(self, key: str, positions: list[int], field: int) -> Array:
        if not positions:
            return np.zeros((len(self), 0))
        values = self._joined(key, (0, max(positions) + 1, field + 1))[:, :, field]
        columns = [values[:, i] if i >= 0 else np.full(len(values), np.nan) for i in positions]
        return np.stack(columns, axis=1)


def _plain(values: Array) -> list[list[float | None]]:
    return [[float(v) if np.isfinite(v) else None for v in row] for row in values]
