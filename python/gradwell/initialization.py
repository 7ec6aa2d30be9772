"""Drawing the initial parameters of all layers, each from a stream of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import initializers
from gradwell.initializers import Initializer, Kumar
from gradwell.layers import (
    LSTM,
    Activation,
    BatchNorm,
    Bidirectional,
    ConvLSTM,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    PReLU,
    Recurrent,
    Residual,
    recurrent_of,
    walk,
)
from gradwell.layers.residual import LEARNED

Array = NDArray[Any]


def draw_all(layers: Sequence[Layer], entropy: int, parameters: Mapping[str, Array]) -> None:
    """Draw every parameter; layer number i draws from the stream (entropy, i)."""
    for i, (name, layer, following) in enumerate(walk(layers)):
        rng = np.random.default_rng([entropy, i])
        if isinstance(layer, Dense):
            weight = parameters[f"{name}.weight"]
            init, bias_init = initializers_of(layer, following)
            draw(init, rng, f"{name}.weight", weight, weight.shape[0])
            if layer.use_bias:
                draw(bias_init, rng, f"{name}.bias", parameters[f"{name}.bias"], weight.shape[0])
        elif (recurrent := recurrent_of(layer)) is not None:
            for prefix in ("", "backward_") if isinstance(layer, Bidirectional) else ("",):
                draw_recurrent(recurrent, rng, f"{name}.{prefix}", parameters)
        elif isinstance(layer, ConvLSTM):
            draw_recurrent(layer, rng, f"{name}.", parameters)
        elif isinstance(layer, Embedding):
            weight = parameters[f"{name}.weight"]
            draw(
                initializers.get(layer.init or initializers.Normal(0.0, 1.0)),
                rng,
                f"{name}.weight",
                weight,
                layer.units,
            )
        elif isinstance(layer, PReLU):
            slope = parameters[f"{name}.slope"]
            draw(initializers.get(layer.init or "zeros"), rng, f"{name}.slope", slope, slope.size)
        elif isinstance(layer, (BatchNorm, LayerNorm)):
            for suffix, value in (("gamma", 1.0), ("beta", 0.0)):
                if f"{name}.{suffix}" in parameters:
                    parameters[f"{name}.{suffix}"][...] = value
        elif isinstance(layer, Residual) and isinstance(layer.scale, str):
            parameters[f"{name}.scale"][...] = LEARNED[layer.scale]
    fixup(layers, parameters)


def draw_recurrent(
    layer: Recurrent | ConvLSTM, rng: np.random.Generator, name: str, parameters: Mapping[str, Array]
) -> None:
    """Draw one direction of a recurrent layer, gate by gate; peepholes start at 0."""
    gates, hidden = len(layer.gates), layer.filters if isinstance(layer, ConvLSTM) else layer.units
    for what, usual, chosen in (
        ("weight", "glorot", layer.init),
        ("recurrent_weight", "orthogonal", layer.recurrent_init),
        ("bias", "zeros", layer.bias_init),
    ):
        if f"{name}{what}" not in parameters:
            continue
        view = parameters[f"{name}{what}"]
        for k in range(gates):
            part = view[..., k * hidden : (k + 1) * hidden]
            draw(initializers.get(chosen or usual), rng, f"{name}{what}", part, parameters[f"{name}weight"].shape[0])
    if isinstance(layer, (LSTM, ConvLSTM)) and layer.use_bias:
        parameters[f"{name}bias"][hidden : 2 * hidden] += layer.forget_bias
    fixed = {"recurrent_bias": 0.0, "peephole": 0.0, "cell_shift": 0.0}
    for what, value in {**fixed, "gain": 1.0, "recurrent_gain": 1.0, "cell_gain": 1.0}.items():
        if f"{name}{what}" in parameters:
            parameters[f"{name}{what}"][...] = value


def initializers_of(layer: Dense, following: Layer | None) -> tuple[Initializer, Initializer]:
    """Return the initializers of weight and bias: the layer's own, or the usual ones for what follows it."""
    activation = following.activation if isinstance(following, Activation) else "identity"
    activation = "prelu" if isinstance(following, PReLU) else activation
    init = initializers.get(layer.init or initializers.usual_for(activation))
    if isinstance(init, Kumar) and init.activation is None:
        init = Kumar(activation)
    usual_bias = "nielsen" if init.describe()["name"] == "nielsen" else "zeros"
    return init, initializers.get(layer.bias_init or usual_bias)


def fixup(layers: Sequence[Layer], parameters: Mapping[str, Array], *, all_blocks: bool = False) -> int:
    """Scale the branches of blocks with scale="fixup", or of all blocks; return how many there were.

    The last weight of a branch becomes 0, its other m - 1 weights are multiplied by L^(-1/(2m-2)), L the number of such
    blocks in the network (Zhang, Dauphin, Ma, 2019).
    """
    found = [(name, layer) for name, layer, _ in walk(layers) if isinstance(layer, Residual)]
    blocks = [(name, layer) for name, layer in found if all_blocks or layer.scale == "fixup"]
    for name, block in blocks:
        weights = [part for part, layer, _ in walk(block.layers, f"{name}.") if isinstance(layer, Dense)]
        if not weights:
            continue
        for part in weights[:-1]:
            parameters[f"{part}.weight"][...] *= len(blocks) ** (-1.0 / (2 * len(weights) - 2))
        parameters[f"{weights[-1]}.weight"][...] = 0.0
    return len(blocks)


def draw(init: Initializer, rng: np.random.Generator, name: str, view: Array, n_in: int) -> None:
    """Fill `view`; raise where the initializer draws another shape, or more than the dtype holds."""
    drawn = np.asarray(init.sample(rng, view.shape, n_in))
    if drawn.shape != view.shape:
        raise ValueError(f"[network] {init} drew shape {drawn.shape} for {name}; needs {view.shape}")
    if not (np.abs(drawn) <= np.finfo(view.dtype).max).all():
        raise ValueError(f"[network] {init} drew {np.abs(drawn).max()} for {name}; needs what {view.dtype} holds")
    view[...] = drawn
