"""Long-memory tasks for recurrent networks, by their published definitions.

All are drawn from `seed`: the same arguments give the same arrays. Steps are counted from 0.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gradwell.datasets.arguments import generator, one_of, whole_number

_NOISE_VARIANCE = 0.2  # of the latch problem
_LATCH_TARGET = 0.8
# Where the intervals of the relevant symbols begin, in hundredths of the length; each is a tenth long.
_RELEVANT = {
    ("pascanu", 2): (10, 50),
    ("pascanu", 3): (10, 30, 60),
    ("hochreiter", 2): (10, 50),
    ("hochreiter", 3): (10, 33, 66),
}


def adding(
    count: int, length: int, *, seed: int, variant: Literal["hochreiter", "arjovsky"] = "hochreiter"
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Draw sequences of the adding problem: add the two values that are marked.

    Each step is a pair of value and marker.

    "hochreiter", experiment 4 of Hochreiter and Schmidhuber with T = `length`: values from U[-1, 1), a
    sequence's length from T to T + T // 10, all equally likely. One of the first ten pairs is marked, its
    value is X1; then one of the first T // 2 - 1 pairs that are still unmarked, its value is X2. The marker
    is 1 at these two, -1 at the first and the last pair, else 0. Where the first pair is a marked one, its
    value is set to 0 and its marker is 1. The target is 0.5 + (X1 + X2) / 4. A sequence is processed
    correctly if the absolute error is below 0.04.

    "arjovsky", the later form (Le et al., with the markers as Arjovsky et al. place them): values from
    U[0, 1), all sequences of T pairs, one marker of 1 in the first T // 2 pairs and one in the others, else 0.
    The target is the sum of both; to predict 1 always has a mean squared error of 1/6.

    Parameters
    ----------
    count : int
        How many sequences.
    length : int
        T: at least 11 ("hochreiter") or 2 ("arjovsky").
    seed : int
        At least 0.
    variant : "hochreiter" or "arjovsky"
        Which definition.

    Returns
    -------
    x : ndarray of float32, shape (count, longest, 2)
        Values and markers; `longest` is T + T // 10 ("hochreiter") or T. Pairs past a sequence's end are 0.
    y : ndarray of float32, shape (count, 1)
        Targets at the last pair.
    lengths : ndarray of int64, shape (count,)
        How many pairs each sequence has.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    References
    ----------
    S. Hochreiter, J. Schmidhuber (1997), Long short-term memory, Neural Computation 9(8), section 5.4.
    Q. V. Le, N. Jaitly, G. E. Hinton (2015), A simple way to initialize recurrent networks of rectified
    linear units, arXiv:1504.00941.
    M. Arjovsky, A. Shah, Y. Bengio (2016), Unitary evolution recurrent neural networks, ICML.

    Examples
    --------
    >>> x, y, lengths = adding(3, 100, seed=0)
    >>> x.shape, y.shape, bool(lengths.min() >= 100)
    ((3, 110, 2), (3, 1), True)
    >>> x, y, _ = adding(3, 100, seed=0, variant="arjovsky")
    >>> bool(np.allclose((x[:, :, 0] * x[:, :, 1]).sum(axis=1), y[:, 0]))
    True
    """
    one_of("adding", "variant", variant, ("hochreiter", "arjovsky"))
    published = variant == "hochreiter"
    count = whole_number("adding", "count", count)
    length = whole_number("adding", "length", length, 11 if published else 2)
    rng = generator("adding", seed)
    longest = length + length // 10 if published else length
    half = length // 2
    rows = np.arange(count)
    x = np.zeros((count, longest, 2), np.float32)
    values, markers = x[:, :, 0], x[:, :, 1]
    values[:] = rng.random((count, longest), np.float32)
    if published:
        lengths = rng.integers(length, longest, count, endpoint=True)
        first = rng.integers(10, size=count)
        second = rng.integers(half - 1, size=count)
        second += second >= first  # the pair already marked is passed over
        values *= 2
        values -= 1
        values[(first == 0) | (second == 0), 0] = 0
        markers[:, 0] = -1
        markers[rows, lengths - 1] = -1
        x[_past_the_end(lengths, longest)] = 0
    else:
        lengths = np.full(count, length, np.int64)
        first = rng.integers(half, size=count)
        second = rng.integers(half, length, count)
    markers[rows, first] = markers[rows, second] = 1
    total = values[rows, first].astype(np.float64) + values[rows, second]
    y = (0.5 + total / 4 if published else total).astype(np.float32)
    return x, y[:, None], lengths


