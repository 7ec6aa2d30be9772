"""Whether what a layer reads is a sequence, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradwell.layers.convlstm import ConvLSTM
from gradwell.layers.embedding import Embedding, Flatten
from gradwell.layers.layer import Layer
from gradwell.layers.recurrent import recurrent_of


def reads_sequences(layers: Sequence[Layer]) -> bool:
    """Whether a network's input is sequences: it has a recurrent layer or an embedding.

    Examples
    --------
    >>> from gradwell.layers import RNN, Dense
    >>> reads_sequences([Dense(3), RNN(2)]), reads_sequences([Dense(3)])
    (True, False)
    """
    return any(recurrent_of(layer) is not None or isinstance(layer, (ConvLSTM, Embedding)) for layer in inside(layers))


def input_steps(layers: Sequence[Layer], shape: tuple[int, ...]) -> int:
    """Return how many steps a sample of the network's input has; 1 where it is no sequence. Raise where it must be."""
    if not reads_sequences(layers):
        return 1
    first = layers[0] if isinstance(layers[0], (ConvLSTM, Embedding)) else None
    images = any(isinstance(layer, ConvLSTM) for layer in inside(layers))
    needed = "(time, channels, height, width)" if images else "(time, features)"
    needed = "(time,)" if isinstance(first, Embedding) else needed
    if len(shape) != needed.count(",") + (not needed.endswith(",)")):
        kind = "a recurrent layer" if first is None else f"a layer {type(first).__name__}"
        raise ValueError(f"[network] input_shape is {shape} but the network has {kind}; needs {needed}")
    return shape[0]


def gives_sequences(layers: Iterable[Layer], sequence: bool, prefix: str = "") -> bool:
    """Whether the output of these layers is a sequence, given whether their input is; raise where they do not fit."""
    for i, layer in enumerate(layers):
        name = f"{prefix}{layer.name or i}"
        recurrent = layer if isinstance(layer, ConvLSTM) else recurrent_of(layer)
        if isinstance(layer, Embedding) and name != (layer.name or "0"):
            raise ValueError(f"[network] layer {name} is an Embedding; it can only come first")
        if recurrent is not None and not sequence:
            raise ValueError(
                f"[network] layer {name} is recurrent but reads no sequence; give the layer before it "
                "return_sequences=True"
            )
        parts = layer.parts(name)
        if parts and sequence:
            kept = gives_sequences([part for _, part in parts], True, f"{name}.")
            if not kept:
                raise ValueError(f"[network] the residual block {name} reads sequences; its branch must give sequences")
        if recurrent is not None:
            sequence = recurrent.return_sequences
        elif isinstance(layer, Flatten):
            sequence = False
    return sequence


def inside(layers: Iterable[Layer]) -> Iterable[Layer]:
    """Yield all layers, those inside blocks too."""
    for layer in layers:
        yield layer
        yield from inside(part for _, part in layer.parts(""))
