"""Dropout as a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradwell.checks import check_share
from gradwell.layers.layer import Layer


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training each value is 0 with probability `rate`, else divided by 1 - rate (Srivastava et al., 2014).

    Which values, depends on the fit's seed, the step, the layer and the place in the batch alone: the same at any
    thread count and after a resume. In inference it does nothing.

    Examples
    --------
    >>> Dropout(0.5)
    Dropout(rate=0.5)
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rate", check_share("Dropout", "rate", self.rate))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        return {**super().describe(), "rate": self.rate}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [{"kind": "dropout", "name": name, "rate": self.rate}]
