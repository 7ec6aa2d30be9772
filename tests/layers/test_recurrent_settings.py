"""Settings of the recurrent layers: what is refused, by which name; descriptions, files and initial values."""

import json

import numpy as np
import pytest

import gradwell as gw
from gradwell.layers import from_description

KINDS = {"RNN": gw.RNN, "LSTM": gw.LSTM, "GRU": gw.GRU}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": 0}, "units is 0; needs at least 1"),
        ({"units": -3}, "units is -3"),
        ({"units": 2.5}, "units is of type float"),
        ({"units": True}, "units is of type bool"),
        ({"units": "3"}, "units is of type str"),
        ({"units": 2**63}, "units is 9223372036854775808; needs at most"),
        ({"return_sequences": 1}, "return_sequences is of type int"),
        ({"stateful": "yes"}, "stateful is of type str"),
        ({"go_backwards": None}, "go_backwards is of type NoneType"),
        ({"use_bias": 0}, "use_bias is of type int"),
        ({"truncate": 0}, "truncate is 0"),
        ({"truncate": (2, 0)}, "truncate is 0"),
        ({"truncate": (3, 2)}, r"truncate is \(3, 2\); needs k1 <= k2"),
        ({"truncate": (1, 2, 3)}, r"truncate is \(1, 2, 3\); needs None"),
        ({"truncate": "all"}, "truncate is 'all'; needs None"),
        ({"truncate": 1.5}, "truncate is of type float"),
        ({"truncate": True}, "truncate is of type bool"),
        ({"kernel_regularizer": "strong"}, "kernel_regularizer"),
        ({"recurrent_regularizer": object()}, "recurrent_regularizer"),
    ],
    ids=lambda v: str(v)[:40] if isinstance(v, dict) else "",
)
def test_bad_settings_are_refused_by_name(name, settings, message):
    with pytest.raises((ValueError, TypeError), match=rf"\[{name}\] {message}"):
        KINDS[name](**{"units": 3, **settings})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gw.RNN(3, activation="gelu"), r'\[RNN\] activation is "gelu"; needs one of tanh, relu, sigmoid'),
        (lambda: gw.RNN(3, activation=None), r"\[RNN\] activation is"),
        (lambda: gw.RNN(3, activation=["tanh"]), r"\[RNN\] activation is"),
        (lambda: gw.RNN(3, omega=-1), r"\[RNN\] omega is -1"),
        (lambda: gw.RNN(3, omega=np.nan), r"\[RNN\] omega is nan"),
        (lambda: gw.RNN(3, omega="a"), r"\[RNN\] omega is of type str"),
        (lambda: gw.LSTM(3, forget_bias=np.inf), r"\[LSTM\] forget_bias is inf"),
        (lambda: gw.LSTM(3, peephole=1), r"\[LSTM\] peephole is of type int"),
        (lambda: gw.GRU(3, reset_after=1), r"\[GRU\] reset_after is of type int"),
        (lambda: gw.RNN(3, init="unknown"), "unknown"),
        (lambda: gw.Bidirectional(gw.Dense(3)), r"\[Bidirectional\] layer is of type Dense"),
        (lambda: gw.Bidirectional(gw.Bidirectional(gw.RNN(3))), r"\[Bidirectional\] layer is of type Bidirectional"),
        (lambda: gw.Bidirectional(gw.RNN(3, go_backwards=True)), r"\[Bidirectional\] the layer inside"),
        (lambda: gw.Bidirectional(gw.RNN(3, name="a")), r"\[Bidirectional\] the layer inside"),
        (lambda: gw.Embedding(0, 3), r"\[Embedding\] vocabulary is 0"),
        (lambda: gw.Embedding(3, 0), r"\[Embedding\] units is 0"),
        (lambda: gw.Embedding(2**24 + 1, 1), r"\[Embedding\] vocabulary is 16777217"),
        (lambda: gw.Network([gw.RNN(3)], input_shape=(0, 3)), r"\[network\] input_shape is 0"),
        (lambda: gw.Network([gw.RNN(3)], input_shape=(3, 0)), r"\[network\] input_shape is 0"),
        (lambda: gw.Network([gw.RNN(3)], input_shape=4), r"\[network\] input_shape is \(4,\).*\(time, features\)"),
        (lambda: gw.Network([gw.RNN(3)], input_shape=(4, 2, 2)), r"\[network\] input_shape is \(4, 2, 2\)"),
        (lambda: gw.Network([gw.Embedding(3, 2), gw.RNN(3)], (4, 2)), r"input_shape is \(4, 2\).*Embedding.*\(time,\)"),
        (lambda: gw.Network([gw.RNN(3, return_sequences=True), gw.Embedding(3, 2)], (4, 2)), "can only come first"),
        (lambda: gw.Network([gw.RNN(3), gw.Dense(2), gw.GRU(2)], (4, 2)), r"layer 2 is recurrent but reads no seq"),
        (lambda: gw.Network([gw.Residual(gw.RNN(2))], (4, 2)), "branch must give sequences"),
        (lambda: gw.Network([gw.Residual(gw.RNN(3, return_sequences=True))], (4, 2)), "0"),
        (lambda: gw.Network([gw.RNN(2**40)], (4, 2)), r"\[network\]"),
    ],
)
def test_what_else_is_refused(make, message):
    with pytest.raises((ValueError, TypeError, MemoryError), match=message):
        make()


