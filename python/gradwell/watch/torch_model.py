"""Watching a PyTorch model: hooks on its modules feed our statistics, and change nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.watch.measurements import Waiting
from gradwell.watch.units import ACTIVATIONS, Window, kind_of, saturated_of
from gradwell.watch.watching import Watch

if TYPE_CHECKING:
    import torch as _torch

Array = NDArray[Any]


def torch(
    model: _torch.nn.Module,
    optimizer: _torch.optim.Optimizer | Iterable[_torch.optim.Optimizer] | None = None,
    *,
    every: int = 1,
    scaler: Any = None,
) -> TorchWatch:
    """Watch a PyTorch model while it trains: the gradient record, the origin of a NaN, and the doctor.

    Layers are the modules that have parameters of their own, in the order in which they run, each with the activation
    module behind it. The error of a layer is the gradient of its output before that activation. A step ends when the
    optimiser (the last of several) has stepped; gradients of several backward passes before it add up.

    Parameters
    ----------
    model
        Any module. It works as before, and trains to the same bits.
    optimizer
        The optimiser or optimisers; None: call ``watch.end_step()`` after each step yourself.
    every
        Measure one step in so many.
    scaler
        The ``torch.amp.GradScaler`` in use: errors are measured without its scale.

    Raises
    ------
    TypeError
        No module, or no optimisers.
    ImportError
        PyTorch is not installed.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> with gw.watch.torch(model, optimizer) as watch:  # doctest: +SKIP
    ...     train(model, optimizer)
    ...     print(watch.diagnose())
    """
    return TorchWatch(model, optimizer, every, scaler)


def _guarded(method: Callable[..., None]) -> Callable[..., None]:
    """Keep what goes wrong in a hook away from the training."""

    @functools.wraps(method)
    def guarded(self: TorchWatch, *arguments: Any) -> None:
        try:
            method(self, *arguments)
        except Exception as error:
            self._failed(error)

    return guarded


class _Output(NamedTuple):
    """What a layer gave, through its activation where it has one; `before`: what the activation read."""

    name: str
    activation: str
    value: Any
    version: int
    before: Any
    before_version: int


class TorchWatch(Watch):
    """A watch on a PyTorch model: see `torch`."""

    def __init__(self, model: Any, optimizer: Any, every: int, scaler: Any):
        super().__init__(every)
        try:
            import torch as library
        except ImportError:
            raise ImportError('watching PyTorch needs it: pip install "gradwell[torch]"') from None
        if not isinstance(model, library.nn.Module):
            raise TypeError(f"[watch] model is of type {type(model).__name__}; needs a torch.nn.Module")
        optimizers = [] if optimizer is None else optimizer if isinstance(optimizer, (list, tuple)) else [optimizer]
        for given in optimizers:
            if not isinstance(given, library.optim.Optimizer):
                raise TypeError(f"[watch] optimizer is of type {type(given).__name__}; needs a torch optimizer")
        self._scaler = scaler
        self._torch = library
        self._names = {module: name or "model" for name, module in model.named_modules()}
        owned: dict[int, str] = {}
        self._owners: dict[str, list[tuple[str, Any]]] = {}
        for module, name in self._names.items():
            for what, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in owned:  # a tied parameter counts once
                    owned[id(parameter)] = name
                    self._owners.setdefault(name, []).append((what, parameter))
        self._order: list[str] = []  # layers as they run
        self._latest: tuple[str, Any] | None = None  # the layer that ran last, and its output
        self._windows: dict[str, Window] = {}
        self._before: list[tuple[str, Any, Any]] = []  # name, parameter, its values before the step
        self._copies: dict[str, Any] = {}  # memory for that
        self._made: list[_Output] = []  # in this step, in order
        self._leaves = [module for module in self._names if self._is_leaf(module)]
        self._closed = False
        self._on_modules: list[Any] = []  # handles of the hooks that only measured steps have
        self._handles = [o.register_step_pre_hook(self._before_step) for o in optimizers]
        self._handles += [optimizers[-1].register_step_post_hook(self._after_step)] if optimizers else []
        self._hook()

    def _is_leaf(self, module: Any) -> bool:
        return self._names[module] in self._owners or type(module).__name__ in ACTIVATIONS

    def _hook(self) -> None:
        """Put hooks on the modules if this step is measured, and take them off if it is not."""
        if self.recording and not self._on_modules and not self._closed:
            self._on_modules = [module.register_forward_hook(self._after_forward) for module in self._leaves]
        elif not self.recording:
            self._unhook()

    def _unhook(self) -> None:
        for handle in self._on_modules:
            handle.remove()
        self._on_modules = []

    def close(self) -> None:
        """Remove all hooks: the model is as it was."""
        self._closed = True
        self._unhook()
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._latest = None
        self._before = []
        self._copies = {}
        self._made = []

    def end_step(self) -> None:
        """End a step where no optimiser was given: gradients are measured as they are now."""
        self._before_step(None, (), {})
        self._after_step(None, (), {})

    @_guarded
    def _after_forward(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        value = output[0] if isinstance(output, tuple) and output else output
        if not (isinstance(value, self._torch.Tensor) and value.requires_grad):
            return
        name = self._names[module]
        if name in self._owners:
            self._layer_ran(name, module, inputs, value)
        elif self._latest is not None and inputs and inputs[0] is self._latest[1]:
            self._activation_ran(self._latest[0], module, value)

    def _layer_ran(self, name: str, module: Any, inputs: tuple[Any, ...], value: Any) -> None:
        first_time = name not in self._order and self._record is None
        if first_time:
            self._order.append(name)
            self._stages.append((name, kind_of(module)))
        if self._latest is not None and inputs and inputs[0] is not self._latest[1]:
            self._through_functions(self._latest, inputs[0])
        self._made.append(_Output(name, "", value, value._version, None, 0))
        value.register_hook(functools.partial(self._error, name))
        self._latest = (name, value)

    def _activation_ran(self, name: str, module: Any, value: Any) -> None:
        activation = ACTIVATIONS[type(module).__name__]
        for i, (layer, kind) in enumerate(self._stages):
            if layer == name and "+" not in kind and self._record is None:
                self._stages[i] = (layer, f"{kind}+{activation}")
        last = self._made[-1]
        self._made[-1] = _Output(name, activation, value, value._version, last.value, last.version)
        value.register_hook(functools.partial(self._output_gradient, name))
        self._latest = (name, value)

    def _through_functions(self, latest: tuple[str, Any], value: Any) -> None:
        """Take what a layer reads as the output of the one before it, changed by functions that are no modules."""
        name, output = latest
        tensor = isinstance(value, self._torch.Tensor) and value.requires_grad
        if tensor and value.numel() == output.numel() and value.grad_fn is not None:
            value.register_hook(functools.partial(self._output_gradient, name))

    @_guarded
    def _error(self, name: str, gradient: Any) -> None:
        self._current.waiting.append(Waiting("error", name, _array(gradient), self._scale()))

    @_guarded
    def _output_gradient(self, name: str, gradient: Any) -> None:
        self._current.waiting.append(Waiting("output", name, _array(gradient), self._scale()))

    def _scale(self) -> float:
        return float(self._scaler.get_scale()) if self._scaler is not None else 1.0

    @_guarded
    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._latest = None
        if not self.recording:
            return
        known = {name for name, _, _ in self._before}
        kept = []
        for name, parameters in self._owners.items():
            for what, parameter in parameters:
                key = f"{name}.{what}"
                if name in self._order and (key, name) not in self._parameters and self._record is None:
                    self._parameters.append((key, name))
                if parameter.grad is not None and key not in known:
                    self._current.waiting.append(Waiting("parameter", key, _array(parameter.grad)))
                    kept.append((key, parameter))
        if not kept:
            return
        copies = []
        for key, parameter in kept:
            if key not in self._copies or self._copies[key].shape != parameter.shape:
                self._copies[key] = self._torch.empty_like(parameter, memory_format=self._torch.preserve_format)
            copies.append(self._copies[key].detach())
        self._torch._foreach_copy_(copies, [p.detach() for _, p in kept])
        self._before += [(key, p, old) for (key, p), old in zip(kept, copies, strict=True)]

    @_guarded
    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        try:
            if self.recording:
                self._settle()
        finally:
            self._made, self._before = [], []
            self._end_step()
            self._hook()

    def _settle(self) -> None:
        """Measure what the step left: outputs in the order in which they were made, errors, gradients, updates."""
        step, torch = self._current, self._torch
        outputs = []
        for made in self._made:
            if made.value._version == made.version:  # else changed in place since: not what the layer gave
                array = _array(made.value)
                outputs.append(Waiting("activation", made.name, array))
                self._look_at_units(made.name, made.activation, array)
        step.waiting = outputs + step.waiting
        self._name_origin(step.settle())
        self._made = []
        if self._before:
            names, parameters, before = zip(*self._before, strict=True)
            sizes = torch._foreach_norm(list(before))
            torch._foreach_sub_(list(before), [p.detach() for p in parameters])
            norms = [float(norm) for norm in (*torch._foreach_norm(list(before)), *sizes)]
            for name, moved, size in zip(names, norms[: len(names)], norms[len(names) :], strict=True):
                step.updates[name] = moved, size
                if not np.isfinite(moved) and np.isfinite(size):
                    self._blame("update", name.rsplit(".", 1)[0], "step")
        self._before = []

    def _look_at_units(self, name: str, activation: str, array: Array) -> None:
        flat = saturated_of(activation, array)
        if flat is not None:
            self._current.saturated[name] = float(np.count_nonzero(flat)) / max(flat.size, 1)
            window = self._windows.setdefault(name, Window())
            window.add(flat)
            self._current.dead[name] = window.share

    def _name_origin(self, first: tuple[str, str] | None) -> None:
        if first is None:
            return
        for made in self._made:  # an activation may hide what a layer made
            for value, version in ((made.before, made.before_version), (made.value, made.version)):
                if value is not None and value._version == version and not np.isfinite(_array(value)).all():
                    return self._blame("forward", made.name, dict(self._stages).get(made.name, "forward"))
        kind, name = first
        if kind == "parameter":
            self._blame("backward", name.rsplit(".", 1)[0], "gradient")
        else:  # the layer that read it, on its way back
            after = self._order.index(name) + 1
            self._blame("backward", self._order[after] if after < len(self._order) else None, "backward")


def _array(tensor: Any) -> Array:
    """Return a tensor's values as a NumPy array, without a copy where it lies in memory as float32 or float64."""
    values = tensor.detach()
    if values.device.type != "cpu":
        values = values.cpu()
    if values.dtype.itemsize not in (4, 8) or not values.dtype.is_floating_point:
        values = values.float()
    array: Array = values.numpy()
    return array
