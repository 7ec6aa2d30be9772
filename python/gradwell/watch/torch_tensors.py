"""PyTorch tensors as arrays, and what a step changed in the parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell import _core

Array = NDArray[Any]


def array_of(tensor: Any) -> Array:
    """Return a tensor's values as a NumPy array, without a copy where it lies in memory as float32 or float64."""
    values = tensor.detach() if tensor.requires_grad else tensor
    if not values.is_cpu:
        values = values.cpu()
    if values.dtype.itemsize not in (4, 8) or not values.dtype.is_floating_point:
        values = values.float()
    array: Array = values.numpy()
    return array


class _Kept(NamedTuple):
    """A parameter as it was before a step, and what it was copied from."""

    array: Array
    tensor: Any  # the same memory
    now: Array | None  # the parameter's own memory, where NumPy reads it
    address: int
    version: int


class Updates:
    """Keeps parameters from before a step, and says how far the step moved them.

    What is kept after one step serves the next, unless PyTorch counts a change between the two.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._waiting: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def before(self, parameters: list[tuple[str, Any]], anew: bool = False) -> None:
        """Keep parameters as they are before a step; `anew`, whatever PyTorch counts."""
        import torch

        to, values = [], []
        for name, parameter in parameters:
            self._waiting[name] = parameter
            kept = self._kept.get(name)
            if kept is None or kept.address != parameter.data_ptr() or kept.tensor.shape != parameter.shape:
                kept = self._kept[name] = _memory_for(parameter)
            if kept.now is None:
                kept.tensor.copy_(parameter.detach())
            elif anew or kept.version != parameter._version:
                to.append(kept.tensor)
                values.append(parameter.detach())
        if to:
            torch._foreach_copy_(to, values)

    def after(self) -> tuple[list[str], Array]:
        """Return names, and |change| and |parameter before| of each (parameters, 2)."""
        kept = [self._kept[name] for name in self._waiting]
        parameters = self._waiting.values()
        now = [array_of(p) if k.now is None else k.now for k, p in zip(kept, parameters, strict=True)]
        norms = _core.changes(now, [k.array for k in kept])
        for (name, parameter), k in zip(self._waiting.items(), kept, strict=True):
            self._kept[name] = k._replace(version=parameter._version)
        names, self._waiting = list(self._waiting), {}
        return names, norms

    def forget(self) -> None:
        """Leave out a step that ended otherwise."""
        self._waiting = {}

    def clear(self) -> None:
        """Give the memory back."""
        self._kept, self._waiting = {}, {}


def _memory_for(parameter: Any) -> _Kept:
    import torch

    now = array_of(parameter)
    shared = now.ctypes.data == parameter.data_ptr() and now.flags.c_contiguous
    array = np.empty(now.shape, now.dtype)
    return _Kept(array, torch.from_numpy(array), now if shared else None, parameter.data_ptr(), -1)
