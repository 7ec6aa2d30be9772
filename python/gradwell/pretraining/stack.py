"""The dense layers of a network, one above the other, as pre-training sees them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import kernels
from gradwell.layers import Activation, Dense, Dropout
from gradwell.network import Network

Array = NDArray[Any]

ROWS = 4096  # that go through a layer at a time


@dataclass(frozen=True)
class Level:
    """A dense layer with the activation behind it; weight and bias are the network's own memory."""

    name: str
    activation: str
    alpha: float | None
    weight: Array
    bias: Array

    def outputs(self, x: Array) -> Array:
        """Return f(x W + b)."""
        parts = [
            kernels.dense_forward(x[i : i + ROWS], self.weight, self.bias, self.activation, alpha=self.alpha)
            for i in range(0, len(x), ROWS)
        ]
        return np.concatenate(parts)


def hidden_levels(network: Any) -> list[Level]:
    """Return the hidden dense layers of a network, all but the last; raise where it is no plain stack of them.

    Examples
    --------
    >>> from gradwell.mlp import mlp
    >>> [level.name for level in hidden_levels(mlp([4, 3, 3, 2], activation="sigmoid", seed=0))]
    ['0', '2']
    """
    if not isinstance(network, Network):
        raise TypeError(f"[pretrain] network is of type {type(network).__name__}; needs a gradwell.Network")
    if network.steps is not None:
        raise ValueError("[pretrain] the network reads sequences; needs a stack of dense layers")
    names = [layer.name or str(i) for i, layer in enumerate(network.layers)]
    dense = [i for i, layer in enumerate(network.layers) if isinstance(layer, Dense)]
    for name, layer in zip(names, network.layers, strict=True):
        if not isinstance(layer, (Dense, Activation, Dropout)):
            raise ValueError(
                f"[pretrain] layer {name} is a {type(layer).__name__}; needs dense layers, activations and dropout only"
            )
        if isinstance(layer, Dense) and not layer.use_bias:
            raise ValueError(f"[pretrain] layer {name} has no bias; needs use_bias=True")
    if len(dense) < 2:
        raise ValueError(f"[pretrain] the network has {len(dense)} dense layers; needs at least one before the last")
    if isinstance(network.layers[0], Activation):
        raise ValueError(f"[pretrain] layer {names[0]} activates the input; needs a dense layer first")
    return [_level(network, names, i, end) for i, end in itertools.pairwise(dense)]


def _level(network: Network, names: Sequence[str], i: int, end: int) -> Level:
    active = [layer for layer in network.layers[i + 1 : end] if isinstance(layer, Activation)]
    if len(active) > 1:
        raise ValueError(f"[pretrain] layer {names[i]} is followed by {len(active)} activations; needs at most one")
    activation, alpha = (active[0].activation, active[0].alpha) if active else ("identity", None)
    weight, bias = (network.parameters[f"{names[i]}.{kind}"] for kind in ("weight", "bias"))
    return Level(names[i], activation, alpha, weight, bias)
