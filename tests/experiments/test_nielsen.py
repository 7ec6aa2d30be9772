"""Nielsen's experiments: their arithmetic on made-up numbers, and short runs where MNIST is there."""

import json

import numpy as np
import pytest

from gradwell.experiments import Options, nielsen_curves, nielsen_depth, nielsen_gradients, run
from gradwell.experiments.experiment import first_images
from gradwell.report import plots


def made_up_norms(seeds=50):
    """Norms whose medians are the expected ones and whose band takes in the published networks."""
    spread = np.exp(np.linspace(-0.7, 0.7, seeds))[:, None]
    return {depth: spread * np.array(medians) for depth, medians in nielsen_gradients.MEDIANS.items()}


def failed(result):
    return [check.name for check in result.checks if not check.holds]


def test_gradients_hold_for_the_expected_medians():
    result = nielsen_gradients.summarise(made_up_norms())
    assert failed(result) == []
    assert len(result.checks) == 2 * (2 + 3 + 4) + 3
    assert set(result.as_json()["depths"]) == {"2", "3", "4"}
    assert set(result.as_json()["depths"]["3"]) == {"published", "median", "p5", "p95", "increasing"}
    assert result.as_json()["depths"]["3"]["increasing"] == 1.0


def test_gradients_a_shifted_layer_is_found():
    norms = made_up_norms()
    norms[3][:, 1] *= 1.2
    assert failed(nielsen_gradients.summarise(norms)) == ["3 hidden layers, layer 2: median"]


def test_gradients_a_published_value_outside_the_band_is_found():
    norms = {depth: np.repeat(values[25:26], 50, axis=0) for depth, values in made_up_norms().items()}
    assert "4 hidden layers, layer 2: published in band" in failed(nielsen_gradients.summarise(norms))


def test_gradients_one_network_that_does_not_increase_is_found():
    norms = made_up_norms()
    norms[2][0] = norms[2][0, ::-1]
    assert failed(nielsen_gradients.summarise(norms)) == ["2 hidden layers: share with norms that increase"]


def made_up_curves(seeds=4, epochs=20):
    spread = np.linspace(0.5, 2.0, seeds)[:, None, None]
    curves = {}
    for depth, (low, high) in nielsen_curves.RATIOS.items():
        layers = np.geomspace(1, (low * high) ** 0.5, depth)
        curves[depth] = spread * np.exp(-np.arange(epochs) / 10)[:, None] * layers
    return curves


def test_curves_hold_inside_the_band_and_fail_outside():
    curves = made_up_curves()
    published = {depth: values.mean(axis=0) for depth, values in curves.items()}
    assert failed(nielsen_curves.summarise(curves, published)) == []
    published[3][:5, 0] *= 100  # a quarter of the epochs of one layer of nine
    result = nielsen_curves.summarise(curves, published)
    assert failed(result) == []
    assert result.as_json()["depths"]["3"]["published_inside_band"] == [0.75, 1.0, 1.0]
    published[4] *= 100
    assert failed(nielsen_curves.summarise(curves, published)) == ["published curves in the band of seeds"]


def test_curves_a_ratio_out_of_range_is_found():
    curves = made_up_curves()
    curves[4][:, 7, 0] /= 10
    assert failed(nielsen_curves.summarise(curves, {})) == ["4 hidden layers: largest last/first, median of the seeds"]


def test_curves_without_published_files_says_so():
    result = nielsen_curves.summarise(made_up_curves(), {})
    assert any("compared without them" in note for note in result.notes)
    assert result.as_json()["depths"]["2"]["published_inside_band"] is None


def made_up_accuracies(spread):
    """Three seeds a depth: the published accuracies plus a spread in points."""
    offsets = np.array([-spread, 0.0, spread])[:, None] * np.ones((1, 2))
    return {depth: accuracy + offsets for depth, accuracy in nielsen_depth.PUBLISHED.items()}


def test_depth_order_inside_the_seed_noise():
    result = nielsen_depth.summarise(made_up_accuracies(0.3))
    assert result.holds
    assert "All ranges overlap" in result.notes[0]
    assert result.as_json()["depths_told_apart"] == []


def test_depth_order_outside_the_seed_noise():
    assert "No two ranges overlap" in nielsen_depth.summarise(made_up_accuracies(0.001)).notes[0]
    some = nielsen_depth.summarise(made_up_accuracies(0.1))
    assert [1, 2] in some.as_json()["depths_told_apart"]
    assert "only 1 and 2, 2 and 3, 2 and 4 hidden layers are told apart" in some.notes[0]


def test_depth_an_accuracy_out_of_range_is_found():
    accuracies = made_up_accuracies(0.1)
    accuracies[4][0, -1] = 90.0
    assert failed(nielsen_depth.summarise(accuracies)) == ["4 hidden layers: lowest accuracy"]


@pytest.mark.parametrize(
    "result",
    [
        nielsen_gradients.summarise(made_up_norms()),
        nielsen_curves.summarise(made_up_curves(), {2: np.ones((20, 2))}),
        nielsen_depth.summarise(made_up_accuracies(0.1)),
    ],
    ids=lambda result: result.experiment,
)
def test_figures_are_drawn(result, tmp_path):
    file = plots.save(result.draw(), tmp_path / "figure.png")
    assert file.stat().st_size > 10_000


def test_short_gradients(mnist_folder):
    result = run("nielsen-gradients", Options(data=mnist_folder, seeds=10))
    increasing = [check for check in result.checks if "increase" in check.name]
    assert [check.holds for check in increasing] == [True, True, True]
    assert "Only 10 of the usual 300 seeds" in result.text()
    for depth, expected in nielsen_gradients.MEDIANS.items():
        median = result.as_json()["depths"][str(depth)]["median"]
        # Ten seeds whose logarithms have a standard deviation of 0.3 to 0.4: the median is good to about 15 %.
        assert np.allclose(np.log(median), np.log(expected), atol=0.5)


def test_short_curves(mnist_folder):
    result = nielsen_curves.run(Options(data=mnist_folder, seeds=1), epochs=12)
    depths = result.as_json()["depths"]
    assert [depth["epochs"] for depth in depths.values()] == [[0, 10]] * 3
    ratios = [depth["median_ratio"][0] for depth in depths.values()]
    assert ratios == sorted(ratios)
    json.dumps(result.as_json(), allow_nan=False)


def test_curves_start_where_the_untrained_gradients_are(mnist_folder):
    """The record of an epoch is made before its update: epoch 0 is the untrained network."""
    x, y = first_images(mnist_folder, 1000)
    curves = nielsen_curves.train(x, y, depth=3, seed=5, epochs=1)
    untrained = nielsen_gradients.measure(x, y, depth=3, seed=5)
    # float32 sums over 1000 images in another order
    assert np.allclose(curves[0], untrained, rtol=1e-4)


def test_short_depth(mnist_folder):
    result = nielsen_depth.run(Options(data=mnist_folder, seeds=1), epochs=1)
    assert set(result.as_json()["depths"]) == {"1", "2", "3", "4"}
    assert 85 < result.as_json()["depths"]["1"]["accuracy"][0] < 96
