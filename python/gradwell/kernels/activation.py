"""Activations: value, derivative, and the backward pass."""

from __future__ import annotations

from typing import Any, Final

from numpy.typing import NDArray

from gradwell import _core

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
