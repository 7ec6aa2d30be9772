import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from compare import assert_close
from hypothesis import given
from hypothesis import strategies as st

from gradwell import kernels, reference

SIZES = range(66)
AUTOGRAD = {
    "sigmoid": lambda z: 1 / (1 + anp.exp(-z)),
    "tanh": anp.tanh,
    "softplus": lambda z: anp.log1p(anp.exp(z)),
    "elu": lambda z: anp.where(z > 0, z, anp.expm1(z)),
}


def whole(rng, shape, dtype):
    """Small whole numbers: their products and sums are exact in any order, so a result must match exactly."""
    return rng.integers(-4, 5, shape).astype(dtype)


def sizes_around(axis):
    """Every size 0..65 of one of (batch, in, out) while the others stay off the blocking's multiples."""
    for size in SIZES:
        shape = [5, 19, 35]
        shape[axis] = size
        yield tuple(shape)


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["batch", "in", "out"])
def test_every_tail_is_exact_on_whole_numbers(axis, dtype, rng):
    for batch, inputs, outputs in sizes_around(axis):
        x = whole(rng, (batch, inputs), dtype)
        weight = whole(rng, (inputs, outputs), dtype)
        bias = whole(rng, outputs, dtype)
        dy = whole(rng, (batch, outputs), dtype)
        np.testing.assert_array_equal(kernels.dense_forward(x, weight, bias), reference.dense_forward(x, weight, bias))
        np.testing.assert_array_equal(
            kernels.dense_forward(x, weight, bias, "relu"), reference.dense_forward(x, weight, bias, "relu")
        )
        for got, expected in zip(
            kernels.dense_backward(dy, x, weight), reference.dense_backward(dy, x, weight), strict=True
        ):
            np.testing.assert_array_equal(got, expected)


# The last two are beyond what is read in place: their right factors are packed, in several blocks of the depth.
SHAPES = [(1, 784, 30), (10, 784, 30), (128, 300, 257), (257, 64, 10), (3, 1, 1), (50, 1100, 520), (1100, 35, 530)]


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_as_accurate_as_rounding_allows(shape, dtype, rng):
    batch, inputs, outputs = shape
    x = rng.normal(size=(batch, inputs)).astype(dtype)
    weight = rng.normal(size=(inputs, outputs)).astype(dtype)
    bias = rng.normal(size=outputs).astype(dtype)
    dy = rng.normal(size=(batch, outputs)).astype(dtype)
    eps = np.finfo(dtype).eps
    higham = "n roundings of eps/2 on the terms' magnitudes (Higham, 2002, eq. 3.13), and the oracle's own"
    assert_close(
        kernels.dense_forward(x, weight, bias),
        reference.dense_forward(x, weight, bias),
        relative=(inputs + 2) * eps,
        cancellation_scale=np.abs(x) @ np.abs(weight) + np.abs(bias),
        reason=higham,
    )
    dx, dweight, dbias = kernels.dense_backward(dy, x, weight)
    expected = reference.dense_backward(dy, x, weight)
    for got, wanted, terms, scale in [
        (dx, expected[0], outputs, np.abs(dy) @ np.abs(weight.T)),
        (dweight, expected[1], batch, np.abs(x.T) @ np.abs(dy)),
    ]:
        assert_close(got, wanted, relative=(terms + 2) * eps, cancellation_scale=scale, reason=higham)
    assert_close(
        dbias,
        expected[2],
        relative=eps + 2 * batch * np.finfo(np.float64).eps,
        cancellation_scale=np.abs(dy).sum(0),
        reason="summed in double and rounded once",
    )


def test_bias_gradient_is_summed_in_double():
    dy = np.ones((65, 3), np.float32)
    dy[0] = 2**24  # 2**24 + 1 is not a float32
    dbias = kernels.dense_backward(dy, np.zeros((65, 2), np.float32), np.zeros((2, 3), np.float32))[2]
    np.testing.assert_array_equal(dbias, np.full(3, 2**24 + 64, np.float32))


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
@pytest.mark.parametrize("shape", [(1, 9, 1), (10, 20, 30), (33, 5, 47)])
def test_fused_activation_is_the_separate_one(activation, shape, dtype, rng):
    batch, inputs, outputs = shape
    x = whole(rng, (batch, inputs), dtype) / 8
    weight = whole(rng, (inputs, outputs), dtype) / 8
    bias = whole(rng, outputs, dtype) / 8
    dy = whole(rng, (batch, outputs), dtype)
    z = kernels.dense_forward(x, weight, bias)  # exact: multiples of 1/64
    y = kernels.activation_forward(z, activation)
    same = "the same formula on the same z; only the compiler's contractions may differ"
    assert_close(kernels.dense_forward(x, weight, bias, activation), y, ulp=4, reason=same)
    given_as = [{"z": z}]
    if activation not in ("softplus", "silu", "gelu"):
        given_as.append({"y": y})
    for keyword in given_as:
        source = {"x": z} if "z" in keyword else keyword
        delta = kernels.activation_backward(dy, activation, **source)
        expected = kernels.dense_backward(delta, x, weight)
        eps = np.finfo(dtype).eps
        got = kernels.dense_backward(dy, x, weight, activation, **keyword)
        for gradient, wanted, terms, scale in [
            (got[0], expected[0], outputs, np.abs(delta) @ np.abs(weight.T)),
            (got[1], expected[1], batch, np.abs(x.T) @ np.abs(delta)),
            (got[2], expected[2], batch, np.abs(delta).sum(0)),
        ]:
            assert_close(gradient, wanted, relative=(terms + 4) * eps, cancellation_scale=scale, reason=same)


