"""The loss around a network, along its gradient (Santurkar, Tsipras, Ilyas, Madry, 2018)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_positive
from gradwell.gradients import gradients
from gradwell.network import Network

Array = NDArray[Any]


@dataclass(frozen=True)
class Landscape:
    """What a step of each size along the gradient g finds, from the weights w: see `landscape`.

    Attributes
    ----------
    step_sizes
        eta (steps,).
    loss
        C(w - eta g) (steps,), and `start`, C(w).
    gradient_change
        |g(w) - g(w - eta g)| (steps,).
    gradient_norm
        |g(w)|.
    """

    step_sizes: Array
    start: float
    loss: Array
    gradient_change: Array
    gradient_norm: float

    @property
    def loss_range(self) -> tuple[float, float]:
        """Least and largest loss along the gradient: how far the loss varies."""
        return float(self.loss.min()), float(self.loss.max())

    @property
    def predictiveness(self) -> tuple[float, float]:
        """Least and largest change of the gradient: small where it predicts itself."""
        return float(self.gradient_change.min()), float(self.gradient_change.max())

    @property
    def smoothness(self) -> float:
        """The effective beta: max over eta of |g(w) - g(w - eta g)| / |eta g|."""
        return float((self.gradient_change / (self.step_sizes * self.gradient_norm)).max())

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as lists and numbers, ready for JSON; what is not finite is None."""
        return {
            "step_sizes": self.step_sizes.tolist(),
            "start": self.start,
            "loss": _plain(self.loss),
            "gradient_change": _plain(self.gradient_change),
            "gradient_norm": self.gradient_norm,
            "smoothness": _plain(np.array([self.smoothness]))[0],
        }


def landscape(
    network: Network, x: Any, y: Any, *, loss: str, step_sizes: Sequence[float] = (0.01, 0.03, 0.1, 0.3)
) -> Landscape:
    """Walk from the network's weights along the negative gradient and look at loss and gradient at each distance.

    No weight is changed. Batch normalisation uses the batch, as in training.

    Parameters
    ----------
    network, x, y, loss
        As in `gradients`.
    step_sizes
        Learning rates eta, each above 0.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 10], seed=0)
    >>> around = gw.theory.landscape(net, x[:200], y[:200], loss="softmax_cross_entropy")
    >>> bool(around.loss[1] < around.start), bool(around.smoothness > 0)
    (True, True)
    """
    if not isinstance(step_sizes, Iterable):
        raise TypeError(f"[landscape] step_sizes is of type {type(step_sizes).__name__}; needs a list of numbers")
    sizes = np.array([check_positive("landscape", "step_sizes", size) for size in step_sizes])
    if not len(sizes):
        raise ValueError("[landscape] step_sizes is empty; needs at least one")
    start = gradients(network, x, y, loss=loss)
    gradient = {name: np.array(view, np.float64) for name, view in network.gradients.items()}
    weights = {name: np.array(view) for name, view in network.parameters.items()}
    norm = _norm(gradient)
    if not 0 < norm < np.inf:
        raise ValueError(f"[landscape] the gradient has the norm {norm}; needs one to walk along")
    losses, changes = [], []
    try:
        for size in sizes:
            for name, view in network.parameters.items():
                view[...] = weights[name] - size * gradient[name]
            losses.append(gradients(network, x, y, loss=loss).loss)
            changes.append(_norm({name: gradient[name] - view for name, view in network.gradients.items()}))
    finally:
        for name, view in network.parameters.items():
            view[...] = weights[name]
    return Landscape(sizes, float(start.loss or 0.0), np.array(losses), np.array(changes), norm)


def _plain(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _norm(arrays: dict[str, Array]) -> float:
    return float(np.sqrt(sum((np.asarray(a, np.float64) ** 2).sum() for a in arrays.values())))
