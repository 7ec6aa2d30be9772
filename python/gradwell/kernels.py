"""Every compiled kernel as a typed function on NumPy arrays.

Arrays are float32 or float64, all of one call alike; any strides are read, results are new C-contiguous arrays.
Bad input raises ValueError or TypeError that names the operation, the argument and the values. Denormal numbers
count as zero inside a kernel. Each function has its plain counterpart in `gradwell.reference`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell import _core

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "GradientStatistics",
    "activation_backward",
    "activation_derivative",
    "activation_forward",
    "dense_backward",
    "dense_forward",
    "exp",
    "gradient_statistics",
    "log",
    "mean_squared_error",
    "prelu_backward",
    "prelu_forward",
    "quadratic",
    "sgd_update",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "tanh",
]

Array = NDArray[Any]

ACTIVATIONS: Final = (
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "silu",
    "gelu",
)
LOSSES: Final = ("softmax_cross_entropy", "sigmoid_cross_entropy", "quadratic", "mean_squared_error")


def activation_forward(x: Array, activation: str, *, alpha: float | None = None) -> Array:
    """Return y = f(x), element by element.

    Parameters
    ----------
    x
        Array of any shape.
    activation
        One of `ACTIVATIONS`. Formulas: identity x; sigmoid 1/(1+e^-x); tanh; relu max(x, 0); leaky_relu x or
        alpha x (Maas et al., 2013); elu x or alpha (e^x - 1) (Clevert et al., 2015); selu 1.0507 times elu with
        alpha 1.6733 (Klambauer et al., 2017); softplus log(1+e^x) (Dugas et al., 2001); silu x sigmoid(x)
        (Elfwing et al., 2017); gelu x Phi(x), exact (Hendrycks and Gimpel, 2016).
    alpha
        Slope of leaky_relu (default 0.01) or scale of elu (default 1); no other activation has one.

    Raises
    ------
    ValueError
        Unknown activation, or alpha out of range or not wanted.
    TypeError
        `x` is no float32 or float64 array.

    Examples
    --------
    >>> activation_forward(np.array([-1.0, 0.0, 2.0]), "relu")
    array([0., 0., 2.])
    """
    return _core.activation_forward(x, activation, alpha)


def activation_derivative(x: Array, activation: str, *, alpha: float | None = None) -> Array:
    """Return f'(x), accurate in both tails; where two branches meet at 0, the one from the left.

    Examples
    --------
    >>> activation_derivative(np.array([0.0]), "sigmoid")
    array([0.25])
    """
    return _core.activation_derivative(x, activation, alpha)


def activation_backward(
    dy: Array, activation: str, *, x: Array | None = None, y: Array | None = None, alpha: float | None = None
) -> Array:
    """Return dx = dy * f'.

    Give the input `x`, and f' is accurate everywhere; or the output `y`, which is what a network keeps, and f' is
    exactly 0 where y has rounded to its limit. softplus, silu and gelu need x. All arrays have one shape.

    Examples
    --------
    >>> activation_backward(np.array([1.0]), "tanh", y=np.array([0.5]))
    array([0.75])
    """
    return _core.activation_backward(dy, activation, x, y, alpha)


def prelu_forward(x: Array, slope: Array) -> Array:
    """Return x where x > 0, else slope * x, with a slope for each column (He et al., 2015).

    `x` is (batch, units), `slope` (units,).

    Examples
    --------
    >>> prelu_forward(np.array([[-2.0, 3.0]]), np.array([0.25, 0.25]))
    array([[-0.5,  3. ]])
    """
    return _core.prelu_forward(x, slope)


def prelu_backward(dy: Array, x: Array, slope: Array) -> tuple[Array, Array]:
    """Return dx (batch, units) and dslope (units,), the sum over the batch of dy * min(x, 0).

    Examples
    --------
    >>> prelu_backward(np.array([[1.0]]), np.array([[-2.0]]), np.array([0.25]))
    (array([[0.25]]), array([-2.]))
    """
    return _core.prelu_backward(dy, x, slope)


def dense_forward(
    x: Array, weight: Array, bias: Array | None = None, activation: str = "identity", *, alpha: float | None = None
) -> Array:
    """Return y = f(x W + b).

    Parameters
    ----------
    x
        (batch, in).
    weight
        (in, out).
    bias
        (out,), or None for none.
    activation, alpha
        As in `activation_forward`; computed while the sums are in the cache.

    Raises
    ------
    ValueError
        Shapes that do not fit.
    TypeError
        Dtypes that differ, or are not float32 or float64.

    Examples
    --------
    >>> dense_forward(np.ones((1, 2)), np.ones((2, 3)), np.zeros(3))
    array([[2., 2., 2.]])
    """
    return _core.dense_forward(x, weight, bias, activation, alpha)


def dense_backward(
    dy: Array,
    x: Array,
    weight: Array,
    activation: str = "identity",
    *,
    y: Array | None = None,
    z: Array | None = None,
    alpha: float | None = None,
    need_dx: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Return (dx, dweight, dbias) of y = f(z), z = x W + b.

    delta = dy * f', dx = delta W^T, dweight = x^T delta, dbias = sum over the batch of delta (in double).
    Unless the activation is identity, give the output `y` or the pre-activation `z`, as in `activation_backward`.
    With `need_dx` false dx is None.

    Examples
    --------
    >>> dx, dweight, dbias = dense_backward(np.ones((1, 3)), np.ones((1, 2)), np.ones((2, 3)))
    >>> dx, dbias
    (array([[3., 3.]]), array([1., 1., 1.]))
    """
    return _core.dense_backward(dy, x, weight, activation, y, z, alpha, need_dx)


