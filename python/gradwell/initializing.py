"""Initialising a network that is there already, by name; also from data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import initializers
from gradwell.checks import check_count, check_positive
from gradwell.initialization import draw, fixup, initializers_of
from gradwell.layers import BatchNorm, Dense, LayerNorm, Residual, walk
from gradwell.losses import check_finite
from gradwell.network import Network

Array = NDArray[Any]

OWN = ("lsuv", "fixup", "zero-last")


def initialize(
    network: Network,
    init: Any,
    *,
    data: Any = None,
    seed: int | None = None,
    tolerance: float = 0.1,
    iterations: int = 10,
) -> None:
    """Draw weights and biases of all dense layers anew; running moments, training state and optimiser are forgotten.

    Parameters
    ----------
    network
        The network; its weights are changed.
    init
        The name or description of an initializer (`gradwell.initializers`), for every dense layer; or "lsuv": draw
        orthogonal weights, then divide each layer's by the standard deviation of its outputs on `data` until their
        variance is within `tolerance` of 1 (Mishkin, Matas, 2016); or "fixup": on the weights as they are, the last of
        each residual branch becomes 0 and the others are multiplied by L^(-1/(2m-2)) (Zhang, Dauphin, Ma, 2019); or
        "zero-last": only the first of these two, or the last weight of a network without blocks. A branch that ends in
        a normalisation gets gamma 0 instead (Goyal et al., 2017).
    data
        Samples for "lsuv".
    seed
        Of what is drawn; None draws one.
    tolerance, iterations
        Of "lsuv".

    Examples
    --------
    >>> import gradwell as gw
    >>> x, _ = gw.datasets.digits()
    >>> net = gw.mlp([64, *[50] * 20, 10], activation="relu", seed=0)
    >>> gw.initialize(net, "lsuv", data=x[:500], seed=0)
    >>> bool(0.5 < net.predict(x[:500]).std() < 1.5)
    True
    """
    if not isinstance(network, Network):
        raise TypeError(f"[initialize] network is of type {type(network).__name__}; needs a gradwell.Network")
    if seed is not None:
        check_count("initialize", "seed", seed, lowest=0)
    name = init.replace("_", "-") if isinstance(init, str) else init
    if name in ("fixup", "zero-last"):
        _change_branches(network, name)
    elif name == "lsuv":
        features = _features(network, data)
        check_positive("initialize", "tolerance", tolerance)
        check_count("initialize", "iterations", iterations)
        _draw(network, "orthogonal", seed)
        _lsuv(network, features, tolerance, iterations)
    else:
        if isinstance(init, str) and init.replace("-", "_") not in initializers.NAMES:
            known = ", ".join((*initializers.NAMES, *OWN))
            raise ValueError(f'[initialize] init is "{init}"; needs one of {known}')
        _draw(network, init, seed)
    for key, buffer in network.buffers.items():
        buffer[...] = 1.0 if key.endswith("variance") else 0.0
    network.training_state = None
    network.forget_optimizer()


def _features(network: Network, data: Any) -> Array:
    if data is None:
        raise ValueError('[initialize] data is None; "lsuv" needs samples')
    if network.steps is not None:
        raise ValueError('[initialize] the network reads sequences; "lsuv" needs dense layers only')
    features = network.features("initialize", data, "data")
    if len(features) < 2:
        raise ValueError(f"[initialize] data has {len(features)} rows; needs at least 2")
    return check_finite("initialize", "data", features)


def _draw(network: Network, init: Any, seed: int | None) -> None:
    entropy = np.random.SeedSequence(seed).entropy
    for i, (name, layer, following) in enumerate(walk(network.layers)):
        if isinstance(layer, Dense):
            rng = np.random.default_rng([int(entropy), i])  # type: ignore[arg-type]
            own, bias_init = initializers_of(Dense(layer.units, init=init, bias_init=layer.bias_init), following)
            weight = network.parameters[f"{name}.weight"]
            draw(own, rng, f"{name}.weight", weight, weight.shape[0])
            if layer.use_bias:
                draw(bias_init, rng, f"{name}.bias", network.parameters[f"{name}.bias"], weight.shape[0])


def _lsuv(network: Network, x: Array, tolerance: float, iterations: int) -> None:
    """Bring the variance of every dense layer's outputs on x to 1, from the input on."""
    stages = [stage[0] for stage in network.program.stages]
    where = network.device
    network.to("cpu")  # what a stage reads is kept there only
    for name, layer, _ in walk(network.layers):
        if not isinstance(layer, Dense):
            continue
        network.program.forward(x, None, True, 0, 0, network.flush_denormals)
        inputs = network.program.stage_input(stages.index(name)).astype(np.float64)
        weight = network.parameters[f"{name}.weight"]
        bias = network.parameters[f"{name}.bias"] if layer.use_bias else 0.0
        for _ in range(iterations):
            variance = float((inputs @ weight + bias).var())
            if abs(variance - 1) < tolerance or variance == 0:
                break
            weight[...] = weight / np.sqrt(variance)
    network.to(where)


def _change_branches(network: Network, name: str) -> None:
    blocks = [(key, layer) for key, layer, _ in walk(network.layers) if isinstance(layer, Residual)]
    if name == "fixup":
        if not fixup(network.layers, network.parameters, all_blocks=True):
            raise ValueError('[initialize] "fixup" needs residual blocks; the network has none')
        return
    ends = [(key, list(walk(block.layers, f"{key}."))) for key, block in blocks] or [("", list(walk(network.layers)))]
    lasts = []
    for _, inside in ends:
        last = next((part for part in reversed(inside) if isinstance(part[1], (Dense, BatchNorm, LayerNorm))), None)
        if last is None:
            continue
        lasts.append(last)
        suffix = "weight" if isinstance(last[1], Dense) else "gamma"
        if f"{last[0]}.{suffix}" not in network.parameters:
            raise ValueError(f"[initialize] {last[0]} ends a branch and has no gamma to be 0; use use_scale=True")
    for last in lasts:
        suffix = "weight" if isinstance(last[1], Dense) else "gamma"
        network.parameters[f"{last[0]}.{suffix}"][...] = 0.0
