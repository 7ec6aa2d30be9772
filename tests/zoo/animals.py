"""Who lives in the zoo."""

from nets import (
    Animal,
    biases,
    clouds,
    curve,
    dense,
    mislabelled,
    normed,
    planted_nan,
    recurrent,
    residual,
    sparse,
    stack,
    weights,
)
from torch_nets import torch_animals

import gradwell as gw
from gradwell.initializers import Normal


def spoilt_weights():
    for depth, width, data in ((5, 30, None), (8, 60, None), (6, 20, clouds), (12, 40, None)):
        kind = {"data": data} if data else {}
        train = dense(depth, width, "sigmoid", "nielsen", **kind)
        yield Animal(f"logistic {depth}x{width}", train, "vanishing", None, ("derivative",))
    for depth, size, act in ((8, 0.05, "tanh"), (6, 0.03, "relu"), (15, 0.08, "tanh"), (5, 0.02, "tanh")):
        train = dense(depth, 50, act, Normal(0, size))
        yield Animal(f"small weights {depth} {act}", train, "vanishing", None, ("weight",))
    for depth in (20, 30):
        yield Animal(f"relu glorot {depth}", dense(depth, 64, "relu", "glorot"), "vanishing", None, ("weight",))
    for layer in (4, 8):
        change = weights(layer, 1e-4)
        train = dense(6, 50, "tanh", "glorot", change=change, optimizer=gw.SGD(1e-3))
        yield Animal(f"thin layer {layer}", train, "vanishing", (str(layer),), ("weight",))
    for depth, size in ((10, 0.5), (15, 0.4), (20, 0.35)):
        train = dense(depth, 64, "relu", Normal(0, size), optimizer=gw.SGD(1e-5))
        yield Animal(f"large weights {depth} relu", train, "exploding", None, ("weight",))
    for size, depth in ((1.0, 3), (2.0, 5), (1.0, 8)):
        train = dense(depth, 40, "tanh", Normal(0, size), optimizer=gw.SGD(1e-3))
        yield Animal(f"saturated tanh {depth} {size}", train, "saturation", None, ("derivative",))
    for layer in (2, 4, 6):
        train = dense(4, 64, "relu", "he", change=biases(layer, -8.0), optimizer=gw.SGD(0.01))
        yield Animal(f"dead layer {layer}", train, "dead_units", (str(layer),), ("derivative",))


def spoilt_training():
    for rate, act, init in ((4.0, "relu", "he"), (6.0, "tanh", "glorot")):
        train = dense(4, 64, act, init, optimizer=gw.SGD(rate))
        yield Animal(f"SGD {rate} {act}", train, "violent_updates", None, ("rate",))
    for rate in (0.3, 1.0):
        train = dense(4, 64, "tanh", "glorot", optimizer=gw.Adam(rate))
        yield Animal(f"Adam {rate}", train, "violent_updates", None, ("rate",))
    for rate in (1e-9, 1e-11):
        train = dense(3, 64, "tanh", "glorot", optimizer=gw.SGD(rate))
        yield Animal(f"SGD {rate}", train, "stalled_updates", None, ("rate",))
    for scale in (300.0, 1e4, 1e-3):
        yield Animal(f"inputs x {scale:g}", dense(3, 64, "tanh", "glorot", scale=scale), "inputs", ("0",), ("data",))
    for layer in (0, 4):
        train = dense(4, 40, "tanh", "glorot", change=weights(layer, value=0.1))
        yield Animal(f"equal weights {layer}", train, "initialization", (str(layer),), ("weight",))
    for depth in (45, 60):
        train = stack(normed(depth), optimizer=gw.SGD(0.01), epochs=2)
        yield Animal(f"batch norm {depth}", train, "batch_normalization", None, ("norm",))
    for limit in (1e-3, 1e-4):
        train = dense(3, 64, "relu", "he", clip=gw.clip_by_norm(limit))
        yield Animal(f"clip {limit}", train, "clipping", None, ("clip",))
    for time in (100, 200):
        yield Animal(f"rnn {time}", recurrent(lambda: gw.RNN(32), time), "short_memory", ("0",), ("time",))
    for layer in (2, 6):
        train = dense(6, 30, "tanh", "glorot", change=planted_nan(layer))
        yield Animal(f"overflow {layer}", train, "nonfinite", (str(layer),), (None,))


def seen_by_probes():
    for depth, size in ((30, 0.375), (40, 0.32)):
        train = dense(depth, 64, "tanh", Normal(0, size), optimizer=gw.SGD(1e-4), epochs=2)
        yield Animal(f"chaotic {depth}", train, "shattered_gradient", None, ("weight",), True)
    for depth, act, init in ((8, "sigmoid", "nielsen"), (90, "relu", "he")):
        train = dense(depth, 64, act, init, optimizer=gw.SGD(1e-3), epochs=2)
        yield Animal(f"collapsed {depth} {act}", train, "rank_collapse", None, ("weight",), True)
    for batch in (1, 2):
        settings = {"batch_size": batch, "epochs": 1, "optimizer": gw.SGD(1e-3)}
        train = dense(2, 32, "tanh", "glorot", mislabelled, **settings)
        yield Animal(f"noise, batch {batch}", train, "noisy_gradient", None, ("data",), True)
    for depth, rate, act, init in ((4, 1.5, "tanh", "glorot"), (6, 0.5, "relu", "he")):
        train = dense(depth, 64, act, init, optimizer=gw.SGD(rate), max_steps=3)
        yield Animal(f"sharp {depth}", train, "edge_of_stability", None, ("rate",), True)
    for rate in (1e-5, 1e-4):
        train = dense(3, 64, "tanh", "glorot", optimizer=gw.SGD(rate), epochs=2)
        yield Animal(f"slow {rate}", train, "slow_updates", None, ("rate",))


