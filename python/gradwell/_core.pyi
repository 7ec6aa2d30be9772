# Written by `make stubs` from the compiled module; changes by hand are lost.
"""The compiled core of gradwell. Use gradwell.kernels and gradwell.Network."""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

__all__: list[str] = [
    "Plan",
    "Program32",
    "Program64",
    "SavedSequences",
    "activation_backward",
    "activation_derivative",
    "activation_forward",
    "batchnorm_backward",
    "batchnorm_forward",
    "boltzmann_conditional",
    "boltzmann_free_energy",
    "boltzmann_pseudo_likelihood",
    "boltzmann_update",
    "build_info",
    "changes",
    "clip_adaptive",
    "clip_by_value",
    "contrastive_steps",
    "dense_backward",
    "dense_forward",
    "dropout_forward",
    "exp",
    "exponent_bias",
    "get_worth",
    "gradient_statistics",
    "largest",
    "layernorm_backward",
    "layernorm_forward",
    "log",
    "loss",
    "max_norm",
    "multiply_adds",
    "norm",
    "num_threads",
    "optimizer_update",
    "prelu_backward",
    "prelu_forward",
    "read",
    "recurrent_forward",
    "scale",
    "set_num_threads",
    "set_worth",
    "sigmoid",
    "survey",
    "take_fork_notice",
    "tanh",
]

class Plan:
    def __init__(
        self,
        loss: str,
        rule: dict[str, typing.Any],
        learning_rates: collections.abc.Sequence[float],
        clip: typing.Any,
        amplify: collections.abc.Sequence[float],
        seed: int,
        batch: int,
        first_step: int,
        record_every: int,
    ) -> None: ...

