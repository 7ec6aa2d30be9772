"""Rules that turn a gradient into a step."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from gradwell.network import Network


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent (Robbins and Monro, 1951).

    p <- (1 - learning_rate weight_decay) p - learning_rate (g + l2 p), where the two decays act on weights only.

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
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"[SGD] {argument} is of type {type(value).__name__}; needs a number")
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"[SGD] {argument} is {value}; needs a finite number of at least 0")

    def update(self, network: Network) -> None:
        """Take one step along the gradients in `network.gradients`, as `network.backward` left them.

        Raises ValueError, and changes nothing, where a gradient is not finite or the step would overflow.
        """
        network.program.update(self.learning_rate, self.weight_decay, self.l2, network.flush_denormals)

    def describe(self) -> dict[str, Any]:
        """Return name and settings."""
        return {"name": "sgd", **asdict(self)}
