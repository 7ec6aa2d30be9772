"""The gradient record against plain NumPy, its shape, and what it must not do."""

import json

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import reference
from gradwell.statistics import QUANTITIES

SUMS = "sums of a few hundred terms in double of values rounded to the dtype"


@pytest.fixture
def case(rng, dtype):
    net = gw.mlp([6, 9, 8, 4], activation="tanh", bias_init="normal", seed=1, dtype=np.dtype(dtype).name)
    return net, rng.normal(size=(30, 6)).astype(dtype), rng.integers(0, 4, 30)


def plain_pass(net, x, y):
    """Errors, output gradients and outputs of every layer, by the oracle in float64."""
    p = {name: view.astype(np.float64) for name, view in net.parameters.items()}
    names = [stage[0] for stage in net.program.stages]
    outputs, errors, output_gradients = [x.astype(np.float64)], [], []
    for i, name in enumerate(names):
        kind = "tanh" if i < len(names) - 1 else "identity"
        outputs.append(reference.dense_forward(outputs[-1], p[f"{name}.weight"], p[f"{name}.bias"], kind))
    _, dy = reference.softmax_cross_entropy(outputs[-1], y)
    for i in reversed(range(len(names))):
        output_gradients.insert(0, dy)
        delta = dy * (1 - outputs[i + 1] ** 2) if i < len(names) - 1 else dy
        errors.insert(0, delta)
        dy = delta @ p[f"{names[i]}.weight"].T
    return outputs[1:], errors, output_gradients


def test_every_quantity_of_every_kind(case, dtype):
    net, x, y = case
    record = gw.gradients(net, x, y, loss="softmax_cross_entropy")
    outputs, errors, _ = plain_pass(net, x, y)
    arrays = {"activation": outputs, "error": errors}
    for kind in ("weight", "bias"):
        arrays[kind] = [net.gradients[f"{name}.{kind}"] for name in record.layers]
    tolerance = 2e-4 if dtype == np.float32 else 1e-12
    for kind, by_layer in arrays.items():
        for quantity in QUANTITIES:
            expected = [getattr(reference.gradient_statistics(a), quantity) for a in by_layer]
            floor = 1e-3 if quantity == "mean" else 0.0  # a mean cancels
            actual = record.get(kind, quantity)[0]
            if quantity == "smallest" and dtype == np.float32 and kind == "error":
                continue  # the least of hundreds cancels at will: only its order of magnitude is certain
            assert_close(actual, np.array(expected, float), relative=tolerance, floor=floor, reason=SUMS)


def test_gain_is_the_product_of_its_parts(case, dtype):
    net, x, y = case
    record = gw.gradients(net, x, y, loss="softmax_cross_entropy")
    _, errors, output_gradients = plain_pass(net, x, y)
    norms = [np.linalg.norm(e) for e in errors]
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for i in range(2):
        weight = np.linalg.norm(output_gradients[i]) / norms[i + 1]
        assert_close(record.gain("weight")[0, i], weight, relative=tolerance, reason=SUMS)
        assert_close(record.gain("total")[0, i], norms[i] / norms[i + 1], relative=tolerance, reason=SUMS)
    product = record.gain("weight") * record.gain("derivative")
    assert_close(product[0, :2], record.gain()[0, :2], relative=1e-12, reason="two divisions")
    assert np.isnan(record.gain()[0, 2]), "the last layer has none above: not measured"
    assert record.gain("derivative")[0, 2] == 1, "a linear layer's derivative"


def test_histograms_count_every_finite_nonzero_element(case):
    net, x, y = case
    history = gw.fit(
        net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), batch_size=7, epochs=2, stats=True
    )
    record = history.gradients
    for kind in record.kinds:
        for layer in record.layers:
            exponents, counts = record.histogram(kind, layer)
            i = record.layers.index(layer)
            filled = record.get(kind, "count")[:, i] - record.zeros(kind)[:, i]
            np.testing.assert_array_equal(counts.sum(axis=1), filled)
            largest = np.floor(np.log2(record.largest(kind)[:, i]))
            top = exponents[[np.flatnonzero(row)[-1] for row in counts]]
            np.testing.assert_array_equal(top, largest)


def test_update_is_the_relative_size_of_the_step(case, dtype):
    net, x, y = case
    before = {name: view.astype(np.float64) for name, view in net.parameters.items()}
    history = gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(0.1), batch_size=30, epochs=1, stats=True)
    for i, name in enumerate(history.gradients.layers):
        old, new = before[f"{name}.weight"], net.parameters[f"{name}.weight"]
        expected = np.linalg.norm(new - old) / np.linalg.norm(old)
        reason = "a step of a hundredth of the weight keeps two digits fewer than the weight"
        tolerance = 1e-4 if dtype == np.float32 else 1e-12
        assert_close(history.gradients.update()[0, i], expected, relative=tolerance, reason=reason)


def test_saturated_and_dead_units(rng):
    net = gw.Network([gw.Dense(4), gw.ReLU(), gw.Dense(2)], 3, seed=0, dtype="float64")
    net.parameters["0.weight"][...] = 0
    net.parameters["0.bias"][...] = [-1, -1, 1, 1]  # two units never active
    record = gw.gradients(net, rng.normal(size=(50, 3)), np.zeros(50, int), loss="quadratic")
    assert record.saturated()[0].tolist() == [0.5, 0.0]
    assert record.dead()[0].tolist() == [0.5, 0.0]


