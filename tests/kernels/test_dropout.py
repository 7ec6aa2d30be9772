"""Dropout: its random numbers are Philox's, its mask is where and as often as it should be."""

import numpy as np
import pytest

from gradwell import kernels, reference


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_known_answers_of_philox(counter, key, expected):
    """The vectors that Random123, its authors' library, is tested with."""
    assert reference.philox(counter, key) == expected


@pytest.mark.parametrize("key", [{"seed": 0}, {"seed": 2**61, "step": 2**40 + 5, "layer": 7}], ids=["zero", "large"])
def test_every_tail_is_the_oracle_bit_for_bit(key, dtype, rng):
    for columns in range(66):
        x = rng.normal(size=(3, columns)).astype(dtype)
        y, mask = kernels.dropout_forward(x, 0.5, **key)
        expected, wanted = reference.dropout_forward(x, 0.5, **key)
        np.testing.assert_array_equal(mask, wanted)
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_as_many_are_kept_as_should_be(rate):
    mask = kernels.dropout_forward(np.ones((500, 2000), np.float32), rate, seed=1)[1]
    dropped = (mask == 0).mean()
    assert abs(dropped - rate) <= 5 * np.sqrt(rate * (1 - rate) / mask.size)  # five standard errors
    assert np.unique(mask[mask > 0]) == np.float32(1 / (1 - rate))


def test_seed_step_layer_row_and_column_all_matter():
    x = np.ones((64, 64), np.float32)
    first = kernels.dropout_forward(x, 0.5, seed=1)[1]
    np.testing.assert_array_equal(first, kernels.dropout_forward(x, 0.5, seed=1)[1])
    others = [kernels.dropout_forward(x, 0.5, **k)[1] for k in ({"seed": 2}, {"seed": 1, "step": 1})]
    others += [kernels.dropout_forward(x, 0.5, seed=1, layer=1)[1], first.T]
    others += [np.roll(first, 1, axis=0), np.roll(first, 1, axis=1)]
    for other in others:
        assert 0.4 < (first == other).mean() < 0.6


def test_bad_input_is_named():
    for rate in (1.0, -0.1, np.nan):
        with pytest.raises(ValueError, match=r"\[dropout_forward\] rate is .* needs a number from 0 to below 1"):
            kernels.dropout_forward(np.ones((2, 2)), rate, seed=0)
    with pytest.raises(ValueError, match=r"\[dropout_forward\] step is .*; needs less than 2\*\*48"):
        kernels.dropout_forward(np.ones((2, 2)), 0.5, seed=0, step=2**48)
    with pytest.raises(ValueError, match=r"\[dropout_forward\] seed is -1"):
        kernels.dropout_forward(np.ones((2, 2)), 0.5, seed=-1)
