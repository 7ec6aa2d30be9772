"""Recurrent layers: the plain cell, LSTM and GRU, in one direction or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gradwell.checks import check_count, check_flag, check_number
from gradwell.initializers import InitLike, described, get
from gradwell.layers.layer import Layer
from gradwell.regularizers import L1L2, RegularizerLike, regularizer

RNN_ACTIVATIONS = ("tanh", "relu", "sigmoid")
_INITIALIZERS = ("init", "recurrent_init", "bias_init")
_REGULARIZERS = ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")


@dataclass(frozen=True, repr=False)
class Recurrent(Layer):
    """Base of the recurrent layers: sequences (batch, time, features) go in; see `RNN`, `LSTM` and `GRU`."""

    units: int
    return_sequences: bool = False
    use_bias: bool = True
    stateful: bool = False
    go_backwards: bool = False
    truncate: int | tuple[int, int] | None = None
    init: InitLike = None
    recurrent_init: InitLike = None
    bias_init: InitLike = None
    kernel_regularizer: RegularizerLike = None
    recurrent_regularizer: RegularizerLike = None
    bias_regularizer: RegularizerLike = None

    cell: ClassVar[str] = ""
    gates: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        check_count(name, "units", self.units)
        object.__setattr__(self, "units", int(self.units))
        for argument in ("return_sequences", "use_bias", "stateful", "go_backwards"):
            object.__setattr__(self, argument, check_flag(name, argument, getattr(self, argument)))
        for argument in _INITIALIZERS:
            value = getattr(self, argument)
            object.__setattr__(self, argument, None if value is None else get(value))
        for argument in _REGULARIZERS:
            object.__setattr__(self, argument, regularizer(name, argument, getattr(self, argument)))
        object.__setattr__(self, "truncate", _windows(name, self.truncate))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        settings: dict[str, Any] = {"units": self.units, "return_sequences": self.return_sequences}
        settings["use_bias"] = self.use_bias
        settings.update({key: True for key in ("stateful", "go_backwards") if getattr(self, key)})
        if self.truncate is not None:
            settings["truncate"] = list(self.truncate) if isinstance(self.truncate, tuple) else self.truncate
        for key in _INITIALIZERS:
            if getattr(self, key) is not None:
                settings[key] = described(getattr(self, key))
        for key in _REGULARIZERS:
            if getattr(self, key) is not None:
                settings[key] = getattr(self, key).describe()
        return {**super().describe(), **settings}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        penalties = {}
        for key, prefix in zip(_REGULARIZERS, ("weight", "recurrent", "bias"), strict=True):
            penalty = getattr(self, key) or L1L2()
            penalties.update({f"{prefix}_l1": penalty.l1, f"{prefix}_l2": penalty.l2})
        window = self.truncate if isinstance(self.truncate, tuple) else (0, 0)
        return [
            {
                "kind": "recurrent",
                "name": name,
                "cell": self.cell,
                "units": self.units,
                "bias": self.use_bias,
                "sequences": self.return_sequences,
                "stateful": self.stateful,
                "reverse": self.go_backwards,
                "both": False,
                "advance": window[0],
                "reach": window[1],
                "activation": "tanh",
                "omega": 0.0,
                "peephole": False,
                "normalises": False,
                "reset_after": True,
                **penalties,
            }
        ]


@dataclass(frozen=True, repr=False)
class RNN(Recurrent):
    """h = f(x W + h' U + b), h' the state of the step before (Elman, 1990).

    Parameters
    ----------
    units
        Size of the state.
    return_sequences
        True hands on the state of every step (time, units), False that of the last.
    use_bias
        False leaves b out.
    stateful
        The last state of a batch is the first of the next, row by row: for sequences cut into pieces, with
        ``shuffle=False``. `Network.reset_states` makes it zero, as the start of an epoch in `fit` does.
    go_backwards
        Read the sequence from its end.
    truncate
        k or (k1, k2): every k1 steps, the errors of these steps go back through k2 steps at most (Williams and Peng,
        1990); k stands for (k, k). None goes back through all.
    init, recurrent_init, bias_init
        Initializers of W, U and b, of each gate by itself; by default "glorot", "orthogonal" and zeros.
    kernel_regularizer, recurrent_regularizer, bias_regularizer
        Penalties on W, U and b.
    activation
        f: "tanh", "relu" or "sigmoid". With "relu" and ``recurrent_init="identity"`` it is the IRNN of Le, Jaitly and
        Hinton (2015).
    omega
        Weight of Pascanu's regulariser (Pascanu, Mikolov, Bengio, 2013), which pulls |delta_t| towards |delta_t+1|:
        the mean over steps and sequences of (|(delta_t+1 U^T) f'|^2 / |delta_t+1|^2 - 1)^2, by which only U is changed.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.RNN(8), gw.Dense(1)], input_shape=(20, 2), seed=0)
    >>> net.predict(np.zeros((3, 20, 2))).shape
    (3, 1)
    >>> list(net.parameters)[:3]
    ['0.weight', '0.recurrent_weight', '0.bias']
    """

    activation: str = "tanh"
    omega: float = 0.0

    cell: ClassVar[str] = "rnn"
    gates: ClassVar[tuple[str, ...]] = ("error",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in RNN_ACTIVATIONS:
            raise ValueError(f'[RNN] activation is "{self.activation}"; needs one of {", ".join(RNN_ACTIVATIONS)}')
        object.__setattr__(self, "omega", check_number("RNN", "omega", self.omega, lowest=0))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        return {**super().describe(), "activation": self.activation, **({"omega": self.omega} if self.omega else {})}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{**super().compile(name)[0], "activation": self.activation, "omega": self.omega}]


@dataclass(frozen=True, repr=False)
class LSTM(Recurrent):
    """Long short-term memory: c = f c' + i g, h = o tanh(c), with three gates (Hochreiter and Schmidhuber, 1997).

    i, f, o = sigmoid(x W + h' U + b + p c), g = tanh(x W + h' U + b). The gradient dC/dc goes from step to step
    multiplied by the forget gate alone, which is why it lasts.

    Parameters
    ----------
    units, return_sequences, use_bias, stateful, go_backwards, truncate, init, recurrent_init, bias_init,
    kernel_regularizer, recurrent_regularizer, bias_regularizer
        As in `RNN`; gates lie side by side in the order i, f, g, o.
    forget_bias
        Added to the initial bias of the forget gate (Gers et al., 2000; 1 after Jozefowicz et al., 2015).
    peephole
        Gates see the cell: i and f that of the step before, o the new one, each through a weight a unit that starts at
        0 (Gers and Schmidhuber, 2000).
    layer_norm
        x W, h' U and, where the output reads it, c are normalised over the layer's units, each with a gain that starts
        at 1: z = LN(x W) + LN(h' U) + b, h = o tanh(LN(c)) (Ba, Kiros and Hinton, 2016).

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.LSTM(8, return_sequences=True), gw.Dense(3)], input_shape=(20, 2), seed=0)
    >>> net.predict(np.zeros((5, 20, 2))).shape
    (5, 20, 3)
    >>> net.parameters["0.bias"][8:16].tolist()  # the forget gates'
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    forget_bias: float = 1.0
    peephole: bool = False
    layer_norm: bool = False

    cell: ClassVar[str] = "lstm"
    gates: ClassVar[tuple[str, ...]] = ("input", "forget", "candidate", "output")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "forget_bias", check_number("LSTM", "forget_bias", self.forget_bias))
        for argument in ("peephole", "layer_norm"):
            object.__setattr__(self, argument, check_flag("LSTM", argument, getattr(self, argument)))
        if self.layer_norm and self.peephole:
            raise ValueError("[LSTM] layer_norm and peephole are both True; needs one at most")
        if self.layer_norm and isinstance(self.truncate, tuple) and self.truncate[0] != self.truncate[1]:
            raise ValueError(f"[LSTM] truncate is {self.truncate} but layer_norm is True; needs one number of steps")

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        chosen = {key: True for key in ("peephole", "layer_norm") if getattr(self, key)}
        return {**super().describe(), "forget_bias": self.forget_bias, **chosen}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{**super().compile(name)[0], "peephole": self.peephole, "normalises": self.layer_norm}]


