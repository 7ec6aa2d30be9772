"""The convolutional LSTM against a plain one: outputs and every gradient by complex steps."""

import numpy as np
import pytest

import gradwell as gw

TINY = 1e-200


def convolved(image, weight, kernel):
    """(channels, height, width) by (kernel^2 channels, filters) -> (filters, height, width), zeros around."""
    channels, height, width = image.shape
    half = kernel // 2
    padded = np.zeros((channels, height + 2 * half, width + 2 * half), image.dtype)
    padded[:, half : half + height, half : half + width] = image
    result = np.zeros((weight.shape[1], height, width), np.result_type(image, weight))
    for dy in range(kernel):
        for dx in range(kernel):
            part = weight[(dy * kernel + dx) * channels : (dy * kernel + dx + 1) * channels]
            result += np.einsum("cf,chw->fhw", part, padded[:, dy : dy + height, dx : dx + width])
    return result


def plain(x, weight, recurrent, bias, kernel, lengths=None):
    """Return outputs (batch, time, filters, height, width) and the last states."""
    filters = recurrent.shape[1] // 4
    kind = np.result_type(x, weight, recurrent, bias)
    y = np.zeros((*x.shape[:2], filters, *x.shape[3:]), kind)
    last = np.zeros((len(x), filters, *x.shape[3:]), kind)
    for b in range(len(x)):
        h, c = np.zeros_like(last[b]), np.zeros_like(last[b])
        for t in range(x.shape[1] if lengths is None else lengths[b]):
            z = convolved(x[b, t], weight, kernel) + convolved(h, recurrent, kernel) + bias[:, None, None]
            i, f, g, o = np.split(z, 4)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            y[b, t] = h
        last[b] = h
    return y, last


def network(shape, filters, kernel, sequences):
    net = gw.Network([gw.ConvLSTM(filters, kernel, return_sequences=sequences)], shape, seed=1, dtype="float64")
    net.parameters["0.bias"][...] += 0.1 * np.arange(4 * filters)
    return net


@pytest.mark.parametrize(
    ("kernel", "height", "width", "channels", "filters"), [(3, 4, 3, 2, 3), (1, 2, 2, 1, 1), (5, 3, 6, 1, 17)]
)
@pytest.mark.parametrize("ragged", [False, True])
def test_outputs(kernel, height, width, channels, filters, ragged):
    net = network((4, channels, height, width), filters, kernel, True)
    x = np.random.default_rng(0).standard_normal((3, 4, channels, height, width))
    lengths = np.array([4, 0, 2]) if ragged else None
    y, _ = plain(
        x, *(np.array(net.parameters[f"0.{n}"]) for n in ("weight", "recurrent_weight", "bias")), kernel, lengths
    )
    found = net.predict(x, lengths=lengths)
    assert found.shape == (3, 4, filters * height * width)
    np.testing.assert_allclose(found.reshape(y.shape), y, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("ragged", [False, True])
def test_every_gradient(sequences, ragged):
    kernel, shape = 3, (3, 2, 3, 2)
    net = network(shape, 2, kernel, sequences)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, *shape))
    lengths = np.array([3, 1]) if ragged else None
    names = ("weight", "recurrent_weight", "bias")
    values = {name: np.array(net.parameters[f"0.{name}"]) for name in names}
    outputs = net.forward(x, lengths=lengths)
    dy = rng.standard_normal(outputs.shape)
    dx = net.backward(dy)

    def cost(at=x, **changed):
        y, last = plain(at, *({**values, **changed}[name] for name in names), kernel, lengths)
        return ((y if sequences else last).reshape(dy.shape) * dy).sum()

    for name in names:
        for index in np.ndindex(values[name].shape):
            step = values[name].astype(complex)
            step[index] += 1j * TINY
            expected = cost(**{name: step}).imag / TINY
            assert net.gradients[f"0.{name}"][index] == pytest.approx(expected, rel=1e-9, abs=1e-12), (name, index)
    for index in np.ndindex(x.shape):
        step = x.astype(complex)
        step[index] += 1j * TINY
        assert dx[index] == pytest.approx(cost(step).imag / TINY, rel=1e-9, abs=1e-12)


def test_it_trains_records_and_is_saved(tmp_path):
    rng = np.random.default_rng(2)
    x = np.zeros((40, 4, 1, 5, 5), np.float32)  # a dot that moves right or down
    y = np.arange(40) % 2
    for sample, way in zip(x, y, strict=True):
        at = rng.integers(0, 2, 2)
        for t in range(4):
            sample[t, 0, at[0] + (t if way else 0), at[1] + (0 if way else t)] = 1
    seen = set()
    before = gw.num_threads()
    for threads in (1, 2):
        gw.set_num_threads(threads)
        net = gw.Network([gw.ConvLSTM(4, 3, return_sequences=True), gw.ConvLSTM(3), gw.Dense(2)], x.shape[1:], seed=0)
        plan = {"loss": "softmax_cross_entropy", "optimizer": gw.Adam(0.02), "batch_size": 10, "epochs": 15}
        history = gw.fit(net, (x, y), **plan, stats=True)
        seen.add(b"".join(np.array(view).tobytes() for view in net.parameters.values()))
    gw.set_num_threads(before)
    assert len(seen) == 1
    assert history.metrics["accuracy"][-1] == 1
    time = history.gradients.time("1")
    assert time.norm("hidden").shape == (60, 4)
    assert (time.norm("hidden_back")[:, 3] == 0).all()
    np.testing.assert_allclose(time.norm("hidden")[:, :3], time.norm("hidden_back")[:, :3], rtol=1e-6)
    net.save(tmp_path / "m.safetensors")
    assert (gw.load(tmp_path / "m.safetensors").predict(x) == net.predict(x)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gw.ConvLSTM(3, 2), r"\[ConvLSTM\] kernel_size is 2"),
        (lambda: gw.ConvLSTM(0), r"\[ConvLSTM\] filters is 0"),
        (lambda: gw.Network([gw.ConvLSTM(3)], input_shape=(4, 5)), r"input_shape is \(4, 5\).*channels"),
        (lambda: gw.Network([gw.ConvLSTM(3), gw.ConvLSTM(3)], (4, 1, 5, 5)), "return_sequences=True"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
