"""What a network is made of: layers as plain descriptions, without weights.

A Dense layer and the activation behind it run as one stage. `Network` turns the descriptions into a program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gradwell.checks import check_count, check_flag, check_number
from gradwell.initializers import Initializer, get
from gradwell.kernels import ACTIVATIONS

InitLike = str | Initializer | Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, repr=False)
class Layer:
    """Base of all layers. `name` replaces the layer's index in parameter names."""

    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is None:
            return
        if not isinstance(self.name, str):
            raise TypeError(f"[layer] name is of type {type(self.name).__name__}; needs a str")
        if not self.name or "." in self.name or not self.name.isprintable():
            raise ValueError(f"[layer] name is {self.name!a}; needs printable characters without a full stop")

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings, as `from_description` reads them."""
        return {"class": type(self).__name__, **({"name": self.name} if self.name else {})}

    def compile(self, name: str) -> dict[str, Any]:
        """Return the layer as the compiled program is told."""
        raise NotImplementedError

    def __repr__(self) -> str:
        settings = {key: value for key, value in self.describe().items() if key != "class" and value is not None}
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """z = x W + b, with weight (in, units) and bias (units,).

    Parameters
    ----------
    units
        Number of outputs.
    use_bias
        False leaves b out.
    init, bias_init
        Initializers, by name or object (see `gradwell.initializers`). By default the usual one for the
        activation that follows, and zeros; with init "nielsen" biases are N(0, 1).

    Examples
    --------
    >>> Dense(30, init="he").describe()
    {'class': 'Dense', 'units': 30, 'use_bias': True, 'init': {'name': 'he'}, 'bias_init': None}
    """

    units: int
    use_bias: bool = True
    init: InitLike = None
    bias_init: InitLike = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("dense", "units", self.units)
        object.__setattr__(self, "units", int(self.units))
        object.__setattr__(self, "use_bias", check_flag("dense", "use_bias", self.use_bias))
        for argument in ("init", "bias_init"):
            value = getattr(self, argument)
            object.__setattr__(self, argument, None if value is None else get(value))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        settings = {"units": self.units, "use_bias": self.use_bias}
        inits = {key: _described(getattr(self, key)) for key in ("init", "bias_init")}
        return {**super().describe(), **settings, **inits}

    def compile(self, name: str) -> dict[str, Any]:
        """Return the layer as the compiled program is told."""
        return {"kind": "dense", "name": name, "units": self.units, "bias": self.use_bias}


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

    def compile(self, name: str) -> dict[str, Any]:
        """Return the layer as the compiled program is told."""
        return {"kind": "activation", "name": name, "activation": self.activation, "alpha": self.alpha}


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
        return {**super().describe(), "init": _described(self.init)}

    def compile(self, name: str) -> dict[str, Any]:
        """Return the layer as the compiled program is told."""
        return {"kind": "prelu", "name": name}


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


_CLASSES: Mapping[str, type[Layer]] = {
    c.__name__: c
    for c in (
        Dense,
        Activation,
        PReLU,
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
        return _CLASSES[name](**settings)
    except TypeError as error:
        raise ValueError(f"[layer] {name} cannot be made from {settings}: {error}") from None


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
    for cls in _CLASSES.values():
        if issubclass(cls, Activation) and cls.fixed == activation != "":
            return cls(alpha) if issubclass(cls, _WithAlpha) else cls()
    raise AssertionError(activation)


def _described(init: Any) -> dict[str, Any] | None:
    return init.describe() if isinstance(init, Initializer) else None
