"""Gradients of any framework, given as arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.statistics import GradientRecord
from gradwell.watch.measurements import Step, chunk_of, record_of
from gradwell.watch.torch_tensors import array_of

Array = NDArray[Any]


def gradients(arrays: Mapping[str, Any], *, step: int = 0) -> GradientRecord:
    """Return the record of gradients of weights, by layer, from the first to the last: JAX, Keras, NumPy or others.

    Parameters
    ----------
    arrays
        The gradient of each layer's weight by the layer's name, in the order of the layers. Anything that NumPy reads
        without a copy is not copied.
    step
        Number of the training step.

    Raises
    ------
    TypeError, ValueError
        No mapping, an empty one, or values that are no arrays of real numbers.

    Examples
    --------
    >>> import gradwell as gw
    >>> record = gw.watch.gradients({"first": np.full((3, 2), 1e-9), "second": np.ones((2, 2))})
    >>> record.norm("weight")[0, 1].item()
    2.0
    """
    if not isinstance(arrays, Mapping):
        raise TypeError(f"[watch] arrays is of type {type(arrays).__name__}; needs a mapping from layers to gradients")
    if not arrays:
        raise ValueError("[watch] arrays is empty; needs at least one layer")
    found = [real_array(str(name), value) for name, value in arrays.items()]
    layers = [str(name) for name in arrays]
    parameters = [f"{name}.weight" for name in layers]
    seen = Step()
    seen.settle([("parameter", name) for name in parameters], found)
    chunk = chunk_of([(step, seen)], layers, parameters)
    pairs = list(zip(parameters, layers, strict=True))
    return record_of([(name, "weights") for name in layers], pairs, chunk)


def real_array(name: str, value: Any) -> Array:
    """Return an array of any framework as float32 or float64, without a copy where it is that already."""
    array = array_of(value) if hasattr(value, "requires_grad") else np.asarray(value)
    if array.dtype.kind == "V" and array.dtype.name.startswith(("bfloat", "float")):  # of JAX: NumPy has no kind
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"[watch] {name} has dtype {array.dtype}; needs real numbers")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
