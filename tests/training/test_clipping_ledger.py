"""Clipping while training: what it does to the step, and the ledger that says so."""

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import reference

CLIPS = {
    "value": gw.clip_by_value(0.02),
    "norm": gw.clip_by_norm(0.3),
    "layer": gw.clip_by_layer_norm(0.2),
    "adaptive": gw.adaptive_clip(0.05),
    "percentile": gw.auto_clip(30.0),
    "zscore": gw.z_clip(z=0.5, alpha=0.8, warm_up=3),
}


def data(rng):
    return rng.normal(size=(120, 6)) * rng.choice([0.2, 1, 5], (120, 1)), rng.integers(0, 3, 120)


def norm(arrays):
    return float(np.sqrt(sum((np.asarray(a, np.float64) ** 2).sum() for a in arrays)))


class Plain:
    """The published rules, in plain Python."""

    def __init__(self, clip):
        self.settings, self.norms, self.mean, self.variance = clip.describe(), [], 0.0, 0.0

    def allowed(self, size):
        limit = self.settings["limit"]
        if self.settings["name"] == "norm":
            return min(size, limit)
        self.norms.append(size)
        if self.settings["name"] == "percentile":
            return min(size, np.percentile(self.norms, limit))
        warm_up, alpha = self.settings["warm_up"], self.settings["floor"]
        if len(self.norms) <= warm_up:
            self.mean, self.variance = np.mean(self.norms), np.var(self.norms)
            return size
        z = (size - self.mean) / np.sqrt(self.variance)
        kept = self.mean + limit**2 / z * np.sqrt(self.variance) if z > limit else size
        self.mean = alpha * self.mean + (1 - alpha) * kept
        self.variance = alpha * self.variance + (1 - alpha) * (kept - self.mean) ** 2
        return kept

    def clip(self, gradients, parameters):
        name, limit = self.settings["name"], self.settings["limit"]
        if name == "value":
            return {key: np.clip(g, -limit, limit) for key, g in gradients.items()}
        if name == "layer":
            found = {}
            for layer in {key.rsplit(".", 1)[0] for key in gradients}:
                own = {key: g for key, g in gradients.items() if key.rsplit(".", 1)[0] == layer}
                found |= {key: g * min(1, limit / norm(own.values())) for key, g in own.items()}
            return found
        if name == "adaptive":
            found = {}
            for key, g in gradients.items():
                shape = (-1, g.shape[1] if g.ndim > 1 else 1)
                unit, weight = g.reshape(shape).copy(), parameters[key].reshape(shape)
                reference.clip_adaptive(unit, weight, limit, floor=self.settings["floor"])
                found[key] = unit.reshape(g.shape)
            return found
        size = norm(gradients.values())
        return {key: g * (self.allowed(size) / size if i == 0 else 1) for i, (key, g) in enumerate(gradients.items())}


@pytest.mark.parametrize("stats", [False, True])
@pytest.mark.parametrize("name", CLIPS)
def test_a_fit_is_the_plain_rule_step_by_step(name, stats, rng):
    x, y = data(rng)
    net = gw.mlp([6, 8, 3], activation="tanh", seed=1, dtype="float64")
    twin, plain = net.copy(), Plain(CLIPS[name])
    before, after, causes = [], [], []
    for first in range(0, 120, 10):
        gw.gradients(twin, x[first : first + 10], y[first : first + 10], loss="softmax_cross_entropy")
        gradients = {key: np.array(view) for key, view in twin.gradients.items()}
        if name in ("norm", "percentile", "zscore"):
            size = norm(gradients.values())
            factor = plain.allowed(size) / size
            clipped = {key: g * factor for key, g in gradients.items()}
        else:
            clipped = plain.clip(gradients, twin.parameters)
        before.append(norm(gradients.values()))
        after.append(norm(clipped.values()))
        causes.append(max(gradients, key=lambda key: norm([gradients[key]])))
        for key, view in twin.parameters.items():
            view[...] = view - 0.5 * clipped[key]
    settings = {"batch_size": 10, "shuffle": False, "stats": stats, "clip": CLIPS[name]}
    history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.5), **settings)
    for key, view in net.parameters.items():
        assert_close(view, twin.parameters[key], relative=1e-8, floor=1e-3, reason="twelve steps of a few roundings")
    ledger = history.clipping
    assert_close(ledger.before, before, relative=1e-8, reason="twelve steps of a few roundings")
    assert_close(ledger.after, after, relative=1e-8, reason="twelve steps of a few roundings")
    assert ledger.layer.tolist() == causes
    assert ledger.steps.tolist() == list(range(12))
    np.testing.assert_array_equal(ledger.clipped, ledger.after < ledger.before)
    assert 1 <= ledger.clipped.sum() <= 12
    if stats:  # the record is of the gradient before clipping
        norms = np.stack([history.gradients.norm(kind) for kind in ("weight", "bias")])
        assert_close(np.sqrt((norms**2).sum(axis=(0, 2))), before, relative=1e-6, reason="sums of norms")


