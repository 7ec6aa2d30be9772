"""Initial weights and biases: small objects that sample an array, and the names they go by.

A weight has shape (in, out), so n_in is its first dimension and n_out its second; a bias (out,) is given its
weight's n_in. Samples are drawn in float64 and rounded to the network's dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, check_number

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Initializer:
    """Base of all; `sample(rng, shape, n_in)` returns float64 values of `shape`."""

    name: ClassVar[str] = ""

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Draw an array."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Return name and settings, as `get` reads them."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class Constant(Initializer):
    """Every value the same.

    Examples
    --------
    >>> Constant(0.5).sample(np.random.default_rng(0), (2,), 1)
    array([0.5, 0.5])
    """

    value: float = 0.0
    name: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", check_number(self.name, "value", self.value))

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Return the constant."""
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Normal(Initializer):
    """N(mean, std^2)."""

    mean: float = 0.0
    std: float = 1.0
    name: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", check_number(self.name, "mean", self.mean))
        object.__setattr__(self, "std", check_number(self.name, "std", self.std, lowest=0.0))

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Draw from the normal distribution."""
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """U(low, high)."""

    low: float = -0.05
    high: float = 0.05
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", check_number(self.name, "low", self.low))
        object.__setattr__(self, "high", check_number(self.name, "high", self.high, lowest=self.low))

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Draw from the uniform distribution."""
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, times `gain` (Saxe, McClelland, Ganguli, 2014)."""

    gain: float = 1.0
    name: ClassVar[str] = "orthogonal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", check_number(self.name, "gain", self.gain))

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Draw Q of the QR decomposition of a normal matrix, signs fixed so that Q is uniform."""
        if len(shape) != 2:
            raise ValueError(f"[orthogonal] shape is {shape}; needs 2 dimensions, so it cannot initialise a bias")
        rows, columns = max(shape), min(shape)
        q, r = np.linalg.qr(rng.normal(size=(rows, columns)))
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return np.ascontiguousarray(self.gain * (q if shape[0] >= shape[1] else q.T))


@dataclass(frozen=True)
class Identity(Initializer):
    """gain times the identity, zeros beyond it where the weight is not square (Le, Jaitly, Hinton, 2015).

    Examples
    --------
    >>> Identity(2.0).sample(np.random.default_rng(0), (2, 3), 2)
    array([[2., 0., 0.],
           [0., 2., 0.]])
    """

    gain: float = 1.0
    name: ClassVar[str] = "identity"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", check_number(self.name, "gain", self.gain))

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Return the matrix."""
        if len(shape) != 2:
            raise ValueError(f"[identity] shape is {shape}; needs 2 dimensions, so it cannot initialise a bias")
        return self.gain * np.eye(*shape)


@dataclass(frozen=True)
class Sparse(Initializer):
    """Each unit has `nonzeros` incoming weights from N(0, std^2), the others are 0 (Martens, 2010).

    Examples
    --------
    >>> w = Sparse(nonzeros=3).sample(np.random.default_rng(0), (20, 4), 20)
    >>> (w != 0).sum(axis=0)
    array([3, 3, 3, 3])
    """

    nonzeros: int = 15
    std: float = 1.0
    name: ClassVar[str] = "sparse"

    def __post_init__(self) -> None:
        check_count(self.name, "nonzeros", self.nonzeros)
        object.__setattr__(self, "std", check_number(self.name, "std", self.std, lowest=0.0))

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Draw where the weights are, and their values."""
        if len(shape) != 2:
            raise ValueError(f"[sparse] shape is {shape}; needs 2 dimensions, so it cannot initialise a bias")
        weight = np.zeros(shape)
        count = min(self.nonzeros, shape[0])
        for unit in range(shape[1]):
            weight[rng.choice(shape[0], count, replace=False), unit] = rng.normal(0.0, self.std, count)
        return weight


