"""The partition function: exact for few units, else by annealed importance sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradwell import kernels
from gradwell.checks import check_count

if TYPE_CHECKING:
    from gradwell.boltzmann.machine import RBM

Array = NDArray[Any]

MOST_UNITS = 25  # that enumeration goes through: 2^25 states
BLOCK = 12  # 2^12 states at a time
AIS_STREAM = 0x50000000


@dataclass(frozen=True)
class LogPartition:
    """log Z with what is known of its error.

    Parameters
    ----------
    value
        log of the mean of the importance weights, or of the sum over all states.
    low, high
        log of the mean less and plus three standard errors; `low` is -inf where less than nothing is left. Both equal
        `value` where it is exact.
    log_weights
        log of each chain's estimate of Z (chains,); empty where it is exact.
    """

    value: float
    low: float
    high: float
    log_weights: Array

    def __repr__(self) -> str:
        return f"<LogPartition {self.value:.4f}, {self.low:.4f} to {self.high:.4f}>"


def enumerated(rbm: RBM) -> LogPartition:
    """Return log Z by all states of the smaller side, the other one summed in closed form."""
    by_hidden = rbm.kind == "gaussian" or rbm.hidden <= rbm.visible
    units = rbm.hidden if by_hidden else rbm.visible
    if units > MOST_UNITS:
        raise ValueError(
            f"[log_partition] enumeration would take 2**{units} states; needs at most {MOST_UNITS} units on one side "
            '(method="ais" takes any)'
        )
    w, a, b = (array.astype(np.float64) for array in (rbm.weight, rbm.visible_bias, rbm.hidden_bias))
    low = min(units, BLOCK)
    block = ((np.arange(2**low)[:, None] >> np.arange(low)) & 1).astype(np.float64)
    total = -math.inf
    for high in range(2 ** (units - low)):
        rest = np.broadcast_to(((high >> np.arange(units - low)) & 1).astype(np.float64), (len(block), units - low))
        state = np.concatenate([block, rest], axis=1)
        if by_hidden:
            z = state @ w.T + a
            inside = np.logaddexp(0, z) if rbm.kind == "binary" else 0.5 * (z * z - a * a + math.log(2 * math.pi))
            exponents = state @ b + inside.sum(axis=1)
        else:
            exponents = state @ a + np.logaddexp(0, state @ w + b).sum(axis=1)
        total = float(np.logaddexp(total, _log_sum(exponents)))
    return LogPartition(total, total, total, np.zeros(0))


def annealed(rbm: RBM, chains: int, temperatures: int, data: Array | None, seed: int) -> LogPartition:
    """Return an estimate of log Z by annealed importance sampling.

    Machine beta between 0 and 1 has F_beta(v) = -(1 - beta) v.a0 - beta v.a - sum_j softplus(beta (b_j + (v W)_j)), so
    that beta = 0 draws v from p(v_i = 1) = sigmoid(a0_i) with Z_0 = 2^hidden prod_i (1 + exp(a0_i)). The log weight of
    a chain is the sum over steps of F_beta_k(v) - F_beta_k+1(v). Gaussian units have a0 and a in |v - a|^2 / 2 alike.
    """
    operation = "log_partition"
    check_count(operation, "chains", chains, lowest=2)
    check_count(operation, "temperatures", temperatures, lowest=2)
    check_count(operation, "seed", seed, lowest=0)
    if seed >= 2**62:
        raise ValueError(f"[{operation}] seed is {seed}; needs less than 2**62")
    gaussian = rbm.kind == "gaussian"
    w, a, b = (array.astype(np.float64) for array in (rbm.weight, rbm.visible_bias, rbm.hidden_bias))
    start = _start_bias(a, data, gaussian)

    def draw(x: Array, weight: Array, bias: Array, step: int, stream: int, transposed: bool, kind: str) -> Array:
        sample = kernels.boltzmann_conditional(
            x, weight, bias, transposed=transposed, kind=kind, seed=int(seed), step=step, stream=AIS_STREAM + stream
        )[1]
        assert sample is not None
        return sample

    zeros = np.zeros((chains, rbm.hidden))
    v = draw(zeros, np.zeros_like(w), start, 0, 0, True, rbm.kind)
    betas = np.linspace(0.0, 1.0, temperatures)
    log_weights = np.zeros(chains)
    for step in range(1, temperatures):
        before, beta = float(betas[step - 1]), float(betas[step])
        z = kernels.dense_forward(v, w, b)
        # With |v - a|^2 / 2 = v.v / 2 - v.a + a.a / 2 the terms of v are those of binary units; constants come last.
        log_weights += (beta - before) * (v @ (a - start))
        log_weights += _softplus_sum(beta * z) - _softplus_sum(before * z)
        if step + 1 < temperatures:
            h = draw(v, beta * w, beta * b, step, 1, False, "binary")
            v = draw(h, beta * w, (1 - beta) * start + beta * a, step, 2, True, rbm.kind)
    if gaussian:
        first = 0.5 * (rbm.visible * math.log(2 * math.pi) + float(start @ start - a @ a))
    else:
        first = float(np.logaddexp(0, start).sum())
    log_weights += first + rbm.hidden * math.log(2)
    return _summed_up(log_weights)


def _start_bias(a: Array, data: Array | None, gaussian: bool) -> Array:
    """Return the visible bias of the machine with weight 0: by the data's means, or that of the machine itself."""
    if data is None:
        return a
    mean: Array = data.mean(axis=0, dtype=np.float64)
    if gaussian:
        return mean
    smoothed = (mean * len(data) + 0.5) / (len(data) + 1)  # no unit is always on or off
    bias: Array = np.log(smoothed / (1 - smoothed))
    return bias


def _softplus_sum(z: Array) -> Array:
    total: Array = kernels.activation_forward(z, "softplus").sum(axis=1)
    return total


def _log_sum(exponents: Array) -> float:
    most = float(exponents.max())
    return most + math.log(float(np.exp(exponents - most).sum()))


def _summed_up(log_weights: Array) -> LogPartition:
    chains = len(log_weights)
    most = float(log_weights.max())
    scaled = np.exp(log_weights - most)
    mean, error = float(scaled.mean()), 3 * float(scaled.std(ddof=1)) / math.sqrt(chains)
    low = most + math.log(mean - error) if mean > error else -math.inf
    return LogPartition(most + math.log(mean), low, most + math.log(mean + error), log_weights)
