import numpy as np
import pytest
from compare import assert_close
from hypothesis import given
from hypothesis import strategies as st

from gradwell import kernels, reference


def check(parameter, gradient, learning_rate, **decay):
    expected = parameter.astype(np.float64)
    reference.sgd_update(expected, gradient, learning_rate, **decay)
    factor = 1 + learning_rate * (decay.get("weight_decay", 0.0) + decay.get("l2", 0.0))
    scale = factor * np.abs(parameter).astype(np.float64) + learning_rate * np.abs(gradient)
    assert kernels.sgd_update(parameter, gradient, learning_rate, **decay) is None
    assert_close(
        parameter,
        expected,
        relative=6 * np.finfo(parameter.dtype).eps,
        cancellation_scale=scale,
        reason="two products, two sums and rounded coefficients; p - eta g may cancel",
    )


@pytest.mark.parametrize("decay", [{}, {"weight_decay": 0.3}, {"l2": 0.7}, {"weight_decay": 0.3, "l2": 0.7}], ids=str)
def test_every_tail(decay, dtype, rng):
    for length in range(66):
        parameter, gradient = rng.normal(size=(2, length)).astype(dtype)
        check(parameter, gradient, 0.1, **decay)


@given(
    st.floats(0, 10),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([1e-20, 1.0, 1e10]),
    st.integers(0, 99),
)
def test_any_rate(learning_rate, weight_decay, l2, size, seed):
    parameter, gradient = np.random.default_rng(seed).normal(size=(2, 3, 7)) * size
    check(parameter, gradient, learning_rate, weight_decay=weight_decay, l2=l2)


def test_elements_around_the_parameter_are_left_alone(dtype, rng):
    block = rng.normal(size=100).astype(dtype)
    before = block.copy()
    kernels.sgd_update(block[13:50], np.ones(37, dtype), 0.5)
    np.testing.assert_array_equal(np.flatnonzero(block != before), np.arange(13, 50))


def test_rate_zero_changes_no_bit(dtype, rng):
    parameter = rng.normal(size=70).astype(dtype)
    before = parameter.tobytes()
    kernels.sgd_update(parameter, rng.normal(size=70).astype(dtype), 0.0, weight_decay=0.5, l2=0.5)
    assert parameter.tobytes() == before


def test_decay_is_decoupled_from_the_gradient(dtype):
    parameter = np.full(3, 8, dtype)
    kernels.sgd_update(parameter, np.zeros(3, dtype), 0.5, weight_decay=0.5)
    np.testing.assert_array_equal(parameter, np.full(3, 6, dtype))


def test_gradient_layout_does_not_matter(relayout, dtype, rng):
    parameter, gradient = rng.normal(size=(2, 5, 9)).astype(dtype)
    expected, laid = parameter.copy(), relayout(gradient)
    kernels.sgd_update(expected, gradient, 0.3, l2=0.1)
    kernels.sgd_update(parameter, laid, 0.3, l2=0.1)
    np.testing.assert_array_equal(parameter, expected)
    np.testing.assert_array_equal(laid, gradient)


def test_non_finite_gradients_reach_only_their_own_element(dtype):
    gradient = np.array([np.nan, np.inf, -np.inf, 1.0] * 9, dtype)
    parameter = np.ones(36, dtype)
    kernels.sgd_update(parameter, gradient, 0.5)
    np.testing.assert_array_equal(parameter, np.array([np.nan, -np.inf, np.inf, 0.5] * 9, dtype))


def read_only():
    array = np.ones((4, 3), np.float32)
    array.flags.writeable = False
    return array


P = np.ones((4, 3), np.float32)


@pytest.mark.parametrize(
    ("parameter", "gradient", "keywords", "error", "words"),
    [
        (read_only(), P, {}, ValueError, ["parameter", "read-only"]),
        (P.copy()[:, ::2], P[:, ::2], {}, ValueError, ["parameter", "contiguous"]),
        (np.asfortranarray(P), P, {}, ValueError, ["parameter", "contiguous"]),
        (P.copy(), P[:2], {}, ValueError, ["gradient", "parameter", "2", "4"]),
        (P.copy(), P.T, {}, ValueError, ["gradient", "parameter", "3", "4"]),
        (P.copy(), P.astype(float), {}, TypeError, ["gradient", "parameter", "float64", "float32"]),
        (P.astype(int), P, {}, TypeError, ["parameter", "int64", "float32"]),
        (P.copy(), P, {"learning_rate": -0.1}, ValueError, ["learning_rate", "-0.1"]),
        (P.copy(), P, {"learning_rate": np.nan}, ValueError, ["learning_rate", "nan"]),
        (P.copy(), P, {"weight_decay": -0.1}, ValueError, ["weight_decay", "-0.1"]),
        (P.copy(), P, {"weight_decay": np.nan}, ValueError, ["weight_decay", "nan"]),
        (P.copy(), P, {"l2": -0.1}, ValueError, ["l2", "-0.1"]),
        (P.copy(), P, {"l2": np.nan}, ValueError, ["l2", "nan"]),
    ],
)
def test_bad_input_is_named_and_changes_nothing(parameter, gradient, keywords, error, words):
    with pytest.raises(error, match=r"^\[sgd_update\] ") as raised:
        kernels.sgd_update(parameter, gradient, **{"learning_rate": 0.1, **keywords})
    assert [word for word in words if word not in str(raised.value)] == []
    np.testing.assert_array_equal(parameter, np.ones_like(parameter))
