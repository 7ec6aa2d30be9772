"""Networks on disk: safetensors files with the network's description in the metadata. No pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from gradwell.devices import check_device, default_device
from gradwell.layers import (
    Bidirectional,
    ConvLSTM,
    Dense,
    Embedding,
    Flatten,
    Layer,
    Residual,
    from_description,
    reads_sequences,
    recurrent_of,
)
from gradwell.network import Network

FORMAT = 2
NETWORK_KEYS = {"layers", "input_shape", "dtype", "flush_denormals"}
TRAINING_KEYS = {"seed", "shuffle", "batch_size", "samples", "loss", "step", "epoch"}


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write weights, description and training state; the file appears whole or not at all.

    The bytes go to a temporary name beside `path`, are synced, and renamed over it.

    Raises
    ------
    ValueError
        A layer or initializer that `load` could not make again: a class of one's own.
    OSError
        The file cannot be written; what was there before is still there.
    """
    write_atomically(Path(path), to_bytes(network))


def to_bytes(network: Network) -> bytes:
    """Return what `save` writes.

    Raises
    ------
    ValueError
        A layer or initializer that could not be made again: a class of one's own.

    Examples
    --------
    >>> import gradwell as gw
    >>> from_bytes(to_bytes(gw.mlp([4, 3, 2], seed=0)))
    <Network 4 → dense+tanh 3 → dense 2; 23 parameters, float32>
    """
    from safetensors.numpy import save as tensors_to_bytes

    description = network.describe()
    for i, layer in enumerate(description["layers"]):
        try:
            from_description(layer)
        except (ValueError, TypeError) as error:
            raise ValueError(f"[save] layer {i} could not be loaded again: {error}") from None
    state = network.snapshot()
    about = {
        "format": FORMAT,
        "network": description,
        "training": state["training_state"],
        "optimizer": state["optimizer"],
        "updates": state["updates"],
        "clip": state["clip"],
        "passes": state["passes"],
    }
    tensors = {**state["parameters"], **state["buffers"]}
    for k, values in enumerate(state["states"]):
        tensors.update({f"optimizer.{k}/{name}": value for name, value in values.items()})
    tensors.update({f"kept/{name}": value for name, value in state["kept"].items()})
    if state["clip_state"]:
        tensors["clip"] = np.array(state["clip_state"])
    return tensors_to_bytes(tensors, metadata={"gradwell": json.dumps(about)})


def load(path: str | os.PathLike[str], *, device: str | None = None) -> Network:
    """Return the network that `Network.save` wrote, on a device as in `Network`: a file belongs to none.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is not one of gradwell's, is damaged, or its weights do not fit its description.

    Examples
    --------
    >>> import gradwell as gw, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "m.safetensors"
    >>> gw.mlp([4, 3, 2], seed=0).save(file)
    >>> gw.load(file)
    <Network 4 → dense+tanh 3 → dense 2; 23 parameters, float32>
    """
    from safetensors import safe_open

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"[load] {file}: no such file")
    with _whole(file), safe_open(file, framework="numpy") as content:
        metadata = content.metadata() or {}
        names = list(content.keys())
        tensors = {name: content.get_tensor(name) for name in names} if "gradwell" in metadata else {}
    where = default_device() if device is None else check_device("load", device)
    return _network_of(file, metadata, names, tensors).to(where)


def from_bytes(content: bytes) -> Network:
    """Return the network that `to_bytes` gave the bytes of.

    Raises
    ------
    ValueError
        As in `load`.
    """
    from safetensors.numpy import load as tensors_of

    file = Path("bytes")
    with _whole(file):
        tensors = dict(tensors_of(content))
        end = 8 + int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8:end]).get("__metadata__", {})
    return _network_of(file, metadata, list(tensors), tensors)


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"[load] {file}: not a whole safetensors file ({error})") from None


def _network_of(file: Path, metadata: dict[str, str], names: list[str], tensors: dict[str, Any]) -> Network:
    if "gradwell" not in metadata:
        raise ValueError(f"[load] {file}: has no gradwell description; its tensors are {_list(names)}")
    about = _read_description(file, metadata["gradwell"])
    network = _build(file, about["network"], tensors)
    _fill(file, network, tensors, about)
    return network


def _read_description(file: Path, text: str) -> dict[str, Any]:
    try:
        about = json.loads(text)
        newer = about["format"] > FORMAT
        training = about["training"]
        missing = NETWORK_KEYS - set(about["network"])
        missing |= set() if training is None else TRAINING_KEYS - set(training)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"[load] {file}: its gradwell description is damaged ({error})") from None
    if newer:
        raise ValueError(f"[load] {file}: format {about['format']} is newer than this version reads ({FORMAT})")
    if missing:
        raise ValueError(f"[load] {file}: its gradwell description is damaged (it has no {_list(missing)})")
    return dict(about)


