"""Batch normalisation against its float64 oracle, every tail, any layout, and its gradient against complex steps."""

import numpy as np
import pytest
from compare import assert_close

from gradwell import kernels, reference

EPS = {np.float32: 4e-6, np.float64: 1e-13}


def parts(rng, rows, columns, dtype, offset=0.0):
    x = (rng.normal(size=(rows, columns)) * rng.uniform(0.5, 2, columns) + offset).astype(dtype)
    gamma, beta = rng.normal(size=(2, columns)).astype(dtype)
    return x, gamma, beta, rng.normal(size=(rows, columns)).astype(dtype)


def check(x, gamma, beta, dy, tolerance=None, **settings):
    tolerance = tolerance or EPS[x.dtype.type]
    got = kernels.batchnorm_forward(x, gamma, beta, **settings)
    expected = reference.batchnorm_forward(x, gamma, beta, **settings)
    reason = "sums in double, four roundings in x's dtype an element; the offset may cancel"
    scale = np.abs(expected[0]) + (0 if beta is None else np.abs(beta)) + (1 if gamma is None else np.abs(gamma))
    assert_close(got[0], expected[0], relative=tolerance, cancellation_scale=scale, reason=reason)
    near = np.abs(x.astype(np.float64)).max(axis=0, initial=0)
    assert_close(got[1], expected[1], relative=tolerance, cancellation_scale=near, reason="a mean may cancel")
    assert_close(got[2], expected[2], relative=tolerance, reason="squares do not cancel")
    back = kernels.batchnorm_backward(dy, x, gamma, got[1], got[2])
    wanted = reference.batchnorm_backward(dy, x, gamma, got[1], got[2])
    root = np.sqrt(got[2] + 1e-5)
    normal = np.abs(x - got[1]) / root
    size = np.abs(dy) + np.abs(dy).mean(axis=0) + normal * (np.abs(dy) * normal).mean(axis=0)
    size = size * (1 if gamma is None else np.abs(gamma)) / root
    assert_close(back[0], wanted[0], relative=tolerance, cancellation_scale=size, reason="three terms cancel")
    sums = (np.abs(dy) * normal).sum(axis=0), np.abs(dy).sum(axis=0)
    for one, other, scale in zip(back[1:], wanted[1:], sums, strict=True):
        assert_close(one, other, relative=tolerance, cancellation_scale=scale, reason="sums of either sign")


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
def test_every_tail(axis, dtype, rng):
    for size in range(66):
        shape = [7, 37]
        shape[axis] = size if axis else size + 2
        check(*parts(rng, *shape, dtype))


def test_without_scale_and_offset(dtype, rng):
    x, gamma, beta, dy = parts(rng, 20, 33, dtype)
    check(x, None, None, dy)
    check(x, gamma, None, dy)
    check(x, None, beta, dy)


def test_means_far_from_zero_cost_no_accuracy(dtype, rng):
    """x^ of the numbers as they are is as good as with a mean of 0; in float64 the oracle's own mean is the limit."""
    x, gamma, beta, dy = parts(rng, 300, 20, dtype, offset=1000.0)
    check(x, gamma, beta, dy, tolerance=1e-10 if dtype == np.float64 else None)


@pytest.mark.parametrize("shape", [(256, 1024), (4096, 64), (5000, 3)])
def test_relative_error_against_float64(shape, rng):
    x, gamma, beta, dy = parts(rng, *shape, np.float32)
    y, mean, variance = kernels.batchnorm_forward(x, gamma, beta)
    exact = reference.batchnorm_forward(x, gamma, beta)[0]
    assert np.abs(y - exact).max() / np.abs(exact).max() < 4e-6
    for got, wanted in zip(
        kernels.batchnorm_backward(dy, x, gamma, mean, variance),
        reference.batchnorm_backward(dy, x, gamma, mean, variance),
        strict=True,
    ):
        assert np.abs(got - wanted).max() / np.abs(wanted).max() < 4e-6


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "elu", "gelu"])
def test_fused_activation_is_the_separate_one(activation, dtype, rng):
    x, gamma, beta, _ = parts(rng, 9, 35, dtype)
    z = kernels.batchnorm_forward(x, gamma, beta)[0]
    y = kernels.batchnorm_forward(x, gamma, beta, activation=activation)[0]
    np.testing.assert_array_equal(y, kernels.activation_forward(z, activation))


