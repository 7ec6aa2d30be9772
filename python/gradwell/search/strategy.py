"""An evolution strategy: the mean of a normal distribution follows what its samples say of the slope."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwell.checks import check_count, check_positive
from gradwell.network import Network
from gradwell.search.judge import Judge, Loss
from gradwell.search.result import SearchResult
from gradwell.search.search import Proposals, Vector, search


def evolution_strategy(
    network: Network,
    data: tuple[Any, ...],
    *,
    loss: Loss,
    population: int = 64,
    generations: int = 300,
    sigma: float = 0.1,
    learning_rate: float = 0.1,
    target_loss: float | None = None,
    target_accuracy: float | None = None,
    batch_size: int = 1024,
    jobs: int = 1,
    seed: int = 0,
    progress: bool | None = None,
) -> SearchResult:
    """Start at the network's own weights and step along the slope that samples around them show.

    w <- w - learning_rate / (n sigma) * sum_i u_i e_i over n candidates w + sigma e_i that come in pairs e and -e; u_i
    is the rank of a candidate's loss, scaled to [-1/2, 1/2], so only the order of losses matters.

    Parameters
    ----------
    network, data, loss, target_loss, target_accuracy, batch_size, jobs, seed, progress
        As in `random_guessing`; the targets are looked at after each generation.
    population
        Candidates around the mean, an even number; the mean is measured too.
    generations
        Generations at most.
    sigma
        Standard deviation of the candidates.
    learning_rate
        Length of a step, as above.

    Returns
    -------
    SearchResult
        The best network and the way to it. On Ctrl-C, the best so far.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above.

    References
    ----------
    T. Salimans, J. Ho, X. Chen, S. Sidor, I. Sutskever (2017), Evolution strategies as a scalable alternative to
    reinforcement learning, arXiv:1703.03864.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 10], seed=0)
    >>> found = gw.search.evolution_strategy(
    ...     net, (x[:300], y[:300]), loss="softmax_cross_entropy", target_accuracy=0.8
    ... )
    >>> found.reached
    True
    """
    check_count("evolution_strategy", "population", population, lowest=2)
    if population % 2:
        raise ValueError(f"[evolution_strategy] population is {population}; needs an even number")
    check_count("evolution_strategy", "generations", generations)
    check_count("evolution_strategy", "seed", seed, lowest=0)
    width = check_positive("evolution_strategy", "sigma", sigma)
    rate = check_positive("evolution_strategy", "learning_rate", learning_rate)

    def propose(judge: Judge) -> Proposals:
        rng = np.random.default_rng(seed)
        mean = judge.weights()
        for _ in range(generations):
            half = rng.standard_normal((population // 2, judge.size))
            noise = np.concatenate([half, -half])
            losses = yield np.vstack([mean, mean + width * noise])
            mean = mean - rate / (population * width) * (shaped(losses[1:]) @ noise)
        return None

    return search(
        "evolution_strategy",
        network,
        data,
        loss,
        propose,
        generations=generations,
        target_loss=target_loss,
        target_accuracy=target_accuracy,
        batch_size=batch_size,
        jobs=jobs,
        progress=progress,
    )


def shaped(losses: Vector) -> Vector:
    """Return the ranks of losses, from -1/2 for the least to 1/2; equal losses share the mean of their ranks.

    Examples
    --------
    >>> shaped(np.array([3.0, 1.0, 1.0])).tolist()
    [0.5, -0.25, -0.25]
    """
    _, group, sizes = np.unique(losses, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    ranks: Vector = (ends - (sizes + 1) / 2)[group]
    return ranks / (len(losses) - 1) - 0.5
