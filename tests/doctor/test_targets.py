"""Targets of another size: named, and no remedy is praised for a loss that no one would take."""

import numpy as np
import pytest

import gradwell as gw

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 8)).astype(np.float32)
Y = np.sin(2 * X[:, :1]) + X[:, 1:2]


def trained(scale, loss="mean_squared_error"):
    net = gw.mlp([8, 32, 32, 1], activation="tanh", seed=0)
    settings = {"loss": loss, "optimizer": gw.Adam(1e-3), "epochs": 5, "progress": False, "stats": True}
    return gw.diagnose(gw.fit(net, (X, scale * Y), **settings))


@pytest.mark.parametrize("loss", ["mean_squared_error", "quadratic"])
@pytest.mark.parametrize(
    ("scale", "severity"), [(1.0, None), (5.0, None), (100.0, "warning"), (1e5, "severe"), (1e-5, "warning")]
)
def test_the_size_of_targets_is_named(loss, scale, severity):
    diagnosis = trained(scale, loss)
    found = diagnosis.get("targets")
    assert (found.severity if found else None) == severity
    if found:
        assert found.evidence["spread"] == pytest.approx(scale * Y.std(), rel=0.05)
        assert found.remedies[0].name == "targets of mean 0 and variance 1"


def test_classes_have_no_size():
    net = gw.mlp([8, 16, 3], seed=0)
    labels = RNG.integers(0, 3, 400)
    history = gw.fit(net, (X, labels), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=1, progress=False)
    assert gw.diagnose(history).not_measured["targets"] == "the targets are classes"


def test_a_winner_is_better_than_a_blind_guess():
    net = gw.mlp([8, 32, 32, 1], activation="tanh", seed=0)
    settings = {"loss": "mean_squared_error", "optimizer": gw.SGD(0.1), "seeds": 2, "steps": 100, "progress": False}
    treatment = gw.treat(net, (X, 1e7 * Y + 3e7), **settings)
    assert not np.isfinite(treatment.untreated.loss)
    assert treatment.winner is None or treatment.winner.loss <= 1.5 * treatment.blind


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared_error"])
def test_a_blind_guess_knows_targets_in_any_form(loss):
    net = gw.mlp([8, *[16] * 5, 4], activation="sigmoid", init="nielsen", seed=0)
    labels = np.arange(400) % 4
    few = {"steps": 10, "seeds": 1, "progress": False, "remedies": gw.doctor.remedies("lsuv")}
    forms = (labels, labels.astype(np.uint8), labels.tolist(), np.eye(4)[labels], np.eye(4, dtype=int)[labels])
    found = [gw.treat(net, (X, y), loss=loss, optimizer=gw.SGD(0.1), **few).blind for y in forms]
    np.testing.assert_allclose(found, np.log(4) if loss == "softmax_cross_entropy" else 3 / 16, rtol=1e-5)


def test_a_plateau_is_a_note_and_learning_on_is_none():
    x = RNG.normal(size=(800, 8)).astype(np.float32)
    noisy = np.where(RNG.random(800) < 0.6, RNG.integers(0, 3, 800), np.digitize(x[:, 0], [-0.5, 0.5]))
    settings = {"loss": "softmax_cross_entropy", "batch_size": 400, "progress": False}

    def trained(rate, epochs):
        net = gw.mlp([8, 3], seed=0)
        return gw.diagnose(gw.fit(net, (x, noisy), optimizer=gw.SGD(rate), epochs=epochs, **settings))

    standing = trained(1.0, 300)
    assert standing["loss_dynamics"].severity == "note"
    assert "has stood at" in standing["loss_dynamics"].text
    assert trained(0.02, 60).verdicts["loss_dynamics"] == "clear"
