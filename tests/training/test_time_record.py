"""The record by step of time: norms against a plain backward pass, gains, memory, and how to ask."""

import json

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import reference

LAYERS = {
    "tanh": lambda **o: gw.RNN(5, activation="tanh", **o),
    "relu": lambda **o: gw.RNN(5, activation="relu", **o),
    "sigmoid": lambda **o: gw.RNN(5, activation="sigmoid", **o),
    "lstm": lambda **o: gw.LSTM(5, **o),
    "peephole": lambda **o: gw.LSTM(5, peephole=True, **o),
    "gru": lambda **o: gw.GRU(5, **o),
    "gru-before": lambda **o: gw.GRU(5, reset_after=False, **o),
}
NAMES = {
    "rnn": ("weight", "recurrent_weight", "bias"),
    "lstm": ("weight", "recurrent_weight", "bias"),
    "gru": ("weight", "recurrent_weight", "bias", "recurrent_bias"),
}
FORWARD = {"rnn": reference.rnn_forward, "lstm": reference.lstm_forward, "gru": reference.gru_forward}
BACKWARD = {"rnn": reference.rnn_backward, "lstm": reference.lstm_backward, "gru": reference.gru_backward}
TIME = 6


def plain_norms(layer, get, x, dy, dh):
    """The record's norms of one layer, one step at a time by the reference; dh is the last state's gradient."""
    arguments = [get(name) for name in NAMES[layer.cell]]
    options = {"activation": layer.activation} if layer.cell == "rnn" else {}
    options = {"reset_after": layer.reset_after} if layer.cell == "gru" else options
    options = {"peephole": get("peephole")} if layer.cell == "lstm" else options
    lstm, time = layer.cell == "lstm", x.shape[1]
    starts, start = [], ()
    for t in range(time):
        starts.append(start)
        start = FORWARD[layer.cell](x[:, t : t + 1], *arguments, *start, **options)[1:]
    zero = np.zeros_like(dh)
    back, found = ((dh, zero) if lstm else (dh,)), {}
    last = True
    for t in range(time - 1, -1, -1):
        size = {"hidden_back": 0.0 if last else np.linalg.norm(back[0])}
        whole = back[0] + (0 if dy is None else dy[:, t])
        size["hidden"] = np.linalg.norm(whole)
        tail = {"dh": whole, "dc": back[1]} if lstm else {"dh": whole}
        result = BACKWARD[layer.cell](zero[:, None], x[:, t : t + 1], *arguments, *starts[t], **tail, **options)
        delta = deltas(layer, get, x[:, t], starts[t], tail, options)
        size |= {gate: np.linalg.norm(part) for gate, part in zip(layer.gates, delta["parts"], strict=True)}
        if lstm:
            size |= {"cell_back": np.linalg.norm(back[1]), "cell": np.linalg.norm(delta["cell"])}
        back, last = result[-2:] if lstm else result[-1:], False
        for name, value in size.items():
            found.setdefault(name, np.zeros(time))[t] = value
    return found


def deltas(layer, get, x, start, tail, options):
    """dC/d(pre-activations) of a step, by a bias of each sample's own, and dC/dc."""
    hidden = layer.units
    wide = get("bias").size
    found, cells = np.zeros((len(x), wide)), np.zeros((len(x), hidden))
    for b in range(len(x)):
        arguments = [get(name) for name in NAMES[layer.cell]]
        own = [state[b : b + 1] for state in start]
        result = BACKWARD[layer.cell](
            np.zeros((1, 1, hidden)),
            x[b : b + 1, None],
            *arguments,
            *own,
            **{key: value[b : b + 1] for key, value in tail.items()},
            **options,
        )
        found[b] = result[3]  # dbias of one sample is its delta
        if layer.cell == "lstm":
            state = own or [np.zeros((1, hidden))] * 2
            z = x[b] @ get("weight") + state[0][0] @ get("recurrent_weight") + get("bias")
            i, f, g, o = np.split(z, 4)
            p = get("peephole") if get("peephole") is not None else np.zeros((3, hidden))
            old = state[1][0]
            c = reference.sigmoid(f + p[1] * old) * old + reference.sigmoid(i + p[0] * old) * np.tanh(g)
            out = o + p[2] * c
            do = found[b, 3 * hidden :]
            cells[b] = tail["dc"][b] + tail["dh"][b] * reference.sigmoid(out) * (1 - np.tanh(c) ** 2) + p[2] * do
    return {"parts": np.split(found, len(layer.gates), axis=1), "cell": cells}


