"""The gradient record in files that other programs read: CSV, JSON and Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from gradwell.doctor.sides import Side
from gradwell.report.columns import Column, blocks, columns_of, values_of
from gradwell.statistics import QUANTITIES, GradientRecord

Array = NDArray[Any]

FORMAT: Final = 1  # of the Parquet file, in its metadata
_AT_ONCE: Final = 1_000_000  # values


def export(path: str | os.PathLike[str], what: Any, *, format: str | None = None) -> Path:
    r"""Write the gradient record to a file; it appears whole or not at all.

    "csv" and "parquet" have a row for each number: step, layer, kind, quantity, value. Kinds and quantities are those
    of `GradientRecord.get`, and "gain" by part, "update" and "size" by kind of parameter, "saturated" and "dead" of the
    kind "activation". What was not measured has an empty value. "json" is `GradientRecord.to_dict`. Numbers are written
    so that they are read back to the last bit, piece by piece: a long record needs little more memory than it has.

    Parameters
    ----------
    path
        The file; what was there is replaced.
    what
        A `History`, a watch (`gradwell.watch`) or a `GradientRecord`.
    format
        "csv", "json" or "parquet"; by default what the name ends with.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TypeError, ValueError
        Something that has no record, an empty record, or an unknown format.
    FileNotFoundError
        The folder does not exist.
    ImportError
        For Parquet, pyarrow is not installed: ``pip install "gradwell[parquet]"``.

    Examples
    --------
    >>> import gradwell as gw, tempfile, pathlib
    >>> x, y = gw.datasets.digits()
    >>> record = gw.gradients(gw.mlp([64, 30, 10], seed=0), x, y, loss="softmax_cross_entropy")
    >>> file = gw.report.export(pathlib.Path(tempfile.mkdtemp()) / "record.csv", record)
    >>> print(*file.read_text().splitlines()[:2], sep="\n")
    step,layer,kind,quantity,value
    0,0,error,count,53910.0
    """
    record = Side.of(what, "export", "what").record
    if not len(record):
        raise ValueError("[export] the record is empty; fit with stats=True, or use gw.gradients")
    target = Path(path).expanduser()
    chosen = target.suffix.lower().lstrip(".") if format is None else format
    if chosen not in _WRITERS:
        argument = "path" if format is None else "format"
        raise ValueError(f'[export] {argument} is "{path if format is None else format}"; needs {_known()}')
    if not target.name or not target.parent.is_dir():
        raise FileNotFoundError(f"[export] {target}: no such folder, or no file name")
    writer = _WRITERS[chosen]
    with _whole(target) as file:
        writer(file, record)
    return target


def _known() -> str:
    return ", ".join(f'"{name}"' for name in _WRITERS)


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `target`; sync it and rename it once all is written, remove it on any error."""
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _rows_at_once(columns: list[Column]) -> int:
    return max(1, _AT_ONCE // max(len(columns), 1))


def _write_csv(file: IO[bytes], record: GradientRecord) -> None:
    columns = columns_of(record)
    cells = [_cells("", record.layers[c.layer], c.kind, c.quantity, "") for c in columns]
    file.write(b"step,layer,kind,quantity,value\n")
    for part in blocks(record, _rows_at_once(columns)):
        for step, values in zip(part.steps.tolist(), values_of(part, columns).tolist(), strict=True):
            lines = [cell + ("" if isnan(v) else repr(v)) for cell, v in zip(cells, values, strict=True)]
            between = f"\n{step}"
            file.write(f"{step}{between.join(lines)}\n".encode())


def _cells(*cells: str) -> str:
    """Return cells as a line of CSV: names may have commas and quotes in them."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _write_json(file: IO[bytes], record: GradientRecord) -> None:
    """Write what `json.dumps(record.to_dict())` would, without holding it."""
    outline = record[:0].to_dict()  # every name, and what does not grow with the record
    outline["steps"] = record.steps.tolist()
    if record.recurrent:
        outline["time"] = [record.time(i).to_dict() for i in record.recurrent]
    tables: dict[str, Any] = {kind: {q: _asking(record.get, kind, q) for q in QUANTITIES} for kind in record.kinds}
    tables["gain"] = {part: _asking(record.gain, part) for part in outline["gain"]}
    tables["update"] = {kind: _asking(record.update, kind) for kind in outline["update"]}
    tables |= {"saturated": record.saturated, "dead": record.dead}
    for piece in _json_pieces(outline, tables):
        file.write(piece.encode())


def _asking(ask: Callable[..., Array], *arguments: str) -> Callable[[], Array]:
    return lambda: ask(*arguments)


def _json_pieces(outline: dict[str, Any], tables: dict[str, Any]) -> Iterator[str]:
    yield "{"
    for i, (name, value) in enumerate(outline.items()):
        yield f"{', ' if i else ''}{json.dumps(name)}: "
        table = tables.get(name)
        if table is None:
            yield json.dumps(value)
        elif isinstance(table, dict):
            yield from _json_pieces(value, table)
        else:
            yield from _json_rows(table())
    yield "}"


def _json_rows(values: Array) -> Iterator[str]:
    yield "["
    rows = max(1, _AT_ONCE // max(values.shape[1], 1))
    for begin in range(0, len(values), rows):
        text = json.dumps(values[begin : begin + rows].tolist())[1:-1]
        for name in ("-Infinity", "Infinity", "NaN"):  # numbers only: there is no other text in it
            text = text.replace(name, "null")
        yield f"{', ' if begin else ''}{text}"
    yield "]"


def _write_parquet(file: IO[bytes], record: GradientRecord) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ImportError('Parquet files need pyarrow: pip install "gradwell[parquet]"') from None
    columns = columns_of(record)
    names = [
        list(record.layers),
        list(dict.fromkeys(c.kind for c in columns)),
        list(dict.fromkeys(c.quantity for c in columns)),
    ]
    codes = [
        np.array([c.layer for c in columns], np.int32),
        np.array([names[1].index(c.kind) for c in columns], np.int32),
        np.array([names[2].index(c.quantity) for c in columns], np.int32),
    ]
    about = {"format": FORMAT, "layers": record.layers, "descriptions": record.descriptions, "loss": record.loss}
    text = pa.dictionary(pa.int32(), pa.string())
    fields = [("step", pa.int64()), ("layer", text), ("kind", text), ("quantity", text), ("value", pa.float64())]
    schema = pa.schema(fields, metadata={"gradwell": json.dumps(about)})
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for part in blocks(record, _rows_at_once(columns)):
            values = values_of(part, columns).ravel()
            arrays = [pa.array(np.repeat(part.steps.astype(np.int64), len(columns)))]
            arrays += [
                pa.DictionaryArray.from_arrays(pa.array(np.tile(code, len(part))), pa.array(known, pa.string()))
                for code, known in zip(codes, names, strict=True)
            ]
            arrays.append(pa.array(values, mask=np.isnan(values)))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=len(values))


_WRITERS: Final = {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}
