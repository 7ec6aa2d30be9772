"""Recurrent cells over whole sequences: LSTM, GRU and the plain cell, forward and back through time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.checks import integer_array

Array = NDArray[Any]
Saved = _core.SavedSequences

RNN_ACTIVATIONS = ("tanh", "relu", "sigmoid")


class LSTMGradients(NamedTuple):
    """Gradients of everything an LSTM read; `dx` and `dpeephole` are None where there is none."""

    dx: Array | None
    dweight: Array
    drecurrent_weight: Array
    dbias: Array
    dpeephole: Array | None
    dh0: Array
    dc0: Array


class GRUGradients(NamedTuple):
    """Gradients of everything a GRU read; `drecurrent_bias` is None where the reset gate comes before the product."""

    dx: Array | None
    dweight: Array
    drecurrent_weight: Array
    dbias: Array
    drecurrent_bias: Array | None
    dh0: Array


class RNNGradients(NamedTuple):
    """Gradients of everything a plain recurrent cell read."""

    dx: Array | None
    dweight: Array
    drecurrent_weight: Array
    dbias: Array
    dh0: Array


def lstm_forward(
    x: Array,
    weight: Array,
    recurrent_weight: Array,
    bias: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    peephole: Array | None = None,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Array, Array, Array, Saved]:
    """Return all outputs, the last state and cell, and what `lstm_backward` needs.

    With z = x W + h' U + b, gates i, f, g, o side by side in z, and h', c' the state of the step before:
    i = sigmoid(z_i + p_i c'), f = sigmoid(z_f + p_f c'), g = tanh(z_g), c = f c' + i g, o = sigmoid(z_o + p_o c),
    h = o tanh(c).

    Parameters
    ----------
    x
        Sequences (batch, time, features).
    weight, recurrent_weight, bias
        W (features, 4 hidden), U (hidden, 4 hidden), b (4 hidden,), zeros by default.
    h0, c0
        First states (batch, hidden), zeros by default.
    peephole
        p (3, hidden), for i, f, o.
    lengths
        Steps of each sequence (batch,), 0 to time. Beyond them outputs are exactly 0 and the state stays.
    reverse
        Read every sequence from its last step to its first; y[:, t] is the output where step t was read.

    Returns
    -------
    y, h, c, saved
        Outputs (batch, time, hidden), the last states (batch, hidden); `saved` serves one backward pass.

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes that do not fit, lengths outside 0 to time.

    References
    ----------
    S. Hochreiter, J. Schmidhuber (1997); F. Gers, J. Schmidhuber, F. Cummins (2000), forget gate and peepholes.

    Examples
    --------
    >>> x, w, u = np.ones((1, 3, 2)), np.zeros((2, 4)), np.zeros((1, 4))
    >>> y, h, c, saved = lstm_forward(x, w, u, c0=np.ones((1, 1)))
    >>> y.shape, c.tolist()  # every gate is 1/2, so the cell halves at each step
    ((1, 3, 1), [[0.125]])
    """
    y, h, c, saved = _core.recurrent_forward(
        "lstm",
        x,
        weight,
        recurrent_weight,
        bias,
        None,
        peephole,
        h0,
        c0,
        _counts("lstm_forward", lengths),
        reverse,
        "tanh",
        True,
    )
    return y, h, c, saved


def lstm_backward(
    dy: Array | None, saved: Saved, *, dh: Array | None = None, dc: Array | None = None, need_dx: bool = True
) -> LSTMGradients:
    """Return the gradients of all that `lstm_forward` read, from those of its outputs and of its last states.

    dy (batch, time, hidden), dh and dc (batch, hidden); None stands for zeros. `saved` can be used once.

    Examples
    --------
    >>> y, h, c, saved = lstm_forward(np.ones((1, 3, 2)), np.zeros((2, 4)), np.zeros((1, 4)), c0=np.ones((1, 1)))
    >>> lstm_backward(None, saved, dc=np.ones((1, 1))).dc0.tolist()  # the forget gates' product
    [[0.125]]
    """
    found = _own(saved, "lstm").backward("lstm_backward", dy, dh, dc, need_dx, False)
    dx, dweight, drecurrent, dbias, _, dpeephole, dh0, dc0, _ = found
    return LSTMGradients(dx, dweight, drecurrent, dbias, dpeephole, dh0, dc0)


def gru_forward(
    x: Array,
    weight: Array,
    recurrent_weight: Array,
    bias: Array | None = None,
    recurrent_bias: Array | None = None,
    h0: Array | None = None,
    *,
    reset_after: bool = True,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Array, Array, Saved]:
    """Return all outputs, the last state, and what `gru_backward` needs.

    With gates r, z, n side by side: r = sigmoid(x W_r + h' U_r + b_r), z likewise,
    n = tanh(x W_n + b_n + r (h' U_n + recurrent_bias)), h = (1 - z) n + z h'. With ``reset_after=False`` the reset gate
    comes before the product, n = tanh(x W_n + b_n + (r h') U_n), as first published.

    Parameters
    ----------
    x, weight, recurrent_weight, bias, h0, lengths, reverse
        As in `lstm_forward`, with three gates.
    recurrent_bias
        (hidden,), of the candidate; only with ``reset_after``.
    reset_after
        Where the reset gate stands.

    References
    ----------
    K. Cho et al. (2014), Learning phrase representations using RNN encoder-decoder.

    Examples
    --------
    >>> y, h, saved = gru_forward(np.zeros((1, 2, 1)), np.zeros((1, 3)), np.zeros((1, 3)), h0=np.ones((1, 1)))
    >>> h.tolist()  # z = 1/2 and n = 0
    [[0.25]]
    """
    if recurrent_bias is not None and not reset_after:
        raise ValueError("[gru_forward] recurrent_bias is given but reset_after is False; needs None")
    counts = _counts("gru_forward", lengths)
    y, h, _, saved = _core.recurrent_forward(
        "gru",
        x,
        weight,
        recurrent_weight,
        bias,
        recurrent_bias,
        None,
        h0,
        None,
        counts,
        reverse,
        "tanh",
        reset_after,
    )
    return y, h, saved


def gru_backward(dy: Array | None, saved: Saved, *, dh: Array | None = None, need_dx: bool = True) -> GRUGradients:
    """Return the gradients of all that `gru_forward` read; arguments as in `lstm_backward`."""
    found = _own(saved, "gru").backward("gru_backward", dy, dh, None, need_dx, False)
    dx, dweight, drecurrent, dbias, own, _, dh0, _, _ = found
    return GRUGradients(dx, dweight, drecurrent, dbias, own, dh0)


def rnn_forward(
    x: Array,
    weight: Array,
    recurrent_weight: Array,
    bias: Array | None = None,
    h0: Array | None = None,
    *,
    activation: str = "tanh",
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Array, Array, Saved]:
    """Return all outputs h = f(x W + h' U + b), the last state, and what `rnn_backward` needs.

    Parameters
    ----------
    x, weight, recurrent_weight, bias, h0, lengths, reverse
        As in `lstm_forward`, with one gate.
    activation
        "tanh", "relu" or "sigmoid".

    References
    ----------
    J. Elman (1990), Finding structure in time.

    Examples
    --------
    >>> x, one = np.zeros((1, 2, 1)), np.ones((1, 1))
    >>> y, h, saved = rnn_forward(x, one, 2 * one, h0=one, activation="relu")
    >>> y[0, :, 0].tolist()
    [2.0, 4.0]
    """
    if activation not in RNN_ACTIVATIONS:
        raise ValueError(f'[rnn_forward] activation is "{activation}"; needs one of {", ".join(RNN_ACTIVATIONS)}')
    counts = _counts("rnn_forward", lengths)
    y, h, _, saved = _core.recurrent_forward(
        "rnn", x, weight, recurrent_weight, bias, None, None, h0, None, counts, reverse, activation, True
    )
    return y, h, saved


def rnn_backward(dy: Array | None, saved: Saved, *, dh: Array | None = None, need_dx: bool = True) -> RNNGradients:
    """Return the gradients of all that `rnn_forward` read; arguments as in `lstm_backward`."""
    found = _own(saved, "rnn").backward("rnn_backward", dy, dh, None, need_dx, False)
    dx, dweight, drecurrent, dbias, _, _, dh0, _, _ = found
    return RNNGradients(dx, dweight, drecurrent, dbias, dh0)


def lstm_step(
    x: Array,
    h: Array,
    c: Array,
    weight: Array,
    recurrent_weight: Array,
    bias: Array | None = None,
    peephole: Array | None = None,
) -> tuple[Array, Array]:
    """Return state and cell after one step from x (batch, features), h and c (batch, hidden).

    Examples
    --------
    >>> lstm_step(np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.zeros((1, 4)), np.zeros((1, 4)))[1].tolist()
    [[0.5]]
    """
    _, h, c, _ = lstm_forward(_one("lstm_step", x), weight, recurrent_weight, bias, h, c, peephole=peephole)
    return h, c


def gru_step(
    x: Array,
    h: Array,
    weight: Array,
    recurrent_weight: Array,
    bias: Array | None = None,
    recurrent_bias: Array | None = None,
    reset_after: bool = True,
) -> Array:
    """Return the state after one step from x (batch, features) and h (batch, hidden)."""
    one = _one("gru_step", x)
    return gru_forward(one, weight, recurrent_weight, bias, recurrent_bias, h, reset_after=reset_after)[1]


def rnn_step(
    x: Array, h: Array, weight: Array, recurrent_weight: Array, bias: Array | None = None, activation: str = "tanh"
) -> Array:
    """Return the state after one step from x (batch, features) and h (batch, hidden)."""
    return rnn_forward(_one("rnn_step", x), weight, recurrent_weight, bias, h, activation=activation)[1]


def _one(operation: str, x: Array) -> Array:
    if not isinstance(x, np.ndarray):
        raise TypeError(f"[{operation}] x is of type {type(x).__name__}; needs a NumPy array")
    if x.ndim != 2:
        raise ValueError(f"[{operation}] x has shape {x.shape}; needs 2 dimensions")
    return x[:, None, :]


def _counts(operation: str, lengths: Any) -> Array | None:
    return None if lengths is None else integer_array(operation, "lengths", lengths)


def _own(saved: Any, operation: str) -> Saved:
    if not isinstance(saved, Saved):
        raise TypeError(
            f"[{operation}_backward] saved is of type {type(saved).__name__}; needs what {operation}_forward returned"
        )
    if saved.operation != operation:
        raise ValueError(
            f"[{operation}_backward] saved is of {saved.operation}_forward; needs one of {operation}_forward"
        )
    return saved
