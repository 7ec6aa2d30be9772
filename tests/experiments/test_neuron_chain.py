import numpy as np
import pytest

from gradwell.experiments import Options, neuron_chain
from gradwell.report import plots


@pytest.fixture(scope="module")
def result():
    return neuron_chain.run(Options(seeds=3))


def test_backpropagation_gives_the_product(result):
    assert result.holds
    assert result.as_json()["lengths"]["40"]["largest_relative_error"] < 1e-13


def test_the_first_factor_is_worked_out_by_hand():
    chain = neuron_chain.measure(length=2, seed=0)
    z1_to_b1 = chain.derivatives[0] * chain.weights[1]
    assert chain.product[0] == pytest.approx(z1_to_b1 * chain.product[1], rel=1e-15)


def test_a_wrong_gradient_is_found():
    chain = neuron_chain.measure(length=4, seed=0)
    wrong = chain._replace(backward=chain.backward * np.array([1 + 1e-10, 1, 1, 1]))
    result = neuron_chain.summarise({4: [wrong]})
    assert [check.name for check in result.checks if not check.holds] == [
        "4 neurons: relative error of backpropagation"
    ]


def test_a_gradient_of_nothing_is_found():
    chain = neuron_chain.measure(length=4, seed=0)
    assert not neuron_chain.summarise({4: [chain._replace(backward=np.full(4, np.nan))]}).checks[0].holds


def test_the_text_multiplies_the_chain_out(result):
    assert "σ′(z1)" in result.text()
    assert "w4" in result.text()


def test_figure(result, tmp_path):
    assert plots.save(result.draw(), tmp_path / "chain.svg").stat().st_size > 10_000
