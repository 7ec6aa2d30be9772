"""Recurrent cells, one step at a time.

Where a step lies beyond a sequence's length the state stays as it is, the output and every gradient there are 0.
In reverse the steps are taken from the last to the first; those beyond a length come first and change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.activation import activation_derivative, activation_forward
from gradwell.reference.elementary import quiet, sigmoid, tanh, wide

Array = NDArray[Any]


def _or_zeros(value: ArrayLike | None, *shape: int) -> Array:
    return np.zeros(shape) if value is None else wide(value)


def _valid(x: Array, lengths: ArrayLike | None) -> Array:
    """Return which steps take part: (batch, time)."""
    batch, time = x.shape[:2]
    ends = np.full(batch, time) if lengths is None else np.asarray(lengths)
    return np.asarray(np.arange(time) < ends[:, None])


def _order(time: int, reverse: bool) -> Iterable[int]:
    return range(time - 1, -1, -1) if reverse else range(time)


def _outputs(x: Array, h: Array, states: dict[int, Array], valid: Array) -> Array:
    """Return the states after each step as (batch, time, hidden), 0 where the step takes no part."""
    y = np.zeros((*x.shape[:2], h.shape[1]), h.dtype)
    for t, state in states.items():
        y[:, t] = np.where(valid[:, t, None], state, 0)
    return y


def _lstm_gates(
    x: Array, h: Array, c: Array, weight: Array, recurrent_weight: Array, bias: Array, peephole: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Return what goes into the gates i, f, g, o, and the new cell."""
    i, f, g, o = np.split(x @ weight + h @ recurrent_weight + bias, 4, axis=1)
    i = i + peephole[0] * c
    f = f + peephole[1] * c
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return i, f, g, o + peephole[2] * c, c


