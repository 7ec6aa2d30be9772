"""What a PyTorch model is at its start, as a diagnosis needs it: moments of weights, inputs, and what to expect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.facts import LOOKED_AT, Facts, Inputs, Moments, inputs_of, moments_of
from gradwell.layers import Activation, BatchNorm, Dense, Layer, LayerNorm
from gradwell.reference import ACTIVATIONS
from gradwell.theory.forecasting import Forecast, forecast_of
from gradwell.watch.torch_step import Collected
from gradwell.watch.torch_tensors import array_of

Array = NDArray[Any]

NORMS = {"batchnorm": BatchNorm, "layernorm": LayerNorm}
SCALES = {"weight": "gamma", "bias": "beta"}  # of a normalisation


def moments_by_name(owned: Mapping[str, Iterable[tuple[str, Any]]], kinds: Mapping[str, str]) -> dict[str, Moments]:
    """Return moments of all parameters of layers, by the names of this package."""
    arrays = {}
    for layer, parameters in owned.items():
        for name, parameter in parameters:
            part = name[len(layer) + 1 :]
            part = SCALES.get(part, part) if kinds.get(layer) in NORMS else part
            arrays[f"{layer}.{part}"] = array_of(parameter)
    return moments_of(arrays)


def stages_of(stages: Sequence[tuple[str, str]], shapes: Mapping[str, tuple[int, ...]]) -> list[tuple[Any, ...]]:
    """Return (name, kind, inputs, outputs, below, above) of layers in a row, by the shapes of their weights."""
    found = []
    for i, (name, kind) in enumerate(stages):
        shape = shapes.get(name, ())
        inputs, outputs = (int(np.prod(shape[1:])), shape[0]) if shape else (0, 0)
        found.append((name, kind, inputs, outputs, i - 1, i + 1 if i + 1 < len(stages) else -1))
    return found


def inputs_read(collected: Collected) -> Inputs | None:
    """Return what the samples look like that the first layer read; None where they are no real numbers."""
    read = collected.read
    if not hasattr(read, "dtype") or not read.dtype.is_floating_point or read.dim() < 2 or read.shape[0] == 0:
        return None
    some = array_of(read)[:LOOKED_AT]
    return inputs_of(some.reshape(len(some), -1))


def in_a_row(collected: Collected, read: Sequence[Any]) -> bool:
    """Say whether every layer ran once and read what the one before gave, with nothing in between."""
    names = [output.name for output in collected.outputs]
    follows = zip(collected.outputs, read[1:], strict=False)
    return len(set(names)) == len(names) and all(output.value is value for output, value in follows)


def expected_of(stages: Sequence[tuple[Any, ...]], moments: Mapping[str, Moments], inputs: Inputs) -> Forecast | None:
    """Return what theory expects of dense layers and normalisations in a row; None of others."""
    layers: list[Layer] = []
    renamed: dict[str, Moments] = {}
    rows: list[tuple[Any, ...]] = []
    for name, kind, *rest in stages:
        base, _, activation = kind.partition("+")
        if base not in ("dense", *NORMS) or (activation and activation not in ACTIVATIONS):
            return None
        place = str(len(layers))
        layers.append(Dense(max(rest[1], 1)) if base == "dense" else NORMS[base]())
        layers += [Activation(activation)] if activation else []
        renamed |= {f"{place}{key[len(name) :]}": value for key, value in moments.items() if key.startswith(f"{name}.")}
        rows.append((place, kind, *rest))
    if not (np.isfinite(inputs.square) and inputs.square > 0):
        return None
    try:
        square = max(inputs.square, inputs.mean**2)
        found = forecast_of(rows, layers, renamed, input_mean=inputs.mean, input_square=square)
    except (ValueError, KeyError, OverflowError, ZeroDivisionError):
        return None
    return found if np.isfinite(found.error).all() else None


def facts_of(
    stages: list[tuple[Any, ...]],
    moments: dict[str, Moments],
    inputs: Inputs | None,
    batch: int,
    optimizer: Any,
    blind: float | None,
) -> Facts:
    """Return what is known of a PyTorch training."""
    rule = None if optimizer is None else {"name": type(optimizer).__name__.lower()}
    rate = float("nan") if optimizer is None else float(optimizer.param_groups[0]["lr"])
    return Facts((), (), stages, "", moments, inputs, blind, 0, batch, rule, rate)
