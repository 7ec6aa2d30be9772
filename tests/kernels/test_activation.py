import numpy as np
import pytest
from compare import assert_close
from hypothesis import given
from hypothesis import strategies as st

from gradwell import kernels, reference

FROM_OUTPUT = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu")
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-39, -1e-39, 1e-310, -1e-310, 1e-30, -1e-30, 1e30, -1e30]
ROUNDINGS = "a few operations of at most 2 ulp each; gelu's tail multiplies the rounding of x by x^2"
FLUSHED = 1024  # x * sigmoid(x) or 4 exp(-2x): a factor below the smallest normal is flushed, the product is not


def limit(x, dtype, activation):
    """The relative error that ROUNDINGS allows."""
    tail = np.where(np.isfinite(x), np.square(np.clip(x, -1e3, 1e3)), 0.0) if activation == "gelu" else 0.0
    return (10 + tail) * np.finfo(dtype).eps


def derivative_terms(x, activation):
    """Sum of the magnitudes of f's terms: silu' and gelu' cross 0, where only the terms can be accurate."""
    x = np.clip(np.asarray(x, np.float64), -1e3, 1e3)
    if activation == "silu":
        return reference.sigmoid(x) * (1 + np.abs(x) * reference.sigmoid(-x))
    if activation == "gelu":
        return reference.exp(-x * x / 2) * (1 + np.abs(x))
    return np.zeros_like(x)


def flush(x):
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, x.dtype.type(0), x)


def inputs(dtype):
    """Both tails to where the result underflows, fine steps around 0, and every magnitude."""
    top = 110 if dtype == np.float32 else 760
    sizes = np.geomspace(1e-37, 1e30, 400)
    return np.concatenate([np.linspace(-top, top, 4001), np.linspace(-4, 4, 2001), sizes, -sizes]).astype(dtype)


def check_forward(x, activation):
    assert_close(
        kernels.activation_forward(x, activation),
        reference.activation_forward(x if activation == "identity" else flush(x), activation),
        relative=limit(x, x.dtype, activation),
        flush_below=FLUSHED * np.finfo(x.dtype).tiny,
        reason=ROUNDINGS,
    )


def check_derivative(x, activation):
    tiny = np.finfo(x.dtype).tiny
    relative = limit(x, x.dtype, activation)
    assert_close(
        kernels.activation_derivative(x, activation),
        reference.activation_derivative(flush(x), activation),
        relative=relative,
        cancellation_scale=derivative_terms(x, activation),
        floor=tiny / relative,  # gelu' is a sum: one flushed term costs up to the smallest normal
        flush_below=FLUSHED * tiny,
        reason=ROUNDINGS,
    )


def test_names():
    assert kernels.ACTIVATIONS == reference.ACTIVATIONS


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_every_magnitude(activation, dtype):
    check_forward(inputs(dtype), activation)
    check_derivative(inputs(dtype), activation)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_special_values(activation, dtype):
    x = np.array(SPECIAL * 3, dtype)  # in the vector body and in the tail
    check_forward(x, activation)
    check_derivative(x, activation)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_result_does_not_depend_on_position(activation, dtype, rng):
    x = rng.normal(scale=3, size=66).astype(dtype)
    dy = rng.normal(size=66).astype(dtype)
    y = kernels.activation_forward(x, activation)
    dx = kernels.activation_backward(dy, activation, x=x)
    for length in range(66):
        np.testing.assert_array_equal(kernels.activation_forward(x[:length], activation), y[:length])
        np.testing.assert_array_equal(kernels.activation_backward(dy[:length], activation, x=x[:length]), dx[:length])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65])
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_backward(activation, length, dtype, rng):
    x = rng.normal(scale=3, size=length).astype(dtype)
    dy = rng.normal(size=length).astype(dtype)
    assert_close(
        kernels.activation_backward(dy, activation, x=x),
        reference.activation_backward(dy, activation, x=x),
        relative=limit(x, dtype, activation),
        cancellation_scale=np.abs(dy) * derivative_terms(x, activation),
        reason=ROUNDINGS,
    )
    if activation in FROM_OUTPUT:
        y = kernels.activation_forward(x, activation)
        added = {"elu": 1.0, "selu": reference.SELU_SCALE * reference.SELU_ALPHA}.get(activation, 0.0)
        assert_close(
            kernels.activation_backward(dy, activation, y=y),
            reference.activation_backward(dy, activation, y=y),
            relative=4 * np.finfo(dtype).eps,
            cancellation_scale=np.abs(dy) * added,
            reason="three roundings; elu and selu add a rounded constant to y",
        )


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_memory_layout_does_not_matter(activation, relayout, dtype, rng):
    x = rng.normal(size=(5, 4, 7)).astype(dtype)
    dy = rng.normal(size=x.shape).astype(dtype)
    expected = kernels.activation_forward(x, activation), kernels.activation_backward(dy, activation, x=x)
    laid = relayout(x)
    result = kernels.activation_forward(laid, activation)
    np.testing.assert_array_equal(result, expected[0])
    np.testing.assert_array_equal(kernels.activation_backward(relayout(dy), activation, x=laid), expected[1])
    np.testing.assert_array_equal(laid, x)
    assert result.flags.c_contiguous
    assert result.dtype == dtype
    assert not np.shares_memory(result, laid)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1)])
