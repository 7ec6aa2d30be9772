"""What a network is made of: layers as plain descriptions, without weights.

A layer that makes sums (Dense, BatchNorm, LayerNorm, Residual) and the activation behind it run as one stage. `Network`
turns the descriptions into a program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gradwell.layers.activation import (
    ACTIVATION_CLASSES,
    ELU,
    GELU,
    SELU,
    Activation,
    Identity,
    LeakyReLU,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    activation_layer,
)
from gradwell.layers.convlstm import ConvLSTM
from gradwell.layers.dense import Dense
from gradwell.layers.dropout import Dropout
from gradwell.layers.embedding import Embedding, Flatten
from gradwell.layers.layer import Layer
from gradwell.layers.normalization import BatchNorm, LayerNorm
from gradwell.layers.recurrent import GRU, LSTM, RNN, Bidirectional, Recurrent, recurrent_of
from gradwell.layers.residual import Residual
from gradwell.layers.sequences import gives_sequences, input_steps, inside, reads_sequences

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "Activation",
    "BatchNorm",
    "Bidirectional",
    "ConvLSTM",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Recurrent",
    "Residual",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "activation_layer",
    "from_description",
    "gives_sequences",
    "input_steps",
    "inside",
    "reads_sequences",
    "recurrent_of",
    "walk",
]

_CLASSES: Mapping[str, type[Layer]] = {
    c.__name__: c
    for c in (
        *(Dense, Activation, PReLU, BatchNorm, LayerNorm, Dropout, Residual, *ACTIVATION_CLASSES),
        *(RNN, LSTM, GRU, Bidirectional, ConvLSTM, Embedding, Flatten),
    )
}


def from_description(description: Mapping[str, Any]) -> Layer:
    """Return the layer that `Layer.describe` described.

    Examples
    --------
    >>> from_description({"class": "ELU", "alpha": 0.5}).describe()
    {'class': 'ELU', 'alpha': 0.5}
    """
    settings = dict(description)
    name = settings.pop("class", None)
    if name not in _CLASSES:
        raise ValueError(f'[layer] class is "{name}"; needs one of {", ".join(_CLASSES)}')
    try:
        if name == "Residual":
            inside = [from_description(layer) for layer in settings.pop("layers")]
            shortcut = settings.pop("shortcut")
            settings["shortcut"] = None if shortcut is None else from_description(shortcut)
            return Residual(*inside, **settings)
        if name == "Bidirectional":
            settings["layer"] = from_description(settings["layer"])
        return _CLASSES[name](**settings)
    except (TypeError, KeyError) as error:
        raise ValueError(f"[layer] {name} cannot be made from {settings}: {error}") from None


def walk(layers: Iterable[Layer], prefix: str = "") -> Iterator[tuple[str, Layer, Layer | None]]:
    """Yield every layer, those inside blocks before their block: its name, itself, and what activates its output.

    The last is the activation that follows, normalisation and dropout in between left out; None where there is none.

    Examples
    --------
    >>> [name for name, *_ in walk([Dense(2), Residual(Dense(2), Tanh()), ReLU()])]
    ['0', '1.0', '1.1', '1', '2']
    """
    listed = list(layers)
    for i, layer in enumerate(listed):
        name = f"{prefix}{layer.name or i}"
        if isinstance(layer, Residual):
            yield from walk(layer.layers, f"{name}.")
            if layer.shortcut is not None:
                yield f"{name}.shortcut", layer.shortcut, None
        rest = (other for other in listed[i + 1 :] if not isinstance(other, (BatchNorm, LayerNorm, Dropout)))
        following = next(rest, None)
        yield name, layer, following if isinstance(following, (Activation, PReLU)) else None
