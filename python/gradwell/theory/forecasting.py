"""What mean-field theory makes one expect of a network, layer by layer, before any training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import reference
from gradwell.checks import check_number
from gradwell.facts import Moments, moments_of
from gradwell.layers import Activation, Dropout, Layer, Residual, walk
from gradwell.network import Network
from gradwell.statistics import GradientRecord
from gradwell.theory.meanfield import MeanField, gaussian_mean, mean_field

Array = NDArray[Any]
Weights = Mapping[str, Moments]


@dataclass(frozen=True)
class Forecast:
    """Expected norms of a network's error signals, by the layers of its gradient record.

    Attributes
    ----------
    layers, descriptions
        As in the record.
    variance
        Expected variance q of each layer's pre-activations (layers,).
    gain
        Expected |delta^l| / |delta^(l+1)| (layers,); NaN for the last.
    error
        Expected norm of each error signal over that of the last layer (layers,).
    hidden
        Mean field of the hidden dense layers, where they are alike: q*, chi and depth scale; else None.
    """

    layers: list[str]
    descriptions: list[str]
    variance: Array
    gain: Array
    error: Array
    hidden: MeanField | None

    @property
    def ratio(self) -> float:
        """Expected norm of the last hidden layer's error over the first's."""
        last = len(self.error) - 2 if len(self.error) > 2 else len(self.error) - 1
        return float(self.error[last] / self.error[0])

    @property
    def trainable_depth(self) -> float:
        """6 depth scales: how deep such layers train (Schoenholz et al., 2017); NaN where they are not alike."""
        return 6 * self.hidden.depth_scale if self.hidden else math.nan

    def compare(self, record: GradientRecord, row: int = -1) -> Array:
        """Return measured gain over expected gain (layers,) of one recorded step."""
        if record.layers != self.layers:
            raise ValueError(f"[forecast] the record is of layers {record.layers}; needs {self.layers}")
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(record.gain()[row] / self.gain)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as lists and numbers, ready for JSON; NaN is None."""
        return {
            "layers": self.layers,
            "descriptions": self.descriptions,
            "variance": _plain(self.variance),
            "gain": _plain(self.gain),
            "error": _plain(self.error),
            "hidden": None if self.hidden is None else _named(self.hidden),
        }

    def __str__(self) -> str:
        lines = [f"{'layer':>10}  {'':<22} {'variance':>9} {'gain':>9} {'error/last':>11}"]
        for i, (name, kind) in enumerate(zip(self.layers, self.descriptions, strict=True)):
            numbers = f"{self.variance[i]:>9.3g} {self.gain[i]:>9.3g} {self.error[i]:>11.3g}"
            lines.append(f"{name:>10}  {kind:<22} {numbers}")
        if self.hidden:
            h = self.hidden
            lines.append(f"hidden layers: q* {h.q:.4g}, chi {h.chi:.4g}, depth scale {h.depth_scale:.3g}")
            lines.append(f"they are expected to train to a depth of about {self.trainable_depth:.3g}")
        return "\n".join(lines)


@dataclass
class _Stage:
    """Moments of a stage: of its pre-activations z, over units and samples, and of its outputs y.

    The spreads are variances over the samples for one unit: what batch normalisation divides by.
    """

    mean: float = 0.0
    variance: float = 0.0
    spread: float = 0.0
    y_mean: float = 0.0
    y_square: float = 1.0
    y_spread: float = 1.0
    slope_square: float = 1.0

    @property
    def y_variance(self) -> float:
        return max(self.y_square - self.y_mean**2, 0.0)


def forecast(network: Network, *, input_mean: float = 0.0, input_square: float = 1.0) -> Forecast:
    """Return the expected gain of every layer of a random network, by its own weights' moments.

    Weights enter by their mean and variance only, as if drawn at random (Poole et al., 2016; Schoenholz et al., 2017);
    gains of paths that meet add up in squares. Batch normalisation divides by the standard deviation that theory
    expects over a large batch: layers of relu behind it then have the squared gain pi / (pi - 1) (Yang et al., 2019).

    Parameters
    ----------
    network
        The network; it is not changed. Trained weights are no longer random: the forecast is for the start.
    input_mean, input_square
        Mean and mean square of the input values; by default standardised inputs.

    Raises
    ------
    TypeError, ValueError
        No network, one with recurrent layers, or moments that no input has.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.mlp([784, *[30] * 4, 10], activation="sigmoid", init="nielsen", seed=0)
    >>> expected = gw.forecast(net, input_mean=0.13, input_square=0.11)
    >>> round(expected.hidden.chi, 2), bool(60 < expected.ratio < 200)
    (0.04, True)
    """
    if not isinstance(network, Network):
        raise TypeError(f"[forecast] network is of type {type(network).__name__}; needs a gradwell.Network")
    if network.steps is not None:
        raise ValueError(
            "[forecast] the network reads sequences; needs dense layers only (see gradwell.theory.recurrent_bound)"
        )
    input_mean = check_number("forecast", "input_mean", input_mean)
    input_square = check_number("forecast", "input_square", input_square, lowest=0)
    if input_square < input_mean**2 * (1 - 1e-9):
        raise ValueError(
            f"[forecast] input_square is {input_square} but input_mean is {input_mean}; needs at least its square"
        )
    moments = moments_of(network.parameters)
    return forecast_of(
        network.program.stages, network.layers, moments, input_mean=input_mean, input_square=input_square
    )


