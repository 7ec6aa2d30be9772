"""Networks with recurrent layers: on a GPU they compute, and learn, what they do on the CPU."""

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw

CELLS = {
    "tanh": (gw.RNN, {"activation": "tanh"}),
    "relu": (gw.RNN, {"activation": "relu"}),
    "sigmoid": (gw.RNN, {"activation": "sigmoid"}),
    "lstm": (gw.LSTM, {}),
    "peephole": (gw.LSTM, {"peephole": True}),
    "gru": (gw.GRU, {}),
    "gru-before": (gw.GRU, {"reset_after": False}),
}
# Of float64 the largest whose weights fit into a block of any GPU, and one that goes step by step on all.
WIDE = {"rnn": (120, 300), "lstm": (60, 200), "gru": (70, 200)}
TIME, FEATURES = 12, 4
each_cell = pytest.mark.parametrize("cell", CELLS)
each_way = pytest.mark.parametrize("way", ["forward", "backwards", "both"])


@pytest.fixture(autouse=True)
def gpu():
    found = gw.cuda_info()
    if not found["available"]:
        pytest.skip(f"no GPU: {found['reason']}")


def layer_of(cell, units, way="forward", **settings):
    kind, own = CELLS[cell]
    layer = kind(units, go_backwards=way == "backwards", **own, **settings)
    return gw.Bidirectional(layer) if way == "both" else layer


def pair(layers, shape=(TIME, FEATURES), dtype="float64"):
    """The same network on the CPU and on the GPU, none of its parameters 0."""
    nets = [gw.Network(layers, input_shape=shape, seed=0, dtype=dtype) for _ in range(2)]
    for net in nets:
        rng = np.random.default_rng(5)
        for view in net.parameters.values():
            view[...] += 0.05 * rng.standard_normal(view.shape).astype(dtype)
    nets[1].to("cuda")
    return nets


def samples(batch=7, ragged=False, dtype="float64"):
    x = np.random.default_rng(1).standard_normal((batch, TIME, FEATURES)).astype(dtype)
    lengths = np.random.default_rng(2).integers(0, TIME + 1, batch) if ragged else None
    if ragged:
        lengths[0] = TIME
        lengths[1:2] = 0
    return x, lengths


def near(actual, expected, dtype="float64"):
    relative = {"float64": 1e-10, "float32": 1e-3}[dtype]
    floor = 1e-2 * np.abs(expected).max(initial=0)
    assert_close(actual, expected, relative=relative, floor=floor, reason="sums of another order, step after step")


def check_pass(nets, x, lengths=None):
    """Outputs, the input's gradient and those of all parameters."""
    dtype = x.dtype.name
    predicted = nets[1].predict(x, lengths=lengths)
    expected, found = (net.forward(x, lengths=lengths) for net in nets)
    near(found, expected, dtype)
    near(predicted, expected, dtype)
    dy = np.random.default_rng(3).standard_normal(expected.shape).astype(dtype)
    expected, found = (net.backward(dy) for net in nets)
    near(found, expected, dtype)
    for name, gradient in nets[0].gradients.items():
        near(nets[1].gradients[name], gradient, dtype)


@each_cell
@each_way
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
def test_forward_and_backward(cell, way, sequences, ragged):
    nets = pair([layer_of(cell, 8, way, return_sequences=sequences), gw.Dense(3)])
    check_pass(nets, *samples(ragged=ragged))


@each_cell
@pytest.mark.parametrize("large", [False, True], ids=["in-one-launch", "step-by-step"])
def test_both_ways_through_time(cell, large):
    units = WIDE[CELLS[cell][0].cell][large]
    nets = pair([layer_of(cell, units, return_sequences=True), layer_of(cell, 5)])
    check_pass(nets, *samples(ragged=True))


@each_cell
@pytest.mark.parametrize("units", [1, 7, 33])
@pytest.mark.parametrize("batch", [1, 300, 700])
def test_any_batch_in_float32(cell, units, batch):
    """Blocks take one sequence, two or four, and the last of them fewer."""
    nets = pair([layer_of(cell, units, return_sequences=True)], dtype="float32")
    check_pass(nets, *samples(batch, ragged=True, dtype="float32"))


