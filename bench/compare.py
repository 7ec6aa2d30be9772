"""Time whole training steps beside eager PyTorch in one run: `python bench/compare.py [--rounds 9] [--json FILE]`.

Both train the same net from the same weights on the same batches in the same order, which is checked first. Rounds take
turns, so that a slow moment of the machine falls on both. Best and median are printed; the ratio is of the medians.
"""

import argparse
import itertools
import json
import os
import statistics
import time

import numpy as np

import gradwell as gw

THREADS = 2
STEPS = 500
BATCH = 10
RATE = 0.1
SIZES = [784, 30, 30, 30, 30, 10]


def data():
    """Random samples of the shape of MNIST; the time does not depend on what they show."""
    rng = np.random.default_rng(0)
    return rng.random((STEPS * BATCH, SIZES[0]), dtype=np.float32), rng.integers(0, 10, STEPS * BATCH)


class Ours:
    """One epoch of STEPS steps through `fit`."""

    def __init__(self, stats):
        self.name = f"gradwell fit, stats={stats}"
        self.stats = stats
        self.net = gw.mlp(SIZES, activation="sigmoid", init="nielsen", seed=0)

    def run(self, x, y):
        """Train and return the loss of every step."""
        history = gw.fit(
            self.net,
            (x, y),
            loss="softmax_cross_entropy",
            optimizer=gw.SGD(RATE),
            batch_size=BATCH,
            epochs=1,
            shuffle=False,
            stats=self.stats,
        )
        return history.step_loss


class Torch:
    """The same in eager PyTorch: forward, loss, backward, torch.optim.SGD."""

    name = "eager torch"

    def __init__(self, weights):
        import torch

        torch.set_num_threads(THREADS)
        self.torch = torch
        layers = []
        for i, (n_in, n_out) in enumerate(itertools.pairwise(SIZES)):
            linear = torch.nn.Linear(n_in, n_out)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weights[f"{2 * i}.weight"].T.copy()))
                linear.bias.copy_(torch.from_numpy(weights[f"{2 * i}.bias"].copy()))
            layers += [linear, torch.nn.Sigmoid()]
        self.net = torch.nn.Sequential(*layers[:-1])
        self.optimizer = torch.optim.SGD(self.net.parameters(), RATE)

    def run(self, x, y):
        """Train; the losses are read once at the end, as a loop that cares for speed would."""
        x, y = self.torch.from_numpy(x), self.torch.from_numpy(y)
        losses = []
        for start in range(0, len(x), BATCH):
            self.optimizer.zero_grad()
            logits = self.net(x[start : start + BATCH])
            loss = self.torch.nn.functional.cross_entropy(logits, y[start : start + BATCH])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        return self.torch.stack(losses).numpy()


def main():
    """Check, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    gw.set_num_threads(THREADS)
    if os.getloadavg()[0] > 0.7:
        print(f"note: the machine is busy (load {os.getloadavg()[0]:.1f}); the figures will be off")
    x, y = data()
    contestants = [Ours(False), Ours("auto"), Ours(True)]
    try:
        contestants.append(Torch(dict(contestants[0].net.parameters)))
    except ImportError:
        print("torch is not installed: its line is left out (pip install torch)")
    losses = [contestant.run(x, y) for contestant in contestants]
    for other in losses[1:]:
        np.testing.assert_allclose(other, losses[0], rtol=2e-3)
    times = {contestant.name: [] for contestant in contestants}
    for _ in range(arguments.rounds):
        for contestant in contestants:
            start = time.perf_counter()
            contestant.run(x, y)
            times[contestant.name].append((time.perf_counter() - start) / STEPS * 1e6)
    base = statistics.median(times[contestants[0].name])
    print(f"{SIZES}, logistic, batch {BATCH}, {THREADS} threads, {gw.build_info()['cpu_level']}; µs a step")
    for name, figures in times.items():
        median = statistics.median(figures)
        print(f"  {name:28} best {min(figures):8.1f}  median {median:8.1f}  {median / base:6.2f} x")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"sizes": SIZES, "batch": BATCH, "threads": THREADS, "microseconds": times}, file, indent=1)


if __name__ == "__main__":
    main()
