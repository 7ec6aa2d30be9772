"""Watching a PyTorch model: hooks on its modules feed our statistics, and change nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradwell.doctor.case import Case
from gradwell.doctor.diagnosis import Diagnosis
from gradwell.facts import Inputs
from gradwell.watch.measurements import Step
from gradwell.watch.torch_facts import expected_of, facts_of, in_a_row, inputs_read, moments_by_name, stages_of
from gradwell.watch.torch_hooks import Calls, Hook, runs_compiled
from gradwell.watch.torch_step import Collected, Role, merged
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
        The optimiser or optimisers; None: call ``watch.end_step()`` after each step yourself. An update is then what
        changed since the last call.
    every
        Measure one step in so many; "auto": as many as 2 % of the time pay for.
    scaler
        The ``torch.amp.GradScaler`` in use: errors are measured without its scale.

    Raises
    ------
    TypeError
        No module, no optimisers, or a scaler without ``get_scale``.
    ValueError
        An optimiser of none of the model's parameters.
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

    def __init__(self, model: Any, optimizer: Any, every: int | str, scaler: Any):
        super().__init__(every)
        try:
            import torch as library
        except ImportError:
            raise ImportError('watching PyTorch needs it: pip install "gradwell[torch]"') from None
        optimizers = _checked(library, model, optimizer, scaler)
        self._model = model
        self._scaler = scaler
        self._by_hand = not optimizers
        # A rule that evaluates many times in a step, and may go far in it on purpose: its steps are no rate's.
        searching = [given for given in optimizers if isinstance(given, library.optim.LBFGS)]
        self._searched = {id(p) for given in searching for group in given.param_groups for p in group["params"]}
        owned: set[int] = set()
        self._owned: dict[str, list[tuple[str, Any]]] = {}  # parameters by layer
        self._roles: dict[Any, Role] = {}
        for path, module in model.named_modules():
            name = path.replace("_orig_mod.", "").removesuffix("_orig_mod") or "model"
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
        self._calls = Calls(library.Tensor, self._failed)
        self._on_forward: Any = self._calls
        if runs_compiled(model):  # what is compiled calls hooks, and does not look into them
            disable: Any = library.compiler.disable
            self._on_forward = Hook(disable(self._calls.__call__))
        self._windows: dict[str, Window] = {}
        self._updates = Updates()
        self._gradients: list[tuple[str, Any]] = []
        self._seen: set[str] = set()  # whose gradients are there
        self._closure = False
        self._on_modules: list[Any] = []  # handles of the hooks that only measured steps have
        self._handles = [o.register_step_pre_hook(self._before_step) for o in optimizers]
        self._handles += [optimizers[-1].register_step_post_hook(self._after_step)] if optimizers else []
        self._hook()
        if self._by_hand:
            self._keep()

    def _hook(self) -> None:
        """Put hooks on the modules if this step is measured, and take them off if it is not."""
        if self.recording and not self._on_modules and not self._closed:
            self._on_modules = [module.register_forward_hook(self._on_forward) for module in self._roles]
            self._on_modules.append(self._model.register_forward_pre_hook(Hook(self._calls.begin_pass)))
        elif not self.recording:
            self._unhook()

    def _unhook(self) -> None:
        for handle in self._on_modules:
            handle.remove()
        self._on_modules = []

    def close(self) -> None:
        """Remove all hooks: the model is as it was."""
        super().close()
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

    def _keep(self) -> None:
        """Keep the weights from which a step that is ended by hand begins."""
        if self.recording and not self._closed:
            self._updates.before([p for found in self._owned.values() for p in found if p[1].requires_grad], True)

    def _collect(self) -> None:
        """Take the gradients as they are; sparse ones are not measured."""
        self._gradients += [
            (name, parameter.grad)
            for parameters in self._owned.values()
            for name, parameter in parameters
            if parameter.grad is not None and not parameter.grad.is_sparse and name not in self._seen
        ]
        self._seen.update(name for name, _ in self._gradients)

    @_guarded
    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self.recording:
            return
        given = (*args[1:], *kwargs.values())
        self._closure = any(callable(argument) for argument in given)  # its gradients come within the step
        if not self._closure:
            self._collect()
        if not self._by_hand:
            every = [p for found in self._owned.values() for p in found if id(p[1]) not in self._searched]
            self._updates.before(
                [
                    (n, p)
                    for n, p in every
                    if n not in self._updates and (p.requires_grad if self._closure else p.grad is not None)
                ]
            )

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
            if self._by_hand:
                self._keep()

    def _forget(self) -> None:
        self._calls.forget()
        self._gradients, self._seen, self._closure = [], set(), False
        self._updates.forget()

    def _settle(self) -> Step:
        """Measure what the step left."""
        if self._closure:
            self._calls.only_last_pass()
            self._collect()
        collected = Collected(self._calls.calls, self._roles)
        self._learn_layers(collected)
        scale = float(self._scaler.get_scale()) if self._scaler is not None else 1.0
        step, spoilt = collected.measure(self._gradients, self._windows, scale)
        step.moved = self._updates.after()
        if self._by_hand and not step.moved[1][:, 0].any():  # changed after this call, or not at all
            step.moved = ([], np.zeros((0, 2)))
        origin = collected.origin(spoilt)
        if origin is not None:
            phase, layer = origin
            back = "gradient" if spoilt[0][0] == "parameter" else "backward"
            operations = {"input": "samples", "forward": dict(self._stages).get(layer or "", "forward")}
            self._blame(phase, layer, operations.get(phase, back))
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

    def diagnose(self) -> Diagnosis:
        """Return the doctor's verdict on the steps so far; what may help is written for PyTorch."""
        return super().diagnose().in_torch()

    def _learn_layers(self, collected: Collected) -> None:
        """Name the layers in the order in which they ran last; once there is a record it keeps those it has."""
        if not collected.outputs:
            if self._gradients and not self._stages and not self.faults:
                self._tell(
                    "no layer of the model was seen to run: a model that was compiled before it is watched calls none "
                    "of its modules. Watch it first, or watch what is not compiled. Only weights are measured"
                )
        elif not self._stages:
            self._inputs = inputs_read(collected)
            self._batch = int(collected.outputs[0].value.shape[0])
            layers = [call for call in self._calls.calls if self._roles[call[0]].layer]
            self._chained = in_a_row(collected, [call[4] for call in layers])
        kinds = dict(self._stages)
        by_name = {role.name: role.kind for role in self._roles.values() if role.layer}
        ran = {output.name: output.activation for output in collected.outputs}
        if not kinds and not ran:
            ran = {name: "" for name, found in self._owned.items() if any(p.grad is not None for _, p in found)}
        late = [name for name in ran if name not in kinds]
        if self._record is not None:
            if late:
                self._tell(f"layer {late[0]} first ran when there was a record already: it is not measured")
            return
        for name, activation in ran.items():
            if name not in kinds or (activation and "+" not in kinds[name]):
                kinds[name] = f"{by_name[name]}+{activation}" if activation else by_name[name]
        self._stages = [(name, kinds[name]) for name in merged([name for name, _ in self._stages], list(ran))]
        self._parameters = [(name, layer) for layer, _ in self._stages for name, _ in self._owned[layer]]


def _checked(library: Any, model: Any, optimizer: Any, scaler: Any) -> list[Any]:
    """Return the optimisers, once all arguments are what they need to be."""
    if not isinstance(model, library.nn.Module):
        raise TypeError(f"[watch] model is of type {type(model).__name__}; needs a torch.nn.Module")
    optimizers = [] if optimizer is None else list(optimizer) if isinstance(optimizer, Iterable) else [optimizer]
    ours = {id(parameter) for parameter in model.parameters()}
    for given in optimizers:
        if not isinstance(given, library.optim.Optimizer):
            raise TypeError(f"[watch] optimizer is of type {type(given).__name__}; needs a torch optimizer")
        if ours.isdisjoint(id(p) for group in given.param_groups for p in group["params"]):
            raise ValueError(
                f"[watch] optimizer {type(given).__name__} has no parameter of model {type(model).__name__}; "
                "needs one of model.parameters()"
            )
    if scaler is not None and not callable(getattr(scaler, "get_scale", None)):
        raise TypeError(f"[watch] scaler is of type {type(scaler).__name__}; needs a torch.amp.GradScaler")
    return optimizers
