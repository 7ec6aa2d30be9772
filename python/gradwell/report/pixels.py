"""PNG pictures of small tables of colours, without an imaging library."""

from __future__ import annotations

import base64
import struct
import zlib
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
    rows, columns = indices.shape
    colours = palette.astype(np.uint8)
    lines = np.zeros((rows, columns + 1), np.uint8)  # each line begins with its filter, 0: none
    lines[:, 1:] = indices
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", colours[:, :3].tobytes()),
            _chunk(b"tRNS", colours[:, 3].tobytes()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def data_uri(picture: bytes) -> str:
    """Return a PNG as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
