"""Train twice, once with a rate that is halved from step 40 on, and ask where the two part; then export the record."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import gradwell as gw

x, y = gw.datasets.digits()
x = (x / x.std()).astype("float32")


def run(rate):
    """Train from the same weights, on the same batches."""
    net = gw.mlp([64, 30, 30, 30, 10], activation="tanh", seed=0)
    return gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(rate), epochs=2, stats=True, seed=0)


before = run(0.1)
after = run(gw.schedules.StepDecay(0.1, every=40, factor=0.5))
print(gw.compare(before, after))

with TemporaryDirectory() as folder:
    file = gw.report.export(Path(folder) / "record.csv", before)
    with open(file, newline="", encoding="utf-8") as lines:
        norms = [row for row in csv.DictReader(lines) if row["kind"] == "error" and row["quantity"] == "norm"]
print(f"\n{file.name}: {len(norms)} norms of the error, the first {float(norms[0]['value']):.4f}")