@given(
    st.sampled_from(sorted(AUTOGRAD)),
    st.tuples(*[st.integers(1, 9)] * 3),
    st.floats(1e-9, 3),
    st.integers(0, 2**32 - 1),
)
def test_gradients_match_autograd(activation, shape, size, seed):
    batch, inputs, outputs = shape
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, inputs)) * size
    weight, bias = rng.normal(size=(inputs, outputs)), rng.normal(size=outputs)
    dy = rng.normal(size=(batch, outputs)) * 1e-20  # a vanished gradient must still be right element by element

    def cost(x, weight, bias):
        return anp.sum(dy * AUTOGRAD[activation](anp.dot(x, weight) + bias))

    z = kernels.dense_forward(x, weight, bias)
    got = kernels.dense_backward(dy, x, weight, activation, z=z)
    delta = np.abs(kernels.activation_backward(dy, activation, x=z))
    scales = (delta @ np.abs(weight.T), np.abs(x.T) @ delta, delta.sum(0))
    for argument, gradient, scale in zip(range(3), got, scales, strict=True):
        assert_close(
            gradient,
            grad(cost, argument)(x, weight, bias),
            relative=1e-12,
            cancellation_scale=scale * (1 + np.abs(z).max()) * np.exp(np.abs(z).max()),
            reason="autograd's 1 - y loses exp(|z|) of the derivative's digits",
        )


def test_memory_layout_does_not_matter(relayout, dtype, rng):
    x, weight = whole(rng, (7, 19), dtype), whole(rng, (19, 21), dtype)
    bias, dy = whole(rng, 21, dtype), whole(rng, (7, 21), dtype)
    y = kernels.dense_forward(relayout(x), relayout(weight), relayout(bias))
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(y, reference.dense_forward(x, weight, bias))
    got = kernels.dense_backward(relayout(dy), relayout(x), relayout(weight), "relu", z=relayout(y))
    for gradient, expected in zip(got, reference.dense_backward(dy, x, weight, "relu", z=y), strict=True):
        np.testing.assert_array_equal(gradient, expected)
        assert gradient.flags.c_contiguous


def test_no_bias_and_no_dx(dtype, rng):
    x, weight, dy = whole(rng, (3, 5), dtype), whole(rng, (5, 4), dtype), whole(rng, (3, 4), dtype)
    np.testing.assert_array_equal(kernels.dense_forward(x, weight), x @ weight)
    dx, dweight, dbias = kernels.dense_backward(dy, x, weight, need_dx=False)
    assert dx is None
    np.testing.assert_array_equal(dweight, x.T @ dy)
    np.testing.assert_array_equal(dbias, dy.sum(0))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bad_value_stays_in_its_row_and_column(value, dtype):
    for size in (1, 3, 13, 16, 33):
        x, weight, dy = (np.ones((size, size), dtype) for _ in range(3))
        x[-1, 0] = value
        bad = ~np.isfinite(kernels.dense_forward(x, weight))
        np.testing.assert_array_equal(bad.all(axis=1), np.arange(size) == size - 1)
        np.testing.assert_array_equal(bad.any(axis=1), np.arange(size) == size - 1)
        dx, dweight, _ = kernels.dense_backward(dy, x, weight)
        assert np.isfinite(dx).all()
        np.testing.assert_array_equal(~np.isfinite(dweight).all(axis=1), np.arange(size) == 0)


def test_zero_times_infinity_is_nan(dtype):
    weight = np.full((4, 5), np.inf, dtype)
    assert np.isnan(kernels.dense_forward(np.zeros((3, 4), dtype), weight)).all()


X, W, DY = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), np.ones((2, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: kernels.dense_forward(X, W[:2]), ValueError, ["weight", "2 rows", "x", "3 columns"]),
        (lambda: kernels.dense_forward(X, W, X[0]), ValueError, ["bias", "3", "4"]),
        (lambda: kernels.dense_forward(X[0], W), ValueError, ["x", "(3,)", "2 dim"]),
        (lambda: kernels.dense_forward(X, W, activation="swoosh"), ValueError, ["swoosh", "gelu"]),
        (lambda: kernels.dense_forward(X, W, alpha=0.1), ValueError, ["alpha", "identity"]),
        (lambda: kernels.dense_forward(X.astype(int), W), TypeError, ["x", "int64", "float32"]),
        (lambda: kernels.dense_forward(X, W.astype(float)), TypeError, ["weight", "float64", "float32"]),
        (lambda: kernels.dense_backward(DY[:1], X, W), ValueError, ["dy", "x", "1", "2"]),
        (lambda: kernels.dense_backward(DY[:, :3], X, W), ValueError, ["dy", "weight", "3", "4"]),
        (lambda: kernels.dense_backward(DY, X, W, "tanh"), ValueError, ["y", "z"]),
        (lambda: kernels.dense_backward(DY, X, W, "tanh", y=DY, z=DY), ValueError, ["y", "z"]),
        (lambda: kernels.dense_backward(DY, X, W, "gelu", y=DY), ValueError, ["gelu", "y"]),
        (lambda: kernels.dense_backward(DY, X, W, "tanh", z=X), ValueError, ["z", "3", "4"]),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=r"^\[dense_(forward|backward)\] ") as raised:
        call()
    assert [word for word in words if word not in str(raised.value)] == []
