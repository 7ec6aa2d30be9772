"""Scales of figures in the page: colours safe for colour-blind readers, and where axes have ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Anchors of viridis (van der Walt and Smith, 2015), without its darkest tenth: black stays free for an exact 0.
SEQUENTIAL: Final = (
    (72, 31, 112),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (109, 205, 89),
    (180, 222, 44),
    (253, 231, 37),
)
# Blue shrinks, orange grows, grey is steady; told apart with every common kind of colour blindness.
DIVERGING: Final = (
    (8, 56, 112),
    (54, 119, 178),
    (143, 182, 214),
    (222, 224, 226),
    (240, 183, 120),
    (209, 112, 24),
    (122, 56, 4),
)
LEVELS: Final = 64  # shades of a picture: more cannot be told apart, and fewer make smaller files
ZERO: Final = (0, 0, 0)
BROKEN: Final = (255, 45, 149)

_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    """Per cent of the axis, from the left or from the top."""
    text: str


def shades(anchors: Sequence[tuple[int, int, int]], count: int = LEVELS) -> Array:
    """Return colours (count, 3) as bytes, evenly along the anchors.

    Examples
    --------
    >>> shades([(0, 0, 0), (10, 20, 30)], 3).tolist()
    [[0, 0, 0], [5, 10, 15], [10, 20, 30]]
    """
    table = np.asarray(anchors, np.float64)
    at = np.linspace(0, len(table) - 1, count)
    channels = [np.interp(at, np.arange(len(table)), table[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def power(exponent: int, base: int = 10) -> str:
    """Return a power as text.

    Examples
    --------
    >>> power(-12), power(0), power(3, 2)
    ('10⁻¹²', '1', '2³')
    """
    return "1" if exponent == 0 else f"{base}{str(exponent).translate(_SUPERSCRIPTS)}"


def number(value: float) -> str:
    """Return a number in at most four digits; a dash where it is not measured.

    Examples
    --------
    >>> number(0.00123456), number(1e-12), number(41.0), number(12345.0), number(float("nan"))
    ('0.00123', '1.0e-12', '41', '1.2e+04', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.3g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def linear_ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """Return round values between two, with their texts; at most `most`.

    Examples
    --------
    >>> [text for _, text in linear_ticks(0.13, 0.98)]
    ['0.2', '0.4', '0.6', '0.8']
    """
    span = high - low
    if not span > 0:
        return [(low, number(low))]
    step = 10.0 ** math.floor(math.log10(span / most))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [(k * step, f"{k * step:,.{digits}f}") for k in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Return exponents of ten between two, with the powers as text; values where fewer than two powers lie between.

    Examples
    --------
    >>> [text for _, text in log_ticks(-9.2, 0.3)]
    ['10⁻⁸', '10⁻⁶', '10⁻⁴', '10⁻²', '1']
    >>> [text for _, text in log_ticks(-0.8, 0.4)]
    ['0.2', '0.5', '1', '2']
    """
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    if last - first < 1:
        values = [(e + math.log10(m), number(m * 10.0**e)) for e in range(first - 1, last + 1) for m in (1, 2, 5)]
        within = [(v, text) for v, text in values if low - 1e-9 <= v <= high + 1e-9]
        close = [(math.log10(v), number(v)) for v, _ in linear_ticks(10.0**low, 10.0**high, 3) if v > 0]
        return within if len(within) > 1 else close
    step = next(s for s in (1, 2, 3, 5, 10, 20, 50, 100, 200) if (last - first) / s < most)
    return [(e, power(e)) for e in range(first, last + 1) if e % step == 0]


def placed(ticks: Sequence[tuple[float, str]], low: float, high: float, upward: bool = False) -> list[Tick]:
    """Return ticks at their place between two values, from the left, or from the top of an axis that goes upward."""
    span = high - low if high > low else 1.0
    places = [((value - low) / span * 100, text) for value, text in ticks]
    return [Tick(round(100 - at if upward else at, 2), text) for at, text in places if -0.01 <= at <= 100.01]


def spread_out(names: Sequence[str], most: int) -> list[Tick]:
    """Return a tick in the middle of each cell of an axis, or of every so many where there are more than `most`.

    Examples
    --------
    >>> spread_out(["a", "b"], 5)
    [Tick(at=25.0, text='a'), Tick(at=75.0, text='b')]
    """
    count = len(names)
    step = next(s for e in range(9) for s in (10**e, 2 * 10**e, 5 * 10**e) if count <= s * most)
    return [Tick(round((i + 0.5) / count * 100, 2), names[i]) for i in range(0, count, step)]


def short(name: str, most: int) -> str:
    """Return a layer's name, or its end where it is too long for an axis.

    Examples
    --------
    >>> short("encoder.layers.11.linear1", 12)
    '….11.linear1'
    """
    return name if len(name) <= most else "…" + name[1 - most :]