class Program32:
    def __init__(
        self,
        layers: collections.abc.Sequence[dict[str, typing.Any]],
        inputs: int,
        steps: int,
        image: collections.abc.Sequence[int],
    ) -> None: ...
    def backward(self, dy: typing.Any, flush_denormals: bool) -> numpy.typing.NDArray[typing.Any]: ...
    def buffers(self) -> dict[str, typing.Any]: ...
    def clip_state(self) -> list[float]: ...
    def evaluate(
        self, x: typing.Any, y: typing.Any, lengths: typing.Any, loss: typing.Any, batch: int, flush_denormals: bool
    ) -> tuple[float, int, int]: ...
    def find_producer(
        self, x: typing.Any, y: typing.Any, lengths: typing.Any, order: typing.Any, plan: Plan, flush_denormals: bool
    ) -> dict[str, typing.Any]: ...
    def forget_states(self) -> None: ...
    def forward(
        self, x: typing.Any, lengths: typing.Any, training: bool, seed: int, step: int, flush_denormals: bool
    ) -> numpy.typing.NDArray[typing.Any]: ...
    def gradients(self) -> dict[str, numpy.typing.NDArray[typing.Any]]: ...
    def keep_states(self, states: dict[str, typing.Any]) -> None: ...
    def kept_states(self) -> list[typing.Any]: ...
    def optimizer_states(self) -> list[typing.Any]: ...
    def parameters(self) -> dict[str, numpy.typing.NDArray[typing.Any]]: ...
    def penalty(self) -> float: ...
    def predict(
        self, x: typing.Any, lengths: typing.Any, batch: int, flush_denormals: bool
    ) -> numpy.typing.NDArray[typing.Any]: ...
    def prepare_optimizer(self, rule: dict[str, typing.Any], afresh: bool) -> None: ...
    def record_gradients(
        self,
        x: typing.Any,
        y: typing.Any,
        lengths: typing.Any,
        loss: typing.Any,
        training: bool,
        seed: int,
        flush_denormals: bool,
    ) -> dict[str, typing.Any]: ...
    def restore_clip(self, clip: typing.Any, state: collections.abc.Sequence[float]) -> None: ...
    def stage_input(self, stage: int) -> numpy.typing.NDArray[typing.Any]: ...
    def train(
        self, x: typing.Any, y: typing.Any, lengths: typing.Any, order: typing.Any, plan: Plan, flush_denormals: bool
    ) -> dict[str, typing.Any]: ...
    def update(
        self, rule: dict[str, typing.Any], clip: typing.Any, flush_denormals: bool
    ) -> tuple[typing.Any, ...]: ...
    @property
    def inputs(self) -> int: ...
    @property
    def output_steps(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def parameter_stages(self) -> list[tuple[typing.Any, ...]]: ...
    @property
    def stages(self) -> list[tuple[typing.Any, ...]]: ...
    @property
    def time_stages(self) -> list[tuple[typing.Any, ...]]: ...
    @property
    def updates(self) -> int: ...
    @updates.setter
    def updates(self, arg1: int) -> None: ...

class Program64:
    def __init__(
        self,
        layers: collections.abc.Sequence[dict[str, typing.Any]],
        inputs: int,
        steps: int,
        image: collections.abc.Sequence[int],
    ) -> None: ...
    def backward(self, dy: typing.Any, flush_denormals: bool) -> numpy.typing.NDArray[typing.Any]: ...
    def buffers(self) -> dict[str, typing.Any]: ...
    def clip_state(self) -> list[float]: ...
    def evaluate(
        self, x: typing.Any, y: typing.Any, lengths: typing.Any, loss: typing.Any, batch: int, flush_denormals: bool
    ) -> tuple[float, int, int]: ...
    def find_producer(
        self, x: typing.Any, y: typing.Any, lengths: typing.Any, order: typing.Any, plan: Plan, flush_denormals: bool
    ) -> dict[str, typing.Any]: ...
    def forget_states(self) -> None: ...
    def forward(
        self, x: typing.Any, lengths: typing.Any, training: bool, seed: int, step: int, flush_denormals: bool
    ) -> numpy.typing.NDArray[typing.Any]: ...
    def gradients(self) -> dict[str, numpy.typing.NDArray[typing.Any]]: ...
    def keep_states(self, states: dict[str, typing.Any]) -> None: ...
    def kept_states(self) -> list[typing.Any]: ...
    def optimizer_states(self) -> list[typing.Any]: ...
    def parameters(self) -> dict[str, numpy.typing.NDArray[typing.Any]]: ...
    def penalty(self) -> float: ...
    def predict(
        self, x: typing.Any, lengths: typing.Any, batch: int, flush_denormals: bool
    ) -> numpy.typing.NDArray[typing.Any]: ...
    def prepare_optimizer(self, rule: dict[str, typing.Any], afresh: bool) -> None: ...
    def record_gradients(
        self,
        x: typing.Any,
        y: typing.Any,
        lengths: typing.Any,
        loss: typing.Any,
        training: bool,
        seed: int,
        flush_denormals: bool,
    ) -> dict[str, typing.Any]: ...
    def restore_clip(self, clip: typing.Any, state: collections.abc.Sequence[float]) -> None: ...
    def stage_input(self, stage: int) -> numpy.typing.NDArray[typing.Any]: ...
    def train(
        self, x: typing.Any, y: typing.Any, lengths: typing.Any, order: typing.Any, plan: Plan, flush_denormals: bool
    ) -> dict[str, typing.Any]: ...
    def update(
        self, rule: dict[str, typing.Any], clip: typing.Any, flush_denormals: bool
    ) -> tuple[typing.Any, ...]: ...
    @property
    def inputs(self) -> int: ...
    @property
    def output_steps(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def parameter_stages(self) -> list[tuple[typing.Any, ...]]: ...
    @property
    def stages(self) -> list[tuple[typing.Any, ...]]: ...
    @property
    def time_stages(self) -> list[tuple[typing.Any, ...]]: ...
    @property
    def updates(self) -> int: ...
    @updates.setter
    def updates(self, arg1: int) -> None: ...

class SavedSequences:
    def backward(
        self, operation: str, dy: typing.Any, dh: typing.Any, dc: typing.Any, need_dx: bool, record: bool
    ) -> tuple[typing.Any, ...]: ...
    @property
    def operation(self) -> str: ...

def activation_backward(
    dy: typing.Any, activation: typing.Any, x: typing.Any, y: typing.Any, alpha: typing.Any
) -> numpy.typing.NDArray[typing.Any]: ...
def activation_derivative(
    x: typing.Any, activation: typing.Any, alpha: typing.Any
) -> numpy.typing.NDArray[typing.Any]: ...
def activation_forward(
    x: typing.Any, activation: typing.Any, alpha: typing.Any
) -> numpy.typing.NDArray[typing.Any]: ...
def batchnorm_backward(
    dy: typing.Any,
    x: typing.Any,
    gamma: typing.Any,
    mean: typing.Any,
    variance: typing.Any,
    epsilon: typing.Any,
    constant: bool,
) -> tuple[typing.Any, ...]: ...
def batchnorm_forward(
    x: typing.Any,
    gamma: typing.Any,
    beta: typing.Any,
    mean: typing.Any,
    variance: typing.Any,
    epsilon: typing.Any,
    activation: typing.Any,
    alpha: typing.Any,
) -> tuple[typing.Any, ...]: ...
def boltzmann_conditional(
    x: typing.Any,
    weight: typing.Any,
    bias: typing.Any,
    transposed: bool,
    kind: typing.Any,
    seed: int,
    step: int,
    stream: int,
    draw: bool,
) -> tuple[typing.Any, ...]: ...
def boltzmann_free_energy(
    v: typing.Any, weight: typing.Any, visible_bias: typing.Any, hidden_bias: typing.Any, kind: typing.Any
) -> numpy.typing.NDArray[typing.Any]: ...
def boltzmann_pseudo_likelihood(
    v: typing.Any, weight: typing.Any, visible_bias: typing.Any, hidden_bias: typing.Any
) -> numpy.typing.NDArray[typing.Any]: ...
def boltzmann_update(
    v_data: typing.Any,
    h_data: typing.Any,
    v_model: typing.Any,
    h_model: typing.Any,
    velocity: typing.Any,
    weight: typing.Any,
    positive: float,
    negative: float,
    momentum: float,
    decay: float,
) -> None: ...
def build_info() -> dict[str, typing.Any]: ...
def changes(now: list[typing.Any], before: list[typing.Any]) -> numpy.typing.NDArray[numpy.float64]: ...
def clip_adaptive(gradient: typing.Any, weight: typing.Any, ratio: typing.Any, floor: typing.Any) -> int: ...
def clip_by_value(operation: str, gradient: typing.Any, limit: typing.Any) -> None: ...
def contrastive_steps(
    x: typing.Any, order: typing.Any, state: dict[str, typing.Any], plan: dict[str, typing.Any]
) -> tuple[typing.Any, ...]: ...
def dense_backward(
    dy: typing.Any,
    x: typing.Any,
    weight: typing.Any,
    activation: typing.Any,
    y: typing.Any,
    z: typing.Any,
    alpha: typing.Any,
    need_dx: bool,
) -> tuple[
    numpy.typing.NDArray[typing.Any] | None, numpy.typing.NDArray[typing.Any], numpy.typing.NDArray[typing.Any]
]: ...
def dense_forward(
    x: typing.Any, weight: typing.Any, bias: typing.Any, activation: typing.Any, alpha: typing.Any
) -> numpy.typing.NDArray[typing.Any]: ...
def dropout_forward(x: typing.Any, rate: typing.Any, seed: int, step: int, layer: int) -> tuple[typing.Any, ...]: ...
def exp(x: typing.Any, flush_denormals: bool) -> numpy.typing.NDArray[typing.Any]: ...
def get_worth() -> tuple[typing.Any, ...]: ...
def gradient_statistics(
    array: typing.Any, flush_denormals: bool
) -> tuple[tuple[typing.Any, ...], numpy.typing.NDArray[typing.Any]]: ...
def largest(array: typing.Any) -> float: ...
def layernorm_backward(
    dy: typing.Any, x: typing.Any, gamma: typing.Any, mean: typing.Any, variance: typing.Any, epsilon: typing.Any
) -> tuple[typing.Any, ...]: ...
def layernorm_forward(
    x: typing.Any, gamma: typing.Any, beta: typing.Any, epsilon: typing.Any, activation: typing.Any, alpha: typing.Any
) -> tuple[typing.Any, ...]: ...
def log(x: typing.Any, flush_denormals: bool) -> numpy.typing.NDArray[typing.Any]: ...
def loss(loss: str, outputs: typing.Any, targets: typing.Any) -> tuple[float, numpy.typing.NDArray[typing.Any]]: ...
def max_norm(weight: typing.Any, limit: typing.Any) -> int: ...
def multiply_adds(count: int) -> int: ...
def norm(gradient: typing.Any) -> float: ...
def num_threads() -> int: ...
def optimizer_update(
    operation: str,
    parameter: typing.Any,
    gradient: typing.Any,
    states: list[typing.Any],
    rule: dict[str, typing.Any],
    step: int,
) -> None: ...
def prelu_backward(
    dy: typing.Any, x: typing.Any, slope: typing.Any
) -> tuple[numpy.typing.NDArray[typing.Any], numpy.typing.NDArray[typing.Any]]: ...
def prelu_forward(x: typing.Any, slope: typing.Any) -> numpy.typing.NDArray[typing.Any]: ...
def read(array: typing.Any) -> float: ...
def recurrent_forward(
    cell: str,
    x: typing.Any,
    weight: typing.Any,
    recurrent_weight: typing.Any,
    bias: typing.Any,
    recurrent_bias: typing.Any,
    peephole: typing.Any,
    h0: typing.Any,
    c0: typing.Any,
    lengths: typing.Any,
    reverse: bool,
    activation: str,
    reset_after: bool,
) -> tuple[typing.Any, ...]: ...
def scale(operation: str, gradient: typing.Any, factor: float) -> None: ...
def set_num_threads(count: typing.Any) -> None: ...
def set_worth(waking: int, sharing: int, team: int) -> None: ...
def sigmoid(x: typing.Any, flush_denormals: bool) -> numpy.typing.NDArray[typing.Any]: ...
def survey(
    full: list[typing.Any], normed: list[typing.Any], units: list[typing.Any], flush_denormals: bool
) -> tuple[typing.Any, ...]: ...
def take_fork_notice() -> bool: ...
def tanh(x: typing.Any, flush_denormals: bool) -> numpy.typing.NDArray[typing.Any]: ...

exponent_bias: int
