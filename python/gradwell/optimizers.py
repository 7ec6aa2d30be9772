"""Rules that turn a gradient into a step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gradwell.checks import check_number
from gradwell.network import Network


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent (Robbins and Monro, 1951).

    p <- (1 - learning_rate weight_decay) p - learning_rate (g + l2 p); the two decays act on weights only.

    Parameters
    ----------
    learning_rate
        Step size, at least 0.
    weight_decay
        Decoupled decay (Loshchilov and Hutter, 2019). Nielsen's L2 with lambda over n samples is lambda / n.
    l2
        Coupled decay: the gradient of l2/2 |W|^2 is added to g.

    Examples
    --------
    >>> SGD(0.1, weight_decay=1e-4)
    SGD(learning_rate=0.1, weight_decay=0.0001, l2=0.0)
    """

    learning_rate: float
    weight_decay: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        for argument, value in asdict(self).items():
            object.__setattr__(self, argument, check_number("SGD", argument, value, lowest=0))

    def update(self, network: Network) -> None:
        """Take one step along the gradients in `network.gradients`, as `network.backward` left them.

        Raises ValueError, and changes nothing, where a gradient is not finite or the step would overflow.
        """
        if not isinstance(network, Network):
            raise TypeError(f"[update] network is of type {type(network).__name__}; needs a gradwell.Network")
        network.program.update(self.learning_rate, self.weight_decay, self.l2, network.flush_denormals)

    def describe(self) -> dict[str, Any]:
        """Return name and settings."""
        return {"name": "sgd", **asdict(self)}
