"""One backward pass and its record, without training."""

from __future__ import annotations

from typing import Any

from gradwell.checks import check_count, check_flag
from gradwell.losses import check_loss, check_shares
from gradwell.network import Network
from gradwell.statistics import GradientRecord


def gradients(
    network: Network, x: Any, y: Any, *, loss: str, training: bool = True, seed: int = 0, lengths: Any = None
) -> GradientRecord:
    """Return the gradient record of one forward and one backward pass over all samples as one batch.

    No weight changes; `network.gradients` holds the gradients afterwards.

    Parameters
    ----------
    network
        The network.
    x, y
        Samples and targets, as in `fit`.
    loss
        Name of the loss, as in `fit`.
    training
        Batch normalisation uses the batch's moments, without moving its running ones, and dropout drops, drawn from
        `seed`; False takes both as in `predict`.
    seed
        Of dropout.
    lengths
        Of sequences (batch,); None takes all as whole. Stateful layers begin from zero states here and keep none.

    Raises
    ------
    ValueError, TypeError
        Samples or targets that do not fit the network.

    Examples
    --------
    >>> import gradwell as gw
    >>> record = gw.gradients(gw.mlp([4, 3, 2], seed=0), np.ones((5, 4)), np.zeros(5, int), loss="quadratic")
    >>> len(record), record.kinds
    (1, ('error', 'weight', 'bias', 'activation'))
    """
    operation = "gradients"
    if not isinstance(network, Network):
        raise TypeError(f"[{operation}] network is of type {type(network).__name__}; needs a gradwell.Network")
    check_loss(operation, loss, network.output_shape[-1])
    features, counts = network.samples(operation, x, lengths)
    if not len(features):
        raise ValueError(f"[{operation}] x has no rows; needs at least one")
    targets = network.targets(operation, "y", y, len(features), counts)
    check_shares(operation, "y", loss, targets)
    check_count(operation, "seed", seed, lowest=0)
    training = check_flag(operation, "training", training)
    result = network.program.record_gradients(features, targets, counts, loss, training, seed, network.flush_denormals)
    record = GradientRecord.of(network)
    record.loss = result.pop("loss")
    result.pop("correct")
    record.append(result)
    return record
