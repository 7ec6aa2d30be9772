"""Plain float64 oracle of every kernel: slow, obvious, and never used in training.

Each function has the name and arguments of its kernel in `gradwell.kernels`, computes in float64 and checks
nothing. Complex input serves complex-step differentiation (Squire and Trapp, 1998), f'(x) = Im f(x + ih) / h
without cancellation, so branches look at the real part only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.kernels import GradientStatistics

Array = NDArray[Any]

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
_DEFAULT_ALPHA = {"leaky_relu": 0.01, "elu": 1.0}
_quiet = np.errstate(all="ignore")  # both branches of np.where are evaluated, one may overflow


def _wide(x: ArrayLike) -> Array:
    """Return x as float64, or complex128 if it is complex."""
    array = np.asarray(x)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def _branch(x: Array, positive: ArrayLike, otherwise: ArrayLike) -> Array:
    """Take `positive` where x > 0, `otherwise` where x <= 0, and NaN where x is NaN."""
    return np.where(np.isnan(x), np.nan, np.where(x.real > 0, positive, otherwise))


def _at_infinity(x: Array, value: Array, minus: float, plus: float) -> Array:
    """Put the limits where the formula would give 0 * inf."""
    return np.where(x == -np.inf, minus, np.where(x == np.inf, plus, value))


def _normal_density(x: Array) -> Array:
    return np.asarray(np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def _normal_cdf(x: Array) -> Array:
    """Phi(x) = erfc(-x / sqrt 2) / 2, off the real line to first order: enough for a complex step."""
    real = np.asarray([math.erfc(-v / math.sqrt(2)) / 2 for v in x.real.ravel()]).reshape(x.shape)
    return real + 1j * x.imag * _normal_density(x.real) if np.iscomplexobj(x) else real


@_quiet
def exp(x: ArrayLike) -> Array:
    """Return e^x."""
    return np.asarray(np.exp(_wide(x)))


@_quiet
def log(x: ArrayLike) -> Array:
    """Return the natural logarithm: log 0 = -inf, NaN below 0."""
    return np.asarray(np.log(_wide(x)))


@_quiet
def tanh(x: ArrayLike) -> Array:
    """Return (e^x - e^-x) / (e^x + e^-x)."""
    return np.asarray(np.tanh(_wide(x)))


@_quiet
def sigmoid(x: ArrayLike) -> Array:
    """Return 1 / (1 + e^-x), written for either sign so that neither tail overflows."""
    x = _wide(x)
    return _branch(x, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


def _softplus(x: Array) -> Array:
    return _branch(x, x + np.log1p(np.exp(-x)), np.log1p(np.exp(x)))


def _elu(x: Array, scale: float, alpha: float) -> Array:
    return _branch(x, scale * x, scale * alpha * np.expm1(x))


def _silu_derivative(x: Array) -> Array:
    return _at_infinity(x, sigmoid(x) * (1 + x * sigmoid(-x)), 0.0, 1.0)


_FORWARD: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda x, _: x.copy(),
    "sigmoid": lambda x, _: sigmoid(x),
    "tanh": lambda x, _: tanh(x),
    "relu": lambda x, _: _branch(x, x, 0.0),
    "leaky_relu": lambda x, alpha: _branch(x, x, alpha * x),
    "elu": lambda x, alpha: _elu(x, 1.0, alpha),
    "selu": lambda x, _: _elu(x, SELU_SCALE, SELU_ALPHA),
    "softplus": lambda x, _: _softplus(x),
    "silu": lambda x, _: _at_infinity(x, x * sigmoid(x), 0.0, np.inf),
    "gelu": lambda x, _: _at_infinity(x, x * _normal_cdf(x), 0.0, np.inf),
}
_FROM_INPUT: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda x, _: np.ones_like(x),
    "sigmoid": lambda x, _: sigmoid(x) * sigmoid(-x),
    "tanh": lambda x, _: 4 * sigmoid(2 * x) * sigmoid(-2 * x),
    "relu": lambda x, _: _branch(x, 1.0, 0.0),
    "leaky_relu": lambda x, alpha: _branch(x, 1.0, alpha),
    "elu": lambda x, alpha: _branch(x, 1.0, alpha * np.exp(x)),
    "selu": lambda x, _: _branch(x, SELU_SCALE, SELU_SCALE * SELU_ALPHA * np.exp(x)),
    "softplus": lambda x, _: sigmoid(x),
    "silu": lambda x, _: _silu_derivative(x),
    "gelu": lambda x, _: _at_infinity(x, _normal_cdf(x) + x * _normal_density(x), 0.0, 1.0),
}
_FROM_OUTPUT: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda y, _: np.ones_like(y),
    "sigmoid": lambda y, _: y * (1 - y),
    "tanh": lambda y, _: (1 - y) * (1 + y),
    "relu": lambda y, _: _branch(y, 1.0, 0.0),
    "leaky_relu": lambda y, alpha: _branch(y, 1.0, alpha),
    "elu": lambda y, alpha: _branch(y, 1.0, y + alpha),
    "selu": lambda y, _: _branch(y, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),
}
ACTIVATIONS = tuple(_FORWARD)


def _alpha(activation: str, alpha: float | None) -> float:
    return _DEFAULT_ALPHA.get(activation, 0.0) if alpha is None else alpha


@_quiet
def activation_forward(x: ArrayLike, activation: str, *, alpha: float | None = None) -> Array:
    """Return f(x), any shape.

    elu: Clevert et al., 2016; selu: Klambauer et al., 2017; softplus: Dugas et al., 2001;
    gelu and silu: Hendrycks and Gimpel, 2016; leaky_relu: Maas et al., 2013.
    """
    return _FORWARD[activation](_wide(x), _alpha(activation, alpha))


@_quiet
def activation_derivative(x: ArrayLike, activation: str, *, alpha: float | None = None) -> Array:
    """Return f'(x), any shape; at the kink 0 the branch x <= 0 counts."""
    return _FROM_INPUT[activation](_wide(x), _alpha(activation, alpha))


