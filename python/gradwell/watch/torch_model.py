"""Watching a PyTorch model: hooks on its modules feed our statistics, and change nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradwell.doctor.case import Case
from gradwell.facts import Inputs
from gradwell.watch.measurements import Step
from gradwell.watch.torch_facts import expected_of, facts_of, in_a_row, inputs_read, moments_by_name, stages_of
from gradwell.watch.torch_step import Call, Collected, Role
from gradwell.watch.torch_tensors import Updates
from gradwell.watch.units import ACTIVATIONS, Window, kind_of
from gradwell.watch.watching import Watch

if TYPE_CHECKING:
    import torch as _torch


def torch(
    model: _torch.nn.Module,
    optimizer: _torch.optim.Optimizer | Iterable[_torch.optim.Optimizer] | None = None,
    *,
    every: int | Literal["auto"] = 1,
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
        Measure one step in so many; "auto": as many as 2 % of the time pay for.
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


MOST_PASSES = 16  # of one step that wait for their gradients


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

    def __init__(self, model: Any, optimizer: Any, every: int | str, scaler: Any):
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
        self._model = model
        self._scaler = scaler
        self._tensor = library.Tensor
        owned: set[int] = set()
        self._owned: dict[str, list[tuple[str, Any]]] = {}  # parameters by layer
        self._roles: dict[Any, Role] = {}
        for path, module in model.named_modules():
            name = path or "model"
            for what, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in owned:  # a tied parameter counts once
                    owned.add(id(parameter))
                    self._owned.setdefault(name, []).append((f"{name}.{what}", parameter))
            if name in self._owned:
                self._roles[module] = Role(name, kind_of(module), True)
            elif type(module).__name__ in ACTIVATIONS:
                self._roles[module] = Role(name, ACTIVATIONS[type(module).__name__], False)
        self._optimizer = optimizers[0] if optimizers else None
        kinds = {role.name: role.kind for role in self._roles.values() if role.layer}
        self._moments = moments_by_name(self._owned, kinds)
        self._shapes = {
            name: tuple(parameter.shape)
            for name, parameters in self._owned.items()
            for what, parameter in parameters
            if what == f"{name}.weight"
        }
        self._inputs: Inputs | None = None
        self._batch = 0
        self._chained = False
        self._calls: list[Call] = []  # in this step, in order
        self._passes: list[int] = []  # where each pass of the model begins among them
        self._last: Any = None  # what the last of them gave
        self._windows: dict[str, Window] = {}
        self._updates = Updates()
        self._gradients: list[tuple[str, Any]] = []
        self._closed = False
        self._on_modules: list[Any] = []  # handles of the hooks that only measured steps have
        self._handles = [o.register_step_pre_hook(self._before_step) for o in optimizers]
        self._handles += [optimizers[-1].register_step_post_hook(self._after_step)] if optimizers else []
        self._hook()

    def _hook(self) -> None:
        """Put hooks on the modules if this step is measured, and take them off if it is not."""
        if self.recording and not self._on_modules and not self._closed:
            self._on_modules = [module.register_forward_hook(self._after_forward) for module in self._roles]
            self._on_modules.append(self._model.register_forward_pre_hook(self._before_pass))
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
        self._forget()
        self._updates.clear()

    def end_step(self) -> None:
        """End a step where no optimiser was given: gradients are measured as they are now."""
        self._before_step(None, (), {})
        self._after_step(None, (), {})

    def _after_forward(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        try:
            value = output[0] if isinstance(output, tuple) and output else output
            if not (isinstance(value, self._tensor) and value.requires_grad):
                return
            back: list[Any] = []
            value.register_hook(back.append)  # type: ignore[no-untyped-call]
            read: Any = inputs[0] if inputs else None
            through: list[Any] | None = None
            if read is not self._last and self._follows(read):
                through = []
                read.register_hook(through.append)
            self._calls.append((module, value, value._version, back, read, through))
            self._last = value
        except Exception as error:
            self._failed(error)

    @_guarded
    def _before_pass(self, module: Any, inputs: Any) -> None:
        """Drop passes that nothing went back through, but for the latest: they were evaluations, and hold memory."""
        self._passes.append(len(self._calls))
        if len(self._passes) > MOST_PASSES:
            end = self._passes[1]
            kept = [call for call in self._calls[:end] if call[3]]
            dropped = end - len(kept)
            self._calls = kept + self._calls[end:]
            self._passes = [max(begin - dropped, 0) for begin in self._passes[1:]]

    def _follows(self, read: Any) -> bool:
        """Say whether a tensor may be the output of the layer before, changed by functions that are no modules."""
        if self._last is None or not isinstance(read, self._tensor) or read.grad_fn is None:
            return False
        return bool(read.numel() == self._last.numel())

    @_guarded
    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self.recording:
            return
        found = []
        for parameters in self._owned.values():
            for name, parameter in parameters:
                if parameter.grad is not None and name not in self._updates:
                    found.append((name, parameter))
                    self._gradients.append((name, parameter.grad))
        self._updates.before(found)

    @_guarded
    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        step = None
        try:
            if self.recording:
                step = self._settle()
        finally:
            self._forget()
            self._end_step(step)
            self._hook()

    def _forget(self) -> None:
        self._calls, self._passes, self._gradients, self._last = [], [], [], None
        self._updates.forget()

    def _settle(self) -> Step:
        """Measure what the step left."""
        collected = Collected(self._calls, self._roles)
        self._learn_layers(collected)
        scale = float(self._scaler.get_scale()) if self._scaler is not None else 1.0
        step, spoilt = collected.measure(self._gradients, self._windows, scale)
        step.moved = self._updates.after()
        origin = collected.origin(spoilt)
        if origin is not None:
            phase, layer = origin
            ran = dict(self._stages).get(layer or "", "forward")
            back = "gradient" if spoilt[0][0] == "parameter" else "backward"
            self._blame(phase, layer, ran if phase == "forward" else back)
        for name, (moved, size) in zip(step.moved[0], step.moved[1].tolist(), strict=True):
            if not np.isfinite(moved) and np.isfinite(size):
                self._blame("update", name.rsplit(".", 1)[0], "step")
        return step

    def _case(self) -> Case:
        case = super()._case()
        stages = stages_of(self._stages, self._shapes)
        case.facts = facts_of(stages, self._moments, self._inputs, self._batch, self._optimizer, self._targets.blind)
        if self._chained and self._inputs is not None:
            case.forecast = expected_of(stages, self._moments, self._inputs)
        return case

    def _learn_layers(self, collected: Collected) -> None:
        """Name the layers in the order in which they ran first; the record of later steps has the same."""
        if self._record is not None:
            return
        if not self._stages and collected.outputs:
            self._inputs = inputs_read(collected)
            self._batch = int(collected.outputs[0].value.shape[0])
            layers = [call for call in self._calls if self._roles[call[0]].layer]
            self._chained = in_a_row(collected, [call[4] for call in layers])
        kinds = dict(self._stages)
        by_name = {role.name: role.kind for role in self._roles.values() if role.layer}
        for output in collected.outputs:
            kind = by_name[output.name]
            if output.name not in kinds or (output.activation and "+" not in kinds[output.name]):
                kinds[output.name] = f"{kind}+{output.activation}" if output.activation else kind
        self._stages = list(kinds.items())
        known = {name for name, _ in self._parameters}
        for layer, _ in self._stages:
            self._parameters += [(name, layer) for name, _ in self._owned[layer] if name not in known]
