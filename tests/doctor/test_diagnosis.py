"""`diagnose`: what it takes, what it refuses, and what it says."""

import json

import numpy as np
import pytest

import gradwell as gw
from gradwell import doctor

X, Y = gw.datasets.digits()
X = (X / X.std()).astype(np.float32)


def sick(depth=5):
    return gw.mlp([64, *[30] * depth, 10], activation="sigmoid", init="nielsen", seed=0)


def trained(net, **settings):
    settings = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "epochs": 3, "stats": True, **settings}
    return gw.fit(net, (X, Y), progress=False, **settings)


def test_one_look_and_a_training_agree():
    look = gw.diagnose(sick(), X, Y, loss="softmax_cross_entropy")
    after = gw.diagnose(trained(sick()))
    for diagnosis in (look, after):
        finding = diagnosis["vanishing"]
        assert (finding.factor, finding.explained_by) == ("derivative", "initialization")
        assert finding.evidence["log10_ratio"] < finding.evidence["threshold"] < 0
        assert finding.evidence["log10_ratio"] == pytest.approx(finding.evidence["expected_log10_ratio"], abs=0.5)
        assert not diagnosis.healthy


def test_a_record_alone_says_what_it_cannot_know():
    record = gw.gradients(sick(), X, Y, loss="softmax_cross_entropy")
    diagnosis = gw.diagnose(record)
    assert "vanishing" in diagnosis
    assert diagnosis.not_measured["initialization"] == "the network's start is not known"
    assert diagnosis.not_measured["stalled_updates"] == "no training"
    assert "Not measured" in str(diagnosis)


def test_looking_changes_nothing():
    net = sick()
    before = net.snapshot()["parameters"]
    gw.diagnose(net, X, Y, loss="softmax_cross_entropy")
    for name, value in before.items():
        np.testing.assert_array_equal(value, net.parameters[name])


def test_stats_off_is_not_healthy_but_not_measured():
    diagnosis = gw.diagnose(trained(gw.mlp([64, 30, 30, 10], seed=0), stats=False))
    assert diagnosis.verdicts["vanishing"] == "not measured: no gradient record"
    assert diagnosis.verdicts["blind_guess"] == "clear"


def test_the_error_of_a_fit_is_a_case():
    net = gw.mlp([64, 30, 30, 10], activation="relu", init="he", seed=0)
    with pytest.raises(gw.NonFiniteError) as caught:
        trained(net, optimizer=gw.SGD(1e30))
    finding = gw.diagnose(caught.value)["nonfinite"]
    assert finding.severity == "severe"
    assert finding.layer == caught.value.layer
    assert gw.diagnose(caught.value.history)["nonfinite"].layer == caught.value.layer


@pytest.mark.parametrize("layer", range(12))
def test_an_overflow_planted_in_a_layer_is_named(layer):
    net = gw.mlp([64, *[20] * 11, 10], activation="tanh", init="glorot", seed=0)
    net.parameters[f"{2 * layer}.weight"][...] = 3e38
    with pytest.raises(gw.NonFiniteError) as caught:
        trained(net)
    assert gw.diagnose(caught.value)["nonfinite"].layer == str(2 * layer)


@pytest.mark.parametrize("layer", range(1, 12))
def test_an_overflow_planted_in_the_way_back_is_named(layer):
    # What the layer reads is tiny, so its outputs are finite; its weights times its errors are not.
    net = gw.mlp([64, *[20] * 11, 10], activation="identity", init="orthogonal", seed=0)
    net.parameters[f"{2 * layer - 2}.weight"][...] *= 1e-37
    signs = np.sign(np.random.default_rng(layer).normal(size=net.parameters[f"{2 * layer}.weight"].shape))
    net.parameters[f"{2 * layer}.weight"][...] = 3e38 * signs
    with pytest.raises(gw.NonFiniteError) as caught:
        gw.fit(net, (X, 1e4 * np.eye(10)[Y]), loss="quadratic", optimizer=gw.SGD(1e-30), progress=False)
    assert (caught.value.phase, caught.value.layer) == ("backward", str(2 * layer))
    assert gw.diagnose(caught.value)["nonfinite"].layer == str(2 * layer)