def test_a_unit_that_wakes_up_is_not_dead(rng):
    net = gw.Network([gw.Dense(1), gw.ReLU(), gw.Dense(1)], 1, seed=0, dtype="float64")
    net.parameters["0.weight"][...] = 1
    x = np.full((2000, 1), -1.0)
    x[1500] = 1  # active once, in the second window of 1,000 samples
    history = gw.fit(
        net,
        (x, np.zeros(2000)),
        loss="quadratic",
        optimizer=gw.SGD(0.0),
        batch_size=100,
        epochs=2,
        shuffle=False,
        stats=True,
    )
    dead = history.gradients.dead()[:, 0]
    assert np.isnan(dead[:9]).all(), "not measured before a window is full"
    assert dead[9] == 1, "the first window saw it inactive throughout"
    assert dead[19] == 0, "the second saw it active once"
    assert dead[29] == 1 and dead[39] == 0


def test_layers_without_a_quantity_say_not_measured(rng):
    layers = [gw.Dense(4, use_bias=False), gw.PReLU(), gw.Dense(3), gw.Tanh(), gw.Sigmoid()]
    net = gw.Network(layers, 3, seed=0)
    record = gw.gradients(net, rng.normal(size=(5, 3)), np.zeros((5, 3)), loss="quadratic")
    assert record.layers == ["0", "2", "4"]
    assert record.descriptions == ["dense+prelu", "dense+tanh", "sigmoid"]
    assert record.kinds == ("error", "weight", "bias", "slope", "activation")
    assert np.isnan(record.norm("bias")[0]).tolist() == [True, False, True]
    assert np.isnan(record.norm("slope")[0]).tolist() == [False, True, True]
    assert np.isnan(record.norm("weight")[0]).tolist() == [False, False, True]


@pytest.mark.parametrize("stats", [True, "auto", False])
def test_recording_changes_no_bit(stats, rng):
    x, y = rng.normal(size=(200, 10)).astype(np.float32), rng.integers(0, 3, 200)
    nets = [gw.mlp([10, 20, 20, 3], activation="sigmoid", init="nielsen", seed=0) for _ in range(2)]
    for net, setting in zip(nets, (False, stats), strict=True):
        gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.3, l2=0.01), epochs=9, stats=setting)
    for name, view in nets[0].parameters.items():
        np.testing.assert_array_equal(view, nets[1].parameters[name])


def test_auto_always_has_the_first_steps_and_the_last_and_keeps_to_its_budget():
    from gradwell.sampling import RecordSchedule

    schedule = RecordSchedule("auto", 0.02)
    timings = {"plain_seconds": 1.0, "plain_steps": 100, "recorded_seconds": 0.05, "recorded_steps": 1}
    schedule.learn(timings)  # a recorded step costs five times a plain one
    assert schedule.every == 267  # 4 / (0.75 * 0.02)
    spent = (0.05 - 0.01) / (schedule.every * 0.01)
    assert spent <= 0.02
    net = gw.mlp([4, 5, 2], seed=0)
    x = np.ones((10, 4))
    history = gw.fit(net, (x, np.zeros(10, int)), loss="quadratic", optimizer=gw.SGD(0.1), epochs=3)
    assert list(history.gradients.steps) == [0, 1, 2]
    history = gw.fit(net, (x, np.zeros(10, int)), loss="quadratic", optimizer=gw.SGD(0.1), epochs=50)
    assert list(history.gradients.steps[:4]) == [0, 1, 2, 3]
    assert history.gradients.steps[-1] == 49


def test_what_recording_costs_is_known_where_there_were_plain_steps_too(case):
    net, x, y = case
    settings = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "epochs": 30, "batch_size": 2}
    history = gw.fit(net, (x, y), **settings)
    assert 0 <= history.recording_seconds < history.seconds
    assert np.isnan(gw.fit(net, (x, y), **settings, stats=True).recording_seconds)
    again = gw.History.from_arrays(*history.to_arrays())
    assert again.recording_seconds == history.recording_seconds


def test_the_record_goes_to_json(case):
    net, x, y = case
    history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=2, stats=True)
    again = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    assert again["gradients"]["error"]["norm"] == history.gradients.norm("error").tolist()
    assert again["gradients"]["gain"]["total"][0][-1] is None


def test_plots_draw_a_line_a_layer(case):
    import matplotlib as mpl

    mpl.use("Agg")
    net, x, y = case
    history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=3, stats=True)
    axes = history.gradients.plot("weight")
    assert len(axes.get_lines()) == 3 and axes.get_yscale() == "log"
    drawn = axes.get_lines()[1].get_ydata()
    np.testing.assert_array_equal(drawn, history.gradients.norm("weight")[:, 1])
    single = gw.gradients(net, x, y, loss="quadratic").plot()
    assert len(single.get_lines()[0].get_xdata()) == 3


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: r.norm("errors"), 'kind is "errors"; needs one of error, weight, bias, activation'),
        (lambda r: r.get("error", "size"), 'quantity is "size"; needs one of count, norm'),
        (lambda r: r.gain("jump"), 'part is "jump"; needs one of total, weight, derivative, norm, skip, branch'),
        (lambda r: r.histogram("error", "9"), "layer is '9'; needs a position or one of 0, 2, 4"),
        (lambda r: r.update("error"), 'kind is "error"; needs one of weight, bias'),
    ],
)
def test_wrong_questions_are_named(case, ask, message):
    net, x, y = case
    record = gw.gradients(net, x, y, loss="quadratic")
    with pytest.raises(ValueError, match=r"^\[record\] ") as raised:
        ask(record)
    assert message in str(raised.value)
