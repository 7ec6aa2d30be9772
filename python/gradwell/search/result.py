"""What a search found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.network import Network


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The best weights of a search, and how it came to them.

    Attributes
    ----------
    method
        Name of the search.
    network
        A network with the best weights, ready for use; the one that was given is as it was.
    loss, accuracy
        Of these weights on the data searched with; accuracy is None where it makes no sense.
    evaluations
        Candidates measured: passes over the data.
    curve
        Best loss so far after each generation (generations,); `at` says after how many evaluations.
    at
        Evaluations by the end of each generation (generations,).
    reached
        Whether the target was reached.
    stopped
        Why the search ended: "target reached", "finished", "interrupted", or what the method said.
    seconds
        Duration.
    """

    method: str
    network: Network
    loss: float
    accuracy: float | None
    evaluations: int
    curve: NDArray[np.float64]
    at: NDArray[np.int64]
    reached: bool
    stopped: str
    seconds: float

    @property
    def evaluations_per_second(self) -> float:
        """Candidates measured in a second, drawing included."""
        return self.evaluations / max(self.seconds, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the network, ready for JSON; an infinite loss is None."""
        return {
            "method": self.method,
            "loss": self.loss if np.isfinite(self.loss) else None,
            "accuracy": self.accuracy,
            "evaluations": self.evaluations,
            "evaluations_per_second": self.evaluations_per_second,
            "curve": [value if np.isfinite(value) else None for value in self.curve.tolist()],
            "at": self.at.tolist(),
            "reached": self.reached,
            "stopped": self.stopped,
            "seconds": self.seconds,
        }

    def plot(self, axes: Any = None) -> Any:
        """Draw the best loss by evaluations; returns the matplotlib axes.

        Needs ``pip install "gradwell[plot]"``.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise ImportError('plots need matplotlib: pip install "gradwell[plot]"') from None
        if axes is None:
            axes = plt.subplots(figsize=(6, 4), layout="constrained")[1]
        axes.step(self.at, self.curve, where="post", label=self.method)
        axes.set(xlabel="evaluations", ylabel="best loss")
        return axes

    def __repr__(self) -> str:
        right = "" if self.accuracy is None else f", accuracy {self.accuracy:.1%}"
        return (
            f"<SearchResult of {self.method}: loss {self.loss:.4g}{right} after {self.evaluations:,} evaluations, "
            f"{self.evaluations_per_second:,.0f} a second; {self.stopped}>"
        )
