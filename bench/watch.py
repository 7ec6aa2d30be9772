"""What watching a PyTorch model costs: beside the plain step, and beside the same figures by PyTorch's own calls.

    python bench/watch.py [--json FILE]

Medians of rounds that alternate, so that all see the machine in the same state.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn

import gradwell as gw

ROUNDS, WARM, STEPS = 9, 5, 40


def deep():
    layers = [m for _ in range(50) for m in (nn.Linear(128, 128), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(128, 10)), torch.randn(64, 128)


def images():
    body = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    body += [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 14 * 14, 10)]
    return nn.Sequential(*body), torch.randn(64, 1, 28, 28)


def by_torch(tensor):
    """Compute what the record has of one tensor by PyTorch calls."""
    flat = tensor.detach().flatten()
    finite = flat[torch.isfinite(flat)]
    size = finite.abs()
    _, exponents = torch.frexp(size[size > 0])
    return [
        torch.linalg.vector_norm(finite),
        finite.square().mean().sqrt(),
        finite.mean(),
        finite.std(correction=0),
        finite.min(),
        finite.max(),
        size.max(),
        size[size > 0].min() if (size > 0).any() else size.min(),
        (finite == 0).sum(),
        torch.isnan(flat).sum(),
        torch.isinf(flat).sum(),
        torch.bincount(exponents + 160),
    ]


class Plain:
    """No one watches."""

    def __init__(self, model, optimizer):
        pass

    def before(self):
        pass

    after = close = before


class ByTorch(Plain):
    """Outputs, errors, gradients and updates by hooks and PyTorch's calls."""

    def __init__(self, model, optimizer):
        self.parameters = list(model.parameters())
        self.found = []
        self.handles = [
            m.register_forward_hook(self.hook)
            for m in model
            if list(m.parameters()) or "Tanh" in str(m) or "ReLU" in str(m)
        ]

    def hook(self, module, inputs, output):
        self.found.append(by_torch(output))
        output.register_hook(
            lambda gradient: self.found.append(by_torch(gradient)) if list(module.parameters()) else None
        )

    def before(self):
        self.found += [by_torch(p.grad) for p in self.parameters]
        self.kept = [p.detach().clone() for p in self.parameters]

    def after(self):
        pairs = zip(self.parameters, self.kept, strict=True)
        self.found += [[torch.linalg.vector_norm(p.detach() - k), torch.linalg.vector_norm(k)] for p, k in pairs]
        self.found = []

    def close(self):
        for handle in self.handles:
            handle.remove()


def watched(every):
    class Watched(Plain):
        def __init__(self, model, optimizer):
            self.watch = gw.watch.torch(model, optimizer, every=every)

        def close(self):
            assert self.watch.faults == []
            self.watch.close()

    return Watched


CALLS = "torch's calls"
WATCHERS = {"plain": Plain, "every step": watched(1), "one in 20": watched(20), "auto": watched("auto"), CALLS: ByTorch}


def seconds(make, watcher):
    """Mean seconds of a step."""
    torch.manual_seed(0)
    model, x = make()
    y = torch.randint(0, 10, (len(x),))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    watch = watcher(model, optimizer)
    for step in range(WARM + STEPS):
        if step == WARM:
            begin = time.perf_counter()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        watch.before()
        optimizer.step()
        watch.after()
    end = time.perf_counter()
    watch.close()
    return (end - begin) / STEPS


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--json", type=Path)
    to = options.parse_args().json
    results = {}
    for name, make in (("50 x 128 tanh, batch 64", deep), ("3 convolutions, batch 64", images)):
        rounds = {watcher: [] for watcher in WATCHERS}
        for _ in range(ROUNDS):
            for watcher, kind in WATCHERS.items():
                rounds[watcher].append(seconds(make, kind))
        plain = statistics.median(rounds["plain"])
        results[name] = {w: {"median": statistics.median(t), "best": min(t)} for w, t in rounds.items()}
        print(f"{name}: {plain * 1e3:.2f} ms a step")
        for watcher, times in list(rounds.items())[1:]:
            ratio = statistics.median(a / b for a, b in zip(times, rounds["plain"], strict=True))
            print(f"  {watcher:14} {ratio:.2f} times (best {min(times) / min(rounds['plain']):.2f})")
        cost = {w: statistics.median(a - b for a, b in zip(t, rounds["plain"], strict=True)) for w, t in rounds.items()}
        print(f"  torch's calls cost {cost[CALLS] / cost['every step']:.1f} times what every step does")
    if to:
        to.write_text(json.dumps({"threads": torch.get_num_threads(), "seconds": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
