"""Arrays of more than 2^31 elements: no index is kept in 32 bits. Needs some 20 GiB of memory."""

import numpy as np
import pytest

from gradwell import kernels

pytestmark = pytest.mark.slow
BEYOND = 2**31 + 7


def test_statistics():
    x = np.zeros(BEYOND, np.float32)
    x[-1], x[2**31 - 1] = 3, -4
    s = kernels.gradient_statistics(x)
    assert (s.count, s.norm, s.min, s.max, s.zeros) == (BEYOND, 5.0, -4.0, 3.0, BEYOND - 2)
    assert s.exponents.tolist() == [1, 2] and s.counts.tolist() == [1, 1]


def test_activation():
    x = np.full(BEYOND, -1, np.float32)
    x[-1] = 2
    y = kernels.activation_forward(x, "relu")
    assert y[-1] == 2 and not y[:-1].any()


def test_dense_of_a_tall_batch_and_its_gradient():
    rows = BEYOND // 16 + 1
    x = np.zeros((rows, 16), np.float32)
    x[-1] = 1
    weight = np.ones((16, 1), np.float32)
    y = kernels.dense_forward(x, weight)
    assert y[-1, 0] == 16 and not y[:-1].any()
    _, dweight, dbias = kernels.dense_backward(np.ones_like(y), x, weight, need_dx=False)
    assert (dweight == 1).all() and dbias[0] == np.float32(rows)
