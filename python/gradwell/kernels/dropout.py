"""Dropout."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradwell import _core
from gradwell.checks import check_count

Array = NDArray[Any]


def dropout_forward(x: Array, rate: float, *, seed: int, step: int = 0, layer: int = 0) -> tuple[Array, Array]:
    """Return y = x m and the mask m: 0 with probability `rate`, else 1 / (1 - rate) (Srivastava et al., 2014).

    The mask depends on (seed, step, layer) and the element's place alone, by the counter-based generator Philox
    4x32-10 (Salmon et al., 2011); dx = dy m.

    Parameters
    ----------
    x
        Samples (batch, columns).
    rate
        From 0 to below 1.
    seed, step, layer
        Whole numbers of up to 62, 48 and 32 bits.

    Examples
    --------
    >>> y, mask = dropout_forward(np.ones((1, 8)), 0.5, seed=0)
    >>> sorted(set(mask.ravel().tolist()))
    [0.0, 2.0]
    """
    for name, value, bits in (("seed", seed, 62), ("step", step, 48), ("layer", layer, 32)):
        check_count("dropout_forward", name, value, lowest=0)
        if value >= 2**bits:
            raise ValueError(f"[dropout_forward] {name} is {value}; needs less than 2**{bits}")
    return _core.dropout_forward(x, rate, seed, step, layer)
