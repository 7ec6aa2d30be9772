"""Clipping kernels against their oracle, at every length, and what they do with what cannot be clipped."""

import numpy as np
import pytest
from compare import assert_close

from gradwell import kernels, reference

NAMES = ("clip_by_norm", "clip_by_value")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limit", [0.3, 1e6])
def test_every_length(name, limit, dtype, rng):
    for length in [*range(66), 4095, 4096, 4097, 300_001]:
        gradient = rng.normal(size=length).astype(dtype)
        expected = gradient.astype(np.float64)
        norm = getattr(reference, name)(expected, limit)
        assert_close(getattr(kernels, name)(gradient, limit), norm, relative=1e-6, reason="groups of float32 squares")
        assert_close(gradient, expected, relative=1e-6, reason="the factor's rounding and one product")


def test_several_arrays_share_a_norm(dtype):
    arrays = {"a": np.full((2, 2), 3, dtype), "b": np.full(7, 4, dtype)}
    norm = np.sqrt(4 * 9 + 7 * 16)
    assert kernels.clip_by_norm(arrays, 2.0) == pytest.approx(norm, rel=1e-12)
    assert_close(arrays["a"], np.full((2, 2), 3 * 2 / norm), relative=1e-6, reason="one product")
    assert_close(arrays["b"], np.full(7, 4 * 2 / norm), relative=1e-6, reason="one product")
    assert kernels.clip_by_norm(list(arrays.values()), 5.0) == pytest.approx(2.0, rel=1e-6)


def test_a_limit_above_the_norm_changes_no_bit(dtype, rng):
    gradient = rng.normal(size=1000).astype(dtype)
    before = gradient.tobytes()
    kernels.clip_by_norm(gradient, 1e9)
    assert gradient.tobytes() == before


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e160, 1e300])
def test_norms_whose_squares_leave_the_range(size):
    gradient = np.full(10_000, size)
    assert kernels.clip_by_norm(gradient, size) == pytest.approx(100 * size, rel=1e-12)
    assert_close(gradient, np.full(10_000, size / 100), relative=1e-12, reason="one product")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_and_nothing_changes(name, bad, dtype):
    good, other = np.full(5000, 3, dtype), np.ones(5000, dtype)
    other[4567] = bad
    with pytest.raises(
        ValueError, match=rf'\[{name}\] gradient "2.weight" has the norm (nan|inf); .*nothing was changed'
    ):
        getattr(kernels, name)({"0.weight": good, "2.weight": other}, 1.0)
    assert (good == 3).all()
    assert (other[:4567] == 1).all()


@pytest.mark.parametrize("name", [*NAMES, "clip_adaptive", "max_norm"])
@pytest.mark.parametrize("limit", [0, -1.0, np.nan, np.inf, True, "1", None, np.bool_(True), 1j])
def test_a_limit_that_is_none_is_refused(name, limit):
    arrays = [np.ones((2, 2)), np.ones((2, 2))] if name == "clip_adaptive" else [np.ones((2, 2))]
    with pytest.raises((ValueError, TypeError), match=rf"\[{name}\] (max_norm|limit|ratio) is"):
        getattr(kernels, name)(*arrays, limit)
    assert (arrays[0] == 1).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_adaptive_and_max_norm_in_every_shape(axis, dtype, rng):
    for size in range(66):
        shape = [9, 35]
        shape[axis] = size
        gradient, weight = rng.normal(size=(2, *shape)).astype(dtype)
        weight[:, ::3] *= 1e-6  # below the floor
        expected, bounded = gradient.astype(np.float64), weight.astype(np.float64)
        before = reference.clip_adaptive(expected, weight.astype(np.float64), 0.5)
        assert kernels.clip_adaptive(gradient, weight, 0.5) == pytest.approx(before, rel=1e-6)
        assert_close(gradient, expected, relative=2e-6, reason="sums of float32 squares, a factor, a product")
        assert kernels.max_norm(weight, 0.8) == reference.max_norm(bounded, 0.8)
        assert_close(weight, bounded, relative=2e-6, reason="sums of float32 squares, a factor, a product")


def test_arrays_that_cannot_be_changed_are_refused(dtype):
    locked = np.ones(4, dtype)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        kernels.clip_by_value(locked, 0.5)
    with pytest.raises(ValueError, match="not contiguous"):
        kernels.clip_by_norm(np.ones(8, dtype)[::2], 0.5)
    with pytest.raises(TypeError, match="float32 or float64"):
        kernels.clip_by_norm(np.ones(4, np.int64), 0.5)


def test_a_generator_is_read_once(dtype):
    arrays = [np.full(4, 3, dtype), np.full(4, 4, dtype)]
    assert kernels.clip_by_norm((a for a in arrays), 1.0) == pytest.approx(10.0)
    assert_close(arrays[0], np.full(4, 0.3), relative=1e-6, reason="one product")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_where_one_array_cannot(name, dtype):
    good, locked = np.full(4, 3, dtype), np.full(4, 3, dtype)
    locked.flags.writeable = False
    for bad in (locked, np.full(8, 3, dtype)[::2], [3.0], np.full(4, 3)):
        with pytest.raises((ValueError, TypeError), match=rf"\[{name}\] gradient 1 "):
            getattr(kernels, name)([good, bad], 1.0)
        assert (good == 3).all()


def test_a_factor_too_small_for_float32():
    gradient = np.full(4, 3e38, np.float32)
    kernels.clip_by_norm(gradient, 1.0)
    assert_close(gradient, np.full(4, 0.5), relative=1e-6, reason="two products")
