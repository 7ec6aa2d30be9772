"""Print what pyproject.toml requires: `build` for building, or the name of an extra."""

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib


def requirements(wanted: str) -> list[str]:
    """Return the requirements, without spaces so that a shell can split them."""
    path = Path(__file__).resolve().parents[1] / "pyproject.toml"
    project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    found = project["build-system"]["requires"] if wanted == "build" else extras[wanted]
    return [line.replace(" ", "") for line in found]


if __name__ == "__main__":
    print(" ".join(requirements(sys.argv[1])))
