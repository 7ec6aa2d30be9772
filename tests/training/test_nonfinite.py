"""A NaN or an infinity stops the update and is named by the operation that made it."""

import contextlib

import numpy as np
import pytest

import gradwell as gw


def case(dtype="float32"):
    rng = np.random.default_rng(0)
    net = gw.mlp([5, 6, 6, 3], activation="relu", seed=0, dtype=dtype)
    return net, rng.normal(size=(24, 5)), rng.integers(0, 3, 24)


def run(net, x, y, loss="softmax_cross_entropy", rate=0.1, **options):
    return gw.fit(net, (x, y), loss=loss, optimizer=gw.SGD(rate), batch_size=8, epochs=2, **options)


def frozen(net):
    return {name: view.copy() for name, view in net.parameters.items()}


def assert_unchanged(net, before):
    for name, view in net.parameters.items():
        np.testing.assert_array_equal(view, before[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["0.weight", "2.weight", "2.bias", "4.weight"])
def test_a_bad_parameter_is_found_in_its_layer(name, value):
    net, x, y = case()
    net.parameters[name].flat[0] = value
    before = frozen(net)
    with pytest.raises(gw.NonFiniteError) as raised:
        run(net, x, y)
    error = raised.value
    assert (error.phase, error.layer, error.operation) == ("forward", name[0], "dense_forward")
    bad = error.values[name.split(".")[1]]
    assert bad["nans"] + bad["infs"] == 1
    assert error.step == 0 and "update was not applied" in str(error)
    assert_unchanged(net, before)


def test_overflow_in_the_forward_pass():
    net, x, y = case()
    net.parameters["2.weight"][...] = 3e38
    before = frozen(net)
    with pytest.raises(gw.NonFiniteError) as raised:
        run(net, x, y)
    assert (raised.value.phase, raised.value.layer) == ("forward", "2")
    assert raised.value.values["weight"]["infs"] == 0 < raised.value.values["output"]["infs"]
    assert_unchanged(net, before)


def test_overflow_in_the_loss():
    net, x, _ = case("float64")
    with pytest.raises(gw.NonFiniteError) as raised:
        run(net, x, np.full((24, 3), 1e200), loss="mean_squared_error")
    assert (raised.value.phase, raised.value.operation) == ("loss", "loss")


def test_overflow_in_the_backward_pass():
    # The hidden units are active but tiny, so the loss is finite; dC/dx of the last layer is not.
    net = gw.Network([gw.Dense(2), gw.ReLU(), gw.Dense(2)], 2, seed=0)
    net.parameters["0.weight"][...] = 1e-30
    net.parameters["2.weight"][...] = 3e38
    net.parameters["2.weight"][:, 1] = 2e38
    before = frozen(net)
    with pytest.raises(gw.NonFiniteError) as raised:
        run(net, np.ones((8, 2)), np.full((8, 2), -1e6), loss="quadratic")
    assert raised.value.phase == "backward" and raised.value.layer in ("0", "2")
    assert_unchanged(net, before)


def test_overflow_in_the_update():
    net, x, y = case()
    before = frozen(net)
    with pytest.raises(gw.NonFiniteError) as raised:
        run(net, x, y, rate=1e39)
    assert (raised.value.phase, raised.value.operation) == ("update", "sgd_update")
    assert_unchanged(net, before)


@pytest.mark.parametrize("settings", [{"weight_decay": 1e30}, {"l2": 1e300}, {}], ids=str)
def test_overflow_by_decay_or_by_a_rate_beyond_the_format(settings):
    net, x, y = case()
    before = frozen(net)
    rate = 1e30 if settings else 1e300
    with pytest.raises(gw.NonFiniteError) as raised:
        gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(rate, **settings), batch_size=8)
    assert raised.value.phase == "update" and "overflow" not in raised.value.operation
    assert_unchanged(net, before)


def test_many_large_steps_stop_before_the_format_ends():
    net = gw.mlp([1, 1], seed=0)

    def steps(count):
        for _ in range(count):
            net.forward([[1.0]])
            net.backward([[-8e37]])
            gw.SGD(1.0).update(net)

    with pytest.raises(ValueError, match="would overflow; no parameter was changed"):
        steps(9)
    assert np.isfinite(net.parameters["0.bias"]).all()


