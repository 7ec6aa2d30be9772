"""What all layers have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, repr=False)
class Layer:
    """Base of all layers. `name` replaces the layer's index in parameter names."""

    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is None:
            return
        if not isinstance(self.name, str):
            raise TypeError(f"[layer] name is of type {type(self.name).__name__}; needs a str")
        if not self.name or "." in self.name or not self.name.isprintable():
            raise ValueError(f"[layer] name is {self.name!a}; needs printable characters without a full stop")

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings, as `from_description` reads them."""
        return {"class": type(self).__name__, **({"name": self.name} if self.name else {})}

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the layer: one entry, or more for a block of layers."""
        raise NotImplementedError

    def parts(self, name: str) -> list[tuple[str, Layer]]:
        """Return the layers inside this one and their names; none for most."""
        return []

    def __repr__(self) -> str:
        settings = {key: value for key, value in self.describe().items() if key != "class" and value is not None}
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"
