"""The gradient record as TensorBoard events: scalars and histograms by step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any, Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count
from gradwell.doctor.sides import Side
from gradwell.report.columns import GAINS, parameters_of
from gradwell.statistics import GradientRecord

Array = NDArray[Any]

_SHOWN: Final = ("zeros", "smallest", "largest", "norm", "nans", "infs")
_NORMS: Final = {"error": "norm of the error", "activation": "norm of the output"}


def tensorboard(folder: str | os.PathLike[str], what: Any, *, points: int = 1000, histograms: int = 100) -> Path:
    """Write loss, metrics and the gradient record as an event file that TensorBoard reads.

    Scalars are the loss by step, the metrics by epoch, and for each layer the norms of error, output and gradients, the
    gain and its parts, the relative updates, and the shares of saturated and dead units. Histograms are of the
    magnitudes of errors, gradients and outputs, between powers of two; zeros are counted below the smallest. What was
    not measured is left out. Event files hold scalars in float32: what is below its range reads 0.

    Parameters
    ----------
    folder
        Made where it is missing. One folder is one run: a folder that has events is refused.
    what
        A `History`, a watch (`gradwell.watch`) or a `GradientRecord`.
    points, histograms
        At most so many steps of scalars and of histograms, evenly spread; TensorBoard itself shows 1,000 and 500.

    Returns
    -------
    Path
        The event file.

    Raises
    ------
    TypeError, ValueError
        Something that has no record, an empty record, counts below 1.
    FileExistsError
        The folder has events already.
    ImportError
        tensorboardX is not installed: ``pip install "gradwell[tensorboard]"``.

    Examples
    --------
    >>> gw.report.tensorboard("runs/first", history)  # doctest: +SKIP
    """
    run = Side.of(what, "tensorboard", "what")
    check_count("tensorboard", "points", points)
    check_count("tensorboard", "histograms", histograms)
    if not len(run.record):
        raise ValueError("[tensorboard] the record is empty; fit with stats=True, or use gw.gradients")
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
    except ImportError:
        raise ImportError('TensorBoard events need tensorboardX: pip install "gradwell[tensorboard]"') from None
    target = Path(folder).expanduser()
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"[tensorboard] {target}: is a file; needs a folder")
    if target.is_dir() and any("tfevents" in file.name for file in target.iterdir()):
        raise FileExistsError(f"[tensorboard] {target}: has events already; each run needs a folder of its own")
    target.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    temporary.mkdir()
    try:
        writer = EventsWriter(str(temporary / "events"))
        for step, summary in _summaries(run, points, histograms):
            writer.write_event(Event(wall_time=time(), step=step, summary=summary))
        writer.close()
        (made,) = temporary.iterdir()
        with open(made, "rb") as file:
            os.fsync(file.fileno())
        os.replace(made, target / made.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target / made.name


def _summaries(run: Side, points: int, histograms: int) -> Iterator[tuple[int, Any]]:
    from tensorboardX.proto.summary_pb2 import Summary

    def scalars(values: dict[str, float]) -> Any:
        known = {tag: value for tag, value in values.items() if not np.isnan(value)}
        return Summary(value=[Summary.Value(tag=tag, simple_value=float(value)) for tag, value in known.items()])

    every = _every(run.losses, points)
    for step, loss in zip(run.loss_steps[::every].tolist(), run.losses[::every].tolist(), strict=True):
        yield step, scalars({"loss/step": loss})
    for name, values in run.epochs.items():
        for epoch, value in enumerate(values.tolist(), start=1):
            yield epoch, scalars({f"epoch/{name}": value})
    record = run.record
    for row in range(0, len(record), _every(record, points)):
        part = record[row]
        yield int(part.steps[0]), scalars(_figures(part))
    some = record[:: _every(record, histograms)]
    for kind in record.kinds:
        numbers = np.stack([some.get(kind, quantity) for quantity in _SHOWN], axis=2)
        for layer, name in enumerate(record.layers):
            for step, proto in _histograms(some, kind, layer, numbers[:, layer]):
                yield step, Summary(value=[Summary.Value(tag=f"{kind}/{name}", histo=proto)])


def _every(rows: Any, most: int) -> int:
    return max(1, -(-len(rows) // most))


def _figures(part: GradientRecord) -> dict[str, float]:
    """Return what a record of one step shows, by tag."""
    tables = {_norm_tag(kind): part.norm(kind) for kind in part.kinds}
    tables |= {("gain" if name == "total" else f"gain: {name}"): part.gain(name) for name in GAINS}
    tables |= {f"relative update: {kind}": part.update(kind) for kind in parameters_of(part)}
    tables |= {"share of saturated outputs": part.saturated(), "share of dead units": part.dead()}
    return {
        f"{group}/{name}": float(value)
        for group, table in tables.items()
        for name, value in zip(part.layers, table[0].tolist(), strict=True)
    }


def _norm_tag(kind: str) -> str:
    return _NORMS.get(kind, f"norm of the gradient: {kind}")


def _histograms(record: GradientRecord, kind: str, layer: int, numbers: Array) -> Iterator[tuple[int, Any]]:
    """Return a histogram of magnitudes for each step; the record has no signs of them, and no sum of magnitudes."""
    from tensorboardX.proto.summary_pb2 import HistogramProto

    exponents, table = record.histogram(kind, layer)
    if not len(exponents):
        return
    with np.errstate(over="ignore", under="ignore"):
        limits = np.exp2(np.append(exponents, exponents[-1] + 1).astype(np.float64))
    for step, counts, row in zip(record.steps.tolist(), table, numbers.tolist(), strict=True):
        zeros, smallest, largest, norm, nans, infs = row
        occupied = np.flatnonzero(counts)
        if np.isnan(zeros) or (not len(occupied) and not zeros):
            continue
        first, last = (occupied[0], occupied[-1]) if len(occupied) else (0, -1)
        buckets, ends = counts[first : last + 1].tolist(), limits[first + 1 : last + 2].tolist()
        if zeros:
            buckets, ends = [zeros, *buckets], [limits[first], *ends]
        yield (
            step,
            HistogramProto(
                min=0.0 if zeros else smallest,
                max=largest if len(occupied) else 0.0,
                num=float(sum(buckets)),
                sum_squares=norm * norm if not nans + infs else 0.0,
                bucket_limit=ends,
                bucket=buckets,
            ),
        )
