"""The node cases that ONNX tests its own operators with, through the kernels."""

import importlib

import numpy as np
import pytest

from gradwell import kernels

onnx = pytest.importorskip("onnx", reason="the node cases come with onnx==1.20.1")
from onnx.backend.test.case import node as onnx_nodes  # noqa: E402
from onnx.numpy_helper import to_array  # noqa: E402

OPERATORS = {
    "Adagrad",
    "BatchNormalization",
    "Elu",
    "Gemm",
    "LayerNormalization",
    "LeakyRelu",
    "Momentum",
    "PRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Tanh",
}


MODULES = "adagrad batchnorm elu gemm layernormalization leakyrelu momentum prelu relu selu sigmoid softplus tanh"


def cases():
    for module in MODULES.split():  # importing one makes its cases
        importlib.import_module(f"onnx.backend.test.case.node.{module}")
    found = {}
    for case in onnx_nodes._NodeTestCases:
        nodes = case.model.graph.node if case.model else []
        if len(nodes) == 1 and nodes[0].op_type in OPERATORS and case.name not in found:
            found[case.name] = case
    return found


CASES = cases()


def attributes(node):
    found = {}
    for a in node.attribute:
        value = onnx.helper.get_attribute_value(a)
        found[a.name] = value.decode() if isinstance(value, bytes) else value
    return found


def columns(x):
    """(batch, channel, ...) as (samples, channels), and the way back."""
    moved = np.moveaxis(x, 1, -1)
    return np.ascontiguousarray(moved.reshape(-1, x.shape[1])), lambda y: np.moveaxis(y.reshape(moved.shape), -1, 1)


def batchnorm(inputs, a):
    x, gamma, beta, mean, variance = inputs
    table, back = columns(x)
    epsilon = a.get("epsilon", 1e-5)
    if not a.get("training_mode", 0):
        return [back(kernels.batchnorm_forward(table, gamma, beta, mean=mean, variance=variance, epsilon=epsilon)[0])]
    y, m, v = kernels.batchnorm_forward(table, gamma, beta, epsilon=epsilon)
    keep = a.get("momentum", 0.9)
    return [back(y), mean * keep + m * (1 - keep), variance * keep + v * (1 - keep)]


def layernorm(inputs, a):
    x, gamma, *beta = inputs
    axis = a.get("axis", -1) % x.ndim
    table = np.ascontiguousarray(x.reshape(int(np.prod(x.shape[:axis])), -1))
    offset = beta[0].ravel() if beta else None
    epsilon = a.get("epsilon", 1e-5)
    y, mean, variance = kernels.layernorm_forward(table, gamma.ravel(), offset, epsilon=epsilon)
    shape = (*x.shape[:axis], *[1] * (x.ndim - axis))
    return [y.reshape(x.shape), mean.reshape(shape), (1 / np.sqrt(variance + epsilon)).reshape(shape)]


def gemm(inputs, a):
    x, weight, *bias = inputs
    x = x.T if a.get("transA") else x
    weight = weight.T if a.get("transB") else weight
    product = kernels.dense_forward(x * np.float32(a.get("alpha", 1.0)), weight)
    return [product + np.float32(a.get("beta", 1.0)) * bias[0] if bias else product]


def prelu(inputs, _):
    x, slope = inputs
    wide = np.broadcast_to(slope, x.shape).reshape(1, -1)
    return [kernels.prelu_forward(x.reshape(1, -1), np.ascontiguousarray(wide[0])).reshape(x.shape)]


def adagrad(inputs, a):
    rate, step, *rest = inputs
    n = len(rest) // 3
    found = []
    for x, gradient, total in zip(rest[:n], rest[n : 2 * n], rest[2 * n :], strict=True):
        p, s = x.copy(), total.copy()
        r = float(rate) / (1 + int(step) * a.get("decay_factor", 0.0))
        kernels.adagrad_update(p, gradient, s, r, epsilon=a["epsilon"], l2=a["norm_coefficient"])
        found.append((p, s))
    return [p for p, _ in found] + [s for _, s in found]


def momentum(inputs, a):
    rate, step, *rest = inputs
    n = len(rest) // 3
    found = []
    for x, gradient, velocity in zip(rest[:n], rest[n : 2 * n], rest[2 * n :], strict=True):
        p, v = x.copy(), velocity.copy()
        settings = {"momentum": a["alpha"], "l2": a["norm_coefficient"], "nesterov": a["mode"] == "nesterov"}
        settings["dampening"] = 1 - (a["beta"] if int(step) else 1.0)
        kernels.momentum_update(p, gradient, v, float(rate), **settings)
        found.append((p, v))
    return [p for p, _ in found] + [v for _, v in found]


def activation(name):
    def run(inputs, a):
        alpha = {"elu": 1.0, "leaky_relu": 0.01}.get(name)
        alpha = None if alpha is None else a.get("alpha", alpha)
        return [kernels.activation_forward(inputs[0], name, alpha=alpha)]

    return run


def selu(inputs, a):
    if not a:
        return [kernels.activation_forward(inputs[0], "selu")]
    return [np.float32(a["gamma"]) * kernels.activation_forward(inputs[0], "elu", alpha=a["alpha"])]


RUN = {
    "Adagrad": adagrad,
    "BatchNormalization": batchnorm,
    "Elu": activation("elu"),
    "Gemm": gemm,
    "LayerNormalization": layernorm,
    "LeakyRelu": activation("leaky_relu"),
    "Momentum": momentum,
    "PRelu": prelu,
    "Relu": activation("relu"),
    "Selu": selu,
    "Sigmoid": activation("sigmoid"),
    "Softplus": activation("softplus"),
    "Tanh": activation("tanh"),
}


def test_every_operator_has_cases():
    assert {case.model.graph.node[0].op_type for case in CASES.values()} == OPERATORS


@pytest.mark.parametrize("name", CASES)
def test_node_case(name):
    case = CASES[name]
    node = case.model.graph.node[0]
    a = attributes(node)
    for inputs, outputs in case.data_sets:
        arrays = [np.asarray(x) if isinstance(x, (np.ndarray, np.generic)) else to_array(x) for x in inputs]
        expected = [np.asarray(y) if isinstance(y, (np.ndarray, np.generic)) else to_array(y) for y in outputs]
        for got, wanted in zip(RUN[node.op_type](arrays, a), expected, strict=False):
            np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-6)  # ONNX's own: rtol 1e-3, atol 1e-7
