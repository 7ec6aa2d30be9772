"""Initial weights: distributions against the papers' formulas, streams, bad settings.

Statistical limits: five standard errors, so a right sampler fails once in 1.7 million draws; seeds are fixed.
"""

import math

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import initializers

N_IN, N_OUT = 300, 200
N = N_IN * N_OUT

# Variances of gradwell's rules: docs/initialization.md; kurtosis 3 is normal, 1.8 uniform.
WEIGHTS = {
    "nielsen": (1 / N_IN, 3.0),
    "glorot": (2 / (N_IN + N_OUT), 1.8),
    "he": (2 / N_IN, 3.0),
    "lecun": (1 / N_IN, 3.0),
}


def assert_moments(sample, mean, variance, kurtosis):
    """Mean and variance lie within five standard errors of what they should be."""
    n = sample.size
    assert abs(sample.mean() - mean) <= 5 * math.sqrt(variance / n)
    assert abs(sample.var() / variance - 1) <= 5 * math.sqrt((kurtosis - 1) / n)


@pytest.mark.parametrize("rule", WEIGHTS)
def test_rules_have_the_published_mean_and_variance(rule):
    variance, kurtosis = WEIGHTS[rule]
    net = gw.Network([gw.Dense(N_OUT, init=rule)], input_shape=N_IN, seed=1, dtype="float64")
    weight = net.parameters["0.weight"]
    assert_moments(weight, 0.0, variance, kurtosis)
    measured = np.mean((weight / weight.std()) ** 4)
    assert abs(measured - kurtosis) <= 5 * math.sqrt(24 / N)  # sd of a normal sample's kurtosis; a uniform's is less


def test_glorot_stays_within_its_limits_and_reaches_them():
    weight = initializers.get("glorot").sample(np.random.default_rng(2), (N_IN, N_OUT), N_IN)
    limit = math.sqrt(6 / (N_IN + N_OUT))
    assert 0.999 * limit < np.abs(weight).max() <= limit  # nothing above 0.999: probability 0.999**60000 = 1e-26


def test_nielsen_biases_have_variance_one_and_others_are_zero():
    net = gw.Network([gw.Dense(5000, init="nielsen"), gw.Dense(3, init="he")], input_shape=2, seed=3)
    assert_moments(net.parameters["0.bias"].astype(float), 0.0, 1.0, 3.0)
    np.testing.assert_array_equal(net.parameters["1.bias"], 0.0)


@pytest.mark.parametrize(
    ("init", "mean", "variance", "kurtosis"),
    [
        (initializers.Normal(0.5, 0.2), 0.5, 0.04, 3.0),
        (initializers.Uniform(-1.0, 2.0), 0.5, 0.75, 1.8),
        (initializers.get({"name": "normal", "std": 3}), 0.0, 9.0, 3.0),
    ],
)
def test_plain_distributions(init, mean, variance, kurtosis):
    assert_moments(init.sample(np.random.default_rng(4), (N_IN, N_OUT), N_IN), mean, variance, kurtosis)


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (20, 60), (1, 5)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    weight = initializers.Orthogonal(gain=2.0).sample(np.random.default_rng(5), shape, shape[0])
    product = weight @ weight.T if shape[0] < shape[1] else weight.T @ weight
    why = "Householder QR in float64: n eps on unit vectors (Higham, 2002, section 19.3)"
    assert_close(product, 4 * np.eye(min(shape)), relative=100 * np.finfo(float).eps, floor=4.0, reason=why)


def test_orthogonal_signs_are_uniform():
    signs = [initializers.Orthogonal().sample(np.random.default_rng(s), (1, 1), 1)[0, 0] for s in range(400)]
    assert abs(sum(signs)) <= 5 * math.sqrt(400)  # five standard deviations of a sum of 400 fair signs


@pytest.mark.parametrize("init", initializers.NAMES)
def test_one_seed_is_the_same_weights_in_both_dtypes_up_to_rounding(init):
    bias = "zeros" if init in ("orthogonal", "identity", "sparse") else init
    nets = [gw.mlp([7, 5, 3], init=init, bias_init=bias, seed=6, dtype=d) for d in ("float32", "float64")]
    for name, single in nets[0].parameters.items():
        double = nets[1].parameters[name]
        assert single.dtype == np.float32
        assert double.dtype == np.float64
        np.testing.assert_array_equal(single, double.astype(np.float32))


def test_seeds_decide_the_weights():
    first, again, other, drawn = (gw.mlp([4, 3], seed=s).parameters["0.weight"] for s in (1, 1, 2, None))
    np.testing.assert_array_equal(first, again)
    assert not (first == other).any()
    assert not (gw.mlp([4, 3]).parameters["0.weight"] == drawn).any()


def test_initialize_draws_as_a_new_network_does_and_forgets_training():
    net = gw.mlp([4, 3], seed=1)
    net.training_state = {"step": 5}
    net.initialize(2)
    np.testing.assert_array_equal(net.parameters["0.weight"], gw.mlp([4, 3], seed=2).parameters["0.weight"])
    assert net.training_state is None


