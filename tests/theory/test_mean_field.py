"""Mean-field theory against published constants, and its forecasts against networks that were drawn."""

import math

import numpy as np
import pytest

import gradwell as gw
from gradwell import theory


def test_quadrature_is_exact_where_the_integral_is_known():
    assert theory.gaussian_mean(lambda x: x**4, 2.0) == pytest.approx(12.0, rel=1e-12)
    assert theory.gaussian_mean(lambda x: np.maximum(x, 0) ** 2, 3.0) == pytest.approx(1.5, rel=1e-12)
    assert theory.gaussian_mean(np.abs, 1.0) == pytest.approx(math.sqrt(2 / math.pi), rel=1e-12)
    m, s = 0.7, 1.3  # a kink away from the mean
    exact = m * 0.5 * (1 + math.erf(m / s / math.sqrt(2))) + s * math.exp(-(m**2) / s**2 / 2) / math.sqrt(2 * math.pi)
    assert theory.gaussian_mean(lambda x: np.maximum(x, 0), s**2, m) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(("bias", "weight"), [(0.05, 1.7610), (0.0025, 1.2601)])
def test_critical_points_of_tanh(bias, weight):
    found = theory.critical_weight_variance(bias, "tanh")
    assert found == pytest.approx(weight, abs=5e-5)
    assert theory.mean_field(found, bias, "tanh").chi == pytest.approx(1.0, abs=1e-6)


def test_the_critical_point_of_relu_is_he():
    assert theory.critical_weight_variance(0.0, "relu") == 2.0
    assert theory.mean_field(2.0, 0.0, "relu", q=1.0).chi == pytest.approx(1.0, rel=1e-12)
    with pytest.raises(ValueError, match="relu is critical"):
        theory.critical_weight_variance(0.1, "relu")


def test_nielsens_networks():
    """chi = 0.0420: last over first hidden error 4.9, 23.8 and 116 for two, three and four hidden layers."""
    field = theory.mean_field(1.0, 1.0, "sigmoid")
    assert field.chi == pytest.approx(0.0420, abs=5e-5)
    ratios = [field.gain ** (1 - k) for k in (2, 3, 4)]
    assert ratios == pytest.approx([4.9, 23.8, 116], rel=5e-3)
    measured = []
    for seed in range(20):
        net = gw.mlp([784, *[30] * 4, 10], activation="sigmoid", init="nielsen", seed=seed)
        measured.append(gw.forecast(net, input_mean=0.13, input_square=0.1).ratio)
    assert np.median(measured) == pytest.approx(116, rel=0.35)  # thirty units are not infinitely many


def test_divergence_and_extinction():
    assert theory.fixed_point(2.1, 0.1, "relu") == math.inf
    assert math.isnan(theory.mean_field(2.1, 0.1, "relu").chi)
    assert theory.fixed_point(0.5, 0.0, "tanh") < 1e-200
    assert theory.depth_scale(1.0) == math.inf


def nets():
    def deep(*between, width=400, layers=8, **dense):
        return [layer for _ in range(layers) for layer in (gw.Dense(width, **dense), *between)]

    residual = [gw.Residual(gw.Dense(400), gw.ReLU(), gw.Dense(400), scale=0.4) for _ in range(6)]
    mixed = gw.Residual(gw.Dense(300), gw.ELU(), gw.Dense(300), shortcut=gw.Dense(300))
    return {
        "tanh": [*deep(gw.Tanh()), gw.Dense(10)],
        "sigmoid": [*deep(gw.Sigmoid(), init="nielsen"), gw.Dense(10)],
        "relu": [*deep(gw.ReLU()), gw.Dense(10)],
        "leaky": [*deep(gw.LeakyReLU(0.3)), gw.Dense(10)],
        "batchnorm": [*deep(gw.BatchNorm(), gw.ReLU(), init="lecun"), gw.Dense(10)],
        "layernorm": [*deep(gw.LayerNorm(), gw.Tanh()), gw.Dense(10)],
        "dropout": [*deep(gw.Tanh(), gw.Dropout(0.3)), gw.Dense(10)],
        "prelu": [*deep(gw.PReLU()), gw.Dense(10)],
        "residual": [gw.Dense(400), *residual, gw.Tanh(), gw.Dense(10)],
        "shortcut": [gw.Dense(400), mixed, gw.SiLU(), gw.Dense(10)],
    }


@pytest.mark.parametrize("name", nets())
def test_expected_gains_are_those_measured(name, rng):
    """Widths of hundreds and 500 samples: gains agree within a few per cent in every layer."""
    x, y = rng.normal(size=(500, 300)), rng.integers(0, 10, 500)
    off = []
    for seed in range(3):
        net = gw.Network(nets()[name], input_shape=300, seed=seed)
        expected = gw.forecast(net)
        off.append(expected.compare(gw.gradients(net, x, y, loss="softmax_cross_entropy", seed=seed))[:-1])
    mean = np.mean(off, axis=0)
    assert np.abs(mean - 1).max() < 0.06, mean


def test_batchnorm_of_relu_explodes_as_published():
    """Squared growth pi / (pi - 1) a layer (Yang et al., 2019)."""
    layers = [layer for _ in range(12) for layer in (gw.Dense(300, init="lecun"), gw.BatchNorm(), gw.ReLU())]
    net = gw.Network([*layers, gw.Dense(10)], input_shape=300, seed=0)
    expected = gw.forecast(net)
    growth = (expected.error[3] / expected.error[19]) ** (2 / 8)
    assert growth == pytest.approx(math.pi / (math.pi - 1), rel=0.02)


def test_forecast_reads_as_a_table_and_refuses_what_it_cannot_compare():
    net = gw.mlp([20, 30, 30, 5], activation="tanh", seed=0)
    expected = gw.forecast(net)
    text = str(expected)
    assert "dense+tanh" in text
    assert "depth scale" in text
    assert expected.trainable_depth == 6 * expected.hidden.depth_scale
    assert expected.to_dict()["gain"][-1] is None
    other = gw.gradients(gw.mlp([20, 5], seed=0), np.ones((2, 20)), np.zeros(2, int), loss="quadratic")
    with pytest.raises(ValueError, match=r"\[forecast\] the record is of layers"):
        expected.compare(other)
    with pytest.raises(TypeError, match=r"\[forecast\] network is of type list"):
        gw.forecast([])
    assert gw.forecast(gw.Network([gw.BatchNorm()], input_shape=3)).hidden is None
