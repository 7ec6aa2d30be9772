"""`treat`: what helps is found by trial, and holds on seeds that no trial saw."""

import json
from dataclasses import replace

import numpy as np
import pytest

import gradwell as gw
from gradwell import doctor
from gradwell.doctor import Outcome
from gradwell.doctor.changes import REBUILDINGS

X, Y = gw.datasets.digits()
X = (X / X.std()).astype(np.float32)
SETTINGS = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "progress": False}


def sick():
    return gw.mlp([64, *[30] * 5, 10], activation="sigmoid", init="nielsen", seed=0)


@pytest.fixture(scope="module")
def cure():
    return gw.treat(sick(), (X, Y), seeds=2, steps=200, **SETTINGS)


def test_the_winner_beats_the_untreated_network(cure):
    assert cure.untreated.gone == 0
    assert cure.winner.gone == 1
    assert cure.winner.loss < 0.5 * cure.untreated.loss
    assert cure.code in {r.code for r in doctor.REMEDIES.values()}


def test_the_winner_holds_on_new_seeds(cure):
    history = gw.fit(cure.network, (X, Y), **SETTINGS | cure.settings, epochs=3, seed=50, stats=True)
    assert cure.finding.rule not in gw.diagnose(history)


def test_losers_are_dropped_early_and_say_so(cure):
    counts = [len(trial.outcomes) for trial in cure.trials if trial.skipped is None]
    assert set(counts) == {1, 2}
    assert counts == sorted(counts, reverse=True)


def test_it_says_which_started_from_new_weights(cure):
    by_name = {trial.remedy.name: trial for trial in cure.trials}
    assert by_name[doctor.REMEDIES["tanh"].name].drawn_anew
    assert not by_name[doctor.REMEDIES["adam"].name].drawn_anew
    assert "starts from new weights" in str(cure)
    told = json.loads(cure.to_json())
    assert told["winner"] == cure.winner.remedy.name
    assert len(told["trials"]) == len(cure.trials)


def test_the_given_network_stays_as_it_is():
    net = sick()
    before = net.snapshot()
    gw.treat(net, (X, Y), seeds=1, steps=20, remedies=doctor.remedies("lsuv", "batchnorm", "adam"), **SETTINGS)
    after = net.snapshot()
    for name, value in before["parameters"].items():
        np.testing.assert_array_equal(value, after["parameters"][name])
    assert after["training_state"] == before["training_state"]


def test_trials_in_other_processes_give_the_same():
    few = {"seeds": 2, "steps": 60, "remedies": doctor.remedies("tanh", "batchnorm"), **SETTINGS}
    here = gw.treat(sick(), (X, Y), **few)
    there = gw.treat(sick(), (X, Y), jobs=2, **few)
    assert here.to_dict() == there.to_dict()


def test_what_does_not_fit_is_said():
    few = doctor.remedies("lstm", "no clip", "tanh")
    cure = gw.treat(sick(), (X, Y), seeds=1, steps=20, remedies=few, **SETTINGS)
    reasons = {trial.remedy.name: trial.skipped for trial in cure.trials}
    assert reasons[few[0].name] == "there is nothing to change"
    assert reasons[few[1].name] == "nothing is clipped"
    assert reasons[few[2].name] is None


def test_nothing_helps_is_an_answer():
    cure = gw.treat(sick(), (X, Y), seeds=1, steps=20, remedies=doctor.remedies("higher rate"), **SETTINGS)
    assert cure.winner is None
    assert cure.code == ""
    assert "nothing that was tried" in str(cure)
    assert cure.network.describe() == sick().describe()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"seeds": 0}, ValueError, "seeds is 0"),
        ({"steps": 0}, ValueError, "steps is 0"),
        ({"jobs": 0}, ValueError, "jobs is 0"),
        ({"rule": "exploding"}, ValueError, 'rule is "exploding" but it found nothing'),
    ],
)
def test_wrong_use_is_named(change, error, message):
    with pytest.raises(error, match=rf"\[treat\] {message}"):
        gw.treat(sick(), (X, Y), **{"seeds": 1, "steps": 10, **SETTINGS, **change})


def test_a_healthy_network_has_nothing_to_treat():
    net = gw.mlp([64, 30, 10], activation="tanh", init="glorot", seed=0)
    with pytest.raises(ValueError, match="nothing wrong"):
        gw.treat(net, (X, Y), steps=120, **SETTINGS)


@pytest.mark.parametrize("name", REBUILDINGS)
def test_every_rebuilding_makes_a_network(name):
    if name in ("lstm", "irnn"):
        layers, shape = [gw.RNN(4), gw.Dense(2)], (5, 3)
    else:
        layers, shape = [gw.Dense(6), gw.Sigmoid(), gw.Dense(6), gw.Sigmoid(), gw.Dense(2)], 3
    rebuilt = REBUILDINGS[name](layers)
    assert [layer.describe() for layer in rebuilt] != [layer.describe() for layer in layers]
    net = gw.Network(rebuilt, shape, seed=0)
    assert net.predict(np.ones((2, *net.input_shape))).shape == (2, 2)


def test_weights_are_carried_over_where_they_fit():
    net = sick()
    setup = doctor.Setup(net, X, Y, gw.SGD(0.1), None)
    for name in ("batchnorm", "layernorm", "residual"):
        changed = doctor.applied(doctor.REMEDIES[name], setup, 7)
        assert not changed.drawn_anew
        ours = [v for k, v in net.parameters.items() if k.endswith("weight")]
        theirs = [v for k, v in changed.network.parameters.items() if k.endswith("weight")]
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_sequences_of_lengths_are_treated():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 60, 2)).astype(np.float32)
    lengths = rng.integers(40, 61, 200)
    y = x[:, 0, :1]  # what the first step was
    net = gw.Network([gw.RNN(16), gw.Dense(1)], (60, 2), seed=0)
    settings = {"loss": "mean_squared_error", "optimizer": gw.SGD(1e-9), "steps": 120, "seeds": 1, "progress": False}
    cure = gw.treat(net, (x, y, lengths), **settings)
    assert cure.blind is None
    assert cure.trials
    assert all(trial.outcomes or trial.skipped for trial in cure.trials)
    with pytest.raises(ValueError, match="lengths"):
        gw.treat(net, (x, y, lengths[:-1]), **settings)


def test_a_winner_must_beat_a_blind_guess_whatever_the_untreated_came_to():
    cure = gw.treat(
        gw.mlp([64, *[30] * 5, 10], activation="sigmoid", init="nielsen", seed=0),
        (X, Y),
        loss="softmax_cross_entropy",
        optimizer=gw.SGD(0.1),
        seeds=1,
        steps=60,
        progress=False,
    )
    assert cure.winner is not None
    assert replace(cure, untreated=replace(cure.untreated, outcomes=(Outcome(False, 1e9),))).winner is not None
    assert replace(cure, blind=cure.winner.loss / 2).winner is None
