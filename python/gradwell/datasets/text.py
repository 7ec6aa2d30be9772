"""Text as sequences of characters."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.datasets.arguments import whole_number

_CODES = "<u4"  # UTF-32: one number a character
_ALL = "surrogatepass"  # lone surrogates too


@dataclass(frozen=True)
class Characters:
    """A vocabulary of characters, and the tokens that stand for them.

    Parameters
    ----------
    vocabulary : str
        Different characters in the order of their code points; token k is character k. `Characters.of` makes
        it from a text.

    Raises
    ------
    TypeError, ValueError
        If the vocabulary is not such a string.

    Examples
    --------
    >>> characters = Characters.of("a banana")
    >>> characters
    Characters(vocabulary=' abn')
    >>> tokens = characters.encode("banana")
    >>> tokens.tolist(), characters.decode(tokens)
    ([2, 1, 3, 1, 3, 1], 'banana')
    >>> len(characters)
    4
    """

    vocabulary: str

    def __post_init__(self) -> None:
        _check_text("Characters", "vocabulary", self.vocabulary)
        if not self.vocabulary:
            raise ValueError("[Characters] vocabulary is empty; needs at least 1 character")
        if list(self.vocabulary) != sorted(set(self.vocabulary)):
            needed = "".join(sorted(set(self.vocabulary)))
            raise ValueError(f"[Characters] vocabulary is {self.vocabulary!r}; needs order and no repeats: {needed!r}")

    @classmethod
    def of(cls, text: str) -> "Characters":
        """Return the vocabulary of the distinct characters of `text`."""
        _check_text("Characters.of", "text", text)
        if not text:
            raise ValueError("[Characters.of] text is empty; needs at least 1 character")
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> NDArray[np.int64]:
        """Return the token of each character of `text`, shape (len(text),).

        Raises
        ------
        TypeError
            If `text` is no string.
        ValueError
            If it holds a character that is not in the vocabulary: the first such, and where.
        """
        _check_text("Characters.encode", "text", text)
        known, given = _codes(self.vocabulary), _codes(text)
        tokens = np.minimum(np.searchsorted(known, given), len(known) - 1)
        unknown = np.flatnonzero(known[tokens] != given)
        if unknown.size:
            where = int(unknown[0])
            raise ValueError(
                f"[Characters.encode] text has {text[where]!r} at position {where}; "
                f"needs characters of the vocabulary {self.vocabulary!r}"
            )
        return tokens.astype(np.int64, copy=False)

    def decode(self, tokens: ArrayLike) -> str:
        """Return the text that `tokens`, shape (n,), stand for.

        Raises
        ------
        TypeError
            If the tokens are no integers.
        ValueError
            If they have more than one axis, or one is outside of the vocabulary.
        """
        array = _token_array("Characters.decode", tokens)
        outside = np.flatnonzero((array < 0) | (array >= len(self)))
        if outside.size:
            where = int(outside[0])
            raise ValueError(
                f"[Characters.decode] tokens has {array[where]} at position {where}; needs 0 to {len(self) - 1}"
            )
        codes: bytes = _codes(self.vocabulary)[array].tobytes()
        return codes.decode("utf-32-le", _ALL)


def character_windows(
    tokens: ArrayLike, length: int, *, stride: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut tokens into windows and, for each, the tokens that come one step later.

    Parameters
    ----------
    tokens : array_like of integers, shape (m,)
        A text, as `Characters.encode` gives it.
    length : int
        Steps in a window.
    stride : int, optional
        How far one window begins behind the one before it; by default `length`, so that none overlap.

    Returns
    -------
    inputs : ndarray of int64, shape (n, length)
        All windows that fit: n = (m - 1 - length) // stride + 1.
    targets : ndarray of int64, shape (n, length)
        ``targets[i, t]`` is the token that follows ``inputs[i, t]``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or the tokens do not fill one window and its targets.

    Examples
    --------
    >>> inputs, targets = character_windows(np.arange(8), 3)
    >>> inputs.tolist(), targets.tolist()
    ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    array = _token_array("character_windows", tokens)
    length = whole_number("character_windows", "length", length)
    step = length if stride is None else whole_number("character_windows", "stride", stride)
    if len(array) <= length:
        raise ValueError(
            f"[character_windows] tokens has {len(array)} elements; needs at least {length + 1} for length {length}"
        )
    windows = np.lib.stride_tricks.sliding_window_view(array, length + 1)[::step]
    return windows[:, :-1].astype(np.int64), windows[:, 1:].astype(np.int64)


def read_text(path: str | os.PathLike[str]) -> str:
    r"""Read a text file in UTF-8.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    str
        Its text. Lines end in ``\n``, whatever they ended in; a byte order mark is left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty or not UTF-8.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "tale.txt")
    ...     _ = file.write_bytes(b"Once.\r\n")
    ...     read_text(file)
    'Once.\n'
    """
    name = os.fspath(path)
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"[read_text] {name}: no such file; needs a text file in UTF-8") from error
    except IsADirectoryError as error:
        raise IsADirectoryError(f"[read_text] {name} is a folder; needs a text file in UTF-8") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise ValueError(f"[read_text] {name}: got byte 0x{byte:02x} at {error.start}, needed UTF-8") from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        raise ValueError(f"[read_text] {name}: got an empty file, needed at least 1 character")
    return text


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", _ALL), np.dtype(_CODES))


def _check_text(operation: str, argument: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"[{operation}] {argument} is of type {type(value).__name__}; needs a str")


def _token_array(operation: str, tokens: ArrayLike) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(tokens)
    if isinstance(tokens, Sequence) and not array.size:
        array = array.astype(np.int64)  # an empty list has no type of its own
    if array.dtype.kind not in "iu":
        raise TypeError(f"[{operation}] tokens has dtype {array.dtype}; needs integers")
    if array.ndim != 1:
        raise ValueError(f"[{operation}] tokens has shape {array.shape}; needs one axis")
    return array
