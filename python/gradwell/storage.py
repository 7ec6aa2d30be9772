"""Networks on disk: safetensors files with the network's description in the metadata. No pickle."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from gradwell.layers import from_description
from gradwell.network import Network

FORMAT = 1


def save(network: Network, path: "str | os.PathLike[str]") -> None:
    """Write weights, description and training state; the file appears whole or not at all.

    The bytes go to a temporary name beside `path`, are synced, and renamed over it.
    """
    from safetensors.numpy import save as to_bytes

    about = {"format": FORMAT, "network": network.describe(), "training": network.training_state}
    tensors = {name: np.ascontiguousarray(view) for name, view in network.parameters.items()}
    content = to_bytes(tensors, metadata={"gradwell": json.dumps(about)})
    write_atomically(Path(path), content)


def load(path: "str | os.PathLike[str]") -> Network:
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
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"[load] {file}: not a whole safetensors file ({error})") from None
    if "gradwell" not in metadata:
        raise ValueError(f"[load] {file}: has no gradwell description; its tensors are {_list(tensors)}")
    about = _read_description(file, metadata["gradwell"])
    description = about["network"]
    network = Network(
        [from_description(layer) for layer in description["layers"]],
        description["input_shape"],
        seed=0,
        dtype=description["dtype"],
        flush_denormals=description["flush_denormals"],
    )
    _fill(file, network, tensors)
    network.training_state = about["training"]
    return network


def _read_description(file: Path, text: str) -> dict[str, Any]:
    try:
        about = json.loads(text)
        known = about["format"] <= FORMAT and {"layers", "input_shape", "dtype"} <= set(about["network"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"[load] {file}: its gradwell description is damaged ({error})") from None
    if not known:
        raise ValueError(f"[load] {file}: format {about['format']} is newer than this version reads ({FORMAT})")
    return dict(about)


def _fill(file: Path, network: Network, tensors: dict[str, Any]) -> None:
    parameters = network.parameters
    if set(parameters) != set(tensors):
        raise ValueError(f"[load] {file}: has tensors {_list(tensors)} but its network needs {_list(parameters)}")
    for name, view in parameters.items():
        stored = tensors[name]
        if stored.shape != view.shape or stored.dtype != view.dtype:
            raise ValueError(
                f"[load] {file}: {name} is {stored.dtype} {stored.shape} but its network needs {view.dtype} {view.shape}"
            )
    for name, view in parameters.items():
        view[...] = tensors[name]


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file in the folder of `path`, sync it, and rename it to `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
