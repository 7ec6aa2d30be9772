"""What a recurrent weight lets one expect of the gradient through time, before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, real_array
from gradwell.layers import RNN, walk
from gradwell.network import Network

Array = NDArray[np.float64]

STEEPEST = {"sigmoid": 0.25, "tanh": 1.0, "relu": 1.0}


@dataclass(frozen=True)
class RecurrentBound:
    """Singular values and spectral radius of a recurrent weight U, and what follows from them for the gradient.

    One step multiplies a gradient by diag(f') U^T, so that over k steps its norm grows by at most `bound` ** k, with
    bound = sup|f'| * (largest singular value). Below 1 the gradient must vanish, whatever the inputs: for tanh that is
    a largest singular value below 1, for the logistic function below 4 (Pascanu, Mikolov and Bengio, 2013). Above 1 it
    may grow, and need not.

    The spectral radius alone bounds nothing over a finite number of steps: U^k shrinks like radius^k only as k goes to
    infinity, and a weight that is not normal can make a gradient grow for a long time first. [[0.9, 10], [0, 0.9]] has
    radius 0.9, yet its first step can multiply by 10.1. `henrici`, the distance from being normal, is 0 where the two
    agree.
    """

    weight: Array
    activation: str
    singular_values: Array
    spectral_radius: float
    henrici: float

    @property
    def bound(self) -> float:
        """Largest factor by which a step can multiply the norm of a gradient."""
        return float(STEEPEST[self.activation] * self.singular_values[0]) if len(self.singular_values) else 0.0

    @property
    def must_vanish(self) -> bool:
        """Whether every gradient shrinks at every step."""
        return self.bound < 1

    def growth(self, steps: int) -> Array:
        """Return the largest growth over 1, 2, ... `steps` steps of a linear cell, sup|f'|^k |U^k| (steps,)."""
        check_count("recurrent_bound", "steps", steps)
        power, sizes = np.eye(len(self.weight)), np.full(steps, np.inf)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            for k in range(steps):
                power = STEEPEST[self.activation] * (power @ self.weight)
                if not np.isfinite(power).all():
                    break
                sizes[k] = np.linalg.norm(power, 2)
        return sizes


def recurrent_bound(weight: Any, activation: str = "tanh") -> RecurrentBound:
    """Return the bound that a recurrent weight (hidden, hidden) sets, or that of a `Network`'s first plain cell.

    Raises
    ------
    ValueError
        A weight that is not square, an unknown activation, a network without an `RNN`.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio (2013), On the difficulty of training recurrent neural networks; P. Henrici
    (1962), on the distance of a matrix from being normal.

    Examples
    --------
    >>> found = recurrent_bound([[0.9, 10.0], [0.0, 0.9]])
    >>> round(found.spectral_radius, 3), round(found.bound, 2), found.must_vanish
    (0.9, 10.08, False)
    >>> bool(found.growth(50).max() > 38), bool(found.growth(200)[-1] < 1e-5)  # first it grows, in the end it vanishes
    (True, True)
    """
    if isinstance(weight, Network):
        weight, activation = _of_network(weight)
    if activation not in STEEPEST:
        raise ValueError(f'[recurrent_bound] activation is "{activation}"; needs one of {", ".join(STEEPEST)}')
    matrix = real_array("recurrent_bound", "weight", weight).astype(np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"[recurrent_bound] weight has shape {matrix.shape}; needs (hidden, hidden)")
    values = np.asarray(np.linalg.svd(matrix, compute_uv=False), np.float64)
    eigenvalues = np.linalg.eigvals(matrix)
    radius = float(np.abs(eigenvalues).max()) if len(values) else 0.0
    apart = float(np.sqrt(max((values**2).sum() - (np.abs(eigenvalues) ** 2).sum(), 0.0)))
    return RecurrentBound(matrix, activation, values, radius, apart)


def _of_network(network: Network) -> tuple[Array, str]:
    for name, layer, _ in walk(network.layers):
        if isinstance(layer, RNN):
            return network.parameters[f"{name}.recurrent_weight"], layer.activation
    raise ValueError("[recurrent_bound] the network has no RNN; needs one, or give a weight")
