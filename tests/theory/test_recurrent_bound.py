"""Singular values bound the gradient of a recurrent net at every step; the spectral radius does not."""

import numpy as np
import pytest

import gradwell as gw
from gradwell.theory import recurrent_bound


@pytest.mark.parametrize(("activation", "size"), [("tanh", 0.9), ("sigmoid", 3.6), ("relu", 0.9)])
def test_no_step_of_a_network_grows_by_more(activation, size):
    layer = gw.RNN(12, activation=activation, recurrent_init=gw.initializers.Orthogonal(size))
    net = gw.Network([layer, gw.Dense(1)], input_shape=(30, 2), seed=0, dtype="float64")
    bound = recurrent_bound(net)
    assert bound.bound == pytest.approx(0.9)
    assert bound.must_vanish
    x, y = np.random.default_rng(0).standard_normal((8, 30, 2)), np.ones((8, 1))
    gains = gw.gradients(net, x, y, loss="quadratic").time().gain("total")[0, 1:]
    assert (gains <= bound.bound * (1 + 1e-12)).all()


def test_the_radius_alone_bounds_nothing():
    found = recurrent_bound(np.array([[0.9, 10.0], [0.0, 0.9]]), "relu")
    assert found.spectral_radius == pytest.approx(0.9)
    assert not found.must_vanish
    assert found.henrici == pytest.approx(10.0)
    powers = [np.linalg.norm(np.linalg.matrix_power(np.array([[0.9, 10.0], [0.0, 0.9]]), k), 2) for k in (1, 10, 150)]
    growth = found.growth(150)
    assert growth[[0, 9, 149]] == pytest.approx(powers, rel=1e-9)
    assert growth[9] > 30


def test_an_orthogonal_weight_is_normal():
    turned = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    found = recurrent_bound(0.7 * turned)
    assert found.singular_values == pytest.approx(np.full(6, 0.7))
    assert found.spectral_radius == pytest.approx(0.7)
    assert found.henrici < 1e-7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((2, 3)),), r"weight has shape \(2, 3\)"),
        ((np.eye(2), "elu"), 'activation is "elu"'),
        ((gw.mlp([2, 2], seed=0),), "has no RNN"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        recurrent_bound(*arguments)