def test_each_layer_has_its_own_stream():
    def weights(init, units):
        layers = [gw.Dense(6, init="he"), gw.Tanh(), gw.Dense(units, init=init), gw.Tanh(), gw.PReLU()]
        return gw.Network([*layers, gw.Dense(4, init="he", name="last")], input_shape=5, seed=9).parameters

    before, after = weights("lecun", 6), weights("glorot", 6)
    assert not (before["2.weight"] == after["2.weight"]).any()
    for name in set(before) - {"2.weight"}:
        np.testing.assert_array_equal(before[name], after[name])
    np.testing.assert_array_equal(before["0.weight"], weights("lecun", 8)["0.weight"])
    assert not (before["0.weight"][:, :4] == before["last.weight"][:5]).any()


@pytest.mark.parametrize(
    ("activation", "rule"), [("relu", "he"), ("prelu", "he"), ("selu", "lecun"), ("tanh", "glorot")]
)
def test_dense_takes_the_usual_rule_of_the_activation_behind_it(activation, rule):
    layers = gw.mlp([4, 3, 2], activation, init=rule, seed=1).layers
    usual = gw.Network([gw.Dense(3), *layers[1:]], input_shape=4, seed=1)
    named = gw.Network(layers, input_shape=4, seed=1)
    np.testing.assert_array_equal(usual.parameters["0.weight"], named.parameters["0.weight"])


@pytest.mark.parametrize("init", [*initializers.NAMES, initializers.Normal(1, 2), initializers.Orthogonal(3)])
def test_describe_and_get_are_inverse(init):
    found = initializers.get(init)
    assert initializers.get(found.describe()) == found


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: initializers.get("xavier"), ValueError, r'\[init\] init is "xavier"; needs one of nielsen'),
        (lambda: initializers.get(3), TypeError, r"\[init\] init is of type int"),
        (lambda: initializers.get({"std": 1}), ValueError, r'\[init\] init is "None"'),
        (lambda: initializers.get({"name": "normal", "sd": 1}), ValueError, "no setting sd; it has mean, std"),
        (lambda: initializers.get({"name": "he", "gain": 1}), ValueError, r'\[init\] "he" has no setting gain'),
        (lambda: initializers.get({"name": "ones", "gain": 1}), ValueError, r'"ones" has no setting gain'),
        (lambda: initializers.Normal(std=-1), ValueError, r"\[normal\] std is -1.0; .* at least 0"),
        (lambda: initializers.Normal(std=math.nan), ValueError, r"\[normal\] std is nan"),
        (lambda: initializers.Normal(mean="a"), TypeError, r"\[normal\] mean is of type str"),
        (lambda: initializers.Uniform(1, 0), ValueError, r"\[uniform\] high is 0.0; .* at least 1"),
        (lambda: initializers.Constant(True), TypeError, r"\[constant\] value is of type bool"),
        (lambda: initializers.Constant(10**400), ValueError, r"\[constant\] value is inf"),
        (lambda: initializers.Scaled("xavier"), ValueError, r'\[init\] rule is "xavier"'),
        (lambda: gw.mlp([2, 2], bias_init="orthogonal"), ValueError, r"\[orthogonal\] shape is \(2,\)"),
        (lambda: gw.mlp([2, 2], init=initializers.Constant(1e39)), ValueError, r"1e\+39 for 0.weight; .*float32"),
    ],
)
def test_bad_settings_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_sampler_of_the_wrong_shape_is_refused():
    class Broken(initializers.Initializer):
        def sample(self, rng, shape, n_in):
            return np.zeros(1)

    with pytest.raises(ValueError, match=r"drew shape \(1,\) for 0.weight; needs \(3, 2\)"):
        gw.mlp([3, 2], init=Broken())


@pytest.mark.parametrize("activation", gw.kernels.ACTIVATIONS)
def test_kumar_is_its_formula_for_the_activation_behind(activation):
    zero = np.zeros(1)
    value = float(gw.reference.activation_forward(zero, activation)[0])
    slope = float(gw.reference.activation_derivative(zero, activation)[0])
    kinked = {"relu": 2.0, "leaky_relu": 2 / 1.0001, "selu": 1.0}
    expected = kinked[activation] if activation in kinked else 1 / (slope**2 * (1 + value**2))
    behind = gw.layers.activation_layer(activation)
    net = gw.Network([gw.Dense(N_OUT, init="kumar"), behind], input_shape=N_IN, seed=1, dtype="float64")
    assert_moments(net.parameters["0.weight"], 0.0, expected / N_IN, 3.0)


def test_kumar_for_logistic_units_is_the_published_constant():
    assert math.sqrt(initializers.KUMAR_FACTORS["sigmoid"]) == pytest.approx(3.578, abs=5e-4)
    assert initializers.KUMAR_FACTORS["sigmoid"] == pytest.approx(12.8, rel=1e-12)


