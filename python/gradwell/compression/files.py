"""Compressors on disk: a safetensors file with settings and descriptions in its metadata."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.boltzmann.files import read, write
from gradwell.compression.compressor import HistoryCompressor
from gradwell.compression.history import CompressionHistory
from gradwell.compression.predictor import Predictor
from gradwell.compression.reader import CELLS, Reader
from gradwell.parts import list_part, part

Array = NDArray[Any]

WHAT = "gradwell HistoryCompressor"


def save_compressor(compressor: HistoryCompressor, path: str | os.PathLike[str]) -> None:
    """Write a compressor to a file."""
    assert compressor.history_ is not None
    said, arrays = compressor.history_.to_arrays()
    arrays = {f"history/{name}": array for name, array in arrays.items()}
    readers = [predictor.reader for predictor in compressor.predictors]
    for i, predictor in enumerate(compressor.predictors):
        arrays[f"kinds/{i}"] = predictor.kinds
    if compressor.classifier is not None:
        readers.append(compressor.classifier)
        arrays["classes"] = compressor.classes_
    for i, reader in enumerate(readers):
        arrays |= {f"weights/{i}/{name}": array for name, array in reader.parameters.items()}
    about = {
        "settings": compressor.settings.as_dict(),
        "symbols": compressor.symbols,
        "levels": compressor.levels,
        "longest": [reader.longest for reader in readers],
        "history": said,
    }
    write(path, WHAT, about, {name: np.asarray(array, order="C") for name, array in arrays.items()})


def load_compressor(path: str | os.PathLike[str]) -> HistoryCompressor:
    """Return the compressor that `save_compressor` wrote."""
    about, arrays = read(path, WHAT)
    try:
        return _from_parts(about, arrays)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"[load] {Path(path)}: {error}") from None


def _from_parts(about: Any, arrays: dict[str, Array]) -> HistoryCompressor:
    compressor = HistoryCompressor(**part(about, "settings", dict))
    s, levels, longest = compressor.settings, part(about, "levels", int), list_part(about, "longest", list)
    symbols = compressor.symbols = part(about, "symbols", int)
    labelled = "classes" in arrays
    if len(longest) != levels + labelled or levels > s.max_levels or symbols < 1:
        raise ValueError(f"has {len(longest)} nets but its levels need {levels + labelled}")
    for i in range(levels):
        kinds = _checked(arrays, f"kinds/{i}", 2, "int64")
        if kinds.shape[1] != 1 + i or len(longest[i]) != i:
            raise ValueError(f"kinds/{i} is {kinds.shape} but its level needs (kinds, {1 + i})")
        reader = Reader(s.cell, s.hidden_size, symbols, longest[i], len(kinds) + bool(i), True, s.dtype)
        _fill(reader, i, arrays)
        compressor.predictors.append(Predictor(reader, kinds, s.surprise))
    if labelled:
        compressor.classes_ = _checked(arrays, "classes", 1, "int64")
        cell, units = s.classifier_cell or s.cell, s.classifier_size or s.hidden_size
        reader = Reader(cell, units, symbols, longest[levels], len(compressor.classes_), False, s.dtype)
        if len(longest[levels]) != levels:
            raise ValueError(f"its classifier has {len(longest[levels])} gaps but needs {levels}")
        _fill(reader, levels, arrays)
        compressor.classifier = reader
    inside = {name.removeprefix("history/"): a for name, a in arrays.items() if name.startswith("history/")}
    compressor.history_ = CompressionHistory.from_arrays(about["history"], inside)
    return compressor


def _checked(arrays: dict[str, Array], name: str, dimensions: int, dtype: str) -> Array:
    array = arrays[name]
    if array.ndim != dimensions or array.dtype != dtype or not array.size:
        raise ValueError(f"{name} is {array.dtype} {array.shape}; needs {dtype} of {dimensions} dimensions")
    return array


def _fill(reader: Reader, number: int, arrays: dict[str, Array]) -> None:
    prefix = f"weights/{number}/"
    found = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    gates = len(CELLS[reader.cell].gates)
    first = found["0.weight"].shape  # looked at before anything as large as it says is made
    if first != (reader.width, gates * reader.units):
        raise ValueError(f"{prefix}0.weight is {first} but its net needs ({reader.width}, {gates * reader.units})")
    needed = dict(reader.network(1).parameters)
    if set(needed) != set(found):
        raise ValueError(f"net {number} has weights {', '.join(sorted(found))}; needs {', '.join(sorted(needed))}")
    for name, view in needed.items():
        array = found[name]
        if array.shape != view.shape or array.dtype != view.dtype or not np.isfinite(array).all():
            raise ValueError(f"{prefix}{name} is {array.dtype} {array.shape}; needs finite {view.dtype} {view.shape}")
    reader.parameters = found