def forecast_of(
    stages: Sequence[tuple[Any, ...]],
    all_layers: Sequence[Layer],
    moments: Mapping[str, Moments],
    *,
    input_mean: float,
    input_square: float,
) -> Forecast:
    """Return what `forecast` does, of a network that is known by its stages, layers and parameters' moments."""
    walked = list(walk(all_layers))
    layers = {name: layer for name, layer, _ in walked}
    # The activation of each stage: the layer itself, or the one that it takes along.
    takes = {name: layer if isinstance(layer, Activation) else following for name, layer, following in walked}
    skips = _skips(stages, layers)
    source = _Stage(y_mean=input_mean, y_square=input_square, y_spread=max(input_square - input_mean**2, 0.0))
    found: list[_Stage] = []
    for i, (name, kind, inputs, _, below, _) in enumerate(stages):
        read = found[below] if below >= 0 else source
        skip = _at(found, source, skips.get(i))
        found.append(_forward(moments, layers[name], takes[name], name, kind, inputs, read, skip))
    squares = np.zeros(len(stages))  # |dC/dy|^2 by what is above, then |delta|^2
    squares[-1] = 1.0
    for i in reversed(range(len(stages))):
        name, kind, inputs, _, below, _ = stages[i]
        if i < len(stages) - 1:
            squares[i] *= found[i].slope_square
        factor = _backward(moments, layers[name], name, inputs, found[below] if below >= 0 else source)
        if below >= 0:
            squares[below] += factor * squares[i]
        if skips.get(i, -1) >= 0:
            squares[skips[i]] += squares[i]
    error = np.sqrt(squares)
    gain = np.array(
        [error[i] / error[s[5]] if s[5] >= 0 and error[s[5]] > 0 else math.nan for i, s in enumerate(stages)]
    )
    names, kinds = [s[0] for s in stages], [s[1] for s in stages]
    variances = np.array([stage.variance for stage in found])
    return Forecast(names, kinds, variances, gain, error / error[-1], _hidden(moments, stages, layers))


def _at(found: list[_Stage], source: _Stage, stage: int | None) -> _Stage:
    return source if stage is None or stage < 0 else found[stage]


def _skips(stages: Sequence[tuple[Any, ...]], layers: dict[str, Layer]) -> dict[int, int]:
    """Return for each joint the stage its skip connection comes from, -1 for the input."""
    names = [stage[0] for stage in stages]
    found = {}
    for i, stage in enumerate(stages):
        layer = layers[stage[0]]
        if not isinstance(layer, Residual):
            continue
        first = next(k for k, name in enumerate(names) if name.startswith(f"{stage[0]}."))
        found[i] = names.index(f"{stage[0]}.shortcut") if layer.shortcut is not None else stages[first][4]
    return found


def _scaled(moments: Weights, name: str, inputs: int) -> tuple[float, float, float, float]:
    """Return n_in times mean and variance of the weight, and mean and variance of the bias."""
    weight, bias = moments[f"{name}.weight"], moments.get(f"{name}.bias", Moments(0.0, 0.0, 0))
    return inputs * weight.mean, inputs * weight.variance, bias.mean, bias.variance


def _scale(moments: Weights, layer: Residual, name: str) -> float:
    return moments[f"{name}.scale"].mean if isinstance(layer.scale, str) else float(layer.scale)


