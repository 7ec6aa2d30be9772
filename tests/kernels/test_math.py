import numpy as np
import pytest
from compare import assert_close

from gradwell import kernels, reference

FUNCTIONS = ("exp", "log", "tanh", "sigmoid")
TINY = np.finfo(np.float32).tiny
each_function = pytest.mark.parametrize("name", FUNCTIONS)


def check_patterns(name, patterns):
    """Every result within 2 ulp of the exact one; denormals count as 0 going in and coming out."""
    x = patterns.astype(np.uint32).view(np.float32)
    y = kernels.__dict__[name](x)
    assert y.dtype == np.float32
    with np.errstate(invalid="ignore"):  # NaN patterns include signalling ones
        exact = reference.__dict__[name](np.where(np.abs(x) < TINY, np.float32(0), x))
    assert_close(y, exact, ulp=2, flush_below=TINY, reason="the promise of cpu/math.h")


def chunks(step, size):
    for start in range(0, 2**32, step * size):
        yield np.arange(start, min(start + step * size, 2**32), step, dtype=np.int64)


@each_function
def test_float32_every_211th_bit_pattern(name):
    for patterns in chunks(211, 2**18):
        check_patterns(name, patterns)


@pytest.mark.slow
@each_function
def test_float32_every_bit_pattern(name):
    for patterns in chunks(1, 2**22):
        check_patterns(name, patterns)


def wide_sigmoid(x):
    return np.where(x > 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


SAMPLES = {
    "exp": lambda rng, n: rng.uniform(-708, 709, n),
    "log": lambda rng, n: np.concatenate([2.0 ** rng.uniform(-1022, 1023, n), rng.uniform(0.5, 2, n)]),
    "tanh": lambda rng, n: np.concatenate(
        [rng.uniform(-25, 25, n), rng.normal(size=n) * 10.0 ** rng.uniform(-300, 0, n)]
    ),
    "sigmoid": lambda rng, n: rng.uniform(-708, 60, n),
}


@each_function
def test_float64_random_samples(name, rng):
    x = SAMPLES[name](rng, 50_000)
    wide = x.astype(np.longdouble)
    exact = wide_sigmoid(wide) if name == "sigmoid" else getattr(np, name)(wide)
    assert_close(
        kernels.__dict__[name](x),
        exact,
        ulp=4,
        flush_below=np.finfo(np.float64).tiny,
        reason="polynomials meant for 2 ulp; long double is exact enough where it is wider than double",
    )


@each_function
def test_special_values(name, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 1e-310, -1e-310, 1e-39, -1e-39, 1e30, -1e30] * 3, dtype)
    flushed = np.where(np.abs(x) < np.finfo(dtype).tiny, dtype(0), x)
    assert_close(
        kernels.__dict__[name](x),
        reference.__dict__[name](flushed),
        ulp=4,
        flush_below=np.finfo(dtype).tiny,
        reason="in the vector body as in the tail",
    )


@each_function
def test_result_depends_on_neither_position_nor_layout(name, dtype, relayout, rng):
    x = rng.uniform(0.1, 3, 65).astype(dtype)
    y = kernels.__dict__[name](x)
    for length in range(65):
        np.testing.assert_array_equal(kernels.__dict__[name](x[:length]), y[:length])
    np.testing.assert_array_equal(kernels.__dict__[name](relayout(x)), y)
    square = x[:60].reshape(3, 4, 5)
    np.testing.assert_array_equal(kernels.__dict__[name](relayout(square)), y[:60].reshape(3, 4, 5))


@each_function
def test_bad_input_is_named(name):
    with pytest.raises(TypeError, match=rf"^\[{name}\] x has dtype int64; needs float32 or float64"):
        kernels.__dict__[name](np.ones(3, np.int64))
