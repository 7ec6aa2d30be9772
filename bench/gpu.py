"""Train and compute on a GPU beside other frameworks, in one run.

Every contestant does the same work from the same weights on the same data, which lies on the GPU, in float32, in a
process of its own. First all must agree on the losses; then rounds take turns. A round trains twice, for one epoch and
for several: the difference is what further steps cost, without what a call costs. Kernels are timed on the device, and
told as a share of the bandwidth that a copy of the same arrays reaches. Bars are printed, not asserted. Writes gpu.json
and gpu.md after every job.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import report
from gpu_jobs import JOBS, KERNEL_BYTES, KERNELS, SHARE, small
from jobs import judge
from worker import Worker

import gradwell as gw
from gradwell import _core

TOLERANCE = {"float32": 2e-3, "tf32": 1e-2}  # of losses: frameworks sum, and round factors, in different orders
WORDS = ("reached", "not reached")
FEWEST, MOST = 3, 64  # epochs that a round trains beside its first


class Contestants:
    """Processes that are kept from job to job, so that frameworks are loaded once."""

    def __init__(self, longest):
        self.longest = longest
        self.workers = {}

    def take(self, job, chosen):
        """Return the workers that are ready for a job, and why others are not."""
        names = [name for name in job.contestants if not chosen or name in chosen]
        for name in names:
            if name not in self.workers:
                self.workers[name] = Worker(name)
            self.workers[name].begin(job)
        ready, absent = [], {}
        for name in names:
            worker = self.workers[name]
            try:
                worker.started(self.longest)
            except RuntimeError as error:
                worker.absent = f"failed: {str(error).strip().splitlines()[-1]}"
                worker.stop()
            if worker.absent:
                absent[name] = worker.absent
            else:
                ready.append(worker)
            if not worker.process.is_alive():
                del self.workers[name]
        return ready, absent

    def stop(self):
        for worker in self.workers.values():
            worker.stop()


def disagreement(job, workers):
    """Return who computed something else than the first, in a sentence, or nothing."""
    first = workers[0].check if workers else None
    for other in workers[1:]:
        error = np.max(np.abs(other.check - first) / np.abs(first))
        if not error <= TOLERANCE[job.precision]:
            return f"{other.name} differs from {workers[0].name} by {error:.1e} in a loss"
    return ""


def measure(job, contestants, rounds, chosen):
    """Return the row of one job: microseconds of a step, round by round, and of a call beside its steps."""
    workers, absent = contestants.take(job, chosen)
    times, calls, epochs = {}, {}, {}
    for worker in workers:
        worker.round(1)
        once = worker.round(1)
        epochs[worker.name] = 1 + max(FEWEST, min(MOST, int(job.round_seconds / once)))
        times[worker.name], calls[worker.name] = [], []
    for _ in range(rounds):
        for worker in workers:
            once, many = worker.round(1), worker.round(epochs[worker.name])
            step = (many - once) / ((epochs[worker.name] - 1) * job.steps)
            times[worker.name].append(step * 1e6)
            calls[worker.name].append((once - step * job.steps) * 1e6)
    row = {"job": job.name, "times": times, "calls": calls, "absent": absent, "faults": disagreement(job, workers)}
    row["versions"] = {worker.name: worker.version for worker in workers}
    # At toy sizes what a call costs drowns its steps: such differences are no times.
    drowned = any(statistics.median(values) <= 0 for values in times.values())
    return {**row, "bars": [] if drowned else judge(job, row)}


def kernels(size, repeats):
    """Return a row for every kernel: microseconds of a launch, and its share of the bandwidth of a copy."""
    rows = []
    for name in KERNELS:
        copied = _core.time_device_kernel("copy", size, repeats)
        timed = _core.time_device_kernel(name, size, repeats)
        rate, limit = (moved / statistics.median(seconds) for seconds, moved in (timed, copied))
        share = rate / limit
        what = f"share of the copy's {limit / 1e9:.0f} GB/s ≥ {SHARE}"
        rows.append(
            {
                "job": f"{name}, {size >> 20} MiB" if size >> 20 else f"{name}, {size >> 10} KiB",
                "times": {"gradwell": [s * 1e6 for s in timed[0]], "copy": [s * 1e6 for s in copied[0]]},
                "rates": {"gradwell": rate, "copy": limit},
                "absent": {},
                "faults": "",
                "versions": {},
                "bars": [{"bar": what, "peer": "copy", "ratio": share, "holds": share >= SHARE}],
            }
        )
    return rows


def markdown(about, rows):
    """Return the page: what was measured on, a line for every job and bar, and every contestant's times."""
    versions = sorted({version for row in rows for version in row["versions"].values()})
    capability = ".".join(map(str, about["compute_capability"]))
    lines = [
        f"{about['name']}, compute capability {capability}, driver for CUDA {about['driver'] // 1000}."
        f"{about['driver'] % 1000 // 10}, Python {about['python']}"
        f"{'; ' if versions else ''}{', '.join(versions)}. Medians of {about['rounds']} rounds.",
        *(["**Emulated on the CPU: the times mean nothing.**"] if about["emulated"] else []),
        "",
        report.table(rows, WORDS, "reached"),
        "| job | contestant | median, µs | best, µs | a call beside its steps, µs |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        for name, values in row["times"].items():
            call = f"{statistics.median(row['calls'][name]):.0f}" if "calls" in row else ""
            lines.append(f"| {row['job']} | {name} | {statistics.median(values):.4g} | {min(values):.4g} | {call} |")
        lines += [f"| {row['job']} | {name} | left out: {why} |  |  |" for name, why in row["absent"].items()]
        if row["faults"]:
            lines.append(f"| {row['job']} | **{row['faults']}** |  |  |  |")
    return "\n".join(lines) + "\n"


def write(folder, about, rows):
    """Write gpu.json and gpu.md."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": about, "rows": rows}, indent=1, ensure_ascii=False)
    (folder / "gpu.json").write_text(text + "\n", encoding="utf-8")
    (folder / "gpu.md").write_text(markdown(about, rows), encoding="utf-8")


def options():
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--only", default="", help="jobs whose name has this text, or 'kernels'")
    parser.add_argument("--contestants", default="", help="such as 'gradwell,torch graphs'; all where empty")
    parser.add_argument("--out", type=Path, help="folder for gpu.json and gpu.md")
    parser.add_argument("--minutes", type=float, default=60.0, help="jobs that would begin later are left out")
    parser.add_argument("--longest", type=float, default=180.0, help="seconds a contestant may take to be ready")
    parser.add_argument(
        "--smoke", action="store_true", help="toy sizes, peers on the CPU: tries the code, not the speed"
    )
    return parser.parse_args()


def main():
    """Measure every job, kernels first, and write the report."""
    begun, given = time.perf_counter(), options()
    found = gw.cuda_info()
    if not found["available"]:
        print(f"there is nothing to measure: {found['reason']}")
        return 2
    rounds = min(given.rounds, 2) if given.smoke else given.rounds
    emulated = "emulated" in found["name"]
    about = {**found, "python": platform.python_version(), "rounds": rounds, "emulated": emulated, "left_out": []}
    chosen = [name for name in given.contestants.split(",") if name]
    rows = []

    def keep(row):
        rows.append(row)
        report.show(row, WORDS)
        if row["faults"]:
            print(f"  {row['faults']}")
        if given.out:
            write(given.out, about, rows)

    if given.only in ("", "kernels"):
        for row in kernels(1 << 16 if given.smoke else KERNEL_BYTES, rounds):
            keep(row)
    contestants = Contestants(given.longest)
    try:
        for job in map(small, JOBS) if given.smoke else JOBS:
            if given.only not in job.name:
                continue
            if time.perf_counter() - begun > 60 * given.minutes:
                about["left_out"].append(job.name)
                print(f"{job.name}: left out, the time is up")
                continue
            keep(measure(job, contestants, rounds, chosen))
    finally:
        contestants.stop()
    if given.out:
        write(given.out, about, rows)
    bars = [bar["holds"] for row in rows for bar in row["bars"]]
    print(f"{sum(bars)} of {len(bars)} bars reached")
    faults = [row["job"] for row in rows if row["faults"] or "gradwell" in row["absent"]]
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