def test_shape_is_kept(shape, dtype):
    assert kernels.activation_forward(np.zeros(shape, dtype), "tanh").shape == shape


@given(st.floats(-30, 30).filter(lambda x: abs(x) > 1e-9))
def test_derivative_is_the_complex_step_of_the_forward_oracle(x):
    x = np.array([x])
    for activation in reference.ACTIVATIONS:
        step = reference.activation_forward(x + 1e-30j, activation).imag / 1e-30
        assert_close(
            kernels.activation_derivative(x, activation),
            step,
            relative=2 * limit(x, np.float64, activation),
            cancellation_scale=derivative_terms(x, activation),
            reason=ROUNDINGS + ", on both sides",
        )


@pytest.mark.parametrize(("activation", "alpha"), [("leaky_relu", 0.0), ("leaky_relu", 0.25), ("elu", 0.3)])
def test_alpha(activation, alpha, dtype, rng):
    x = rng.normal(size=37).astype(dtype)
    assert_close(
        kernels.activation_forward(x, activation, alpha=alpha),
        reference.activation_forward(x, activation, alpha=alpha),
        relative=10 * np.finfo(dtype).eps,
        reason=ROUNDINGS,
    )
    y = kernels.activation_forward(x, activation, alpha=alpha)
    for given_as in ({"x": x}, {"y": y}):
        assert_close(
            kernels.activation_backward(np.ones_like(x), activation, alpha=alpha, **given_as),
            reference.activation_backward(np.ones_like(x), activation, alpha=alpha, x=x),
            relative=10 * np.finfo(dtype).eps,
            cancellation_scale=alpha,
            reason=ROUNDINGS + "; y + alpha cancels",
        )


def test_prelu(dtype, rng):
    for batch, units in [(0, 3), (1, 1), (5, 0), (7, 33), (64, 17)]:
        x, dy = rng.normal(size=(2, batch, units)).astype(dtype)
        slope = rng.uniform(-1, 1, units).astype(dtype)
        eps = np.finfo(dtype).eps
        assert_close(
            kernels.prelu_forward(x, slope),
            reference.prelu_forward(x, slope),
            relative=eps,
            reason="one product",
        )
        dx, dslope = kernels.prelu_backward(dy, x, slope)
        expected_dx, expected_dslope = reference.prelu_backward(dy, x, slope)
        assert_close(dx, expected_dx, relative=eps, reason="one product")
        assert_close(
            dslope,
            expected_dslope,
            relative=4 * eps,
            cancellation_scale=np.abs(dy * np.minimum(x, 0)).sum(0),
            reason="a product per row, summed in double, rounded once",
        )


def test_prelu_slope_gradient_is_summed_in_double():
    x = np.full((65, 1), -1, np.float32)
    dy = np.ones_like(x)
    dy[0] = 2**24  # 2**24 + 1 is not a float32
    assert kernels.prelu_backward(dy, x, np.ones(1, np.float32))[1] == -(2**24 + 64)


X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: kernels.activation_forward(X.astype(int), "relu"), TypeError, ["x", "int64", "float32"]),
        (lambda: kernels.activation_forward(X, "swoosh"), ValueError, ["swoosh", *reference.ACTIVATIONS]),
        (lambda: kernels.activation_forward(X, "tanh", alpha=1.0), ValueError, ["alpha", "tanh"]),
        (lambda: kernels.activation_forward(X, "elu", alpha=0.0), ValueError, ["alpha", "0"]),
        (lambda: kernels.activation_forward(X, "elu", alpha=np.inf), ValueError, ["alpha", "inf"]),
        (lambda: kernels.activation_derivative(X, "leaky_relu", alpha=-0.5), ValueError, ["alpha", "-0.5"]),
        (lambda: kernels.activation_derivative(X, "leaky_relu", alpha=np.nan), ValueError, ["alpha", "nan"]),
        (lambda: kernels.activation_backward(X, "tanh"), ValueError, ["x", "y"]),
        (lambda: kernels.activation_backward(X, "tanh", x=X, y=X), ValueError, ["x", "y"]),
        (lambda: kernels.activation_backward(X, "gelu", y=X), ValueError, ["gelu", "y"]),
        (lambda: kernels.activation_backward(X, "silu", y=X), ValueError, ["silu", "y"]),
        (lambda: kernels.activation_backward(X, "softplus", y=X), ValueError, ["softplus", "y"]),
        (lambda: kernels.activation_backward(X, "tanh", x=X[:1]), ValueError, ["dy", "x", "2", "1"]),
        (
            lambda: kernels.activation_backward(X, "tanh", x=X.astype(np.float64)),
            TypeError,
            ["dy", "x", "float32", "float64"],
        ),
        (lambda: kernels.prelu_forward(X, X[0, :2]), ValueError, ["slope", "2", "3"]),
        (lambda: kernels.prelu_forward(X[0], X[0]), ValueError, ["x", "(3,)", "2 dim"]),
        (lambda: kernels.prelu_backward(X[:1], X, X[0]), ValueError, ["dy", "x", "1", "2"]),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=r"^\[(activation|prelu)_(forward|derivative|backward)\] ") as raised:
        call()
    assert [word for word in words if word not in str(raised.value)] == []
