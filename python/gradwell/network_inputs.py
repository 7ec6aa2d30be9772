"""What a network is given, as its program reads it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, converted, integer_array, real_array
from gradwell.layers import Embedding, Layer
from gradwell.losses import prepare_targets

Array = NDArray[Any]
DTYPES = ("float32", "float64")


class NetworkInputs:
    """Samples, lengths and targets of a network, checked and in its dtype."""

    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    dtype: str
    steps: int | None
    _gives_sequences: bool
    if TYPE_CHECKING:

        @property
        def inputs(self) -> int:
            """Number of features of one flattened sample."""

        @property
        def outputs(self) -> int:
            """Number of outputs."""

        @property
        def output_shape(self) -> tuple[int, ...]:
            """Shape of one sample's output."""

    def features(self, operation: str, x: Any, argument: str = "x") -> Array:
        """Return samples as the program reads them: (batch, inputs), of this network's dtype."""
        return self.samples(operation, x, None, argument)[0]

    def samples(self, operation: str, x: Any, lengths: Any, argument: str = "x") -> tuple[Array, Array | None]:
        """Return samples and the lengths of sequences as the program reads them; steps beyond a length become 0."""
        array = real_array(operation, argument, x)
        if array.shape[1:] not in (self.input_shape, (self.inputs,)) or array.ndim < 2:
            wanted = ", ".join(str(size) for size in self.input_shape)
            raise ValueError(f"[{operation}] {argument} has shape {array.shape}; needs (batch, {wanted})")
        counts = self.counts(operation, lengths, len(array))
        if counts is not None and self.steps is not None:
            array = array.reshape(len(array), self.steps, self.inputs // self.steps)
            array = np.where((np.arange(self.steps) >= counts[:, None])[:, :, None], array.dtype.type(0), array)
        first = self.layers[0]
        if isinstance(first, Embedding):
            _check_tokens(operation, argument, array, first.vocabulary)
        return converted(operation, argument, array, self.dtype).reshape(len(array), self.inputs), counts

    def counts(self, operation: str, lengths: Any, rows: int, argument: str = "lengths") -> Array | None:
        """Return the lengths of `rows` sequences as int64 (rows,), checked; None stays None."""
        if lengths is None:
            return None
        if self.steps is None:
            raise ValueError(f"[{operation}] {argument} is given but the network reads no sequences; needs None")
        counts = integer_array(operation, argument, lengths)
        if counts.shape != (rows,):
            raise ValueError(
                f"[{operation}] {argument} has shape {counts.shape} but x has {rows} rows; needs ({rows},)"
            )
        wrong = np.flatnonzero((counts < 0) | (counts > self.steps))
        if wrong.size:
            raise ValueError(
                f"[{operation}] {argument} has {counts[wrong[0]]} in row {wrong[0]}; needs 0 to {self.steps}"
            )
        return np.array(counts)

    def targets(self, operation: str, argument: str, y: Any, rows: int, lengths: Array | None = None) -> Array:
        """Return targets as the program reads them; those of steps beyond a length do not matter."""
        steps, units = (self.output_shape[0], self.output_shape[-1]) if self._gives_sequences else (None, self.outputs)
        if steps is not None and lengths is not None:
            array = real_array(operation, argument, y)
            if array.shape[:2] == (rows, steps):
                beyond = np.arange(steps) >= lengths[:, None]
                y = np.where(beyond.reshape(beyond.shape + (1,) * (array.ndim - 2)), array.dtype.type(0), array)
        return prepare_targets(operation, argument, y, rows, units, self.dtype, steps)


def _check_tokens(operation: str, argument: str, array: Array, vocabulary: int) -> None:
    """Raise unless an array holds tokens of a vocabulary."""
    if array.dtype.kind not in "iu" and array.size and not (array == np.floor(array)).all():
        raise TypeError(f"[{operation}] {argument} has dtype {array.dtype}; needs integer tokens")
    if array.size and not (array.min() >= 0 and array.max() < vocabulary):
        wrong = array.min() if not array.min() >= 0 else array.max()
        raise ValueError(f"[{operation}] {argument} has token {wrong}; needs 0 to {vocabulary - 1}")


def checked_shape(input_shape: Any) -> tuple[int, ...]:
    """Return the shape of one sample as a tuple, checked."""
    shape = tuple(input_shape) if np.iterable(input_shape) else (input_shape,)
    for size in shape:
        check_count("network", "input_shape", size)
    if not shape:
        raise ValueError("[network] input_shape is (); needs at least one dimension")
    check_count("network", "the product of input_shape", prod(int(size) for size in shape))
    return tuple(int(size) for size in shape)


def checked_dtype(dtype: Any) -> str:
    """Return the name of a dtype, checked."""
    name = dtype
    if isinstance(dtype, (type, np.dtype)):
        try:
            name = np.dtype(dtype).name
        except TypeError:
            name = getattr(dtype, "__name__", dtype)
    if not isinstance(name, str) or name not in DTYPES:
        raise ValueError(f'[network] dtype is "{name}"; needs one of {", ".join(DTYPES)}')
    return name
