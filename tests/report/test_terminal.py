import numpy as np
import pytest

import gradwell as gw
from gradwell.report import layer_table, text_table
from gradwell.report.terminal import bars


@pytest.fixture
def x(rng):
    return rng.uniform(0, 1, (50, 6)).astype(np.float32)


def table_of(net, x):
    return layer_table(gw.gradients(net, x, np.zeros(len(x), int), loss="softmax_cross_entropy")).splitlines()


def test_columns_line_up():
    lines = text_table(["name", "n"], [["a", "1.5"], ["longer", "20"]]).splitlines()
    assert lines == ["name      n", "──────  ───", "a       1.5", "longer   20"]


def test_a_row_too_short_is_refused():
    with pytest.raises(ValueError, match="argument 2"):
        text_table(["a", "b"], [["only one"]])


def test_the_figures_are_the_records(x):
    net = gw.mlp([6, 20, 20, 3], activation="sigmoid", init="nielsen", seed=0)
    record = gw.gradients(net, x, np.zeros(len(x), int), loss="softmax_cross_entropy")
    lines = layer_table(record).splitlines()
    assert len(lines) == 2 + 3
    first = lines[2].split()
    assert first[:2] == ["0", "dense+sigmoid"]
    assert float(first[2]) == pytest.approx(record.norm("error")[0, 0], rel=0.01)
    assert float(first[4]) == pytest.approx(record.gain()[0, 0], rel=0.01)
    assert float(first[5]) * float(first[7]) == pytest.approx(float(first[4]), rel=0.02)
    assert "shrinks: derivative" in lines[2]


def test_the_last_layer_is_not_measured_and_shown_as_a_dash(x):
    assert table_of(gw.mlp([6, 5, 3], seed=0), x)[-1].split()[-2:] == ["–", "–"]


def test_growth_is_put_down_to_the_weights(x):
    net = gw.mlp([6, 20, 3], activation="tanh", init={"name": "normal", "std": 0.01}, seed=0)
    net.parameters["2.weight"][...] = np.random.default_rng(0).normal(size=(20, 3))
    assert "grows: weights" in table_of(net, x)[2]


def test_a_layer_without_gradient_says_so(x):
    net = gw.mlp([6, 5, 5, 3], activation="relu", seed=0)
    net.parameters["2.bias"][...] = -1e6
    lines = table_of(net, x)
    assert "no gradient at all" in lines[2]
    assert "100% dead" in lines[3]


def test_a_deep_network_is_cut_in_the_middle_and_no_line_is_too_long(x):
    lines = table_of(gw.mlp([6, *[4] * 200, 3], activation="sigmoid", init="nielsen", seed=0), x)
    assert len(lines) < 40
    assert sum("169 layers" in line for line in lines) == 1
    assert max(map(len, lines)) <= 100


def test_bars_are_logarithmic_and_nothing_has_none():
    assert bars(np.array([1e-4, 1e-2, 1.0, 0.0, np.nan]), width=9) == ["█", "█" * 5, "█" * 9, "", ""]
    assert bars(np.array([0.0, np.nan])) == ["", ""]
