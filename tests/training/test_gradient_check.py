"""Backpropagation through whole networks, element by element and in relative terms."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from compare import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import gradwell as gw
from gradwell import reference

SMOOTH = ("sigmoid", "tanh", "softplus", "silu", "gelu", "elu", "selu")


def loss_of(net, parameters, x, y, loss):
    """The mean loss by the plain oracle, complex where the parameters are."""
    value = x
    for name, kind, *_ in net.program.stages:
        activation = kind.split("+")[1] if "+" in kind else "identity"
        value = reference.dense_forward(value, parameters[f"{name}.weight"], parameters.get(f"{name}.bias"), activation)
    return getattr(reference, loss)(value, y)[0]


def complex_step(net, x, y, loss):
    """Every partial derivative by Im C(p + ih) / h (Squire and Trapp, 1998): no cancellation at any size."""
    h = 1e-100
    plain = {name: view.astype(np.complex128) for name, view in net.parameters.items()}
    gradients = {}
    for name, values in plain.items():
        gradient = np.empty(values.shape)
        for index in np.ndindex(values.shape):
            before = values[index]
            values[index] = before + 1j * h
            gradient[index] = np.imag(loss_of(net, plain, x, y, loss)) / h
            values[index] = before
        gradients[name] = gradient
    return gradients


def test_forty_logistic_layers_agree_where_gradients_are_1e_20(rng):
    net = gw.mlp([4, *[4] * 40, 3], activation="sigmoid", init="nielsen", seed=3, dtype="float64")
    x, y = rng.normal(size=(3, 4)), np.array([0, 2, 1])
    record = gw.gradients(net, x, y, loss="sigmoid_cross_entropy")
    exact = complex_step(net, x, y, "sigmoid_cross_entropy")
    sizes = [np.abs(exact[f"{name}.weight"]).max() for name in record.layers]
    assert sizes[0] < 1e-20 < sizes[-1], sizes
    for name, gradient in net.gradients.items():
        assert_close(gradient, exact[name], relative=1e-9, reason="40 layers of a few roundings each")


def test_a_wrong_derivative_would_be_seen(rng):
    net = gw.mlp([3, 4, 2], activation="tanh", seed=0, dtype="float64")
    x, y = rng.normal(size=(3, 3)), np.array([0, 1, 1])
    gw.gradients(net, x, y, loss="quadratic")
    exact = complex_step(net, x, y, "quadratic")
    exact["0.weight"][1, 2] *= 1 + 1e-8
    with pytest.raises(AssertionError):
        assert_close(net.gradients["0.weight"], exact["0.weight"], relative=1e-9, reason="one element is off by 1e-8")


@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    activation=st.sampled_from(SMOOTH),
    loss=st.sampled_from(gw.kernels.LOSSES),
    batch=st.integers(1, 5),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60)
def test_any_small_network_agrees_with_the_complex_step(sizes, activation, loss, batch, seed):
    sizes = [*sizes[:-1], sizes[-1] + 1]  # softmax needs two outputs
    net = gw.mlp(sizes, activation=activation, init="lecun", bias_init="normal", seed=seed, dtype="float64")
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(batch, sizes[0])), rng.integers(0, sizes[-1], batch)
    gw.gradients(net, x, y, loss=loss)
    exact = complex_step(net, x, y, loss)
    scale = max(np.abs(g).max() for g in exact.values())
    for name, gradient in net.gradients.items():
        assert_close(
            gradient,
            exact[name],
            relative=1e-9,
            floor=1e-6 * scale,
            reason="sums over batch and layers cancel; below a millionth of the largest the error is relative to that",
        )


AUTOGRAD = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + anp.exp(-z)),
    "tanh": anp.tanh,
    "relu": lambda z: anp.where(z > 0, z, 0 * z),
    "leaky_relu": lambda z: anp.where(z > 0, z, 0.01 * z),
    "softplus": lambda z: anp.log1p(anp.exp(z)),
    "silu": lambda z: z / (1 + anp.exp(-z)),
}


def autograd_loss(loss, a, t):
    if loss == "softmax_cross_entropy":
        shifted = a - anp.max(a, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(shifted), axis=1)) - anp.sum(t * shifted, axis=1))
    if loss == "sigmoid_cross_entropy":
        return anp.mean(anp.sum(anp.logaddexp(0, a) - t * a, axis=1))
    if loss == "quadratic":
        return anp.mean(anp.sum((a - t) ** 2, axis=1) / 2)
    return anp.mean((a - t) ** 2)


@given(
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=5),
    activation=st.sampled_from(sorted(AUTOGRAD)),
    loss=st.sampled_from(gw.kernels.LOSSES),
    batch=st.integers(1, 20),
    classes=st.booleans(),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60)
def test_any_network_agrees_with_autograd(sizes, activation, loss, batch, classes, seed):
    sizes = [*sizes[:-1], sizes[-1] + 1]
    net = gw.mlp(sizes, activation=activation, init="he", bias_init="normal", seed=seed, dtype="float64")
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, sizes[0]))
    y = rng.integers(0, sizes[-1], batch) if classes else rng.random((batch, sizes[-1]))
    t = np.eye(sizes[-1])[y] if classes else y
    if loss == "softmax_cross_entropy":
        t = t / t.sum(axis=1, keepdims=True)
        y = y if classes else t

    def total(parameters):
        value = x
        for name, kind, *_ in net.program.stages:
            value = value @ parameters[f"{name}.weight"] + parameters[f"{name}.bias"]
            value = AUTOGRAD[kind.split("+")[1]](value) if "+" in kind else value
        return autograd_loss(loss, value, t)

    record = gw.gradients(net, x, y, loss=loss)
    parameters = {name: view.copy() for name, view in net.parameters.items()}
    assert_close(record.loss, float(total(parameters)), relative=1e-12, reason="a mean of a few hundred terms")
    exact = grad(total)(parameters)
    scale = max(np.abs(g).max() for g in exact.values())
    for name, gradient in net.gradients.items():
        assert_close(gradient, exact[name], relative=1e-9, floor=1e-6 * scale, reason="as above")


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.25])
def test_prelu_slopes_and_the_layers_below(slope, rng):
    layers = [gw.Dense(5, bias_init="normal"), gw.PReLU(init={"name": "constant", "value": slope}), gw.Dense(3)]
    net = gw.Network(layers, 4, seed=1, dtype="float64")
    x, y = rng.normal(size=(7, 4)), rng.random((7, 3))

    def total(parameters):
        z = x @ parameters["0.weight"] + parameters["0.bias"]
        a = anp.where(z > 0, z, parameters["1.slope"] * z)
        return autograd_loss("quadratic", a @ parameters["2.weight"] + parameters["2.bias"], y)

    gw.gradients(net, x, y, loss="quadratic")
    exact = grad(total)({name: view.copy() for name, view in net.parameters.items()})
    for name, gradient in net.gradients.items():
        assert_close(gradient, exact[name], relative=1e-11, floor=1e-6, reason="sums over seven samples")
