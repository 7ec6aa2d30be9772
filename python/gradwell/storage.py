"""Networks on disk: safetensors files with the network's description in the metadata. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from gradwell.layers import Dense, Layer, from_description
from gradwell.network import Network

FORMAT = 1
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
    from safetensors.numpy import save as to_bytes

    description = network.describe()
    for i, layer in enumerate(description["layers"]):
        try:
            from_description(layer)
        except (ValueError, TypeError) as error:
            raise ValueError(f"[save] layer {i} could not be loaded again: {error}") from None
    about = {"format": FORMAT, "network": description, "training": network.training_state}
    tensors = {name: np.ascontiguousarray(view) for name, view in network.parameters.items()}
    content = to_bytes(tensors, metadata={"gradwell": json.dumps(about)})
    write_atomically(Path(path), content)


def load(path: str | os.PathLike[str]) -> Network:
    """Return the network that `Network.save` wrote.

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
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"[load] {file}: no such file")
    try:
        with safe_open(file, framework="numpy") as content:
            metadata = content.metadata() or {}
            names = list(content.keys())
            tensors = {name: content.get_tensor(name) for name in names} if "gradwell" in metadata else {}
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"[load] {file}: not a whole safetensors file ({error})") from None
    if "gradwell" not in metadata:
        raise ValueError(f"[load] {file}: has no gradwell description; its tensors are {_list(names)}")
    about = _read_description(file, metadata["gradwell"])
    network = _build(file, about["network"], tensors)
    _fill(file, network, tensors)
    network.training_state = about["training"]
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
    try:
        layers = [from_description(layer) for layer in description["layers"]]
        _check_sizes(layers, int(np.prod(description["input_shape"], dtype=object)), tensors)
        return Network(
            layers,
            description["input_shape"],
            seed=0,
            dtype=description["dtype"],
            flush_denormals=description["flush_denormals"],
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"[load] {file}: {error}") from None


def _check_sizes(layers: list[Layer], width: int, tensors: dict[str, Any]) -> None:
    """Raise before a damaged description asks for more memory than the file has weights."""
    for i, layer in enumerate(layers):
        if isinstance(layer, Dense):
            name = f"{layer.name or i}.weight"
            found = tensors[name].shape if name in tensors else "missing"
            if found != (width, layer.units):
                raise ValueError(f"{name} is {found} but its network needs {(width, layer.units)}")
            width = layer.units


def _fill(file: Path, network: Network, tensors: dict[str, Any]) -> None:
    parameters = network.parameters
    if set(parameters) != set(tensors):
        raise ValueError(f"[load] {file}: has tensors {_list(tensors)} but its network needs {_list(parameters)}")
    for name, view in parameters.items():
        stored = tensors[name]
        if stored.shape != view.shape or stored.dtype != view.dtype:
            raise ValueError(
                f"[load] {file}: {name} is {stored.dtype} {stored.shape} but its network needs "
                f"{view.dtype} {view.shape}"
            )
        view[...] = stored


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
