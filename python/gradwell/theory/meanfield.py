"""Mean-field theory of wide random networks (Poole et al., 2016; Schoenholz et al., 2017).

Weights N(0, sigma_w^2 / n_in), biases N(0, sigma_b^2): the pre-activations of a wide layer are normal, with a variance
q that the next layer maps to sigma_w^2 E[f(sqrt(q) z)^2] + sigma_b^2, z ~ N(0, 1); and the squared norm of the error
signal changes by chi = sigma_w^2 E[f'(sqrt(q) z)^2] from one layer to the one below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell import reference
from gradwell.checks import check_number

Array = NDArray[np.float64]

REACH, NODES = 12.0, 200  # the density beyond is 1e-32; smooth integrands are exact to rounding


LEGENDRE = np.polynomial.legendre.leggauss(NODES)


def _nodes() -> tuple[Array, Array]:
    """Return places and weights of integrals over the standard normal density, a kink at 0 allowed."""
    x, w = LEGENDRE
    half = (x + 1) * REACH / 2
    z = np.concatenate([-half[::-1], half])
    weights = np.concatenate([w[::-1], w]) * REACH / 2 * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return z, weights / weights.sum()


Z, WEIGHTS = _nodes()


def gaussian_mean(f: Callable[[Array], Array], variance: float = 1.0, mean: float = 0.0) -> float:
    """Return E[f(x)], x ~ N(mean, variance), by quadrature; f may have a kink where x is `mean`.

    Examples
    --------
    >>> round(gaussian_mean(lambda x: np.maximum(x, 0) ** 2), 12)
    0.5
    """
    if mean == 0 or variance == 0:
        return float(WEIGHTS @ f(mean + math.sqrt(variance) * Z))
    # The kinks of activations are at 0: the integral is cut there, not at the mean.
    edge = -mean / math.sqrt(variance)
    total = weight = 0.0
    x, w = LEGENDRE
    for low, high in ((-REACH, edge), (edge, REACH)):
        if high <= low:
            continue
        z = (x + 1) / 2 * (high - low) + low
        density = w * (high - low) / 2 * np.exp(-(z**2) / 2)
        total += float(density @ f(mean + math.sqrt(variance) * z))
        weight += float(density.sum())
    return total / weight


class MeanField(NamedTuple):
    """One layer in the limit of width: see `mean_field`."""

    q: float
    """Variance of the pre-activations at the fixed point."""
    chi: float
    """Factor on the squared norm of the error signal, a layer."""
    depth_scale: float
    """1 / |ln chi|: layers in which the gradient changes by a factor e; networks train to about 6 of them."""

    @property
    def gain(self) -> float:
        """Factor on the norm of the error signal, a layer: sqrt(chi)."""
        return math.sqrt(self.chi)


def _f(activation: str, alpha: float | None) -> Callable[[Array], Array]:
    if activation not in reference.ACTIVATIONS:
        raise ValueError(f'[mean_field] activation is "{activation}"; needs one of {", ".join(reference.ACTIVATIONS)}')
    return lambda x: reference.activation_forward(x, activation, alpha=alpha)


def _slope(activation: str, alpha: float | None) -> Callable[[Array], Array]:
    return lambda x: reference.activation_derivative(x, activation, alpha=alpha)


def fixed_point(
    weight_variance: float, bias_variance: float, activation: str, *, alpha: float | None = None, start: float = 1.0
) -> float:
    """Return q* with q = sigma_w^2 E[f(sqrt(q) z)^2] + sigma_b^2, reached from `start`; inf where it diverges.

    Examples
    --------
    >>> round(fixed_point(1.0, 1.0, "sigmoid"), 4)
    1.3021
    """
    weight_variance = check_number("fixed_point", "weight_variance", weight_variance, lowest=0)
    bias_variance = check_number("fixed_point", "bias_variance", bias_variance, lowest=0)
    f, q = _f(activation, alpha), check_number("fixed_point", "start", start, lowest=0)
    for _ in range(100_000):
        following = weight_variance * gaussian_mean(lambda x: f(x) ** 2, q) + bias_variance
        if not math.isfinite(following) or following > 1e12:
            return math.inf
        if abs(following - q) <= 1e-14 * max(following, 1e-300) or following < 1e-300:
            return following
        q = following
    return q


def mean_field(
    weight_variance: float, bias_variance: float, activation: str, *, alpha: float | None = None, q: float | None = None
) -> MeanField:
    """Return q*, chi and the depth scale of layers with this activation.

    Parameters
    ----------
    weight_variance, bias_variance
        sigma_w^2, the variance of a weight times n_in, and sigma_b^2.
    activation, alpha
        f, as in `gradwell.kernels.activation_forward`.
    q
        Variance of the pre-activations; by default the fixed point.

    Examples
    --------
    >>> nielsen = mean_field(1.0, 1.0, "sigmoid")
    >>> round(nielsen.chi, 4), round(1 / nielsen.gain, 2)
    (0.042, 4.88)
    """
    _f(activation, alpha)
    given = None if q is None else check_number("mean_field", "q", q, lowest=0)
    at = fixed_point(weight_variance, bias_variance, activation, alpha=alpha) if given is None else given
    if not math.isfinite(at):
        return MeanField(at, math.nan, math.nan)
    slope = _slope(activation, alpha)
    chi = weight_variance * gaussian_mean(lambda x: slope(x) ** 2, at)
    return MeanField(at, chi, depth_scale(chi))


def depth_scale(chi: float) -> float:
    """Return 1 / |ln chi|, infinite at chi = 1.

    Examples
    --------
    >>> depth_scale(1.0), round(depth_scale(0.042), 4)
    (inf, 0.3154)
    """
    if chi <= 0:
        return 0.0
    return math.inf if chi == 1 else 1 / abs(math.log(chi))


def critical_weight_variance(bias_variance: float, activation: str, *, alpha: float | None = None) -> float:
    """Return the sigma_w^2 at which chi = 1 for this sigma_b^2: the edge between vanishing and exploding.

    On the critical line sigma_w^2 = 1 / E[f'^2] and sigma_b^2 = q - sigma_w^2 E[f^2], both functions of q; the q of the
    given sigma_b^2 is found by bisection.

    Examples
    --------
    >>> [round(critical_weight_variance(b, "tanh"), 4) for b in (0.05, 0.0025)]
    [1.761, 1.2601]
    >>> critical_weight_variance(0.0, "relu")
    2.0
    """
    bias_variance = check_number("critical_weight_variance", "bias_variance", bias_variance, lowest=0)
    f, slope = _f(activation, alpha), _slope(activation, alpha)

    def at(q: float) -> tuple[float, float]:
        weight = 1 / gaussian_mean(lambda x: slope(x) ** 2, q)
        return weight, q - weight * gaussian_mean(lambda x: f(x) ** 2, q)

    low, high = 1e-18, 1e3
    if abs(at(high)[1] - bias_variance) < 1e-9 * high:  # every q is critical, as for relu
        return float(np.round(at(1.0)[0], 12))
    if not at(low)[1] <= bias_variance <= at(high)[1]:
        raise ValueError(
            f"[critical_weight_variance] bias_variance is {bias_variance}; {activation} is critical from "
            f"{at(low)[1]:.3g} to {at(high)[1]:.3g}"
        )
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if at(middle)[1] < bias_variance else (low, middle)
    return at(high)[0]
