"""Which learning rates kill relu units, and what revives them.

A unit is dead when no image makes it active: its derivative is 0 for all of them, and no gradient reaches its weights.
Networks [784, 100, 100, 100, 10] of relu units take one epoch on 20,000 images of MNIST at learning rates from harmless
to far too high. Then the networks that the rate 0.8 has left go on for three epochs at 0.05: as they are; with Adam;
with another activation on the same weights; or with batch normalisation put in front of every activation.

L. Lu, Y. Shin, Y. Su, G. Karniadakis (2020), Dying ReLU and initialization: theory and numerical examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result, few_seeds, first_images
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 5
RATES: Final = (0.03, 0.1, 0.3, 0.5, 0.7, 0.8, 1.0, 1.3)
KILLING: Final = 0.8
GENTLE: Final = 0.05
SIZES: Final = (784, 100, 100, 100, 10)
IMAGES: Final = 20_000
LOOKED_AT: Final = 2000
REMEDIES: Final = ("relu, as it is", "relu, adam", "leaky relu", "elu", "silu", "relu, batch norm")

Array = NDArray[np.float64]


def run(options: Options) -> Result:
    """Kill units at every rate, then try every remedy on what one rate has left."""
    seeds = options.seed_count(SEEDS)
    x, y = first_images(options.data, IMAGES)
    killed = np.full((len(RATES), seeds), np.nan)
    revived = np.full((len(REMEDIES), seeds, 2), np.nan)
    start = np.full((seeds, 2), np.nan)
    with options.bar((len(RATES) + len(REMEDIES)) * seeds, "network") as bar:
        for seed in range(seeds):
            for i, rate in enumerate(RATES):
                net = gw.mlp(SIZES, activation="relu", seed=seed)
                train(net, x, y, gw.SGD(rate), epochs=1)
                killed[i, seed] = dead(net, x, y)
                if rate == KILLING:
                    left = net
                bar.update()
            start[seed] = dead(left, x, y), accuracy(left, x, y)
            for i, remedy in enumerate(REMEDIES):
                net = with_remedy(left, remedy)
                train(net, x, y, gw.Adam(1e-3) if remedy == "relu, adam" else gw.SGD(GENTLE), epochs=3)
                revived[i, seed] = dead(net, x, y), accuracy(net, x, y)
                bar.update()
    return summarise(killed, start, revived)


def train(net: gw.Network, x: NDArray[np.float32], y: NDArray[np.int64], optimizer: Any, epochs: int) -> None:
    """Train a network; one that has gone to infinity stays where it is."""
    settings: dict[str, Any] = {
        "batch_size": 50,
        "epochs": epochs,
        "stats": False,
        "progress": False,
        "nonfinite": "stop",
    }
    gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=optimizer, **settings)


def dead(net: gw.Network, x: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Return the fraction of hidden units whose derivative is next to nothing for every image looked at."""
    some = x[:LOOKED_AT], y[:LOOKED_AT]
    record = gw.gradients(net, *some, loss="softmax_cross_entropy", training=False)
    fractions = record.dead()[0]
    hidden = [i for i, description in enumerate(record.descriptions) if "+" in description]
    return float(np.mean(fractions[hidden]))


