"""Restricted Boltzmann machines, and their sums by enumeration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.reference.dropout import philox
from gradwell.reference.elementary import wide

Array = NDArray[Any]


def _softplus(z: Array) -> Array:
    return np.logaddexp(0.0, z)


def _words(shape: tuple[int, ...], seed: int, step: int, stream: int) -> Array:
    words = np.empty((shape[0], (shape[1] + 3) // 4 * 4), np.uint64)
    for row in range(shape[0]):
        for block in range(words.shape[1] // 4):
            counter = (block, row, stream ^ ((step >> 32) << 16 & 0xFFFFFFFF), step & 0xFFFFFFFF)
            words[row, 4 * block : 4 * block + 4] = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    return words


def boltzmann_conditional(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike,
    *,
    transposed: bool = False,
    kind: str = "binary",
    seed: int = 0,
    step: int = 0,
    stream: int = 0,
    draw: bool = True,
    bits: int = 32,
) -> tuple[Array, Array | None]:
    """Return mean and draw; word c % 4 of block c // 4 of a row decides on column c by its upper `bits`. Hinton, 2002.

    Normal numbers of columns 2m and 2m + 1 are the cosine and sine part of the pair of their words.
    """
    w = wide(weight)
    mean = wide(x) @ (w.T if transposed else w) + wide(bias)
    if kind == "binary":
        mean = 1 / (1 + np.exp(-mean))
    if not draw:
        return mean, None
    u = (_words(mean.shape, seed, step, stream) >> np.uint64(32 - bits)) / 2.0**bits
    columns = mean.shape[1]
    if kind == "binary":
        return mean, (u[:, :columns] < mean).astype(np.float64)
    radius, angle = np.sqrt(-2 * np.log(1 - u[:, ::2])), 2 * np.pi * u[:, 1::2]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(len(u), -1)
    return mean, mean + normal[:, :columns]


def boltzmann_free_energy(
    v: ArrayLike, weight: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike, *, kind: str = "binary"
) -> Array:
    """Return F(v) = -log sum_h exp(-E(v, h)) of every row. Hinton, 2010."""
    v, a = wide(v), wide(visible_bias)
    visible = -(v @ a) if kind == "binary" else 0.5 * ((v - a) ** 2).sum(axis=1)
    energy: Array = visible - _softplus(v @ wide(weight) + wide(hidden_bias)).sum(axis=1)
    return energy


def boltzmann_pseudo_likelihood(
    v: ArrayLike, weight: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike
) -> Array:
    """Return sum_i log p(v_i | rest) by turning every v_i over. Besag, 1975."""
    v = wide(v)
    machine = (weight, visible_bias, hidden_bias)
    now, total = boltzmann_free_energy(v, *machine), np.zeros(len(v))
    for i in range(v.shape[1]):
        turned = v.copy()
        turned[:, i] = 1 - turned[:, i]
        total -= _softplus(now - boltzmann_free_energy(turned, *machine))
    return total


def boltzmann_update(
    v_data: ArrayLike,
    h_data: ArrayLike,
    v_model: ArrayLike,
    h_model: ArrayLike,
    velocity: Array,
    weight: Array,
    *,
    learning_rate: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Update velocity and weight in place, with momentum and decay. Hinton, 2010."""
    data = wide(v_data).T @ wide(h_data) / len(wide(v_data))
    model = wide(v_model).T @ wide(h_model) / len(wide(v_model))
    velocity[...] = momentum * velocity + learning_rate * (data - model - weight_decay * weight)
    weight += velocity


def boltzmann_states(units: int) -> Array:
    """Return all 2^units states of binary units, one a row."""
    return ((np.arange(2**units)[:, None] >> np.arange(units)) & 1).astype(np.float64)


def boltzmann_log_partition(
    weight: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike, *, kind: str = "binary"
) -> float:
    """Return log Z by going through all states of the hidden units; the visible ones are summed in closed form.

    log Z = log sum_h exp(h.b) prod_i (1 + exp(a_i + (W h)_i)); for Gaussian units each factor is
    sqrt(2 pi) exp((a_i + (W h)_i)^2 / 2 - a_i^2 / 2).
    """
    w, a, b = wide(weight), wide(visible_bias), wide(hidden_bias)
    h = boltzmann_states(w.shape[1])
    z = h @ w.T + a
    inside = _softplus(z) if kind == "binary" else 0.5 * (z**2 - a**2) + 0.5 * np.log(2 * np.pi)
    exponents = h @ b + inside.sum(axis=1)
    most = exponents.max()
    return float(most + np.log(np.exp(exponents - most).sum()))
