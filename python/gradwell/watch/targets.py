"""Targets of a watched training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Targets:
    """Counts classes, and says what the loss of an answer is that looks at no sample: the entropy of their shares.

    Examples
    --------
    >>> targets = Targets()
    >>> targets.add(np.array([0, 1, 2, 3]))
    >>> round(targets.blind, 4)
    1.3863
    """

    def __init__(self) -> None:
        self._counts: Array = np.zeros(0, np.int64)

    def add(self, targets: Any) -> None:
        """Take in class numbers; negative ones are left out, and so are targets that are no whole numbers."""
        values = np.asarray(targets.detach().cpu() if hasattr(targets, "detach") else targets)
        if values.dtype.kind not in "iu":
            return
        counts = np.bincount(values[values >= 0].reshape(-1), minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    @property
    def blind(self) -> float | None:
        """The loss of shares, in nats; None where no class was seen."""
        shares = self._counts[self._counts > 0] / max(self._counts.sum(), 1)
        return float(-(shares * np.log(shares)).sum()) if len(shares) else None
