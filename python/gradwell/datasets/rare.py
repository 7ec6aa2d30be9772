"""Long sequences of which few symbols matter, the others being predictable."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gradwell.datasets.arguments import generator, one_of, whole_number

PERIOD = 8  # symbols of the cycle


def rare_symbols(
    count: int, length: int, *, seed: int, variant: Literal["first", "order"] = "first"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw sequences whose class is told by the few symbols that cannot be predicted.

    "first", the task of Schmidhuber with T = `length`, published for T = 20: a sequence is a b1 ... bT or
    x b1 ... bT, each with equal chances, and the class is which of a and x came first. In the paper sequences follow
    one another without a sign between them; here each stands by itself.

    "order", a harder one of our own: `length` steps of an endless cycle of eight symbols, begun anywhere, in which two
    rare symbols stand. The cycle halts for them and goes on afterwards. Both steps are drawn from the first half of
    the sequence, its first step left out; each rare symbol is A or B with equal chances. The classes are AA, AB, BA and
    BB, as in `temporal_order`; the second half holds nothing but the cycle.

    Parameters
    ----------
    count : int
        How many sequences.
    length : int
        T: at least 1 ("first") or 6 ("order").
    seed : int
        At least 0.
    variant : "first" or "order"
        Which task.

    Returns
    -------
    tokens : ndarray of int64, shape (count, steps)
        "first": T + 1 steps; a is 0, x is 1, b1 to bT are 2 to T + 1. "order": T steps; A is 0, B is 1, the cycle
        is 2 to 9.
    y : ndarray of int64, shape (count,)
        The class.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    References
    ----------
    J. Schmidhuber (1992), Learning complex, extended sequences using the principle of history compression,
    Neural Computation 4(2).

    Examples
    --------
    >>> tokens, y = rare_symbols(2, 5, seed=1)
    >>> tokens.tolist(), y.tolist()
    ([[0, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]], [0, 1])
    >>> tokens, y = rare_symbols(1, 14, seed=1, variant="order")
    >>> tokens[0].tolist(), y.tolist()
    ([8, 9, 2, 1, 0, 3, 4, 5, 6, 7, 8, 9, 2, 3], [2])
    """
    one_of("rare_symbols", "variant", variant, ("first", "order"))
    count = whole_number("rare_symbols", "count", count)
    length = whole_number("rare_symbols", "length", length, 1 if variant == "first" else 6)
    rng = generator("rare_symbols", seed)
    if variant == "first":
        y = rng.integers(2, size=count)
        tokens = np.tile(np.arange(1, length + 2), (count, 1))
        tokens[:, 0] = y
        return tokens, y
    rows = np.arange(count)
    first = rng.integers(1, length // 2, count)
    second = rng.integers(1, length // 2 - 1, count)
    second += second >= first  # the step already taken is passed over
    rare = np.zeros((count, length), np.bool_)
    rare[rows, first] = rare[rows, second] = True
    begun = rng.integers(PERIOD, size=(count, 1))
    tokens = 2 + (begun + np.cumsum(~rare, axis=1) - 1) % PERIOD
    kinds = rng.integers(2, size=(count, 2))
    tokens[rows, np.minimum(first, second)] = kinds[:, 0]
    tokens[rows, np.maximum(first, second)] = kinds[:, 1]
    return tokens, 2 * kinds[:, 0] + kinds[:, 1]
