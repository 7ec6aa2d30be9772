"""What a fit was given, as a diagnosis needs it: moments of weights and inputs, the loss of a blind guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell import _core, reference
from gradwell.kernels import LOSSES
from gradwell.layers import Layer, from_description
from gradwell.network import Network
from gradwell.parts import array_part, list_part, part
from gradwell.record_parts import check_structure
from gradwell.statistics import QUANTITIES

Array = NDArray[Any]

LOOKED_AT = 2000  # samples


class Moments(NamedTuple):
    """Mean and variance over the elements of a parameter, and how many there are."""

    mean: float
    variance: float
    size: int

    @property
    def square(self) -> float:
        """Mean square."""
        return self.variance + self.mean * self.mean


class Inputs(NamedTuple):
    """What the samples look like, over at most 2,000 of them."""

    mean: float
    """Of all values."""
    square: float
    """Mean square of all values."""
    scale: float
    """Median over features of the root mean square; features that are always 0 left out."""
    widest: float
    """Largest root mean square of a feature over that median."""


@dataclass(frozen=True)
class Facts:
    """What a diagnosis may know of a network, its data and how it was trained.

    Attributes
    ----------
    layers, input_shape, stages
        The network's layers, the shape of one sample, and the program's stages.
    loss
        Name of the loss.
    moments
        Of every parameter before the first step, by name.
    inputs
        Of the samples; None where they are not known.
    blind
        Loss of the best answer that looks at no sample; None where that was not worked out (sequences of lengths).
    samples, batch_size
        How many there are, and how many a step takes.
    optimizer
        The rule, as the program is told of it; None outside of training.
    learning_rate
        Of the first step; NaN outside of training.
    clip
        The clipping, as the program is told of it, or None.
    """

    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    stages: list[tuple[Any, ...]]
    loss: str
    moments: dict[str, Moments]
    inputs: Inputs | None
    blind: float | None
    samples: int
    batch_size: int
    optimizer: dict[str, Any] | None = None
    learning_rate: float = float("nan")
    clip: dict[str, Any] | None = None

    @classmethod
    def of(cls, network: Network, loss: str, x: Array, y: Array, lengths: Array | None, **training: Any) -> Facts:
        """Look at a network and at samples as its program reads them."""
        return cls(
            network.layers,
            network.input_shape,
            list(network.program.stages),
            loss,
            moments_of(network.parameters),
            inputs_of(_some(x)),
            blind_loss(loss, _some(y), network.output_shape[-1]) if lengths is None else None,
            len(x),
            **{"batch_size": len(x), **training},
        )

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what is said in words, ready for JSON, and the numbers as arrays: see `from_arrays`."""
        about = {
            "layers": [layer.describe() for layer in self.layers],
            "input_shape": list(self.input_shape),
            "stages": [list(stage) for stage in self.stages],
            "loss": self.loss,
            "parameters": list(self.moments),
            "has_blind": self.blind is not None,
            "has_inputs": self.inputs is not None,
            **{name: getattr(self, name) for name in ("samples", "batch_size", "optimizer", "clip")},
        }
        arrays = {
            "moments": np.array([[m.mean, m.variance] for m in self.moments.values()]).reshape(-1, 2),
            "sizes": np.array([m.size for m in self.moments.values()], np.int64),
            "inputs": np.array(self.inputs or [np.nan] * len(Inputs._fields), np.float64),
            "blind": np.array(np.nan if self.blind is None else self.blind),
            "learning_rate": np.array(self.learning_rate, np.float64),
        }
        return about, arrays

    @classmethod
    def from_arrays(cls, description: Any, arrays: Mapping[str, Array]) -> Facts:
        """Return the facts that `to_arrays` took apart; ValueError where the parts do not fit one another."""
        layers = tuple(from_description(layer) for layer in list_part(description, "layers", dict))
        names = list_part(description, "parameters", str)
        moments = array_part(arrays, "moments", "float64", (len(names), 2)).tolist()
        sizes = array_part(arrays, "sizes", "int64", (len(names),)).tolist()
        inputs = array_part(arrays, "inputs", "float64", (len(Inputs._fields),)).tolist()
        blind = float(array_part(arrays, "blind", "float64", ()))
        stages = list_part(description, "stages", list)
        check_structure({"stages": stages, "parameters": [], "times": []})
        loss = part(description, "loss", str)
        if loss not in LOSSES:
            raise ValueError(f'loss is "{loss}"; needs one of {", ".join(LOSSES)}')
        return cls(
            layers,
            tuple(list_part(description, "input_shape", int)),
            [tuple(stage) for stage in stages],
            loss,
            {n: Moments(mean, var, size) for n, (mean, var), size in zip(names, moments, sizes, strict=True)},
            Inputs(*inputs) if part(description, "has_inputs", bool) else None,
            blind if part(description, "has_blind", bool) else None,
            part(description, "samples", int),
            part(description, "batch_size", int),
            part(description, "optimizer", dict, None),
            float(array_part(arrays, "learning_rate", "float64", ())),
            part(description, "clip", dict, None),
        )


def moments_of(parameters: Mapping[str, Array]) -> dict[str, Moments]:
    """Return the moments of every parameter, over its finite elements.

    Examples
    --------
    >>> moments_of({"0.weight": np.array([1.0, 3.0])})
    {'0.weight': Moments(mean=2.0, variance=1.0, size=2)}
    """
    numbers, *_ = _core.survey(list(parameters.values()), [], [], False)
    means, deviations = numbers[:, QUANTITIES.index("mean")], numbers[:, QUANTITIES.index("std")]
    return {
        name: Moments(float(mean), float(deviation) ** 2, values.size)
        for (name, values), mean, deviation in zip(parameters.items(), means, deviations, strict=True)
    }


@np.errstate(invalid="ignore", over="ignore")
def inputs_of(x: Array) -> Inputs:
    """Return what samples (n, features) look like.

    Examples
    --------
    >>> inputs_of(np.array([[3.0, 400.0, 4.0, 0.0], [4.0, 300.0, 3.0, 0.0]])).widest
    100.0
    """
    wide = x.astype(np.float64)
    squares = (wide**2).mean(axis=0)
    used = np.sqrt(squares[squares > 0])
    scale, widest = (float(np.median(used)), float(used.max() / np.median(used))) if used.size else (0.0, 1.0)
    return Inputs(float(wide.mean()), float(squares.mean()), scale, widest)


@np.errstate(invalid="ignore", over="ignore")
def blind_loss(loss: str, y: Array, outputs: int) -> float:
    """Return the loss of the best constant outputs: shares of the classes, or means.

    Examples
    --------
    >>> round(blind_loss("softmax_cross_entropy", np.array([0, 1, 2, 3]), 4), 4)  # log 4
    1.3863
    """
    targets = y.reshape(-1) if y.dtype.kind == "i" else y.reshape(-1, outputs).astype(np.float64)
    shares = np.bincount(targets, minlength=outputs) / len(targets) if y.dtype.kind == "i" else targets.mean(axis=0)
    within = np.clip(shares, 1e-9, 1 - 1e-9)
    best = {
        "softmax_cross_entropy": np.log(within),
        "sigmoid_cross_entropy": np.log(within) - np.log1p(-within),
    }.get(loss, shares)
    return float(getattr(reference, loss)(np.broadcast_to(best, (len(targets), outputs)), targets)[0])


def _some(values: Array) -> Array:
    """Return at most `LOOKED_AT` rows, spread over all of them."""
    return values[:: max(1, len(values) // LOOKED_AT)][:LOOKED_AT]
