"""Twenty, a hundred and ten, and a thousand and one layers: plain, residual and ReZero.

Networks of 64 relu units a layer on MNIST. The plain ones have the weights of He. The residual ones are the same layers
in blocks of two with a skip connection around each, the second weight of a block starting at 0; ReZero instead has a
learned factor on each block that starts at 0. All train alike: Adam with rate 3e-4, gradients clipped to norm 1.

K. He, X. Zhang, S. Ren, J. Sun (2016), Deep residual learning for image recognition. T. Bachlechner et al. (2021),
ReZero is all you need: fast convergence at large depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result, first_images
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS: Final = (20, 110, 1001)
KINDS: Final = ("plain", "residual", "rezero")
WIDTH: Final = 64
TRAIN: Final = 50_000
BATCH: Final = 100
STEPS: Final = 1500
SECONDS: Final = 300.0

Array = NDArray[np.float64]


class Run(NamedTuple):
    """One network: the record before training, its accuracy every tenth of the steps, and the time it took."""

    norms: Array  # of the error signal by layer, first to last
    accuracy: Array
    seconds: float


def run(options: Options, depths: tuple[int, ...] = DEPTHS, steps: int = STEPS) -> Result:
    """Record and train a network of each kind and depth."""
    x, y = first_images(options.data, 60_000)
    found = {}
    with options.bar(len(depths) * len(KINDS) * 10, "tenth") as bar:
        for depth in depths:
            for kind in KINDS:
                found[kind, depth] = measure(kind, depth, x, y, steps, bar.update)
    return summarise(found, steps)


def network(kind: str, depth: int, seed: int = 0) -> gw.Network:
    """Return a network with `depth` weights from input to output."""
    if kind == "plain":
        hidden = [layer for _ in range(depth - 1) for layer in (gw.Dense(WIDTH, init="he"), gw.ReLU())]
        return gw.Network([*hidden, gw.Dense(10)], input_shape=784, seed=seed)
    rezero = kind == "rezero"
    last = gw.Dense(WIDTH, init="he" if rezero else "zeros")
    branch = (gw.Dense(WIDTH, init="he"), gw.ReLU(), last)
    blocks = [gw.Residual(*branch, scale="rezero" if rezero else 1.0) for _ in range((depth - 2) // 2)]
    return gw.Network([gw.Dense(WIDTH, init="he"), gw.ReLU(), *blocks, gw.Dense(10)], input_shape=784, seed=seed)


def measure(kind: str, depth: int, x: NDArray[np.float32], y: NDArray[np.int64], steps: int, tick: Any) -> Run:
    """Record one network at the start and train it."""
    net = network(kind, depth)
    record = gw.gradients(net, x[:500], y[:500], loss="softmax_cross_entropy")
    stage = "dense" if kind == "plain" else "residual"
    at = [i for i, description in enumerate(record.descriptions) if description.startswith(stage)]
    accuracy, seconds = [], 0.0
    for tenth in range(1, 11):
        history = gw.fit(
            net,
            (x[:TRAIN], y[:TRAIN]),
            loss="softmax_cross_entropy",
            optimizer=gw.Adam(3e-4),
            batch_size=BATCH,
            epochs=steps * BATCH // TRAIN + 1,
            max_steps=steps * tenth // 10,
            clip=gw.clip_by_norm(1.0),
            stats=False,
            progress=False,
            resume=tenth > 1,
        )
        seconds += history.seconds
        accuracy.append(float((net.predict(x[TRAIN:]).argmax(axis=1) == y[TRAIN:]).mean()))
        tick()
    return Run(np.asarray(record.norm("error")[0, at]), np.array(accuracy), seconds)


def summarise(found: Mapping[tuple[str, int], Run], steps: int) -> Result:
    """Turn what was measured into figures and checks."""
    checks, rows, figures = [], [], []
    for (kind, depth), one in found.items():
        ratio = float(one.norms[0] / one.norms[-1])
        final = float(one.accuracy[-1])
        rows.append([kind, str(depth), f"{ratio:.2g}", f"{100 * final:.1f}", f"{one.seconds:.0f}"])
        figures.append({"kind": kind, "depth": depth, "ratio": ratio, "accuracy": one.accuracy, "seconds": one.seconds})
    deepest = max(depth for _, depth in found)
    checks.append(
        Check(
            f"plain, {deepest} layers: accuracy stays at chance", float(found["plain", deepest].accuracy[-1]), 0.05, 0.2
        )
    )
    for kind in ("residual", "rezero"):
        one = found[kind, deepest]
        checks.append(Check(f"{kind}, {deepest} layers: accuracy", float(one.accuracy[-1]), 0.95, 1.0))
        checks.append(Check(f"{kind}, {deepest} layers: seconds", one.seconds, 0.0, SECONDS))
    notes = [
        f"{steps} steps of {BATCH} images. The ratio is of the error signal's norm in the first hidden layer, or "
        "behind the first block, to the last's, before training. A block whose branch starts at 0 hands it on "
        "as it is."
    ]
    headers = ["network", "layers", "‖δ‖ first / last", "accuracy %", "seconds"]
    data = {"steps": steps, "networks": figures}
    return Result("residual-depth", data, checks, text_table(headers, rows), lambda: draw(found, steps), notes)


def draw(found: Mapping[tuple[str, int], Run], steps: int) -> Figure:
    """Draw the error signals of the deepest networks before training, and all accuracies over the steps."""
    figure, panels = plots.subplots(1, 2, size=(10.0, 4.2))
    left, right = panels[0]
    deepest = max(depth for _, depth in found)
    colours = dict(zip(KINDS, (plots.ORANGE, plots.BLUE, plots.GREEN), strict=True))
    styles = dict(zip(sorted({depth for _, depth in found}), (":", "--", "-"), strict=False))
    for kind in KINDS:
        norms = found[kind, deepest].norms
        places = np.linspace(1, deepest, len(norms))
        left.plot(places, norms, "--" if kind == "rezero" else "-", color=colours[kind], label=kind)
    left.set(yscale="log", xlabel="layer, first to last", ylabel="‖δ‖", title=f"{deepest} layers before training")
    left.legend()
    for (kind, depth), one in found.items():
        tenths = np.arange(1, 11) * steps / 10
        label = f"{kind}, {depth}"
        right.plot(tenths, 100 * one.accuracy, styles[depth], color=colours[kind], label=label)
    right.set(xlabel="step", ylabel="accuracy (%)", ylim=(0, 100), title="On 10,000 other images")
    right.legend(fontsize="small", ncols=1, loc="center right")
    figure.suptitle("Plain and residual networks of relu units on MNIST")
    return figure
