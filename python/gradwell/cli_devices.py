"""``--device`` of the command line, and what ``gradwell info`` says of the GPU."""

from __future__ import annotations

import os
from typing import Any

from gradwell.devices import check_device


def choose(device: str | None) -> None:
    """Make the networks of this process those of a device; of its workers too.

    Raises
    ------
    ValueError
        Unknown.
    DeviceError
        It cannot be used.
    """
    if device is not None:
        os.environ["GRADWELL_DEVICE"] = check_device("device", device)


def described(found: dict[str, Any]) -> str:
    """Return one line of what `gradwell.cuda_info` found.

    Examples
    --------
    >>> described({"available": False, "reason": "there is no NVIDIA GPU"})
    'none: there is no NVIDIA GPU'
    """
    if not found["available"]:
        return f"none: {found['reason']}"
    version = ".".join(map(str, found["compute_capability"]))
    driver = f"{found['driver'] // 1000}.{found['driver'] % 1000 // 10}"
    free, memory = found["free"] / 2**30, found["memory"] / 2**30
    room = f"{free:.1f} of {memory:.1f} GiB free"
    return f"{found['name']}, compute capability {version}, {room}, driver for CUDA {driver}"
