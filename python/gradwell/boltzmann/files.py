"""Machines on disk: a safetensors file with settings and training state in its metadata."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradwell.storage import write_atomically

if TYPE_CHECKING:
    from gradwell.boltzmann.machine import RBM

Array = NDArray[Any]

FORMAT = 1
WEIGHTS = ("weight", "visible_bias", "hidden_bias")
TRAINING = ("weight_velocity", "visible_velocity", "hidden_velocity", "chains", "activity", "epoch")
STATE = {"seed", "samples", "batch_size", "shuffle", "persistent", "k", "mean_field", "step"}


def to_parts(rbm: RBM) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return what describes a machine, ready for JSON, and its arrays by name: see `from_parts`."""
    about = {name: getattr(rbm, name) for name in ("visible", "hidden", "kind", "seed", "dtype", "training_state")}
    arrays = {name: np.ascontiguousarray(getattr(rbm, name)) for name in WEIGHTS}
    return about, {**arrays, **{f"training/{name}": array for name, array in rbm.training_arrays.items()}}


def from_parts(about: Any, arrays: dict[str, Array]) -> RBM:
    """Return the machine that `to_parts` took apart; ValueError where the parts do not fit one another."""
    from gradwell.boltzmann.machine import RBM

    try:
        found = arrays["weight"].shape
        if found != (about["visible"], about["hidden"]):  # before anything as large as it says is made
            raise ValueError(f"weight is {found} but its machine needs ({about['visible']}, {about['hidden']})")
        rbm = RBM(about["visible"], about["hidden"], about["kind"], seed=about["seed"], dtype=about["dtype"])
        state = about["training_state"]
        if state is not None and not (isinstance(state, dict) and set(state) >= STATE and type(state["step"]) is int):
            raise ValueError("its training state is damaged")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its description is damaged ({error})") from None
    batch = state["batch_size"] if state is not None and state["persistent"] else 0
    needed: dict[str, tuple[tuple[int, ...], str]] = {name: (getattr(rbm, name).shape, rbm.dtype) for name in WEIGHTS}
    if state is not None:
        v, h = rbm.visible, rbm.hidden
        shapes: tuple[tuple[int, ...], ...] = ((v, h), (v,), (h,), (batch, h), (h,), (2,))
        for name, shape in zip(TRAINING, shapes, strict=True):
            needed[f"training/{name}"] = (shape, "float64" if name in ("activity", "epoch") else rbm.dtype)
    if set(needed) != set(arrays):
        raise ValueError(f"has tensors {', '.join(sorted(arrays))} but its machine needs {', '.join(sorted(needed))}")
    for name, (shape, dtype) in needed.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"{name} is {array.dtype} {array.shape} but its machine needs {dtype} {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
    for name in WEIGHTS:
        getattr(rbm, name)[...] = arrays[name]
    rbm.training_state = None if state is None else dict(state)
    if state is not None:
        rbm.training_arrays = {name: np.array(arrays[f"training/{name}"]) for name in TRAINING}
    return rbm


def write(path: str | os.PathLike[str], what: str, about: Any, arrays: dict[str, Array]) -> None:
    """Write arrays and a description of `what` to a safetensors file, whole or not at all."""
    from safetensors.numpy import save as tensors_to_bytes

    metadata = {what: json.dumps({"format": FORMAT, "about": about})}
    write_atomically(Path(path), tensors_to_bytes(arrays, metadata=metadata))


def read(path: str | os.PathLike[str], what: str) -> tuple[Any, dict[str, Array]]:
    """Return the description and arrays that `write` was given.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged, newer, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"[load] {file}: no such file")
    try:
        with safe_open(file, framework="numpy") as content:
            metadata = content.metadata() or {}
            arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 not a dict
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"[load] {file}: not a whole safetensors file ({error})") from None
    if what not in metadata:
        raise ValueError(f"[load] {file}: holds no {what.removeprefix('gradwell ')}")
    try:
        description = json.loads(metadata[what])
        version, about = description["format"], description["about"]
        if version > FORMAT:
            raise ValueError(f"[load] {file}: format {version} is newer than this version reads ({FORMAT})")
    except (KeyError, TypeError, RecursionError, json.JSONDecodeError) as error:
        raise ValueError(f"[load] {file}: its description is damaged ({error})") from None
    return about, arrays


def save_machine(rbm: RBM, path: str | os.PathLike[str]) -> None:
    """Write a machine to a file."""
    write(path, "gradwell RBM", *to_parts(rbm))


def load_machine(path: str | os.PathLike[str]) -> RBM:
    """Return the machine that `save_machine` wrote."""
    about, arrays = read(path, "gradwell RBM")
    try:
        return from_parts(about, arrays)
    except ValueError as error:
        raise ValueError(f"[load] {Path(path)}: {error}") from None