CALLS = {
    "predict": lambda net, x, y, n: net.predict(x, lengths=n),
    "forward": lambda net, x, y, n: net.forward(x, lengths=n),
    "evaluate": lambda net, x, y, n: net.evaluate(x, y, loss="quadratic", lengths=n),
    "gradients": lambda net, x, y, n: gw.gradients(net, x, y, loss="quadratic", lengths=n),
    "fit": lambda net, x, y, n: gw.fit(net, (x, y, n), loss="quadratic", optimizer=gw.SGD(0.1)),
}
each_call = pytest.mark.parametrize("call", CALLS)


@each_call
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1, 2], r"lengths has shape \(2,\) but x has 3 rows; needs \(3,\)"),
        ([[1, 2, 3]], r"lengths has shape \(1, 3\)"),
        (4, r"lengths has shape \(\)"),
        ([1, 2, 5], "lengths has 5 in row 2; needs 0 to 4"),
        ([1, -1, 2], "lengths has -1 in row 1; needs 0 to 4"),
        (np.array([1, 2, 2**64 - 1], np.uint64), "lengths has"),
        ([1.0, 2.0, 3.0], "lengths has dtype float64; needs integers"),
        ([True, True, False], "lengths has dtype bool"),
        (["a", "b", "c"], "lengths has dtype"),
    ],
)
def test_bad_lengths(call, lengths, message):
    net = gw.Network([gw.RNN(3), gw.Dense(2)], input_shape=(4, 2), seed=0)
    with pytest.raises((ValueError, TypeError), match=rf"\[{call}\] {message}"):
        CALLS[call](net, np.ones((3, 4, 2)), np.zeros((3, 2)), lengths)


@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.int64])
def test_good_lengths(kind):
    net = gw.Network([gw.RNN(3)], input_shape=(4, 2), seed=0)
    x, lengths = np.ones((3, 4, 2)), np.array([4, 0, 2], kind)
    np.testing.assert_array_equal(net.predict(x, lengths=lengths), net.predict(x, lengths=[4, 0, 2]))
    strided = np.array([4, 9, 0, 9, 2, 9])[::2]
    np.testing.assert_array_equal(net.predict(x, lengths=strided), net.predict(x, lengths=lengths))
    with pytest.raises(ValueError, match=r"\[predict\] lengths is given but the network reads no sequences"):
        gw.mlp([2, 2]).predict(np.ones((3, 2)), lengths=lengths)


@each_call
@pytest.mark.parametrize("token", [-1, 5, 2**40, 1.5, np.nan, np.inf])
def test_tokens_out_of_range(call, token):
    net = gw.Network([gw.Embedding(5, 3), gw.RNN(3), gw.Dense(2)], input_shape=(4,), seed=0)
    x = np.zeros((3, 4), type(token))
    x[1, 2] = token
    with pytest.raises((ValueError, TypeError), match=rf"\[{call}\] x has"):
        CALLS[call](net, x, np.zeros((3, 2)), None)


def test_a_zero_batch():
    for layers in ([gw.RNN(3)], [gw.Bidirectional(gw.LSTM(3, return_sequences=True)), gw.GRU(3, stateful=True)]):
        net = gw.Network(layers, input_shape=(4, 2), seed=0)
        x = np.zeros((0, 4, 2))
        assert net.predict(x).shape == net.forward(x).shape == (0, 3)
        assert net.predict(x, lengths=np.zeros(0, int)).shape == (0, 3)
        net.forward(np.zeros((2, 4, 2)))
        net.reset_states()
        for call in ("evaluate", "gradients", "fit"):
            with pytest.raises(ValueError, match=rf"\[{call}\] x has no rows"):
                CALLS[call](net, x, np.zeros((0, 3)), None)


