"""What was taken apart to be stored, and is put together again: every part is looked at before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def array_part(arrays: Mapping[str, Array], name: str, dtype: str, shape: Sequence[int | None]) -> Array:
    """Return an array by name; raise ValueError unless it has this dtype and shape, None standing for any length.

    Examples
    --------
    >>> array_part({"steps": np.zeros(3)}, "steps", "float64", (None,))
    array([0., 0., 0.])
    """
    if name not in arrays:
        raise ValueError(f"{name} is missing; there are {', '.join(sorted(arrays)) or 'no arrays'}")
    found = arrays[name]
    fits = found.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, found.shape, strict=True))
    if not fits or found.dtype != np.dtype(dtype):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} is {found.dtype} {found.shape}; needs {dtype} ({wanted})")
    return found


def part(description: Any, name: str, *kinds: type | None) -> Any:
    """Return a setting by name; raise ValueError unless its type is one of `kinds`, None allowing null.

    A whole number will do for a float; True and False are no numbers.

    Examples
    --------
    >>> part({"seconds": 2}, "seconds", float)
    2
    """
    if not isinstance(description, dict):
        raise ValueError(f"there is {_brief(description)} where {name} is looked for; needs names and values")
    if name not in description:
        raise ValueError(f"{name} is missing")
    value = description[name]
    kind = None if value is None else type(value)
    if kind not in kinds and not (kind is int and float in kinds):
        wanted = " or ".join("null" if k is None else k.__name__ for k in kinds)
        raise ValueError(f"{name} is {_brief(value)}; needs {wanted}")
    return value


def list_part(description: Any, name: str, kind: type) -> list[Any]:
    """Return a list by name; raise ValueError unless all of it is of one type.

    Examples
    --------
    >>> list_part({"layers": ["0", "2"]}, "layers", str)
    ['0', '2']
    """
    values: list[Any] = part(description, name, list)
    for value in values:
        if type(value) is not kind:
            raise ValueError(f"{name} has {_brief(value)}; needs {kind.__name__} only")
    return values


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
