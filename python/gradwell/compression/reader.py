"""A recurrent net on items: one cell and a linear layer, for sequences of any length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.clipping import clip_by_norm
from gradwell.compression.sequences import Items, padded
from gradwell.history import History
from gradwell.layers import GRU, LSTM, RNN, Dense, Layer
from gradwell.network import Network
from gradwell.optimizers import SGD, Adam, Optimizer, RMSprop
from gradwell.training import fit

Array = NDArray[Any]

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "rmsprop": RMSprop, "sgd": SGD}
NUMBERS = 2**23  # of features that go through the net at a time


class Reader:
    """Weights of a recurrent net, and the network that has them for as many steps as are asked for.

    A step's features are the symbol as one of `symbols`, one-hot, and the square root of each gap over that of the
    longest one met in training: gaps range over powers of ten, so they are one number each, and a root, unlike a
    logarithm, is rounded alike wherever it is computed, which `decompress` needs.
    """

    def __init__(self, cell: str, units: int, symbols: int, longest: list[int], outputs: int, steps: bool, dtype: str):
        self.cell, self.units, self.symbols, self.outputs = cell, units, symbols, outputs
        self.longest = longest
        """The longest gap of each level passed."""
        self.steps = steps
        """Whether it answers at every step, or at the last alone."""
        self.dtype = dtype
        self.parameters: dict[str, Array] = {}

    @property
    def width(self) -> int:
        """Number of features of a step."""
        return self.symbols + len(self.longest)

    def network(self, time: int, *, seed: int = 0, stateful: bool = False) -> Network:
        """Return the network for sequences of `time` steps, with these weights if there are any."""
        cell = CELLS[self.cell](self.units, return_sequences=self.steps, stateful=stateful)
        layers: list[Layer] = [cell, Dense(self.outputs)]
        net = Network(layers, (time, self.width), seed=seed, dtype=self.dtype)
        for name, values in self.parameters.items():
            net.parameters[name][...] = values
        return net

    def features(self, items: Items) -> Array:
        """Return items (..., 1 + level) as what the net reads (..., width); padding, whose gaps are 0, need not fit."""
        x = np.zeros((*items.shape[:-1], self.width), self.dtype)
        np.put_along_axis(x, items[..., :1], 1.0, axis=-1)
        x[..., self.symbols :] = np.sqrt(items[..., 1:] / np.array(self.longest, np.float64))
        return x

    def learn(
        self, items: Items, lengths: Any, targets: Any, settings: dict[str, Any], stats: bool | str, progress: Any
    ) -> History:
        """Train on padded items (n, time, 1 + level) from new weights; the weights are kept here."""
        net = self.network(items.shape[1], seed=settings["seed"])
        history = fit(
            net,
            (self.features(items), targets, lengths),
            loss="softmax_cross_entropy",
            optimizer=OPTIMIZERS[settings["optimizer"]](settings["learning_rate"]),
            batch_size=settings["batch_size"],
            epochs=settings["epochs"],
            clip=clip_by_norm(settings["max_norm"]),
            stats=stats,
            seed=settings["seed"],
            progress=progress,
        )
        self.parameters = {name: np.array(view) for name, view in net.parameters.items()}
        return history

    def logits(self, sequences: list[Items]) -> Iterator[tuple[int, Array, NDArray[np.int64]]]:
        """Yield where each run of sequences begins, its outputs, and its lengths."""
        longest = max(len(items) for items in sequences)
        net = self.network(longest)
        rows = max(1, NUMBERS // (longest * (self.width + self.outputs)))
        for first in range(0, len(sequences), rows):
            part, lengths = padded(sequences[first : first + rows])
            extra = longest - part.shape[1]
            part = np.pad(part, ((0, 0), (0, extra), (0, 0)))
            yield first, net.predict(self.features(part), lengths=lengths), lengths
