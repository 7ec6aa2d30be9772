"""Optimisers while training: the plain rule step by step, the same bits after a stop, and what they refuse."""

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import reference, schedules

OPTIMIZERS = {
    "sgd": gw.SGD(0.1, weight_decay=0.01, l2=0.02),
    "momentum": gw.SGD(0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": gw.SGD(0.05, momentum=0.9, nesterov=True, l2=0.01),
    "adagrad": gw.Adagrad(0.05, l2=0.01),
    "rmsprop": gw.RMSprop(0.01, momentum=0.5, weight_decay=0.01),
    "adam": gw.Adam(0.01, l2=0.01),
    "adamw": gw.AdamW(0.01),
    "rprop": gw.Rprop(0.01),
    "scheduled": gw.Adam(schedules.WarmUp(schedules.CosineDecay(0.02, steps=30), steps=5)),
    "plateau": gw.SGD(schedules.ReduceOnPlateau(0.3, patience=1, factor=0.5, min_delta=0.05), momentum=0.5),
}


def make(dtype="float64"):
    layers = [gw.Dense(9), gw.BatchNorm(), gw.Tanh(), gw.Dropout(0.2), gw.Residual(gw.Dense(9), scale="rezero")]
    return gw.Network([*layers, gw.Dense(3)], input_shape=5, seed=1, dtype=dtype)


def data(rng, n=60):
    return rng.normal(size=(n, 5)), rng.integers(0, 3, n)


def plain_step(name, optimizer, parameter, gradient, states, t, weight):
    rule = optimizer.rule()
    decay = {"weight_decay": rule.get("weight_decay", 0.0) * weight, "l2": rule.get("l2", 0.0) * weight}
    rate = optimizer.schedule.rates(np.array([t - 1.0]), optimizer.schedule.begin())[0]
    if rule["name"] == "sgd":
        reference.sgd_update(parameter, gradient, rate, **decay)
    elif rule["name"] in ("momentum", "nesterov"):
        more = {"momentum": rule["momentum"], "dampening": rule["dampening"], "nesterov": rule["name"] == "nesterov"}
        reference.momentum_update(parameter, gradient, states[0], rate, **more, **decay)
    elif rule["name"] == "adagrad":
        reference.adagrad_update(parameter, gradient, states[0], rate, epsilon=rule["epsilon"], **decay)
    elif rule["name"] == "rmsprop":
        more = {"rho": rule["decay"], "momentum": rule["momentum"], "epsilon": rule["epsilon"]}
        reference.rmsprop_update(parameter, gradient, *states, rate, **more, **decay)
    elif rule["name"] == "adam":
        reference.adam_update(parameter, gradient, *states, rate, t, epsilon=rule["epsilon"], **decay)
    else:
        reference.rprop_update(parameter, gradient, *states, rate)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "plateau"])
def test_a_fit_is_the_plain_rule_step_by_step(name, rng):
    """The gradients of each step come from a twin; weights decay, biases do not."""
    optimizer, (x, y) = OPTIMIZERS[name], data(rng)
    net = gw.mlp([5, 8, 3], activation="tanh", seed=1, dtype="float64")
    twin = net.copy()
    plain = {key: np.array(view) for key, view in net.parameters.items()}
    states = {key: [np.zeros_like(view), np.zeros_like(view)] for key, view in plain.items()}
    for t in range(1, 7):
        first = (t - 1) * 10
        for key, view in twin.parameters.items():
            view[...] = plain[key]
        gw.gradients(twin, x[first : first + 10], y[first : first + 10], loss="softmax_cross_entropy")
        for key, gradient in twin.gradients.items():
            plain_step(name, optimizer, plain[key], np.array(gradient), states[key], t, key.endswith("weight"))
    settings = {"batch_size": 10, "max_steps": 6, "shuffle": False}
    gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=optimizer, **settings)
    for key, view in net.parameters.items():
        assert_close(view, plain[key], relative=1e-8, floor=1e-3, reason="six steps of a few roundings")


