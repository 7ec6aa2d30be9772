"""Pre-training in one call: what it sets, what it leaves, and that deep nets learn after it."""

import numpy as np
import pytest

import gradwell as gw


def deep(activation="sigmoid", **settings):
    return gw.mlp([64, *[50] * 4, 10], activation=activation, init="nielsen", seed=0, **settings)


def first_over_last(net, x, y):
    norms = gw.gradients(net, x, y, loss="softmax_cross_entropy").norm("error")[0]
    return norms[0] / norms[-2]


METHODS = {
    "rbm": {"method": "rbm", "epochs": 10, "batch_size": 20},
    "autoencoder": {"method": "autoencoder", "epochs": 10, "batch_size": 20},
    "untied": {"method": "autoencoder", "tied": False, "epochs": 10, "batch_size": 20},
    "supervised": {"method": "supervised", "epochs": 5, "batch_size": 20, "learning_rate": 0.01},
}


@pytest.mark.parametrize("how", METHODS.values(), ids=METHODS.keys())
def test_a_deep_logistic_net_learns_after_it(how):
    x, y = gw.datasets.digits()
    accuracy = {}
    for pretrained in (False, True):
        net = deep()
        ratio = first_over_last(net, x, y)
        last = {name: net.parameters[name].copy() for name in ("8.weight", "8.bias")}
        if pretrained:
            result = gw.pretrain(net, x[:1400], y[:1400] if how["method"] == "supervised" else None, **how)
            assert result.layers == ["0", "2", "4", "6"]
            assert all(losses[-1] < losses[0] for losses in result.losses)
            assert first_over_last(net, x, y) > ratio
            untouched = all((net.parameters[name] == last[name]).all() for name in last)
            assert untouched == (how["method"] != "supervised")
        gw.fit(
            net,
            (x[:1400], y[:1400]),
            loss="softmax_cross_entropy",
            optimizer=gw.SGD(0.1, momentum=0.9),
            batch_size=20,
            epochs=12,
            stats=False,
        )
        accuracy[pretrained] = (net.predict(x[1400:]).argmax(axis=1) == y[1400:]).mean()
    assert accuracy[True] > max(0.75, accuracy[False] + 0.3)


@pytest.mark.parametrize("how", METHODS.values(), ids=METHODS.keys())
def test_it_repeats_to_the_bit_on_any_threads(how):
    x, y = gw.datasets.digits()
    how = {**how, "epochs": 1, "seed": 3}
    y = y[:300] if how["method"] == "supervised" else None
    threads, found = gw.num_threads(), []
    try:
        for count in (1, 2, 2):
            gw.set_num_threads(count)
            net = deep()
            gw.pretrain(net, x[:300], y, **how)
            found.append(b"".join(view.tobytes() for view in net.parameters.values()))
    finally:
        gw.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("tied", [True, False])
def test_autoencoders_take_any_activation_and_any_input(activation, tied):
    x, _ = gw.datasets.digits()
    x = (x[:500] - x.mean(axis=0)) * 2
    net = gw.mlp([64, 30, 20, 10], activation=activation, seed=0)
    result = gw.pretrain(net, x, method="autoencoder", tied=tied, epochs=8, batch_size=20)
    assert all(losses[-1] < 0.95 * losses[0] for losses in result.losses)


def test_tied_gradients_are_those_of_the_loss(rng):
    """One full-batch step of Adam moves each weight against the sign of its gradient, here by differences."""
    x = rng.random((12, 6))
    net = gw.mlp([6, 4, 2], activation="tanh", seed=0, dtype="float64")
    before = net.parameters["0.weight"].copy()

    def loss(weight):
        a = 1 / (1 + np.exp(-(np.tanh(x @ weight) @ weight.T)))
        return -(x * np.log(a) + (1 - x) * np.log(1 - a)).sum(axis=1).mean()

    gw.pretrain(net, x, method="autoencoder", corruption=0.0, epochs=1, batch_size=12, learning_rate=1e-6)
    moved = (net.parameters["0.weight"] - before) / 1e-6
    for i, j in np.ndindex(before.shape):
        up, down = before.copy(), before.copy()
        up[i, j] += 1e-5
        down[i, j] -= 1e-5
        slope = (loss(up) - loss(down)) / 2e-5
        assert moved[i, j] == pytest.approx(-np.sign(slope), abs=1e-3)


def test_real_values_make_the_first_machine_gaussian(rng):
    x, _ = gw.datasets.digits()
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 0.1)
    net = gw.mlp([64, 30, 20, 10], activation="sigmoid", seed=0)
    result = gw.pretrain(net, x, epochs=5, batch_size=20)
    assert [rbm.kind for rbm in result.machines] == ["gaussian", "binary"]
    assert result.losses[0][-1] < result.losses[0][0]
    np.testing.assert_array_equal(net.parameters["2.weight"], result.machines[1].weight)


def test_bad_input_is_named_and_changes_nothing():
    x, _ = gw.datasets.digits()
    net = deep()
    before = [view.copy() for view in net.parameters.values()]
    for arguments, error, message in (
        ({"x": x, "method": "dream"}, ValueError, r"\[pretrain\] method is 'dream'; needs one of rbm, autoencoder"),
        ({"x": x[:, :5]}, ValueError, r"\[pretrain\] x has shape \(1797, 5\); needs \(batch, 64\)"),
        ({"x": x * np.nan}, ValueError, r"\[pretrain\] x has"),
        ({"x": x, "kind": "binary", "k": 0}, ValueError, r"\[fit\] k is 0"),
        ({"x": x, "method": "supervised"}, ValueError, r"\[pretrain\] y is None"),
        ({"x": x, "corruption": 1.0, "method": "autoencoder"}, ValueError, r"\[pretrain\] corruption is 1.0"),
        ({"x": x, "method": "autoencoder", "k": 2}, TypeError, r'\[pretrain\] k is no setting of method "autoencoder"'),
    ):
        with pytest.raises(error, match=message):
            gw.pretrain(net, arguments.pop("x"), **arguments)
    for kept, view in zip(before, net.parameters.values(), strict=True):
        np.testing.assert_array_equal(kept, view)
    for other, message in (
        (gw.mlp([64, 5, 10], activation="tanh"), r'layer 0 has activation tanh; "rbm" needs sigmoid'),
        (gw.mlp([64, 5, 10], normalization="batch"), r"layer 1 is a BatchNorm"),
        (gw.mlp([64, 10]), r"the network has 1 dense layers"),
        (gw.Network([gw.Dense(5, use_bias=False), gw.Sigmoid(), gw.Dense(2)], 64), r"layer 0 has no bias"),
    ):
        with pytest.raises(ValueError, match=rf"\[pretrain\] {message}"):
            gw.pretrain(other, x)