def temporal_order(
    count: int,
    length: int,
    *,
    seed: int,
    symbols: Literal[2, 3] = 2,
    variant: Literal["pascanu", "hochreiter"] = "pascanu",
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Draw sequences of the temporal order problem: tell in which order the relevant symbols came.

    Two or three steps hold one of two relevant symbols, each equally likely; all others one of four
    distractors. The class reads the relevant symbols as a binary number, the earliest first: of two, AA, AB,
    BA and BB are 0, 1, 2 and 3.

    "pascanu", as in the authors' code with T = `length`: the steps of the relevant symbols are drawn from
    [T/10, 2T/10) and [5T/10, 6T/10); of three symbols from [T/10, 2T/10), [3T/10, 4T/10) and [6T/10, 7T/10).

    "hochreiter", experiments 6a (two symbols) and 6b (three), published for T = 100: a sequence's length is
    drawn from T to T + T // 10, its first symbol is E and its last B, and the relevant steps are drawn from
    10 to 20 and 50 to 60; of three symbols from 10 to 20, 33 to 43 and 66 to 76, ends included. Other T
    scale these bounds. The class counts as right if the absolute error of each output is below 0.3.

    Parameters
    ----------
    count : int
        How many sequences.
    length : int
        T, at least 10.
    seed : int
        At least 0.
    symbols : 2 or 3
        How many relevant symbols a sequence holds: 4 or 8 classes.
    variant : "pascanu" or "hochreiter"
        Which definition.

    Returns
    -------
    x : ndarray of float32, shape (count, longest, kinds)
        One-hot. "pascanu": `longest` is T, the 6 kinds are A, B and the distractors c, d, e, f. "hochreiter":
        `longest` is T + T // 10, the 8 kinds are X, Y, the distractors a, b, c, d, and E, B; steps past a
        sequence's end are 0.
    y : ndarray of int64, shape (count,)
        The class.
    lengths : ndarray of int64, shape (count,)
        How many steps each sequence has.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    References
    ----------
    S. Hochreiter, J. Schmidhuber (1997), Long short-term memory, Neural Computation 9(8), section 5.6.
    R. Pascanu, T. Mikolov, Y. Bengio (2013), On the difficulty of training recurrent neural networks, ICML.

    Examples
    --------
    >>> x, y, lengths = temporal_order(4, 50, seed=0)
    >>> x.shape, sorted(set(x.sum(axis=2).ravel().tolist()))
    ((4, 50, 6), [1.0])
    """
    one_of("temporal_order", "variant", variant, ("pascanu", "hochreiter"))
    one_of("temporal_order", "symbols", whole_number("temporal_order", "symbols", symbols), (2, 3))
    published = variant == "hochreiter"
    count = whole_number("temporal_order", "count", count)
    length = whole_number("temporal_order", "length", length, 10)
    rng = generator("temporal_order", seed)
    longest = length + length // 10 if published else length
    kinds = 8 if published else 6
    rows = np.arange(count)
    lengths = rng.integers(length, longest, count, endpoint=True)
    sequences = rng.integers(2, 6, (count, longest))
    if published:
        sequences[:, 0] = 6
        sequences[rows, lengths - 1] = 7
        sequences[_past_the_end(lengths, longest)] = kinds
    y = np.zeros(count, np.int64)
    for begin in _RELEVANT[variant, int(symbols)]:
        steps = begin * length // 100 + rng.integers(length // 10, size=count, endpoint=published)
        relevant = rng.integers(2, size=count)
        sequences[rows, steps] = relevant
        y = 2 * y + relevant
    return np.eye(kinds + 1, kinds, dtype=np.float32)[sequences], y, lengths  # a kind too many is all zeros


def latch(count: int, length: int, *, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw sequences of the latch problem: keep one bit against noise.

    A class, +1 or -1 with equal chances, is told by the first input alone, which is +1 or -1; all others are
    Gaussian noise of mean 0 and variance 0.2. The target at the last step is 0.8 times the class. (In the
    paper the first inputs are parameters, learned along with the one tanh unit.)

    Parameters
    ----------
    count : int
        How many sequences.
    length : int
        Steps in each, at least 2.
    seed : int
        At least 0.

    Returns
    -------
    x : ndarray of float32, shape (count, length, 1)
        Inputs.
    y : ndarray of float32, shape (count, 1)
        Targets, 0.8 or -0.8.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    References
    ----------
    Y. Bengio, P. Simard, P. Frasconi (1994), Learning long-term dependencies with gradient descent is
    difficult, IEEE Transactions on Neural Networks 5(2).

    Examples
    --------
    >>> x, y = latch(100, 20, seed=0)
    >>> bool((np.sign(x[:, 0]) == np.sign(y)).all())
    True
    """
    count = whole_number("latch", "count", count)
    length = whole_number("latch", "length", length, 2)
    rng = generator("latch", seed)
    sign = (2 * rng.integers(2, size=count) - 1).astype(np.float32)
    x = rng.standard_normal((count, length, 1), np.float32)
    x *= np.float32(math.sqrt(_NOISE_VARIANCE))
    x[:, 0, 0] = sign
    return x, np.float32(_LATCH_TARGET) * sign[:, None]


def copy_memory(
    count: int, delay: int, *, seed: int, symbols: int = 8, length: int = 10
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw sequences of the copying memory problem: repeat what was read `delay` steps before.

    The input is `length` symbols drawn from 0 to `symbols` - 1, then ``delay - 1`` blanks, a delimiter, and
    `length` blanks. The target is ``delay + length`` blanks, then the symbols of the input. The blank is the
    token `symbols`, the delimiter ``symbols + 1``.

    Parameters
    ----------
    count : int
        How many sequences.
    delay : int
        T of the paper, at least 1.
    seed : int
        At least 0.
    symbols : int
        How many different symbols, without blank and delimiter.
    length : int
        How many symbols are to be repeated.

    Returns
    -------
    tokens : ndarray of int64, shape (count, delay + 2 * length)
        Inputs, 0 to ``symbols + 1``.
    targets : ndarray of int64, shape (count, delay + 2 * length)
        Which token is right at each step.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    See Also
    --------
    copy_memory_baseline : the cross-entropy of a network without memory.

    References
    ----------
    S. Hochreiter, J. Schmidhuber (1997), Long short-term memory, Neural Computation 9(8).
    M. Arjovsky, A. Shah, Y. Bengio (2016), Unitary evolution recurrent neural networks, ICML.

    Examples
    --------
    >>> tokens, targets = copy_memory(1, 5, seed=1, length=3)
    >>> tokens[0].tolist()
    [3, 4, 6, 8, 8, 8, 8, 9, 8, 8, 8]
    >>> targets[0].tolist()
    [8, 8, 8, 8, 8, 8, 8, 8, 3, 4, 6]
    """
    count = whole_number("copy_memory", "count", count)
    delay, symbols, length = _copy_sizes("copy_memory", delay, symbols, length)
    rng = generator("copy_memory", seed)
    tokens = np.full((count, delay + 2 * length), symbols, np.int64)
    targets = tokens.copy()
    tokens[:, :length] = rng.integers(symbols, size=(count, length))
    tokens[:, delay + length - 1] = symbols + 1
    targets[:, -length:] = tokens[:, :length]
    return tokens, targets


def copy_memory_baseline(delay: int, *, symbols: int = 8, length: int = 10) -> float:
    """Mean cross-entropy of a step, in nats, of a network that remembers nothing in `copy_memory`.

    ``length * ln(symbols) / (delay + 2 * length)``: it knows when to give blanks, and guesses the symbols.

    Parameters
    ----------
    delay, symbols, length : int
        As in `copy_memory`.

    Returns
    -------
    float
        The baseline.

    Raises
    ------
    TypeError, ValueError
        If an argument is not an int of at least 1.

    References
    ----------
    M. Arjovsky, A. Shah, Y. Bengio (2016), Unitary evolution recurrent neural networks, ICML.

    Examples
    --------
    >>> f"{copy_memory_baseline(100):.4f}"
    '0.1733'
    """
    delay, symbols, length = _copy_sizes("copy_memory_baseline", delay, symbols, length)
    return length * math.log(symbols) / (delay + 2 * length)


def _copy_sizes(operation: str, delay: int, symbols: int, length: int) -> tuple[int, int, int]:
    delay = whole_number(operation, "delay", delay)
    return delay, whole_number(operation, "symbols", symbols), whole_number(operation, "length", length)


def _past_the_end(lengths: NDArray[np.int64], longest: int) -> NDArray[np.bool_]:
    """Return which steps of (count, longest) lie behind their sequence."""
    past: NDArray[np.bool_] = np.arange(longest) >= lengths[:, None]
    return past
