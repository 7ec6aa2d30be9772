"""The loop that every search shares: a method proposes candidates and is told their losses."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell._core import num_threads, set_num_threads
from gradwell.checks import check_count, check_number
from gradwell.interrupts import interrupts_deferred
from gradwell.network import Network
from gradwell.search.judge import Judge, Loss, Scores, Targets
from gradwell.search.result import SearchResult
from gradwell.search.workers import workers

Vector = NDArray[np.float64]
Proposals = Generator[Vector, Vector, str | None]
"""Yields candidates (count, size), is sent their losses (count,), and may return why it ended."""


@dataclass
class Best:
    """The best candidate so far, and the curve that led to it."""

    candidate: Vector | None = None
    loss: float = math.inf
    accuracy: float = math.nan
    evaluations: int = 0
    reached: bool = False

    def __post_init__(self) -> None:
        self.curve: list[float] = []
        self.at: list[int] = []

    def take(self, candidates: Vector, scores: Scores, targets: Targets) -> None:
        """Note one generation; of equals the first counts, and one that reaches the targets before all others."""
        there = [i for i, pair in enumerate(zip(*scores, strict=True)) if targets.reached(*pair)]
        i = min(there, key=lambda k: scores.losses[k]) if there else int(np.argmin(scores.losses))
        if self.candidate is None or there or scores.losses[i] < self.loss:
            self.candidate = candidates[i].copy()
            self.loss, self.accuracy = float(scores.losses[i]), float(scores.accuracies[i])
        self.reached = bool(there)
        self.evaluations += len(scores.losses)
        self.curve.append(min([self.loss, *self.curve[-1:]]))
        self.at.append(self.evaluations)


def search(
    method: str,
    network: Network,
    data: Any,
    loss: Loss,
    propose: Callable[[Judge], Proposals],
    *,
    generations: int,
    target_loss: float | None,
    target_accuracy: float | None,
    batch_size: int,
    jobs: int,
    progress: bool | None,
    first_only: bool = False,
) -> SearchResult:
    """Run a method over its generations, or until a candidate reaches the targets; `first_only` counts up to it."""
    check_count(method, "jobs", jobs)
    for argument, value in (("target_loss", target_loss), ("target_accuracy", target_accuracy)):
        if value is not None:
            check_number(method, argument, value)
    targets = Targets(target_loss, target_accuracy)
    judge = Judge(method, network, data, loss, batch_size)
    if target_accuracy is not None and not judge.counts:
        raise ValueError(f"[{method}] target_accuracy is {target_accuracy} but the loss counts no right answers")
    best, stopped = Best(), "finished"
    proposals = propose(judge)
    threads = num_threads()
    set_num_threads(1)  # a candidate's pass is short: cores are put to use by processes
    begun = time.perf_counter()
    bar = _bar(progress, generations, method)
    try:
        with workers(judge, jobs) as measuring:
            candidates = next(proposals)
            while True:
                scores = measuring.measure(candidates, targets if first_only else None)
                with interrupts_deferred():
                    best.take(candidates, scores, targets)
                bar.update()
                bar.set_postfix_str(f"loss {best.loss:.4g}", refresh=False)
                if best.reached:
                    stopped = "target reached"
                    break
                candidates = proposals.send(scores.losses)
    except StopIteration as end:
        stopped = end.value or stopped
    except KeyboardInterrupt:
        if best.candidate is None:
            raise
        stopped = "interrupted"
    finally:
        seconds = time.perf_counter() - begun
        set_num_threads(threads)
        bar.close()
    assert best.candidate is not None
    judge.put(best.candidate)
    judge.network.training_state = None
    judge.network.forget_optimizer()
    return SearchResult(
        method,
        judge.network,
        best.loss,
        best.accuracy if judge.counts else None,
        best.evaluations,
        np.array(best.curve),
        np.array(best.at),
        best.reached,
        stopped,
        seconds,
    )


def _bar(show: bool | None, total: int, method: str) -> Any:
    from tqdm import tqdm

    shown = bool(show) or (show is None and sys.stderr is not None and sys.stderr.isatty())
    return tqdm(total=total, desc=method, unit="generation", disable=not shown, dynamic_ncols=True, mininterval=0.1)
