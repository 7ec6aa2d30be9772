"""Can layers still tell samples apart? Similarity and rank of representations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.layers import BatchNorm, Layer, walk
from gradwell.network import Network

Array = NDArray[Any]

POINTS = 8  # of the depth
SAMPLES = 256


class Representations(NamedTuple):
    """Of samples behind some of the layers, from the input on.

    `spread` is the variance of a representation over samples as a share of its mean square: 0 where all samples look
    the same. `rank` is the participation ratio (sum l)^2 / sum l^2 of the covariance's eigenvalues l (Litwin-Kumar et
    al., 2017): how many directions samples differ in.
    """

    layers: tuple[str, ...]
    """Names of the layers; "input" first."""
    spread: Array
    rank: Array


def representations(network: Network, x: Array) -> Representations | None:
    """Follow samples through the layers; None for networks that read sequences."""
    if network.steps is not None or len(x) < 2:
        return None
    count = len(network.layers)
    ends = sorted({round(k * (count - 1) / POINTS) for k in range(1, POINTS + 1)} - {0, count - 1})
    names, spreads, ranks = ["input"], *([value] for value in _spread_and_rank(x[:SAMPLES]))
    values, begin = x[:SAMPLES], 0
    for end in ends:
        values = _through(network, begin, end, values)
        spread, rank = _spread_and_rank(values)
        names.append(network.layers[end - 1].name or str(end - 1))
        spreads.append(spread)
        ranks.append(rank)
        begin = end
    return Representations(tuple(names), np.array(spreads), np.array(ranks))


def _through(network: Network, begin: int, end: int, x: Array) -> Array:
    """Return what layers [begin, end) make of their inputs."""
    layers = network.layers[begin:end]
    part = Network(layers, x.shape[1:], seed=0, dtype=network.dtype)
    for old, new in _names(network.layers, begin, end):
        for source, target in ((network.parameters, part.parameters), (network.buffers, part.buffers)):
            for name, array in source.items():
                if name.startswith(f"{old}."):
                    target[f"{new}{name[len(old) :]}"][...] = array
    normed = any(isinstance(layer, BatchNorm) for _, layer, _ in walk(layers))
    return part.forward(x, training=normed)


def _names(layers: tuple[Layer, ...], begin: int, end: int) -> list[tuple[str, str]]:
    return [(layer.name or str(i + begin), layer.name or str(i)) for i, layer in enumerate(layers[begin:end])]


def _spread_and_rank(values: Array) -> tuple[float, float]:
    wide = values.reshape(len(values), -1).astype(np.float64)
    size = float((wide**2).mean())
    centred = wide - wide.mean(axis=0)
    gram = centred @ centred.T
    total = float(np.trace(gram))
    if not (np.isfinite(size) and size > 0):
        return float("nan"), float("nan")
    rank = total**2 / float((gram**2).sum()) if total > 0 else 0.0
    return float((centred**2).mean()) / size, rank