@pytest.mark.parametrize("stop", ["in an epoch", "between epochs", "through a file"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_stop_in_between_changes_no_bit(name, stop, rng, tmp_path):
    x, y = data(rng)
    settings = {"loss": "softmax_cross_entropy", "optimizer": OPTIMIZERS[name], "batch_size": 16, "seed": 4}
    settings["clip"] = gw.auto_clip(60.0)

    def digest(net):
        state = net.snapshot()
        arrays = [*state["parameters"].values(), *state["buffers"].values()]
        arrays += [v for s in state["states"] for v in s.values()]
        return b"".join(a.tobytes() for a in arrays), state["clip_state"], state["training_state"]["schedule"]

    whole = make("float32")
    gw.fit(whole, (x, y), epochs=4, **settings)
    net = make("float32")
    gw.fit(net, (x, y), epochs=4, max_steps=6 if stop == "in an epoch" else 8, **settings)
    if stop == "through a file":
        net.save(tmp_path / "m.safetensors")
        net = gw.load(tmp_path / "m.safetensors")
    gw.fit(net, (x, y), epochs=4, resume=True, **settings)
    assert digest(net) == digest(whole)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "plateau"])  # that needs epochs
def test_an_own_loop_takes_the_steps_of_a_fit(name, rng):
    x, y = data(rng)
    net = gw.mlp([5, 8, 3], activation="tanh", seed=1)
    own = net.copy()
    optimizer = OPTIMIZERS[name]
    settings = {"batch_size": 20, "epochs": 2, "shuffle": False}
    gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=optimizer, **settings)
    for first in [0, 20, 40] * 2:
        outputs = own.forward(x[first : first + 20])
        own.backward(gw.kernels.softmax_cross_entropy(outputs, y[first : first + 20])[1])
        assert optimizer.update(own) is None
    for key, view in own.parameters.items():
        np.testing.assert_allclose(net.parameters[key], view, rtol=2e-5, atol=1e-6)


def test_each_fit_begins_with_fresh_state(rng):
    x, y = data(rng)
    net = make()
    before = net.snapshot()
    settings = {"loss": "softmax_cross_entropy", "optimizer": gw.Adam(0.01), "batch_size": 20}
    gw.fit(net, (x, y), **settings)
    first = {key: np.array(view) for key, view in net.parameters.items()}
    assert net.program.updates == 3
    net.restore(before)
    gw.fit(net, (x, y), **settings)
    for key, view in net.parameters.items():
        np.testing.assert_array_equal(view, first[key])


def test_a_plateau_lowers_the_rate(rng):
    x, y = data(rng)
    net = gw.mlp([5, 3], seed=0)
    plateau = schedules.ReduceOnPlateau(0.1, patience=2, factor=0.5, min_delta=10.0, lowest=0.03)
    gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(plateau), epochs=20, batch_size=60)
    assert net.training_state["schedule"]["rate"] == 0.03


@pytest.mark.parametrize(
    ("make_bad", "message"),
    [
        (lambda: gw.SGD(-0.1), r"\[SGD\] learning_rate is -0.1"),
        (lambda: gw.SGD(0.1, nesterov=True), r"\[SGD\] nesterov is True with momentum 0"),
        (lambda: gw.SGD(0.1, momentum=1.0), r"\[SGD\] momentum is 1.0; needs a number from 0 to below 1"),
        (lambda: gw.Adam(0.1, beta2=1.0), r"\[Adam\] beta2 is 1.0"),
        (lambda: gw.Adam(0.1, epsilon=0.0), r"\[Adam\] epsilon is 0.0"),
        (lambda: gw.RMSprop(True), r"\[RMSprop\] learning_rate is of type bool"),
        (lambda: gw.Adagrad(0.1, l2=np.nan), r"\[Adagrad\] l2 is nan"),
        (lambda: gw.Rprop(schedules.StepDecay(0.1, every=3)), r"\[Rprop\] learning_rate is a schedule"),
        (lambda: schedules.StepDecay(0.1, every=0), r"\[StepDecay\] every is 0"),
        (lambda: schedules.WarmUp("x", steps=3), r"\[WarmUp\] then is of type str"),
        (lambda: schedules.CosineDecay(0.1, steps=3, final=-1), r"\[CosineDecay\] final is -1"),
        (lambda: schedules.ReduceOnPlateau(0.1, factor=2.0), r"\[ReduceOnPlateau\] factor is 2.0"),
    ],
)
def test_bad_settings_are_named(make_bad, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_bad()


def test_what_fit_and_update_refuse(rng):
    x, y = data(rng)
    net = make()
    with pytest.raises(TypeError, match=r"\[fit\] optimizer is of type float"):
        gw.fit(net, (x, y), loss="quadratic", optimizer=0.1)
    gw.fit(net, (x, y), loss="quadratic", optimizer=gw.Adam(0.01), max_steps=1, epochs=3)
    with pytest.raises(ValueError, match=r"\[fit\] resume needs the same optimizer: it was adam and is now sgd"):
        gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(0.1), resume=True)
    plateau = gw.SGD(schedules.ReduceOnPlateau(0.1, metric="validation_loss"))
    with pytest.raises(ValueError, match=r'the schedule follows "validation_loss"; this fit has loss'):
        gw.fit(net, (x, y), loss="quadratic", optimizer=plateau)