@dataclass(frozen=True)
class Kumar(Initializer):
    """N(0, 1 / (n_in f'(0)^2 (1 + f(0)^2))), f the activation behind the layer (Kumar, 2017).

    With it, logistic units start with the standard deviation 3.578 / sqrt(n_in). The formula is of functions smooth
    at 0; for relu and leaky_relu the variance is He's 2 / (n_in (1 + alpha^2)), for selu LeCun's 1 / n_in.

    Parameters
    ----------
    activation
        Name of f; None takes the one that follows the layer.

    Examples
    --------
    >>> round(float(Kumar("sigmoid").sample(np.random.default_rng(0), (400, 400), 400).std() * 20), 2)
    3.58
    """

    activation: str | None = None
    name: ClassVar[str] = "kumar"

    def __post_init__(self) -> None:
        if self.activation is not None and self.activation not in KUMAR_FACTORS:
            known = ", ".join(KUMAR_FACTORS)
            raise ValueError(f'[kumar] activation is "{self.activation}"; needs one of {known}')

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Draw from the normal distribution."""
        return rng.normal(0.0, math.sqrt(KUMAR_FACTORS[self.activation or "identity"] / n_in), shape)


def _kumar_factor(value: float, slope: float) -> float:
    return 1.0 / (slope**2 * (1.0 + value**2))


KUMAR_FACTORS: Mapping[str, float] = {
    "identity": 1.0,
    "sigmoid": _kumar_factor(0.5, 0.25),
    "tanh": 1.0,
    "relu": 2.0,
    "leaky_relu": 2.0 / (1.0 + 0.01**2),
    "prelu": 2.0 / (1.0 + 0.25**2),
    "elu": 1.0,
    "selu": 1.0,
    "softplus": _kumar_factor(math.log(2.0), 0.5),
    "silu": _kumar_factor(0.0, 0.5),
    "gelu": _kumar_factor(0.0, 0.5),
}


@dataclass(frozen=True)
class Scaled(Initializer):
    """Zero mean and a variance that depends on n_in and n_out; see `RULES` for the names."""

    rule: str = "glorot"
    name: ClassVar[str] = "scaled"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f'[init] rule is "{self.rule}"; needs one of {", ".join(RULES)}')

    def describe(self) -> dict[str, Any]:
        """Return the rule's own name."""
        return {"name": self.rule}

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
        """Draw from the rule's distribution; a bias has n_in from its weight, and n_out its own size."""
        return RULES[self.rule](rng, shape, n_in, shape[-1])


def _nielsen(rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """N(0, 1/n_in) for weights, N(0, 1) for biases (Nielsen, 2015, chapter 3)."""
    return rng.normal(0.0, 1.0 if len(shape) == 1 else 1.0 / math.sqrt(n_in), shape)


def _glorot(rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """U(+-sqrt(6 / (n_in + n_out))) (Glorot and Bengio, 2010)."""
    limit = math.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-limit, limit, shape)


def _he(rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """N(0, 2/n_in) (He et al., 2015)."""
    return rng.normal(0.0, math.sqrt(2.0 / n_in), shape)


def _lecun(rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """N(0, 1/n_in) (LeCun et al., 1998)."""
    return rng.normal(0.0, math.sqrt(1.0 / n_in), shape)


def _yilmaz_poli(rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """N(max(-1, -8/n_in), 1/n_in), for deep logistic nets (Yilmaz and Poli, 2022)."""
    return rng.normal(max(-1.0, -8.0 / n_in), math.sqrt(1.0 / n_in), shape)


RULES: Mapping[str, Callable[[np.random.Generator, tuple[int, ...], int, int], Array]] = {
    "nielsen": _nielsen,
    "glorot": _glorot,
    "he": _he,
    "lecun": _lecun,
    "yilmaz_poli": _yilmaz_poli,
}
_CLASSES: Mapping[str, type[Initializer]] = {
    "constant": Constant,
    "normal": Normal,
    "uniform": Uniform,
    "orthogonal": Orthogonal,
    "identity": Identity,
    "sparse": Sparse,
    "kumar": Kumar,
}
NAMES = (*RULES, *_CLASSES, "zeros", "ones")


def get(init: str | Initializer | Mapping[str, Any]) -> Initializer:
    """Return the initializer a name, a description or an initializer stands for.

    Raises
    ------
    ValueError
        Unknown name or setting, or a setting out of range.
    TypeError
        Neither a name, a description nor an initializer.

    Examples
    --------
    >>> get("he").describe()
    {'name': 'he'}
    >>> get({"name": "constant", "value": 1.0})
    Constant(value=1.0)
    """
    if isinstance(init, Initializer):
        return init
    if not isinstance(init, (str, Mapping)):
        raise TypeError(f"[init] init is of type {type(init).__name__}; needs a name or an Initializer")
    settings = {} if isinstance(init, str) else dict(init)
    name = init if isinstance(init, str) else settings.pop("name", None)
    name = name.replace("-", "_") if isinstance(name, str) else name
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f'[init] init is "{name}"; needs one of {", ".join(NAMES)}')
    if name in _CLASSES:
        known = [field.name for field in fields(_CLASSES[name])]
        unknown = [key for key in settings if key not in known]
        if unknown:
            raise ValueError(f'[init] "{name}" has no setting {unknown[0]}; it has {", ".join(known)}')
        return _CLASSES[name](**settings)
    if settings:
        raise ValueError(f'[init] "{name}" has no setting {next(iter(settings))}; it has none')
    return Constant(float(name == "ones")) if name in ("zeros", "ones") else Scaled(name)


def usual_for(activation: str) -> str:
    """Return the name of the usual weight initializer in front of an activation.

    Examples
    --------
    >>> usual_for("relu"), usual_for("selu"), usual_for("tanh")
    ('he', 'lecun', 'glorot')
    """
    if activation in ("relu", "leaky_relu", "prelu", "elu", "silu", "gelu", "softplus"):
        return "he"
    return "lecun" if activation == "selu" else "glorot"


InitLike = str | Initializer | Mapping[str, Any] | None


def described(init: Any) -> dict[str, Any] | None:
    """Return an initializer's description, None for none."""
    return init.describe() if isinstance(init, Initializer) else None
