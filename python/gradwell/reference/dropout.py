"""Dropout, with the random numbers it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.elementary import wide

Array = NDArray[Any]


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return Philox 4x32-10 of a counter and a key, words of 32 bits. Salmon, Moraes, Dror and Shaw, 2011."""
    word, k, mask = list(counter), list(key), 2**32 - 1
    for _ in range(10):
        a, b = 0xD2511F53 * word[0], 0xCD9E8D57 * word[2]
        word = [(b >> 32) ^ word[1] ^ k[0], b & mask, (a >> 32) ^ word[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return word[0], word[1], word[2], word[3]


def dropout_forward(x: ArrayLike, rate: float, *, seed: int, step: int = 0, layer: int = 0) -> tuple[Array, Array]:
    """Return x m and m: word c % 4 of block c // 4 of a row decides on column c. Srivastava et al., 2014."""
    x = wide(x)
    mask = np.empty(x.shape)
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            counter = (column // 4, row, layer ^ ((step >> 32) << 16 & 0xFFFFFFFF), step & 0xFFFFFFFF)
            word = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))[column % 4]
            mask[row, column] = 0.0 if word < int(rate * 2**32) else 1 / (1 - rate)
    return x * mask, mask
