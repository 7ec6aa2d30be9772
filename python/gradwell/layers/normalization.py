"""Batch and layer normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradwell.checks import check_flag, check_positive, check_share
from gradwell.layers.layer import Layer


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """z = gamma (x - mean) / sqrt(variance + epsilon) + beta, by the moments of the batch (Ioffe and Szegedy, 2015).

    In training the moments are the batch's, its variance divided by the number of rows n; a batch of one row is an
    error. After each step the running moments, which inference uses, become
    momentum * running + (1 - momentum) * batch, where the batch's variance is divided by n - 1 instead, so that it
    estimates the population's. The activation behind the layer runs fused with it.

    Parameters
    ----------
    momentum
        What the running moments keep at each step, from 0 to below 1 (the convention of Keras and Flax; PyTorch's
        momentum is one minus this).
    epsilon
        Added to the variance; above 0.
    use_scale, use_bias
        Whether there are gamma, ones at first, and beta, zeros at first. A `Dense` before it needs no bias.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.Dense(3, use_bias=False), gw.BatchNorm(), gw.ReLU(), gw.Dense(2)], input_shape=4, seed=0)
    >>> list(net.parameters), list(net.buffers)
    (['0.weight', '1.gamma', '1.beta', '3.weight', '3.bias'], ['1.running_mean', '1.running_variance'])
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "momentum", check_share("BatchNorm", "momentum", self.momentum))
        _check_norm(self, "BatchNorm")

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        return {**super().describe(), "momentum": self.momentum, **_settings(self)}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [_compiled(self, "batchnorm", name, self.momentum)]


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """z = gamma (x - mean) / sqrt(variance + epsilon) + beta, by the moments of each sample (Ba, Kiros, Hinton, 2016).

    It is the same in training and inference and knows no batch. The activation behind the layer runs fused with it.

    Parameters
    ----------
    epsilon
        Added to the variance; above 0.
    use_scale, use_bias
        Whether there are gamma, ones at first, and beta, zeros at first.

    Examples
    --------
    >>> LayerNorm(use_bias=False)
    LayerNorm(epsilon=1e-05, use_scale=True, use_bias=False)
    """

    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_norm(self, "LayerNorm")

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        return {**super().describe(), **_settings(self)}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        return [_compiled(self, "layernorm", name, 0.0)]


Norm = BatchNorm | LayerNorm


def _check_norm(layer: Norm, operation: str) -> None:
    object.__setattr__(layer, "epsilon", check_positive(operation, "epsilon", layer.epsilon))
    for flag in ("use_scale", "use_bias"):
        object.__setattr__(layer, flag, check_flag(operation, flag, getattr(layer, flag)))


def _settings(layer: Norm) -> dict[str, Any]:
    return {"epsilon": layer.epsilon, "use_scale": layer.use_scale, "use_bias": layer.use_bias}


def _compiled(layer: Norm, kind: str, name: str, momentum: float) -> dict[str, Any]:
    settings = {"epsilon": layer.epsilon, "momentum": momentum, "gamma": layer.use_scale, "beta": layer.use_bias}
    return {"kind": kind, "name": name, **settings}
