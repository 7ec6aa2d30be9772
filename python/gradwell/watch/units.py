"""Modules of other frameworks in our words, and what their units do."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ACTIVATIONS: Final = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "SELU": "selu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Softplus": "softplus",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Hardtanh": "hardtanh",
    "ReLU6": "relu6",
    "Mish": "mish",
    "Hardswish": "hardswish",
}
KINDS: Final = {
    "Linear": "dense",
    "Bilinear": "dense",
    "Embedding": "embedding",
    "BatchNorm": "batchnorm",
    "SyncBatchNorm": "batchnorm",
    "LayerNorm": "layernorm",
    "GroupNorm": "layernorm",
    "InstanceNorm": "layernorm",
    "RMSNorm": "layernorm",
    "Conv": "conv",
    "MultiheadAttention": "attention",
    "LSTM": "lstm",
    "GRU": "gru",
    "RNN": "rnn",
}
FLATTENING: Final = ("tanh", "sigmoid", "relu")  # whose derivative says whether a unit does anything
SAMPLES: Final = 1000  # of a window


def kind_of(module: Any) -> str:
    """Return our word for a module's class."""
    name = type(module).__name__
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), name.lower())


class Window:
    """Units that did nothing for any sample, over windows of 1,000 samples.

    Attributes
    ----------
    alive
        Units (units,) that had a derivative of more than 1 % of the largest since the window began; 0 or 1.
    share
        Share of units without one in the last whole window.

    Examples
    --------
    >>> window = Window(2)
    >>> window.alive[1] = 1
    >>> window.add(600); window.share
    nan
    >>> window.add(600); window.share
    0.5
    """

    def __init__(self, units: int) -> None:
        self.share = float("nan")
        self.alive: Array = np.zeros(units, np.uint8)
        self._seen = 0

    def add(self, samples: int) -> None:
        """Take in a batch that `alive` knows of."""
        self._seen += samples
        if self._seen >= SAMPLES:
            self.share = float(1 - self.alive.mean())
            self.alive = np.zeros_like(self.alive)
            self._seen = 0


def columns_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return units and numbers of each in a sample of (batch, ..., units), or of (batch, channels, height, width).

    Examples
    --------
    >>> columns_of((64, 128)), columns_of((64, 8, 28, 28))
    ((128, 1), (8, 784))
    """
    images = len(shape) in (4, 5)
    return (shape[1], int(np.prod(shape[2:]))) if images else (shape[-1], 1)