def made(name, sequences, backwards=False, scale=1.0):
    """A network, its samples and the plain norms of its only layer, by quadratic loss."""
    layer = LAYERS[name](return_sequences=sequences, go_backwards=backwards)
    net = gw.Network([layer], input_shape=(TIME, 2), seed=1, dtype="float64")
    rng = np.random.default_rng(0)
    for view in net.parameters.values():
        view[...] += 0.3 * rng.standard_normal(view.shape)
    x = rng.standard_normal((4, TIME, 2))
    out = net.predict(x)
    target = out - scale * rng.standard_normal(out.shape)
    return net, x, target, (out - target) / (4 * (TIME if sequences else 1))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_every_quantity_is_that_of_a_plain_backward_pass(name, sequences, backwards):
    net, x, y, dy = made(name, sequences, backwards)
    time = gw.gradients(net, x, y, loss="quadratic").time(0)
    get = {key[2:]: np.array(view) for key, view in net.parameters.items()}.get
    way = slice(None, None, -1 if backwards else 1)
    steps = dy[:, way] if sequences else None
    expected = plain_norms(net.layers[0], get, x[:, way], steps, np.zeros((4, 5)) if sequences else dy)
    assert set(expected) == set(time.quantities)
    for quantity in time.quantities:
        assert_close(time.norm(quantity)[0, way], expected[quantity], relative=1e-9, reason=f"float64: {quantity}")


@pytest.mark.parametrize("name", LAYERS)
def test_padded_steps_have_no_gradient(name):
    net, x, y, _ = made(name, sequences=False)
    time = gw.gradients(net, x, y, loss="quadratic", lengths=np.array([2, 4, 0, 1])).time()
    for gate in net.layers[0].gates:
        assert (time.norm(gate)[0, 4:] == 0).all()
        assert (time.norm(gate)[0, 1:4] > 0).all()


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_around_1e_200(name):
    """Squares of 1e-200 are below what float64 holds: norms must not be made of them."""
    net = gw.Network([LAYERS[name](), gw.Dense(1)], input_shape=(TIME, 2), seed=1, dtype="float64")
    x, found = np.random.default_rng(0).standard_normal((4, TIME, 2)), []
    for scale in (1.0, 2.0**-665):
        net.parameters["1.weight"][...] = scale * np.arange(1.0, 6.0)[:, None]
        found.append(gw.gradients(net, x, net.predict(x) - 1, loss="quadratic").time(0))
    large, small = found
    for quantity in large.quantities:
        assert_close(small.norm(quantity), large.norm(quantity) * 2.0**-665, relative=1e-9, reason="linear")
    assert (small.norm()[0, :] > 0).all() and small.norm().max() < 1e-198
    assert_close(small.gain(), large.gain(), relative=1e-9, reason="scale does not matter")


@pytest.mark.parametrize("name", LAYERS)
def test_parts_of_the_gain_at_1e_200(name):
    net = gw.Network([LAYERS[name](), gw.Dense(1)], input_shape=(TIME, 2), seed=1, dtype="float64")
    x, found = np.random.default_rng(0).standard_normal((4, TIME, 2)), []
    for scale in (1.0, 2.0**-665):
        net.parameters["1.weight"][...] = scale * np.arange(1.0, 6.0)[:, None]
        found.append(gw.gradients(net, x, net.predict(x) - 1, loss="quadratic").time(0))
    for part in ("weight", "derivative", "cell"):
        reason = f"{part}: scale does not matter"
        assert_close(found[1].gain(part), found[0].gain(part), relative=1e-9, reason=reason)


@pytest.mark.parametrize("name", LAYERS)
def test_float32_gradients_around_1e_30(name):
    net = gw.Network([LAYERS[name](), gw.Dense(1)], input_shape=(TIME, 2), seed=1)
    x, found = np.random.default_rng(0).standard_normal((4, TIME, 2)).astype(np.float32), []
    for scale in (1.0, 2.0**-100):
        net.parameters["1.weight"][...] = scale * np.arange(1.0, 6.0)[:, None]
        found.append(gw.gradients(net, x, net.predict(x) - 1, loss="quadratic").time(0))
    large, small = found
    for quantity in large.quantities:
        expected = large.norm(quantity) * 2.0**-100
        assert_close(small.norm(quantity), expected, relative=1e-5, reason="linear, but for a rounding of y - 1")


def test_omega_of_gradients_around_1e_200():
    net = gw.Network([gw.RNN(5, omega=1.0), gw.Dense(1)], input_shape=(TIME, 2), seed=1, dtype="float64")
    x, found = np.random.default_rng(0).standard_normal((4, TIME, 2)), []
    for scale in (1.0, 2.0**-665):
        net.parameters["1.weight"][...] = scale
        found.append(gw.gradients(net, x, net.predict(x) - 1, loss="quadratic").time(0).omega)
    assert_close(found[1], found[0], relative=1e-9, reason="a sum of quotients")


@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid"])
def test_parts_of_the_gain_multiply(name):
    net, x, y, _ = made(name, sequences=True)
    time = gw.gradients(net, x, y, loss="quadratic").time()
    whole, parts = time.gain(), time.gain("weight") * time.gain("derivative")
    assert whole.shape == (1, TIME) and np.isnan(whole[:, 0]).all()
    assert_close(parts[:, 1:], whole[:, 1:], relative=1e-12, reason="a product of two quotients")
    assert np.isnan(time.gain("cell")).all()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("factor", [0.9, 0.5, 1.0])
