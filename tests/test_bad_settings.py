"""Settings that make no network, optimizer or kernel call: refused by name, with what was given and needed."""

import numpy as np
import pytest

import gradwell as gw
from gradwell import kernels

A = np.ones((2, 3))
F = np.float32


def cases(error, *rows):
    return [pytest.param(call, error, words, id=f"{i}: {words[0]}") for i, (call, *words) in enumerate(rows)]


def network(*layers, shape=4, **settings):
    return gw.Network(layers, shape, **settings)


VALUES = [
    (lambda: gw.mlp([4]), "[mlp] sizes has 1 numbers", "input and output"),
    (lambda: gw.mlp([4, 0]), "[dense] units is 0", "at least 1"),
    (lambda: gw.mlp([0, 4]), "[network] input_shape is 0", "at least 1"),
    (lambda: gw.mlp([4, 2], "swish"), '[activation] activation is "swish"', "gelu, prelu"),
    (lambda: gw.mlp([4, 2], "relu", alpha=0.1), "[activation] alpha is 0.1 but relu has none", "elu"),
    (lambda: gw.mlp([4, 2], init="xavier"), '[init] init is "xavier"', "glorot"),
    (lambda: gw.mlp([4, 2], dtype="float16"), '[network] dtype is "float16"', "float32, float64"),
    (lambda: gw.mlp([4, 2], dtype=np.int32), '[network] dtype is "int32"', "float32, float64"),
    (lambda: gw.mlp([4, 2], dtype=None), '[network] dtype is "None"', "float32, float64"),
    (lambda: gw.mlp([4, 2], seed=-1), "[network] seed is -1", "at least 0"),
    (network, "[network] layers is empty", "at least one"),
    (lambda: network(gw.Dense(2), shape=()), "[network] input_shape is ()", "at least one"),
    (lambda: network(gw.Dense(2), shape=(3, -1)), "[network] input_shape is -1", "at least 1"),
    (lambda: network(gw.Dense(2), shape=(2**40, 2**40)), "[network] the product", f"at most {2**62}"),
    (lambda: network(gw.Dense(2**70)), f"[dense] units is {2**70}", f"at most {2**62}"),
    (lambda: network(gw.Dense(2**62)), f"[network] 4 x {2**62} numbers", "memory"),
    (lambda: network(gw.Dense(2**40), gw.Dense(2**40)), f"[network] {2**40} x {2**40} numbers", "memory"),
    (lambda: network(gw.Dense(2, name="a"), gw.ReLU(name="a")), "[network] two layers", '"a"', "differ"),
    (lambda: network(gw.Dense(2, name="1"), gw.ReLU()), "[network] two layers", '"1"', "differ"),
    (lambda: network(gw.Activation("swish")), '[network] activation is "swish"', "needs one of"),
    (lambda: network(gw.ELU(0.0)), "[network] alpha is 0", "above 0"),
    (lambda: network(gw.LeakyReLU(-0.1)), "[network] alpha is -0.1", "at least 0"),
    (lambda: gw.ELU(np.nan), "[elu] alpha is nan", "finite"),
    (lambda: gw.Dense(2, name="a.b"), "[layer] name is 'a.b'", "full stop"),
    (lambda: gw.Dense(2, name=""), "[layer] name is ''", "printable"),
    (lambda: gw.Dense(2, name="\ud800"), "[layer] name is '\\ud800'", "printable"),
    (lambda: gw.SGD(-0.1), "[SGD] learning_rate is -0.1", "at least 0"),
    (lambda: gw.SGD(np.nan), "[SGD] learning_rate is nan", "finite"),
    (lambda: gw.SGD(10**400), "[SGD] learning_rate is inf", "finite"),
    (lambda: gw.SGD(0.1, weight_decay=-1), "[SGD] weight_decay is -1", "at least 0"),
    (lambda: gw.SGD(0.1, l2=np.inf), "[SGD] l2 is inf", "finite"),
    (lambda: kernels.activation_forward(A, "swish"), '[activation_forward] activation is "swish"', "gelu"),
    (lambda: kernels.activation_forward(A, "relu", alpha=1), "[activation_forward] alpha is 1", "none"),
    (lambda: kernels.dense_forward(A, A), "[dense_forward] weight has 2 rows", "x has 3 columns"),
    (lambda: kernels.dense_forward(A[0], A.T), "[dense_forward] x has shape (3,)", "2 dimensions"),
    (lambda: kernels.dense_forward(A, A.T, A[0]), "[dense_forward] bias has", "3", "2"),
    (lambda: kernels.dense_backward(A, A, A), "[dense_backward] ", "2", "3"),
    (lambda: kernels.prelu_forward(A, A[:, 0]), "[prelu_forward] slope has", "2", "3"),
    (lambda: kernels.softmax_cross_entropy(A, A[:1]), "[softmax_cross_entropy] ", "(1, 3)", "(2, 3)"),
    (lambda: kernels.quadratic(A, np.array([0, 3])), "[quadratic] ", "class 3", "0 to 2"),
    (lambda: kernels.sgd_update(A, A.T, 0.1), "[sgd_update] gradient has shape (3, 2)", "(2, 3)"),
    (lambda: kernels.sgd_update(A.T, A.T, 0.1), "[sgd_update] parameter is not contiguous", "C-contiguous"),
    (lambda: kernels.sgd_update(A, A, np.nan), "[sgd_update] learning_rate is nan", "finite"),
    (lambda: gw.set_num_threads(0), "[set_num_threads] count is 0", "1 to"),
]
TYPES = [
    (lambda: gw.mlp(4), "[mlp] sizes is of type int", "list"),
    (lambda: gw.mlp([4, 2.5]), "[dense] units is of type float", "int"),
    (lambda: gw.mlp([4, True]), "[dense] units is of type bool", "int"),
    (lambda: gw.mlp(["4", 2]), "[network] input_shape is of type str", "int"),
    (lambda: gw.mlp([4, 2], None), "[activation] activation is of type NoneType", "name"),
    (lambda: gw.mlp([4, 2], seed=1.0), "[network] seed is of type float", "int"),
    (lambda: gw.Network(gw.Dense(2), 4), "[network] layers is of type Dense", "list"),
    (lambda: network("dense"), "[network] layer 0 is of type str", "layer"),
    (lambda: network(gw.Dense), "[network] layer 0 is of type type", "layer"),
    (lambda: gw.Dense(2, "relu"), "[dense] use_bias is of type str", "True or False"),
    (lambda: gw.Dense(2, name=3), "[layer] name is of type int", "str"),
    (lambda: gw.Dense(2, init=3), "[init] init is of type int", "Initializer"),
    (lambda: gw.Activation(3), "[activation] activation is of type int", "name"),
    (lambda: gw.ELU("a"), "[elu] alpha is of type str", "number"),
    (lambda: gw.ELU(True), "[elu] alpha is of type bool", "number"),
    (lambda: gw.SGD("0.1"), "[SGD] learning_rate is of type str", "number"),
    (lambda: gw.SGD(True), "[SGD] learning_rate is of type bool", "number"),
    (lambda: gw.SGD(0.1, weight_decay=None), "[SGD] weight_decay is of type NoneType", "number"),
    (lambda: kernels.exp([1.0]), "[exp] x is of type list", "array"),
    (lambda: kernels.exp(A.astype(int)), "[exp] x has dtype int64", "float32 or float64"),
    (lambda: kernels.tanh(A.astype(">f8")), "[tanh] x has dtype >f8", "float32 or float64"),
    (lambda: kernels.log(A.astype(object)), "[log] x has dtype object", "float32 or float64"),
    (lambda: kernels.dense_forward(A, A.T.astype(F)), "[dense_forward] weight has dtype float32", "float64"),
    (lambda: kernels.gradient_statistics(None), "[gradient_statistics] array is of type NoneType", "array"),
]


@pytest.mark.parametrize(("call", "error", "words"), cases(ValueError, *VALUES) + cases(TypeError, *TYPES))
def test_bad_settings_are_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.startswith(words[0])
    assert all(word in message for word in words[1:]), message
    assert (A == 1).all()


def test_more_parameters_than_memory_are_an_error_and_no_crash():
    with pytest.raises(MemoryError, match=r"^\[network\] the parameters of \[Dense\(units=35184372088832"):
        gw.Network([gw.Dense(2**45)], input_shape=4)  # 2**49 bytes: more than any address space


def test_numpys_scalars_are_numbers():
    assert gw.SGD(np.float32(0.5), weight_decay=np.int64(0)) == gw.SGD(0.5)
    assert gw.ELU(np.float64(0.5)) == gw.ELU(0.5)
    assert gw.Dense(np.uint8(3), use_bias=np.True_) == gw.Dense(3)