def _targets(outputs: Array, targets: Array) -> Array:
    """Class numbers as int64; values in the dtype of the outputs."""
    if not isinstance(targets, np.ndarray) or targets.dtype.kind not in "biuf" or not isinstance(outputs, np.ndarray):
        return targets
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        return targets.astype(np.int64, copy=False)
    return targets.astype(outputs.dtype, copy=False)


def softmax_cross_entropy(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the mean of -sum_k t_k log softmax(a)_k over the batch, and its gradient by the logits a.

    Parameters
    ----------
    outputs
        Logits (batch, classes).
    targets
        Class numbers, integers (batch,), or weights of the classes (batch, classes).

    Returns
    -------
    loss, d_outputs
        A float, in nats, and an array (batch, classes): (softmax(a) sum_k t_k - t) / batch.

    Examples
    --------
    >>> loss, gradient = softmax_cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), gradient
    (0.6931, array([[-0.5,  0.5]]))
    """
    return _core.loss("softmax_cross_entropy", outputs, _targets(outputs, targets))


def sigmoid_cross_entropy(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the cross-entropy of logistic outputs, summed over them, averaged over the batch; and its gradient.

    sum_k softplus(a_k) - t_k a_k, with gradient (sigmoid(a) - t) / batch: the cross-entropy of Nielsen (2015),
    chapter 3. `outputs` are logits (batch, outputs); `targets` class numbers (batch,) or values (batch, outputs).

    Examples
    --------
    >>> loss, gradient = sigmoid_cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), gradient
    (1.3863, array([[-0.5,  0.5]]))
    """
    return _core.loss("sigmoid_cross_entropy", outputs, _targets(outputs, targets))


