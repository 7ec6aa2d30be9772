"""The dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradwell.checks import check_count, check_flag
from gradwell.initializers import InitLike, described, get
from gradwell.layers.layer import Layer
from gradwell.regularizers import L1L2, L2, Constraint, ConstraintLike, RegularizerLike, constraint, regularizer

__all__ = ["L2", "Dense"]


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """z = x W + b, with weight (in, units) and bias (units,).

    Parameters
    ----------
    units
        Number of outputs.
    use_bias
        False leaves b out.
    init, bias_init
        Initializers, by name or object (see `gradwell.initializers`). By default the usual one for the
        activation that follows, and zeros; with init "nielsen" biases are N(0, 1).
    kernel_regularizer, bias_regularizer
        Penalties on weight and bias, such as ``gw.L2(1e-4)``.
    kernel_constraint
        What the weight must keep to after each step, such as ``gw.MaxNorm(3.0)``.

    Examples
    --------
    >>> Dense(30, init="he").describe()
    {'class': 'Dense', 'units': 30, 'use_bias': True, 'init': {'name': 'he'}, 'bias_init': None}
    >>> Dense(30, kernel_regularizer=L2(1e-4))
    Dense(units=30, use_bias=True, kernel_regularizer={'l1': 0.0, 'l2': 0.0001})
    """

    units: int
    use_bias: bool = True
    init: InitLike = None
    bias_init: InitLike = None
    kernel_regularizer: RegularizerLike = None
    bias_regularizer: RegularizerLike = None
    kernel_constraint: ConstraintLike = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("dense", "units", self.units)
        object.__setattr__(self, "units", int(self.units))
        object.__setattr__(self, "use_bias", check_flag("dense", "use_bias", self.use_bias))
        for argument in ("init", "bias_init"):
            value = getattr(self, argument)
            object.__setattr__(self, argument, None if value is None else get(value))
        for argument in ("kernel_regularizer", "bias_regularizer"):
            object.__setattr__(self, argument, regularizer("dense", argument, getattr(self, argument)))
        object.__setattr__(self, "kernel_constraint", constraint("dense", "kernel_constraint", self.kernel_constraint))

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        settings: dict[str, Any] = {"units": self.units, "use_bias": self.use_bias}
        for key in ("init", "bias_init"):
            settings[key] = described(getattr(self, key))
        for key in ("kernel_regularizer", "bias_regularizer", "kernel_constraint"):
            if getattr(self, key) is not None:
                settings[key] = getattr(self, key).describe()
        return {**super().describe(), **settings}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer."""
        nothing = L1L2()
        weight = self.kernel_regularizer or nothing
        bias = self.bias_regularizer or nothing
        limit = self.kernel_constraint
        assert isinstance(weight, L1L2)
        assert isinstance(bias, L1L2)
        assert limit is None or isinstance(limit, Constraint)
        return [
            {
                "kind": "dense",
                "name": name,
                "units": self.units,
                "bias": self.use_bias,
                "weight_l1": weight.l1,
                "weight_l2": weight.l2,
                "bias_l1": bias.l1,
                "bias_l2": bias.l2,
                "constraint": limit.kind if limit else "none",
                "limit": limit.limit if limit else 0.0,
            }
        ]
