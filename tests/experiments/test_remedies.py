"""The experiments on remedies: their arithmetic on made-up numbers, and short runs where MNIST is there."""

import json
import math

import numpy as np
import pytest

from gradwell.experiments import (
    Options,
    batchnorm_explodes,
    dead_relu,
    ioffe_szegedy,
    residual_depth,
    run,
    sigmoid_rescue,
    trainable_depth,
)
from gradwell.report import plots


def failed(result):
    return [check.name for check in result.checks if not check.holds]


def looked_at(result, tmp_path):
    """The JSON can be written and the figure drawn."""
    assert json.dumps(result.as_json(), allow_nan=False)
    assert result.text()
    assert plots.save(result.draw(), tmp_path / "figure.png").stat().st_size > 10_000


def test_batchnorm_explodes_measures_growth():
    norms = 1.2 ** np.arange(40)[::-1][None, :].repeat(3, axis=0)
    assert batchnorm_explodes.growth(norms) == pytest.approx(1.44, rel=1e-12)


def test_batchnorm_explodes_within_three_per_cent(tmp_path):
    result = run("batchnorm-explodes", Options(seeds=2))
    assert failed(result) == []
    assert any("Only 2 of the usual" in note for note in result.notes)
    looked_at(result, tmp_path)
    flat = {key: np.ones((2, 40)) for key in [(k, b) for k in ("plain", "residual") for b in (8, 32, 256)]}
    assert len(failed(batchnorm_explodes.summarise(flat))) == 3


def made_up_rescue():
    ratios, accuracy = {}, {}
    for depth in sigmoid_rescue.DEPTHS:
        for cure in sigmoid_rescue.CURES:
            ratios[cure, depth] = np.full(20, sigmoid_rescue.EXPECTED.get((cure, depth), 1.0))
            accuracy[cure, depth] = np.full(10, 0.1 if cure == "nielsen" else 0.95)
    return ratios, accuracy


def test_sigmoid_rescue_checks(tmp_path):
    ratios, accuracy = made_up_rescue()
    result = sigmoid_rescue.summarise(ratios, accuracy, 100)
    assert failed(result) == []
    looked_at(result, tmp_path)
    ratios["kumar", 10] *= 2.5
    accuracy["nielsen", 15] += 0.5
    for cure in ("kumar", "batch norm", "residual"):
        accuracy[cure, 15] -= 0.2
    assert len(failed(sigmoid_rescue.summarise(ratios, accuracy, 100))) == 3


def test_sigmoid_rescue_ratios_on_mnist(mnist_folder):
    from gradwell.experiments.experiment import first_images

    x, y = first_images(mnist_folder, 500)
    for (cure, depth), expected in sigmoid_rescue.EXPECTED.items():
        found = [sigmoid_rescue.first_over_last(cure, depth, seed, x, y, lambda: None) for seed in range(5)]
        assert expected / 2 < np.median(found) < expected * 2, (cure, depth)


def test_every_cure_is_a_network_that_learns():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60_000, 784)).astype(np.float32), rng.integers(0, 10, 60_000)
    for cure in sigmoid_rescue.CURES:
        assert len(sigmoid_rescue.train(cure, 4, x, y, 20)) == 10
        net = sigmoid_rescue.network(cure, 10, 0)
        weights = [name for name in net.parameters if name.endswith("weight")]
        assert len(weights) == (12 if cure == "residual" else 11)


def test_residual_depth_counts_its_layers(mnist_folder, tmp_path):
    for kind in residual_depth.KINDS:
        net = residual_depth.network(kind, 110)
        assert sum(name.endswith("weight") for name in net.parameters) == 110
    result = residual_depth.run(Options(data=mnist_folder), depths=(20, 30), steps=50)
    looked_at(result, tmp_path)
    assert len(result.checks) == 5


def test_ioffe_szegedy_in_short(mnist_folder, tmp_path):
    result = ioffe_szegedy.run(Options(data=mnist_folder), steps=2000)
    looked_at(result, tmp_path)
    assert "accuracy with batch norm minus without" not in failed(result)


def test_ioffe_szegedy_speed_is_read_off_the_curve():
    curve = ioffe_szegedy.Curve(np.linspace(0.02, 1.0, 50), np.zeros((50, 3)))
    assert ioffe_szegedy.steps_to(curve, 0.5, 5000) == 2500
    assert math.isnan(ioffe_szegedy.steps_to(curve, 1.1, 5000))


def test_trainable_depth_is_read_between_the_depths(tmp_path):
    accuracy = np.where(np.array(trainable_depth.DEPTHS) <= 20, 1.0, 0.0)
    assert trainable_depth.trained_depth(accuracy) == pytest.approx(math.sqrt(20 * 27))
    assert trainable_depth.trained_depth(np.ones(len(accuracy))) == trainable_depth.DEPTHS[-1]
    assert trainable_depth.trained_depth(np.zeros(len(accuracy))) == trainable_depth.DEPTHS[0]
    variances = trainable_depth.WEIGHT_VARIANCES
    scales = [trainable_depth.theory.mean_field(v, 0.05, "tanh").depth_scale for v in variances]
    depths = np.array(trainable_depth.DEPTHS)
    grid = np.array([1 / (1 + np.exp(np.log(depths / (9 * s**0.5)) * 8)) for s in scales])
    result = trainable_depth.summarise(grid, 3)
    assert failed(result) == []
    looked_at(result, tmp_path)
    assert failed(trainable_depth.summarise(grid[::-1].copy() ** 0 * grid[[0] * len(grid)], 3)) != []


def test_trainable_depth_near_and_far_from_critical(mnist_folder):
    from gradwell.experiments.experiment import first_images

    x, y = first_images(mnist_folder, 1000)
    x = (x - x.mean(axis=0)) / 0.25
    assert trainable_depth.train(1.76, 15, x, y, 0) > 0.6
    assert trainable_depth.train(0.4, 27, x, y, 0) < 0.3


def test_dead_relu_checks(tmp_path):
    seeds = 5
    killed = np.linspace(0, 0.8, len(dead_relu.RATES))[:, None].repeat(seeds, axis=1)
    start = np.array([[0.5, 0.3]] * seeds)
    revived = np.zeros((len(dead_relu.REMEDIES), seeds, 2))
    revived[:, :, 1] = 0.95
    revived[0, :, 0] = 0.45
    result = dead_relu.summarise(killed, start, revived)
    assert failed(result) == []
    looked_at(result, tmp_path)
    revived[:, :, 0] = 0.2
    assert len(failed(dead_relu.summarise(killed, start, revived))) == 3


def test_a_remedy_keeps_the_weights():
    net = dead_relu.gw.mlp(dead_relu.SIZES, activation="relu", seed=3)
    x = np.random.default_rng(0).normal(size=(20, 784)).astype(np.float32)
    np.testing.assert_array_equal(dead_relu.with_remedy(net, "relu, as it is").predict(x), net.predict(x))
    cured = dead_relu.with_remedy(net, "relu, batch norm")
    np.testing.assert_array_equal(cured.parameters["3.weight"], net.parameters["2.weight"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sigmoid-rescue", "residual-depth", "ioffe-szegedy", "trainable-depth", "dead-relu"])
def test_the_whole_experiment_holds(name, mnist_folder):
    assert failed(run(name, Options(data=mnist_folder))) == []