SHARED = {"init": "ones", "recurrent_init": gw.initializers.Orthogonal(0.5), "bias_init": "zeros"}
SHARED |= {"kernel_regularizer": gw.L2(0.1), "recurrent_regularizer": gw.L2(0.2), "bias_regularizer": gw.L2(0.3)}
EVERY = {
    "rnn": lambda: gw.RNN(3, True, activation="relu", omega=0.5, name="a", truncate=(2, 3), **SHARED),
    "rnn-plain": lambda: gw.RNN(3, stateful=True, go_backwards=True, use_bias=False),
    "lstm": lambda: gw.LSTM(3, forget_bias=2.0, peephole=True, truncate=2, stateful=True, **SHARED),
    "lstm-norm": lambda: gw.LSTM(3, layer_norm=True, truncate=[2, 2]),
    "gru": lambda: gw.GRU(3, reset_after=False, go_backwards=True, **SHARED),
    "gru-after": lambda: gw.GRU(np.int64(3), truncate=np.int64(2)),
    "both": lambda: gw.Bidirectional(gw.LSTM(3, True, peephole=True, **SHARED), name="b"),
    "convlstm": lambda: gw.ConvLSTM(2, 3, return_sequences=True, forget_bias=0.5, **SHARED),
    "embedding": lambda: gw.Embedding(5, 3, init="ones"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EVERY)
def test_described_and_made_again_and_saved(name, dtype, tmp_path):
    layer = EVERY[name]()
    described = json.loads(json.dumps(layer.describe()))
    assert from_description(described).describe() == layer.describe()
    assert repr(layer).startswith(type(layer).__name__ + "(")
    shape = {"convlstm": (4, 1, 3, 3), "embedding": (4,)}.get(name, (4, 2))
    layers = [layer, gw.GRU(2), gw.Dense(2)] if name == "embedding" else [layer, gw.Flatten(), gw.Dense(2)]
    net = gw.Network(layers, input_shape=shape, seed=0, dtype=dtype)
    x = np.arange(3 * np.prod(shape)).reshape(3, *shape) % 5
    options = {"loss": "softmax_cross_entropy", "optimizer": gw.Adam(0.01), "batch_size": 3, "shuffle": False}
    gw.fit(net, (x, [0, 1, 0]), **options)
    net.save(tmp_path / "net.safetensors")
    loaded = gw.load(tmp_path / "net.safetensors")
    assert loaded.describe() == net.describe()
    assert list(loaded.parameters) == list(net.parameters)
    for other in (loaded, net.copy()):
        np.testing.assert_array_equal(other.predict(x), net.predict(x))
        assert dict(other.states).keys() == dict(net.states).keys()
        np.testing.assert_array_equal(other.forward(x), net.copy().forward(x))
    assert loaded.regularization_loss() == net.regularization_loss()


def zeros(rows, columns, kind=np.float32):
    return np.zeros((rows, columns), kind)


DAMAGE = {
    "no cell": lambda about, tensors: tensors.pop("kept/0.cell"),
    "no state": lambda about, tensors: tensors.pop("kept/0.state"),
    "more rows": lambda about, tensors: tensors.update({"kept/0.cell": zeros(7, 3)}),
    "fewer rows": lambda about, tensors: tensors.update({"kept/0.cell": zeros(2, 3)}),
    "columns": lambda about, tensors: tensors.update({"kept/0.state": zeros(5, 1)}),
    "dimensions": lambda about, tensors: tensors.update({"kept/0.state": np.zeros(15, np.float32)}),
    "dtype": lambda about, tensors: tensors.update({"kept/0.state": zeros(5, 3, np.float64)}),
    "unknown state": lambda about, tensors: tensors.update({"kept/0.other": zeros(5, 3)}),
    "unknown layer": lambda about, tensors: tensors.update({"kept/9.state": zeros(5, 3)}),
    "nameless": lambda about, tensors: tensors.update({"kept/state": zeros(5, 3)}),
    "no shape": lambda about, tensors: about["network"].update(input_shape=[]),
    "no time": lambda about, tensors: about["network"].update(input_shape=[0, 2]),
    "flat": lambda about, tensors: about["network"].update(input_shape=4),
    "shape None": lambda about, tensors: about["network"].update(input_shape=None),
    "units": lambda about, tensors: about["network"]["layers"][0].update(units=2**40),
    "truncate": lambda about, tensors: about["network"]["layers"][0].update(truncate=[5, 2]),
    "regularizer": lambda about, tensors: about["network"]["layers"][0].update(kernel_regularizer=3),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    net = gw.Network([gw.LSTM(3, stateful=True), gw.Dense(2)], input_shape=(4, 2), seed=0)
    net.forward(np.ones((5, 4, 2)))
    net.save(tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="numpy") as content:
        about = json.loads(content.metadata()["gradwell"])
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    DAMAGE[damage](about, tensors)
    save_file(tensors, tmp_path / "bad.safetensors", metadata={"gradwell": json.dumps(about)})
    with pytest.raises(ValueError, match=r"\[load\] .*bad.safetensors: "):
        gw.load(tmp_path / "bad.safetensors")


def test_what_is_made_for_dense_networks_says_so():
    net = gw.Network([gw.RNN(4, return_sequences=True), gw.Dense(5), gw.ReLU(), gw.RNN(3)], input_shape=(6, 2), seed=0)
    with pytest.raises((ValueError, TypeError), match=r"\[initialize\] .*(recurrent|sequence)"):
        gw.initialize(net, "lsuv", data=np.ones((5, 6, 2)))
    with pytest.raises((ValueError, TypeError), match=r"\[forecast\] .*(recurrent|sequence)"):
        gw.forecast(net)


@pytest.mark.parametrize("name", KINDS)
def test_initial_values(name):
    gates, hidden = {"RNN": 1, "LSTM": 4, "GRU": 3}[name], 50
    net = gw.Network([KINDS[name](hidden)], input_shape=(4, 30), seed=0, dtype="float64")
    weight, recurrent, bias = (net.parameters[f"0.{n}"] for n in ("weight", "recurrent_weight", "bias"))
    assert weight.shape == (30, gates * hidden) and recurrent.shape == (hidden, gates * hidden)
    for k in range(gates):
        part = slice(k * hidden, (k + 1) * hidden)
        np.testing.assert_allclose(recurrent[:, part] @ recurrent[:, part].T, np.eye(hidden), atol=1e-12)
        assert weight[:, part].var() == pytest.approx(2 / (30 + hidden), rel=0.1)  # glorot, of the gate by itself
        assert (bias[part] == (name == "LSTM" and k == 1)).all()
    assert len({recurrent[:, k * hidden].tobytes() for k in range(gates)}) == gates
    again = gw.Network([KINDS[name](hidden)], input_shape=(4, 30), seed=0, dtype="float64")
    np.testing.assert_array_equal(again.parameters["0.weight"], weight)
    both = gw.Network([gw.Bidirectional(KINDS[name](hidden))], input_shape=(4, 30), seed=0)
    assert (both.parameters["0.weight"] != both.parameters["0.backward_weight"]).any()
    chosen = KINDS[name](4, init="zeros", recurrent_init="identity", bias_init="ones")
    chosen = gw.Network([chosen], input_shape=(4, 3), seed=0).parameters
    assert (chosen["0.weight"] == 0).all()
    np.testing.assert_array_equal(chosen["0.recurrent_weight"], np.tile(np.eye(4), gates))
    assert set(chosen["0.bias"]) == ({1, 2} if name == "LSTM" else {1})


def test_initial_values_of_the_others():
    lstm = gw.Network([gw.LSTM(3, peephole=True, forget_bias=-2)], input_shape=(4, 2), seed=0).parameters
    assert (lstm["0.peephole"] == 0).all() and lstm["0.bias"].tolist() == [0] * 3 + [-2] * 3 + [0] * 6
    assert "0.bias" not in gw.Network([gw.LSTM(3, use_bias=False)], input_shape=(4, 2)).parameters
    embedding = gw.Network([gw.Embedding(2000, 5), gw.RNN(1)], input_shape=(4,), seed=0).parameters["0.weight"]
    assert abs(embedding.mean()) < 0.05 and embedding.std() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("layers", [[gw.LSTM(3), gw.Dense(2)], [gw.Dense(3), gw.GRU(3), gw.Dense(2)]])
def test_steps_beyond_a_length_may_hold_anything(layers, value):
    rng = np.random.default_rng(0)
    lengths = np.array([4, 1, 0, 3])
    clean = rng.standard_normal((4, 4, 2))
    clean[np.arange(4) >= lengths[:, None]] = 0
    dirty = clean.copy()
    dirty[np.arange(4) >= lengths[:, None]] = value
    y = rng.standard_normal((4, 2))
    ways = []
    for x in (clean, dirty):
        net = gw.Network(layers, (4, 2), seed=0)
        out = net.forward(x, lengths=lengths)
        dx = net.backward(np.ones_like(out))
        loss = net.evaluate(x, y, loss="mean_squared_error", lengths=lengths)["loss"]
        gw.fit(net, (x, y, lengths), loss="mean_squared_error", optimizer=gw.SGD(0.1), epochs=2, batch_size=2)
        ways.append((out, dx, loss, net.predict(x, lengths=lengths)))
    for one, other in zip(*ways, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (ways[1][1][np.arange(4) >= lengths[:, None]] == 0).all()


def test_padding_may_be_no_token():
    net = gw.Network([gw.Embedding(3, 2), gw.RNN(2)], (3,), seed=0)
    x, lengths = np.array([[0, 2, -1], [1, -1, -1]]), [2, 1]
    np.testing.assert_array_equal(net.predict(x, lengths=lengths), net.predict(np.maximum(x, 0), lengths=lengths))
    with pytest.raises(ValueError, match="token -1"):
        net.predict(x)
