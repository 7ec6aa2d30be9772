import math

import numpy as np
import pytest
from compare import assert_close
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradwell import kernels, reference

EXACT = ("count", "min", "max", "largest", "smallest", "zeros", "nans", "infs")


def check(array):
    got = kernels.gradient_statistics(array)
    expected = reference.gradient_statistics(array)
    for field in EXACT:
        np.testing.assert_array_equal(getattr(got, field), getattr(expected, field), err_msg=field)
    np.testing.assert_array_equal(got.exponents, expected.exponents)
    np.testing.assert_array_equal(got.counts, expected.counts)
    n = max(1, expected.count)
    summed = (n + 4) * 2.0**-53
    assert_close(got.norm, expected.norm, relative=summed, reason="n terms summed in double")
    assert_close(got.rms, expected.rms, relative=summed, reason="n terms summed in double")
    finite = np.asarray(array)[np.isfinite(array)]
    if not finite.size:
        assert math.isnan(got.mean)
        assert math.isnan(got.std)
        return
    magnitude = expected.largest * float(np.mean(np.abs(finite / (expected.largest or 1))))
    assert_close(
        got.mean,
        expected.mean,
        relative=summed,
        cancellation_scale=magnitude,
        reason="n terms summed in double",
    )
    assert_close(
        got.std,
        expected.std,
        relative=2 * math.sqrt(summed),
        cancellation_scale=expected.rms,
        reason="E x^2 - (E x)^2 in double keeps half the digits of the rms",
    )


def test_every_tail(dtype, rng):
    for length in [*range(66), 4095, 4096, 4097, 3 * 4096 + 5]:
        check(rng.normal(size=length).astype(dtype) * dtype(1e-9))


@given(
    st.sampled_from([np.float32, np.float64]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=3, min_side=0, max_side=9))
    )
)
def test_any_values(array):
    with np.errstate(all="ignore"):
        check(array)


def test_a_known_case(dtype):
    got = kernels.gradient_statistics(np.array([3, -4, 0, 0, np.nan, np.inf, -np.inf], dtype))
    assert (got.count, got.zeros, got.nans, got.infs) == (7, 2, 1, 2)
    assert (got.norm, got.rms, got.mean) == (5, 2.5, -0.25)
    assert (got.min, got.max, got.largest, got.smallest) == (-4, 3, 4, 3)
    assert (list(got.exponents), list(got.counts)) == ([1, 2], [1, 1])


def test_histogram_counts_every_finite_nonzero_element_between_powers_of_two(dtype):
    edges = np.array([2.0**e for e in range(-126, 128)]).astype(dtype)
    x = np.concatenate([edges, -edges, np.nextafter(edges, dtype(0), dtype=dtype)[1:]])
    got = kernels.gradient_statistics(x)
    assert list(got.exponents) == list(range(-126, 128))
    assert list(got.counts) == [3] * 253 + [2]


def test_histogram_keeps_empty_exponents_between(dtype):
    got = kernels.gradient_statistics(np.array([1, 8, 8.5], dtype))
    assert (list(got.exponents), list(got.counts)) == ([0, 1, 2, 3], [1, 0, 0, 2])


@pytest.mark.parametrize("array", [[], [np.nan], [np.inf, -np.inf, np.nan]])
def test_what_cannot_be_said_is_nan(array, dtype):
    got = kernels.gradient_statistics(np.array(array, dtype))
    assert math.isnan(got.norm) if array else got.norm == 0
    for field in ("mean", "rms", "std", "min", "max", "largest", "smallest"):
        assert math.isnan(getattr(got, field)), field
    assert len(got.exponents) == len(got.counts) == 0


def test_all_zero(dtype):
    got = kernels.gradient_statistics(np.zeros((3, 5), dtype))
    assert (got.zeros, got.norm, got.rms, got.mean, got.std, got.largest) == (15, 0, 0, 0, 0, 0)
    assert math.isnan(got.smallest)


@pytest.mark.parametrize("length", [1, 16, 33, 4096])
@pytest.mark.parametrize("value", [-0.0, -1e-310, -1e-41, -1e-30])
def test_negative_zeros_denormals_and_numbers(value, length, dtype):
    check(np.full(length, value, dtype))
    check(np.concatenate([np.zeros(length, dtype), np.full(length, value, dtype)]))


def test_denormals_count_as_zeros(dtype):
    tiny = np.finfo(dtype).tiny
    got = kernels.gradient_statistics(np.array([tiny, -tiny / 2, tiny / 2] * 11, dtype))
    assert (got.zeros, got.smallest, got.largest, got.min) == (22, tiny, tiny, 0)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-160, 1e160, 1e200, 1e305])
def test_norm_survives_squares_that_leave_the_range(size):
    x = np.full(1000, size)
    x[::2] *= -3
    check(x)


def test_norm_of_mixed_magnitudes_is_the_large_ones():
    got = kernels.gradient_statistics(np.array([1e-200, 3e200, 1.0, -4e200]))
    assert_close(got.norm, 5e200, ulp=4, reason="scaling, two squares, a root")


def test_float32_is_summed_in_double():
    x = np.ones(2**20 + 1, np.float32)
    x[0] = 2**13
    got = kernels.gradient_statistics(x)
    assert_close(got.norm**2, 2.0**26 + 2**20, relative=1e-14, reason="sums of whole numbers are exact in double")


def test_memory_layout_does_not_matter(relayout, dtype, rng):
    check(relayout(rng.normal(size=(5, 3, 7)).astype(dtype)))


def test_observing_alters_nothing(dtype):
    x = np.array([1, np.nan, 1e-310, -0.0, 1e-39], dtype)
    before = x.tobytes()
    kernels.gradient_statistics(x)
    assert x.tobytes() == before


def test_bad_input_is_named():
    with pytest.raises(TypeError, match=r"^\[gradient_statistics\] .*int64.*float32 or float64"):
        kernels.gradient_statistics(np.ones(3, np.int64))
