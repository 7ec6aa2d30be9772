"""Search without gradients: weights are guessed, bred or drawn around a mean, and only the forward pass is run.

Each search takes a network for its shape, leaves it as it is, and returns a `SearchResult` with a network that holds
the best weights found. What they need of a loss is a number: it may be a function of one's own.
"""

from gradwell.search.covariance import cma_es
from gradwell.search.genes import genetic
from gradwell.search.guessing import random_guessing
from gradwell.search.result import SearchResult
from gradwell.search.strategy import evolution_strategy

__all__ = ["SearchResult", "cma_es", "evolution_strategy", "genetic", "random_guessing"]