@pytest.mark.parametrize("optimizer", [gw.Adam(0.1), gw.SGD(0.1, momentum=0.9), gw.RMSprop(0.1), gw.Rprop(0.1)])
def test_a_gradient_that_is_not_finite_changes_nothing(optimizer, rng):
    x, y = data(rng)
    net = gw.mlp([5, 4, 3], seed=0)
    gw.fit(net, (x, y), loss="quadratic", optimizer=optimizer, batch_size=60)
    before = net.snapshot()
    net.gradients["0.weight"][1, 1] = np.nan
    with pytest.raises(ValueError, match=r"\[update\] the gradient has a NaN"):
        optimizer.update(net)
    after = net.snapshot()
    for kind in ("parameters", "updates"):
        np.testing.assert_equal(after[kind], before[kind])
    np.testing.assert_equal(after["states"], before["states"])


def test_gradients_whose_squares_would_overflow_are_a_fault(rng):
    x = rng.normal(size=(8, 4)).astype(np.float32) * 1e21
    net = gw.mlp([4, 2], seed=0, init="zeros")
    with pytest.raises(gw.NonFiniteError) as raised:
        gw.fit(net, (x, np.ones((8, 2))), loss="quadratic", optimizer=gw.Adam(0.1))
    assert raised.value.phase == "update"
    assert (net.parameters["0.weight"] == 0).all()


def test_what_is_refused_leaves_optimiser_and_state_alone(rng):
    x, y = data(rng)
    net = gw.mlp([5, 4, 3], seed=0)
    settings = {"loss": "softmax_cross_entropy", "optimizer": gw.Adam(0.01), "batch_size": 20}
    gw.fit(net, (x, y), max_steps=2, epochs=2, **settings)
    before = net.snapshot()
    with pytest.raises(TypeError, match="callbacks is of type EarlyStopping"):
        gw.fit(net, (x, y), callbacks=gw.EarlyStopping(), **settings)
    with pytest.raises(FileNotFoundError):
        gw.fit(net, (x, y), callbacks=[gw.Checkpoint("/no/such/folder/m.safetensors")], **settings)
    np.testing.assert_equal(net.snapshot(), before)
    net.gradients["0.weight"][0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        gw.SGD(0.1, momentum=0.9).update(net)
    np.testing.assert_equal(net.snapshot(), before)


class Odd(schedules.Schedule):
    def __init__(self, rates):
        self.given = rates

    def rates(self, steps, state):
        return self.given


@pytest.mark.parametrize("rates", [0.1, [0.1], "x", np.ones((2, 2)), [-1.0] * 3, [np.nan] * 3])
def test_a_schedule_that_gives_no_rates_is_named(rates, rng):
    x, y = data(rng)
    net = gw.mlp([5, 3], seed=0)
    before = net.snapshot()["parameters"]
    with pytest.raises(ValueError, match=r"\[schedule\] rates (gave|has)"):
        gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(Odd(rates)), batch_size=20)
    np.testing.assert_equal(net.snapshot()["parameters"], before)


def test_a_backward_pass_needs_a_forward_pass_of_the_weights_that_are_there():
    net = gw.mlp([5, 3], seed=0)
    net.forward(np.ones((2, 5)))
    net.initialize(1)
    with pytest.raises(ValueError, match="call forward first"):
        net.backward(np.ones((2, 3)))
