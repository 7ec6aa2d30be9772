"""IDX files, the format MNIST is distributed in."""

import gzip
import math
import os
import stat
import struct
import sys
import zlib
from typing import Any, BinaryIO, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

_ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_MOST_DIMENSIONS = 32  # what NumPy 1.x arrays can have
_DEFLATE_MOST = 1032  # one compressed byte unfolds to at most this many (zlib technical notes)
_CHUNK = 1 << 20


def load_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an IDX file, compressed with gzip or plain.

    Compression is recognised by the file's first bytes, not by its name. The header's promise is checked
    against the file's size before anything is allocated, and no more is unpacked than it promises.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    ndarray
        Shape and element type as the header says (uint8, int8, int16, int32, float32 or float64), in the
        machine's byte order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not IDX, is cut off, has bytes left over, or its gzip stream is damaged.

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges (1998), The MNIST database of handwritten digits, section "File
    formats".

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "labels")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1]) + (3).to_bytes(4, "big") + bytes([5, 0, 4]))
    ...     load_idx(file)
    array([5, 0, 4], dtype=uint8)
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            _refuse(name, "got a pipe or device, needed a regular file, whose size can be checked")
        if file.peek(2)[:2] != b"\x1f\x8b":
            return _read(name, file, status.st_size)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read(name, cast(BinaryIO, unpacked), status.st_size * _DEFLATE_MOST)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"[load_idx] {name}: the gzip stream is damaged or cut off: {error}") from error


def _read(name: str, file: BinaryIO, most: int) -> NDArray[Any]:
    """Read header and elements; `most` bounds how many bytes the file can hold."""
    element, shape = _read_header(name, file)
    declared = " x ".join(map(str, shape)) + f" {element.newbyteorder('=')}"
    if math.prod(max(size, 1) for size in shape) * element.itemsize > sys.maxsize:
        _refuse(name, f"the header declares {declared}, needed a size that fits into memory")
    needed = math.prod(shape) * element.itemsize
    header = 4 + 4 * len(shape)
    if needed > most - header:
        _refuse(name, f"truncated: got at most {max(most - header, 0)} bytes, needed {needed} for {declared}")
    data = bytearray()
    while len(data) < needed:
        chunk = file.read(min(_CHUNK, needed - len(data)))
        if not chunk:
            _refuse(name, f"truncated: got {len(data)} bytes, needed {needed} for {declared}")
        data += chunk
    if file.read(1):
        _refuse(name, f"trailing bytes: got more than the {needed} bytes needed for {declared}")
    return np.frombuffer(data, element).astype(element.newbyteorder("="), copy=False).reshape(shape)


def _read_header(name: str, file: BinaryIO) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4:
        _refuse(name, f"truncated: got {len(magic)} bytes, needed 4 for the magic number")
    if magic[:2] != b"\0\0":
        _refuse(name, f"bad magic: got bytes {magic.hex(' ')}, needed 00 00 <element type> <dimensions>")
    code, dimensions = magic[2], magic[3]
    if code not in _ELEMENT_TYPES:
        known = ", ".join(f"0x{key:02x} ({value.newbyteorder('=')})" for key, value in _ELEMENT_TYPES.items())
        _refuse(name, f"unknown element type: got 0x{code:02x}, needed one of {known}")
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        _refuse(name, f"bad magic: got {dimensions} dimensions, needed 1 to {_MOST_DIMENSIONS}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        _refuse(name, f"truncated: got {len(sizes)} bytes, needed {4 * dimensions} for {dimensions} sizes")
    return _ELEMENT_TYPES[code], struct.unpack(f">{dimensions}I", sizes)


def _refuse(name: str, message: str) -> NoReturn:
    raise ValueError(f"[load_idx] {name}: {message}")
