"""Text from a network that predicts characters, written one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, check_number
from gradwell.layers import Bidirectional, ConvLSTM, Embedding, Flatten, Layer, recurrent_of
from gradwell.network import Network

if TYPE_CHECKING:
    from gradwell.datasets import Characters


def generate(
    network: Network,
    characters: Characters,
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    seed: int = 0,
) -> str:
    """Let a network go on with a text: P(c) = softmax(logits / temperature) of the next character c.

    The recurrent layers carry their states from character to character, so that a text may be longer than the windows
    of the training. The network itself stays as it is: all runs in a copy that reads a single step.

    Parameters
    ----------
    network
        An `Embedding`, layers such as `LSTM`, and a `Dense` with an output for each character.
    characters
        The vocabulary of the training text: `gradwell.datasets.Characters`.
    prompt
        What the network reads first; at least one character.
    length
        How many characters to write.
    temperature
        Below 1, likely characters become more likely; 0 always takes the likeliest, the first of equals.
    seed
        Seed of the draws.

    Returns
    -------
    str
        The new characters, without the prompt.

    Raises
    ------
    ValueError, TypeError
        A network or an argument that does not fit, named in the message.

    Examples
    --------
    >>> import gradwell as gw
    >>> characters = gw.datasets.Characters.of("abab")
    >>> net = gw.Network([gw.Embedding(2, 4), gw.RNN(8, return_sequences=True), gw.Dense(2)], input_shape=8, seed=0)
    >>> text = gw.generate(net, characters, "ab", 20)
    >>> len(text), set(text) <= {"a", "b"}
    (20, True)
    """
    check_count("generate", "length", length)
    temperature = check_number("generate", "temperature", temperature, lowest=0)
    check_count("generate", "seed", seed, lowest=0)
    tokens = _tokens(characters, prompt)
    twin = _stepwise(network, len(characters))
    draws = np.random.default_rng(seed)
    for token in tokens:
        logits = _read(twin, token)
    written = []
    for _ in range(length):
        written.append(_drawn(logits, temperature, draws))
        if len(written) < length:
            logits = _read(twin, written[-1])
    return characters.decode(written)


def _tokens(characters: Characters, prompt: Any) -> list[int]:
    if not isinstance(prompt, str):
        raise TypeError(f"[generate] prompt is of type {type(prompt).__name__}; needs a str")
    if not prompt:
        raise ValueError("[generate] prompt is empty; needs at least 1 character")
    for place, character in enumerate(prompt):
        if character not in characters.vocabulary:
            known = characters.vocabulary
            raise ValueError(f"[generate] prompt has {character!r} at position {place}; needs characters of {known!r}")
    return [int(token) for token in characters.encode(prompt)]


def _stepwise(network: Network, count: int) -> Network:
    """Return a network with the same weights that reads a character at a time and remembers."""
    if not isinstance(network, Network):
        raise TypeError(f"[generate] network is of type {type(network).__name__}; needs a gradwell Network")
    first = network.layers[0] if network.layers else None
    if not isinstance(first, Embedding):
        raise ValueError("[generate] network has no Embedding in front; needs one, to read characters")
    for what, size in (("reads", first.vocabulary), ("gives", network.output_shape[-1])):
        if size != count:
            raise ValueError(
                f"[generate] network {what} {size} characters but the vocabulary has {count}; needs as many"
            )
    layers = [_remembering(layer, layer.name or str(i)) for i, layer in enumerate(network.layers)]
    settings: dict[str, Any] = {"dtype": network.dtype, "flush_denormals": network.flush_denormals}
    twin = Network(layers, 1, seed=0, **settings)
    for own, given in ((twin.parameters, network.parameters), (twin.buffers, network.buffers)):
        for name, view in own.items():
            view[...] = given[name]
    return twin


def _remembering(layer: Layer, name: str) -> Layer:
    """Return the layer as the stepwise network has it; raise where one step is not enough for it."""
    if isinstance(layer, Bidirectional):
        raise ValueError(f"[generate] layer {name} is Bidirectional; needs layers that read forward alone")
    if isinstance(layer, (ConvLSTM, Flatten)):
        raise ValueError(f"[generate] layer {name} is a {type(layer).__name__}; needs layers that take single steps")
    for part, inner in layer.parts(name):
        if _remembering(inner, part) != inner:
            raise ValueError(
                f"[generate] layer {part} is recurrent, in a block; needs recurrent layers outside of blocks"
            )
    recurrent = recurrent_of(layer)
    if recurrent is None:
        return layer
    if recurrent.go_backwards:
        raise ValueError(f"[generate] layer {name} has go_backwards; needs layers that read forward")
    return replace(recurrent, stateful=True, truncate=None)


def _read(twin: Network, token: int) -> NDArray[np.float64]:
    logits = twin.forward(np.array([[token]]), training=False).reshape(-1).astype(np.float64)
    if not np.isfinite(logits).all():
        raise ValueError("[generate] network gives a NaN or an infinity; needs finite outputs")
    return logits


def _drawn(logits: NDArray[np.float64], temperature: float, draws: np.random.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    with np.errstate(over="ignore", under="ignore"):
        shares = np.exp((logits - logits.max()) / temperature)
        return int(draws.choice(len(shares), p=shares / shares.sum()))
