"""Figures that need no peer: each function measures some and returns rows of the report."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from contestants.ours import Gradwell
from jobs import JOBS

import gradwell as gw
from gradwell import _core

THREADS = 2


def row(name, values, unit, bars):
    """Return a row; `bars` are (text, figure, lowest, highest)."""
    judged = [
        {"bar": text, "peer": "", "ratio": float(figure), "holds": bool(low <= figure <= high)}
        for text, figure, low, high in bars
    ]
    return {
        "job": name,
        "threads": THREADS,
        "unit": unit,
        "times": values,
        "versions": {},
        "absent": {},
        "bars": judged,
    }


def recording(rounds=11):
    """Time every step job with no record, the default and every step recorded: one net, by turns."""
    rows = []
    for job in JOBS:
        if job.kind != "step":
            continue
        ours = Gradwell(job, False)
        times = {"gradwell": [], "gradwell auto": [], "gradwell stats": []}
        for round_ in range(rounds + 1):
            for name, stats in zip(times, (False, "auto", True), strict=True):
                ours.stats = stats
                begun = time.perf_counter()
                ours.train()
                if round_:  # the first warms up
                    times[name].append((time.perf_counter() - begun) / job.calls * 1e6)
        medians = {name: statistics.median(values) for name, values in times.items()}
        auto, every = (medians[name] / medians["gradwell"] for name in ("gradwell auto", "gradwell stats"))
        bars = [("auto / no record ≤ 1.02", auto, 0, 1.02)]
        if "torch stats" in job.contestants:
            bars.append(("every step / no record ≤ 1.08", every, 0, 1.08))
        rows.append(row(f"record of {job.name}", times, "µs", bars))
    return rows


class EpochTimes(gw.Callback):
    """Notes how long each epoch took."""

    def on_start(self, state):
        self.seconds, self.last = [], time.perf_counter()

    def on_epoch(self, state):
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now


def underflow():
    """Train 40 logistic layers whose gradients are too small for float32: no epoch may be slower than the first."""
    rng = np.random.default_rng(0)
    x, y = rng.random((2000, 30), dtype=np.float32), rng.integers(0, 10, 2000)
    net = gw.mlp([30] * 41 + [10], activation="sigmoid", init=gw.initializers.Normal(std=0.03), seed=0)
    zeros = gw.gradients(net, x[:100], y[:100], loss="softmax_cross_entropy").zeros("error")[0, 0]
    if not zeros:
        raise RuntimeError("no gradient of the first layer underflows")
    times = EpochTimes()
    gw.fit(
        net,
        (x, y),
        loss="softmax_cross_entropy",
        optimizer=gw.SGD(0.1),
        epochs=9,
        stats=False,
        progress=False,
        callbacks=[times],
    )
    first, last = times.seconds[0], statistics.median(times.seconds[-3:])
    values = {"gradwell": [s * 1e3 for s in times.seconds]}
    bars = [("last / first epoch ≤ 1.1", last / first, 0, 1.1)]
    return [row("40 logistic layers that underflow", values, "ms", bars)]


def recurrent_underflow():
    """Time an LSTM both ways on data as usual and on data of 1e-30, whose gradients leave float32's normal numbers."""
    rng, shape = np.random.default_rng(0), (64, 200, 128)
    x, weight = rng.normal(size=shape).astype(np.float32), rng.normal(0, 0.09, (128, 1024)).astype(np.float32)
    recurrent, dy = (
        rng.normal(0, 0.03, (256, 1024)).astype(np.float32),
        rng.normal(size=(64, 200, 256)).astype(np.float32),
    )
    seconds = {"as usual": [], "x and dy 1e-30": []}
    for _ in range(7):
        for name, scale in (("as usual", 1.0), ("x and dy 1e-30", 1e-30)):
            given = np.float32(scale) * x, np.float32(scale) * dy
            begun = time.perf_counter()
            *_, saved = gw.kernels.lstm_forward(given[0], weight, recurrent)
            gw.kernels.lstm_backward(given[1], saved, need_dx=False)
            seconds[name].append((time.perf_counter() - begun) * 1e3)
    ratio = statistics.median(seconds["x and dy 1e-30"]) / statistics.median(seconds["as usual"])
    return [row("lstm T200 B64 I128 H256, tiny numbers", seconds, "ms", [("tiny / usual ≤ 1.5", ratio, 0, 1.5)])]


def depth():
    """Time a step at depth 10 to 1000, width 64, batch 64; in depth, it should be a straight line."""
    depths, rng = (10, 20, 50, 100, 200, 500, 1000), np.random.default_rng(0)
    seconds = {}
    for layers in depths:
        steps = max(4, 4000 // layers)
        x, y = rng.random((steps * 64, 64), dtype=np.float32), rng.integers(0, 10, steps * 64)
        net = gw.mlp([64] * (layers + 1) + [10], activation="tanh", seed=0)
        fits = []
        for _ in range(7):
            start = time.perf_counter()
            gw.fit(
                net,
                (x, y),
                loss="softmax_cross_entropy",
                optimizer=gw.SGD(0.001),
                batch_size=64,
                stats=False,
                progress=False,
                shuffle=False,
            )
            fits.append((time.perf_counter() - start) / steps)
        seconds[layers] = fits
    best = np.array([min(seconds[layers]) for layers in depths])
    design = np.array([np.ones(len(depths)), depths]).T / best[:, None]  # least relative squares
    line = np.linalg.lstsq(design, np.ones(len(depths)), rcond=None)[0]
    off = np.abs(design @ line - 1).max()
    values = {f"depth {layers}": [s * 1e6 for s in fits] for layers, fits in seconds.items()}
    return [row("depth 10 to 1000, width 64", values, "µs", [("largest distance from a line ≤ 0.05", off, 0, 0.05)])]


def start():
    """Time `import gradwell` beside `import numpy`, each in an interpreter of its own, with compiled bytecode."""
    seconds = {"import numpy": [], "import gradwell": []}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    cached = [sys.executable, "-X", f"pycache_prefix={tempfile.gettempdir()}/gradwell-bytecode", "-c"]
    for round_ in range(12):
        for command, values in seconds.items():
            begun = time.perf_counter()
            subprocess.run([*cached, command], check=True, env=environment)
            if round_:
                values.append((time.perf_counter() - begun) * 1e3)
    ratio = statistics.median(seconds["import gradwell"]) / statistics.median(seconds["import numpy"])
    return [row("start", seconds, "ms", [("import gradwell / import numpy ≤ 1.3", ratio, 0, 1.3)])]


def fastest(call, *arguments, rounds=7):
    """Return the least seconds a call takes."""
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call(*arguments)
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def peaks():
    """Return what one core does at most: multiply-adds in registers, GF/s, and reads by the array's KiB, GB/s."""

    def read(array, passes):
        for _ in range(passes):
            _core.read(array)

    found = {"gflops": 2e8 / fastest(_core.multiply_adds, 10**8) / 1e9, "gbytes": {}}
    for kib in (16, 256, 8192, 262144):
        array, passes = np.ones(kib * 256, np.float32), max(1, 65536 // kib)
        found["gbytes"][kib] = passes * array.nbytes / fastest(read, array, passes) / 1e9
    return found


OWN = (recording, underflow, recurrent_underflow, depth, start)
