"""Run folders: a training on disk, with its record, network and settings, so that it can be looked at again.

``record.safetensors`` holds every number, ``history.json`` what is said in words, ``network.safetensors`` the network,
``settings.json`` what it was trained with. ``run.json`` comes last and names size and SHA-256 of the others: a folder
without it, or whose files are not the ones it names, is no run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

from gradwell._core import build_info
from gradwell.history import History
from gradwell.network import Network
from gradwell.parts import part
from gradwell.storage import load, to_bytes, write_atomically

FORMAT = 1
MANIFEST = "run.json"
RECORD, HISTORY, NETWORK, SETTINGS = "record.safetensors", "history.json", "network.safetensors", "settings.json"
_LONGEST_MANIFEST = 1_000_000  # bytes


@dataclass(frozen=True)
class Run:
    """What `load_run` found in a folder.

    Attributes
    ----------
    folder
        Where it was.
    history
        The training, with its gradient record; `gradwell.diagnose` says of it what it said of the original.
    network
        The network as it was saved, or None.
    settings
        What the run was saved with.
    """

    folder: Path
    history: History
    network: Network | None
    settings: dict[str, Any]


def save_run(
    folder: str | os.PathLike[str],
    history: History,
    *,
    network: Network | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a training into a folder; until all of it is there, the folder is no run.

    Parameters
    ----------
    folder
        Made where it is not there. A run that is in it is replaced.
    history
        From `gradwell.fit`, or the ``.history`` of the error that ended one.
    network
        Saved as `Network.save` does.
    settings
        Anything that JSON can hold, by name.
    overwrite
        Write into a folder that holds other things; they stay.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError, TypeError
        Settings that are no JSON, a layer that could not be loaded again, a folder that holds other things.
    OSError
        The folder cannot be written.

    Examples
    --------
    >>> import gradwell as gw, tempfile
    >>> net, (x, y) = gw.mlp([64, 30, 10], seed=0), gw.datasets.digits()
    >>> history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), stats=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = gw.load_run(gw.save_run(folder, history, network=net, settings={"rate": 0.1}))
    >>> run.settings, len(run.history.gradients)
    ({'rate': 0.1}, 57)
    """
    from safetensors.numpy import save as as_safetensors

    if not isinstance(history, History):
        raise TypeError(f"[save_run] history is of type {type(history).__name__}; needs a gradwell.History")
    if network is not None and not isinstance(network, Network):
        raise TypeError(f"[save_run] network is of type {type(network).__name__}; needs a gradwell.Network or None")
    path = Path(folder)
    check_folder(path, overwrite)
    description, arrays = history.to_arrays()
    try:
        History.from_arrays(description, arrays)
    except ValueError as error:
        raise ValueError(f"[save_run] history could not be loaded again: {error}") from None
    contents = {
        RECORD: as_safetensors(arrays),
        HISTORY: _as_json("history", description),
        SETTINGS: _as_json("settings", dict(settings or {})),
        **({} if network is None else {NETWORK: to_bytes(network)}),
    }
    files = {name: {"bytes": len(content), "sha256": _digest(content)} for name, content in contents.items()}
    manifest = {"gradwell_run": FORMAT, "version": build_info()["version"], "files": files}
    path.mkdir(parents=True, exist_ok=True)
    _write(path, contents, _as_json("manifest", manifest))
    return path


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Return the run that `save_run` wrote, every number to the last bit.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        The folder is no run, was not written to its end, is damaged or of a later format: the file and the fault.

    Examples
    --------
    >>> load_run("/")
    Traceback (most recent call last):
    ValueError: [load_run] /: has no run.json; it is no run, or one that was not written to its end
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"[load_run] {path}: no such folder")
    files = _read_manifest(path)
    contents = {name: _read(path / name, entry) for name, entry in files.items()}
    settings = _parsed(path / SETTINGS, contents[SETTINGS])
    description = _parsed(path / HISTORY, contents[HISTORY])
    network = load(path / NETWORK) if NETWORK in files else None
    return Run(path, _history(path / RECORD, contents[RECORD], description), network, settings)


def check_folder(path: Path, overwrite: bool = False) -> None:
    """Raise unless a run may be written to `path`: it is not there, empty, a run, or `overwrite` is True."""
    if not path.exists():
        return
    if not path.is_dir():
        raise NotADirectoryError(f"[save_run] {path} is a file; needs a folder")
    ours = {RECORD, HISTORY, NETWORK, SETTINGS, MANIFEST}
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in ours and not _is_temporary(entry.name))
    if others and not overwrite and not (path / MANIFEST).is_file():
        raise ValueError(f"[save_run] {path} is no run and holds {others[0]}; needs an empty folder, or overwrite")


def _write(path: Path, contents: Mapping[str, bytes], manifest: bytes) -> None:
    """Put files in place while there is no manifest; what fails before the first harms no run that was there."""
    waiting = {name: path / f".{name}.{uuid4().hex}.tmp" for name in contents}
    try:
        for name, content in contents.items():
            write_atomically(waiting[name], content)
        (path / MANIFEST).unlink(missing_ok=True)
        if NETWORK not in contents:
            (path / NETWORK).unlink(missing_ok=True)
        for name, temporary in waiting.items():
            os.replace(temporary, path / name)
    except BaseException:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
        raise
    write_atomically(path / MANIFEST, manifest)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        raise ValueError(f"[load_run] {path}: has no {MANIFEST}; it is no run, or one that was not written to its end")
    if file.stat().st_size > _LONGEST_MANIFEST:
        _fault(file, "is too long to be the manifest of a run")
    manifest = _parsed(file, file.read_bytes())
    try:
        written = part(manifest, "gradwell_run", int)
        if written > FORMAT:
            raise ValueError(f"format {written} is newer than this version reads ({FORMAT})")
        files = part(manifest, "files", dict)
        for name in (RECORD, HISTORY, SETTINGS, *([NETWORK] if NETWORK in files else [])):
            part(part(files, name, dict), "bytes", int)
            part(files[name], "sha256", str)
    except ValueError as error:
        _fault(file, str(error))
    return {name: files[name] for name in (RECORD, HISTORY, SETTINGS, NETWORK) if name in files}


def _read(file: Path, entry: Mapping[str, Any]) -> bytes:
    """Return what a file holds, if it is what the manifest says."""
    if not file.is_file():
        _fault(file, "is missing")
    size = file.stat().st_size
    if size != entry["bytes"]:
        _fault(file, f"is damaged: has {size} bytes, {MANIFEST} says {entry['bytes']}")
    content = file.read_bytes()
    if _digest(content) != entry["sha256"]:
        _fault(file, f"is damaged: its SHA-256 is not the one in {MANIFEST}")
    return content


def _parsed(file: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _fault(file, f"is no JSON ({error})")
    if not isinstance(found, dict):
        _fault(file, f"holds a {type(found).__name__}; needs names and values")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _history(file: Path, content: bytes, description: dict[str, Any]) -> History:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        arrays = from_bytes(content)
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        _fault(file, f"is no whole safetensors file ({error})")
    try:
        return History.from_arrays(description, arrays)
    except (ValueError, TypeError, OverflowError) as error:
        _fault(file, f"does not fit {HISTORY}, or one of them is damaged: {error}")


def _fault(file: Path, fault: str) -> NoReturn:
    raise ValueError(f"[load_run] {file}: {fault}")


def _as_json(what: str, value: Any) -> bytes:
    try:
        return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"[save_run] {what} cannot be written as JSON: {error}") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
