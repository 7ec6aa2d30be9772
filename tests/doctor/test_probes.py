"""A look beyond the record: noise, rank, curvature and shattering, against networks where each is known."""

import numpy as np
import pytest

import gradwell as gw
from gradwell.doctor.probes.batches import agreement
from gradwell.doctor.probes.curvature import sharpness
from gradwell.doctor.probes.representations import representations
from gradwell.doctor.probes.shattering import resemblance

CE = "softmax_cross_entropy"
X, Y = gw.datasets.digits()
X = (X / X.std()).astype(np.float32)


def linear(dtype="float64"):
    return gw.Network([gw.Dense(1)], 5, seed=0, dtype=dtype)


def regression(rows=600, noise=0.0):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 5))
    return x, (x @ [1.0, 2.0, -1.0, 0.5, 0.0] + noise * rng.normal(size=rows))[:, None]


def plain(depth, size, activation="tanh", width=64):
    init = gw.initializers.Normal(std=size / width**0.5)
    return gw.mlp([64, *[width] * depth, 10], activation=activation, init=init, seed=0)


@pytest.mark.parametrize(("dtype", "near"), [("float64", 1e-3), ("float32", 2e-2)])
def test_sharpness_of_least_squares_is_that_of_its_hessian(dtype, near):
    x, y = regression()
    x[:, 0] *= 2  # so that one eigenvalue stands out
    net = linear(dtype)
    wide = np.column_stack([x, np.ones(len(x))])
    top = np.linalg.eigvalsh(2 * wide.T @ wide / len(x))[-1]
    before = {name: np.array(values) for name, values in net.parameters.items()}
    assert sharpness(net, x.astype(dtype), y.astype(dtype), "mean_squared_error", 0) == pytest.approx(top, rel=near)
    for name, values in net.parameters.items():
        np.testing.assert_array_equal(values, before[name])


def test_sharpness_of_a_deep_net_is_that_of_differences_of_all_gradients():
    net = gw.mlp([3, 4, 4, 2], activation="tanh", seed=0, dtype="float64")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)

    def gradient():
        gw.gradients(net, x, y, loss=CE)
        return np.concatenate([np.array(g).ravel() for g in net.gradients.values()])

    rows = []
    for view in net.parameters.values():
        for i in range(view.size):
            value = view.flat[i]
            view.flat[i] = value + 1e-6
            ahead = gradient()
            view.flat[i] = value - 1e-6
            rows.append((ahead - gradient()) / 2e-6)
            view.flat[i] = value
    eigenvalues = np.linalg.eigvalsh((np.array(rows) + np.array(rows).T) / 2)
    largest = eigenvalues[np.argmax(np.abs(eigenvalues))]
    assert sharpness(net, x, y, CE, 0) == pytest.approx(largest, rel=0.02)


def test_noise_scale_is_that_of_gradients_sample_by_sample():
    x, y = regression(20_000, noise=3.0)
    net = linear()
    for view in net.parameters.values():
        view[...] = 0
    each = -2 * y * np.column_stack([x, np.ones(len(x))])  # of one sample, at weights of 0
    exact = np.trace(np.cov(each.T)) / (each.mean(0) ** 2).sum()
    found = [agreement(net, x, y, "mean_squared_error", 50, seed).noise_scale for seed in range(20)]
    assert np.median(found) == pytest.approx(exact, rel=0.2)


def test_batches_that_are_alike_agree_and_pure_noise_does_not():
    x, y = np.tile(X[:4], (20, 1)), np.tile(Y[:4], 20)
    net = gw.mlp([64, 30, 10], activation="tanh", seed=0)
    order = np.arange(80)
    same = agreement(net, x[order], y[order], CE, 4, 0)
    assert agreement(net, X[:6], Y[:6], CE, 4, 0) is None
    rng = np.random.default_rng(0)
    noise = agreement(net, rng.normal(size=(400, 64)).astype(np.float32), rng.integers(0, 10, 400), CE, 4, 0)
    assert same.noise_scale < noise.noise_scale
    identical = agreement(net, np.tile(X[:1], (40, 1)), np.tile(Y[:1], 40), CE, 4, 0)
    assert identical.noise_scale == pytest.approx(0, abs=1e-6)
    assert min(identical.cosine.values()) == pytest.approx(1)


def test_gradients_of_neighbours_resemble_where_the_net_is_smooth():
    assert resemblance(gw.Network([gw.Dense(10)], 64, seed=0), X, 0) == pytest.approx(1)
    shallow, deep = (
        resemblance(gw.mlp([64, *[64] * n, 10], activation="relu", init="he", seed=0), X, 0) for n in (2, 60)
    )
    assert shallow > 0.95
    assert deep < 0.9
    assert resemblance(plain(30, 3.0), X, 0) < 0.2
    residual = [gw.Residual(gw.Dense(64), gw.ReLU(), scale=0.2) for _ in range(60)]
    assert resemblance(gw.Network([*residual, gw.Dense(10)], 64, seed=0), X, 0) > 0.9
    assert resemblance(gw.Network([gw.Dense(8), gw.BatchNorm(), gw.Dense(10)], 64, seed=0), X, 0) is None


