"""Layers between tokens, sequences and single samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradwell.checks import check_count
from gradwell.initializers import InitLike, described, get
from gradwell.layers.layer import Layer

MOST_TOKENS = 2**24  # integers that float32 holds


@dataclass(frozen=True, repr=False)
class Embedding(Layer):
    """y[t] = weight[x[t]]: a learned vector for each token. First in a network that reads tokens (batch, time).

    Parameters
    ----------
    vocabulary
        Number of tokens; x holds integers from 0 to vocabulary - 1.
    units
        Length of a vector.
    init
        Initializer of the weight (vocabulary, units); N(0, 1) by default.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.Embedding(50, 8), gw.LSTM(16), gw.Dense(2)], input_shape=12, seed=0)
    >>> net.predict(np.zeros((3, 12), int)).shape
    (3, 2)
    """

    vocabulary: int
    units: int
    init: InitLike = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for argument in ("vocabulary", "units"):
            check_count("Embedding", argument, getattr(self, argument))
            object.__setattr__(self, argument, int(getattr(self, argument)))
        if self.vocabulary > MOST_TOKENS:
            raise ValueError(f"[Embedding] vocabulary is {self.vocabulary}; needs at most {MOST_TOKENS}")
        object.__setattr__(self, "init", None if self.init is None else get(self.init))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        chosen = {} if self.init is None else {"init": described(self.init)}
        return {**super().describe(), "vocabulary": self.vocabulary, "units": self.units, **chosen}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{"kind": "embedding", "name": name, "vocabulary": self.vocabulary, "units": self.units}]


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """All steps of a sequence side by side, as one sample: layers behind it see (time * units,).

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.GRU(4, return_sequences=True), gw.Flatten(), gw.Dense(2)], input_shape=(5, 3), seed=0)
    >>> net.parameters["2.weight"].shape
    (20, 2)
    """

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{"kind": "flatten", "name": name}]
