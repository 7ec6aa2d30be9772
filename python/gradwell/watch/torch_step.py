"""What hooks collected in one PyTorch step, put into our words and measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradwell.watch.measurements import Key, Step
from gradwell.watch.torch_tensors import array_of
from gradwell.watch.units import FLATTENING, Window, columns_of

# What a forward hook leaves, a plain tuple since it is made for every module: the module, what it gave, that tensor's
# version, the gradients that came back for it, what it read, and the gradients for that where it is another tensor
# than the one before gave.
Call = tuple[Any, Any, int, "list[Any]", Any, "list[Any] | None"]


class Role(NamedTuple):
    """What a module is to the record: a layer with parameters, or the activation behind one."""

    name: str
    kind: str  # of a layer, or the activation
    layer: bool


class Output(NamedTuple):
    """What a layer gave, through its activation where it has one."""

    name: str
    activation: str
    value: Any
    version: int
    before: tuple[Any, int] | None  # what the activation read, and its version

    def tensors(self) -> Iterable[Any]:
        """Return what is still as it was made, in order."""
        made = [] if self.before is None else [self.before]
        return (value for value, version in [*made, (self.value, self.version)] if value._version == version)


class Collected:
    """The calls of a step by layers: their outputs, and what came back.

    Attributes
    ----------
    outputs
        Of every layer, in the order in which they ran.
    errors, gradients
        (layer, tensor) of dC/dz and of dC/dy, as they came back: from the last layer to the first.
    read
        What the first layer read.
    """

    def __init__(self, calls: Sequence[Call], roles: dict[Any, Role]):
        self.outputs: list[Output] = []
        self.errors: list[tuple[str, Any]] = []
        self.gradients: list[tuple[str, Any]] = []
        self.read: Any = calls[0][4] if calls else None
        for module, value, version, back, read, through in calls:
            role = roles[module]
            last = self.outputs[-1] if self.outputs else None
            if role.layer:
                if through is not None and last is not None:
                    self.gradients += [(last.name, gradient) for gradient in through]
                self.outputs.append(Output(role.name, "", value, version, None))
                self.errors += [(role.name, gradient) for gradient in back]
            elif last is not None and read is last.value:
                self.outputs[-1] = Output(last.name, role.kind, value, version, (last.value, last.version))
                self.gradients += [(last.name, gradient) for gradient in back]
        self.errors.reverse()

    def measure(
        self, parameters: list[tuple[str, Any]], windows: dict[str, Window], scale: float
    ) -> tuple[Step, list[Key]]:
        """Measure all of it and the gradients of parameters; return also what has values that are not finite."""
        whole = [output for output in self.outputs if output.value._version == output.version]  # else changed in place
        arrays = [array_of(output.value) for output in whole]
        units, of = [], []
        for output, array in zip(whole, arrays, strict=True):
            if output.activation in FLATTENING and array.size:
                count, inner = columns_of(array.shape)
                window = windows.get(output.name)
                if window is None or len(window.alive) != count:
                    window = windows[output.name] = Window(count)
                units.append((array, output.activation, inner, window.alive))
                of.append((output.name, array, window))
        keys = [("activation", output.name) for output in whole]
        for kind, some in (("error", self.errors), ("parameter", parameters)):
            keys += [(kind, name) for name, _ in some]
            arrays += [array_of(value) for _, value in some]
        step = Step()
        backward = [(name, array_of(value)) for name, value in self.gradients]
        spoilt, flat = step.settle(keys, arrays, backward, units, scale)
        for (name, array, window), count in zip(of, flat, strict=True):
            step.saturated[name] = count / array.size
            window.add(len(array))
            step.dead[name] = window.share
        return step, spoilt

    def origin(self, spoilt: list[Key]) -> tuple[str, str | None] | None:
        """Return the phase (input, forward or backward) and the layer that made the first value that is not finite."""
        if not spoilt:
            return None
        read = self.read
        if hasattr(read, "dtype") and read.dtype.is_floating_point and not np.isfinite(array_of(read)).all():
            return "input", None
        for output in self.outputs:  # an activation may hide what a layer made
            if not all(np.isfinite(array_of(value)).all() for value in output.tensors()):
                return "forward", output.name
        kind, name = spoilt[0]
        if kind == "parameter":
            return "backward", name.rsplit(".", 1)[0]
        names = [output.name for output in self.outputs]  # the layer that read it, on its way back
        after = len(names) - names[::-1].index(name)
        return "backward", names[after] if after < len(names) else None


def merged(known: list[str], ran: list[str]) -> list[str]:
    """Return names known and names that ran, the new ones where they ran.

    Examples
    --------
    >>> merged(["head"], ["stem", "body", "head"])
    ['stem', 'body', 'head']
    """
    found = list(known)
    for i, name in enumerate(ran):
        if name not in found:
            found.insert(found.index(ran[i - 1]) + 1 if i else 0, name)
    return found
