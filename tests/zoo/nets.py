"""The zoo: labelled networks, sick and healthy, each trained shortly on data of its own.

A label says which rule must find something, which layers it may name, and which factors. Networks, data and batches
follow from the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradwell as gw

CE = "softmax_cross_entropy"


@dataclass(frozen=True)
class Animal:
    """One labelled network."""

    name: str
    train: Callable[[int], Any]  # seed -> Trained
    illness: str | None = None
    layers: tuple[str, ...] | None = None  # None: any
    factors: tuple[str | None, ...] = ()
    probed: bool = False  # whether it takes a look beyond the record


@dataclass(frozen=True)
class Trained:
    """What a training left, and what it takes to look at its network."""

    what: Any  # a History, or the NonFiniteError that ended it
    network: gw.Network
    data: tuple[Any, Any]
    loss: str
    batch_size: int

    def diagnose(self, probed):
        if not probed or isinstance(self.what, gw.NonFiniteError):
            return gw.diagnose(self.what)
        settings = {"loss": self.loss, "batch_size": self.batch_size}
        return gw.diagnose(self.what, probe=gw.doctor.probe(self.network, *self.data, **settings))

    @property
    def record(self):
        return self._history.gradients

    @property
    def losses(self):
        return self._history.step_loss

    @property
    def _history(self):
        return self.what.history if isinstance(self.what, gw.NonFiniteError) else self.what


def digits(seed):
    x, y = gw.datasets.digits()
    order = np.random.default_rng(seed).permutation(len(x))
    return ((x - x.mean(0)) / (x.std(0) + 1e-3)).astype(np.float32)[order], y[order]


def clouds(seed, classes=5, features=20):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1.5, (classes, features))
    y = rng.integers(0, classes, 1600)
    return (centres[y] + rng.normal(size=(1600, features))).astype(np.float32), y


def curve(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1600, 8)).astype(np.float32)
    return x, np.sin(x[:, :1] * 2) + x[:, 1:2] * x[:, 2:3]


def mislabelled(seed):
    """Nine labels in ten drawn at random."""
    x, y = clouds(seed)
    rng = np.random.default_rng(seed)
    return x, np.where(rng.random(len(y)) < 0.9, rng.integers(0, 5, len(y)), y)


def sparse(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1600, 100)) * (rng.random((1600, 100)) < 0.05) * 3
    return x.astype(np.float32), (x[:, :10].sum(1) > 0).astype(int)


def fit(net, data, loss=CE, optimizer=None, **settings):
    settings = {"batch_size": 32, "epochs": 6, "stats": True, "progress": False, **settings}
    try:
        what = gw.fit(net, data, loss=loss, optimizer=optimizer or gw.SGD(0.1), **settings)
    except gw.NonFiniteError as error:
        what = error
    return Trained(what, net, data, loss, settings["batch_size"])


def dense(depth, width, activation, init, data=digits, optimizer=None, change=None, scale=1.0, **settings):
    """Return a maker of plain nets; `change` may spoil the network."""

    def train(seed):
        x, y = data(seed)
        x = x * np.float32(scale)
        outputs = y.max() + 1 if np.asarray(y).ndim == 1 else y.shape[1]
        net = gw.mlp([x.shape[1], *[width] * depth, int(outputs)], activation=activation, init=init, seed=seed)
        if change:
            change(net)
        loss = CE if np.asarray(y).ndim == 1 else "mean_squared_error"
        return fit(net, (x, y), loss, optimizer, **{"seed": seed, **settings})

    return train


def stack(make, data=digits, loss=CE, optimizer=None, shape=None, **settings):
    def train(seed):
        x, y = data(seed)
        net = gw.Network(make(), shape or x.shape[1:], seed=seed)
        return fit(net, (x, y), loss, optimizer, **{"seed": seed, **settings})

    return train


def normed(depth, width=64, residual=False, norm=gw.BatchNorm):
    def make():
        block = [gw.Dense(width), norm(), gw.ReLU()]
        if residual:
            return [*block, *[gw.Residual(*block, scale=0.3) for _ in range(depth)], gw.Dense(10)]
        return [*[layer for _ in range(depth) for layer in block], gw.Dense(10)]

    return make


def residual(depth, width=64, scale=0.2, activation=gw.Tanh):
    return lambda: [
        gw.Dense(width),
        *[gw.Residual(gw.Dense(width), activation(), scale=scale) for _ in range(depth)],
        gw.Dense(10),
    ]


def biases(layer, value):
    def change(net):
        for name, view in net.parameters.items():
            if name == f"{layer}.bias" or (layer is None and name.endswith("bias")):
                view[...] = value

    return change


def weights(layer, factor=1.0, value=None):
    def change(net):
        view = net.parameters[f"{layer}.weight"]
        view[...] = view * factor if value is None else value

    return change


def adding(time):
    def data(seed):
        x, y, _ = gw.datasets.adding(1600, time, seed=seed, variant="arjovsky")
        return x, y

    return data


def recurrent(make, time=50, **settings):
    return stack(lambda: [make(), gw.Dense(1)], adding(time), "mean_squared_error", gw.Adam(1e-3), **settings)


def planted_nan(layer):
    """Weights of a layer so large that its product overflows."""

    def change(net):
        net.parameters[f"{layer}.weight"][...] = 3e38

    return change
