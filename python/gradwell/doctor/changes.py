"""What a remedy changes: the network, the arguments of its training, or the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell import optimizers
from gradwell.clipping import Clip, clip_by_norm
from gradwell.doctor.finding import Remedy
from gradwell.initializing import initialize
from gradwell.layers import LSTM, RNN, Activation, BatchNorm, Dense, Layer, LayerNorm, Recurrent, Residual
from gradwell.network import Network
from gradwell.optimizers import Optimizer

Array = NDArray[Any]

LIKE_RELU: Final = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "prelu")
LOOKED_AT: Final = 1000  # samples that weights are scaled on


@dataclass(frozen=True)
class Setup:
    """A network, and how it is trained: what a trial starts from."""

    network: Network
    x: Array
    y: Array
    optimizer: Optimizer
    clip: Clip | None
    drawn_anew: bool = False
    """Whether the weights are not those that were there."""
    lengths: Array | None = None
    """Of the sequences."""

    @property
    def data(self) -> tuple[Array, ...]:
        """What `fit` trains on."""
        return (self.x, self.y) if self.lengths is None else (self.x, self.y, self.lengths)


class NotApplicableError(ValueError):
    """A remedy that makes no sense for this network."""


def applied(remedy: Remedy, setup: Setup, seed: int) -> Setup:
    """Return the setup with a remedy; the one given stays as it was. Raise `NotApplicableError` where it fits not.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.mlp([4, 5, 3], activation="sigmoid", seed=0)
    >>> given = Setup(net, np.ones((8, 4)), np.zeros(8, int), gw.SGD(0.1), None)
    >>> applied(gw.doctor.REMEDIES["tanh"], given, 0).network
    <Network 4 → dense+tanh 5 → dense 3; 43 parameters, float32>
    """
    change = remedy.change
    _check_change(change)
    if change.get("data") == "standardise":
        setup = replace(setup, x=standardised(setup.x))
    if "layers" in change:
        setup = _rebuilt(setup, REBUILDINGS[change["layers"]], seed)
    if "init" in change:
        setup = _drawn(setup, change["init"], seed)
    return _retrained(setup, change.get("fit", {}))


def _check_change(change: Mapping[str, Any]) -> None:
    """Raise ValueError unless a trial knows what to make of a change."""
    inside = change.get("fit", {})
    told = [("change", change, ("data", "layers", "init", "fit"))]
    told += [("change's fit", inside, ("optimizer", "rate", "weight_decay", "clip"))]
    for what, settings, known in told:
        for name in settings:
            if name not in known:
                raise ValueError(f'[treat] a remedy\'s {what} has "{name}"; needs some of {", ".join(known)}')
    if change.get("layers") not in (None, *REBUILDINGS):
        raise ValueError(f'[treat] a remedy\'s layers is "{change["layers"]}"; needs one of {", ".join(REBUILDINGS)}')
    if not change:
        raise NotApplicableError("it changes nothing that a trial could")


def standardised(x: Array) -> Array:
    """Return samples whose features have mean 0 and variance 1; constant features become 0."""
    if x.ndim != 2 or x.dtype.kind != "f":
        raise NotApplicableError("the samples are no plain features")
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    if np.abs(mean).max(initial=0) < 1e-3 and np.abs(spread[spread > 0] - 1).max(initial=0) < 1e-2:
        raise NotApplicableError("the samples are standardised already")
    return np.asarray((x - mean) / np.where(spread > 0, spread, 1), x.dtype)


def _rebuilt(setup: Setup, rebuild: Callable[[Sequence[Layer]], list[Layer]], seed: int) -> Setup:
    old = setup.network
    layers = rebuild(old.layers)
    if [layer.describe() for layer in layers] == [layer.describe() for layer in old.layers]:
        raise NotApplicableError("there is nothing to change")
    net = Network(layers, old.input_shape, seed=seed, dtype=old.dtype, flush_denormals=old.flush_denormals)
    kept = _carried(old, net)
    return replace(setup, network=net, drawn_anew=setup.drawn_anew or not kept)


def _carried(old: Network, new: Network) -> bool:
    """Put the old weights and biases where the new network has the same ones in the same order; whether it has."""

    def of(net: Network) -> list[Array]:
        return [v for name, v in net.parameters.items() if name.rsplit(".", 1)[1] in ("weight", "bias")]

    ours, theirs = of(old), of(new)
    if [v.shape for v in ours] != [v.shape for v in theirs]:
        return False
    for value, view in zip(ours, theirs, strict=True):
        view[...] = value
    return True


def _drawn(setup: Setup, init: str, seed: int) -> Setup:
    net = setup.network.copy()
    if not any(isinstance(layer, Dense) for layer in net.layers):
        raise NotApplicableError("there is no dense layer")
    if init == "lsuv":
        if net.steps is not None or len(setup.x) < 2:
            raise NotApplicableError("LSUV needs samples and dense layers only")
        initialize(net, "lsuv", data=setup.x[:LOOKED_AT], seed=seed)
    else:
        kinds = [getattr(layer, "activation", "prelu") for layer in net.layers if not hasattr(layer, "units")]
        matching = "he" if any(kind in LIKE_RELU for kind in kinds) else "glorot"
        initialize(net, matching if init == "matching" else init, seed=seed)
        for name, view in net.parameters.items():
            if name.endswith(".bias"):
                view[...] = 0
    return replace(setup, network=net, drawn_anew=True)


def _retrained(setup: Setup, change: Mapping[str, Any]) -> Setup:
    optimizer = setup.optimizer
    if "optimizer" in change:
        if isinstance(optimizer, optimizers.Adam):
            raise NotApplicableError("it is trained with Adam already")
        optimizer = optimizers.Adam(change["rate"])
    elif "rate" in change:
        if not isinstance(optimizer.learning_rate, (int, float)):
            raise NotApplicableError("its learning rate is a schedule")
        optimizer = replace(optimizer, learning_rate=optimizer.learning_rate * change["rate"])
    if "weight_decay" in change:
        if "weight_decay" not in {field.name for field in fields(optimizer)}:
            raise NotApplicableError("its optimiser has no weight decay")
        optimizer = replace(optimizer, weight_decay=change["weight_decay"])  # type: ignore[call-arg]
    clip = setup.clip
    if "clip" in change:
        if change["clip"] is None and clip is None:
            raise NotApplicableError("nothing is clipped")
        clip = None if change["clip"] is None else clip_by_norm(change["clip"])
    return replace(setup, optimizer=optimizer, clip=clip)


def _swapped(name: str) -> Callable[[Sequence[Layer]], list[Layer]]:
    def rebuild(layers: Sequence[Layer]) -> list[Layer]:
        last = len(layers) - 1
        hidden = [i < last and isinstance(layer, Activation) for i, layer in enumerate(layers)]
        return [Activation(name) if h else layer for h, layer in zip(hidden, layers, strict=True)]

    return rebuild


def _with_norm(make: type[BatchNorm] | type[LayerNorm]) -> Callable[[Sequence[Layer]], list[Layer]]:
    def rebuild(layers: Sequence[Layer]) -> list[Layer]:
        found: list[Layer] = []
        for layer, following in zip(layers, [*layers[1:], None], strict=True):
            found.append(layer)
            if isinstance(layer, Dense) and isinstance(following, Activation):
                found.append(make())
        return found

    return rebuild


def _with_skips(layers: Sequence[Layer]) -> list[Layer]:
    found: list[Layer] = []
    width, i = None, 0
    while i < len(layers):
        layer = layers[i]
        following = layers[i + 1] if i + 1 < len(layers) else None
        if isinstance(layer, Dense) and layer.units == width and isinstance(following, Activation):
            found.append(Residual(layer, following))
            i += 2
            continue
        width = layer.units if isinstance(layer, Dense) else width
        found.append(layer)
        i += 1
    return found


def _halved(layers: Sequence[Layer]) -> list[Layer]:
    found: list[Layer] = []
    width, i, seen = None, 0, 0
    while i < len(layers):
        layer = layers[i]
        following = layers[i + 1] if i + 1 < len(layers) else None
        if isinstance(layer, Dense) and layer.units == width and isinstance(following, Activation):
            seen += 1
            if seen % 2:
                i += 2
                continue
        width = layer.units if isinstance(layer, Dense) else width
        found.append(layer)
        i += 1
    return found


def _as_lstm(layers: Sequence[Layer]) -> list[Layer]:
    return [
        LSTM(layer.units, return_sequences=layer.return_sequences, forget_bias=3.0)
        if isinstance(layer, Recurrent) and not isinstance(layer, LSTM)
        else layer
        for layer in layers
    ]


def _as_irnn(layers: Sequence[Layer]) -> list[Layer]:
    return [
        RNN(layer.units, activation="relu", recurrent_init="identity", return_sequences=layer.return_sequences)
        if isinstance(layer, RNN)
        else layer
        for layer in layers
    ]


REBUILDINGS: Final = {
    "tanh": _swapped("tanh"),
    "relu": _swapped("relu"),
    "leaky_relu": _swapped("leaky_relu"),
    "batchnorm": _with_norm(BatchNorm),
    "layernorm": _with_norm(LayerNorm),
    "residual": _with_skips,
    "half": _halved,
    "lstm": _as_lstm,
    "irnn": _as_irnn,
}
