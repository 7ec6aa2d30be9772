"""Deep belief nets: the bound on the likelihood, the way to a network, samples, files."""

import numpy as np
import pytest

import gradwell as gw
from gradwell import reference


@pytest.fixture(scope="module")
def strokes():
    """20 pixels of the digits, on or off."""
    digits, _ = gw.datasets.digits()
    return (digits[:1000, 16:36] > 0.5).astype(np.float32)


@pytest.mark.parametrize("hidden", [4, 8])
def test_the_bound_does_not_fall_when_a_layer_is_added(hidden, strokes):
    """From transposed weights the second machine starts at the likelihood of the first; training keeps or raises it."""
    dbn = gw.DBN([20, hidden, 20], seed=0)
    settings = {"batch_size": 50, "k": 5, "draws": True, "bound": "exact", "measure": 0}
    first, untrained = dbn.fit(strokes, epochs=[60, 0], learning_rate=[0.1, 0.05], **settings).bounds
    noise = 0.04  # of ten draws for each of 1000 samples
    assert untrained == pytest.approx(first, abs=noise)
    trained = gw.DBN([20, hidden, 20], seed=0)
    again, second = trained.fit(strokes, epochs=[60, 100], learning_rate=[0.1, 0.05], **settings).bounds
    assert again == first
    assert second > first - noise


def test_a_layer_that_learns_how_units_go_together_raises_the_bound(rng):
    """Six units, one of them on: their machine takes them for independent, 6 log 2 nats; the one above needs log 6."""
    dbn = gw.DBN([18, 6, 12], seed=0, init_std=0.1)
    bottom, top = dbn.machines
    bottom.weight[:] = np.kron(np.eye(6), np.full((3, 1), 8.0))
    bottom.visible_bias[:], bottom.hidden_bias[:] = -4.0, -12.0
    states = np.eye(6, dtype=np.float32)[rng.integers(0, 6, 600)]
    v = bottom.visible_given(states)[1]
    first = dbn.lower_bound(v, layers=1, method="exact").mean()
    top.fit(bottom.hidden_given(v)[1], epochs=300, batch_size=50, learning_rate=0.1, k=3, measure=0)
    second = dbn.lower_bound(v, method="exact").mean()
    assert second == pytest.approx(first + 6 * np.log(2) - np.log(6), abs=0.4)


def test_the_bound_is_below_the_likelihood(rng):
    """By enumeration of both hidden layers."""
    dbn = gw.DBN([5, 4, 3], seed=1, init_std=0.8, dtype="float64")
    for rbm in dbn.machines:
        rbm.visible_bias[:], rbm.hidden_bias[:] = rng.normal(size=rbm.visible), rng.normal(size=rbm.hidden)
    bottom, top = dbn.machines
    v, h = reference.boltzmann_states(5), reference.boltzmann_states(4)
    log_h = top.log_likelihood(h, top.log_partition("exact"))
    mean = reference.boltzmann_conditional(h, bottom.weight, bottom.visible_bias, transposed=True, draw=False)[0]
    log_v = v @ np.log(mean).T + (1 - v) @ np.log(1 - mean).T
    likelihood = np.log(np.exp(log_v + log_h).sum(axis=1))
    assert np.exp(likelihood).sum() == pytest.approx(1, abs=1e-10)
    q = bottom.transform(v)
    weights = np.exp(np.log(q) @ h.T + np.log(1 - q) @ (1 - h).T)
    entropy = -(q * np.log(q) + (1 - q) * np.log(1 - q)).sum(axis=1)
    exact = (weights * (log_v + log_h)).sum(axis=1) + entropy
    assert (exact <= likelihood + 1e-12).all()
    found = dbn.lower_bound(v, method="exact", draws=4000)
    np.testing.assert_allclose(found, exact, atol=0.15)


def test_one_layer_s_bound_is_the_likelihood(strokes):
    dbn = gw.DBN([20, 10], seed=0)
    dbn.fit(strokes, epochs=3, learning_rate=0.1, measure=0)
    rbm = dbn.machines[0]
    wanted = rbm.log_likelihood(strokes, rbm.log_partition("exact"))
    np.testing.assert_array_equal(dbn.lower_bound(strokes, method="exact"), wanted)


def test_the_network_goes_the_same_way_up(strokes):
    dbn = gw.DBN([20, 15, 10], seed=0)
    dbn.fit(strokes, epochs=[2, 3], learning_rate=[0.1, 0.05], measure=0)
    net = dbn.to_network(4, seed=0)
    weight, bias = net.parameters["4.weight"], net.parameters["4.bias"]
    np.testing.assert_allclose(net.predict(strokes), dbn.transform(strokes) @ weight + bias, atol=1e-5)
    assert dbn.transform(strokes, 1).shape == (1000, 15)
    assert dbn.reconstruct(strokes).shape == strokes.shape


def test_samples_look_like_what_was_learned(strokes):
    """The means of pixels, and of pairs of neighbours, are near those of the data."""
    dbn = gw.DBN([20, 30, 30], seed=0)
    dbn.fit(strokes, epochs=[100, 40], batch_size=50, learning_rate=0.1, measure=0)
    drawn = dbn.sample(1000, steps=100, mean=False)
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    assert np.abs(drawn.mean(axis=0) - strokes.mean(axis=0)).mean() < 0.08
    pairs = [(a[:, 1:] * a[:, :-1]).mean(axis=0) for a in (drawn, strokes)]
    assert np.corrcoef(*pairs)[0, 1] > 0.9
    np.testing.assert_array_equal(drawn, dbn.sample(1000, steps=100, mean=False))
    assert dbn.sample(3, steps=5, start=strokes[:3]).shape == (3, 20)


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_a_file_holds_all_of_it(kind, strokes, tmp_path):
    dbn = gw.DBN([20, 15, 10], kind, seed=0)
    dbn.fit(strokes, epochs=1, learning_rate=0.01, measure=0)
    dbn.save(tmp_path / "net.safetensors")
    loaded = gw.DBN.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(loaded.transform(strokes), dbn.transform(strokes))
    np.testing.assert_array_equal(loaded.sample(3, steps=3), dbn.sample(3, steps=3))
    with pytest.raises(ValueError, match=r"\[load\] .*holds no RBM"):
        gw.RBM.load(tmp_path / "net.safetensors")


def test_bad_input_is_named(strokes):
    with pytest.raises(ValueError, match=r"\[dbn\] sizes has 1 numbers"):
        gw.DBN([20])
    dbn = gw.DBN([20, 10, 5], seed=0)
    with pytest.raises(ValueError, match=r"\[fit\] epochs has 3 numbers; needs 2"):
        dbn.fit(strokes, epochs=[1, 2, 3])
    with pytest.raises(ValueError, match=r"\[fit\] x has values from 0 to 2; binary units need 0 to 1"):
        dbn.fit(strokes * 2)
    with pytest.raises(TypeError, match=r"\[fit\] resume is no setting of a deep belief net"):
        dbn.fit(strokes, resume=True)
    with pytest.raises(ValueError, match=r"\[transform\] layers is 3; needs at most 2"):
        dbn.transform(strokes, 3)
