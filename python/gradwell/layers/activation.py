"""Activations as layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwell.checks import check_number
from gradwell.initializers import InitLike, described, get
from gradwell.kernels import ACTIVATIONS
from gradwell.layers.layer import Layer


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """An activation by its name; `Sigmoid()`, `ReLU()` and the others are the same thing by class."""

    activation: str = "identity"
    alpha: float | None = None
    fixed: ClassVar[str] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fixed:
            object.__setattr__(self, "activation", self.fixed)
        if not isinstance(self.activation, str):
            raise TypeError(f"[activation] activation is of type {type(self.activation).__name__}; needs a name")
        if self.alpha is not None:
            object.__setattr__(self, "alpha", check_number(self.activation, "alpha", self.alpha))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        named = {} if self.fixed else {"activation": self.activation}
        return {**super().describe(), **named, **({} if self.alpha is None else {"alpha": self.alpha})}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{"kind": "activation", "name": name, "activation": self.activation, "alpha": self.alpha}]


@dataclass(frozen=True, repr=False)
class PReLU(Layer):
    """x where x > 0, else slope * x, with a learned slope for each unit (He et al., 2015).

    `init` initialises the slopes, by default with 0.25.
    """

    init: InitLike = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "init", get({"name": "constant", "value": 0.25} if self.init is None else self.init))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        return {**super().describe(), "init": described(self.init)}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{"kind": "prelu", "name": name}]


class _Plain(Activation):
    """An activation without settings."""

    def __init__(self, *, name: str | None = None):
        super().__init__(name=name)


class _WithAlpha(Activation):
    """An activation with a slope or scale `alpha`."""

    def __init__(self, alpha: float | None = None, *, name: str | None = None):
        super().__init__(alpha=alpha, name=name)


class Identity(_Plain):
    """f(x) = x."""

    fixed = "identity"


class Sigmoid(_Plain):
    """f(x) = 1 / (1 + e^-x); its derivative is at most 1/4."""

    fixed = "sigmoid"


class Tanh(_Plain):
    """f(x) = tanh x."""

    fixed = "tanh"


class ReLU(_Plain):
    """f(x) = max(x, 0) (Nair and Hinton, 2010)."""

    fixed = "relu"


class LeakyReLU(_WithAlpha):
    """f(x) = x or alpha x, alpha 0.01 by default (Maas et al., 2013)."""

    fixed = "leaky_relu"


class ELU(_WithAlpha):
    """f(x) = x or alpha (e^x - 1), alpha 1 by default (Clevert et al., 2015)."""

    fixed = "elu"


class SELU(_Plain):
    """Scaled elu with a fixed point at mean 0, variance 1 (Klambauer et al., 2017)."""

    fixed = "selu"


class Softplus(_Plain):
    """f(x) = log(1 + e^x) (Dugas et al., 2001)."""

    fixed = "softplus"


class SiLU(_Plain):
    """f(x) = x sigmoid(x) (Elfwing et al., 2017)."""

    fixed = "silu"


class GELU(_Plain):
    """f(x) = x Phi(x), exact (Hendrycks and Gimpel, 2016)."""

    fixed = "gelu"


ACTIVATION_CLASSES: tuple[type[_Plain] | type[_WithAlpha], ...] = (
    Identity,
    Sigmoid,
    Tanh,
    ReLU,
    LeakyReLU,
    ELU,
    SELU,
    Softplus,
    SiLU,
    GELU,
)


def activation_layer(activation: str, alpha: float | None = None) -> Layer:
    """Return the layer for an activation's name, "prelu" among them; alpha is for leaky_relu and elu.

    Examples
    --------
    >>> activation_layer("tanh").describe()
    {'class': 'Tanh'}
    """
    if not isinstance(activation, str):
        raise TypeError(f"[activation] activation is of type {type(activation).__name__}; needs a name")
    names = (*ACTIVATIONS, "prelu")
    if activation not in names:
        raise ValueError(f'[activation] activation is "{activation}"; needs one of {", ".join(names)}')
    if alpha is not None and activation not in ("leaky_relu", "elu"):
        raise ValueError(f"[activation] alpha is {alpha} but {activation} has none; leaky_relu and elu do")
    if activation == "prelu":
        return PReLU()
    cls = next(c for c in ACTIVATION_CLASSES if c.fixed == activation)
    return cls(alpha) if issubclass(cls, _WithAlpha) else cls()
