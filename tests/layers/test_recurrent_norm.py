"""The LSTM with layer normalisation: outputs and every gradient against complex steps of the plain one."""

import numpy as np
import pytest

import gradwell as gw
from gradwell.reference import lstm_norm_forward

NAMES = ("weight", "recurrent_weight", "bias", "gain", "recurrent_gain", "cell_gain", "cell_shift")


def network(hidden, features, time, sequences=True, **settings):
    layer = gw.LSTM(hidden, return_sequences=sequences, layer_norm=True, **settings)
    net = gw.Network([layer], input_shape=(time, features), seed=3, dtype="float64")
    rng = np.random.default_rng(5)
    for name in NAMES[2:]:
        net.parameters[f"0.{name}"][...] += 0.3 * rng.standard_normal(net.parameters[f"0.{name}"].shape)
    return net


def plain(net, x, lengths=None, changed=None):
    values = {name: np.array(net.parameters[f"0.{name}"]) for name in NAMES}
    values.update(changed or {})
    return lstm_norm_forward(x, *(values[name] for name in NAMES), lengths=lengths)


@pytest.mark.parametrize(("hidden", "features", "time"), [(1, 1, 1), (3, 2, 5), (9, 4, 7), (17, 3, 4)])
@pytest.mark.parametrize("ragged", [False, True])
def test_outputs(hidden, features, time, ragged):
    net = network(hidden, features, time)
    x = np.random.default_rng(0).standard_normal((5, time, features))
    lengths = np.array([time, 0, 1, time, time // 2]) if ragged else None
    y, _, _ = plain(net, x, lengths)
    np.testing.assert_allclose(net.predict(x, lengths=lengths), y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("sequences", [True, False])
def test_every_gradient(ragged, sequences):
    hidden, features, time, batch, tiny = 5, 3, 6, 4, 1e-200
    net = network(hidden, features, time, sequences)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((batch, time, features))
    lengths = np.array([time, 1, 4, time]) if ragged else None
    dy = rng.standard_normal((batch, time, hidden) if sequences else (batch, hidden))
    net.forward(x, lengths=lengths)
    dx = net.backward(dy)

    def cost(changed=None, at=x):
        y, h, _ = plain(net, at, lengths, changed)
        return ((y if sequences else h) * dy).sum()

    for name in NAMES:
        value = np.array(net.parameters[f"0.{name}"])
        expected = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            step = value.astype(complex)
            step[index] += 1j * tiny
            expected[index] = cost({name: step}).imag / tiny
        scale = np.abs(expected).max()  # sums over steps and sequences cancel: relative to the largest of them
        np.testing.assert_allclose(net.gradients[f"0.{name}"], expected, rtol=1e-9, atol=1e-12 * scale, err_msg=name)
    for index in np.ndindex(x.shape):
        step = x.astype(complex)
        step[index] += 1j * tiny
        assert dx[index] == pytest.approx(cost(at=step).imag / tiny, rel=1e-9, abs=1e-13)


def test_the_record_of_time_is_of_the_same_gradients():
    net = network(6, 2, 8, sequences=False)
    x, y = np.random.default_rng(2).standard_normal((3, 8, 2)), np.ones((3, 6))
    time = gw.gradients(net, x, y, loss="quadratic").time()
    whole = net.predict(x)
    assert time.norm("hidden")[0, -1] == pytest.approx(np.linalg.norm((whole - 1) / 3), rel=1e-12)
    assert (time.norm("hidden")[0, :-1] == time.norm("hidden_back")[0, :-1]).all()
    assert (time.norm("forget")[0, 1:] > 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_on_any_threads(dtype):
    x = np.random.default_rng(4).standard_normal((40, 12, 3)).astype(dtype)
    y = np.arange(40) % 3
    seen = set()
    before = gw.num_threads()
    for threads in (1, 2, 3):
        gw.set_num_threads(threads)
        net = gw.Network([gw.LSTM(33, layer_norm=True), gw.Dense(3)], input_shape=(12, 3), seed=0, dtype=dtype)
        gw.fit(
            net,
            (x, y),
            loss="softmax_cross_entropy",
            optimizer=gw.Adam(0.01),
            batch_size=40,
            epochs=3,
            stats=threads == 2,
        )
        seen.add(b"".join(np.array(view).tobytes() for view in net.parameters.values()))
    gw.set_num_threads(before)
    assert len(seen) == 1


def test_windows_that_do_not_overlap_are_all_it_takes():
    with pytest.raises(ValueError, match=r"\[LSTM\] truncate is \(2, 4\)"):
        gw.LSTM(3, layer_norm=True, truncate=(2, 4))
    with pytest.raises(ValueError, match="layer_norm and peephole"):
        gw.LSTM(3, layer_norm=True, peephole=True)
    net = network(4, 2, 7, sequences=True, truncate=3)
    x = np.random.default_rng(0).standard_normal((2, 7, 2))
    net.forward(x)
    dy = np.zeros((2, 7, 4))
    dy[:, 6] = 1  # alone in its window: nothing goes back beyond step 6
    assert (net.backward(dy)[:, :6] == 0).all()
