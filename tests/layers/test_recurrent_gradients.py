"""Networks with recurrent layers: outputs and every gradient against complex steps of a plain network."""

import numpy as np
import plain
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import reference
from gradwell.layers import recurrent_of

TINY = 1e-30
NEAR = {"relative": 1e-9, "reason": "float64, sums over steps and sequences of either sign"}
STATE = {"rnn": ("weight", "recurrent_weight", "bias"), "lstm": ("weight", "recurrent_weight", "bias")}
STATE["gru"] = (*STATE["rnn"], "recurrent_bias")
CELLS = {
    "tanh": (gw.RNN, {"activation": "tanh"}),
    "relu": (gw.RNN, {"activation": "relu"}),
    "sigmoid": (gw.RNN, {"activation": "sigmoid"}),
    "lstm": (gw.LSTM, {}),
    "peephole": (gw.LSTM, {"peephole": True}),
    "gru": (gw.GRU, {}),
    "gru-before": (gw.GRU, {"reset_after": False}),
}
TRUNCATED = ["tanh", "lstm", "peephole", "gru", "gru-before"]
each_cell = pytest.mark.parametrize(("kind", "settings"), CELLS.values(), ids=CELLS)


def options_of(layer, get):
    if layer.cell == "lstm":
        return {"peephole": get("peephole")}
    return {"activation": layer.activation} if layer.cell == "rnn" else {"reset_after": layer.reset_after}


def recur(layer, get, x, lengths, reverse, start=()):
    """Outputs and last states of one direction."""
    options = {"lengths": lengths, "reverse": reverse, **options_of(layer, get)}
    step = {"rnn": reference.rnn_forward, "lstm": reference.lstm_forward, "gru": reference.gru_forward}[layer.cell]
    return step(x, *(get(name) for name in STATE[layer.cell]), *start, **options)


def forward(layers, parameters, x, lengths=None, prefix=""):
    if not prefix and lengths is not None:  # the network reads zeros beyond a length
        x = np.where(beyond(lengths, x.shape[1]).reshape(*x.shape[:2], *[1] * (x.ndim - 2)), 0, x)
    for i, layer in enumerate(layers):
        name = f"{prefix}{layer.name or i}"
        own = {k.rsplit(".", 1)[1]: value for k, value in parameters.items() if k.rsplit(".", 1)[0] == name}
        inner = recurrent_of(layer)
        if inner is not None:
            found = [recur(inner, own.get, x, lengths, inner.go_backwards)]
            if isinstance(layer, gw.Bidirectional):
                found.append(recur(inner, lambda key, own=own: own.get(f"backward_{key}"), x, lengths, True))
            x = np.concatenate([way[0 if inner.return_sequences else 1] for way in found], axis=-1)
        elif isinstance(layer, gw.Embedding):
            x = own["weight"][np.asarray(x).real.astype(int)]
        elif isinstance(layer, gw.Flatten):
            x = x.reshape(len(x), -1)
        elif isinstance(layer, gw.Residual):
            x = x + layer.scale * forward(layer.layers, parameters, x, lengths, f"{name}.")
        else:
            flat = plain.forward([layer], {f"0.{k}": v for k, v in own.items()}, x.reshape(-1, x.shape[-1]))
            x = flat.reshape(*x.shape[:-1], -1)
    return x


def steps(cost, value):
    """The derivative of cost by every element of value."""
    found, point = np.zeros(value.shape), value.astype(complex)
    for at in np.ndindex(value.shape):
        point[at] += 1j * TINY
        found[at] = cost(point).imag / TINY
        point[at] = value[at]
    return found


def network(layers, shape):
    net = gw.Network(layers, input_shape=shape, seed=3, dtype="float64")
    rng = np.random.default_rng(5)
    for view in net.parameters.values():
        view[...] += 0.3 * rng.standard_normal(view.shape)
    return net


def near(actual, expected):
    assert_close(actual, expected, **NEAR, floor=1e-3 * np.abs(expected).max(initial=0))


