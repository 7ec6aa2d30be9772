"""Tables from CSV and NPZ files."""

import csv
import math
import operator
import os
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

_MOST_CLASSES = 20  # whole numbers of more different values than this are taken for a quantity


class Dataset(NamedTuple):
    """Rows to train on; ``data[:2]`` is the pair ``(x, y)``."""

    x: NDArray[Any]  # (rows, features), floating point
    y: NDArray[Any] | None  # (rows,): class numbers in int64, or values; None without a target
    feature_names: tuple[str, ...]  # one for each column of x; empty where the file names none
    classes: tuple[str, ...] | None  # classes[k] is the text of class k; None where y is not classes


def load_csv(
    path: str | os.PathLike[str],
    *,
    target: str | int | None = None,
    delimiter: str = ",",
    header: Literal["auto"] | bool = "auto",
    dtype: DTypeLike = "float32",
    target_kind: Literal["auto", "class", "value"] = "auto",
) -> Dataset:
    r"""Read a table of numbers, with one column to predict, from a CSV file (UTF-8).

    Parameters
    ----------
    path : str or path-like
        The file. Blank lines are skipped; spaces around a cell do not count; nan and inf are numbers.
    target : str or int, optional
        The column that becomes ``y``: its name in the header, or its index (negative counts from the end).
    delimiter : str
        The one character between cells.
    header : "auto" or bool
        Whether the first row names the columns. "auto": it does if none of its cells is a number.
    dtype : "float32" or "float64"
        Of ``x``, and of a ``y`` of values.
    target_kind : "auto", "class" or "value"
        "class": ``y`` numbers the different texts of the column in order (by number where all are numbers,
        else alphabetically). "value": ``y`` is the column as numbers. "auto": class if no cell is a number,
        or if all are whole numbers of at most 20 different values; value if all are numbers otherwise.
        A mixture of numbers and text is refused, since it may be a misprint: say which it is.

    Returns
    -------
    Dataset
        ``x`` (rows, features), ``y`` (rows,) or None, ``feature_names`` and ``classes``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        Naming line, column and text of a cell that is not a number, the line of a row with too few or too
        many cells, or the columns there are where `target` is not one of them.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "iris.csv")
    ...     _ = file.write_text("length,width,kind\n5.1,3.5,setosa\n6.3,3.3,virginica\n")
    ...     data = load_csv(file, target="kind")
    >>> data.x.shape, data.y.tolist(), data.feature_names, data.classes
    ((2, 2), [0, 1], ('length', 'width'), ('setosa', 'virginica'))
    """
    if len(delimiter) != 1:
        raise ValueError(f"[load_csv] delimiter is {delimiter!r}, needed one character")
    if header not in ("auto", True, False):
        raise ValueError(f"[load_csv] header is {header!r}, needed 'auto', True or False")
    if target_kind not in ("auto", "class", "value"):
        raise ValueError(f"[load_csv] target_kind is {target_kind!r}, needed 'auto', 'class' or 'value'")
    if target_kind != "auto" and target is None:
        raise ValueError(f"[load_csv] target_kind is {target_kind!r} but target is None, needed a column")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"[load_csv] dtype is {np.dtype(dtype)}, needed float32 or float64")

    rows = _read_rows(path, delimiter)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"[load_csv] {os.fspath(path)}: got an empty file, needed rows of numbers")
    named = not any(map(_is_number, first[1])) if header == "auto" else header
    table = _Table(path, [cell.strip() for cell in first[1]] if named else None, len(first[1]), target)
    if not named:
        table.append(*first)
    for line, cells in rows:
        table.append(line, cells)
    if not table.lines:
        table.refuse("got a header only, needed rows of numbers")

    x = table.cast(np.frombuffer(table.numbers).reshape(len(table.lines), -1), dtype, table.features)
    names = tuple(table.names[column] for column in table.features) if table.names else ()
    if table.target is None:
        return Dataset(x, None, names, None)
    texts = table.texts
    if target_kind == "class" or table.is_class(target_kind):
        ordered = all(_is_number(text) and not math.isnan(float(text)) for text in texts)
        classes = sorted(set(texts), key=lambda text: (float(text) if ordered else 0.0, text))
        numbers = {text: number for number, text in enumerate(classes)}
        return Dataset(x, np.array([numbers[text] for text in texts], np.int64), names, tuple(classes))
    values = np.array([float(text) for text in texts]).reshape(-1, 1)
    return Dataset(x, table.cast(values, dtype, [table.target])[:, 0], names, None)


