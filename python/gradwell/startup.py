"""The first import of the compiled part: where it fails under the command line, a line on stderr and no traceback."""

from __future__ import annotations

import sys
from pathlib import Path


def is_command(arguments: list[str]) -> bool:
    """Whether this process is the command ``gradwell``, or ``python -m gradwell``.

    Examples
    --------
    >>> is_command(["/usr/bin/gradwell", "info"]), is_command(["train.py"])
    (True, False)
    """
    return bool(arguments) and (arguments[0] == "-m" or Path(arguments[0]).stem == "gradwell")


try:
    from gradwell import _core  # noqa: F401
except ImportError as error:
    if not is_command(getattr(sys, "argv", [])):
        raise
    sys.stderr.write(f"gradwell: {' '.join(str(error).split())}\n")
    raise SystemExit(2) from None