def _build(file: Path, description: dict[str, Any], tensors: dict[str, Any]) -> Network:
    shape = description["input_shape"]
    if not (isinstance(shape, list) and shape and all(type(size) is int and size >= 1 for size in shape)):
        raise ValueError(f"[load] {file}: input_shape is {shape}; needs a list of positive whole numbers")
    try:
        layers = [from_description(layer) for layer in description["layers"]]
        _check_sizes(layers, _input_width(layers, shape), tensors)
        return Network(
            layers,
            shape,
            seed=0,
            dtype=description["dtype"],
            flush_denormals=description["flush_denormals"],
            device="cpu",
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"[load] {file}: {error}") from None


def _check_sizes(layers: list[Layer], width: int, tensors: dict[str, Any], prefix: str = "") -> int:
    """Raise before a damaged description asks for more memory than the file has weights; return the outputs."""
    for i, layer in enumerate(layers):
        name = f"{prefix}{layer.name or i}"
        if isinstance(layer, Residual):
            if layer.shortcut is not None:
                _check_dense(f"{name}.shortcut", layer.shortcut, width, tensors)
            width = _check_sizes(list(layer.layers), width, tensors, f"{name}.")
        if isinstance(layer, Dense):
            _check_dense(name, layer, width, tensors)
            width = layer.units
        if isinstance(layer, Embedding):
            _check_shape(name, (layer.vocabulary, layer.units), tensors)
            width = layer.units
        if isinstance(layer, ConvLSTM):
            return width  # its weights are small beside its images
        recurrent = recurrent_of(layer)
        if recurrent is not None:
            _check_shape(name, (width, len(recurrent.gates) * recurrent.units), tensors)
            width = recurrent.units * (2 if isinstance(layer, Bidirectional) else 1)
        if isinstance(layer, Flatten):
            return width
    return width


def _input_width(layers: list[Layer], shape: Any) -> int:
    """Return the width that the first weight sees: of a sequence, that of one step."""
    whole = int(np.prod(shape, dtype=object))
    return whole // max(int(shape[0]), 1) if reads_sequences(layers) else whole


def _check_dense(name: str, layer: Dense, width: int, tensors: dict[str, Any]) -> None:
    _check_shape(name, (width, layer.units), tensors)


def _check_shape(name: str, needed: tuple[int, int], tensors: dict[str, Any]) -> None:
    found = tensors[f"{name}.weight"].shape if f"{name}.weight" in tensors else "missing"
    if found != needed:
        raise ValueError(f"{name}.weight is {found} but its network needs {needed}")


def _fill(file: Path, network: Network, tensors: dict[str, Any], about: dict[str, Any]) -> None:
    """Put the tensors into the network, after a look at each."""
    rule = about.get("optimizer")
    try:
        network.program.prepare_optimizer(rule or {"name": "sgd"}, True)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"[load] {file}: its optimizer is damaged ({error})") from None
    states = network.program.optimizer_states()
    views = {**network.parameters, **network.buffers}
    for k, state in enumerate(states):
        views.update({f"optimizer.{k}/{name}": view for name, view in state.items()})
    clip = tensors.pop("clip", np.zeros(0))
    kept = {name[len("kept/") :]: tensors.pop(name) for name in list(tensors) if name.startswith("kept/")}
    if set(views) != set(tensors):
        raise ValueError(f"[load] {file}: has tensors {_list(tensors)} but its network needs {_list(views)}")
    for name, view in views.items():
        stored = tensors[name]
        if stored.shape != view.shape or stored.dtype != view.dtype:
            raise ValueError(
                f"[load] {file}: {name} is {stored.dtype} {stored.shape} but its network needs "
                f"{view.dtype} {view.shape}"
            )
    snapshot = {
        "parameters": {name: tensors[name] for name in network.parameters},
        "buffers": {name: tensors[name] for name in network.buffers},
        "optimizer": rule,
        "updates": int(about.get("updates", 0)),
        "states": [{name: tensors[f"optimizer.{k}/{name}"] for name in state} for k, state in enumerate(states)],
        "clip": about.get("clip"),
        "passes": int(about.get("passes", 0)),
        "clip_state": [float(value) for value in clip.ravel()],
        "kept": kept,
        "training_state": about["training"],
    }
    try:
        network.restore(snapshot)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"[load] {file}: its state is damaged ({error})") from None


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file in the folder of `path`, sync it, and rename it to `path`."""
    if not path.name or not path.parent.is_dir():
        raise FileNotFoundError(f"[save] {path}: no such folder, or no file name")
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the rename itself is on disk once the folder is
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