def test_the_ledger_speaks(rng):
    x, y = data(rng)
    net = gw.mlp([6, 8, 3], seed=1)
    settings = {"batch_size": 10, "epochs": 3, "clip": gw.clip_by_norm(0.5)}
    history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), **settings)
    ledger = history.clipping
    assert len(ledger) == 36
    found = ledger.to_dict()
    assert found["clipped"] == ledger.clipped.sum()
    assert sum(found["causes"].values()) == found["clipped"]
    assert ledger.suggest(0.9) == pytest.approx(np.quantile(ledger.before, 0.9))
    assert f"clipped {found['clipped']} of 36 steps" in ledger.summary()
    assert history.to_dict()["clipping"] == found
    never = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), clip=gw.clip_by_norm(1e6))
    assert "it never bites" in never.clipping.summary()
    none = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1))
    assert none.clipping.summary() == "no clipping"
    assert len(none.clipping.before) == 0
    with pytest.raises(ValueError, match="ledger is empty"):
        none.clipping.suggest()


def test_a_limit_that_never_bites_leaves_the_step_to_rounding(rng):
    x, y = data(rng)
    nets = [gw.mlp([6, 8, 3], seed=1) for _ in range(2)]
    for net, clip in zip(nets, (None, gw.clip_by_norm(1e6)), strict=True):
        gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), clip=clip, epochs=3)
    for one, other in zip(*(net.parameters.values() for net in nets), strict=True):
        np.testing.assert_array_equal(one, other)


def test_update_in_an_own_loop_returns_the_norm_before(rng):
    x, y = data(rng)
    net = gw.mlp([6, 8, 3], seed=1, dtype="float64")
    gw.gradients(net, x, y, loss="softmax_cross_entropy")
    size, before = norm(net.gradients.values()), np.array(net.parameters["0.weight"])
    gradient = np.array(net.gradients["0.weight"])
    assert gw.SGD(1.0).update(net, clip=gw.clip_by_norm(0.1)) == pytest.approx(size, rel=1e-12)
    step = before - net.parameters["0.weight"]
    assert_close(step, gradient * 0.1 / size, relative=1e-9, floor=1e-4, reason="the step cancels against p")


def test_a_norm_that_is_not_finite_touches_nothing_and_names_the_layer(rng):
    x, y = rng.normal(size=(8, 4)).astype(np.float32) * 1e30, np.ones((8, 2))
    net = gw.Network([gw.Dense(3), gw.Dense(2)], input_shape=4, seed=0)
    before = net.snapshot()["parameters"]
    with pytest.raises(gw.NonFiniteError) as raised:
        gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(0.1), clip=gw.clip_by_norm(1.0))
    assert raised.value.layer in ("0", "1")
    np.testing.assert_equal(net.snapshot()["parameters"], before)
    assert len(raised.value.history.clipping) == 0


def test_amplification_multiplies_the_step_in_its_epochs(rng):
    x, y = data(rng)
    weights = {}
    for factor, epochs in [(1.0, None), (3.0, None), (3.0, [5])]:
        net = gw.mlp([6, 8, 3], seed=1, dtype="float64")
        start = np.array(net.parameters["0.weight"]), np.array(net.parameters["2.weight"])
        amplify = gw.Amplify(["0"], factor, epochs=epochs)
        settings = {"loss": "quadratic", "optimizer": gw.SGD(0.1), "batch_size": 120}
        gw.fit(net, (x, y), amplify=amplify, **settings)
        weights[factor, epochs is None] = [net.parameters[f"{2 * i}.weight"] - start[i] for i in range(2)]
    assert_close(weights[3.0, True][0], 3 * weights[1.0, True][0], relative=1e-9, floor=1e-4, reason="p cancels")
    np.testing.assert_array_equal(weights[3.0, True][1], weights[1.0, True][1])
    np.testing.assert_array_equal(weights[3.0, False][0], weights[1.0, True][0])


@pytest.mark.parametrize(
    "make", [gw.clip_by_value, gw.clip_by_norm, gw.clip_by_layer_norm, gw.adaptive_clip, gw.z_clip]
)
@pytest.mark.parametrize("limit", [0, -1, np.nan, np.inf, True, "1", None])
def test_limits_that_are_none_are_refused(make, limit):
    with pytest.raises((ValueError, TypeError), match=r"\[.*\] (limit|ratio|z) is"):
        make(limit)


def test_what_else_is_refused(rng):
    with pytest.raises(ValueError, match=r"percentile is 101.0; needs a finite number above 0 and at most 100"):
        gw.auto_clip(101)
    net, (x, y) = gw.mlp([6, 3], seed=0), data(rng)
    settings = {"loss": "quadratic", "optimizer": gw.SGD(0.1)}
    with pytest.raises(TypeError, match=r"\[fit\] clip is of type float; needs one such as gw.clip_by_norm"):
        gw.fit(net, (x, y), clip=1.0, **settings)
    with pytest.raises(ValueError, match=r'\[Amplify\] layers has "7"; the network has parameters in 0'):
        gw.fit(net, (x, y), amplify=gw.Amplify(["7"], 2.0), **settings)
    with pytest.raises(TypeError, match=r"\[Amplify\] layers is '0'; needs a list"):
        gw.Amplify("0", 2.0)