@each_cell
@each_way
def test_no_bias(cell, way):
    check_pass(pair([layer_of(cell, 6, way, use_bias=False)]), *samples())


@each_cell
def test_a_smaller_batch_after_a_larger_one(cell):
    nets = pair([layer_of(cell, 8, return_sequences=True)])
    for batch in (7, 3, 7):
        check_pass(nets, *samples(batch, ragged=True))


@each_cell
@each_way
@pytest.mark.parametrize("units", [8, 300])
def test_the_record_by_step_of_time(cell, way, units):
    nets = pair([layer_of(cell, units, way), gw.Dense(3)])
    x, lengths = samples(ragged=True)
    y = np.random.default_rng(4).standard_normal((len(x), 3))
    expected, found = (gw.gradients(net, x, y, loss="quadratic", lengths=lengths) for net in nets)
    near(found.norm("error"), expected.norm("error"))
    for direction in ("forward", "backward") if way == "both" else ("forward",):
        times = [record.time(0, direction) if way == "both" else record.time(0) for record in (found, expected)]
        for quantity in times[1].quantities:
            near(*(time.norm(quantity) for time in times))
    for name, gradient in nets[0].gradients.items():
        near(nets[1].gradients[name], gradient)


@each_cell
def test_gradients_around_1e_200(cell):
    """Squares of 1e-200 are below what float64 holds: norms must not be made of them."""
    nets = pair([layer_of(cell, 8), gw.Dense(3)])
    x, _ = samples()
    times = []
    for net in nets:
        net.parameters["1.weight"][...] *= 1e-200
        times.append(gw.gradients(net, x, net.predict(x) - 1, loss="quadratic").time(0))
    for quantity in times[0].quantities:
        near(times[1].norm(quantity), times[0].norm(quantity))
        assert (times[1].norm(quantity)[:, -1] >= 0).all()
    assert (times[1].norm("hidden") > 1e-220).any()


@each_cell
def test_training(cell):
    nets = pair([layer_of(cell, 8, "both", return_sequences=True), layer_of(cell, 6), gw.Dense(3)])
    x, lengths = samples(40, ragged=True)
    y = np.random.default_rng(4).integers(0, 3, len(x))
    settings = {"loss": "softmax_cross_entropy", "optimizer": gw.Adam(0.01), "batch_size": 16, "epochs": 3, "seed": 0}
    histories = [gw.fit(net, (x, y, lengths), stats=True, **settings) for net in nets]
    near(histories[1].loss, histories[0].loss)
    near(histories[1].gradients.norm("weight"), histories[0].gradients.norm("weight"))
    for name, view in nets[0].parameters.items():
        near(nets[1].parameters[name], view)


@each_cell
def test_recording_changes_no_bit_and_runs_are_alike(cell):
    x, lengths = samples(40, ragged=True)
    y = np.random.default_rng(4).standard_normal((40, 3))
    weights = []
    for stats in (True, False, True):
        net = pair([layer_of(cell, 8, "both"), gw.Dense(3)])[1]
        settings = {"optimizer": gw.SGD(0.05), "batch_size": 16, "epochs": 2, "seed": 0, "stats": stats}
        gw.fit(net, (x, y, lengths), loss="quadratic", **settings)
        weights.append({name: np.array(view) for name, view in net.parameters.items()})
    for other in weights[1:]:
        for name, view in weights[0].items():
            np.testing.assert_array_equal(other[name], view)


@each_cell
def test_a_number_that_is_none_goes_where_it_goes_on_the_cpu(cell):
    nets = pair([layer_of(cell, 8, return_sequences=True)])
    x, _ = samples()
    x[0, 5, 1] = np.nan
    expected, found = (np.isnan(net.forward(x)) for net in nets)
    np.testing.assert_array_equal(found, expected)
    assert expected[0, 5:].any()
    assert not expected[1:].any()
