"""A denoising autoencoder over one dense layer, with its own decoder or with the transposed weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import kernels
from gradwell.initializers import usual_for
from gradwell.layers import Activation, Dense, Dropout, Layer
from gradwell.network import Network
from gradwell.optimizers import Adam
from gradwell.pretraining.stack import Level
from gradwell.training import fit

Array = NDArray[Any]


def learn(level: Level, x: Array, settings: dict[str, Any], seed: int) -> list[float]:
    """Train a layer to give its input back after some of it was set to 0; return the mean loss of each epoch.

    The loss is the cross-entropy of each input where all are from 0 to 1, else half the squared distance, summed over
    the inputs (Vincent, Larochelle, Bengio, Manzagol, 2008).
    """
    units = bool(x.min() >= 0 and x.max() <= 1)
    return (_tied if settings["tied"] else _untied)(level, x, units, settings, seed)


def _untied(level: Level, x: Array, units: bool, settings: dict[str, Any], seed: int) -> list[float]:
    inputs, hidden = level.weight.shape
    corruption: list[Layer] = [Dropout(settings["corruption"])] if settings["corruption"] else []
    encoder: list[Layer] = [Dense(hidden, name="encoder"), Activation(level.activation, level.alpha)]
    decoder = Dense(inputs, init=usual_for("sigmoid" if units else "identity"), name="decoder")
    net = Network([*corruption, *encoder, decoder], inputs, seed=seed, dtype=str(x.dtype))
    own = {"encoder.weight": level.weight, "encoder.bias": level.bias}
    for name, values in own.items():
        net.parameters[name][...] = values
    history = fit(
        net,
        (x, x),
        loss="sigmoid_cross_entropy" if units else "quadratic",
        optimizer=Adam(settings["learning_rate"]),
        batch_size=settings["batch_size"],
        epochs=settings["epochs"],
        stats=False,
        seed=seed,
        progress=settings["progress"],
    )
    for name, values in own.items():
        values[...] = net.parameters[name]
    return [float(loss) for loss in history.loss]


def _tied(level: Level, x: Array, units: bool, settings: dict[str, Any], seed: int) -> list[float]:
    weight, bias = np.array(level.weight), np.array(level.bias)
    back = np.zeros(weight.shape[0], weight.dtype)
    parameters = (weight, bias, back)
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    out = "sigmoid" if units else "identity"
    batch, losses, step = settings["batch_size"], [], 0
    for epoch in range(settings["epochs"]):
        order, total = np.random.default_rng([seed, epoch]).permutation(len(x)), 0.0
        for first in range(0, len(x), batch):
            clean = x[order[first : first + batch]]
            noisy, _ = kernels.dropout_forward(clean, settings["corruption"], seed=seed, step=step)
            z = kernels.dense_forward(noisy, weight, bias)
            h = kernels.activation_forward(z, level.activation, alpha=level.alpha)
            decoder = np.ascontiguousarray(weight.T)
            a = kernels.dense_forward(h, decoder, back, out)
            total += _loss(a, clean, units)
            delta = (a - clean) / weight.dtype.type(len(clean))
            dh, ddecoder, dback = kernels.dense_backward(delta, h, decoder)
            assert dh is not None
            how = {} if level.activation == "identity" else {"z": z}
            _, dweight, dbias = kernels.dense_backward(
                dh, noisy, weight, level.activation, alpha=level.alpha, need_dx=False, **how
            )
            step += 1
            gradients = (dweight + ddecoder.T, dbias, dback)
            for p, g, state in zip(parameters, gradients, moments, strict=True):
                kernels.adam_update(p, g, *state, settings["learning_rate"], step)
        losses.append(total / len(x))
    if not all(np.isfinite(p).all() for p in parameters):
        raise ArithmeticError(
            f"[pretrain] layer {level.name}: a weight is no longer finite and none was changed; learning_rate is "
            f"{settings['learning_rate']:g}: a smaller one may help"
        )
    level.weight[...], level.bias[...] = weight, bias
    return losses


def _loss(a: Array, clean: Array, units: bool) -> float:
    if not units:
        return 0.5 * float(np.square(a - clean, dtype=np.float64).sum())
    tiny = np.finfo(a.dtype).tiny
    gained = clean * np.log(np.maximum(a, tiny)) + (1 - clean) * np.log(np.maximum(1 - a, tiny))
    return -float(gained.sum(dtype=np.float64))
