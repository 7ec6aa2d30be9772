"""The convolutional LSTM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwell.checks import check_count, check_flag, check_number
from gradwell.initializers import InitLike, described, get
from gradwell.layers.layer import Layer
from gradwell.regularizers import L1L2, RegularizerLike, regularizer

_INITIALIZERS = ("init", "recurrent_init", "bias_init")
_REGULARIZERS = ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")


@dataclass(frozen=True, repr=False)
class ConvLSTM(Layer):
    """An LSTM whose products are convolutions (Shi et al., 2015): for sequences of images.

    With * a convolution with zeros around the image, i, f, o = sigmoid(x * W + h' * U + b),
    g = tanh(x * W + h' * U + b), c = f c' + i g, h = o tanh(c). Input is (time, channels, height, width); output, flat,
    is (time, filters * height * width), channels first, or without ``return_sequences`` (filters * height * width,).
    It goes step by step and pixel by pixel through plain products: complete, but some times slower than the other
    recurrent layers.

    Parameters
    ----------
    filters
        Channels of the state.
    kernel_size
        Side of the kernels, odd. The weight is (kernel_size^2 * channels, 4 * filters).
    return_sequences, use_bias, init, recurrent_init, bias_init, kernel_regularizer, recurrent_regularizer,
    bias_regularizer
        As in `RNN`.
    forget_bias
        As in `LSTM`.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.ConvLSTM(3, 3), gw.Dense(2)], input_shape=(4, 1, 5, 5), seed=0)
    >>> net.parameters["0.weight"].shape, net.parameters["1.weight"].shape
    ((9, 12), (75, 2))
    """

    filters: int
    kernel_size: int = 3
    return_sequences: bool = False
    use_bias: bool = True
    forget_bias: float = 1.0
    init: InitLike = None
    recurrent_init: InitLike = None
    bias_init: InitLike = None
    kernel_regularizer: RegularizerLike = None
    recurrent_regularizer: RegularizerLike = None
    bias_regularizer: RegularizerLike = None

    gates: ClassVar[tuple[str, ...]] = ("input", "forget", "candidate", "output")

    def __post_init__(self) -> None:
        super().__post_init__()
        for argument in ("filters", "kernel_size"):
            check_count("ConvLSTM", argument, getattr(self, argument))
            object.__setattr__(self, argument, int(getattr(self, argument)))
        if self.kernel_size % 2 == 0:
            raise ValueError(f"[ConvLSTM] kernel_size is {self.kernel_size}; needs an odd number")
        for argument in ("return_sequences", "use_bias"):
            object.__setattr__(self, argument, check_flag("ConvLSTM", argument, getattr(self, argument)))
        object.__setattr__(self, "forget_bias", check_number("ConvLSTM", "forget_bias", self.forget_bias))
        for argument in _INITIALIZERS:
            value = getattr(self, argument)
            object.__setattr__(self, argument, None if value is None else get(value))
        for argument in _REGULARIZERS:
            object.__setattr__(self, argument, regularizer("ConvLSTM", argument, getattr(self, argument)))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        plain = ("filters", "kernel_size", "return_sequences", "use_bias", "forget_bias")
        settings: dict[str, Any] = {key: getattr(self, key) for key in plain}
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
        return [
            {
                "kind": "convlstm",
                "name": name,
                "filters": self.filters,
                "kernel": self.kernel_size,
                "bias": self.use_bias,
                "sequences": self.return_sequences,
                **penalties,
            }
        ]