@_quiet
def activation_backward(
    dy: ArrayLike,
    activation: str,
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    alpha: float | None = None,
) -> Array:
    """Return dx = dy * f', from the input x or from the output y = f(x)."""
    if x is not None:
        return np.asarray(_wide(dy) * activation_derivative(x, activation, alpha=alpha))
    assert y is not None
    return np.asarray(_wide(dy) * _FROM_OUTPUT[activation](_wide(y), _alpha(activation, alpha)))


@_quiet
def prelu_forward(x: ArrayLike, slope: ArrayLike) -> Array:
    """Return y = x where x > 0, else slope * x; x (batch, units), slope (units,). He et al., 2015, eq. 1."""
    x = _wide(x)
    return _branch(x, x, _wide(slope) * x)


@_quiet
def prelu_backward(dy: ArrayLike, x: ArrayLike, slope: ArrayLike) -> tuple[Array, Array]:
    """Return dx = dy * (1 or slope), dslope = batch sum of dy * min(x, 0). He et al., 2015, eq. 3."""
    dy, x = _wide(dy), _wide(x)
    return dy * _branch(x, 1.0, _wide(slope)), (dy * _branch(x, 0.0, x)).sum(axis=0)


@_quiet
def dense_forward(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    activation: str = "identity",
    *,
    alpha: float | None = None,
) -> Array:
    """Return y = f(x W + b); x (batch, in), weight (in, out), bias (out,). Rumelhart et al., 1986."""
    z = _wide(x) @ _wide(weight) + (0.0 if bias is None else _wide(bias))
    return activation_forward(z, activation, alpha=alpha)


