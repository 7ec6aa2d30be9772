"""Candidates measured here or in several processes: the scores are the same, in the same order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell._core import set_num_threads
from gradwell.search.judge import Judge, Scores, Targets

WORTH_SENDING = 0.02  # seconds of work below which other processes cost more than they give


class Workers:
    """Where a judge measures; other processes are asked where a list of candidates takes long enough."""

    def __init__(self, judge: Judge, pool: Any, jobs: int):
        self.judge = judge
        self.jobs = jobs
        self._pool = pool
        self._seconds = 0.0  # that one candidate takes here

    def measure(self, candidates: NDArray[Any], targets: Targets | None = None) -> Scores:
        """Return the scores of candidates (count, size); with `targets`, up to the first that reaches them."""
        if self._pool is None or self._seconds * len(candidates) < WORTH_SENDING:
            begun = time.perf_counter()
            scores = self.judge.measure(candidates, targets)
            self._seconds = (time.perf_counter() - begun) / len(scores.losses)
            return scores
        shares = np.array_split(candidates, min(self.jobs, len(candidates)))
        parts = self._pool((_measure, (self.judge, share, targets), {}) for share in shares)
        kept: list[Scores] = []
        for part, share in zip(parts, shares, strict=True):
            kept.append(part)
            if len(part.losses) < len(share) or (targets and targets.reached(part.losses[-1], part.accuracies[-1])):
                break
        return Scores(*(np.concatenate(column) for column in zip(*kept, strict=True)))


@contextmanager
def workers(judge: Judge, jobs: int) -> Iterator[Workers]:
    """Start what `jobs` processes need, and end it."""
    if jobs == 1:
        yield Workers(judge, None, 1)
        return
    try:
        from joblib import Parallel
    except ImportError:
        raise ImportError('searches in several processes need joblib: pip install "gradwell[search]"') from None
    with Parallel(n_jobs=jobs) as pool:
        yield Workers(judge, pool, jobs)


def _measure(judge: Judge, candidates: NDArray[Any], targets: Targets | None) -> Scores:
    set_num_threads(1)
    return judge.measure(candidates, targets)
