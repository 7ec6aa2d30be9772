"""Penalties, constraints and normalisation while training."""

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw


def data(rng):
    return rng.normal(size=(50, 6)), rng.integers(0, 3, 50)


@pytest.mark.parametrize("optimizer", [gw.SGD(0.1), gw.Adam(0.1), gw.SGD(0.1, momentum=0.5)], ids=lambda o: o.name)
def test_a_penalty_is_part_of_the_gradient(optimizer, rng):
    """Three ways to the same step: the layers' penalties, and their gradient put in by hand."""
    x, y = data(rng)
    elastic, on_bias = gw.L1L2(l1=0.02, l2=0.3), gw.L2(0.2)
    layer = gw.Dense(3, bias_init="normal", kernel_regularizer=elastic, bias_regularizer=on_bias)
    net = gw.Network([layer], input_shape=6, seed=0, dtype="float64")
    by_hand = gw.Network([gw.Dense(3)], input_shape=6, seed=0, dtype="float64")
    by_hand.parameters["0.weight"][...] = net.parameters["0.weight"]
    by_hand.parameters["0.bias"][...] = net.parameters["0.bias"]
    w, b = (np.array(net.parameters[f"0.{kind}"]) for kind in ("weight", "bias"))
    expected = 0.02 * np.abs(w).sum() + 0.15 * (w**2).sum() + 0.1 * (b**2).sum()
    assert net.regularization_loss() == pytest.approx(expected, rel=1e-12)
    for _ in range(4):
        gw.gradients(by_hand, x, y, loss="softmax_cross_entropy")
        w, b = by_hand.parameters["0.weight"], by_hand.parameters["0.bias"]
        by_hand.gradients["0.weight"][...] += 0.02 * np.sign(w) + 0.3 * w
        by_hand.gradients["0.bias"][...] += 0.2 * b
        optimizer.update(by_hand)
    history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=optimizer, batch_size=50, epochs=4)
    for key, view in net.parameters.items():
        assert_close(view, by_hand.parameters[key], relative=1e-9, floor=1e-3, reason="four steps of a few roundings")
    assert history.regularization[-1] == net.regularization_loss()
    assert len(history.regularization) == 4
    assert "regularization" not in history.metrics


def test_the_recorded_step_of_a_penalised_layer_is_the_same(rng):
    x, y = data(rng)
    found = set()
    for stats in (False, True):
        net = gw.mlp([6, 20, 3], seed=0, kernel_regularizer=gw.L1(0.01), bias_regularizer=gw.L2(0.1))
        gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=5, batch_size=10, stats=stats)
        found.add(b"".join(view.tobytes() for view in net.parameters.values()))
    assert len(found) == 1


def test_l1_makes_weights_small(rng):
    x, y = data(rng)
    sizes = []
    for penalty in (None, gw.L1(0.05)):
        net = gw.mlp([6, 20, 3], seed=0, kernel_regularizer=penalty)
        gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=100, batch_size=50)
        sizes.append(np.abs(net.parameters["0.weight"]).mean())
    assert sizes[1] < 0.5 * sizes[0]


@pytest.mark.parametrize("optimizer", [gw.SGD(1.0), gw.Adam(0.5)], ids=lambda o: o.name)
def test_constraints_hold_after_every_step(optimizer, rng):
    x, y = data(rng)
    for constraint in (gw.MaxNorm(0.5), gw.ClipWeights(0.1)):
        net = gw.mlp([6, 20, 3], seed=0, kernel_constraint=constraint)
        gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=optimizer, batch_size=10)
        weight = net.parameters["0.weight"]
        if constraint.kind == "clip":
            assert np.abs(weight).max() == np.float32(0.1)
        else:
            norms = np.linalg.norm(weight.astype(np.float64), axis=0)
            assert 0.49 < norms.max() <= 0.5 * (1 + 1e-6)


