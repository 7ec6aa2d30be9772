"""Layers as descriptions, and the networks made of them: names, shapes, round trips."""

import copy
import json
import pickle

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import initializers, reference
from gradwell.layers import activation_layer, from_description

PLAIN = (gw.Identity, gw.Sigmoid, gw.Tanh, gw.ReLU, gw.SELU, gw.Softplus, gw.SiLU, gw.GELU)
EVERY = [
    gw.Dense(3),
    gw.Dense(3, use_bias=False, init="he", bias_init=initializers.Constant(0.5), name="first"),
    gw.Dense(np.int64(4), init={"name": "normal", "std": 0.1}),
    gw.Activation("gelu", name="g"),
    gw.Activation("elu", alpha=0.3),
    gw.PReLU(),
    gw.PReLU(init="zeros", name="p"),
    gw.LeakyReLU(),
    gw.LeakyReLU(0.2, name="l"),
    gw.ELU(np.float32(0.5)),
    *(cls() for cls in PLAIN),
    *(cls(name="named") for cls in PLAIN),
]
WHY = "three dense layers of at most 12 terms, compared with the oracle in float64"


@pytest.mark.parametrize("layer", EVERY, ids=repr)
def test_describe_survives_json_and_comes_back_equal(layer):
    described = json.loads(json.dumps(layer.describe()))
    again = from_description(described)
    assert again == layer
    assert type(again) is type(layer)
    assert again.describe() == layer.describe()


@pytest.mark.parametrize("layer", EVERY, ids=repr)
def test_repr_is_an_expression_for_the_layer(layer):
    assert eval(repr(layer), vars(gw)) == layer


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"class": "Conv"}, r'\[layer\] class is "Conv"; needs one of Dense'),
        ({}, r'\[layer\] class is "None"'),
        ({"class": "Dense"}, r"\[layer\] Dense cannot be made from {}"),
        ({"class": "Sigmoid", "alpha": 1}, r"\[layer\] Sigmoid cannot be made from {'alpha': 1}"),
        ({"class": "Dense", "units": 0}, r"\[dense\] units is 0; needs at least 1"),
    ],
)
def test_bad_descriptions_are_refused(description, message):
    with pytest.raises(ValueError, match=message):
        from_description(description)


def test_parameters_go_by_index_or_name():
    layers = [gw.Dense(3), gw.PReLU(), gw.Dense(2, name="out", use_bias=False), gw.PReLU(name="bend")]
    net = gw.Network(layers, input_shape=4, seed=0)
    shapes = {name: value.shape for name, value in net.parameters.items()}
    assert shapes == {
        "0.weight": (4, 3),
        "0.bias": (3,),
        "1.slope": (3,),
        "out.weight": (3, 2),
        "bend.slope": (2,),
    }
    assert set(net.gradients) == set(shapes)
    assert net.size == 4 * 3 + 3 + 3 + 3 * 2 + 2
    np.testing.assert_array_equal(net.parameters["1.slope"], np.float32(0.25))


def test_parameters_are_the_networks_own_memory_and_outlive_it(rng):
    net = gw.mlp([4, 3], seed=0)
    view = net.parameters["0.bias"]
    view[...] = [1, 2, 3]
    np.testing.assert_array_equal(net.predict(np.zeros((1, 4))), [[1, 2, 3]])
    del net
    np.testing.assert_array_equal(view, [1, 2, 3])


def test_mlp_ends_linear_and_passes_alpha_on(rng):
    net = gw.mlp([4, 3, 5, 2], "elu", alpha=0.5, seed=0, dtype="float64")
    assert [type(layer) for layer in net.layers] == [gw.Dense, gw.ELU, gw.Dense, gw.ELU, gw.Dense]
    assert [stage[1] for stage in net.program.stages] == ["dense+elu", "dense+elu", "dense"]
    x = 2 * rng.normal(size=(6, 4))
    y, p = x, net.parameters
    for name, activation in (("0", "elu"), ("2", "elu"), ("4", "identity")):
        alpha = 0.5 if activation == "elu" else None
        y = reference.dense_forward(y, p[f"{name}.weight"], p[f"{name}.bias"], activation, alpha=alpha)
    assert_close(net.predict(x), y, relative=1e-13, floor=1.0, reason=WHY)


def test_mlp_with_prelu_learns_slopes():
    net = gw.mlp([4, 3, 3, 2], "prelu", seed=0)
    assert [name for name in net.parameters if name.endswith("slope")] == ["1.slope", "3.slope"]


def test_without_bias_the_layer_is_a_product(rng):
    net = gw.Network([gw.Dense(3, use_bias=False)], input_shape=4, seed=0, dtype="float64")
    x = rng.normal(size=(5, 4))
    weight = net.parameters["0.weight"]
    scale = np.abs(x) @ np.abs(weight)
    assert list(net.parameters) == ["0.weight"]
    assert_close(net.predict(x), x @ weight, relative=1e-15, cancellation_scale=scale, reason="sums of 4 terms")


