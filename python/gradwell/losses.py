"""Losses by name, and the targets they take. The kernels are in `gradwell.kernels`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.checks import converted, real_array
from gradwell.kernels import LOSSES


def check_loss(operation: str, loss: str, outputs: int) -> None:
    """Raise unless `loss` is known and makes sense for this many outputs."""
    if not isinstance(loss, str):
        raise TypeError(f"[{operation}] loss is of type {type(loss).__name__}; needs a name")
    if loss not in LOSSES:
        raise ValueError(f'[{operation}] loss is "{loss}"; needs one of {", ".join(LOSSES)}')
    if loss == "softmax_cross_entropy" and outputs < 2:
        raise ValueError(
            f"[{operation}] loss is softmax_cross_entropy but the network has {outputs} output; it needs at "
            "least 2, or sigmoid_cross_entropy"
        )


def has_accuracy(loss: str, targets: NDArray[Any]) -> bool:
    """Whether counting right answers makes sense: for class numbers, and for cross-entropies."""
    return targets.dtype.kind == "i" or loss.endswith("cross_entropy")


def prepare_targets(
    operation: str, argument: str, y: Any, rows: int, outputs: int, dtype: str, steps: int | None = None
) -> NDArray[Any]:
    """Return class numbers (rows,) int64, or values (rows, outputs) of `dtype`, checked.

    One-dimensional integers are class numbers where there are two outputs or more; with one output y may be
    one-dimensional. Where the outputs are sequences of `steps`, y is (rows, steps) classes or (rows, steps, outputs)
    values, and comes back flat: (rows * steps,) or (rows, steps * outputs).
    """
    array = real_array(operation, argument, y)
    if array.ndim >= 1 and len(array) != rows:
        raise ValueError(f"[{operation}] {argument} has {len(array)} rows but x has {rows}")
    if steps is not None:
        if array.shape[:2] != (rows, steps) or array.ndim > 3:
            raise ValueError(
                f"[{operation}] {argument} has shape {array.shape}; needs integer class numbers of shape "
                f"({rows}, {steps}) or values of shape ({rows}, {steps}, {outputs})"
            )
        flat = array.reshape(rows * steps, *array.shape[2:])
        targets = prepare_targets(operation, argument, flat, rows * steps, outputs, dtype)
        return targets if targets.ndim == 1 else targets.reshape(rows, steps * outputs)
    if array.ndim == 1 and outputs == 1:
        array = array.reshape(-1, 1)
    if array.ndim == 1 and array.dtype.kind in "iu":
        wrong = np.flatnonzero((array < 0) | (array >= outputs))
        if wrong.size:
            raise ValueError(
                f"[{operation}] {argument} has class {array[wrong[0]]} in row {wrong[0]} but the network has "
                f"{outputs} outputs; needs 0 to {outputs - 1}"
            )
        return np.ascontiguousarray(array, dtype=np.int64)
    if array.ndim != 2 or array.shape[1] != outputs:
        raise ValueError(
            f"[{operation}] {argument} has shape {array.shape} and dtype {array.dtype}; needs integer class "
            f"numbers of shape ({rows},) or values of shape ({rows}, {outputs})"
        )
    return check_finite(operation, argument, np.ascontiguousarray(converted(operation, argument, array, dtype)))


def check_shares(operation: str, argument: str, loss: str, targets: NDArray[Any]) -> None:
    """Raise unless the values of a cross-entropy's targets are at least 0, and at most 1 for the logistic one."""
    if targets.dtype.kind != "f" or not loss.endswith("cross_entropy"):
        return
    low, high = float(targets.min()), float(targets.max())
    if low < 0 or (loss == "sigmoid_cross_entropy" and high > 1):
        needed = "0 to 1" if loss == "sigmoid_cross_entropy" else "at least 0"
        raise ValueError(f"[{operation}] {argument} has values {low:g} to {high:g}; {loss} needs {needed}")


def check_finite(operation: str, argument: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return `array`, or raise ValueError naming its first NaN or infinity."""
    if math.isfinite(_core.largest(array)):
        return array
    for start in range(0, len(array), 4096):
        finite = np.isfinite(array[start : start + 4096])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value = array[start + row, column]
            raise ValueError(
                f"[{operation}] {argument} has {value} at row {start + row}, column {column}; needs finite values"
            )
    return array
