"""Train and compute beside other frameworks, in one run.

Every contestant does the same work from the same weights on the same data, in float32, on the same number of threads,
in a process of its own. First all must agree on the values; then rounds take turns, so that a slow moment of
the machine falls on all. Ratios are of medians. Writes compare.json, compare.md and compare.png.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import own
import report
from jobs import JOBS, judge
from worker import Worker

import gradwell as gw

TOLERANCE = 2e-3  # of losses, whose frameworks sum in different orders over many steps


def busy(seconds=1.0):
    """Return the share of the processors' time that others used just now."""

    def times():
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        values = [int(field) for field in fields]
        return sum(values), values[3] + values[4]

    if not Path("/proc/stat").exists():
        return 0.0
    total, idle = times()
    time.sleep(seconds)
    total_after, idle_after = times()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def settle(longest=2.0):
    """Wait until the threads of who has just finished no longer spin: they would take the next one's processor."""
    deadline = time.perf_counter() + longest
    time.sleep(0.03)
    while busy(0.03) > 0.2 and time.perf_counter() < deadline:
        pass


def start(job, chosen):
    """Return the workers that could start, and why others could not."""
    workers, absent = [], {}
    for name in job.contestants:
        if chosen and name not in chosen:
            continue
        worker = Worker(name, job)
        if worker.absent:
            absent[name] = worker.absent
        else:
            workers.append(worker)
    return workers, absent


def check(job, workers):
    """All must have computed the same."""
    first = workers[0]
    for other in workers[1:]:
        ours, theirs = first.check, other.check
        if ours.shape != theirs.shape:  # who tells the losses of epochs only
            ours, theirs = ours.mean(), theirs.mean()
        message = f"{job.name}: {other.name} against {first.name}"
        np.testing.assert_allclose(theirs, ours, rtol=TOLERANCE, atol=1e-4, err_msg=message)


def measure(job, rounds, chosen):
    """Return the row of one job: microseconds a step, round by round, for each contestant."""
    workers, absent = start(job, chosen)
    try:
        check(job, workers)
        times = {worker.name: [] for worker in workers}
        for _ in range(rounds):
            for worker in workers:
                times[worker.name].append(worker.round() / job.calls * 1e6)
                settle()
    finally:
        for worker in workers:
            worker.stop()
    versions = {worker.name: worker.version for worker in workers}
    return {"job": job.name, "threads": job.threads, "times": times, "versions": versions, "absent": absent}


def main():
    """Measure every job and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="jobs whose name has this text")
    parser.add_argument("--contestants", default="", help="such as 'gradwell,torch'; all where empty")
    parser.add_argument("--out", type=Path, help="folder for compare.json, compare.md and compare.png")
    parser.add_argument("--force", action="store_true", help="run even on a busy machine")
    arguments = parser.parse_args()
    share = busy()
    if share > 0.1 and not arguments.force:
        print(f"the machine is busy: others use {share:.0%} of its processors; figures would mean nothing (--force)")
        return 2
    chosen = [name for name in arguments.contestants.split(",") if name]
    gw.set_num_threads(own.THREADS)
    peaks = own.peaks()
    rows = []
    for job in JOBS:
        if arguments.only not in job.name:
            continue
        row = measure(job, arguments.rounds, chosen)
        row["bars"] = judge(job, row)
        rows.append(row)
        report.show(row)
    for figure in own.OWN if not chosen else ():
        if arguments.only in figure.__name__:
            for row in figure():
                rows.append(row)
                report.show(row)
    if arguments.out:
        report.write(arguments.out, rows, peaks)
    bars = [bar["holds"] for row in rows for bar in row["bars"]]
    print(f"{sum(bars)} of {len(bars)} bars hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
