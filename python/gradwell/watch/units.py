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
SAMPLES: Final = 1000  # of a window


def kind_of(module: Any) -> str:
    """Return our word for a module's class."""
    name = type(module).__name__
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), name.lower())


def saturated_of(activation: str, y: Array) -> Array | None:
    """Return where outputs have under 1 % of the largest derivative; None for activations that have no such place.

    Examples
    --------
    >>> saturated_of("tanh", np.array([[0.5, 0.999]]))
    array([[False,  True]])
    """
    if activation == "tanh":
        return np.asarray(1 - y * y < 0.01)
    if activation == "sigmoid":
        return np.asarray(y * (1 - y) < 0.0025)
    return np.asarray(y <= 0) if activation == "relu" else None


class Window:
    """Units that were saturated for every sample, over windows of 1,000 samples.

    Examples
    --------
    >>> window = Window()
    >>> window.add(np.ones((600, 2), bool)); window.share
    nan
    >>> window.add(np.array([[True, False]] * 600)); window.share
    0.5
    """

    def __init__(self) -> None:
        self.share = float("nan")
        self._alive: Array | None = None
        self._seen = 0

    def add(self, flat: Array) -> None:
        """Take in a batch: (batch, ..., units), or (batch, channels, height, width)."""
        axes = tuple(i for i in range(flat.ndim) if i != (1 if flat.ndim in (4, 5) else flat.ndim - 1))
        alive: Array = np.asarray(~flat.all(axis=axes))
        if self._alive is not None and self._alive.shape == alive.shape:
            alive = self._alive | alive
        self._alive = alive
        self._seen += len(flat)
        if self._seen >= SAMPLES:
            self.share = float(1 - alive.mean()) if alive.size else float("nan")
            self._alive, self._seen = None, 0
