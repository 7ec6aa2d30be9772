"""From which size on a second thread pays: `python bench/thresholds.py` measures what the cost model rests on.

Three sizes are looked for, in multiply-adds: of a product whose threads have to be woken; of a product inside a step,
whose threads wait for it; and of what a step does between two times that threads meet, for which they are kept waiting.
Each is timed on one thread and on two, by turns, over a range of sizes; the table is written to
bench/results/thresholds.json. The model's own values are `Worth` in cpp/include/gradwell/threads.h.
"""

import json
import statistics
import time
from pathlib import Path

import numpy as np

import gradwell as gw
from gradwell import _core

NEVER = 2**60
ROUNDS = 15
ROUND = 0.03  # seconds


def seconds(call, repeats):
    begun = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begun) / repeats


def compare(call, settings):
    """Return how many times as fast two threads are as one, by the medians of rounds that take turns."""
    repeats = max(1, int(ROUND / seconds(call, 3)))
    times = {name: [] for name in settings}
    for _ in range(ROUNDS):
        for name, (waking, sharing, team) in settings.items():
            _core.set_worth(waking, sharing, team)
            seconds(call, max(1, repeats // 4))  # both threads are awake and in their places
            times[name].append(seconds(call, repeats))
    return statistics.median(times["one"]) / statistics.median(times["two"])


def product(n):
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=(n, n)).astype(np.float32) for _ in range(2))
    return lambda: gw.kernels.dense_forward(x, w), n**3


def step(width, layers, batch):
    net = gw.mlp([width] * (layers + 1) + [2], activation="relu", seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.random((batch * 20, width), dtype=np.float32), rng.integers(0, 2, batch * 20)
    order, plan = (
        np.arange(batch * 20),
        _core.Plan("softmax_cross_entropy", {"name": "sgd"}, [1e-6], None, [], 0, batch, 0, 0),
    )
    return lambda: net.program.train(x, y, None, order, plan, True), width, layers, batch


def main():
    """Measure, print and write the three tables."""
    gw.set_num_threads(2)
    kept = _core.get_worth()
    tables = {"waking": [], "sharing": [], "team": []}
    for n in (24, 32, 48, 64, 80, 96, 128, 160):
        call, work = product(n)
        alone, woken = (NEVER, NEVER, NEVER), (0, NEVER, NEVER)
        tables["waking"].append((work, compare(call, {"one": alone, "two": woken})))
    for width in (32, 48, 64, 96, 128, 192):
        call, *_ = step(width, 6, 16)  # 16 rows are one block: threads share out the columns
        work = 16 * width * width
        alone, shared = (NEVER, NEVER, 0), (NEVER, work // 2, 0)
        tables["sharing"].append((work, compare(call, {"one": alone, "two": shared})))
    for width in (16, 24, 32, 48, 64, 96):
        call, *_ = step(width, 6, 32)
        work = 3 * 32 * 6 * width * width // 2  # threads meet twice a step
        settings = {"one": (NEVER, NEVER, NEVER), "two": (NEVER, kept[1], 0)}
        tables["team"].append((work, compare(call, settings)))
    _core.set_worth(*kept)
    for (name, rows), value in zip(tables.items(), kept, strict=True):
        print(f"{name}: the model takes a second thread from {value:,} multiply-adds on")
        for work, ratio in rows:
            print(f"  {work:>12,}  two threads {ratio:5.2f} times as fast as one")
    folder = Path(__file__).with_name("results")
    folder.mkdir(exist_ok=True)
    about = {"model": dict(zip(tables, kept, strict=True)), "speed_of_two_threads": tables}
    (folder / "thresholds.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
