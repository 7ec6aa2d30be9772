"""A residual network as an ensemble of paths (Veit, Wilber, Belongie, 2016)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count
from gradwell.layers import Layer, Residual
from gradwell.losses import check_loss, prepare_targets
from gradwell.network import Network

Array = NDArray[Any]


@dataclass(frozen=True)
class PathEnsemble:
    """The 2^depth paths through a network of residual blocks, by how many branches they take.

    Attributes
    ----------
    lengths
        0 ... depth.
    share
        Fraction of all paths with each length: binomial(depth, 1/2).
    """

    depth: int
    lengths: Array
    share: Array

    def between(self, low: int, high: int) -> float:
        """Return the fraction of paths with low to high branches, ends included.

        Examples
        --------
        >>> ensemble = path_ensemble(54)
        >>> round(ensemble.between(19, 35), 4), round(ensemble.between(5, 17), 5)
        (0.9802, 0.00454)
        """
        return float(self.share[max(low, 0) : max(high + 1, 0)].sum())


def path_ensemble(depth: int) -> PathEnsemble:
    """Return the distribution of path lengths of `depth` residual blocks.

    Each block doubles the paths: one takes its branch, one its skip connection.

    Examples
    --------
    >>> path_ensemble(3).share
    array([0.125, 0.375, 0.375, 0.125])
    """
    check_count("path_ensemble", "depth", depth)
    lengths = np.arange(depth + 1)
    logs = np.array([math.lgamma(depth + 1) - math.lgamma(k + 1) - math.lgamma(depth - k + 1) for k in lengths])
    return PathEnsemble(depth, lengths, np.exp(logs - depth * math.log(2)))


def path_gradients(
    network: Network, x: Any, y: Any, *, loss: str, samples: int = 20, seed: int = 0, lengths: Any = None
) -> tuple[Array, Array]:
    """Return lengths and the mean norm of the gradient that one path of each length carries to the first block.

    A path takes the branch of some blocks and the skip connection of all others. Its gradient is measured on the real
    network: forward as it is, then back through the chosen branches alone. `samples` paths are drawn for each length;
    times the number of paths, the norm says which lengths the gradient flows through.

    Parameters
    ----------
    network
        Layers in a row of which two or more are residual blocks without shortcut.
    x, y, loss
        Samples, targets and loss, as in `fit`.
    samples, seed
        How many paths of each length, and what they are drawn from.
    lengths
        Which lengths; by default all.

    Examples
    --------
    >>> import gradwell as gw
    >>> blocks = [gw.Residual(gw.Dense(8), gw.Tanh(), gw.Dense(8), scale=0.1) for _ in range(6)]
    >>> net = gw.Network([gw.Dense(8), *blocks, gw.Dense(3)], input_shape=4, seed=0)
    >>> data = np.ones((5, 4)), np.zeros(5, int)
    >>> lengths, norms = gw.theory.path_gradients(net, *data, loss="softmax_cross_entropy")
    >>> bool((np.diff(norms) < 0).all())
    True
    """
    operation = "path_gradients"
    if not isinstance(network, Network):
        raise TypeError(f"[{operation}] network is of type {type(network).__name__}; needs a gradwell.Network")
    check_loss(operation, loss, network.outputs)
    check_count(operation, "samples", samples)
    parts = _parts(network)
    value = network.features(operation, x)
    targets = prepare_targets(operation, "y", y, len(value), network.outputs, network.dtype)
    for _, net, block in parts:
        out = net.forward(value)
        value = out if block is None else value + _scale(network, block) * out
    upstream = _loss_gradient(loss, value, targets)
    blocks: list[tuple[Network, float]] = []
    for _, net, block in reversed(parts):
        if block is None and not blocks:
            upstream = net.backward(upstream)
        elif block is not None:
            blocks.append((net, _scale(network, block)))
        else:
            break
    rng = np.random.default_rng(seed)
    check_count(operation, "seed", seed, lowest=0)
    wanted = np.arange(len(blocks) + 1) if lengths is None else np.atleast_1d(np.asarray(lengths))
    if wanted.dtype.kind not in "iu" or wanted.ndim != 1 or not ((wanted >= 0) & (wanted <= len(blocks))).all():
        raise ValueError(f"[{operation}] lengths is {lengths}; needs whole numbers from 0 to {len(blocks)}")
    norms = []
    for length in wanted:
        found = []
        for _ in range(samples if 0 < length < len(blocks) else 1):
            chosen = set(rng.choice(len(blocks), length, replace=False).tolist())
            gradient = upstream
            for k, (net, scale) in enumerate(blocks):
                gradient = scale * net.backward(gradient) if k in chosen else gradient
            found.append(float(np.linalg.norm(gradient.astype(np.float64))))
        norms.append(np.mean(found))
    return wanted, np.array(norms)


def _loss_gradient(loss: str, outputs: Array, targets: Array) -> Array:
    from gradwell import kernels

    gradient: Array = getattr(kernels, loss)(outputs, targets)[1]
    return gradient


def _scale(network: Network, block: tuple[str, Residual]) -> float:
    name, layer = block
    return float(network.parameters[f"{name}.scale"][0]) if isinstance(layer.scale, str) else float(layer.scale)


def _parts(network: Network) -> list[tuple[str, Network, tuple[str, Residual] | None]]:
    """Cut a network into networks of their own: runs of plain layers, and the branch of each block."""
    found: list[tuple[str, Network, tuple[str, Residual] | None]] = []
    run: list[tuple[str, Layer]] = []
    width = network.inputs

    def close() -> None:
        nonlocal width
        if run:
            part = _copied(network, [layer for _, layer in run], [name for name, _ in run], width)
            found.append((run[0][0], part, None))
            width = part.outputs
            run.clear()

    for i, layer in enumerate(network.layers):
        name = layer.name or str(i)
        if not isinstance(layer, Residual):
            run.append((name, layer))
            continue
        if layer.shortcut is not None:
            raise ValueError(f"[path_gradients] block {name} has a shortcut; needs blocks that pass x on as it is")
        close()
        inner = [f"{name}.{inside.name or k}" for k, inside in enumerate(layer.layers)]
        found.append((name, _copied(network, list(layer.layers), inner, width), (name, layer)))
    close()
    if sum(block is not None for _, _, block in found) < 2:
        raise ValueError("[path_gradients] the network has fewer than 2 residual blocks in a row")
    return found


def _copied(network: Network, layers: list[Layer], names: list[str], width: int) -> Network:
    """Return a network of some layers with the weights they have in the whole."""
    part = Network(layers, width, seed=0, dtype=network.dtype, flush_denormals=network.flush_denormals)
    own = [layer.name or str(i) for i, layer in enumerate(layers)]
    for there, here in zip(names, own, strict=True):
        for key, view in part.parameters.items():
            if key.startswith(f"{here}."):
                view[...] = network.parameters[there + key[len(here) :]]
    return part