def test_given_moments_are_used_and_are_constants(dtype, rng):
    x, gamma, beta, dy = parts(rng, 5, 18, dtype)
    mean, variance = rng.normal(size=18), rng.uniform(0.1, 3, 18)
    y, used, _ = kernels.batchnorm_forward(x, gamma, beta, mean=mean, variance=variance)
    exact = reference.batchnorm_forward(x, gamma, beta, mean=mean, variance=variance)[0]
    scale = np.abs(gamma) * (np.abs(x) + np.abs(mean)) / np.sqrt(variance) + np.abs(beta)
    assert_close(y, exact, relative=EPS[dtype], cancellation_scale=scale, reason="four roundings")
    np.testing.assert_array_equal(used, mean)
    dx = kernels.batchnorm_backward(dy, x, gamma, mean, variance, constant=True)[0]
    assert_close(dx, dy * gamma / np.sqrt(variance + 1e-5), relative=EPS[dtype], reason="two products")
    one = kernels.batchnorm_forward(x[:1], gamma, beta, mean=mean, variance=variance)[0]
    np.testing.assert_array_equal(one, y[:1])


def test_gradient_agrees_with_the_complex_step(rng):
    x, gamma, beta, dy = parts(rng, 6, 4, np.float64)
    _, mean, variance = kernels.batchnorm_forward(x, gamma, beta)
    dx, dgamma, dbeta = kernels.batchnorm_backward(dy, x, gamma, mean, variance)

    def slope(argument, at):
        moved = [value.astype(complex) for value in (x, gamma, beta)]
        moved[argument][at] += 1e-30j
        return (dy * reference.batchnorm_forward(*moved)[0]).sum().imag / 1e-30

    for argument, gradient in enumerate((dx, dgamma, dbeta)):
        exact = np.array([slope(argument, at) for at in np.ndindex(gradient.shape)]).reshape(gradient.shape)
        assert_close(gradient, exact, relative=1e-9, reason="a few cancelling sums of six terms")


def test_layout_does_not_matter(relayout, dtype, rng):
    x, gamma, beta, dy = parts(rng, 11, 23, dtype)
    y, mean, variance = kernels.batchnorm_forward(x, gamma, beta)
    again = kernels.batchnorm_forward(relayout(x), relayout(gamma), relayout(beta))
    for one, other in zip((y, mean, variance), again, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        kernels.batchnorm_backward(dy, x, gamma, mean, variance),
        kernels.batchnorm_backward(relayout(dy), relayout(x), gamma, relayout(mean), variance),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_a_constant_column_becomes_the_offset(dtype):
    x = np.full((8, 3), 7, dtype)
    y, mean, variance = kernels.batchnorm_forward(x, None, np.arange(3, dtype=dtype))
    np.testing.assert_array_equal(y, np.tile(np.arange(3), (8, 1)))
    np.testing.assert_array_equal(mean, [7, 7, 7])
    np.testing.assert_array_equal(variance, [0, 0, 0])


def test_nan_and_infinity_stay_in_their_column(dtype, rng):
    x = rng.normal(size=(6, 40)).astype(dtype)
    x[2, 5], x[3, 39] = np.nan, np.inf
    y = kernels.batchnorm_forward(x)[0]
    assert np.isnan(y[:, [5, 39]]).all()
    assert np.isfinite(np.delete(y, [5, 39], axis=1)).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda k: k(np.ones((1, 3))), ValueError, "x has 1 rows; needs at least 2"),
        (lambda k: k(np.ones((4, 3)), np.ones(2)), ValueError, "gamma has 2 values but x has 3 columns"),
        (lambda k: k(np.ones((4, 3)), np.ones(3, np.float32)), TypeError, "gamma has dtype float32 but x has float64"),
        (lambda k: k(np.ones((4, 3)), epsilon=0.0), ValueError, "epsilon is 0; needs a finite number above 0"),
        (lambda k: k(np.ones((4, 3)), epsilon=np.nan), ValueError, "epsilon is nan"),
        (lambda k: k(np.ones((4, 3)), epsilon=True), TypeError, "epsilon is of type bool"),
        (lambda k: k(np.ones((4, 3)), mean=np.ones(3)), ValueError, "both of mean and variance, or neither"),
        (lambda k: k(np.ones(3)), ValueError, "x has shape (3,); needs 2 dimensions"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as raised:
        call(kernels.batchnorm_forward)
    assert "[batchnorm_forward]" in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize("size", [1e20, 1e30, 1e-20])
def test_squares_that_leave_the_range_of_float32(size):
    x = (np.array([[0, 1, 5], [1, 1, 2], [2, 1, -4], [9, 1, 3]]) * size).astype(np.float32)
    for name in ("batchnorm", "layernorm"):
        got = getattr(kernels, f"{name}_forward")(x)
        expected = getattr(reference, f"{name}_forward")(x)
        for one, other in zip(got, expected, strict=True):
            assert_close(one, other, relative=4e-6, floor=1e-6, reason="as at any size")
