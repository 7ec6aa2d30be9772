"""The experiments on pre-training: their arithmetic on made-up numbers, and short runs where MNIST is there."""

import json

import numpy as np
import pytest

from gradwell.experiments import Options, dbn_mnist, pretraining_rescue, run
from gradwell.report import plots


def failed(result):
    return [check.name for check in result.checks if not check.holds]


def looked_at(result, tmp_path):
    """The JSON can be written and the figure drawn."""
    assert json.dumps(result.as_json(), allow_nan=False)
    assert result.text()
    assert plots.save(result.draw(), tmp_path / "figure.png").stat().st_size > 10_000


def test_pretraining_rescue_checks(tmp_path):
    ratios = {name: np.full(3, 0.1) for name in pretraining_rescue.METHODS}
    accuracy = {name: np.full((3, 6), 0.98) for name in pretraining_rescue.METHODS}
    ratios["as it is"] /= 50
    accuracy["as it is"] -= 0.8
    result = pretraining_rescue.summarise(ratios, accuracy)
    assert failed(result) == []
    looked_at(result, tmp_path)
    accuracy["as it is"][0, -1] = 0.95
    accuracy["autoencoders"][2, -1] = 0.97
    ratios["Boltzmann machines"] /= 50
    assert len(failed(pretraining_rescue.summarise(ratios, accuracy))) == 4


def test_dbn_mnist_checks(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((100, 784)) * np.linspace(0, 1, 784)
    filters = rng.normal(size=(784, 120))
    result = dbn_mnist.summarise([-100.0, -95.0], [0.02, 0.014], filters, images, (784, 500, 500), (20, 20))
    assert failed(result) == []
    looked_at(result, tmp_path)
    bad = dbn_mnist.summarise([-100.0, -120.0], [0.02, 0.02], filters, images * 0, (784, 500, 500), (20, 20))
    assert len(failed(bad)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretraining-rescue", "dbn-mnist"])
def test_the_whole_experiment_holds(name, mnist_folder):
    assert failed(run(name, Options(data=mnist_folder))) == []
