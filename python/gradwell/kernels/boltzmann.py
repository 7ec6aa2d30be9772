"""Restricted Boltzmann machines: conditionals with draws, free energy, pseudo-likelihood, the step of the weights.

Visible units v (batch, visible), hidden units h (batch, hidden), weight (visible, hidden). For binary visible units
E(v, h) = -v.a - h.b - v W h; for Gaussian ones, of variance 1, |v - a|^2 / 2 takes the place of -v.a (Hinton, 2010).
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradwell import _core
from gradwell.checks import check_count, check_number

Array = NDArray[Any]


def boltzmann_conditional(
    x: Array,
    weight: Array,
    bias: Array,
    *,
    transposed: bool = False,
    kind: str = "binary",
    seed: int = 0,
    step: int = 0,
    stream: int = 0,
    draw: bool = True,
) -> tuple[Array, Array | None]:
    """Return the mean of one side's units given the other's, and a draw of them, or None.

    mean = sigmoid(b + v W) of hidden units given x = v; `transposed`, sigmoid(a + h W^T) of visible ones given x = h;
    without the sigmoid where `kind` is "gaussian". Draws are 0 or 1 with p(1) = mean, or normal with variance 1. They
    depend on (seed, step, stream) and the element's place alone, by Philox 4x32-10 (Salmon et al., 2011): 24 bits of a
    word in float32, 32 in float64; normal numbers by Box and Muller (1958).

    Parameters
    ----------
    x
        (batch, visible), or (batch, hidden) where `transposed`.
    weight, bias
        (visible, hidden); (hidden,), or (visible,) where `transposed`.
    kind
        "binary" or "gaussian", of the units that are drawn.
    seed, step, stream
        Whole numbers of up to 62, 48 and 32 bits.

    Examples
    --------
    >>> boltzmann_conditional(np.ones((1, 2)), np.full((2, 3), 9.0), np.zeros(3))[1]
    array([[1., 1., 1.]])
    """
    for name, value, bits in (("seed", seed, 62), ("step", step, 48), ("stream", stream, 32)):
        check_count("boltzmann_conditional", name, value, lowest=0)
        if value >= 2**bits:
            raise ValueError(f"[boltzmann_conditional] {name} is {value}; needs less than 2**{bits}")
    mean, sample = _core.boltzmann_conditional(x, weight, bias, transposed, kind, seed, step, stream, draw)
    return mean, sample


def boltzmann_free_energy(
    v: Array, weight: Array, visible_bias: Array, hidden_bias: Array, *, kind: str = "binary"
) -> Array:
    """Return F(v) = -v.a - sum_j softplus(b_j + (v W)_j) of every row, in float64.

    For Gaussian visible units |v - a|^2 / 2 takes the place of -v.a. p(v) = exp(-F(v)) / Z.

    Examples
    --------
    >>> boltzmann_free_energy(np.ones((1, 2)), np.zeros((2, 3)), np.ones(2), np.full(3, -50.0))
    array([-2.])
    """
    return _core.boltzmann_free_energy(v, weight, visible_bias, hidden_bias, kind)


def boltzmann_pseudo_likelihood(v: Array, weight: Array, visible_bias: Array, hidden_bias: Array) -> Array:
    """Return sum_i log p(v_i | all other v) of every row of binary v, in float64 (Besag, 1975).

    p(v_i | rest) = sigmoid(F(v with v_i turned over) - F(v)). Takes a softplus for each weight and row.

    Examples
    --------
    >>> boltzmann_pseudo_likelihood(np.ones((1, 2)), np.zeros((2, 3)), np.zeros(2), np.zeros(3)) / np.log(2)
    array([-2.])
    """
    return _core.boltzmann_pseudo_likelihood(v, weight, visible_bias, hidden_bias)


def boltzmann_update(
    v_data: Array,
    h_data: Array,
    v_model: Array,
    h_model: Array,
    velocity: Array,
    weight: Array,
    *,
    learning_rate: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Update `velocity` and `weight` in place by the statistics of the data and of the model.

    velocity <- momentum velocity + learning_rate (mean of v h^T in the data - mean of v h^T in the model
    - weight_decay W), W <- W + velocity. The two pairs may differ in rows.

    Examples
    --------
    >>> w, velocity = np.zeros((1, 1)), np.zeros((1, 1))
    >>> boltzmann_update(*np.array([[[2.0]], [[3.0]], [[1.0]], [[1.0]]]), velocity, w, learning_rate=0.5)
    >>> w
    array([[2.5]])
    """
    operation = "boltzmann_update"
    rate = check_number(operation, "learning_rate", learning_rate)
    for name, array in (("v_data", v_data), ("v_model", v_model)):
        if not len(array):
            raise ValueError(f"[{operation}] {name} has no rows; needs at least one")
    _core.boltzmann_update(
        v_data,
        h_data,
        v_model,
        h_model,
        velocity,
        weight,
        rate / len(v_data),
        rate / len(v_model),
        check_number(operation, "momentum", momentum),
        rate * check_number(operation, "weight_decay", weight_decay),
    )
