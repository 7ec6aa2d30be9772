"""The dense layer: y = f(x W + b)."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradwell import _core

Array = NDArray[Any]


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
