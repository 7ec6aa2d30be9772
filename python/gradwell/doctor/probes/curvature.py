"""How sharply does the loss bend? The largest eigenvalue of its Hessian, by Hessian-vector products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.doctor.probes.batches import gradients_of
from gradwell.network import Network

Array = NDArray[Any]

PRODUCTS = 40
ENOUGH = 0.002  # relative change of the estimate at which the iteration ends
STEP = {"float32": 3e-3, "float64": 1e-5}  # of a difference, as a share of the parameters' norm


def sharpness(network: Network, x: Array, y: Array, loss: str, seed: int) -> float:
    """Return the eigenvalue of largest magnitude of the Hessian of the mean loss, by power iteration.

    A product is a central difference of gradients, (g(w + e v) - g(w - e v)) / 2e: exact to O(e^2), with the float
    format's rounding over e. The parameters are as they were afterwards, to the last bit.
    """
    kept = {name: np.array(values) for name, values in network.parameters.items()}
    norm = float(np.sqrt(sum(float((values.astype(np.float64) ** 2).sum()) for values in kept.values())))
    step = STEP[network.dtype] * max(norm, 1e-3)
    rng = np.random.default_rng(seed)
    v = _unit({name: rng.normal(size=values.size) for name, values in kept.items()})
    found = float("nan")
    try:
        for _ in range(PRODUCTS):
            ahead = _gradient_at(network, kept, v, step, (x, y, loss, seed))
            behind = _gradient_at(network, kept, v, -step, (x, y, loss, seed))
            product = {name: (ahead[name] - behind[name]) / (2 * step) for name in v}
            before, found = found, float(sum(v[name] @ product[name] for name in v))
            if not np.isfinite(found) or not any(values.any() for values in product.values()):
                break
            v = _unit(product)
            if abs(found - before) <= ENOUGH * abs(found):
                break
    finally:
        for name, values in network.parameters.items():
            values[...] = kept[name]
    return found


def _gradient_at(
    network: Network, kept: Mapping[str, Array], v: Mapping[str, Array], step: float, batch: tuple[Any, ...]
) -> dict[str, Array]:
    x, y, loss, seed = batch
    for name, values in network.parameters.items():
        values[...] = kept[name] + step * v[name].reshape(values.shape)
    return dict(gradients_of(network, x, y, loss, seed))


def _unit(v: Mapping[str, Array]) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        norm = np.sqrt(sum(float(values @ values) for values in v.values()))
        return {name: values / norm for name, values in v.items()}
