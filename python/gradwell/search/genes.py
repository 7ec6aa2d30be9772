"""A genetic algorithm on weights: tournaments, crossover, mutation, and the best kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, check_number, check_positive
from gradwell.network import Network
from gradwell.search.judge import Judge, Loss
from gradwell.search.result import SearchResult
from gradwell.search.search import Proposals, Vector, search

CROSSOVERS = ("uniform", "one_point", "none")


def genetic(
    network: Network,
    data: tuple[Any, ...],
    *,
    loss: Loss,
    population: int = 64,
    generations: int = 100,
    scale: float = 1.0,
    elite: int = 2,
    tournament: int = 3,
    crossover: str = "uniform",
    mutation: float = 0.1,
    mutation_rate: float = 0.5,
    target_loss: float | None = None,
    target_accuracy: float | None = None,
    batch_size: int = 1024,
    jobs: int = 1,
    seed: int = 0,
    progress: bool | None = None,
) -> SearchResult:
    """Breed weights: the better of a few drawn at random become parents, children mix them and vary.

    Parameters
    ----------
    network, data, loss, target_loss, target_accuracy, batch_size, jobs, seed, progress
        As in `random_guessing`; the targets are looked at after each generation.
    population
        Candidates of a generation, at least 2.
    generations
        Generations at most, the first included.
    scale
        The first generation is drawn from U[-scale, scale].
    elite
        So many of the best go on unchanged, and are not measured again; fewer than `population`.
    tournament
        A parent is the best of so many drawn at random.
    crossover
        "uniform" takes each weight from either parent, "one_point" those before a random place from one and the rest
        from the other, "none" all from the first.
    mutation, mutation_rate
        Each weight of a child changes with this rate, by N(0, mutation^2).

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
    D. Montana, L. Davis (1989), Training feedforward neural networks using genetic algorithms, IJCAI.

    Examples
    --------
    >>> import gradwell as gw
    >>> xor = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = gw.mlp([2, 4, 2], activation="tanh", seed=0)
    >>> found = gw.search.genetic(net, xor, loss="softmax_cross_entropy", target_accuracy=1.0, seed=1)
    >>> found.network.predict([[0, 1]]).argmax().item()
    1
    """
    check_count("genetic", "population", population, lowest=2)
    for argument, value in (("generations", generations), ("tournament", tournament)):
        check_count("genetic", argument, value)
    for argument, value in (("elite", elite), ("seed", seed)):
        check_count("genetic", argument, value, lowest=0)
    if elite >= population:
        raise ValueError(f"[genetic] elite is {elite} but population is {population}; needs fewer")
    if crossover not in CROSSOVERS:
        raise ValueError(f'[genetic] crossover is "{crossover}"; needs one of {", ".join(CROSSOVERS)}')
    bound = check_positive("genetic", "scale", scale)
    sigma = check_number("genetic", "mutation", mutation, lowest=0)
    rate = check_number("genetic", "mutation_rate", mutation_rate, lowest=0)
    if rate > 1:
        raise ValueError(f"[genetic] mutation_rate is {rate}; needs a number from 0 to 1")

    def propose(judge: Judge) -> Proposals:
        rng = np.random.default_rng(seed)
        people = rng.uniform(-bound, bound, (population, judge.size))
        losses = yield people
        for _ in range(generations - 1):
            order = np.argsort(losses, kind="stable")[:elite]
            children = _children(rng, people, losses, population - elite, tournament, crossover)
            changed = rng.random(children.shape) < rate
            children += changed * rng.normal(0, sigma, children.shape)
            measured = yield children
            people, losses = np.vstack([people[order], children]), np.concatenate([losses[order], measured])
        return None

    return search(
        "genetic",
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


def _children(
    rng: np.random.Generator, people: Vector, losses: Vector, count: int, tournament: int, crossover: str
) -> NDArray[np.float64]:
    """Return children (count, size) of the winners of tournaments, not mutated yet."""
    drawn = rng.integers(len(people), size=(count, 2, tournament))
    winners = np.take_along_axis(drawn, np.argmin(losses[drawn], axis=2)[:, :, None], axis=2)[:, :, 0]
    mothers, fathers = people[winners[:, 0]], people[winners[:, 1]]
    if crossover == "none":
        return mothers
    if crossover == "uniform":
        return np.where(rng.random(mothers.shape) < 0.5, mothers, fathers)
    cut = rng.integers(1, max(2, people.shape[1]), (count, 1))
    return np.where(np.arange(people.shape[1]) < cut, mothers, fathers)
