"""A command with a time limit, its output in a file."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 15.0  # seconds for a command that was told to stop, to say what it found


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    seconds: float
    stopped: bool  # at its limit


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, limit: float) -> Ended:
    """Run a command in `folder`; at its limit it and all that it started are interrupted, then killed."""
    begun = time.monotonic()
    stopped = False
    with log.open("w", encoding="utf-8") as file:
        try:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            file.write(f"{error}\n")
            return Ended(127, 0.0, False)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            stopped = True
            _signal(process, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            _signal(process, signal.SIGKILL)
            process.wait()
    return Ended(process.returncode, round(time.monotonic() - begun, 1), stopped)


def _signal(process: "subprocess.Popen[bytes]", what: signal.Signals) -> None:
    """Send a signal to the group that the command leads."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, what)