def test_running_moments_are_those_of_the_definition(rng):
    x, y = rng.normal(size=(30, 4)) * 3 + 2, rng.integers(0, 2, 30)
    net = gw.Network([gw.BatchNorm(momentum=0.75), gw.Dense(2)], input_shape=4, seed=0, dtype="float64")
    mean, variance = np.zeros(4), np.ones(4)
    for first in range(0, 30, 10):
        batch = x[first : first + 10]
        mean = 0.75 * mean + 0.25 * batch.mean(axis=0)
        variance = 0.75 * variance + 0.25 * batch.var(axis=0, ddof=1)  # the population's, from a batch of ten
    gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(0.1), batch_size=10, shuffle=False)
    assert_close(net.buffers["0.running_mean"], mean, relative=1e-12, reason="three weighted sums")
    assert_close(net.buffers["0.running_variance"], variance, relative=1e-12, reason="three weighted sums")
    before = net.snapshot()["buffers"]
    gw.gradients(net, x, y, loss="quadratic")
    net.predict(x)
    net.forward(x, training=False)
    np.testing.assert_equal(net.snapshot()["buffers"], before)
    net.forward(x)
    assert not np.array_equal(net.buffers["0.running_mean"], before["0.running_mean"])


@pytest.mark.parametrize(
    ("samples", "batch", "message"), [(31, 10, "a last batch of 1 of 31"), (30, 1, "batch_size is 1")]
)
def test_a_batch_of_one_is_refused_before_anything_moves(samples, batch, message, rng):
    net = gw.Network([gw.Dense(3), gw.Residual(gw.BatchNorm()), gw.Dense(2)], input_shape=4, seed=0)
    before = net.snapshot()
    x, y = rng.normal(size=(samples, 4)), rng.integers(0, 2, samples)
    with pytest.raises(ValueError, match=rf"\[fit\] .*{message}.* batch normalisation needs at least 2"):
        gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(0.1), batch_size=batch)
    with pytest.raises(ValueError, match=r"\[batchnorm\] the batch has 1 row; training needs at least 2"):
        net.forward(x[:1])
    with pytest.raises(ValueError, match=r"\[batchnorm\] the batch has 1 row"):
        gw.gradients(net, x[:1], y[:1], loss="quadratic")
    assert net.predict(x[:1]).shape == (1, 2)
    after = net.snapshot()
    np.testing.assert_equal(after["buffers"], before["buffers"])
    np.testing.assert_equal(after["parameters"], before["parameters"])


def test_a_fault_leaves_running_moments_alone(rng):
    x, y = rng.normal(size=(20, 4)), np.ones((20, 2))
    y[13] = 3e38
    net = gw.Network([gw.BatchNorm(), gw.Dense(2)], input_shape=4, seed=0)
    settings = {"loss": "quadratic", "optimizer": gw.SGD(1e3), "batch_size": 10, "shuffle": False}
    with pytest.raises(gw.NonFiniteError):
        gw.fit(net, (x, y), **settings)
    once = gw.Network([gw.BatchNorm(), gw.Dense(2)], input_shape=4, seed=0)
    gw.fit(once, (x, y), max_steps=1, **settings)
    np.testing.assert_equal(net.snapshot()["buffers"], once.snapshot()["buffers"])


def test_dropout_draws_anew_at_each_step_and_not_in_prediction(rng):
    net = gw.Network([gw.Dropout(0.5)], input_shape=200, seed=0)
    ones = np.ones((3, 200))
    first, second = net.forward(ones), net.forward(ones)
    assert 0.3 < (first == 0).mean() < 0.7
    assert not np.array_equal(first, second)
    assert not np.array_equal(net.forward(ones, seed=5), first)
    np.testing.assert_array_equal(net.predict(ones), ones)
    np.testing.assert_array_equal(net.forward(ones, training=False), ones)


def test_early_stopping_puts_the_whole_state_back(rng):
    x, y = data(rng)
    net = gw.mlp([6, 20, 3], seed=0, normalization="batch")
    stopping = gw.EarlyStopping("validation_loss", patience=3, restore_best=True)
    settings = {
        "loss": "softmax_cross_entropy",
        "optimizer": gw.Adam(0.05),
        "batch_size": 10,
        "validation": (x, y[::-1]),
    }
    history = gw.fit(net, (x, y), epochs=200, callbacks=[stopping], **settings)
    best = int(np.argmin(history.metrics["validation_loss"])) + 1
    assert best < history.epochs
    assert net.training_state["step"] == 5 * best
    direct = gw.mlp([6, 20, 3], seed=0, normalization="batch")
    gw.fit(direct, (x, y), epochs=best, **settings)
    np.testing.assert_equal(net.snapshot(), direct.snapshot())