@pytest.mark.parametrize(("n_in", "mean"), [(300, -8 / 300), (4, -1.0)])
def test_yilmaz_poli_has_a_negative_mean(n_in, mean):
    net = gw.Network([gw.Dense(15000, init="yilmaz-poli")], input_shape=n_in, seed=1, dtype="float64")
    assert_moments(net.parameters["0.weight"], mean, 1 / n_in, 3.0)


def test_identity_and_sparse():
    net = gw.Network(
        [gw.Dense(5, init="identity"), gw.Dense(40, init={"name": "sparse", "nonzeros": 3})], input_shape=5
    )
    np.testing.assert_array_equal(net.parameters["0.weight"], np.eye(5))
    weight = net.parameters["1.weight"]
    np.testing.assert_array_equal((weight != 0).sum(axis=0), np.full(40, 3))
    assert len({tuple(np.flatnonzero(column)) for column in weight.T}) > 3


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_lsuv_brings_every_variance_near_one(activation, rng):
    x = rng.normal(size=(300, 20)) * 7
    layers = [gw.Residual(gw.Dense(20), gw.layers.activation_layer(activation)), gw.Dense(30)]
    layers += [layer for _ in range(12) for layer in (gw.layers.activation_layer(activation), gw.Dense(30))]
    net = gw.Network(layers, input_shape=20, seed=0, dtype="float64")
    gw.initialize(net, "lsuv", data=x, seed=3)
    value = x + gw.kernels.activation_forward(x @ net.parameters["0.0.weight"], activation)
    assert abs((x @ net.parameters["0.0.weight"]).var() - 1) < 0.1
    for name in [f"{i}.weight" for i in range(1, 26, 2)]:
        z = value @ net.parameters[name]
        assert abs(z.var() - 1) < 0.1, name
        value = gw.kernels.activation_forward(z, activation)


def test_initialize_by_name_redraws_and_forgets(rng):
    x, y = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    net = gw.mlp([6, 200, 3], activation="sigmoid", seed=0)
    gw.fit(net, (x, y), loss="quadratic", optimizer=gw.Adam(0.1))
    gw.initialize(net, "kumar", seed=4)
    assert net.training_state is None
    assert net.program.updates == 0
    assert net.parameters["0.weight"].std() == pytest.approx(math.sqrt(12.8 / 6), rel=0.1)
    first = np.array(net.parameters["0.weight"])
    gw.initialize(net, {"name": "kumar", "activation": "tanh"}, seed=4)
    np.testing.assert_allclose(net.parameters["0.weight"], first / math.sqrt(12.8), rtol=1e-6)


def test_zero_last_and_fixup_change_the_branches():
    def make():
        blocks = [gw.Residual(gw.Dense(4), gw.ReLU(), gw.Dense(4)), gw.Residual(gw.Dense(4), gw.BatchNorm())]
        return gw.Network([gw.Dense(4), *blocks, gw.Dense(2)], input_shape=4, seed=0)

    net, before = make(), make()
    gw.initialize(net, "zero-last")
    assert (net.parameters["1.2.weight"] == 0).all()
    assert (net.parameters["2.1.gamma"] == 0).all()
    for name in ("1.0.weight", "2.0.weight", "3.weight"):
        np.testing.assert_array_equal(net.parameters[name], before.parameters[name])
    net = make()
    gw.initialize(net, "fixup")
    np.testing.assert_allclose(net.parameters["1.0.weight"], before.parameters["1.0.weight"] / 2**0.5, rtol=1e-6)
    assert (net.parameters["1.2.weight"] == 0).all()
    plain = gw.mlp([4, 3, 2], seed=0)
    gw.initialize(plain, "zero-last")
    assert (plain.parameters["2.weight"] == 0).all()
    with pytest.raises(ValueError, match=r'\[initialize\] "fixup" needs residual blocks'):
        gw.initialize(plain, "fixup")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: gw.initialize(n, "best"), r'\[initialize\] init is "best"; needs one of nielsen'),
        (lambda n: gw.initialize(n, "lsuv"), r'\[initialize\] data is None; "lsuv" needs samples'),
        (lambda n: gw.initialize(n, "lsuv", data=np.ones((1, 4))), r"\[initialize\] data has 1 rows"),
        (lambda n: gw.initialize(n, "lsuv", data=np.ones((5, 3))), r"\[initialize\] data has shape \(5, 3\)"),
        (lambda n: gw.initialize(n, "he", seed=-1), r"\[initialize\] seed is -1"),
        (lambda _: gw.initialize(3, "he"), r"\[initialize\] network is of type int"),
        (lambda n: gw.initialize(n, {"name": "kumar", "activation": "sine"}), r'\[kumar\] activation is "sine"'),
    ],
)
def test_bad_initialisations_are_named_and_change_nothing(call, message):
    net = gw.mlp([4, 3, 2], seed=0)
    before = net.snapshot()
    with pytest.raises((ValueError, TypeError), match=message):
        call(net)
    np.testing.assert_equal(net.snapshot(), before)