def test_activations_may_come_first_and_follow_each_other(rng):
    layers = [gw.Tanh(name="squash"), gw.Dense(3), gw.ReLU(), gw.Sigmoid(), gw.PReLU(), gw.Dense(2)]
    net = gw.Network(layers, input_shape=4, seed=0, dtype="float64")
    stages = [(name, kind) for name, kind, *_ in net.program.stages]
    assert stages == [
        ("squash", "tanh"),
        ("1", "dense+relu"),
        ("3", "sigmoid"),
        ("4", "prelu"),
        ("5", "dense"),
    ]
    x, p = rng.normal(size=(6, 4)), net.parameters
    hidden = 1 / (1 + np.exp(-np.maximum(np.tanh(x) @ p["1.weight"] + p["1.bias"], 0)))
    assert_close(net.forward(x), hidden @ p["5.weight"] + p["5.bias"], relative=1e-13, floor=1.0, reason=WHY)

    # dC/dx of sum(y) against central differences
    dx, step = net.backward(np.ones((6, 2))), 1e-5
    nudges = step * np.eye(24).reshape(24, 6, 4)
    slopes = [(net.predict(x + n).sum() - net.predict(x - n).sum()) / (2 * step) for n in nudges]
    assert_close(
        dx,
        np.reshape(slopes, (6, 4)),
        relative=1e-6,
        floor=1e-3,
        reason="central differences: step**2 truncation, eps / step rounding",
    )


@pytest.mark.parametrize("shape", [(2, 3), [2, 3], np.array([2, 3]), (3, 1, 2)])
def test_samples_of_several_dimensions_are_flattened_in_c_order(shape, rng):
    net = gw.Network([gw.Dense(2)], input_shape=shape, seed=0)
    x = rng.normal(size=(5, *shape)).astype(np.float32)
    assert net.inputs == 6
    assert net.input_shape == tuple(shape)
    np.testing.assert_array_equal(net.predict(x), net.predict(x.reshape(5, 6)))
    np.testing.assert_array_equal(net.predict(np.asfortranarray(x)), net.predict(x))
    with pytest.raises(ValueError, match=r"\[predict\] x has shape \(5, 6, 1\); needs \(batch, "):
        net.predict(x.reshape(5, 6, 1))


@pytest.mark.parametrize("remake", [gw.Network.copy, copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies_are_equal_and_independent(remake):
    net = gw.Network([gw.Dense(3, name="a"), gw.PReLU()], (2, 2), seed=5, dtype="float64", flush_denormals=False)
    net.training_state = {"step": 3}
    twin = remake(net)
    assert twin.describe() == net.describe()
    assert twin.training_state == {"step": 3}
    for name, value in net.parameters.items():
        np.testing.assert_array_equal(twin.parameters[name], value)
    twin.parameters["a.weight"][...] = 0
    assert net.parameters["a.weight"].all()


@pytest.mark.parametrize("dtype", ["float64", np.float64, float, np.dtype("float64")])
def test_dtypes_go_by_numpys_names(dtype):
    assert gw.mlp([3, 2], dtype=dtype).parameters["0.weight"].dtype == np.float64


def test_repr_shows_stages_and_size():
    net = gw.Network([gw.Dense(30), gw.Sigmoid(), gw.PReLU(), gw.Dense(10, use_bias=False)], input_shape=784)
    assert repr(net) == ("<Network 784 → dense+sigmoid 30 → prelu 30 → dense 10; 23,880 parameters, float32>")


@pytest.mark.parametrize("activation", [*gw.kernels.ACTIVATIONS, "prelu"])
def test_every_activation_has_a_layer(activation):
    layer = activation_layer(activation)
    net = gw.Network([layer], input_shape=3)
    assert net.program.stages == [("0", activation, 3, 3, -1, -1)]


def test_evaluate_is_predict_and_the_loss(rng):
    net = gw.mlp([6, 8, 3], seed=0, normalization="batch")
    x, y = rng.normal(size=(50, 6)), rng.integers(0, 3, 50)
    found = net.evaluate(x, y, loss="softmax_cross_entropy", batch_size=7)
    outputs = net.predict(x)
    assert found["loss"] == pytest.approx(gw.kernels.softmax_cross_entropy(outputs, y)[0], rel=1e-6)
    assert found["accuracy"] == (outputs.argmax(axis=1) == y).mean()
    assert "accuracy" not in net.evaluate(x, outputs, loss="mean_squared_error")
    for bad, message in [
        (lambda: net.evaluate(x[:0], y[:0], loss="quadratic"), "x has no rows"),
        (lambda: net.evaluate(x, y[:3], loss="quadratic"), "y has 3 rows but x has 50"),
        (lambda: net.evaluate(x, y, loss="hinge"), 'loss is "hinge"'),
    ]:
        with pytest.raises(ValueError, match=rf"\[evaluate\] {message}"):
            bad()