def healthy():
    yield Animal("tanh 5", dense(5, 30, "tanh", "glorot"))
    yield Animal("relu 5", dense(5, 64, "relu", "he", optimizer=gw.SGD(0.05)))
    yield Animal("elu 6", dense(6, 40, "elu", "he", optimizer=gw.SGD(0.05)))
    yield Animal("selu 10", dense(10, 64, "selu", "lecun", optimizer=gw.SGD(0.02)))
    yield Animal("gelu 6", dense(6, 64, "gelu", "he", optimizer=gw.SGD(0.05)))
    yield Animal("leaky 8", dense(8, 64, "leaky_relu", "he", optimizer=gw.SGD(0.05)))
    yield Animal("logistic 1", dense(1, 30, "sigmoid", "glorot", optimizer=gw.SGD(1.0)))
    yield Animal("logistic 2", dense(2, 30, "sigmoid", "glorot", optimizer=gw.SGD(2.0), epochs=15))
    yield Animal("tanh critical 30", dense(30, 50, "tanh", "orthogonal", optimizer=gw.SGD(0.02)))
    yield Animal("tanh critical 50", dense(50, 64, "tanh", "orthogonal", optimizer=gw.SGD(0.01)))
    yield Animal("relu he 25", dense(25, 64, "relu", "he", optimizer=gw.SGD(0.01)))
    yield Animal("residual tanh 40", stack(residual(40), optimizer=gw.SGD(0.05), epochs=3))
    yield Animal(
        "residual relu 60", stack(residual(60, scale=0.05, activation=gw.ReLU), optimizer=gw.SGD(0.02), epochs=3)
    )
    yield Animal("residual tanh 100", stack(residual(100, scale=0.1), optimizer=gw.SGD(0.05), epochs=2))
    yield Animal("batch norm 8", stack(normed(8), optimizer=gw.SGD(0.05)))
    yield Animal("batch norm residual 20", stack(normed(20, residual=True), optimizer=gw.SGD(0.05), epochs=3))
    yield Animal("layer norm 10", stack(normed(10, norm=gw.LayerNorm), optimizer=gw.SGD(0.05)))
    yield Animal("layer norm residual 20", stack(normed(20, norm=gw.LayerNorm, residual=True), optimizer=gw.SGD(0.05)))
    yield Animal("lstm 20", recurrent(lambda: gw.LSTM(32, forget_bias=3.0), 20, epochs=20))
    yield Animal("gru 20", recurrent(lambda: gw.GRU(32), 20, epochs=10))
    yield Animal("rnn 10", recurrent(lambda: gw.RNN(32), 10, epochs=10))
    yield Animal("width 4", dense(2, 4, "tanh", "glorot"))
    yield Animal("width 3 relu", dense(2, 8, "relu", "he", clouds))
    yield Animal("full batch", dense(3, 40, "tanh", "glorot", batch_size=1797, epochs=150, optimizer=gw.SGD(0.5)))
    yield Animal("batch 4", dense(3, 40, "tanh", "glorot", batch_size=4, epochs=1, optimizer=gw.SGD(0.02)))
    yield Animal("nearly converged", dense(3, 64, "relu", "he", epochs=60))
    yield Animal("nearly converged tanh", dense(3, 64, "tanh", "glorot", epochs=60))
    yield Animal("adam 1e-3", dense(4, 64, "relu", "he", optimizer=gw.Adam(1e-3)))
    yield Animal("adam 1e-2", dense(4, 64, "tanh", "glorot", optimizer=gw.Adam(5e-3)))
    yield Animal("adamw", dense(4, 64, "relu", "he", optimizer=gw.AdamW(1e-3, weight_decay=0.1)))
    yield Animal("rmsprop", dense(4, 64, "relu", "he", optimizer=gw.RMSprop(1e-3)))
    yield Animal("momentum", dense(4, 64, "tanh", "glorot", optimizer=gw.SGD(0.02, momentum=0.9)))
    yield Animal("clipped", dense(4, 64, "tanh", "glorot", clip=gw.clip_by_norm(1.0)))
    yield Animal("sparse inputs", dense(2, 64, "relu", "he", sparse))
    yield Animal("regression", dense(3, 64, "tanh", "glorot", curve, optimizer=gw.SGD(0.05)))
    yield Animal("regression adam", dense(3, 64, "relu", "he", curve, optimizer=gw.Adam(1e-3)))
    yield Animal("clouds", dense(4, 32, "relu", "he", clouds, optimizer=gw.SGD(0.05)))
    yield Animal(
        "dropout", stack(lambda: [gw.Dense(64), gw.ReLU(), gw.Dropout(0.5), gw.Dense(64), gw.ReLU(), gw.Dense(10)])
    )
    yield Animal("wide", dense(2, 512, "relu", "he", epochs=2, optimizer=gw.SGD(0.05)))
    yield Animal("sampled record", dense(4, 64, "tanh", "glorot", stats="auto"))


ANIMALS = (*spoilt_weights(), *spoilt_training(), *seen_by_probes(), *healthy(), *torch_animals())