def test_divergence_ends_in_the_error_not_in_nan_weights():
    net, x, y = case()
    with pytest.raises(gw.NonFiniteError) as raised:
        run(net, x * 100, np.eye(3)[y], loss="quadratic", rate=1e3)
    assert all(np.isfinite(view).all() for view in net.parameters.values())
    history = raised.value.history
    assert len(history.step_loss) == raised.value.step > 0


def test_stop_ends_the_fit_and_says_why():
    net, x, y = case()
    net.parameters["2.weight"][0, 0] = np.nan
    history = run(net, x, y, nonfinite="stop")
    assert "operation dense_forward" in history.stopped and len(history.step_loss) == 0


def test_skip_leaves_out_only_the_bad_step():
    net, x, y = case("float64")
    x[9] = 1e200  # finite, but its squares are not: the second batch of eight overflows
    good = [0, 2]
    history = run(net, x, np.eye(3)[y], loss="quadratic", nonfinite="skip", shuffle=False)
    assert history.skipped == [1, 4] and len(history.step_loss) == 4
    twin = case("float64")[0]
    for step in good + good:
        rows = slice(step * 8, step * 8 + 8)
        _, dy = gw.kernels.quadratic(twin.forward(x[rows]), np.eye(3)[y[rows]])
        twin.backward(dy)
        gw.SGD(0.1).update(twin)
    assert_unchanged(net, dict(twin.parameters))


def test_the_record_survives_the_nan_it_should_report():
    net, x, y = case()
    net.parameters["2.bias"][0] = np.nan
    with pytest.raises(gw.NonFiniteError) as raised:
        run(net, x, y, stats=True)
    record = raised.value.history.gradients
    assert record.steps.tolist() == [0]
    assert record.nans("activation")[0].tolist() == [0, 8, 24]
    norms = record.norm("activation")[0]
    assert np.isfinite(norms[:2]).all(), "norms run over the finite elements"
    assert np.isnan(norms[2]), "and are not measured where there is none"


def test_update_by_hand_refuses_and_changes_nothing():
    net, x, _ = case()
    net.forward(x)
    net.backward(np.full((24, 3), np.inf))
    before = frozen(net)
    with pytest.raises(ValueError, match=r"^\[update\] the gradient has a NaN or an infinity"):
        gw.SGD(0.1).update(net)
    assert_unchanged(net, before)


@pytest.mark.parametrize("optimizer", [gw.SGD(1e-30), gw.SGD(1e-30, momentum=0.9), gw.Adam(1e-30)], ids=repr)
@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus", "elu", "identity"])
@pytest.mark.parametrize("depth", [2, 5])
@pytest.mark.parametrize("rows", [8, 70])
def test_a_nan_born_on_the_way_back_below_a_finite_gradient_changes_no_weight(optimizer, activation, depth, rows):
    net = gw.mlp([4, *[8] * depth, 1], activation=activation, seed=0)
    net.parameters[f"{2 * depth}.weight"][...] = 1e30
    x = np.random.default_rng(0).normal(size=(rows, 4)) * 100
    before = {name: np.array(values) for name, values in net.parameters.items()}
    settings = {"loss": "mean_squared_error", "optimizer": optimizer, "max_steps": 1, "batch_size": rows}
    with pytest.raises(gw.NonFiniteError):
        gw.fit(net, (x, np.zeros(rows)), progress=False, **settings)
    for name, values in net.parameters.items():
        np.testing.assert_array_equal(values, before[name])


def test_divergence_of_a_regression_leaves_finite_weights():
    x, _ = gw.datasets.digits()
    for rate in (0.03, 0.1, 0.3, 1.0):
        for seed in range(3):
            net = gw.mlp([64, 30, 30, 1], seed=seed)
            with contextlib.suppress(gw.NonFiniteError):
                gw.fit(
                    net, (x / x.std(), np.zeros(len(x))), loss="mean_squared_error", optimizer=gw.SGD(rate), epochs=3
                )
            assert all(np.isfinite(values).all() for values in net.parameters.values())