@pytest.mark.parametrize("layer", range(12))
def test_an_overflow_planted_in_the_update_is_named(layer):
    # The layer's weights see no signal, but decay takes them beyond the format.
    net = gw.mlp([64, *[20] * 11, 10], activation="relu", init="he", seed=0)
    if layer:
        net.parameters[f"{2 * layer - 2}.bias"][...] = -1e6
        net.parameters[f"{2 * layer}.weight"][...] = 3e37
    x = np.zeros_like(X) if layer == 0 else X
    if layer == 0:
        net.parameters["0.weight"][...] = 3e37
    with pytest.raises(gw.NonFiniteError) as caught:
        gw.fit(net, (x, Y), loss="softmax_cross_entropy", optimizer=gw.SGD(1.0, weight_decay=30.0), progress=False)
    assert (caught.value.phase, caught.value.layer) == ("update", str(2 * layer))
    assert gw.diagnose(caught.value)["nonfinite"].layer == str(2 * layer)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((3,), {}, "what is of type int"),
        ((sick(),), {}, "a network needs samples"),
        ((sick(), X), {"loss": "quadratic"}, "a network needs samples"),
        ((gw.gradients(sick(), X, Y, loss="quadratic"), X, Y), {}, "with a GradientRecord; they need a network"),
    ],
)
def test_wrong_use_is_named(arguments, settings, message):
    with pytest.raises(TypeError, match=rf"\[diagnose\] .*{message}"):
        gw.diagnose(*arguments, **settings)


def test_json_and_text():
    diagnosis = gw.diagnose(trained(sick()))
    told = json.loads(diagnosis.to_json())
    assert told["healthy"] is False
    assert {f["rule"] for f in told["findings"]} == {f.rule for f in diagnosis}
    assert set(told["verdicts"]) == set(doctor.rules())
    assert told["scores"] == diagnosis.scores()
    text = str(diagnosis)
    assert "vanishing, layer" in text
    assert "because of that" in text
    assert all(len(line) <= 130 for line in text.splitlines())


def test_roots_come_first_and_every_finding_is_there_once():
    diagnosis = gw.diagnose(
        trained(gw.mlp([64, 40, 40, 10], activation="tanh", init="glorot", seed=0), optimizer=gw.SGD(6.0))
    )
    names = [f.rule for f in diagnosis]
    assert len(names) == len(set(names))
    for finding in diagnosis:
        if finding.explained_by:
            assert names.index(finding.explained_by) < names.index(finding.rule)
    assert diagnosis.roots[0].rule == "violent_updates"


def test_a_rule_of_ones_own():
    class Wide(doctor.Rule):
        name, source = "wide", "a wish"
        explained_by = ("initialization",)

        def examine(self, case):
            if len(case.layers) > 3:
                yield doctor.Finding(self.name, "warning", "many layers", case.layers[0], factor="skip")

    doctor.rule(Wide)
    try:
        with pytest.raises(ValueError, match="needs one that is not taken"):
            doctor.rule(Wide)
        finding = gw.diagnose(sick(), X, Y, loss="quadratic")["wide"]
        assert (finding.layer, finding.explained_by) == ("0", "initialization")
    finally:
        doctor.forget("wide")
    with pytest.raises(ValueError, match='no rule "wide"'):
        doctor.forget("wide")
    with pytest.raises(TypeError, match="derive it from"):
        doctor.rule(int)


def test_rules_say_where_their_thresholds_come_from():
    for name, rule in doctor.rules().items():
        assert rule.name == name
        assert rule.source
        assert type(rule).__doc__
        assert set(rule.explained_by) <= set(doctor.rules())


@pytest.mark.parametrize(("field", "value"), [("severity", "bad"), ("factor", "luck")])
def test_a_finding_is_checked(field, value):
    with pytest.raises(ValueError, match=rf'\[finding\] {field} is "{value}"'):
        doctor.Finding(**{"rule": "r", "severity": "note", "text": "", field: value})
