"""The one comparison of numbers in this test suite."""

import numpy as np


def assert_close(
    actual,
    expected,
    *,
    reason,
    relative=None,
    ulp=None,
    floor=0.0,
    cancellation_scale=None,
    flush_below=0.0,
):
    """Check every element on its own: its error is at most relative * |expected|, or so many ulp.

    There is no absolute tolerance: a gradient of 0 where 1e-20 is right fails. NaN equals NaN, inf inf.

    relative            limit, a number or an array
    ulp                 instead of relative: limit in units in the last place of expected in actual's dtype
    cancellation_scale  what the error is measured against where it is larger than |expected|: for a sum, the
                        sum of its terms' magnitudes (for A @ B: |A| @ |B|)
    floor               the error of smaller elements is measured against this magnitude
    flush_below         0 is also right where |expected| is smaller than this (denormals are flushed)
    reason              where the limit comes from; printed on failure
    """
    assert (relative is None) != (ulp is None), "give one of relative and ulp"
    actual = np.asarray(actual)
    expected = np.asarray(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape} is not the expected {expected.shape}"
    if actual.size == 0:
        return
    kind = np.result_type(actual.dtype, np.float32)  # a Python number or an integer is measured as float64
    limits = np.finfo(kind)
    exact = expected.astype(np.result_type(expected.dtype, np.float64))
    with np.errstate(all="ignore"):
        got = actual.astype(exact.dtype)
        scale = np.maximum(np.abs(exact), floor)
        if cancellation_scale is not None:
            scale = np.maximum(scale, cancellation_scale)
        unit = np.spacing(np.minimum(scale, limits.max).astype(kind)).astype(exact.dtype)
        allowed = ulp * unit if relative is None else relative * scale
        error = np.abs(got - exact)
        right = (error <= allowed) & np.isfinite(got) & np.isfinite(exact)
        right |= (got == exact) | (np.isnan(got) & np.isnan(exact))
        right |= np.isinf(got) & (np.sign(got) == np.sign(exact)) & (np.abs(exact) + allowed > limits.max)
        right |= (got == 0) & (np.abs(exact) < flush_below + allowed)
    if right.all():
        return
    with np.errstate(all="ignore"):
        excess = np.nan_to_num(error / allowed, nan=np.inf)
        worst = np.unravel_index(np.argmax(np.where(right, -1.0, excess)), actual.shape)
        in_ulp = (error / unit)[worst]
    raise AssertionError(
        f"{np.count_nonzero(~right)} of {right.size} elements are off; worst at {tuple(map(int, worst))}: "
        f"got {actual[worst]!r}, expected {expected[worst]!r}, error {error[worst]:.3g} = {in_ulp:.3g} ulp, "
        f"allowed {np.broadcast_to(allowed, actual.shape)[worst]:.3g} ({reason})"
    )