def test_representations_keep_or_lose_what_tells_samples_apart():
    orthogonal = gw.Network([gw.Dense(64, init="orthogonal") for _ in range(9)], 64, seed=0)
    found = representations(orthogonal, X)
    np.testing.assert_allclose(found.spread, found.spread[0], rtol=1e-4)
    np.testing.assert_allclose(found.rank, found.rank[0], rtol=1e-3)
    assert found.layers[0] == "input"
    by_hand = X[:256] - X[:256].mean(0)
    eigenvalues = np.linalg.eigvalsh(by_hand.T @ by_hand)
    assert found.rank[0] == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-4)
    ordered = representations(gw.mlp([64, *[30] * 8, 10], activation="sigmoid", init="nielsen", seed=0), X)
    assert ordered.spread[-1] < 1e-6 < ordered.spread[0]
    blocks = gw.Network(
        [gw.Dense(32, name="first"), gw.Residual(gw.Dense(32), gw.BatchNorm(), gw.ReLU()), gw.Dense(10)], 64
    )
    assert np.isfinite(representations(blocks, X).spread).all()


def test_a_network_is_as_it_was():
    net = gw.Network([gw.Dense(30), gw.BatchNorm(), gw.ReLU(), gw.Dropout(0.2), gw.Dense(10)], 64, seed=0)
    gw.fit(net, (X, Y), loss=CE, optimizer=gw.SGD(0.1, momentum=0.9), max_steps=5, progress=False)
    before = net.snapshot()
    gw.doctor.probe(net, X, Y, loss=CE)
    after = net.snapshot()
    assert before["passes"] == after["passes"]
    for part in ("parameters", "buffers"):
        for name, value in before[part].items():
            np.testing.assert_array_equal(value, after[part][name])


@pytest.mark.parametrize(
    ("make", "illness", "factor"),
    [
        (lambda: plain(30, 3.0), "shattered_gradient", "weight"),
        (lambda: gw.mlp([64, *[30] * 8, 10], activation="sigmoid", init="nielsen", seed=0), "rank_collapse", "weight"),
        (lambda: gw.mlp([64, *[64] * 60, 10], activation="relu", init="he", seed=0), "rank_collapse", "weight"),
        (lambda: plain(30, 3.0), "noisy_gradient", "data"),
    ],
)
def test_one_look_finds_it(make, illness, factor):
    diagnosis = gw.diagnose(make(), X, Y, loss=CE)
    assert diagnosis[illness].factor == factor
    assert not diagnosis.healthy


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("depth", [1, 3, 10])
def test_healthy_networks_have_none_of_it(activation, depth):
    init = {"tanh": "glorot", "relu": "he"}[activation]
    diagnosis = gw.diagnose(gw.mlp([64, *[64] * depth, 10], activation=activation, init=init, seed=1), X, Y, loss=CE)
    for rule in ("shattered_gradient", "rank_collapse", "noisy_gradient"):
        assert diagnosis.verdicts[rule] == "clear"
    assert diagnosis.verdicts["edge_of_stability"] == "not measured: the learning rate is not known"


def test_the_edge_of_stability_needs_a_rate_and_a_look():
    x, y = regression()
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    top = 2.2  # of this problem, nearly
    for rate, severity in ((0.1, None), (1.9 / top, "note"), (4.0 / top, "warning"), (20 / top, "severe")):
        net = linear("float32")
        settings = {"optimizer": gw.SGD(rate), "batch_size": 600, "max_steps": 1, "progress": False}
        history = gw.fit(net, (x32, y32), loss="mean_squared_error", **settings)
        probe = gw.doctor.probe(net, x32, y32, loss="mean_squared_error")
        found = gw.diagnose(history, probe=probe).get("edge_of_stability")
        assert (found.severity if found else None) == severity
    assert "no look" in gw.diagnose(history).not_measured["edge_of_stability"]
    history = gw.fit(linear(), (x, y), loss="mean_squared_error", optimizer=gw.Adam(1e-3), max_steps=1, progress=False)
    assert "adam scales" in gw.diagnose(history, probe=probe).not_measured["edge_of_stability"]


def test_rates_too_low_to_learn():
    def rate(value, epochs=6):
        net = gw.mlp([64, 64, 64, 10], activation="tanh", init="glorot", seed=0)
        settings = {"optimizer": gw.SGD(value), "epochs": epochs, "stats": True, "progress": False}
        return gw.diagnose(gw.fit(net, (X, Y), loss=CE, **settings))

    assert rate(1e-5)["slow_updates"].factor == "rate"
    assert rate(0.05).verdicts["slow_updates"] == "clear"
    assert "slow_updates" not in rate(1e-10)


def test_sequences_are_looked_at_as_far_as_it_goes():
    x, y, _ = gw.datasets.adding(64, 20, seed=0)
    net = gw.Network([gw.RNN(8), gw.Dense(1)], x.shape[1:], seed=0)
    probe = gw.doctor.probe(net, x, y, loss="mean_squared_error")
    assert probe.agreement is not None
    assert np.isfinite(probe.sharpness)
    assert probe.representations is None
    assert probe.resemblance is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gw.doctor.probe(3, X, Y, loss=CE), TypeError, r"\[probe\] network is of type int"),
        (lambda: gw.doctor.probe(linear(), X, Y, loss=CE), ValueError, r"\[probe\] x has shape"),
        (lambda: gw.doctor.probe(plain(2, 1.0), X, Y, loss=CE, batch_size=0), ValueError, r"\[probe\] batch_size"),
        (lambda: gw.diagnose(plain(2, 1.0), X, Y, loss=CE, probe=3), TypeError, r"\[diagnose\] probe is of type int"),
    ],
)
def test_wrong_use_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
