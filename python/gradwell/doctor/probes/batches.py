"""Do gradients of different batches agree? Signal and noise, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.gradients import gradients
from gradwell.network import Network

Array = NDArray[Any]

BATCHES = 8


class Agreement(NamedTuple):
    """How gradients of `BATCHES` batches of `batch_size` samples compare.

    With G_k the gradient of batch k, E|G_k|^2 = |G|^2 + tr(S) / B for batches of B samples (McCandlish et al., 2018).
    """

    batch_size: int
    cosine: dict[str, float]
    """By parameter, the mean cosine between gradients of two batches; NaN where they are 0."""
    noise_scale: float
    """tr(S) / |G|^2 in samples: batches much smaller than that give mostly noise; infinite where no signal is left."""

    @property
    def signal_to_noise(self) -> float:
        """|G|^2 over the variance of a batch's gradient."""
        return self.batch_size / self.noise_scale if self.noise_scale > 0 else float("inf")


def agreement(network: Network, x: Array, y: Array, loss: str, batch_size: int, seed: int) -> Agreement | None:
    """Compare gradients of batches drawn without replacement; None where there are too few samples for two."""
    count = min(BATCHES, len(x) // batch_size)
    if count < 2:
        return None
    order = np.random.default_rng(seed).permutation(len(x))[: count * batch_size].reshape(count, batch_size)
    found: dict[str, list[Array]] = {}
    for rows in order:
        for name, gradient in gradients_of(network, x[rows], y[rows], loss, seed):
            found.setdefault(name, []).append(gradient)
    cosine, signal, noise = {}, 0.0, 0.0
    with np.errstate(all="ignore"):
        for name, each in found.items():
            products = np.array([[float(a @ b) for b in each] for a in each])
            norms = np.sqrt(np.diag(products))
            apart = ~np.eye(count, dtype=bool)
            cosine[name] = float(np.mean((products / np.outer(norms, norms))[apart]))
            signal += float(np.mean(products[apart]))  # unbiased: noise of different batches is independent
            noise += float(np.mean(np.diag(products)) - np.mean(products[apart]))
    scale = batch_size * max(noise, 0.0) / signal if signal > 0 else float("inf") if noise > 0 else float("nan")
    return Agreement(batch_size, cosine, scale)


def gradients_of(network: Network, x: Array, y: Array, loss: str, seed: int) -> Iterator[tuple[str, Array]]:
    """Yield each parameter's name and its gradient (elements,) in float64 for a batch."""
    gradients(network, x, y, loss=loss, seed=seed)
    for name, gradient in network.gradients.items():
        yield name, gradient.astype(np.float64).ravel()