@_quiet
def dense_backward(
    dy: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    activation: str = "identity",
    *,
    y: ArrayLike | None = None,
    z: ArrayLike | None = None,
    alpha: float | None = None,
    need_dx: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Return dx = d W', dW = x' d, db = sum over the batch of d, with d = dy * f'. Rumelhart et al., 1986."""
    plain = activation == "identity"
    delta = _wide(dy) if plain else activation_backward(dy, activation, x=z, y=y, alpha=alpha)
    dx = delta @ _wide(weight).T if need_dx else None
    return dx, _wide(x).T @ delta, delta.sum(axis=0)


def _dense_targets(targets: ArrayLike, outputs: Array) -> Array:
    """Return targets as (batch, outputs): class numbers become one-hot rows."""
    targets = np.asarray(targets)
    return _wide(np.eye(outputs.shape[1])[targets] if targets.ndim == 1 else targets)


@_quiet
def softmax_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> tuple[Any, Array]:
    """Return the batch mean of sum_k t_k (log sum_j e^z_j - z_k), and (s softmax(z) - t) / batch.

    logits (batch, classes); s = sum_k t_k. Bridle, 1990.
    """
    z = _wide(logits)
    t = _dense_targets(targets, z)
    shifted = z - z.real.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    mass = t.sum(axis=1, keepdims=True)
    loss = (t * (np.log(total) - shifted)).sum() / len(z)
    return loss, (mass * np.exp(shifted) / total - t) / len(z)


@_quiet
def sigmoid_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> tuple[Any, Array]:
    """Return the batch mean of sum_k t softplus(-z) + (1 - t) softplus(z), and (sigmoid(z) - t) / batch.

    logits (batch, outputs). Nielsen, 2015, ch. 3.
    """
    z = _wide(logits)
    t = _dense_targets(targets, z)
    loss = (t * _softplus(-z) + (1 - t) * _softplus(z)).sum() / len(z)
    return loss, ((1 - t) * sigmoid(z) - t * sigmoid(-z)) / len(z)


@_quiet
def quadratic(outputs: ArrayLike, targets: ArrayLike) -> tuple[Any, Array]:
    """Return the batch mean of |a - t|^2 / 2, and (a - t) / batch; a, t (batch, outputs). Nielsen, 2015."""
    a = _wide(outputs)
    difference = a - _dense_targets(targets, a)
    return (difference**2).sum() / (2 * len(a)), difference / len(a)


@_quiet
def mean_squared_error(outputs: ArrayLike, targets: ArrayLike) -> tuple[Any, Array]:
    """Return mean over batch and outputs of (a - t)^2, and 2 (a - t) / (batch * outputs)."""
    a = _wide(outputs)
    difference = a - _dense_targets(targets, a)
    return (difference**2).mean(), 2 * difference / a.size


@_quiet
def sgd_update(
    parameter: Array, gradient: ArrayLike, learning_rate: float, *, weight_decay: float = 0.0, l2: float = 0.0
) -> None:
    """Set p to (1 - eta wd) p - eta (g + l2 p) in place. Decoupled decay: Loshchilov and Hutter, 2019."""
    p, g = _wide(parameter), _wide(gradient)
    parameter[...] = (1 - learning_rate * weight_decay) * p - learning_rate * (g + l2 * p)


@_quiet
def gradient_statistics(array: ArrayLike) -> GradientStatistics:
    """Return norm, moments, extremes, special values and the histogram of floor(log2 |x|).

    Numbers below the smallest normal of the array's dtype are zeros. Scaling by the largest magnitude keeps
    the squares in range (Blue, 1978).
    """
    given = np.asarray(array).ravel()
    x = np.where(np.abs(given) < np.finfo(given.dtype).tiny, 0, given).astype(np.float64)
    finite = x[np.isfinite(x)]
    size = np.abs(finite)
    nonzero = size[size > 0]
    n, nan = len(finite), math.nan
    largest = float(size.max()) if n else nan
    scale = largest if n and largest > 0 else 1.0
    scaled = finite / scale
    root = math.sqrt(math.fsum(scaled**2))
    mean = math.fsum(scaled) / n if n else nan
    exponent = np.frexp(nonzero)[1].astype(np.int64) - 1  # frexp's mantissa lies in [1/2, 1)
    lowest = int(exponent.min()) if len(exponent) else 0
    counts = np.bincount(exponent - lowest) if len(exponent) else np.zeros(0, np.int64)
    return GradientStatistics(
        count=len(x),
        norm=scale * root if n or not len(x) else nan,
        rms=scale * (root / math.sqrt(n)) if n else nan,
        mean=scale * mean,
        std=scale * math.sqrt(math.fsum((scaled - mean) ** 2) / n) if n else nan,
        min=float(finite.min()) if n else nan,
        max=float(finite.max()) if n else nan,
        largest=largest,
        smallest=float(nonzero.min()) if len(nonzero) else nan,
        zeros=n - len(nonzero),
        nans=int(np.isnan(x).sum()),
        infs=int(np.isinf(x).sum()),
        exponents=np.arange(lowest, lowest + len(counts)),
        counts=counts.astype(np.int64),
    )