def check(net, x, lengths=None):
    """Outputs, gradients and dx of a network, padded steps among them."""
    parameters = {name: np.array(view) for name, view in net.parameters.items()}
    predicted = net.predict(x, lengths=lengths)
    y = net.forward(x, lengths=lengths)
    near(y, forward(net.layers, parameters, x, lengths))
    if not any(isinstance(layer, gw.BatchNorm) for layer in net.layers):
        np.testing.assert_array_equal(predicted, y)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx = net.backward(dy)
    for name, value in parameters.items():

        def cost(changed, name=name):
            return (forward(net.layers, {**parameters, name: changed}, x, lengths) * dy).sum()

        near(net.gradients[name], steps(cost, value))
    if not isinstance(net.layers[0], gw.Embedding):
        near(dx, steps(lambda at: (forward(net.layers, parameters, at, lengths) * dy).sum(), x))
    return y, dx


def samples(ragged, time=4, features=2):
    x = np.random.default_rng(0).standard_normal((4, time, features))
    lengths = np.array([time, 0, 1, time - 1]) if ragged else None
    if ragged:
        x[beyond(lengths, time)] = 1e3
    return x, lengths


def beyond(lengths, time):
    return np.arange(time) >= lengths[:, None]


@each_cell
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("way", ["forward", "backwards", "both"])
@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
def test_one_layer(kind, settings, sequences, way, ragged):
    layer = kind(3, return_sequences=sequences, go_backwards=way == "backwards", **settings)
    net = network([gw.Bidirectional(layer) if way == "both" else layer], (4, 2))
    x, lengths = samples(ragged)
    y, dx = check(net, x, lengths)
    if ragged:
        assert (dx[beyond(lengths, 4)] == 0).all()
        assert (y[beyond(lengths, 4)] == 0).all() if sequences else (y[1] == 0).all()


@each_cell
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("hidden", "features", "batch"), [(1, 1, 1), (17, 3, 9), (33, 70, 19)])
def test_wider_layers(kind, settings, bias, hidden, features, batch):
    net = network([kind(hidden, use_bias=bias, return_sequences=True, **settings)], (6, features))
    rng = np.random.default_rng(2)
    x, lengths = rng.standard_normal((batch, 6, features)), rng.integers(0, 7, batch)
    dy = rng.standard_normal((batch, 6, hidden))
    layer, get = net.layers[0], {name[2:]: np.array(view) for name, view in net.parameters.items()}.get
    near(net.forward(x, lengths=lengths), recur(layer, get, x, lengths, False)[0])
    dx = net.backward(dy)
    options = {"lengths": lengths, **options_of(layer, get)}
    back = {"rnn": reference.rnn_backward, "lstm": reference.lstm_backward, "gru": reference.gru_backward}[layer.cell]
    expected = back(dy, x, *(get(name) for name in STATE[layer.cell]), **options)
    near(dx, expected[0])
    for name, value in zip((*STATE[layer.cell], "peephole"), expected[1:], strict=False):
        if f"0.{name}" in net.gradients:
            near(net.gradients[f"0.{name}"], value)


STACKS = {
    "stacked": ([gw.RNN(3, return_sequences=True), gw.LSTM(2, return_sequences=True), gw.GRU(3), gw.Dense(2)], (4, 2)),
    "dense-first": ([gw.Dense(3), gw.Tanh(), gw.LSTM(3, return_sequences=True), gw.Dense(2)], (4, 2)),
    "dense-between": ([gw.GRU(3, return_sequences=True), gw.Dense(4), gw.ReLU(), gw.RNN(2)], (4, 2)),
    "layernorm": ([gw.RNN(4, return_sequences=True), gw.LayerNorm(), gw.GRU(3, return_sequences=True)], (4, 2)),
    "prelu": ([gw.LSTM(3, return_sequences=True), gw.Dense(4), gw.PReLU(), gw.PReLU(), gw.GRU(2)], (4, 2)),
    "batchnorm": ([gw.BatchNorm(), gw.RNN(3, return_sequences=True), gw.BatchNorm(), gw.Tanh(), gw.GRU(2)], (4, 2)),
    "activation": ([gw.RNN(3, return_sequences=True), gw.Sigmoid(), gw.RNN(3), gw.Tanh(), gw.Dense(2)], (4, 2)),
    "residual": ([gw.Dense(3), gw.Residual(gw.LSTM(3, return_sequences=True), scale=0.5), gw.GRU(2)], (4, 2)),
    "residual-deep": (
        [gw.Residual(gw.RNN(3, return_sequences=True), gw.Tanh(), gw.Dense(2)), gw.RNN(3, return_sequences=True)],
        (4, 2),
    ),
    "both": ([gw.Bidirectional(gw.LSTM(2, return_sequences=True)), gw.Bidirectional(gw.GRU(2)), gw.Dense(2)], (4, 2)),
    "flatten": ([gw.GRU(3, return_sequences=True), gw.Flatten(), gw.Dense(2)], (4, 2)),
    "one-step": ([gw.LSTM(3, return_sequences=True), gw.Dense(2)], (1, 2)),
}
TOKENS = {
    "embedding": [gw.Embedding(5, 3), gw.LSTM(3), gw.Dense(2)],
    "embedding-both": [gw.Embedding(5, 2), gw.Bidirectional(gw.GRU(2, return_sequences=True)), gw.Dense(2)],
    "embedding-flatten": [gw.Embedding(5, 2), gw.RNN(3, return_sequences=True), gw.Flatten(), gw.Dense(2)],
    "embedding-residual": [gw.Embedding(5, 3), gw.Residual(gw.GRU(3, return_sequences=True)), gw.RNN(2)],
}
each_length = pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])


