"""The LSTM with layer normalisation, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.elementary import quiet

Array = NDArray[Any]


def _normal(x: Array, epsilon: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon))


@quiet
def lstm_norm_forward(
    x: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike,
    gain: ArrayLike,
    recurrent_gain: ArrayLike,
    cell_gain: ArrayLike,
    cell_shift: ArrayLike,
    *,
    lengths: Any = None,
    epsilon: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Return y (batch, time, hidden) and the last h, c; z = LN(x W) + LN(h U) + b, h = o tanh(LN(c)).

    Ba, Kiros and Hinton, 2016. Arguments may be complex.
    """
    x, w, u, b0 = np.asarray(x), np.asarray(weight), np.asarray(recurrent_weight), np.asarray(bias)
    g_x, g_h, g_c, b_c = (np.asarray(part) for part in (gain, recurrent_gain, cell_gain, cell_shift))
    batch, time, hidden = len(x), x.shape[1], len(u)
    kind = np.result_type(x, w, u, b0, g_x, g_h, g_c, b_c, np.float64)
    h, c, y = np.zeros((batch, hidden), kind), np.zeros((batch, hidden), kind), np.zeros((batch, time, hidden), kind)
    counts = np.full(batch, time) if lengths is None else np.asarray(lengths)
    for t in range(time):
        for b in range(batch):
            if t >= counts[b]:
                continue
            z = _normal(x[b, t] @ w, epsilon) * g_x + _normal(h[b] @ u, epsilon) * g_h + b0
            i, f, g, o = np.split(z, 4)
            c[b] = c[b] / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h[b] = np.tanh(_normal(c[b], epsilon) * g_c + b_c) / (1 + np.exp(-o))
            y[b, t] = h[b]
    return y, h, c
