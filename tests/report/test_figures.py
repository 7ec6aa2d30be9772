"""Figures for papers: what they draw is what the record, the ledger and the trials hold."""

import sys

import numpy as np
import pytest
from pages import made_up

import gradwell as gw
from gradwell import doctor
from gradwell.report import cells as grid
from gradwell.report import plots

X, Y = gw.datasets.digits()
X = (X / X.std()).astype(np.float32)
SETTINGS = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "progress": False}


def sick():
    return gw.mlp([64, *[30] * 5, 10], activation="sigmoid", init="nielsen", seed=0)


@pytest.fixture(scope="module")
def history():
    return gw.fit(sick(), (X, Y), epochs=3, stats=True, clip=gw.clip_by_norm(0.5), **SETTINGS)


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_a_map_has_a_line_a_layer_and_a_column_a_record(history, tmp_path):
    axes = gw.report.plot_norm_map(history.gradients)
    assert np.asarray(axes.images[0].get_array()).shape == (6, len(history.gradients), 4)
    assert labels(axes.yaxis) == history.gradients.layers
    assert labels(axes.xaxis)[:2] == ["0", "50"]
    plots.save(axes.figure, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_zero_not_finite_and_not_measured_are_named_and_coloured():
    record = made_up(np.array([[1.0, 0.0, np.nan, np.inf], [0.1, 0.0, np.nan, 1.0]]))
    axes = gw.report.plot_norm_map(record)
    image = np.asarray(axes.images[0].get_array())
    assert image[1].tolist() == [[0, 0, 0, 255]] * 2
    assert image[2, :, 3].tolist() == [0, 0]  # the hatched ground shows through
    assert image[3, 0].tolist() == [*grid.BROKEN, 255]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["not measured", "exactly 0", "NaN or infinite"]


def test_gains_share_a_scale_around_one(history):
    axes = gw.report.plot_gain_map(history.gradients)
    bar = axes.figure.axes[1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["1/10", "1", "10"]
    image = np.asarray(axes.images[0].get_array()).astype(int)
    assert (image[:5, :, 2] > image[:5, :, 0]).all()  # blue: it shrinks
    assert (image[5, :, 3] == 0).all()


def test_a_histogram_shows_shares(history):
    record = history.gradients
    axes = gw.report.plot_histogram(record, "weight", "4")
    exponents, counts = record.histogram("weight", "4")
    shown = np.ma.filled(axes.images[0].get_array(), 0.0)
    assert axes.images[0].get_extent()[2:] == [exponents[0], exponents[-1] + 1]
    np.testing.assert_allclose(np.nansum(shown, axis=0), 1.0, rtol=1e-12)
    first = counts[:2].sum(axis=0)[::-1] / counts[:2].sum()  # 171 records: two in a column
    np.testing.assert_allclose(np.nan_to_num(shown[:, 0]), first, rtol=1e-12)
    with pytest.raises(ValueError, match="has no histogram of bias"):
        gw.report.plot_histogram(gw.gradients(_without_bias(), X, Y, loss=SETTINGS["loss"]), "bias", "0")


def _without_bias():
    return gw.Network([gw.Dense(5, use_bias=False), gw.Tanh(), gw.Dense(10)], 64, seed=0)


def test_time_steps_are_medians_over_the_records():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 15, 2)).astype(np.float32)
    net = gw.Network([gw.LSTM(6), gw.Dense(2)], (15, 2), seed=0)
    history = gw.fit(net, (x, (x[:, 0, 0] > 0).astype(int)), epochs=3, stats=True, **SETTINGS)
    axes = gw.report.plot_time_steps(history.gradients, quantities=("hidden", "forget"))
    hidden, forget = axes.get_lines()
    time = history.gradients.time()
    np.testing.assert_allclose(hidden.get_ydata(), np.median(time.norm("hidden"), axis=0), rtol=1e-12)
    assert np.isnan(forget.get_ydata()[0])  # the first step's forget gate has no cell to forget
    assert len(axes.collections) == 2
    with pytest.raises(ValueError, match="no recurrent layer"):
        gw.report.plot_time_steps(gw.gradients(sick(), X, Y, loss=SETTINGS["loss"]))


def test_clipping_shows_both_norms(history):
    axes = gw.report.plot_clipping(history)
    before, after = axes.get_lines()
    assert before.get_ydata().max() == pytest.approx(history.clipping.before.max())
    assert after.get_ydata().max() == pytest.approx(0.5, rel=1e-6)
    assert axes.get_title() == f"clipped at {int(history.clipping.clipped.sum())} of 171 steps"
    with pytest.raises(TypeError, match=r"\[plot_clipping\] clipping is of type int"):
        gw.report.plot_clipping(3)
    with pytest.raises(ValueError, match="ledger is empty"):
        gw.report.plot_clipping(gw.fit(sick(), (X, Y), max_steps=2, **SETTINGS))


def test_trials_are_drawn_with_their_spread(tmp_path):
    few = doctor.remedies("tanh", "adam", "lstm")
    cure = gw.treat(sick(), (X, Y), seeds=2, steps=80, remedies=few, **SETTINGS)
    axes = gw.report.plot_treatment(cure)
    assert labels(axes.yaxis) == ["untreated", few[0].name, few[1].name]
    assert len(axes.containers) == 3
    line, _, _ = axes.containers[1]
    assert line.get_xdata()[0] == pytest.approx(cure.trials[0].loss)
    assert "best" in [text.get_text() for text in axes.texts]
    plots.save(axes.figure, tmp_path / "trials.png")
    with pytest.raises(TypeError, match=r"\[plot_treatment\]"):
        gw.report.plot_treatment(3)


def test_an_empty_record_and_other_things_are_refused():
    empty = gw.fit(sick(), (X, Y), max_steps=2, stats=False, **SETTINGS).gradients
    for draw in (gw.report.plot_norm_map, gw.report.plot_gain_map, gw.report.plot_time_steps):
        with pytest.raises(ValueError, match="the record is empty"):
            draw(empty)
        with pytest.raises(TypeError, match="needs a GradientRecord"):
            draw(3)


def test_without_matplotlib_the_message_says_how_to_get_it(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "gradwell\[plot\]"'):
        gw.report.plot_norm_map(history.gradients)