@each_length
@pytest.mark.parametrize(("layers", "shape"), STACKS.values(), ids=STACKS)
def test_stacks(layers, shape, ragged):
    x, lengths = samples(ragged, *shape)
    check(network(layers, shape), x, lengths)


@each_length
@pytest.mark.parametrize("layers", TOKENS.values(), ids=TOKENS)
def test_tokens(layers, ragged):
    x = np.array([[0, 4, 4, 1], [2, 0, 1, 1], [1, 1, 1, 1], [2, 2, 0, 2]])  # token 3 occurs nowhere
    net = network(layers, (4,))
    check(net, x, np.array([4, 0, 1, 3]) if ragged else None)
    assert (net.gradients["0.weight"][3] == 0).all()


LOSSES = ["softmax_cross_entropy", "sigmoid_cross_entropy", "quadratic", "mean_squared_error"]


@each_length
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [False, True], ids=["values", "classes"])
def test_losses_are_means_over_the_steps_that_take_part(loss, classes, ragged):
    net = network([gw.RNN(3, return_sequences=True), gw.GRU(3, return_sequences=True)], (4, 2))
    x, lengths = samples(ragged)
    rng = np.random.default_rng(7)
    y = rng.integers(0, 3, (4, 4)) if classes else rng.uniform(size=(4, 4, 3))
    within = np.ones((4, 4), bool)
    if ragged:
        within = ~beyond(lengths, 4)
        y[~within] = -7 if classes else np.nan
    record = gw.gradients(net, x, y, loss=loss, lengths=lengths)
    found, parameters = ({k: np.array(v) for k, v in of.items()} for of in (net.gradients, net.parameters))

    def cost(changed):
        out = forward(net.layers, {**parameters, **changed}, x, lengths)[within]
        return getattr(reference, loss)(out, y[within])[0]

    assert record.loss == pytest.approx(cost({}), rel=1e-12)
    evaluated = net.evaluate(x, y, loss=loss, lengths=lengths, batch_size=3)
    assert evaluated["loss"] == pytest.approx(cost({}), rel=1e-12)
    if classes and loss == "softmax_cross_entropy":
        right = net.predict(x, lengths=lengths).argmax(axis=-1) == y
        assert evaluated["accuracy"] == right[within].mean()
    for name, value in parameters.items():
        near(found[name], steps(lambda changed, name=name: cost({name: changed}), value))


