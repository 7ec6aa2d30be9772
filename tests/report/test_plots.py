import importlib.util
import sys

import numpy as np
import pytest

import gradwell as gw
from gradwell.report import plot_norms, plots


@pytest.fixture(scope="module")
def record():
    x, y = gw.datasets.digits()
    net = gw.mlp([64, 30, 30, 10], activation="sigmoid", init="nielsen", seed=0)
    history = gw.fit(
        net,
        (x, y),
        loss="sigmoid_cross_entropy",
        optimizer=gw.SGD(0.1),
        batch_size=10,
        epochs=4,
        stats=True,
        progress=False,
    )
    return history.gradients


def test_plot_norms_has_a_line_a_layer_on_a_logarithmic_axis(record):
    axes = plot_norms(record, "bias")
    assert [line.get_label() for line in axes.get_lines()] == ["0 dense+sigmoid", "2 dense+sigmoid", "4 dense"]
    assert axes.get_yscale() == "log"
    assert "∂C/∂b" in axes.get_ylabel()


def test_long_records_are_thinned_to_the_median_of_neighbours(record):
    line = plot_norms(record).get_lines()[0]
    assert len(record) > 600
    assert len(line.get_xdata()) == 250
    first = np.array_split(record.norm("error")[:, 0], 250)[0]
    assert line.get_ydata()[0] == pytest.approx(np.median(first))


def test_one_step_is_drawn_as_points():
    record = gw.gradients(gw.mlp([4, 3, 2], seed=0), np.ones((5, 4)), np.zeros(5, int), loss="quadratic")
    assert plot_norms(record).get_lines()[0].get_marker() == "o"


def test_what_cannot_be_drawn_is_named():
    _, panels = plots.subplots(size=(4, 3))
    norms = np.array([[1.0, 0.0, np.nan], [0.5, 0.0, np.nan]])
    plots.draw_norms(panels[0, 0], np.arange(2), ["a", "b", "c"], norms)
    labels = [line.get_label() for line in panels[0, 0].get_lines()]
    assert labels == ["a", "b (no drawable value)", "c (not measured)"]


def test_an_empty_record_draws_an_empty_figure(tmp_path):
    figure, panels = plots.subplots(size=(4, 3))
    plots.draw_norms(panels[0, 0], np.zeros(0), ["a"], np.zeros((0, 1)))
    plots.save(figure, tmp_path / "empty.pdf")


@pytest.mark.parametrize(
    ("name", "error"), [("a.gif", ValueError), ("a", ValueError), ("absent/a.png", FileNotFoundError)]
)
def test_a_bad_destination_is_refused_before_any_work(tmp_path, name, error):
    with pytest.raises(error, match=r"\[figure\]"):
        plots.check_destination(tmp_path / name)


def test_without_matplotlib_the_message_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "gradwell\[plot\]"'):
        plots.subplots(size=(4, 3))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "gradwell\[plot\]"'):
        plots.check_destination(tmp_path / "a.png")