def test_memory_of_a_linear_cell_is_the_closed_form(factor, backwards):
    layer = gw.RNN(4, activation="relu", init="ones", go_backwards=backwards)
    net = gw.Network([layer], input_shape=(60, 1), seed=0, dtype="float64")
    net.parameters["0.recurrent_weight"][...] = factor * np.eye(4)
    x = np.random.default_rng(0).uniform(0.1, 1, (3, 60, 1))
    time = gw.gradients(net, x, np.zeros((3, 4)), loss="quadratic").time()
    gains = time.gain()[0, :-1] if backwards else time.gain()[0, 1:]
    assert_close(gains, [factor] * 59, relative=1e-9, reason="one product a step")
    for fraction in (np.exp(-1.0), 0.01, 0.5001):
        steps = np.ceil(np.log(fraction) / np.log(factor)) if factor < 1 else np.inf
        assert time.memory(fraction)[0] == (steps if steps <= 59 else np.inf)
    for fraction in (0, 1, -0.5, 2):
        with pytest.raises(ValueError, match=r"\[time\] fraction is"):
            time.memory(fraction)


def test_both_directions_and_named_errors():
    layers = [gw.Bidirectional(gw.LSTM(3, return_sequences=True), name="both"), gw.GRU(2, name="end"), gw.Dense(2)]
    net = gw.Network(layers, input_shape=(5, 2), seed=0)
    record = gw.gradients(net, np.ones((3, 5, 2)), np.zeros(3, int), loss="quadratic")
    assert record.time("both").norm("cell").shape == (1, 5)
    back = record.time("both", "backward")
    assert back.backward and np.isnan(back.gain()[0, 4]) and not np.isnan(back.gain()[0, :4]).any()
    for call, message in [
        (record.time, "several recurrent layers; needs one of both, end"),
        (lambda: record.time(2), r"\[record\] layer 2 is .*; needs a recurrent one"),
        (lambda: record.time("other"), r"\[record\] layer is 'other'"),
        (lambda: record.time("end", "backward"), r'\[record\] direction is "backward"; needs one of forward'),
        (lambda: record.time("both", "up"), r'direction is "up"; needs one of forward, backward'),
        (lambda: record.time("end").norm("cell"), r'\[time\] quantity is "cell"; needs one of hidden'),
        (lambda: record.time("end").gain("skip"), r'\[time\] part is "skip"; needs one of total'),
        (lambda: gw.gradients(gw.mlp([2, 2]), [[1, 2]], [0], loss="quadratic").time(), "there is no recurrent layer"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("name", LAYERS)
def test_a_fit_records_what_gradients_would_and_tells_it(name, rng):
    x, y = rng.normal(size=(8, TIME, 2)), rng.integers(0, 2, 8)
    net = gw.Network([LAYERS[name](), gw.Dense(2)], input_shape=(TIME, 2), seed=0, dtype="float64")
    once = gw.gradients(net, x, y, loss="quadratic").time()
    plan = {"loss": "quadratic", "optimizer": gw.SGD(0.1), "batch_size": 8, "shuffle": False, "epochs": 4}
    record = gw.fit(net, (x, y), stats=True, **plan).gradients
    time = record.time()
    assert len(time) == 4 and time.steps.tolist() == [0, 1, 2, 3]
    for quantity in time.quantities:
        np.testing.assert_array_equal(time.norm(quantity)[0], once.norm(quantity)[0])
    found = json.loads(json.dumps(time.to_dict(), allow_nan=False))
    assert found["layer"] == "0" and len(found["hidden"]) == 4
    assert json.loads(json.dumps(record.to_dict(), allow_nan=False))["time"] == [found]
    assert "4 records of 6 steps" in repr(time)
    plt = pytest.importorskip("matplotlib.pyplot")
    for drawn in (time, once):
        axes = drawn.plot()
        axes.figure.canvas.draw()
        assert axes.get_xlabel() == "step of the sequence"
        plt.close(axes.figure)


def test_without_records(rng):
    net = gw.Network([gw.RNN(3), gw.Dense(2)], input_shape=(TIME, 2), seed=0)
    plan = {"loss": "quadratic", "optimizer": gw.SGD(0.1), "stats": False}
    record = gw.fit(net, (rng.normal(size=(8, TIME, 2)), rng.integers(0, 2, 8)), **plan).gradients
    assert len(record) == 0
    empty = record.time()
    assert len(record.to_dict()["time"]) == 1
    with pytest.raises(ValueError, match="nothing to plot"):
        empty.plot()
    assert empty.norm().shape == (0, TIME) and empty.memory().shape == (0,)
