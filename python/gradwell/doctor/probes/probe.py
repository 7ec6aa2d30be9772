"""`probe`: a look at a network beyond its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count
from gradwell.doctor.probes.batches import Agreement, agreement
from gradwell.doctor.probes.curvature import sharpness
from gradwell.doctor.probes.representations import Representations, representations
from gradwell.doctor.probes.shattering import resemblance
from gradwell.facts import blind_loss
from gradwell.network import Network

Array = NDArray[Any]

LOOKED_AT = 512  # samples, for what needs many passes


@dataclass(frozen=True)
class Probe:
    """What a network does with samples, beyond one pass.

    Attributes
    ----------
    agreement
        How gradients of different batches compare; None where there are too few samples.
    representations
        How samples differ behind the layers; None for sequences.
    resemblance
        Mean cosine between gradients of neighbouring inputs; None where that was not worked out.
    sharpness
        Largest eigenvalue of the loss's Hessian; NaN where it is not finite.
    loss, blind
        Mean loss, and that of the best answer that looks at no sample.
    """

    agreement: Agreement | None
    representations: Representations | None
    resemblance: float | None
    sharpness: float
    loss: float
    blind: float | None


def probe(
    network: Network, x: Any, y: Any, *, loss: str, batch_size: int = 32, lengths: Any = None, seed: int = 0
) -> Probe:
    """Look at a network: noise of its gradients, rank of its representations, curvature of its loss.

    Some 80 passes over at most 512 samples. The network's parameters, buffers and training state are as before.

    Parameters
    ----------
    network, x, y, loss, lengths
        As in `gradwell.gradients`.
    batch_size
        Samples of a training step: the noise is that of such batches.
    seed
        Of what is drawn at random.

    Raises
    ------
    TypeError, ValueError
        No network, or samples that do not fit it.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 30, 10], activation="tanh", init="glorot", seed=0)
    >>> found = gw.doctor.probe(net, x, y, loss="softmax_cross_entropy")
    >>> found.agreement.noise_scale < 100, found.resemblance > 0.9, found.sharpness > 0
    (True, True, True)
    """
    if not isinstance(network, Network):
        raise TypeError(f"[probe] network is of type {type(network).__name__}; needs a gradwell.Network")
    check_count("probe", "batch_size", batch_size)
    check_count("probe", "seed", seed, lowest=0)
    features, counts = network.samples("probe", x, lengths)
    targets = network.targets("probe", "y", y, len(features), counts)
    looked_at = network.copy()
    whole = network.evaluate(features, targets, loss=loss, lengths=counts)["loss"]
    some = np.random.default_rng(seed).permutation(len(features))[:LOOKED_AT]
    blind = blind_loss(loss, targets, network.output_shape[-1]) if counts is None else None
    if counts is not None:
        return Probe(None, None, None, float("nan"), whole, blind)
    with np.errstate(all="ignore"):
        return Probe(
            agreement(looked_at, features, targets, loss, batch_size, seed),
            representations(looked_at, features[some]),
            resemblance(looked_at, features[some], seed),
            sharpness(looked_at, features[some], targets[some], loss, seed),
            whole,
            blind,
        )
