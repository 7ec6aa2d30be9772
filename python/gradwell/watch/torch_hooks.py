"""Hooks on PyTorch modules: what they leave of a step's forward and backward passes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from gradwell.watch.torch_step import Call

MOST_PASSES = 16  # of one step that wait for their gradients


class Hook:
    """A hook that stays with its module: in a copy of the module, or in a file, one that does nothing.

    Examples
    --------
    >>> import copy
    >>> seen = []
    >>> hook = Hook(lambda *arguments: seen.append(arguments))
    >>> hook(1, 2); copy.deepcopy(hook)(3, 4)
    >>> seen
    [(1, 2)]
    """

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        """Pass on what the module hands over."""
        return self._call(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return a method that takes anything and returns None: of the standard library, so that files need no more."""
        return getattr, (nullcontext(), "__exit__")


class Calls(Hook):
    """A forward hook, and the calls of the step that it has seen.

    Attributes
    ----------
    calls
        Of this step, in order.
    """

    __slots__ = ("_failed", "_last", "_passes", "_tensor", "calls")

    def __init__(self, tensor: Any, failed: Callable[[Exception], None]):
        self._tensor = tensor
        self._failed = failed
        self.forget()

    def forget(self) -> None:
        """Begin a step."""
        self.calls: list[Call] = []
        self._passes: list[int] = []  # where each pass of the model begins among them
        self._last: Any = None  # what the last of them gave

    def __call__(self, module: Any, inputs: Any, output: Any) -> None:
        """Note what a module gave, and ask for the gradient of it."""
        try:
            value = output[0] if isinstance(output, tuple) and output else output
            if not isinstance(value, self._tensor):
                value = tensor_in(value, self._tensor)
            if value is None or not value.requires_grad:
                return
            back: list[Any] = []
            value.register_hook(back.append)
            read: Any = inputs[0] if inputs else None
            through: list[Any] | None = None
            if read is not self._last and self._follows(read):
                through = []
                read.register_hook(through.append)
            self.calls.append((module, value, value._version, back, read, through))
            self._last = value
        except Exception as error:
            self._failed(error)

    def begin_pass(self, module: Any, inputs: Any) -> None:
        """Drop passes that nothing went back through, but for the latest: they were evaluations, and hold memory."""
        self._passes.append(len(self.calls))
        if len(self._passes) > MOST_PASSES:
            end = self._passes[1]
            kept = [call for call in self.calls[:end] if call[3]]
            dropped = end - len(kept)
            self.calls = kept + self.calls[end:]
            self._passes = [max(begin - dropped, 0) for begin in self._passes[1:]]

    def only_last_pass(self) -> None:
        """Drop all passes but the last."""
        self.calls = self.calls[self._passes[-1] :] if self._passes else self.calls

    def _follows(self, read: Any) -> bool:
        """Say whether a tensor may be the output of the layer before, changed by functions that are no modules."""
        if self._last is None or not isinstance(read, self._tensor) or read.grad_fn is None:
            return False
        return bool(read.numel() == self._last.numel())


def tensor_in(value: Any, tensor: type) -> Any:
    """Return the tensor that holds a packed sequence, a tensor as it is, and None of anything else."""
    held = value if isinstance(value, tensor) else getattr(value, "data", None)
    return held if isinstance(held, tensor) else None


def runs_compiled(model: Any) -> bool:
    """Say whether `torch.compile` made the model, or a part of it."""
    modules = model.modules()
    return any(hasattr(m, "_orig_mod") or getattr(m, "_compiled_call_impl", None) is not None for m in modules)
