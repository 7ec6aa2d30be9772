"""Numbers as a sentence wants them."""

from __future__ import annotations

import math


def told(value: float) -> str:
    """Return a number to three digits, as one reads it.

    Examples
    --------
    >>> told(2653.4), told(0.0361), told(4.5e12), told(1e-7), told(float("inf"))
    ('2,650', '0.0361', '4.5 · 10^12', '1 · 10^-7', 'infinitely many')
    """
    if math.isinf(value):
        return "infinitely many"
    if value == 0 or math.isnan(value):
        return f"{value:.3g}"
    if 1e-4 <= abs(value) < 1e6:
        rounded = float(f"{value:.3g}")
        return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):.3g} · 10^{int(exponent)}"
