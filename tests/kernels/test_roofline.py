import numpy as np
import pytest

from gradwell import _core


@pytest.mark.parametrize("count", [0, 1, 1000, 10**6])
def test_at_least_as_many_multiply_adds_as_asked_for(count):
    done = _core.multiply_adds(count)
    assert count <= done <= count + 12 * 16


@pytest.mark.parametrize("size", [*range(66), 1000])
def test_everything_is_read(size):
    array = np.arange(size, dtype=np.float32)
    assert _core.read(array) == size * (size - 1) / 2  # whole numbers: exact in any order


@pytest.mark.parametrize("count", [-1, 2**60])
def test_wrong_counts_are_refused(count):
    with pytest.raises(ValueError, match=rf"^\[multiply_adds\] count is {count}; needs 0 to 2\^50"):
        _core.multiply_adds(count)


def test_thresholds_can_be_set_and_change_no_bit():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(40, 50)), rng.normal(size=(50, 60))
    before = _core.get_worth()
    alone = _core.dense_forward(x, weight, None, "tanh", None)
    try:
        _core.set_worth(0, 0, 0)
        assert _core.get_worth() == (0, 0, 0)
        np.testing.assert_array_equal(_core.dense_forward(x, weight, None, "tanh", None), alone)
    finally:
        _core.set_worth(*before)