@quiet
def lstm_step(
    x: ArrayLike,
    h: ArrayLike,
    c: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    peephole: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Return h, c after one step; x (batch, features), gates i, f, g, o. Gers, Schraudolph and Schmidhuber, 2002."""
    u = wide(recurrent_weight)
    b, p = _or_zeros(bias, u.shape[1]), _or_zeros(peephole, 3, u.shape[0])
    *_, o, c = _lstm_gates(wide(x), wide(h), wide(c), wide(weight), u, b, p)
    return sigmoid(o) * tanh(c), c


@quiet
def lstm_forward(
    x: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
    *,
    peephole: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array, Array]:
    """Return y and the last h, c; x (batch, time, features). Hochreiter and Schmidhuber, 1997."""
    x, hidden = wide(x), np.shape(recurrent_weight)[0]
    valid = _valid(x, lengths)
    h, c = _or_zeros(h0, len(x), hidden), _or_zeros(c0, len(x), hidden)
    states = {}
    for t in _order(x.shape[1], reverse):
        here = valid[:, t, None]
        new_h, new_c = lstm_step(x[:, t], h, c, weight, recurrent_weight, bias, peephole)
        h, c = np.where(here, new_h, h), np.where(here, new_c, c)
        states[t] = h
    return _outputs(x, h, states, valid), h, c


@quiet
def lstm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
    *,
    dh: ArrayLike | None = None,
    dc: ArrayLike | None = None,
    peephole: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array, Array, Array, Array | None, Array, Array]:
    """Return dx, dweight, drecurrent_weight, dbias, dpeephole, dh0, dc0. Werbos, 1990; Graves, 2012, section 4.6."""
    x, w, u = wide(x), wide(weight), wide(recurrent_weight)
    batch, hidden = len(x), len(u)
    b, p = _or_zeros(bias, u.shape[1]), _or_zeros(peephole, 3, hidden)
    h, c = _or_zeros(h0, batch, hidden), _or_zeros(c0, batch, hidden)
    valid, order = _valid(x, lengths), _order(x.shape[1], reverse)
    x, dy = np.where(valid[:, :, None], x, 0), np.where(valid[:, :, None], wide(dy), 0)
    before = {}
    for t in order:
        before[t] = h, c
        new_h, new_c = lstm_step(x[:, t], h, c, w, u, b, p)
        h, c = np.where(valid[:, t, None], new_h, h), np.where(valid[:, t, None], new_c, c)

    dx, dw, du, db, dp = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros_like(b), np.zeros_like(p)
    dh, dc = _or_zeros(dh, batch, hidden), _or_zeros(dc, batch, hidden)
    for t in reversed(list(order)):
        h, c = before[t]
        i, f, g, o, new_c = _lstm_gates(x[:, t], h, c, w, u, b, p)
        here = valid[:, t, None]
        to_h = dh + dy[:, t]
        do = np.where(here, to_h * tanh(new_c) * activation_derivative(o, "sigmoid"), 0)
        to_c = dc + to_h * sigmoid(o) * activation_derivative(new_c, "tanh") + p[2] * do
        di = np.where(here, to_c * tanh(g) * activation_derivative(i, "sigmoid"), 0)
        df = np.where(here, to_c * c * activation_derivative(f, "sigmoid"), 0)
        dg = np.where(here, to_c * sigmoid(i) * activation_derivative(g, "tanh"), 0)
        dz = np.concatenate([di, df, dg, do], axis=1)
        dx[:, t] = dz @ w.T
        dw += x[:, t].T @ dz
        du += h.T @ dz
        db += dz.sum(axis=0)
        dp += [(di * c).sum(axis=0), (df * c).sum(axis=0), (do * new_c).sum(axis=0)]
        dh = np.where(here, dz @ u.T, dh)
        dc = np.where(here, to_c * sigmoid(f) + p[0] * di + p[1] * df, dc)
    return dx, dw, du, db, None if peephole is None else dp, dh, dc


def _gru_gates(
    x: Array, h: Array, w: Array, u: Array, bias: Array, recurrent_bias: Array, reset_after: bool
) -> tuple[Array, Array, Array, Array]:
    """Return what goes into the gates r, z and the candidate n, and what the reset gate multiplies in the latter."""
    hidden = len(u)
    first = x @ w + bias
    r, z = np.split(first[:, : 2 * hidden] + h @ u[:, : 2 * hidden], 2, axis=1)
    u_n = u[:, 2 * hidden :]
    if reset_after:
        inner = h @ u_n + recurrent_bias
        return r, z, first[:, 2 * hidden :] + sigmoid(r) * inner, inner
    return r, z, first[:, 2 * hidden :] + (sigmoid(r) * h) @ u_n, h


@quiet
def gru_step(
    x: ArrayLike,
    h: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    recurrent_bias: ArrayLike | None = None,
    reset_after: bool = True,
) -> Array:
    """Return h after one step; x (batch, features), gates r, z, n. Cho et al., 2014."""
    h, u = wide(h), wide(recurrent_weight)
    b, b_n = _or_zeros(bias, u.shape[1]), _or_zeros(recurrent_bias, len(u))
    _, z, n, _ = _gru_gates(wide(x), h, wide(weight), u, b, b_n, reset_after)
    return np.asarray(sigmoid(-z) * tanh(n) + sigmoid(z) * h)


@quiet
def gru_forward(
    x: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    recurrent_bias: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    *,
    reset_after: bool = True,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """Return y and the last h; x (batch, time, features). Cho et al., 2014."""
    x = wide(x)
    valid = _valid(x, lengths)
    h = _or_zeros(h0, len(x), np.shape(recurrent_weight)[0])
    states = {}
    for t in _order(x.shape[1], reverse):
        new = gru_step(x[:, t], h, weight, recurrent_weight, bias, recurrent_bias, reset_after)
        states[t] = h = np.where(valid[:, t, None], new, h)
    return _outputs(x, h, states, valid), h


@quiet
def gru_backward(
    dy: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    recurrent_bias: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    *,
    dh: ArrayLike | None = None,
    reset_after: bool = True,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array, Array, Array, Array | None, Array]:
    """Return dx, dweight, drecurrent_weight, dbias, drecurrent_bias, dh0. Werbos, 1990; Cho et al., 2014."""
    x, w, u = wide(x), wide(weight), wide(recurrent_weight)
    batch, hidden = len(x), len(u)
    b, b_n = _or_zeros(bias, u.shape[1]), _or_zeros(recurrent_bias, hidden)
    h = _or_zeros(h0, batch, hidden)
    valid, order = _valid(x, lengths), _order(x.shape[1], reverse)
    x, dy = np.where(valid[:, :, None], x, 0), np.where(valid[:, :, None], wide(dy), 0)
    before = {}
    for t in order:
        before[t] = h
        h = np.where(valid[:, t, None], gru_step(x[:, t], h, w, u, b, b_n, reset_after), h)

    dx, dw, du, db, db_n = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros_like(b), np.zeros_like(b_n)
    dh = _or_zeros(dh, batch, hidden)
    gates, candidate = slice(None, 2 * hidden), slice(2 * hidden, None)
    for t in reversed(list(order)):
        h = before[t]
        r, z, n, inner = _gru_gates(x[:, t], h, w, u, b, b_n, reset_after)
        here = valid[:, t, None]
        to_h = dh + dy[:, t]
        dn = np.where(here, to_h * sigmoid(-z) * activation_derivative(n, "tanh"), 0)
        d_z = np.where(here, to_h * (h - tanh(n)) * activation_derivative(z, "sigmoid"), 0)
        reset = sigmoid(r)
        if reset_after:
            d_inner = dn * reset
            dr = dn * inner * activation_derivative(r, "sigmoid")
            through = d_inner @ u[:, candidate].T
            du[:, candidate] += h.T @ d_inner
            db_n += d_inner.sum(axis=0)
        else:
            d_product = dn @ u[:, candidate].T
            dr = d_product * inner * activation_derivative(r, "sigmoid")
            through = d_product * reset
            du[:, candidate] += (reset * h).T @ dn
        d_gates = np.concatenate([dr, d_z], axis=1)
        da = np.concatenate([d_gates, dn], axis=1)
        dx[:, t] = da @ w.T
        dw += x[:, t].T @ da
        du[:, gates] += h.T @ d_gates
        db += da.sum(axis=0)
        dh = np.where(here, to_h * sigmoid(z) + through + d_gates @ u[:, gates].T, dh)
    return dx, dw, du, db, db_n if reset_after else None, dh


@quiet
def rnn_step(
    x: ArrayLike,
    h: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    activation: str = "tanh",
) -> Array:
    """Return h after one step, f(x W + h U + b); x (batch, features). Elman, 1990."""
    u = wide(recurrent_weight)
    return activation_forward(wide(x) @ wide(weight) + wide(h) @ u + _or_zeros(bias, len(u)), activation)


@quiet
def rnn_forward(
    x: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    *,
    activation: str = "tanh",
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """Return y and the last h; x (batch, time, features). Elman, 1990."""
    x = wide(x)
    valid = _valid(x, lengths)
    h = _or_zeros(h0, len(x), np.shape(recurrent_weight)[0])
    states = {}
    for t in _order(x.shape[1], reverse):
        new = rnn_step(x[:, t], h, weight, recurrent_weight, bias, activation)
        states[t] = h = np.where(valid[:, t, None], new, h)
    return _outputs(x, h, states, valid), h


@quiet
def rnn_backward(
    dy: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    recurrent_weight: ArrayLike,
    bias: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    *,
    dh: ArrayLike | None = None,
    activation: str = "tanh",
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array, Array, Array, Array]:
    """Return dx, dweight, drecurrent_weight, dbias, dh0. Werbos, 1990."""
    x, w, u = wide(x), wide(weight), wide(recurrent_weight)
    b, h = _or_zeros(bias, len(u)), _or_zeros(h0, len(x), len(u))
    valid, order = _valid(x, lengths), _order(x.shape[1], reverse)
    x, dy = np.where(valid[:, :, None], x, 0), np.where(valid[:, :, None], wide(dy), 0)
    before = {}
    for t in order:
        before[t] = h
        h = np.where(valid[:, t, None], rnn_step(x[:, t], h, w, u, b, activation), h)

    dx, dw, du, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros_like(b)
    dh = _or_zeros(dh, *h.shape)
    for t in reversed(list(order)):
        h = before[t]
        slope = activation_derivative(x[:, t] @ w + h @ u + b, activation)
        dz = np.where(valid[:, t, None], (dh + dy[:, t]) * slope, 0)
        dx[:, t] = dz @ w.T
        dw += x[:, t].T @ dz
        du += h.T @ dz
        db += dz.sum(axis=0)
        dh = np.where(valid[:, t, None], dz @ u.T, dh)
    return dx, dw, du, db, dh
