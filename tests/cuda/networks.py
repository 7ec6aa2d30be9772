"""Networks of every kind that a GPU runs, and the same network on both devices."""

import numpy as np

import gradwell as gw


def dense():
    return [gw.Dense(7), gw.Sigmoid(), gw.Dense(6, use_bias=False), gw.Tanh(), gw.Dense(3)]


def every_activation():
    layers = []
    for name in gw.kernels.ACTIVATIONS:
        layers += [gw.Dense(5), gw.Activation(name)]
    return [*layers, gw.PReLU(), gw.Dense(3)]


def normalised():
    last = [gw.LayerNorm(), gw.GELU(), gw.BatchNorm(), gw.Dense(3)]
    return [gw.Dense(6, use_bias=False), gw.BatchNorm(), gw.ReLU(), gw.Dense(5), *last]


def dropped():
    return [gw.Dropout(0.3), gw.Dense(8), gw.ELU(), gw.Dropout(0.5), gw.Dense(3)]


def residual():
    inner = gw.Residual(gw.Dense(6), gw.Tanh(), gw.Dense(6))
    learned = gw.Residual(gw.Dense(6), gw.SiLU(), gw.Dense(6, init="glorot"), scale="fixup")
    wide = gw.Residual(gw.Dense(4), gw.ReLU(), gw.Dense(9), shortcut=gw.Dense(9))
    nested = gw.Residual(inner, gw.Tanh(), scale=0.5)
    return [gw.Dense(6), inner, gw.ReLU(), learned, nested, wide, gw.Dense(3)]


def wide():
    return [gw.Dense(150), gw.ReLU(), gw.Dense(140), gw.Softplus(), gw.Dense(3)]


PLAIN = {
    "dense": dense,
    "every_activation": every_activation,
    "normalised": normalised,
    "dropped": dropped,
    "residual": residual,
    "wide": wide,
}


def make(kind, dtype="float64", inputs=4, seed=3):
    return gw.Network(PLAIN[kind](), inputs, seed=seed, dtype=dtype, device="cpu")


def pair(kind, **settings):
    """The same network on the CPU and on the GPU."""
    return make(kind, **settings), make(kind, **settings).to("cuda")


def samples(rows=23, inputs=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, inputs)), rng.integers(0, classes, rows)
