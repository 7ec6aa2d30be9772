"""Five layers of logistic units that do not learn, until each was trained by itself first.

Networks [784, 500 x 5, 10] of logistic units on MNIST, with the weights of Nielsen, N(0, 1/n_in), and biases N(0, 1):
as they are; each hidden layer trained as a restricted Boltzmann machine; and as a denoising autoencoder. All are then
trained alike by gradient descent. At the start the ratio of the first to the last hidden layer's error signal, root
mean square over 500 images, tells how much of the gradient arrives; then the accuracy on the 10,000 test images counts.

G. Hinton, S. Osindero, Y. Teh (2006), A fast learning algorithm for deep belief nets. P. Vincent, H. Larochelle,
Y. Bengio, P. Manzagol (2008), Extracting and composing robust features with denoising autoencoders. D. Erhan, Y.
Bengio and others (2010), Why does unsupervised pre-training help deep learning?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result, few_seeds
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradwell.datasets.mnist import Mnist

SEEDS: Final = 3
DEPTH: Final = 5
WIDTH: Final = 500
IMAGES: Final = 500
BATCH: Final = 100
EPOCHS: Final = 8
METHODS: Final[dict[str, dict[str, Any] | None]] = {
    "as it is": None,
    "Boltzmann machines": {"method": "rbm", "epochs": 5, "momentum": 0.5},
    "autoencoders": {"method": "autoencoder", "epochs": 2, "tied": False},
}

Array = NDArray[np.float64]


def run(options: Options, epochs: int = EPOCHS, depth: int = DEPTH) -> Result:
    """Train every kind of network over the seeds."""
    seeds = options.seed_count(SEEDS)
    data = gw.datasets.mnist(options.data)
    ratios: dict[str, Array] = {}
    accuracy: dict[str, Array] = {}
    with options.bar(len(METHODS) * seeds * (epochs + 1), "epoch") as bar:
        for name in METHODS:
            found = [train(name, seed, data, epochs, depth, bar.update) for seed in range(seeds)]
            ratios[name] = np.array([ratio for ratio, _ in found])
            accuracy[name] = np.array([curve for _, curve in found])
    return summarise(ratios, accuracy)


def train(
    name: str, seed: int, data: Mnist, epochs: int, depth: int, tick: Callable[[], Any]
) -> tuple[float, list[float]]:
    """Return the ratio of the gradients at the start and the test accuracy after each epoch."""
    net = gw.mlp([784, *[WIDTH] * depth, 10], activation="sigmoid", init="nielsen", seed=seed)
    x, y = data.train_images, data.train_labels
    how = METHODS[name]
    if how is not None:
        gw.pretrain(net, x, batch_size=BATCH, seed=seed, progress=False, **how)
    tick()
    ratio = first_over_last(net, x[:IMAGES], y[:IMAGES])
    rate = gw.schedules.CosineDecay(0.1, epochs * len(x) // BATCH, final=0.001)
    curve = []
    for epoch in range(epochs):
        gw.fit(
            net,
            (x, y),
            loss="softmax_cross_entropy",
            optimizer=gw.SGD(rate, momentum=0.9),
            batch_size=BATCH,
            epochs=epoch + 1,
            stats=False,
            seed=seed,
            progress=False,
            resume=epoch > 0,
        )
        curve.append(float((net.predict(data.test_images).argmax(axis=1) == data.test_labels).mean()))
        tick()
    return ratio, curve


def first_over_last(net: gw.Network, x: Any, y: Any) -> float:
    """Return the norm of the first hidden layer's error signal over the last one's."""
    norms = gw.gradients(net, x, y, loss="softmax_cross_entropy").norm("error")[0]
    return float(norms[0] / norms[-2])


def summarise(ratios: dict[str, Array], accuracy: dict[str, Array]) -> Result:
    """Turn ratios (seeds,) and accuracies (seeds, epochs) of each kind into figures and checks."""
    plain, untreated = accuracy["as it is"][:, -1], float(np.median(ratios["as it is"]))
    checks, rows = [], []
    for name, curves in accuracy.items():
        final, median = curves[:, -1], float(np.median(ratios[name]))
        rows.append([name, f"{median:.1e}", f"{final.mean():.2%}", f"{final.min():.2%} to {final.max():.2%}"])
        if name == "as it is":
            continue
        checks += [
            Check(f"accuracy after {name}, worst seed", float(final.min()), 0.975, 1.0),
            Check(f"accuracy after {name} minus none, worst seed", float((final - plain).min()), 0.05, 1.0),
            Check(f"share of the gradient that arrives, {name} over none", median / untreated, 5, 1e6),
        ]
    seeds = len(plain)
    figures = {
        "ratios": {name: list(values) for name, values in ratios.items()},
        "test_accuracy": {name: values.tolist() for name, values in accuracy.items()},
    }
    notes = [
        "‖δ‖ of the first hidden layer over that of the last, before the common training; then as many epochs of "
        "gradient descent with momentum for each.",
        *few_seeds(seeds, SEEDS),
    ]
    return Result(
        "pretraining-rescue",
        figures,
        checks,
        text_table(["weights", "first / last ‖δ‖", "test accuracy", "seeds"], rows),
        lambda: draw(ratios, accuracy),
        notes,
    )


def draw(ratios: dict[str, Array], accuracy: dict[str, Array]) -> Figure:
    """Draw the ratio of each kind at the start, and its accuracy by epoch, every seed a line."""
    figure, panels = plots.subplots(1, 2, size=(10.5, 4.2))
    left, right = panels[0]
    colours = (plots.BLACK, plots.BLUE, plots.ORANGE)
    for place, (name, colour) in enumerate(zip(METHODS, colours, strict=True)):
        left.plot([place] * len(ratios[name]), ratios[name], "o", color=colour, alpha=0.7)
        for k, curve in enumerate(accuracy[name]):
            epochs = np.arange(1, len(curve) + 1)
            right.plot(epochs, 100 * np.asarray(curve), "o-", markersize=3, color=colour, label=None if k else name)
    left.set(yscale="log", ylabel="‖δ‖ first / last hidden layer", title="Before the common training, each seed")
    left.set_xticks(range(len(METHODS)), list(METHODS))
    left.set_xlim(-0.5, len(METHODS) - 0.5)
    right.set(xlabel="epoch of gradient descent", ylabel="test accuracy (%)", title="MNIST", ylim=(0, 100))
    right.legend(loc="center right")
    figure.suptitle("A deep logistic network, its layers pre-trained one by one")
    return figure
