"""Networks of dense layers in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradwell import initializers
from gradwell.layers import BatchNorm, Dense, Dropout, Layer, LayerNorm, activation_layer
from gradwell.network import Network


def mlp(
    sizes: Sequence[int],
    activation: str = "tanh",
    *,
    init: Any = None,
    bias_init: Any = None,
    alpha: float | None = None,
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    kernel_constraint: Any = None,
    normalization: str | None = None,
    dropout: float = 0.0,
    seed: int | None = None,
    dtype: Any = "float32",
    flush_denormals: bool = True,
    device: str | None = None,
) -> Network:
    """Return a network of dense layers with one activation between them; the last layer is linear (logits).

    Parameters
    ----------
    sizes
        Widths from input to output, such as [784, 30, 10].
    activation, alpha
        Name of the hidden layers' activation ("prelu" among them), and the setting of leaky_relu or elu.
    init, bias_init
        Initializers of all layers; by default the usual ones for the activation.
    kernel_regularizer, bias_regularizer, kernel_constraint
        As in `Dense`, for all layers.
    normalization
        "batch" or "layer" puts one in front of every hidden activation.
    dropout
        Rate of the dropout behind every hidden activation.
    seed, dtype, flush_denormals, device
        As in `Network`.

    Examples
    --------
    >>> mlp([64, 30, 10], activation="sigmoid", init="nielsen", seed=0)
    <Network 64 → dense+sigmoid 30 → dense 10; 2,260 parameters, float32>
    """
    if not hasattr(sizes, "__len__"):
        raise TypeError(f"[mlp] sizes is of type {type(sizes).__name__}; needs a list such as [784, 30, 10]")
    if len(sizes) < 2:
        raise ValueError(f"[mlp] sizes has {len(sizes)} numbers; needs at least input and output")
    hidden = activation_layer(activation, alpha)
    usual = init if init is not None else initializers.usual_for(activation)
    if normalization not in (None, "batch", "layer"):
        raise ValueError(f'[mlp] normalization is "{normalization}"; needs None, "batch" or "layer"')
    norm = {"batch": BatchNorm, "layer": LayerNorm}.get(normalization or "")
    limits = {"kernel_regularizer": kernel_regularizer, "bias_regularizer": bias_regularizer}
    layers: list[Layer] = []
    for i, units in enumerate(sizes[1:]):
        layers.append(Dense(units, init=usual, bias_init=bias_init, kernel_constraint=kernel_constraint, **limits))
        if i + 2 < len(sizes):
            layers += [norm()] if norm else []
            layers.append(hidden)
            layers += [Dropout(dropout)] if dropout else []
    return Network(layers, sizes[0], seed=seed, dtype=dtype, flush_denormals=flush_denormals, device=device)
