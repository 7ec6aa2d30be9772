"""What every experiment shares: its options, a check, a result."""

from __future__ import annotations

import math
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gradwell import num_threads, set_num_threads

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Options:
    """How to run an experiment.

    Parameters
    ----------
    data
        The folder that holds the MNIST files, or its parent; by default what ``GRADWELL_DATA`` names.
    seeds
        How many random starts; by default the experiment's own number.
    progress
        Show a progress bar on stderr.
    """

    data: Path | None = None
    seeds: int | None = None
    progress: bool = False

    def seed_count(self, default: int) -> int:
        """Return how many seeds to run."""
        if self.seeds is None:
            return default
        if self.seeds < 1:
            raise ValueError(f"[reproduce] seeds is {self.seeds}, needed at least 1")
        return self.seeds

    def bar(self, total: int, unit: str) -> Any:
        """Return a progress bar (tqdm) on stderr, silent unless `progress` is set."""
        return tqdm(total=total, unit=unit, file=sys.stderr, disable=not self.progress, leave=False)


@dataclass(frozen=True)
class Check:
    """A measured value and the range, ends included, that it has to lie in."""

    name: str
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the value lies in the range; NaN does not."""
        return self.low <= self.value <= self.high

    def as_json(self) -> dict[str, Any]:
        """Return name, value, low, high, holds; a value that is not finite becomes null."""
        numbers = {key: _plain(getattr(self, key)) for key in ("value", "low", "high")}
        return {"name": self.name, **numbers, "holds": self.holds}


@dataclass(frozen=True)
class Result:
    """What an experiment found.

    Parameters
    ----------
    experiment
        Its name.
    figures
        Published and measured values, as they appear in the JSON.
    checks
        What has to hold.
    table
        Published beside measured, as text.
    draw
        Draws the figure.
    notes
        Plain sentences about what was measured; a note of several lines is printed as it is.
    """

    experiment: str
    figures: dict[str, Any]
    checks: Sequence[Check]
    table: str
    draw: Callable[[], Figure]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return everything but the drawing, ready for `json.dumps`."""
        checks = [check.as_json() for check in self.checks]
        notes = list(self.notes)
        return {"experiment": self.experiment, **_plain(self.figures), "notes": notes, "checks": checks}

    def text(self) -> str:
        """Return the table, the notes, and which checks hold."""
        failed = [check for check in self.checks if not check.holds]
        lines = [self.table, "", *(note if "\n" in note else textwrap.fill(note, 100) for note in self.notes)]
        lines += [
            f"DOES NOT HOLD  {check.name}: {check.value:.4g}, needed {check.low:.4g} to {check.high:.4g}"
            for check in failed
        ]
        lines.append(f"{len(self.checks) - len(failed)} of {len(self.checks)} checks hold.")
        return "\n".join(lines)


def published_file(data: Path | None, name: str) -> Path | None:
    """Find a file of Nielsen's published curves beside or inside the data folder; None if it is not there."""
    given = data or (Path(found) if (found := os.environ.get("GRADWELL_DATA")) else None)
    if given is None:
        return None
    root = given.expanduser().absolute()
    places = (root / "nielsen", root.parent / "nielsen")
    return next((place / name for place in places if (place / name).is_file()), None)


def first_images(data: Path | None, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the first `count` training images of MNIST and their labels."""
    from gradwell.datasets import mnist

    digits = mnist(data)
    return digits.train_images[:count], digits.train_labels[:count]


def over_seeds(seeds: int, measure: Callable[[int], NDArray[np.float64]], done: Callable[[], Any]) -> Any:
    """Return ``measure(seed)`` of every seed as one array, several seeds at a time, each on one thread.

    The nets are small: whole seeds side by side keep all cores busy, where threads inside a step would wait for
    each other. Results do not depend on the number of threads.

    Parameters
    ----------
    seeds
        How many: 0 to seeds - 1.
    measure
        Trains or differentiates one network.
    done
        Called after each seed.
    """
    threads = num_threads()
    set_num_threads(1)
    pool = ThreadPoolExecutor(threads)
    try:
        rows = []
        for row in pool.map(measure, range(seeds)):
            rows.append(row)
            done()
        return np.array(rows)
    finally:
        pool.shutdown(cancel_futures=True)
        set_num_threads(threads)


def few_seeds(seeds: int, full: int) -> list[str]:
    """Return a note where fewer seeds ran than the checks' ranges were made for, else nothing."""
    if seeds >= full:
        return []
    return [f"Only {seeds} of the usual {full} seeds: a check may fail by chance."]


def _plain(value: Any) -> Any:
    """Turn NumPy values into what JSON knows, NaN and Inf into null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