def _read_rows(path: str | os.PathLike[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of every row that is not blank."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=not delimiter.isspace(), strict=True)
        try:
            for row in reader:
                if len(row) > 1 or (row and row[0].strip()):
                    yield reader.line_num, row
        except csv.Error as error:
            raise ValueError(f"[load_csv] {os.fspath(path)}: line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"[load_csv] {os.fspath(path)}: is not UTF-8 text: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_000 as a number; in a table it is more likely a name


class _Table:
    """The rows read so far, and where each came from, so that an error can say it."""

    def __init__(
        self, path: str | os.PathLike[str], names: list[str] | None, width: int, target: str | int | None
    ) -> None:
        self.path = os.fspath(path)
        self.names = names
        self.width = width
        self.target = None if target is None else self._index(target)
        self.features = [column for column in range(width) if column != self.target]
        if not self.features:
            self.refuse("the target is the only column, needed at least one more")
        self.numbers = array("d")  # features, row after row
        self.texts: list[str] = []  # the target
        self.lines = array("q")

    def _index(self, target: str | int) -> int:
        names = self.names or []
        if isinstance(target, str) and names.count(target) > 1:
            self.refuse(f"target {target!r} is the name of {names.count(target)} columns; give its index")
        if isinstance(target, str) and target in names:
            return names.index(target)
        if not isinstance(target, str) and -self.width <= target < self.width:
            return operator.index(target) % self.width
        known = ", ".join(map(repr, names)) or f"0 to {self.width - 1}, without names (no header)"
        self.refuse(f"target {target!r} is not a column; the columns are {known}")

    def append(self, line: int, cells: list[str]) -> None:
        if len(cells) != self.width:
            self.refuse(f"got {len(cells)} cells, needed {self.width} as in the first row", line)
        self.lines.append(line)
        if self.target is not None:
            self.texts.append(cells.pop(self.target).strip())
        try:
            self.numbers.extend(map(float, cells))
            sound = "_" not in "".join(cells)
        except ValueError:
            sound = False
        if not sound:
            bad = next(index for index, cell in enumerate(cells) if not _is_number(cell))
            self.refuse(f"{cells[bad].strip()!r} is not a number", line, self.features[bad])

    def is_class(self, kind: str) -> bool:
        numeric = [_is_number(text) for text in self.texts]
        if all(numeric):
            different = set(self.texts)
            whole = all(text.lstrip("+-").isdecimal() for text in different)
            return kind == "auto" and whole and len(different) <= _MOST_CLASSES
        if kind == "auto" and not any(numeric):
            return True
        bad = numeric.index(False)
        message = f"{self.texts[bad]!r} is not a number"
        if kind == "auto":
            message += f", but {sum(numeric)} other targets are; correct it or pass target_kind='class'"
        self.refuse(message, self.lines[bad], self.target)

    def cast(self, values: NDArray[np.float64], dtype: DTypeLike, columns: list[int]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            result = values.astype(dtype)
        lost = np.argwhere(np.isinf(result) & np.isfinite(values))
        if lost.size:
            row, column = map(int, lost[0])
            message = f"{values[row, column]:g} is too large for {result.dtype}"
            self.refuse(message, self.lines[row], columns[column])
        return result

    def refuse(self, message: str, line: int | None = None, column: int | None = None) -> NoReturn:
        where = f"[load_csv] {self.path}: "
        if line is not None:
            where += f"line {line}: "
        if column is not None:
            where += f"column {column}" + (f" {self.names[column]!r}: " if self.names else ": ")
        raise ValueError(where + message)


def load_npz(path: str | os.PathLike[str], x: str = "x", y: str | None = "y") -> Dataset:
    """Read two arrays from a NumPy ``.npz`` file; pickled objects in it are refused, never run.

    Parameters
    ----------
    path : str or path-like
        The file.
    x : str
        Name of the inputs, (rows, features) or more dimensions. float32 and float64 stay; other numbers
        become float32.
    y : str or None
        Name of the targets, (rows,) or more dimensions. float32 and float64 stay; integers become int64.
        None: there are none.

    Returns
    -------
    Dataset
        ``x`` and ``y``; ``feature_names`` is empty and ``classes`` is None.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ``.npz`` file, lacks a name (those present are listed), holds something else than
        real numbers, or the row counts differ.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "table.npz")
    ...     np.savez(file, x=np.eye(3), y=np.arange(3))
    ...     data = load_npz(file)
    >>> data.x.shape, data.y
    ((3, 3), array([0, 1, 2]))
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"[load_npz] {name}: is not an .npz file, needed one written by numpy.savez")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as stored:
                wanted = [key for key in (x, y) if key is not None]
                missing = [key for key in wanted if key not in stored]
                present = ", ".join(map(repr, stored.files)) or "nothing"
                arrays = {key: np.asarray(stored[key]) for key in wanted if not missing}
        except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"[load_npz] {name}: cannot be read: {error}") from error
    if missing:
        raise ValueError(f"[load_npz] {name}: got {present}, needed {missing[0]!r}")
    for key, least in ((x, 2), (y, 1)):
        if key is not None and (arrays[key].dtype.kind not in "biuf" or arrays[key].ndim < least):
            got = f"{arrays[key].dtype} {arrays[key].shape}"
            raise ValueError(f"[load_npz] {name}: {key!r} is {got}, needed real numbers in {least} or more dimensions")
    inputs = _as_number(arrays[x], np.dtype(np.float32))
    if y is None:
        return Dataset(inputs, None, (), None)
    whole = arrays[y].dtype.kind in "biu"
    targets = _as_number(arrays[y], np.dtype(np.int64 if whole else np.float32))
    if len(inputs) != len(targets):
        raise ValueError(f"[load_npz] {name}: {x!r} has {len(inputs)} rows but {y!r} has {len(targets)}")
    return Dataset(inputs, targets, (), None)


def _as_number(values: NDArray[Any], other: np.dtype[Any]) -> NDArray[Any]:
    """Keep float32 and float64, in the machine's byte order; turn any other type into `other`."""
    native = values.dtype.newbyteorder("=")
    return values.astype(native if native in (np.float32, np.float64) else other, copy=False)