def _forward(
    moments: Weights,
    layer: Layer,
    follower: Layer | None,
    name: str,
    kind: str,
    inputs: int,
    x: _Stage,
    skip: _Stage,
) -> _Stage:
    stage = _Stage()
    if kind.startswith("dense"):
        mean, variance, offset, spread = _scaled(moments, name, inputs)
        stage.mean = mean * x.y_mean + offset
        stage.variance = variance * x.y_square + spread
        stage.spread = variance * x.y_spread
    elif kind.startswith(("batchnorm", "layernorm")):
        gamma, beta = (moments.get(f"{name}.{part}") for part in ("gamma", "beta"))
        stage.mean = 0.0 if beta is None else beta.mean
        stage.variance = 1.0 if gamma is None else gamma.square
        share = x.y_spread / x.y_variance if x.y_variance > 0 else 0.0
        stage.spread = stage.variance * (1.0 if kind.startswith("batchnorm") else share)
    elif kind.startswith("residual"):
        assert isinstance(layer, Residual)
        s = _scale(moments, layer, name)
        stage.mean = skip.y_mean + s * x.y_mean
        stage.variance = skip.y_variance + s**2 * x.y_variance
        stage.spread = skip.y_spread + s**2 * x.y_spread
    else:
        stage.mean, stage.variance, stage.spread = x.y_mean, x.y_variance, x.y_spread
    f, slope = _functions(moments, follower, kind)
    stage.y_mean = gaussian_mean(f, stage.variance, stage.mean)
    stage.y_square = gaussian_mean(lambda z: f(z) ** 2, stage.variance, stage.mean)
    stage.slope_square = gaussian_mean(lambda z: slope(z) ** 2, stage.variance, stage.mean)
    stage.y_spread = stage.y_square - _square_of_means(f, stage)
    if isinstance(layer, Dropout):
        added = stage.y_square * layer.rate / (1 - layer.rate)
        stage.y_square, stage.y_spread = stage.y_square + added, stage.y_spread + added
    return stage


def _square_of_means(f: Callable[[Array], Array], stage: _Stage) -> float:
    """Return the mean over units of the squared mean over samples of f(a + b), a by unit, b by sample."""
    between, within = max(stage.variance - stage.spread, 0.0), math.sqrt(max(stage.spread, 0.0))
    if between <= 1e-9 * stage.variance:
        return stage.y_mean**2
    z, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    a = stage.mean + math.sqrt(between) * z
    means = f(a[:, None] + within * z[None, :]) @ weights
    return float(weights @ means**2)


def _functions(
    moments: Weights, follower: Layer | None, kind: str
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return the activation a stage ends in, and its derivative."""
    activation = kind.rsplit("+", 1)[-1]
    alpha = None
    if activation == "prelu":
        slopes = [slope.mean for key, slope in moments.items() if key.endswith(".slope")]
        activation, alpha = "leaky_relu", float(np.mean(slopes))
    elif isinstance(follower, Activation):
        alpha = follower.alpha
    if activation not in reference.ACTIVATIONS:
        activation, alpha = "identity", None
    return (
        lambda z: reference.activation_forward(z, activation, alpha=alpha),
        lambda z: reference.activation_derivative(z, activation, alpha=alpha),
    )


def _backward(moments: Weights, layer: Layer, name: str, inputs: int, x: _Stage) -> float:
    """Return the factor from |delta|^2 of a stage to |dC/dx|^2."""
    if f"{name}.weight" in moments:
        mean, variance, *_ = _scaled(moments, name, inputs)
        return variance + mean**2 / inputs
    if isinstance(layer, Residual):
        return _scale(moments, layer, name) ** 2
    gamma = moments.get(f"{name}.gamma")
    if gamma is not None or type(layer).__name__ in ("BatchNorm", "LayerNorm"):
        square = 1.0 if gamma is None else gamma.square
        batch = type(layer).__name__ == "BatchNorm"
        spread = (x.y_spread if batch else x.y_variance) + getattr(layer, "epsilon", 0.0)
        return square / spread if spread > 0 else math.nan
    return 1 / (1 - layer.rate) if isinstance(layer, Dropout) else 1.0


def _hidden(moments: Weights, stages: Sequence[tuple[Any, ...]], layers: dict[str, Layer]) -> MeanField | None:
    """Return the mean field of the dense layers between the first and the last, where they have one activation."""
    inner = [s for s in stages[1:-1] if s[1].startswith("dense") and s[4] >= 0] or list(stages[:-1])
    plain = all(s[1].startswith("dense+") for s in stages[:-1]) and stages[-1][1].startswith("dense")
    kinds = {s[1] for s in inner}
    if not plain or len(kinds) != 1 or len(stages) < 2:
        return None
    activation = kinds.pop().rsplit("+", 1)[-1]
    if activation not in reference.ACTIVATIONS:
        return None
    scaled = [_scaled(moments, s[0], s[2]) for s in inner]
    found = [layer for layer in layers.values() if isinstance(layer, Activation) and layer.activation == activation]
    alpha = found[0].alpha if found else None
    return mean_field(
        float(np.mean([m[1] for m in scaled])), float(np.mean([m[3] for m in scaled])), activation, alpha=alpha
    )


def _named(field: MeanField) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in field._asdict().items()}


def _plain(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
