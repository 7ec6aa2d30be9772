"""The gradient of a recurrent layer step by step: how far back it reaches, and which factor shrinks or grows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GATES = {
    "rnn": ("error",),
    "lstm": ("input", "forget", "candidate", "output"),
    "gru": ("reset", "update", "candidate"),
}
PARTS = ("total", "weight", "derivative", "cell")


def quantities_of(cell: str) -> tuple[str, ...]:
    """Return what the record of a cell holds, in order.

    Examples
    --------
    >>> quantities_of("rnn")
    ('hidden', 'hidden_back', 'error')
    """
    cells = ("cell", "cell_back") if cell == "lstm" else ()
    return ("hidden", "hidden_back", *cells, *GATES[cell])


class TimeRecord:
    """Norms of gradients by step of the sequence, one line for each recorded training step.

    "hidden" is |dC/dh_t|, "cell" |dC/dc_t| (LSTM); "hidden_back" and "cell_back" are the parts of them that came back
    from step t + 1, without what the loss adds at t. A gate's name stands for |dC/d(pre-activation)|: "input",
    "forget", "candidate", "output" of an LSTM, "reset", "update", "candidate" of a GRU, "error" of a plain cell. All
    are over the batch.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = np.ones((4, 20, 1)), np.zeros((4, 1))
    >>> net = gw.Network([gw.RNN(8, recurrent_init=gw.initializers.Orthogonal(0.5)), gw.Dense(1)], (20, 1), seed=0)
    >>> time = gw.gradients(net, x, y, loss="quadratic").time("0")
    >>> time.norm("hidden").shape, bool(time.memory()[0] < 3)
    ((1, 20), True)
    """

    def __init__(self, values: NDArray[Any], steps: NDArray[Any], cell: str, layer: str, backward: bool = False):
        self.cell = cell
        self.layer = layer
        self.backward = backward
        """Whether the layer reads the sequence from its end: gradients then go forward in time."""
        self.steps = steps
        """Number of each recorded training step (records,)."""
        self.quantities = quantities_of(cell)
        count = len(self.quantities)
        self._values = values[:, :-1].reshape(len(values), count, (values.shape[1] - 1) // count)
        self.omega: Array = values[:, -1]
        """Pascanu's regulariser, its weight left out, where the layer has one (records,); else NaN."""

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<TimeRecord of layer {self.layer}, {self.cell}, {len(self)} records of {self._values.shape[2]} steps>"

    def norm(self, quantity: str = "hidden") -> Array:
        """Return a quantity (records, time)."""
        if quantity not in self.quantities:
            raise ValueError(f'[time] quantity is "{quantity}"; needs one of {", ".join(self.quantities)}')
        return self._values[:, self.quantities.index(quantity)]

    def gain(self, part: str = "total") -> Array:
        """Return how the gradient changes from step t back to step t - 1 (records, time); step 0 is not measured.

        The state's gradient S_t is dC/dh_t, of an LSTM (dC/dh_t, dC/dc_t at fixed h_t), and B_t the part of it that
        came back from t + 1; "total" is |B_(t-1)| / |S_t|: the gain of the step's Jacobian for this very gradient.
        "derivative" is |delta_t| / |S_t|, what gates and activations do, and "weight" |delta_t U^T| / |delta_t|, what
        the recurrent weight does, with delta_t = dC/d(pre-activations); of a plain cell, total is their product. "cell"
        is what goes back along an LSTM's cell, |f dC/dc_t| / |dC/dc_t|. In a GRU, the weight part holds what the update
        gate passes on directly as well.
        """
        if part not in PARTS:
            raise ValueError(f'[time] part is "{part}"; needs one of {", ".join(PARTS)}')
        whole, back = self._in_order("hidden"), self._in_order("hidden_back")
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.cell == "lstm":
                cell, cell_back = self._in_order("cell"), self._in_order("cell_back")
                if part == "cell":
                    return self._by_time(_earlier(cell_back) / cell)
                whole = np.hypot(whole, cell_back)
                if part == "total":
                    return self._by_time(_earlier(np.hypot(back, cell_back)) / whole)
            elif part == "cell":
                return np.full_like(whole, np.nan)
            delta = np.hypot.reduce([self._in_order(gate) for gate in GATES[self.cell]])
            found = {"total": _earlier(back) / whole, "weight": _earlier(back) / delta, "derivative": delta / whole}
        return self._by_time(found[part])

    def memory(self, fraction: float = float(np.exp(-1.0))) -> Array:
        """Return over how many steps the gradient falls to `fraction` (records,): the layer's effective memory.

        The gains of the steps, from the last one back, are multiplied until their product is at most `fraction`;
        infinite where that does not happen within the sequence. 1/e by default; 0.01 is the other usual choice.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"[time] fraction is {fraction}; needs a number between 0 and 1")
        gains = self._ordered(self.gain("total"))[:, :0:-1]
        lengths = np.full(len(gains), np.inf)
        for k, line in enumerate(gains):
            known = line[np.isfinite(line)]
            with np.errstate(under="ignore", over="ignore"):
                below = np.flatnonzero(np.cumprod(known) <= fraction)
            if below.size:
                lengths[k] = below[0] + 1
        return lengths

    def to_dict(self) -> dict[str, Any]:
        """Return everything as lists and numbers, ready for JSON; not measured is None."""
        return {
            "layer": self.layer,
            "cell": self.cell,
            **{q: _plain(self.norm(q)) for q in self.quantities},
            "gain": {part: _plain(self.gain(part)) for part in PARTS},
            "memory": {"1/e": _plain(self.memory()[:, None]), "1%": _plain(self.memory(0.01)[:, None])},
        }

    def plot(self, quantity: str = "hidden", axes: Any = None) -> Any:
        """Draw a quantity: by step of the sequence, or where there are several records as a map over training too.

        Returns the matplotlib axes; needs ``pip install "gradwell[plot]"``.
        """
        if not len(self):
            raise ValueError("[time] there is nothing to plot; fit with stats=True, or use gw.gradients")
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise ImportError('plots need matplotlib: pip install "gradwell[plot]"') from None
        if axes is None:
            axes = plt.subplots(figsize=(7, 4), layout="constrained")[1]
        norms = self.norm(quantity)
        logs = np.log10(np.where(norms > 0, norms, np.nan))
        name = f"|dC/d{quantity[0]}_t|" if quantity in ("hidden", "cell") else f"|dC/d{quantity}|"
        axes.set_xlabel("step of the sequence")
        if len(self) == 1:
            axes.plot(10.0 ** logs[0])
            axes.set_yscale("log")
            axes.set_ylabel(name)
            return axes
        edges = np.append(self.steps, 2 * self.steps[-1] - self.steps[-2])
        mesh = axes.pcolormesh(np.arange(norms.shape[1] + 1), edges, logs, cmap="viridis")
        axes.set_ylabel("training step")
        axes.figure.colorbar(mesh, ax=axes, label=f"log10 {name}")
        return axes

    def _ordered(self, values: Array) -> Array:
        """Return values in the order in which the layer read the steps, or back."""
        return values[:, ::-1] if self.backward else values

    def _in_order(self, quantity: str) -> Array:
        return self._ordered(self.norm(quantity))

    def _by_time(self, values: Array) -> Array:
        return self._ordered(values)


def _earlier(values: Array) -> Array:
    """Return at every step the value of the step before it; NaN at the first."""
    return np.concatenate([np.full((len(values), 1), np.nan), values[:, :-1]], axis=1)


def _plain(values: Array) -> list[list[float | None]]:
    return [[float(v) if np.isfinite(v) else None for v in row] for row in values]