def accuracy(net: gw.Network, x: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Return the accuracy on the training images."""
    return float((net.predict(x).argmax(axis=1) == y).mean())


def with_remedy(net: gw.Network, remedy: str) -> gw.Network:
    """Return a network with the weights of `net` and a remedy."""
    activation = {"leaky relu": "leaky_relu", "elu": "elu", "silu": "silu"}.get(remedy, "relu")
    norm = "batch" if remedy == "relu, batch norm" else None
    cured = gw.mlp(SIZES, activation=activation, normalization=norm, seed=0)
    own = [view for name, view in cured.parameters.items() if name.endswith(("weight", "bias"))]
    for view, value in zip(own, net.parameters.values(), strict=True):
        view[...] = value
    return cured


def summarise(killed: Array, start: Array, revived: Array) -> Result:
    """Turn dead fractions (rates, seeds) and what each remedy made of them into figures and checks."""
    by_rate = np.median(killed, axis=1)
    before, accuracy_before = np.median(start, axis=0)
    after = np.median(revived, axis=1)
    place = {name: i for i, name in enumerate(REMEDIES)}
    still = after[place["relu, as it is"], 0] / before
    checks = [
        Check(f"dead at rate {RATES[0]:g}", float(by_rate[0]), 0.0, 0.1),
        Check(f"dead at rate {RATES[-1]:g}", float(by_rate[-1]), 0.4, 1.0),
        Check("share of the dead that stay so as they are", float(still), 0.6, 1.2),
        Check("dead with leaky relu", float(after[place["leaky relu"], 0]), 0.0, 0.05),
        Check("dead with batch norm", float(after[place["relu, batch norm"], 0]), 0.0, 0.05),
        Check("accuracy with batch norm", float(after[place["relu, batch norm"], 1]), 0.9, 1.0),
    ]
    rows = [
        [f"relu at rate {rate:g}, one epoch", f"{100 * value:.0f}", ""]
        for rate, value in zip(RATES, by_rate, strict=True)
    ]
    rows.append([f"then, from rate {KILLING:g}:", f"{100 * before:.0f}", f"{100 * accuracy_before:.1f}"])
    rows += [[f"  {name}", f"{100 * d:.0f}", f"{100 * a:.1f}"] for name, (d, a) in zip(REMEDIES, after, strict=True)]
    seeds = killed.shape[1]
    notes = [
        "Medians of the seeds. A dead relu unit gets no gradient of its own: it comes back only if the layers before "
        "it happen to move its inputs. A slope below 0 revives it at once, batch normalisation puts its inputs near 0.",
        *few_seeds(seeds, SEEDS),
    ]
    data = {
        "seeds": seeds,
        "rates": RATES,
        "killed": killed,
        "remedies": {name: {"dead": revived[i, :, 0], "accuracy": revived[i, :, 1]} for name, i in place.items()},
        "start": {"dead": start[:, 0], "accuracy": start[:, 1]},
    }
    headers = ["network", "dead %", "accuracy %"]
    return Result("dead-relu", data, checks, text_table(headers, rows), lambda: draw(killed, start, revived), notes)


def draw(killed: Array, start: Array, revived: Array) -> Figure:
    """Draw the dead fraction over the learning rate, and what each remedy leaves dead."""
    figure, panels = plots.subplots(1, 2, size=(10.5, 4.2))
    left, right = panels[0]
    left.plot(RATES, 100 * killed, "o", color=plots.BLUE, alpha=0.4, markersize=4)
    left.plot(RATES, 100 * np.median(killed, axis=1), "-", color=plots.BLUE, label="median of the seeds")
    left.set(xscale="log", xlabel="learning rate", ylabel="dead units (%)", title="After one epoch", ylim=(-3, 103))
    shown = [rate for rate in RATES if rate not in (0.7, 1.3)]
    left.set_xticks(shown, [f"{rate:g}" for rate in shown])
    left.minorticks_off()
    left.legend(loc="upper left")
    names = ["before", *REMEDIES]
    values = [start[:, 0], *revived[:, :, 0]]
    scores = [start[:, 1], *revived[:, :, 1]]
    for place, (deaths, score) in enumerate(zip(values, scores, strict=True)):
        right.plot([place - 0.12] * len(deaths), 100 * deaths, "o", color=plots.BLUE, alpha=0.5, markersize=4)
        right.plot([place + 0.12] * len(score), 100 * score, "s", color=plots.ORANGE, alpha=0.5, markersize=4)
    right.plot([], [], "o", color=plots.BLUE, label="dead units")
    right.plot([], [], "s", color=plots.ORANGE, label="accuracy")
    right.set_xticks(np.arange(len(names)), names, rotation=25, ha="right")
    right.set(ylabel="%", title=f"From rate {KILLING:g}, three more epochs", ylim=(-3, 103))
    right.legend(loc="center right", bbox_to_anchor=(1.0, 0.35))
    figure.suptitle("What kills relu units and what revives them")
    return figure