def quadratic(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the mean over the batch of 1/2 |a - t|^2, and its gradient (a - t) / batch.

    `outputs` (batch, outputs); `targets` values of that shape, or class numbers (batch,) for one-hot targets.

    Examples
    --------
    >>> quadratic(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    (2.0, array([[0., 2.]]))
    """
    return _core.loss("quadratic", outputs, _targets(outputs, targets))


def mean_squared_error(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Return the mean of (a - t)^2 over batch and outputs, and its gradient 2 (a - t) / (batch outputs).

    `outputs` (batch, outputs); `targets` values of that shape, or class numbers (batch,) for one-hot targets.

    Examples
    --------
    >>> mean_squared_error(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    (2.0, array([[0., 2.]]))
    """
    return _core.loss("mean_squared_error", outputs, _targets(outputs, targets))


def sgd_update(
    parameter: Array, gradient: Array, learning_rate: float, *, weight_decay: float = 0.0, l2: float = 0.0
) -> None:
    """Update `parameter` in place: p <- (1 - learning_rate weight_decay) p - learning_rate (g + l2 p).

    Plain stochastic gradient descent (Robbins and Monro, 1951) with decoupled weight decay (Loshchilov and Hutter,
    2019) and the gradient of l2/2 |p|^2. `parameter` must be writable and C-contiguous, `gradient` of its shape.

    Examples
    --------
    >>> p = np.array([1.0, 2.0])
    >>> sgd_update(p, np.array([1.0, 0.0]), 0.5)
    >>> p
    array([0.5, 2. ])
    """
    _core.sgd_update(parameter, gradient, learning_rate, weight_decay, l2)


@dataclass(frozen=True, slots=True, eq=False)
class GradientStatistics:
    """What one pass over an array tells; sums, moments and extremes run over its finite elements."""

    count: int
    """Number of elements."""
    norm: float
    """Square root of the sum of squares."""
    rms: float
    """Root of the mean square."""
    mean: float
    std: float
    """Population standard deviation."""
    min: float
    max: float
    largest: float
    """Largest magnitude."""
    smallest: float
    """Smallest non-zero magnitude."""
    zeros: int
    nans: int
    infs: int
    exponents: Array
    """Consecutive binary exponents floor(log2 |x|), from the lowest occupied to the highest."""
    counts: Array
    """Number of finite non-zero elements with each exponent."""


def gradient_statistics(array: Array, *, flush_denormals: bool = True) -> GradientStatistics:
    """Measure an array of any shape in one pass, summing in double.

    What cannot be said is NaN: everything but the counts where no element is finite, and the moments of an empty
    array, whose norm is 0. With `flush_denormals` denormal numbers count as zeros.

    Examples
    --------
    >>> s = gradient_statistics(np.array([3.0, -4.0, 0.0, np.nan]))
    >>> s.norm, s.zeros, s.nans, s.smallest
    (5.0, 1, 1, 3.0)
    >>> s.exponents, s.counts
    (array([1, 2]), array([1, 1]))
    """
    numbers, histogram = _core.gradient_statistics(array, flush_denormals)
    occupied = np.flatnonzero(histogram)
    first, last = (int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else (0, 0)
    exponents = np.arange(first, last) - _core.exponent_bias
    everything = (*numbers, exponents, histogram[first:last].astype(np.int64))
    return GradientStatistics(*everything)


def exp(x: Array, *, flush_denormals: bool = True) -> Array:
    """Return e^x, within 2 units in the last place.

    Examples
    --------
    >>> exp(np.zeros(1))
    array([1.])
    """
    return _core.exp(x, flush_denormals)


def log(x: Array, *, flush_denormals: bool = True) -> Array:
    """Return the natural logarithm, within 2 units in the last place: -inf at 0, NaN below.

    Examples
    --------
    >>> log(np.ones(1))
    array([0.])
    """
    return _core.log(x, flush_denormals)


def tanh(x: Array, *, flush_denormals: bool = True) -> Array:
    """Return tanh x, within 2 units in the last place.

    Examples
    --------
    >>> tanh(np.zeros(1))
    array([0.])
    """
    return _core.tanh(x, flush_denormals)


def sigmoid(x: Array, *, flush_denormals: bool = True) -> Array:
    """Return 1 / (1 + e^-x), within 2 units in the last place.

    Examples
    --------
    >>> sigmoid(np.zeros(1))
    array([0.5])
    """
    return _core.sigmoid(x, flush_denormals)
