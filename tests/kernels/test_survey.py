"""Many arrays measured in one call: the same as one by one, at any thread count."""

import hashlib

import numpy as np
import pytest

import gradwell as gw
from gradwell import _core, reference

SIZES = (0, 1, 15, 16, 17, 65, 4095, 4096, 4097, 40_000)


def arrays(dtype):
    rng = np.random.default_rng(0)
    found = [(rng.normal(size=n) * 10.0 ** rng.uniform(-20, 20, n)).astype(dtype) for n in SIZES]
    found[5][[0, 3, 7]] = np.nan, np.inf, 0
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_array_is_measured_as_by_itself(dtype):
    given = [*arrays(dtype), np.ones((3, 4), np.float64 if dtype == np.float32 else np.float32)]
    numbers, where, counts, norms, _ = _core.survey(given, given, [], False)
    for i, array in enumerate(given):
        one, histogram = _core.gradient_statistics(array, False)
        np.testing.assert_array_equal(numbers[i], one)
        low, bins, at = where[i]
        full = np.zeros_like(histogram)
        full[low + _core.exponent_bias : low + _core.exponent_bias + bins] = counts[at : at + bins]
        np.testing.assert_array_equal(full if bins else np.zeros_like(full), histogram)
        assert norms[i] == pytest.approx(one[1], rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_changes_are_norms_of_differences(dtype, size):
    rng = np.random.default_rng(1)
    now, before = rng.normal(size=(2, size)).astype(dtype)
    was = before.copy()
    ((moved, norm),) = _core.changes([now], [before])
    wide = now.astype(np.float64), was.astype(np.float64)
    assert moved == pytest.approx(np.linalg.norm(wide[0] - wide[1]), rel=1e-12)
    assert norm == pytest.approx(np.linalg.norm(wide[1]), rel=1e-12)
    np.testing.assert_array_equal(before, now)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("inner", [1, 3, 700])
def test_units_that_do_nothing_are_found(activation, inner):
    x = np.random.default_rng(2).normal(scale=4, size=(7, 5, inner)).astype(np.float32)
    x[:, 2] = -40  # flat for every sample
    y = gw.kernels.activation_forward(x, activation)
    alive = np.zeros(5, np.uint8)
    *_, flat = _core.survey([], [], [(y, activation, inner, alive)], True)
    d = reference.activation_derivative(x, activation)
    assert flat.tolist() == [np.count_nonzero(d < 0.01 * {"sigmoid": 0.25}.get(activation, 1.0))]
    assert alive.tolist() == [1, 1, 0, 1, 1]


def test_same_bits_at_any_thread_count():
    rng = np.random.default_rng(3)
    given = [rng.normal(size=n).astype(np.float32) for n in (200_000, 3, 70_000, 4097)]
    before = rng.normal(size=200_000).astype(np.float32)
    threads, seen = gw.num_threads(), set()
    try:
        for count in (1, 2, 3):
            gw.set_num_threads(count)
            parts = _core.survey(given, given, [(given[2].reshape(700, 100), "tanh", 1, np.zeros(100, np.uint8))], True)
            parts = (*parts, _core.changes([given[0]], [before.copy()]))
            seen.add(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
    finally:
        gw.set_num_threads(threads)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: _core.survey([np.zeros(2, int)], [], [], True), TypeError, "array has dtype int64"),
        (lambda: _core.survey([[1.0]], [], [], True), TypeError, "array is of type list"),
        (
            lambda: _core.survey([], [], [(np.zeros(7), "tanh", 2, np.zeros(2, np.uint8))], True),
            ValueError,
            "outputs have 7 numbers",
        ),
        (
            lambda: _core.survey([], [], [(np.zeros(4), "gelu", 2, np.zeros(2, np.uint8))], True),
            ValueError,
            "does not follow from y",
        ),
        (lambda: _core.changes([np.zeros(2)], []), ValueError, "now has 1 arrays but before has 0"),
        (lambda: _core.changes([np.zeros(2)], [np.zeros(3)]), ValueError, "before has shape"),
        (lambda: _core.changes([np.zeros(2)], [np.zeros(4)[::2]]), ValueError, "before is not contiguous"),
    ],
)
def test_wrong_use_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
