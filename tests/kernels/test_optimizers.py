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


RULES = {
    "momentum": (1, {"momentum": 0.8}),
    "dampened": (1, {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    "nesterov": (1, {"momentum": 0.8, "nesterov": True, "l2": 0.1}),
    "adagrad": (1, {"epsilon": 1e-3, "l2": 0.1}),
    "rmsprop": (2, {"rho": 0.9, "momentum": 0.5, "weight_decay": 0.1}),
    "adam": (2, {"l2": 0.1}),
    "adamw": (2, {"weight_decay": 0.1, "epsilon": 1e-4}),
    "rprop": (2, {}),
}
FUNCTION = {"dampened": "momentum", "nesterov": "momentum", "adamw": "adam"}


def run(module, rule, parameter, gradients, rate):
    states, settings = RULES[rule]
    kept = [np.zeros_like(parameter) for _ in range(states)]
    for t, gradient in enumerate(gradients, 1):
        steps = [t] if rule.startswith("adam") else []
        update = getattr(module, f"{FUNCTION.get(rule, rule)}_update")
        update(parameter, gradient.astype(parameter.dtype), *kept, rate, *steps, **settings)
    return [parameter, *kept]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_and_tail_over_five_steps(rule, dtype, rng):
    for length in [*range(66), 5000]:
        gradients = rng.normal(size=(5, length)).astype(dtype)
        parameter = rng.normal(size=length).astype(dtype)
        got = run(kernels, rule, parameter.copy(), gradients, 0.05)
        expected = run(reference, rule, parameter.astype(np.float64), gradients, 0.05)
        eps = np.finfo(dtype).eps
        moved = 5 * 0.05 * (3 + np.abs(gradients).sum(axis=0))
        largest = np.maximum(np.abs(gradients).sum(axis=0), 1) ** 2
        for one, other, scale in zip(got, expected, (np.abs(parameter) + moved, largest, largest), strict=False):
            assert_close(
                one, other, relative=40 * eps, cancellation_scale=scale, reason="five steps of a few roundings"
            )


def test_rprop_takes_the_sign_of_gradients_whose_product_underflows(dtype):
    parameter, before, size = np.zeros(3, dtype), np.zeros(3, dtype), np.zeros(3, dtype)
    tiny = np.array([1e-30, -1e-30, 0], dtype)
    for _ in range(2):
        kernels.rprop_update(parameter, tiny, before, size, 0.5)
    assert_close(parameter, np.array([-1.1, 1.1, 0.0]), relative=1e-6, reason="0.5 and then 0.6, whatever the size")


def test_state_must_be_memory_of_its_own(dtype):
    parameter, gradient, state = np.ones(4, dtype), np.ones(4, dtype), np.ones(4, dtype)
    for bad, message in [
        (parameter, "state shares memory"),
        (gradient, "state shares memory"),
        (np.ones(5, dtype), "state has shape"),
        (np.ones(4, np.float16), "state has dtype"),
    ]:
        with pytest.raises((ValueError, TypeError), match=rf"\[momentum_update\] {message}"):
            kernels.momentum_update(parameter, gradient, bad, 0.1)
    with pytest.raises(ValueError, match=r"\[adam_update\] two states share memory"):
        kernels.adam_update(parameter, gradient, state, state, 0.1, 1)
    with pytest.raises(ValueError, match=r"\[adam_update\] step is 0; needs at least 1"):
        kernels.adam_update(parameter, gradient, state, state.copy(), 0.1, 0)
    with pytest.raises(ValueError, match=r"\[momentum_update\] momentum is 1"):
        kernels.momentum_update(parameter, gradient, state, 0.1, momentum=1.0)
    assert (parameter == 1).all()