@dataclass(frozen=True, repr=False)
class GRU(Recurrent):
    """Gated recurrent unit: h = (1 - z) n + z h', r and z gates, n the candidate (Cho et al., 2014).

    Parameters
    ----------
    units, return_sequences, use_bias, stateful, go_backwards, truncate, init, recurrent_init, bias_init,
    kernel_regularizer, recurrent_regularizer, bias_regularizer
        As in `RNN`; gates lie side by side in the order r, z, n.
    reset_after
        True takes n = tanh(x W + b + r (h' U + b_n)), as cuDNN, Keras and PyTorch do; False, as first published,
        n = tanh(x W + b + (r h') U).

    Examples
    --------
    >>> import gradwell as gw
    >>> gw.Network([gw.GRU(8), gw.Dense(3)], input_shape=(20, 2), seed=0).predict(np.zeros((5, 20, 2))).shape
    (5, 3)
    """

    reset_after: bool = True

    cell: ClassVar[str] = "gru"
    gates: ClassVar[tuple[str, ...]] = ("reset", "update", "candidate")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "reset_after", check_flag("GRU", "reset_after", self.reset_after))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        return {**super().describe(), "reset_after": self.reset_after}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{**super().compile(name)[0], "reset_after": self.reset_after}]


@dataclass(frozen=True, repr=False)
class Bidirectional(Layer):
    """A recurrent layer that reads the sequence forward and one that reads it back, outputs side by side.

    The second has weights of its own, named with "backward_" in front (Schuster and Paliwal, 1997). Without
    ``return_sequences`` the outputs are the last state of each: the one after the last step, the one after the first.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.Bidirectional(gw.GRU(8)), gw.Dense(3)], input_shape=(20, 2), seed=0)
    >>> net.parameters["0.backward_weight"].shape, net.parameters["1.weight"].shape
    ((2, 24), (16, 3))
    """

    layer: Recurrent

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.layer, Recurrent):
            kind = type(self.layer).__name__
            raise TypeError(f"[Bidirectional] layer is of type {kind}; needs an RNN, LSTM or GRU")
        if self.layer.go_backwards or self.layer.name:
            raise ValueError("[Bidirectional] the layer inside has go_backwards or a name; needs neither")

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        return {**super().describe(), "layer": self.layer.describe()}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{**self.layer.compile(name)[0], "both": True}]

    def __repr__(self) -> str:
        return f"Bidirectional({self.layer!r})"


def recurrent_of(layer: Layer) -> Recurrent | None:
    """Return the recurrent layer that this one is, or holds; None for others."""
    if isinstance(layer, Bidirectional):
        return layer.layer
    return layer if isinstance(layer, Recurrent) else None


def _windows(name: str, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if isinstance(value, (tuple, list)) and len(value) == 2:
        advance, reach = value
    elif isinstance(value, (tuple, list, Mapping, str)):
        raise ValueError(f"[{name}] truncate is {value!r}; needs None, a number of steps or two")
    else:
        advance = reach = value
    check_count(name, "truncate", advance)
    check_count(name, "truncate", reach)
    if reach < advance:
        raise ValueError(f"[{name}] truncate is ({advance}, {reach}); needs k1 <= k2")
    return int(advance), int(reach)
