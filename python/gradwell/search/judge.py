"""The loss of many weight vectors of one network: each is written over its parameter block, and evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count
from gradwell.losses import check_loss, check_shares, has_accuracy
from gradwell.network import Network

Array = NDArray[Any]
Loss = str | Callable[[Array, Array], float]


class Scores(NamedTuple):
    """What was measured of the first candidates of a list."""

    losses: NDArray[np.float64]
    """(measured,); infinite where the network gave a NaN."""
    accuracies: NDArray[np.float64]
    """(measured,); NaN where accuracy makes no sense."""


class Targets(NamedTuple):
    """Where a search may stop: at this loss or below, and at this accuracy or above."""

    loss: float | None
    accuracy: float | None

    def reached(self, loss: float, accuracy: float) -> bool:
        """Whether all that was set is met."""
        if self.loss is None and self.accuracy is None:
            return False
        return (self.loss is None or loss <= self.loss) and (self.accuracy is None or accuracy >= self.accuracy)


class Judge:
    """A network of its own and the checked data that candidates are measured on.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.mlp([2, 2], seed=0)
    >>> judge = Judge("genetic", net, ([[0, 1], [1, 0]], [0, 1]), "softmax_cross_entropy", 1024)
    >>> judge.measure(np.zeros((1, 6))).losses.round(4).tolist()  # both classes equally likely: ln 2
    [0.6931]
    """

    def __init__(self, operation: str, network: Network, data: Any, loss: Loss, batch_size: int):
        if not isinstance(network, Network):
            raise TypeError(f"[{operation}] network is of type {type(network).__name__}; needs a gradwell.Network")
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError(f"[{operation}] data is {type(data).__name__}; needs (x, y) or (x, y, lengths)")
        check_count(operation, "batch_size", batch_size)
        x, y, lengths = (*data, None)[:3]
        self.features, self.lengths = network.samples(operation, x, lengths)
        if not len(self.features):
            raise ValueError(f"[{operation}] x has no rows; needs at least one")
        if callable(loss):
            self.targets = np.asarray(y)
            if len(self.targets) != len(self.features):
                raise ValueError(f"[{operation}] y has {len(self.targets)} rows but x has {len(self.features)}")
        else:
            check_loss(operation, loss, network.output_shape[-1])
            self.targets = network.targets(operation, "y", y, len(self.features), self.lengths)
            check_shares(operation, "y", loss, self.targets)
        self.loss = loss
        self.counts = not callable(loss) and has_accuracy(loss, self.targets)
        """Whether accuracy makes sense."""
        self.batch_size = batch_size
        self.network = network.copy()
        self._find_block()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the views of memory out: another process finds its own."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_block", "_places")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._find_block()

    def _find_block(self) -> None:
        # Parameters lie in one block with gaps between them; one copy of the whole is twice as fast as one for each.
        views = list(self.network.parameters.values())
        item = views[0].itemsize
        places = [(view.ctypes.data - views[0].ctypes.data) // item for view in views]
        self._places = np.concatenate([start + np.arange(v.size) for start, v in zip(places, views, strict=True)])
        length = int(self._places.max()) + 1
        self._block = np.lib.stride_tricks.as_strided(views[0].reshape(-1), (length,), (item,))

    @property
    def size(self) -> int:
        """Number of weights of a candidate."""
        return len(self._places)

    def weights(self) -> NDArray[np.float64]:
        """Return the network's weights as a candidate (size,), one parameter after the other."""
        weights: NDArray[np.float64] = self._block[self._places].astype(np.float64)
        return weights

    def put(self, candidate: Array) -> None:
        """Write a candidate (size,) into the network."""
        self._block[self._places] = candidate

    def measure(self, candidates: Array, targets: Targets | None = None) -> Scores:
        """Return the scores of candidates (count, size); with `targets`, up to the first that reaches them."""
        with np.errstate(over="ignore"):
            rows = np.zeros((len(candidates), len(self._block)), self.network.dtype)
            rows[:, self._places] = candidates
        losses, accuracies = np.full(len(rows), np.inf), np.full(len(rows), np.nan)
        block, one = self._block, self._by_function if callable(self.loss) else self._by_name
        for i, row in enumerate(rows):
            block[...] = row
            loss, accuracies[i] = one()
            losses[i] = np.inf if math.isnan(loss) else loss
            if targets is not None and targets.reached(losses[i], accuracies[i]):
                return Scores(losses[: i + 1], accuracies[: i + 1])
        return Scores(losses, accuracies)

    def _by_name(self) -> tuple[float, float]:
        flush = self.network.flush_denormals
        loss, correct, seen = self.network.program.evaluate(
            self.features, self.targets, self.lengths, self.loss, self.batch_size, flush
        )
        return loss, correct / max(seen, 1) if self.counts else np.nan

    def _by_function(self) -> tuple[float, float]:
        flush = self.network.flush_denormals
        outputs = self.network.program.predict(self.features, self.lengths, self.batch_size, flush)
        outputs = outputs.reshape(len(outputs), *self.network.output_shape)
        return float(self.loss(outputs, self.targets)), np.nan  # type: ignore[operator]