@pytest.mark.parametrize(("kind", "settings"), [CELLS[k] for k in TRUNCATED], ids=TRUNCATED)
@each_length
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("truncate", [(2, 2), (3, 3), (2, 3), (1, 4), (3, 5), (9, 9)], ids=str)
def test_truncated(kind, settings, truncate, sequences, ragged):
    time = 7
    net = network([kind(3, return_sequences=sequences, truncate=truncate, **settings)], (time, 2))
    layer, values = net.layers[0], {name[2:]: np.array(view) for name, view in net.parameters.items()}
    x, lengths = samples(ragged, time)
    lengths_ = np.full(4, time) if lengths is None else lengths
    dy = np.random.default_rng(1).standard_normal(net.forward(x, lengths=lengths).shape)
    dx = net.backward(dy)
    windows = []
    for first in range(0, time, truncate[0]):
        end = min(first + truncate[0], time)
        begin = first if truncate[0] == truncate[1] else max(0, end - truncate[1])
        start = recur(layer, values.get, x[:, :begin], np.minimum(lengths_, begin), False)[1:]
        windows.append((begin, first, end, start))

    def cost(changed=None, at=x):
        total = 0
        for begin, first, end, start in windows:
            here = np.clip(lengths_ - begin, 0, end - begin)
            get = {**values, **(changed or {})}.get
            y, h, *_ = recur(layer, get, at[:, begin:end], here, False, start)
            if sequences:
                total += (y[:, first - begin :] * dy[:, first:end]).sum()
            else:
                ends = (lengths_ > first) & (lengths_ <= end)
                total += (h * dy)[ends].sum()
        return total

    for name, value in values.items():
        near(net.gradients[f"0.{name}"], steps(lambda changed, name=name: cost({name: changed}), value))
    near(dx, steps(lambda at: cost(at=at), x))


def test_a_sequence_of_one_step_that_does_not_take_part():
    """Of outputs (batch, 1, units) too, steps beyond a length cost nothing."""
    net = network([gw.RNN(3, return_sequences=True)], (1, 2))
    x, y, lengths = np.random.default_rng(0).standard_normal((3, 1, 2)), np.array([[1], [2], [0]]), np.array([1, 0, 1])
    here = lengths == 1
    expected = gw.gradients(net, x[here], y[here], loss="softmax_cross_entropy").loss
    alone = {name: np.array(view) for name, view in net.gradients.items()}
    record = gw.gradients(net, x, y, loss="softmax_cross_entropy", lengths=lengths)
    assert record.loss == pytest.approx(expected, rel=1e-12)
    evaluated = net.evaluate(x, y, loss="softmax_cross_entropy", lengths=lengths)
    assert evaluated["loss"] == pytest.approx(expected, rel=1e-12)
    for name, value in alone.items():
        near(net.gradients[name], value)


@each_length
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_omega(activation, ragged):
    weight, time = 0.7, 5
    layers = [[gw.RNN(4, activation=activation, omega=omega), gw.Dense(2)] for omega in (weight, 0)]
    x, lengths = samples(ragged, time)
    y, found = np.array([0, 1, 1, 0]), []
    for net in (network(stack, (time, 2)) for stack in layers):
        record = gw.gradients(net, x, y, loss="softmax_cross_entropy", lengths=lengths)
        found.append({name: np.array(view) for name, view in net.gradients.items()})
        found[-1]["value"] = record.time().omega
    p = {name: np.array(view) for name, view in net.parameters.items()}
    u = p["0.recurrent_weight"]
    ends = np.full(4, time) if lengths is None else lengths
    out = forward(net.layers, p, x, lengths)
    dh_last = reference.softmax_cross_entropy(out, y)[1] @ p["1.weight"].T
    pairs = []
    for b, length in enumerate(ends):
        h, slopes = np.zeros(4), []
        for t in range(length):
            z = x[b, t] @ p["0.weight"] + h @ u + p["0.bias"]
            h = reference.activation_forward(z, activation)
            slopes.append(reference.activation_derivative(z, activation))
        dh = dh_last[b]
        for t in range(length - 1, 0, -1):
            delta = dh * slopes[t]
            pairs += [(delta, slopes[t - 1])] if delta.any() else []
            dh = delta @ u.T

    def formula(at):
        terms = [((((d @ at.T) * f) ** 2).sum() / (d @ d) - 1) ** 2 for d, f in pairs]
        return sum(terms) / len(terms)

    assert np.isnan(found[1].pop("value")).all()
    assert found[0].pop("value") == pytest.approx([formula(u)], rel=1e-10)
    change = {name: found[0][name] - found[1][name] for name in found[1]}
    expected = weight * steps(formula, u)
    assert_close(change.pop("0.recurrent_weight"), expected, relative=1e-9, floor=1e-3, reason="a difference")
    assert not any(value.any() for value in change.values()), "only U is changed"
