"""CMA-ES: a normal distribution that learns its own covariance, by the package `cma`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from gradwell.checks import check_count, check_flag, check_positive
from gradwell.network import Network
from gradwell.search.judge import Judge, Loss
from gradwell.search.result import SearchResult
from gradwell.search.search import Proposals, search

_FULL = 2000  # weights up to which a full covariance is kept: beyond, its decompositions take longer than the network


def cma_es(
    network: Network,
    data: tuple[Any, ...],
    *,
    loss: Loss,
    population: int | None = None,
    generations: int = 300,
    sigma: float = 0.5,
    diagonal: bool | None = None,
    target_loss: float | None = None,
    target_accuracy: float | None = None,
    batch_size: int = 1024,
    jobs: int = 1,
    seed: int = 0,
    progress: bool | None = None,
) -> SearchResult:
    """Start at the network's own weights and adapt mean, width and covariance of what is drawn (Hansen, 2001).

    Needs ``pip install "gradwell[search]"``.

    Parameters
    ----------
    network, data, loss, target_loss, target_accuracy, batch_size, jobs, seed, progress
        As in `random_guessing`; the targets are looked at after each generation.
    population
        Candidates of a generation, at least 2; by default 4 + 3 ln(weights).
    generations
        Generations at most; the method ends sooner where its distribution has collapsed, and says so.
    sigma
        Standard deviation of the first candidates.
    diagonal
        Keep variances only; by default from 2,000 weights on, whose covariance would be costly.

    Returns
    -------
    SearchResult
        The best network and the way to it. On Ctrl-C, the best so far.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above.
    ImportError
        Without the package `cma`.

    Examples
    --------
    >>> import gradwell as gw
    >>> xor = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = gw.mlp([2, 4, 2], activation="tanh", seed=0)
    >>> found = gw.search.cma_es(net, xor, loss="softmax_cross_entropy", target_loss=0.01)  # doctest: +SKIP
    """
    if population is not None:
        check_count("cma_es", "population", population, lowest=2)
    check_count("cma_es", "generations", generations)
    check_count("cma_es", "seed", seed, lowest=0)
    width = check_positive("cma_es", "sigma", sigma)
    if diagonal is not None:
        check_flag("cma_es", "diagonal", diagonal)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of optional packages it does not find
            import cma
    except ImportError:
        raise ImportError('cma_es needs cma: pip install "gradwell[search]"') from None

    def propose(judge: Judge) -> Proposals:
        variances = judge.size >= _FULL if diagonal is None else diagonal
        options: dict[str, Any] = {"seed": np.nan, "verbose": -9, "CMA_diagonal": bool(variances)}
        rng = np.random.default_rng(seed)
        options["randn"] = lambda *shape: rng.standard_normal(shape)
        if population is not None:
            options["popsize"] = population
        strategy = cma.CMAEvolutionStrategy(judge.weights(), width, options)
        for _ in range(generations):
            if strategy.stop():
                return "ended by cma: " + ", ".join(strategy.stop())
            candidates = strategy.ask()
            losses = yield np.array(candidates)
            # An infinite loss says nothing of how bad: the worst finite one stands for it.
            finite = losses[np.isfinite(losses)]
            worst = float(finite.max()) if finite.size else 0.0
            strategy.tell(candidates, np.where(np.isfinite(losses), losses, worst).tolist())
        return None

    return search(
        "cma_es",
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
