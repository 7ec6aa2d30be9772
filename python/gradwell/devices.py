"""Other devices than the CPU: where their library is, and whether it can be used."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gradwell import _core

DEVICES = ("cpu", "cuda")
LIBRARY = "libgradwell_cuda.so"


class DeviceError(RuntimeError):
    """A device that cannot be used; the message says why, in one sentence."""


def check_device(operation: str, device: Any) -> str:
    """Return `device`, "cpu" or "cuda"; open the library where it is "cuda".

    Raises
    ------
    ValueError
        Another name.
    DeviceError
        There is no GPU that can be used; the message says why.
    """
    if not isinstance(device, str):
        raise TypeError(f"[{operation}] device is of type {type(device).__name__}; needs a str")
    if device not in DEVICES:
        raise ValueError(f'[{operation}] device is "{device}"; needs "cpu" or "cuda"')
    if device == "cuda":
        found = cuda_info()
        if not found["available"]:
            raise DeviceError(f'[{operation}] device "cuda" cannot be used: {found["reason"]}')
    return device


def default_device() -> str:
    """Return the device of networks that name none: that of the environment variable GRADWELL_DEVICE, or "cpu"."""
    return check_device("GRADWELL_DEVICE", os.environ.get("GRADWELL_DEVICE") or "cpu")


def cuda_info() -> dict[str, Any]:
    """Return what is known of the GPU: "available", and its facts or the "reason" why there is none.

    The library is looked for when this, or a device "cuda", is first asked for: in ``GRADWELL_CUDA_LIBRARY``, a path,
    else in the package ``gradwell_cuda13`` that ``pip install gradwell[cuda13]`` brings.

    Returns
    -------
    dict
        ``available``; then ``name``, ``compute_capability`` (major, minor), ``processors``, ``memory`` and ``free`` in
        bytes, ``driver`` and ``runtime`` (1000 major + 10 minor), ``library``; or ``reason``, one sentence.

    Examples
    --------
    >>> import gradwell as gw
    >>> isinstance(gw.cuda_info()["available"], bool)
    True
    """
    path = _library()
    if path is None:
        return {"available": False, "reason": "gradwell's CUDA library is not installed (pip install gradwell[cuda13])"}
    try:
        facts = _core.open_device_library(str(path))
    except MemoryError:
        return {"available": False, "reason": "the GPU has no memory left", "library": str(path)}
    except RuntimeError as error:
        return {"available": False, "reason": str(error), "library": str(path)}
    return {"available": True, **facts, "library": str(path)}


def _library() -> Path | None:
    named = os.environ.get("GRADWELL_CUDA_LIBRARY")
    if named:
        return Path(named)
    if not sys.platform.startswith("linux"):
        return None
    package = find_spec("gradwell_cuda13")
    places = package.submodule_search_locations if package is not None else None
    found = [Path(place) / LIBRARY for place in places or ()]
    return next((path for path in found if path.is_file()), None)


def set_cuda_precision(precision: str) -> None:
    """Choose what the factors of float32 matrix products on the GPU may be rounded to; sums stay in float32.

    Parameters
    ----------
    precision
        "float32" (the default, no rounding), "tf32" (10 bits of mantissa) or "bfloat16" (7 bits).

    Raises
    ------
    ValueError
        Another name.
    DeviceError
        There is no GPU that can be used.
    """
    check_device("set_cuda_precision", "cuda")
    _core.set_device_precision(precision)


@contextmanager
def kernels_on(device: str) -> Iterator[None]:
    """Run the functions of `gradwell.kernels` on a device: their arrays are copied there and back.

    It is how the kernels of a GPU are tested against those of the CPU. It holds for all threads, and not for the
    recurrent kernels.

    Examples
    --------
    >>> import gradwell as gw
    >>> import numpy as np
    >>> with gw.kernels_on("cpu"):
    ...     float(gw.kernels.activation_forward(np.array([0.0]), "sigmoid")[0])
    0.5
    """
    before = _core.kernels_on_device()
    _core.place_kernels(check_device("kernels_on", device) == "cuda")
    try:
        yield
    finally:
        _core.place_kernels(before)
