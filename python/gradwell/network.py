"""The network: layers, their weights, and one pass forward or back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.checks import check_count, check_flag, converted, real_array
from gradwell.devices import check_device, default_device
from gradwell.initialization import draw_all
from gradwell.layers import (
    Layer,
    gives_sequences,
    input_steps,
    reads_sequences,
)
from gradwell.losses import check_loss, check_shares, has_accuracy
from gradwell.network_inputs import NetworkInputs, checked_dtype, checked_shape

Array = NDArray[Any]


class Network(NetworkInputs):
    """Layers compiled into a program that trains on NumPy arrays.

    Parameters
    ----------
    layers
        Layer descriptions, from input to output, such as ``[Dense(30), Sigmoid(), Dense(10)]``.
    input_shape
        Number of features, or the shape of one sample; samples of several dimensions are flattened, but for a network
        with recurrent layers, which reads sequences: (time, features), or (time,) tokens for an `Embedding`. A `Dense`
        or a normalisation among sequences goes over every step by itself.
    seed
        Seed of the initial weights; None draws one.
    dtype
        "float32" or "float64", or NumPy's types of these names.
    flush_denormals
        Denormal numbers count as zero inside the program, which keeps vanishing gradients fast. On a GPU those of
        float32 always do, those of float64 never.
    device
        "cpu", or "cuda" for an NVIDIA GPU (`gradwell.cuda_info`); None is "cpu", or what the environment variable
        ``GRADWELL_DEVICE`` names. See `to`.

    Raises
    ------
    ValueError, TypeError
        Settings that make no network, named in the message.
    DeviceError
        A device that cannot be used.
    MemoryError
        More parameters than fit into memory.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.Dense(3), gw.Sigmoid(), gw.Dense(2)], input_shape=4, seed=0)
    >>> net.predict(np.zeros((5, 4))).shape
    (5, 2)
    >>> list(net.parameters)
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        input_shape: int | Sequence[int],
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        flush_denormals: bool = True,
        device: str | None = None,
    ):
        where = default_device() if device is None else check_device("network", device)
        if not isinstance(layers, Iterable):
            raise TypeError(f"[network] layers is of type {type(layers).__name__}; needs a list of layers")
        self.layers = tuple(layers)
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"[network] layer {i} is of type {type(layer).__name__}; needs a gradwell layer")
        self.input_shape = checked_shape(input_shape)
        self.dtype = checked_dtype(dtype)
        self.flush_denormals = bool(flush_denormals)
        self.training_state: dict[str, Any] | None = None
        """Where `fit` stopped, for `fit(resume=True)`; saved with the network."""
        self.optimizer_rule: dict[str, Any] | None = None
        """The optimiser whose state the program holds, as the program is told of it."""
        self.clip_rule: dict[str, Any] | None = None
        """The clipping whose figures the program holds."""
        self._passes = 0
        self._lengths: Array | None = None  # of the last forward pass
        names = [layer.name or str(i) for i, layer in enumerate(self.layers)]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(f'[network] two layers are named "{name}"; names must differ')
        sequence = reads_sequences(self.layers)
        self.steps = input_steps(self.layers, self.input_shape) if sequence else None
        """Steps of an input sequence; None where the input is no sequence."""
        image = list(self.input_shape[1:]) if self.steps and len(self.input_shape) == 4 else []
        self._gives_sequences = gives_sequences(self.layers, sequence)
        compiled = [entry for layer, name in zip(self.layers, names, strict=True) for entry in layer.compile(name)]
        program_type = _core.Program32 if self.dtype == "float32" else _core.Program64
        try:
            self.program = program_type(compiled, prod(self.input_shape), self.steps or 0, image)
        except MemoryError:
            raise MemoryError(f"[network] the parameters of {list(self.layers)} do not fit into memory") from None
        self.initialize(seed)
        if where != "cpu":
            self.to(where)

    @property
    def device(self) -> str:
        """Where the network computes: "cpu" or "cuda"."""
        return "cuda" if self.program.on_device else "cpu"

    def to(self, device: str) -> Network:
        """Move the network, with its optimiser's state, to "cpu" or "cuda"; return it.

        Nothing else changes: data comes in as NumPy arrays, `parameters` are views, files are the same. On a GPU,
        views that are held while the network trains cost a copy of all parameters at every look in between.

        Raises
        ------
        DeviceError
            There is no GPU that can be used; the message says why.
        ValueError
            A layer that runs on the CPU only.
        MemoryError
            The GPU has too little memory left; the network is where it was.

        Examples
        --------
        >>> import gradwell as gw
        >>> gw.mlp([4, 3, 2], seed=0).to("cpu").device
        'cpu'
        """
        self.program.move_to_device(check_device("to", device) == "cuda")
        return self

    @property
    def inputs(self) -> int:
        """Number of features of one flattened sample."""
        return self.program.inputs

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.program.outputs

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one sample's output: (units,), or (time, units) for sequences."""
        steps = self.program.output_steps
        return (steps, self.outputs // steps) if self._gives_sequences else (self.outputs,)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Every weight and bias by name, as writable views of the program's own memory."""
        return MappingProxyType(self.program.parameters())

    @property
    def buffers(self) -> Mapping[str, Array]:
        """What is kept beside the parameters and not trained: running moments of batch normalisation, in float64."""
        return MappingProxyType(self.program.buffers())

    @property
    def gradients(self) -> Mapping[str, Array]:
        """The gradient of every parameter, as views; they hold what the last backward pass or step left."""
        return MappingProxyType(self.program.gradients())

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(view.size for view in self.parameters.values())

    def initialize(self, seed: int | None = None) -> None:
        """Draw all parameters again by the layers' initializers, each layer from a stream of its own.

        The training state is forgotten.
        """
        if seed is not None:
            check_count("network", "seed", seed, lowest=0)
        self.training_state = None
        entropy = np.random.SeedSequence(seed).entropy
        draw_all(self.layers, int(entropy), self.parameters)  # type: ignore[arg-type]
        for name, buffer in self.buffers.items():
            buffer[...] = 1.0 if name.endswith("variance") else 0.0
        self.program.forget_states()
        self.forget_optimizer()

    def reset_states(self) -> None:
        """Make the states that stateful layers keep from batch to batch zero."""
        self.program.forget_states()

    @property
    def states(self) -> Mapping[str, Array]:
        """Copies of the states that stateful layers keep, by name; empty before the first batch."""
        return MappingProxyType(dict(self.program.kept_states()))

    def forget_optimizer(self) -> None:
        """Forget the optimiser's state and what clipping has remembered."""
        self.optimizer_rule = self.clip_rule = None
        self.program.prepare_optimizer({"name": "sgd"}, True)
        self.program.restore_clip(None, [])

    def regularization_loss(self) -> float:
        """Return what the regularizers of all layers add to the loss: sum of l1 |w|_1 + l2/2 |w|^2.

        Examples
        --------
        >>> import gradwell as gw
        >>> net = gw.Network([gw.Dense(2, init="ones", kernel_regularizer=gw.L2(0.5))], input_shape=2)
        >>> net.regularization_loss()
        1.0
        """
        return self.program.penalty()

    def predict(self, x: Any, batch_size: int = 1024, *, lengths: Any = None) -> Array:
        """Return the outputs (batch, outputs) for samples x, in batches that bound the memory used.

        Sequences may have `lengths` (batch,). Stateful layers begin from zero states and keep none.
        """
        check_count("predict", "batch_size", batch_size)
        features, counts = self.samples("predict", x, lengths)
        outputs = self.program.predict(features, counts, batch_size, self.flush_denormals)
        return outputs.reshape(len(features), *self.output_shape)

    def evaluate(self, x: Any, y: Any, *, loss: str, batch_size: int = 1024, lengths: Any = None) -> dict[str, float]:
        """Return the mean loss over samples as in `predict`, and the accuracy where it makes sense.

        Of sequences, the mean is over all steps that take part.

        Examples
        --------
        >>> import gradwell as gw
        >>> x, y = gw.datasets.digits()
        >>> sorted(gw.mlp([64, 10], seed=0).evaluate(x, y, loss="softmax_cross_entropy"))
        ['accuracy', 'loss']
        """
        check_loss("evaluate", loss, self.output_shape[-1])
        check_count("evaluate", "batch_size", batch_size)
        features, counts = self.samples("evaluate", x, lengths)
        if not len(features):
            raise ValueError("[evaluate] x has no rows; needs at least one")
        targets = self.targets("evaluate", "y", y, len(features), counts)
        check_shares("evaluate", "y", loss, targets)
        mean, correct, seen = self.program.evaluate(features, targets, counts, loss, batch_size, self.flush_denormals)
        counted = {"accuracy": correct / max(seen, 1)} if has_accuracy(loss, targets) else {}
        return {"loss": mean, **counted}

    def forward(self, x: Any, *, training: bool = True, seed: int = 0, lengths: Any = None) -> Array:
        """Return the outputs for one batch and keep what `backward` needs of it.

        Stateful layers go on from the batch before.

        In training batch normalisation uses the batch and moves its running moments, and dropout draws from `seed` and
        the number of passes so far; otherwise both are as in `predict`.
        """
        features, counts = self.samples("forward", x, lengths)
        training = check_flag("forward", "training", training)
        check_count("forward", "seed", seed, lowest=0)
        self._lengths = counts
        outputs = self.program.forward(features, counts, training, seed, self._passes, self.flush_denormals)
        self._passes += training
        return outputs.reshape(len(features), *self.output_shape)

    def backward(self, dy: Any) -> Array:
        """Fill `gradients` from dy = dC/dy of the batch last sent through `forward`; return dC/dx.

        dy is shaped as the outputs or (batch, outputs), dC/dx (batch, features) or, of sequences, as the samples. A
        pass in between by `predict`, `fit` or an update forgets the batch.
        """
        upstream = converted("backward", "dy", real_array("backward", "dy", dy), self.dtype)
        if upstream.ndim > 2 and upstream.shape[1:] != self.output_shape:
            wanted = ", ".join(str(size) for size in self.output_shape)
            raise ValueError(f"[backward] dy has shape {upstream.shape}; needs (batch, {wanted})")
        if upstream.ndim > 2:
            upstream = upstream.reshape(len(upstream), self.outputs)
        dx = self.program.backward(upstream, self.flush_denormals)
        if self.steps is None:
            return dx
        if self._lengths is not None:
            by_step = dx.reshape(len(dx), self.steps, self.inputs // self.steps)
            by_step[np.arange(self.steps) >= self._lengths[:, None]] = 0
        return dx.reshape(len(dx), *self.input_shape)

    def save(self, path: Any) -> None:
        """Write weights, description and training state to a safetensors file; see `gradwell.load`."""
        from gradwell.storage import save

        save(self, path)

    def describe(self) -> dict[str, Any]:
        """Return all that is needed to build this network again, but for its weights."""
        return {
            "layers": [layer.describe() for layer in self.layers],
            "input_shape": list(self.input_shape),
            "dtype": self.dtype,
            "flush_denormals": self.flush_denormals,
        }

    def snapshot(self) -> dict[str, Any]:
        """Return copies of everything that training changes: see `restore`."""
        program = self.program
        return {
            "parameters": {name: np.array(view) for name, view in self.parameters.items()},
            "buffers": {name: np.array(view) for name, view in self.buffers.items()},
            "optimizer": self.optimizer_rule,
            "updates": program.updates,
            "states": [{name: np.array(view) for name, view in state.items()} for state in program.optimizer_states()],
            "clip": self.clip_rule,
            "clip_state": program.clip_state(),
            "passes": self._passes,
            "kept": dict(self.program.kept_states()),
            "training_state": dict(self.training_state) if self.training_state else None,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back what `snapshot` returned, of this network or of one with the same layers."""
        self.program.keep_states(snapshot.get("kept", {}))  # first: it checks them
        for name, view in self.parameters.items():
            view[...] = snapshot["parameters"][name]
        for name, view in self.buffers.items():
            view[...] = snapshot["buffers"][name]
        self.optimizer_rule, self.clip_rule = snapshot["optimizer"], snapshot["clip"]
        self.program.prepare_optimizer(self.optimizer_rule or {"name": "sgd"}, True)
        self.program.updates = snapshot["updates"]
        for views, saved in zip(self.program.optimizer_states(), snapshot["states"], strict=True):
            for name, view in views.items():
                view[...] = saved[name]
        self.program.restore_clip(self.clip_rule, snapshot["clip_state"])
        self._passes = snapshot["passes"]
        self.training_state = dict(snapshot["training_state"]) if snapshot["training_state"] else None

    def copy(self) -> Network:
        """Return a network with the same layers, weights and state, and memory of its own."""
        twin = Network(
            self.layers,
            self.input_shape,
            seed=0,
            dtype=self.dtype,
            flush_denormals=self.flush_denormals,
            device="cpu",
        )
        twin.restore(self.snapshot())
        return twin.to(self.device)

    def __getstate__(self) -> dict[str, Any]:
        """Return what `copy.deepcopy` and other processes need to make this network again."""
        settings = (self.input_shape, self.dtype, self.flush_denormals, self.device)
        return {"layers": self.layers, "settings": settings, "snapshot": self.snapshot()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the network that `__getstate__` described."""
        shape, dtype, flush, device = state["settings"]
        Network.__init__(self, state["layers"], shape, seed=0, dtype=dtype, flush_denormals=flush, device="cpu")
        self.restore(state["snapshot"])
        self.to(device)

    def __repr__(self) -> str:
        stages = " → ".join(f"{kind} {outputs}" for _, kind, _, outputs, *_ in self.program.stages)
        where = ", on cuda" if self.device == "cuda" else ""
        return f"<Network {self.inputs} → {stages}; {self.size:,} parameters, {self.dtype}{where}>"
