"""Watching a PyTorch model: hooks on its modules feed our statistics, and change nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
        self._before: dict[str, Any] = {}
        self._handles = [self._on(module) for module in self._names if self._is_leaf(module)]
        self._handles += [o.register_step_pre_hook(self._before_step) for o in optimizers]
        self._handles += [optimizers[-1].register_step_post_hook(self._after_step)] if optimizers else []

    def _is_leaf(self, module: Any) -> bool:
        return self._names[module] in self._owners or type(module).__name__ in ACTIVATIONS

    def _on(self, module: Any) -> Any:
        return module.register_forward_hook(self._after_forward)

    def close(self) -> None:
        """Remove all hooks: the model is as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._latest = None
        self._before = {}

    def end_step(self) -> None:
        """End a step where no optimiser was given: gradients are measured as they are now."""
        self._before_step(None, (), {})
        self._after_step(None, (), {})

    @_guarded
    def _after_forward(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        value = output[0] if isinstance(output, tuple) and output else output
        if not (self.recording and isinstance(value, self._torch.Tensor) and value.requires_grad):
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
        self._look(name, "activation", module, value, "forward")
        value.register_hook(functools.partial(self._error, name))
        self._latest = (name, value)

    def _activation_ran(self, name: str, module: Any, value: Any) -> None:
        activation = ACTIVATIONS[type(module).__name__]
        for i, (layer, kind) in enumerate(self._stages):
            if layer == name and "+" not in kind and self._record is None:
                self._stages[i] = (layer, f"{kind}+{activation}")
        self._current.found.pop(("activation", name), None)
        array = self._look(name, "activation", module, value, "forward")
        if array is not None:
            flat = saturated_of(activation, array)
            if flat is not None:
                self._current.saturated[name] = float(flat.mean()) if flat.size else float("nan")
                window = self._windows.setdefault(name, Window())
                window.add(flat)
                self._current.dead[name] = window.share
        value.register_hook(functools.partial(self._output_gradient, name))
        self._latest = (name, value)

    def _through_functions(self, latest: tuple[str, Any], value: Any) -> None:
        """Take what a layer reads as the output of the one before it, changed by functions that are no modules."""
        name, output = latest
        tensor = isinstance(value, self._torch.Tensor) and value.requires_grad
        if tensor and value.numel() == output.numel() and value.grad_fn is not None:
            value.register_hook(functools.partial(self._output_gradient, name))

    def _look(self, name: str, kind: str, module: Any, value: Any, phase: str) -> Array | None:
        array = _array(value)
        measurement = self._current.measure(kind, name, array)
        if measurement.nonfinite:
            self._blame(phase, name, type(module).__name__)
        return array

    @_guarded
    def _error(self, name: str, gradient: Any) -> None:
        measurement = self._current.measure("error", name, _array(gradient), self._scale())
        if measurement.nonfinite:
            after = self._order.index(name) + 1
            self._blame("backward", self._order[after] if after < len(self._order) else None, "backward")

    @_guarded
    def _output_gradient(self, name: str, gradient: Any) -> None:
        size = float(np.linalg.norm(_array(gradient).astype(np.float64).ravel())) / self._scale()
        known = self._current.output_gradients.get(name, 0.0)
        self._current.output_gradients[name] = float(np.hypot(known, size))

    def _scale(self) -> float:
        return float(self._scaler.get_scale()) if self._scaler is not None else 1.0

    @_guarded
    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._latest = None
        if not self.recording:
            return
        for name, parameters in self._owners.items():
            for what, parameter in parameters:
                key = f"{name}.{what}"
                if name in self._order and (key, name) not in self._parameters and self._record is None:
                    self._parameters.append((key, name))
                if parameter.grad is None or key in self._before:
                    continue
                measurement = self._current.measure("parameter", key, _array(parameter.grad))
                if measurement.nonfinite:
                    self._blame("backward", name, "gradient")
                self._before[key] = parameter.detach().clone()

    @_guarded
    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        for name, parameters in self._owners.items():
            for what, parameter in parameters:
                before = self._before.get(f"{name}.{what}")
                if before is not None:
                    step = float(self._torch.linalg.vector_norm((parameter.detach() - before).float()))
                    size = float(self._torch.linalg.vector_norm(before.float()))
                    self._current.updates[f"{name}.{what}"] = (step, size)
                    if not np.isfinite(step) and np.isfinite(size):
                        self._blame("update", name, "step")
        self._before = {}
        for name, _ in self._stages:  # without an activation behind it, a layer hands on what it makes
            error = self._current.found.get(("error", name))
            if error is not None:
                self._current.output_gradients.setdefault(name, float(error.numbers[1]))
        self._end_step()


def _array(tensor: Any) -> Array:
    """Return a tensor's values as a NumPy array, without a copy where it lies in memory as float32 or float64."""
    values = tensor.detach()
    if values.device.type != "cpu":
        values = values.cpu()
    if values.dtype.itemsize not in (4, 8) or not values.dtype.is_floating_point:
        values = values.float()
    array: Array = values.numpy()
    return array
