"""A deep belief net of 784-500-500-2000 units on MNIST: the bound on its likelihood, its samples, its test error.

The three machines are trained by contrastive divergence on the 60,000 training images, the top one with persistent
chains, each on draws of the hidden units below. After each, the bound on log p(v) is estimated on test images, with the
top machine's partition function by annealed importance sampling. Samples are drawn from the top machine and brought
down. The stack then becomes a logistic network that gradient descent trains on the labels.

G. Hinton, S. Osindero, Y. Teh (2006), A fast learning algorithm for deep belief nets: 1.25 %, with the labels in the
top machine and the up-down algorithm. The deep belief net of the Theano tutorials, fine-tuned by gradient descent:
1.34 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES: Final = (784, 500, 500, 2000)
EPOCHS: Final = (15, 10, 24)
TOP_RATES: Final = (0.05, 0.02, 0.005)  # of the top machine, a third of its epochs each
FINE_EPOCHS: Final = 20
BATCH: Final = 100
BOUNDED: Final = 1000  # test images that the bound is the mean over
SAMPLES: Final = 100
TURNS: Final = 1000
FALL: Final = 1.0  # nats that the bound may seem to fall by: the error of its estimate
PUBLISHED: Final = {"Hinton, Osindero, Teh 2006": 0.0125, "Theano tutorials": 0.0134}

Array = NDArray[Any]


def run(
    options: Options,
    sizes: tuple[int, ...] = SIZES,
    epochs: tuple[int, ...] = EPOCHS,
    fine_epochs: int = FINE_EPOCHS,
) -> Result:
    """Train the machines, estimate the bounds, draw samples, and fine-tune; one seed."""
    data = gw.datasets.mnist(options.data)
    x, held_out = data.train_images, data.test_images[:BOUNDED]
    dbn = gw.DBN(sizes, seed=0)
    bounds, inputs = [], x
    with options.bar(sum(epochs) + fine_epochs, "epoch") as bar:
        for i, rbm in enumerate(dbn.machines):
            learn(rbm, inputs, epochs[i], top=i + 1 == len(epochs))
            means = rbm.transform(inputs)
            inputs = (np.random.default_rng(i).random(means.shape, means.dtype) < means).astype(np.float32)
            bounds.append(float(dbn.lower_bound(held_out, layers=i + 1, chains=50, temperatures=2000).mean()))
            bar.update(epochs[i])
        samples = dbn.sample(SAMPLES, steps=TURNS, start=x[:SAMPLES])
        net = dbn.to_network(10, seed=0)
        errors = []
        rate = gw.schedules.CosineDecay(0.1, fine_epochs * len(x) // BATCH, final=0.001)
        for epoch in range(fine_epochs):
            gw.fit(
                net,
                (x, data.train_labels),
                loss="softmax_cross_entropy",
                optimizer=gw.SGD(rate, momentum=0.9, weight_decay=1e-5),
                batch_size=BATCH,
                epochs=epoch + 1,
                stats=False,
                progress=False,
                resume=epoch > 0,
            )
            errors.append(float((net.predict(data.test_images).argmax(axis=1) != data.test_labels).mean()))
            bar.update()
    return summarise(bounds, errors, dbn.machines[0].weight, samples, sizes, epochs)


def learn(rbm: gw.RBM, inputs: Array, epochs: int, top: bool) -> None:
    """Train a machine; the top one, which samples are drawn from, by chains that go on and ever smaller steps."""
    settings: dict[str, Any] = {"batch_size": BATCH, "measure": 0, "progress": False}
    if not top:
        rbm.fit(inputs, epochs=epochs, learning_rate=0.1, weight_decay=2e-4, momentum=0.5, **settings)
        return
    for k, rate in enumerate(TOP_RATES, 1):
        last = -(-epochs * k // len(TOP_RATES))
        rbm.fit(
            inputs,
            epochs=last,
            learning_rate=rate,
            weight_decay=1e-4,
            momentum=0.0,
            persistent=True,
            resume=k > 1,
            **settings,
        )


def summarise(
    bounds: list[float],
    errors: list[float],
    filters: Array,
    samples: Array,
    sizes: tuple[int, ...],
    epochs: tuple[int, ...],
) -> Result:
    """Turn bounds a layer and test errors an epoch into figures and checks."""
    checks = [
        Check("test error after fine-tuning", errors[-1], 0.0, 0.016),
        Check(
            "lowest rise of the bound from one machine to the next, nats", float(np.diff(bounds).min()), -FALL, 100.0
        ),
        Check("spread of the samples' means over pixels", float(samples.mean(axis=0).std()), 0.05, 0.5),
    ]
    rows = [[name, f"{error:.2%}"] for name, error in PUBLISHED.items()]
    rows.append(
        [f"here, {'+'.join(map(str, epochs))} epochs of machines, {len(errors)} of labels", f"{errors[-1]:.2%}"]
    )
    layers = "; ".join(f"{'-'.join(map(str, sizes[: k + 2]))}: {bound:.1f}" for k, bound in enumerate(bounds))
    notes = [
        f"Lower bound on log p(v) of test images, in nats, after each machine: {layers}. Grey "
        "pixels count as 1 from a half on.",
        "Hinton's net has the labels in its top machine and is fine-tuned by the up-down algorithm, without gradient "
        "descent; that of the Theano tutorials is fine-tuned as here, after more epochs of smaller steps. A "
        "difference of 0.1 % is ten images of 10,000.",
    ]
    figures = {"bounds": bounds, "test_error": errors, "published": PUBLISHED, "sizes": list(sizes)}
    return Result(
        "dbn-mnist",
        figures,
        checks,
        text_table(["deep belief net on MNIST", "test error"], rows),
        lambda: draw(filters, samples, bounds),
        notes,
    )


def draw(filters: Array, samples: Array, bounds: list[float]) -> Figure:
    """Draw filters of the first machine, samples, and the bound by layer."""
    figure, panels = plots.subplots(1, 3, size=(12.5, 4.6), gridspec_kw={"width_ratios": [1, 1, 0.55]})
    left, middle, right = panels[0]
    strongest = np.argsort(-np.square(filters).sum(axis=0))[:SAMPLES]
    left.imshow(mosaic(filters[:, strongest].T), cmap="gray")
    left.set_title("100 units of the first machine")
    middle.imshow(mosaic(samples, spread=False), cmap="gray_r")
    middle.set_title(f"Samples after {TURNS} turns")
    for axes in (left, middle):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    right.plot(np.arange(1, len(bounds) + 1), bounds, "o-", color=plots.BLUE)
    right.set(xlabel="machines", ylabel="lower bound on log p(v) (nats)", title="Test images")
    right.set_xticks(np.arange(1, len(bounds) + 1))
    return figure


def mosaic(images: Array, side: int = 28, *, spread: bool = True) -> Array:
    """Return square images (n, side * side) as one picture of ten a row; `spread` brings each to 0 to 1.

    Examples
    --------
    >>> mosaic(np.zeros((20, 784))).shape
    (57, 289)
    """
    columns = 10
    rows = -(-len(images) // columns)
    picture = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1), 0.5 if spread else 0.3)
    for k, image in enumerate(np.asarray(images, np.float64)):
        if spread:
            limit = max(float(np.abs(image).max()), 1e-12)
            image = 0.5 + 0.5 * image / limit  # noqa: PLW2901 the loop's own
        top, left = k // columns * (side + 1), k % columns * (side + 1)
        picture[top : top + side, left : left + side] = image.reshape(side, side)
    return picture
