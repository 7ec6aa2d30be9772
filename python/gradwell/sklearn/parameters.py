"""From an estimator's parameters to layers, an optimiser and a batch size."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from gradwell import initializers
from gradwell.checks import check_count
from gradwell.layers import BatchNorm, Dense, Dropout, Layer, LayerNorm, Residual, activation_layer
from gradwell.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, Rprop

OPTIMIZERS: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls for cls in (SGD, Adagrad, RMSprop, Adam, AdamW, Rprop)
}
SGD_RATE = 0.01  # the only optimiser without a usual rate of its own
NORMALIZATIONS: dict[str, type[Layer]] = {"batch": BatchNorm, "layer": LayerNorm}


def hidden_sizes(operation: str, sizes: Any) -> tuple[int, ...]:
    """Return the widths of the hidden layers: of a sequence, of one number, or of text such as "64x6".

    Examples
    --------
    >>> hidden_sizes("fit", "64x3"), hidden_sizes("fit", 30), hidden_sizes("fit", [20, 10])
    ((64, 64, 64), (30,), (20, 10))
    """
    if isinstance(sizes, str):
        found = re.fullmatch(r"\s*(\d+)\s*x\s*(\d+)\s*", sizes)
        if found is None:
            raise ValueError(f'[{operation}] hidden_layer_sizes is "{sizes}"; needs widths, or text such as "64x6"')
        width, depth = (int(number) for number in found.groups())
        check_count(operation, "hidden_layer_sizes", width)
        return (width,) * depth
    widths = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
    for width in widths:
        check_count(operation, "hidden_layer_sizes", width)
    return tuple(int(width) for width in widths)


def layers_of(
    operation: str,
    sizes: Any,
    outputs: int,
    *,
    activation: str,
    init: Any,
    normalization: str | None,
    dropout: float,
    residual: bool | str,
) -> list[Layer]:
    """Return the layers of a multilayer perceptron with linear outputs.

    With `residual` every hidden layer behind the first is a block x + scale F(x), F = dense(dropout(f(norm(x)))) (He et
    al., 2016, identity mappings), and one f stands behind the last. True fixes the scale at 1 / sqrt(blocks), so that
    the signal keeps its size at any depth (Hayou et al., 2021); "rezero" and "fixup" are those of `Residual`.

    Examples
    --------
    >>> usual = {"init": None, "normalization": None, "dropout": 0.0}
    >>> layers = layers_of("fit", (8, 8), 2, activation="relu", residual="rezero", **usual)
    >>> [type(layer).__name__ for layer in layers]
    ['Dense', 'Residual', 'ReLU', 'Dense']
    """
    widths = hidden_sizes(operation, sizes)
    if normalization not in (None, *NORMALIZATIONS):
        raise ValueError(f'[{operation}] normalization is "{normalization}"; needs None, "batch" or "layer"')
    if not (isinstance(residual, bool) or residual in ("rezero", "fixup")):
        raise ValueError(f'[{operation}] residual is {residual!r}; needs True, False, "rezero" or "fixup"')
    usual = initializers.usual_for(activation) if init is None else init
    norm = NORMALIZATIONS.get(normalization or "")
    bend: list[Layer] = [*([norm()] if norm else []), activation_layer(activation)]
    bend += [Dropout(dropout)] if dropout else []
    if not residual:
        return [*(layer for width in widths for layer in (Dense(width, init=usual), *bend)), Dense(outputs, init=usual)]
    scale = residual if isinstance(residual, str) else max(len(widths) - 1, 1) ** -0.5
    layers: list[Layer] = [Dense(width, init=usual) for width in widths[:1]]
    for before, width in itertools.pairwise(widths):
        shortcut = None if before == width else Dense(width, init=usual)
        layers.append(Residual(*bend, Dense(width, init=usual), shortcut=shortcut, scale=scale))
    return [*layers, *(bend if layers else []), Dense(outputs, init=usual)]


def optimizer_of(operation: str, optimizer: Any, learning_rate: Any, weight_decay: Any) -> Optimizer:
    """Return the optimiser of a name and its settings, or one that was given whole.

    Examples
    --------
    >>> optimizer_of("fit", "adam", None, None).learning_rate, optimizer_of("fit", "sgd", 0.5, None).learning_rate
    (0.001, 0.5)
    """
    chosen = {"learning_rate": learning_rate, "weight_decay": weight_decay}
    given = {name: value for name, value in chosen.items() if value is not None}
    if isinstance(optimizer, Optimizer):
        if given:
            name, value = next(iter(given.items()))
            raise ValueError(f"[{operation}] {name} is {value} but optimizer is an object with its own; needs None")
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(
            f"[{operation}] optimizer is of type {type(optimizer).__name__}; needs a name or a gradwell optimizer"
        )
    if optimizer not in OPTIMIZERS:
        raise ValueError(f'[{operation}] optimizer is "{optimizer}"; needs one of {", ".join(OPTIMIZERS)}')
    cls = OPTIMIZERS[optimizer]
    for name, value in given.items():
        if name not in {setting.name for setting in fields(cls)}:
            raise ValueError(f'[{operation}] {name} is {value} but "{optimizer}" has none; needs None')
    return cls(**({"learning_rate": SGD_RATE} | given if cls is SGD else given))


def batch_of(operation: str, batch_size: Any, samples: int, *, whole: bool) -> int:
    """Return the samples of a step, at most all of them.

    With `whole` it grows until no batch has one sample alone, of which batch normalisation could make nothing.

    Examples
    --------
    >>> batch_of("fit", 32, 20, whole=False), batch_of("fit", 32, 65, whole=True)
    (20, 33)
    """
    check_count(operation, "batch_size", batch_size)
    size = min(int(batch_size), samples)
    while whole and samples > 1 and (size == 1 or samples % size == 1):
        size += 1
    return size
