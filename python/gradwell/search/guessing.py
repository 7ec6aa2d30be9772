"""Weights guessed at random until some of them do."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwell.checks import check_count, check_positive
from gradwell.network import Network
from gradwell.search.judge import Judge, Loss
from gradwell.search.result import SearchResult
from gradwell.search.search import Proposals, search

_BLOCK = 1024  # candidates drawn at a time, fewer where they are large
_NUMBERS = 2**22


def random_guessing(
    network: Network,
    data: tuple[Any, ...],
    *,
    loss: Loss,
    trials: int = 10_000,
    scale: float = 10.0,
    target_loss: float | None = None,
    target_accuracy: float | None = None,
    batch_size: int = 1024,
    jobs: int = 1,
    seed: int = 0,
    progress: bool | None = None,
) -> SearchResult:
    """Draw all weights from U[-scale, scale] again and again, and keep the best.

    The test of a benchmark's difficulty: some tasks said to need long memory are solved by a handful of guesses.

    Parameters
    ----------
    network
        The network, for its shape; it is left as it is.
    data
        (x, y), or (x, y, lengths) for sequences, as in `fit`.
    loss
        A loss of `fit`, or a function of (outputs, y) that returns a number; for several processes, one they can
        import.
    trials
        Candidates at most.
    scale
        Bound of the weights.
    target_loss, target_accuracy
        Stop at the first candidate that is at least as good as what is set.
    batch_size
        Rows that go through the network at a time.
    jobs
        Processes, one thread each; the result does not depend on their number.
    seed
        Seed of all candidates.
    progress
        True shows a bar, False none, None one if stderr is a terminal.

    Returns
    -------
    SearchResult
        The best network and the way to it; `evaluations` counts up to the first candidate that reached the target.
        On Ctrl-C, the best so far.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above.

    References
    ----------
    J. Schmidhuber, S. Hochreiter, Y. Bengio (2001), Evaluating benchmark problems by random guessing.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.latch(50, 100, seed=0)
    >>> one_unit = gw.Network([gw.RNN(1)], input_shape=(100, 1), seed=0)
    >>> found = gw.search.random_guessing(one_unit, (x, np.sign(y)), loss="mean_squared_error", target_loss=0.01)
    >>> found.reached, found.evaluations < 1000
    (True, True)
    """
    check_count("random_guessing", "trials", trials)
    check_count("random_guessing", "seed", seed, lowest=0)
    bound = check_positive("random_guessing", "scale", scale)

    def propose(judge: Judge) -> Proposals:
        rng = np.random.default_rng(seed)
        left, block = trials, _block(judge.size)
        while left:
            yield rng.uniform(-bound, bound, (min(block, left), judge.size))
            left -= min(block, left)
        return None

    return search(
        "random_guessing",
        network,
        data,
        loss,
        propose,
        generations=-(-trials // _block(network.size)) if isinstance(network, Network) else 1,
        target_loss=target_loss,
        target_accuracy=target_accuracy,
        batch_size=batch_size,
        jobs=jobs,
        progress=progress,
        first_only=True,
    )


def _block(size: int) -> int:
    return max(1, min(_BLOCK, _NUMBERS // size))
