"""`fit` against a loop in plain NumPy, and what it reports."""

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import reference


def plain_fit(net, x, y, loss, rate, decay, batch, epochs, seed, activation):
    """The same training by the oracle, in float64; returns parameters and step losses."""
    p = {name: view.astype(np.float64) for name, view in net.parameters.items()}
    names = [stage[0] for stage in net.program.stages]
    losses = []
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            values, zs = [x[rows].astype(np.float64)], []
            for i, name in enumerate(names):
                zs.append(reference.dense_forward(values[-1], p[f"{name}.weight"], p[f"{name}.bias"]))
                last = i == len(names) - 1
                values.append(zs[-1] if last else reference.activation_forward(zs[-1], activation))
            cost, dy = getattr(reference, loss)(values[-1], y[rows])
            losses.append(cost)
            for i in reversed(range(len(names))):
                kind = "identity" if i == len(names) - 1 else activation
                dy, dweight, dbias = reference.dense_backward(dy, values[i], p[f"{names[i]}.weight"], kind, z=zs[i])
                p[f"{names[i]}.weight"] = p[f"{names[i]}.weight"] * (1 - rate * decay) - rate * dweight
                p[f"{names[i]}.bias"] = p[f"{names[i]}.bias"] - rate * dbias
    return p, losses


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "gelu"])
@pytest.mark.parametrize("loss", gw.kernels.LOSSES)
def test_weights_after_two_epochs_match_plain_numpy(activation, loss, rng):
    x, y = rng.normal(size=(53, 7)), rng.integers(0, 4, 53)
    net = gw.mlp([7, 9, 6, 4], activation=activation, bias_init="normal", seed=2, dtype="float64")
    expected, losses = plain_fit(net, x, y, loss, 0.05, 0.01, 10, 2, 5, activation)
    history = gw.fit(net, (x, y), loss=loss, optimizer=gw.SGD(0.05, weight_decay=0.01), batch_size=10, epochs=2, seed=5)
    assert_close(history.step_loss, np.array(losses), relative=1e-11, reason="twelve steps of rounding")
    for name, view in net.parameters.items():
        assert_close(view, expected[name], relative=1e-9, floor=1e-3, reason="twelve steps of rounding")


def test_history_says_what_happened(rng):
    x, y = rng.normal(size=(25, 3)), rng.integers(0, 2, 25)
    net = gw.mlp([3, 4, 2], seed=0)
    history = gw.fit(
        net,
        (x, y),
        loss="softmax_cross_entropy",
        optimizer=gw.SGD(0.1),
        batch_size=10,
        epochs=3,
        validation=(x[:7], y[:7]),
    )
    assert history.epochs == 3 and history.step_loss.shape == (9,) and history.stopped == "finished"
    weights = np.array([10, 10, 5])
    by_epoch = history.step_loss.reshape(3, 3) @ weights / 25
    assert_close(history.loss, by_epoch, relative=1e-12, reason="a mean of three numbers")
    assert set(history.metrics) == {"accuracy", "validation_loss", "validation_accuracy"}
    right = np.mean(net.predict(x[:7]).argmax(axis=1) == y[:7])
    assert history.metrics["validation_accuracy"][-1] == right


def test_a_regression_has_no_accuracy(rng):
    x = rng.normal(size=(40, 3))
    net = gw.mlp([3, 8, 1], seed=0)
    history = gw.fit(net, (x, x.sum(axis=1)), loss="mean_squared_error", optimizer=gw.SGD(0.05), epochs=200)
    assert history.metrics == {}
    assert history.loss[-1] < 0.05 * history.loss[0]


def test_one_logistic_output_learns_two_classes(rng):
    x = rng.normal(size=(60, 2))
    y = (x[:, 0] > 0).astype(int)
    net = gw.mlp([2, 6, 1], seed=0)
    history = gw.fit(net, (x, y), loss="sigmoid_cross_entropy", optimizer=gw.SGD(0.5), batch_size=10, epochs=50)
    assert history.metrics["accuracy"][-1] > 0.95


def test_a_loop_of_ones_own_does_what_fit_does(rng):
    x, y = rng.normal(size=(20, 5)).astype(np.float32), rng.integers(0, 3, 20)
    ours, theirs = (gw.mlp([5, 6, 3], seed=4) for _ in range(2))
    optimizer = gw.SGD(0.2, weight_decay=0.01, l2=0.02)
    gw.fit(ours, (x, y), loss="softmax_cross_entropy", optimizer=optimizer, batch_size=4, epochs=1, shuffle=False)
    for start in range(0, 20, 4):
        rows = slice(start, start + 4)
        _, dy = gw.kernels.softmax_cross_entropy(theirs.forward(x[rows]), y[rows])
        theirs.backward(dy)
        optimizer.update(theirs)
    for name, view in ours.parameters.items():
        np.testing.assert_array_equal(view, theirs.parameters[name])


def test_backward_gives_the_gradient_by_the_input(rng):
    net = gw.mlp([4, 5, 3], activation="silu", seed=1, dtype="float64")
    x, dy = rng.normal(size=(6, 4)), rng.normal(size=(6, 3))
    net.forward(x)
    dx = net.backward(dy)
    h = 1e-6
    for column in range(4):
        step = np.zeros(4)
        step[column] = h
        numeric = ((net.predict(x + step) - net.predict(x - step)) * dy).sum(axis=1) / (2 * h)
        assert_close(dx[:, column], numeric, relative=1e-6, floor=1e-2, reason="a central difference of step 1e-6")


def test_batches_of_every_size_reuse_the_arena(rng):
    net = gw.mlp([3, 17, 2], seed=0, dtype="float64")
    x = rng.normal(size=(70, 3))
    whole = net.predict(x)
    for size in (1, 2, 13, 64, 69, 70):
        np.testing.assert_array_equal(net.predict(x, batch_size=size), whole)


def test_samples_of_several_dimensions_are_flattened(rng):
    x = rng.normal(size=(10, 4, 3))
    net = gw.Network([gw.Dense(2)], input_shape=(4, 3), seed=0, dtype="float64")
    np.testing.assert_array_equal(net.predict(x), net.predict(x.reshape(10, 12)))


@pytest.mark.parametrize("layout", ["reversed", "strided", "fortran", "read_only"])
def test_data_of_any_layout_trains_alike(layout, rng):
    plain = rng.normal(size=(30, 6)).astype(np.float32)
    wide = np.zeros((60, 12), np.float32)
    wide[::2, ::2] = plain
    frozen = plain.copy()
    frozen.flags.writeable = False
    layouts = {
        "reversed": plain[::-1].copy()[::-1],
        "strided": wide[::2, ::2],
        "fortran": np.asfortranarray(plain),
        "read_only": frozen,
    }
    y = rng.integers(0, 2, 30)
    nets = [gw.mlp([6, 5, 2], seed=0) for _ in range(2)]
    for net, data in zip(nets, (plain, layouts[layout]), strict=True):
        gw.fit(net, (data, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=2)
    for name, view in nets[0].parameters.items():
        np.testing.assert_array_equal(view, nets[1].parameters[name])


@pytest.mark.parametrize(
    ("loss", "y"), [("sigmoid_cross_entropy", [[3.0, 0.5]]), ("softmax_cross_entropy", [[-3.0, 4.0]])]
)
def test_targets_that_are_no_shares_are_refused(loss, y):
    net = gw.mlp([1, 2], seed=0)
    with pytest.raises(ValueError, match=rf"^\[fit\] y has values .*{loss} needs"):
        gw.fit(net, ([[1.0]], y), loss=loss, optimizer=gw.SGD(0.1))
