"""The parts of a gradient record, checked: a record put together from a damaged file must not answer nonsense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.parts import array_part, list_part, part
from gradwell.time_record import GATES, quantities_of

Array = NDArray[Any]

_FARTHEST = 4096  # binary exponents of float64 end at 1024; measurements of scaled gradients go somewhat beyond
_STAGE_FIELDS, _PARAMETER_FIELDS = 5, 2


def apart(
    made_of: Mapping[str, Any], chunks: Sequence[dict[str, Array]], loss: float | None
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return what a record is made of and its one chunk as `together` takes them."""
    structure = {key: [list(entry) for entry in entries] for key, entries in made_of.items()}
    arrays = {**(chunks[0] if chunks else {}), **({} if loss is None else {"loss": np.array(loss)})}
    records = len(chunks[0]["steps"]) if chunks else 0
    return {**structure, "records": records, "has_loss": loss is not None}, arrays


def together(
    description: Any, arrays: Mapping[str, Array], quantities: int
) -> tuple[tuple[list[Any], list[Any], list[Any]], dict[str, Array], float | None]:
    """Return structure, chunk and loss of a record; ValueError where the parts do not fit one another."""
    structure = check_structure(description)
    loss = float(array_part(arrays, "loss", "float64", ())) if part(description, "has_loss", bool) else None
    if not part(description, "records", int):
        return structure, {"steps": np.zeros(0, np.int64)}, loss
    return structure, check_arrays(description, arrays, quantities), loss


def check_structure(description: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return stages, parameters and time stages of a record's description, or raise ValueError."""
    stages = list_part(description, "stages", list)
    parameters = list_part(description, "parameters", list)
    times = list_part(description, "times", list)
    count = len(stages)
    for i, stage in enumerate(stages):
        if len(stage) < 4 or not all(isinstance(name, str) for name in stage[:2]):
            raise ValueError(f"a stage is {str(stage)[:60]}; needs name, kind and numbers")
        if not all(type(number) is int for number in stage[2:]) or not (
            -1 <= stage[-1] < count and -1 <= stage[-2] < i
        ):
            raise ValueError(f"stage {stage[0]!r} has {stage[2:]}; needs whole numbers, the last two those of stages")
    names = [stage[0] for stage in stages]
    if len(set(names)) < count:
        raise ValueError("two stages have the same name")
    for parameter in parameters:
        if len(parameter) != 2 or not isinstance(parameter[0], str) or "." not in parameter[0]:
            raise ValueError(f"a parameter is {str(parameter)[:60]}; needs a name with a full stop, and a stage")
        if type(parameter[1]) is not int or not 0 <= parameter[1] < count:
            raise ValueError(f"parameter {parameter[0]!r} belongs to stage {parameter[1]}; there are {count}")
    if len(times) not in (0, count):
        raise ValueError(f"times has {len(times)} entries; needs none or {count}")
    for time, stage in zip(times, stages, strict=False):
        _check_time(time, stage)
    return stages, parameters, times


def _check_time(time: list[Any], stage: list[Any]) -> None:
    if len(time) != 4 or not all(type(n) is int and 0 <= n < 2**31 for n in time[:3]) or type(time[3]) is not bool:
        raise ValueError(f"times has {time} for stage {stage[0]!r}; needs three counts, and true or false")
    steps, quantities, directions = time[:3]
    if not directions:
        return
    cell = stage[1].rpartition(" ")[2]
    if cell not in GATES or quantities != len(quantities_of(cell)) or not steps or directions > 2:
        raise ValueError(f"times has {time} for stage {stage[0]!r}, {stage[1]}; they do not fit one another")


def check_arrays(description: Any, arrays: Mapping[str, Array], quantities: int) -> dict[str, Array]:
    """Return the arrays of a record with this structure, or raise ValueError."""
    stages, parameters, times = check_structure(description)
    entries = 2 * len(stages) + len(parameters)
    width = sum(directions * (steps * each + 1) for steps, each, directions, _ in times)
    steps = array_part(arrays, "steps", "int64", (None,))
    n = len(steps)
    if not n or (np.diff(steps) <= 0).any() or steps[0] < 0:
        raise ValueError("steps are not numbers from 0 up in growing order")
    found = {
        "time": array_part(arrays, "time", "float64", (n, width)),
        "steps": steps,
        "statistics": array_part(arrays, "statistics", "float64", (n, entries, quantities)),
        "histograms": array_part(arrays, "histograms", "int64", (n, entries, 3)),
        "counts": array_part(arrays, "counts", "uint32", (None,)),
        "stages": array_part(arrays, "stages", "float64", (n, len(stages), _STAGE_FIELDS)),
        "parameters": array_part(arrays, "parameters", "float64", (n, len(parameters), _PARAMETER_FIELDS)),
    }
    low, bins, offset = (found["histograms"][:, :, i] for i in range(3))
    within = (low >= -_FARTHEST) & (low <= _FARTHEST) & (bins >= 0) & (bins <= _FARTHEST) & (offset >= 0)
    if not (within & (offset <= len(found["counts"]) - bins)).all():
        raise ValueError("histograms point outside counts")
    return found
