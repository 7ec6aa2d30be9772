"""PNG pictures of small tables of colours."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def png(indices: Array, palette: Array) -> bytes:
    """Return a picture with a palette as a PNG file.

    Parameters
    ----------
    indices
        Number of each pixel's colour (rows, columns), 0 to 255.
    palette
        Colours as red, green, blue and opacity (colours, 4), 0 to 255.

    Raises
    ------
    ValueError
        No pixels, too many colours, or an index that has none.

    Examples
    --------
    >>> png(np.zeros((1, 2), int), np.array([[255, 0, 0, 255]]))[1:4]
    b'PNG'
    """
    if indices.ndim != 2 or indices.size == 0:
        raise ValueError(f"[png] indices has shape {indices.shape}; needs (rows, columns), at least one of each")
    if palette.ndim != 2 or palette.shape[1] != 4 or not 1 <= len(palette) <= 256:
        raise ValueError(f"[png] palette has shape {palette.shape}; needs (colours, 4), at most 256 colours")
    if indices.min() < 0 or indices.max() >= len(palette):
        raise ValueError(f"[png] indices go from {indices.min()} to {indices.max()}; needs 0 to {len(palette) - 1}")
    from PIL import Image

    picture = Image.fromarray(indices.astype(np.uint8)).convert("P")
    picture.putpalette(palette.astype(np.uint8).tobytes(), "RGBA")
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def data_uri(picture: bytes) -> str:
    """Return a PNG as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
