"""Do gradients of neighbouring inputs resemble one another? Shattered gradients (Balduzzi et al., 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.layers import BatchNorm, Dropout, Embedding, walk
from gradwell.network import Network

Array = NDArray[Any]

POINTS = 64  # on a line between two samples
LINES = 4


def resemblance(network: Network, x: Array, seed: int) -> float | None:
    """Return the mean cosine between dC/dx at neighbouring points of lines between two samples.

    C is a fixed random mix of the outputs. 1 where the gradient is smooth; near 0 where it is like white noise, and a
    step that helps one sample says nothing of its neighbour. None for sequences, tokens, and layers that look at the
    whole batch or draw at random, and where the gradient is 0.
    """
    batchwise = any(isinstance(layer, (BatchNorm, Dropout, Embedding)) for _, layer, _ in walk(network.layers))
    if network.steps is not None or batchwise or len(x) < 2:
        return None
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=network.outputs).astype(network.dtype)
    found = []
    for _ in range(LINES):
        a, b = x[rng.choice(len(x), 2, replace=False)].astype(np.float64)
        line = a + np.linspace(0, 1, POINTS)[:, None] * (b - a)
        network.forward(line.astype(network.dtype), training=False)
        gradient = network.backward(np.broadcast_to(mix, (POINTS, network.outputs)).copy()).astype(np.float64)
        norms = np.sqrt((gradient**2).sum(axis=1))
        with np.errstate(all="ignore"):
            found.append((gradient[1:] * gradient[:-1]).sum(axis=1) / (norms[1:] * norms[:-1]))
    cosines = np.concatenate(found)
    return float(np.mean(cosines[np.isfinite(cosines)])) if np.isfinite(cosines).any() else None
