"""Layer normalisation against its float64 oracle, every tail, any layout, and its gradient against complex steps."""

import numpy as np
import pytest
from compare import assert_close

from gradwell import kernels, reference

EPS = {np.float32: 4e-6, np.float64: 1e-13}


def parts(rng, rows, columns, dtype):
    x, dy = rng.normal(size=(2, rows, columns)).astype(dtype)
    gamma, beta = rng.normal(size=(2, columns)).astype(dtype)
    return x, gamma, beta, dy


def check(x, gamma, beta, dy):
    tolerance = EPS[x.dtype.type]
    got = kernels.layernorm_forward(x, gamma, beta)
    expected = reference.layernorm_forward(x, gamma, beta)
    scale = np.abs(expected[0]) + (0 if beta is None else np.abs(beta)) + (1 if gamma is None else np.abs(gamma))
    assert_close(got[0], expected[0], relative=tolerance, cancellation_scale=scale, reason="four roundings")
    assert_close(got[1], expected[1], relative=tolerance, cancellation_scale=np.abs(x).max(axis=1), reason="a mean")
    assert_close(got[2], expected[2], relative=tolerance, reason="squares do not cancel")
    back = kernels.layernorm_backward(dy, x, gamma, got[1], got[2])
    wanted = reference.layernorm_backward(dy, x, gamma, got[1], got[2])
    root = np.sqrt(got[2] + 1e-5)[:, None]
    normal, g = np.abs(x - got[1][:, None]) / root, np.abs(dy * (1 if gamma is None else gamma))
    size = (g + g.mean(axis=1, keepdims=True) + normal * (g * normal).mean(axis=1, keepdims=True)) / root
    assert_close(back[0], wanted[0], relative=tolerance, cancellation_scale=size, reason="three terms cancel")
    sums = (np.abs(dy) * normal).sum(axis=0), np.abs(dy).sum(axis=0)
    for one, other, scale in zip(back[1:], wanted[1:], sums, strict=True):
        assert_close(one, other, relative=tolerance, cancellation_scale=scale, reason="sums of either sign")


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
def test_every_tail(axis, dtype, rng):
    for size in range(66):
        shape = [5, 37]
        shape[axis] = size + axis  # no row is empty
        check(*parts(rng, *shape, dtype))


def test_long_rows_and_missing_parts(dtype, rng):
    x, gamma, beta, dy = parts(rng, 3, 5000, dtype)
    check(x, gamma, beta, dy)
    check(x, None, None, dy)


def test_many_rows(dtype, rng):
    check(*parts(rng, 3000, 5, dtype))


def test_gradient_agrees_with_the_complex_step(rng):
    x, gamma, beta, dy = parts(rng, 3, 5, np.float64)
    _, mean, variance = kernels.layernorm_forward(x, gamma, beta)
    found = kernels.layernorm_backward(dy, x, gamma, mean, variance)

    def slope(argument, at):
        moved = [value.astype(complex) for value in (x, gamma, beta)]
        moved[argument][at] += 1e-30j
        return (dy * reference.layernorm_forward(*moved)[0]).sum().imag / 1e-30

    for argument, gradient in enumerate(found):
        exact = np.array([slope(argument, at) for at in np.ndindex(gradient.shape)]).reshape(gradient.shape)
        assert_close(gradient, exact, relative=1e-9, reason="a few cancelling sums of five terms")


def test_fused_activation_and_layout(relayout, dtype, rng):
    x, gamma, beta, dy = parts(rng, 9, 35, dtype)
    z, mean, variance = kernels.layernorm_forward(x, gamma, beta)
    y = kernels.layernorm_forward(relayout(x), relayout(gamma), beta, activation="tanh")[0]
    np.testing.assert_array_equal(y, kernels.activation_forward(z, "tanh"))
    for one, other in zip(
        kernels.layernorm_backward(dy, x, gamma, mean, variance),
        kernels.layernorm_backward(relayout(dy), relayout(x), gamma, mean, relayout(variance)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"\[layernorm_forward\] x has 0 columns"):
        kernels.layernorm_forward(np.ones((2, 0)))
    with pytest.raises(ValueError, match=r"\[layernorm_forward\] beta has 4 values but x has 3 columns"):
        kernels.layernorm_forward(np.ones((2, 3)), None, np.ones(4))
    with pytest.raises(ValueError, match=r"\[layernorm_backward\] mean has 3 values but x has 2 rows"):
        kernels.layernorm_backward(np.ones((2, 3)), np.ones((2, 3)), None, np.ones(3), np.ones(2))
