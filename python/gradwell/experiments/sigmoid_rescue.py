"""Ten and fifteen layers of logistic units: why they do not learn, and six ways to make them.

Networks [784, 100 x k, 10], k = 10 and 15. At the start the ratio of the first to the last hidden layer's error signal,
norm of its mean over 500 images of MNIST, tells how much of the gradient arrives. Then each network takes the same
number of steps, and its accuracy on 10,000 other images is compared: with the weights of Nielsen, Kumar, Yilmaz and
Poli; with batch normalisation; as residual blocks; and with relu units and the weights of He instead.

S. K. Kumar (2017), On weight initialization in deep neural networks. A. Yilmaz, R. Poli (2022), Successfully and
efficiently training deep multi-layer perceptrons with logistic activation function simply requires initializing the
weights with an appropriate negative mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result, few_seeds, first_images
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 20
DEPTHS: Final = (10, 15)
WIDTH: Final = 100
IMAGES: Final = 500
TRAIN: Final = 50_000
STEPS: Final = 5000
BATCH: Final = 50
EXPECTED: Final = {
    ("nielsen", 10): 6e-7,
    ("nielsen", 15): 2.5e-10,
    ("kumar", 10): 1.1e-2,
    ("kumar", 15): 9e-4,
    ("yilmaz-poli", 10): 1.5,
    ("yilmaz-poli", 15): 0.18,
}
CURES: Final = ("nielsen", "kumar", "yilmaz-poli", "batch norm", "residual", "relu, he")

Array = NDArray[np.float64]


def run(options: Options, steps: int = STEPS) -> Result:
    """Measure ratios at the start over the seeds, then train one network of each kind and depth."""
    seeds = options.seed_count(SEEDS)
    x, y = first_images(options.data, 60_000)
    ratios: dict[tuple[str, int], Array] = {}
    accuracy: dict[tuple[str, int], Array] = {}
    with options.bar(len(CURES) * len(DEPTHS) * (seeds + 1), "network") as bar:
        for depth in DEPTHS:
            for cure in CURES:
                ratios[cure, depth] = np.array(
                    [first_over_last(cure, depth, s, x, y, bar.update) for s in range(seeds)]
                )
                accuracy[cure, depth] = train(cure, depth, x, y, steps)
                bar.update()
    return summarise(ratios, accuracy, steps)


def network(cure: str, depth: int, seed: int) -> gw.Network:
    """Return a network of `depth` hidden layers with one of the cures."""
    if cure == "relu, he":
        return gw.mlp([784, *[WIDTH] * depth, 10], activation="relu", init="he", seed=seed)
    if cure == "batch norm":
        return gw.mlp([784, *[WIDTH] * depth, 10], activation="sigmoid", normalization="batch", seed=seed)
    if cure == "residual":
        block = (gw.Dense(WIDTH, init="kumar"), gw.Sigmoid(), gw.Dense(WIDTH, init="zeros"))
        blocks = [gw.Residual(*block) for _ in range(depth // 2)]
        return gw.Network([gw.Dense(WIDTH), *blocks, gw.Dense(10)], input_shape=784, seed=seed)
    return gw.mlp([784, *[WIDTH] * depth, 10], activation="sigmoid", init=cure, seed=seed)


def first_over_last(
    cure: str, depth: int, seed: int, x: NDArray[np.float32], y: NDArray[np.int64], tick: Callable[[], Any]
) -> float:
    """Return the norm of the first hidden layer's mean error signal over the last's, before training."""
    net = network(cure, depth, seed)
    record = gw.gradients(net, x[:IMAGES], y[:IMAGES], loss="sigmoid_cross_entropy")
    tick()
    # The gradient of a bias is the mean error signal; behind batch normalisation, of beta.
    norms = np.array(record.norm("beta" if cure == "batch norm" else "bias")[0])
    norms = norms[np.isfinite(norms)]
    hidden = norms if cure == "batch norm" else norms[:-1]
    return float(hidden[0] / hidden[-1])


def train(cure: str, depth: int, x: NDArray[np.float32], y: NDArray[np.int64], steps: int) -> Array:
    """Return the accuracy on 10,000 images after every tenth of the steps."""
    net = network(cure, depth, 0)
    found = []
    for tenth in range(1, 11):
        gw.fit(
            net,
            (x[:TRAIN], y[:TRAIN]),
            loss="softmax_cross_entropy",
            optimizer=gw.Adam(1e-3),
            batch_size=BATCH,
            epochs=steps * BATCH // TRAIN + 1,
            max_steps=steps * tenth // 10,
            stats=False,
            progress=False,
            resume=tenth > 1,
            nonfinite="stop",
        )
        found.append(float((net.predict(x[TRAIN:]).argmax(axis=1) == y[TRAIN:]).mean()))
    return np.array(found)


def summarise(ratios: Mapping[tuple[str, int], Array], accuracy: Mapping[tuple[str, int], Array], steps: int) -> Result:
    """Turn ratios (seeds,) and accuracies (tenths,) of each cure and depth into figures and checks."""
    checks, rows, figures = [], [], []
    for (cure, depth), values in ratios.items():
        median, final = float(np.median(values)), float(accuracy[cure, depth][-1])
        expected = EXPECTED.get((cure, depth))
        if expected is not None:
            name = f"{cure}, {depth} layers: first over last at the start"
            checks.append(Check(name, median, expected / 2, expected * 2))
        shown = "" if expected is None else f"{expected:.1e}"
        rows.append([cure, str(depth), shown, f"{median:.1e}", f"{100 * final:.1f}"])
        figures.append({"cure": cure, "depth": depth, "expected": expected, "ratio": median, "accuracy": final})
    deepest = DEPTHS[-1]
    stuck = float(accuracy["nielsen", deepest][-1])
    cured = [cure for cure in CURES if cure != "nielsen" and accuracy[cure, deepest][-1] >= 0.9]
    checks.append(Check(f"nielsen, {deepest} layers: accuracy stays at chance", stuck, 0.05, 0.15))
    checks.append(Check(f"cures of {deepest} layers that reach 90 %", len(cured), 3, len(CURES) - 1))
    seeds = len(next(iter(ratios.values())))
    notes = [
        f"{deepest} layers reach 90 % in {steps} steps with {', '.join(cured) or 'none of the cures'}. The ratio at "
        "the start is of gradients before any step; training by Adam, whose steps do not shrink with the gradient.",
        *few_seeds(seeds, SEEDS),
    ]
    headers = ["weights or cure", "layers", "expected ratio", "median ratio", f"accuracy % after {steps} steps"]
    data = {"seeds": seeds, "steps": steps, "networks": figures}
    return Result(
        "sigmoid-rescue", data, checks, text_table(headers, rows), lambda: draw(ratios, accuracy, steps), notes
    )


def draw(ratios: Mapping[tuple[str, int], Array], accuracy: Mapping[tuple[str, int], Array], steps: int) -> Figure:
    """Draw the ratio of each cure at the start, and the accuracy of the deepest networks over the steps."""
    figure, panels = plots.subplots(1, 2, size=(10.5, 4.4))
    left, right = panels[0]
    places = np.arange(len(CURES))
    for depth, colour in zip(DEPTHS, (plots.BLUE, plots.ORANGE), strict=True):
        for place, cure in zip(places, CURES, strict=True):
            values = ratios[cure, depth]
            label = f"{depth} layers" if place == 0 else None
            shift = -0.12 if depth == DEPTHS[0] else 0.12
            left.plot([place + shift] * len(values), values, "o", color=colour, alpha=0.4, markersize=4, label=label)
    left.set(yscale="log", ylabel="‖δ‖ first / last hidden layer", title="Before training, each seed")
    left.axhline(1.0, color=plots.BLACK, linewidth=0.8)
    left.set_xticks(places, CURES, rotation=25)
    left.legend(loc="lower right")
    tenths = np.arange(1, 11) * steps / 10
    for cure, shade in zip(CURES, plots.shades(len(CURES)), strict=True):
        right.plot(tenths, 100 * accuracy[cure, DEPTHS[-1]], "o-", markersize=3, color=shade, label=cure)
    right.set(xlabel="step", ylabel="accuracy (%)", title=f"{DEPTHS[-1]} hidden layers on MNIST", ylim=(0, 100))
    right.legend(fontsize="small", loc="center right")
    figure.suptitle("Deep logistic networks and their cures")
    return figure
