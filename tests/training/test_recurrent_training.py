"""Fits of recurrent networks: same bits, kept states, lengths, clipping, faults and Ctrl-C."""

import hashlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import reference

LOSS = {"loss": "softmax_cross_entropy"}


def digest(net):
    return hashlib.sha256(b"".join(np.array(view).tobytes() for view in net.parameters.values())).hexdigest()


@pytest.fixture
def threads():
    before = gw.num_threads()
    yield gw.set_num_threads
    gw.set_num_threads(before)


STACKS = {
    "rnn": lambda: [gw.RNN(40, activation="relu", recurrent_init="identity", omega=0.1), gw.Dense(3)],
    "lstm": lambda: [gw.LSTM(40, peephole=True, truncate=(3, 5)), gw.Dense(3)],
    "gru": lambda: [gw.GRU(40, return_sequences=True), gw.LayerNorm(), gw.GRU(9, reset_after=False), gw.Dense(3)],
    "both": lambda: [gw.Bidirectional(gw.LSTM(33, return_sequences=True)), gw.Dense(5), gw.RNN(7), gw.Dense(3)],
    "residual": lambda: [gw.Dense(6), gw.Residual(gw.GRU(6, return_sequences=True)), gw.Flatten(), gw.Dense(3)],
}


@pytest.mark.parametrize("name", STACKS)
def test_same_bits_at_any_thread_count_and_recorded_or_not(name, threads, rng, dtype):
    x, y, lengths = rng.normal(size=(150, 12, 4)), rng.integers(0, 3, 150), rng.integers(0, 13, 150)
    found = set()
    for count in (1, 2, 3):
        threads(count)
        for stats in (False, True):
            net = gw.Network(STACKS[name](), input_shape=(12, 4), seed=0, dtype=dtype)
            options = {"optimizer": gw.Adam(0.01), "batch_size": 47, "epochs": 2, "stats": stats, **LOSS}
            history = gw.fit(net, (x, y, lengths), **options)
            outputs = net.predict(x, lengths=lengths)
            found.add((digest(net), history.step_loss.tobytes(), outputs.tobytes()))
    assert len(found) == 1
    assert np.isfinite(history.step_loss).all()


@pytest.mark.parametrize("stop", [1, 3, 5, 8])
@pytest.mark.parametrize("stateful", [False, True])
def test_stopped_saved_and_resumed(stop, stateful, tmp_path, rng):
    x, y, lengths = rng.normal(size=(40, 6, 2)), rng.integers(0, 3, 40), rng.integers(0, 7, 40)

    def make():
        inside = gw.GRU(4, return_sequences=True, stateful=stateful)
        layers = [gw.LSTM(5, return_sequences=True, stateful=stateful), gw.Bidirectional(inside), gw.RNN(3)]
        return gw.Network([*layers, gw.Dense(3)], input_shape=(6, 2), seed=0)

    options = {"optimizer": gw.Adam(0.05), "batch_size": 10, "epochs": 3, "shuffle": not stateful, **LOSS}
    whole, stopped = make(), make()
    history = gw.fit(whole, (x, y, lengths), **options)
    gw.fit(stopped, (x, y, lengths), max_steps=stop, **options)
    stopped.save(tmp_path / "net.safetensors")
    loaded = gw.load(tmp_path / "net.safetensors")
    twin = stopped.copy()
    assert len(loaded.states) == len(stopped.states) == (4 if stateful else 0)
    for net in (loaded, twin, stopped):
        rest = gw.fit(net, (x, y, lengths), resume=True, **options)
        assert digest(net) == digest(whole)
        np.testing.assert_array_equal(rest.step_loss, history.step_loss[stop:])
        for name, state in whole.states.items():
            np.testing.assert_array_equal(net.states[name], state)


KINDS = {
    "rnn": lambda **o: gw.RNN(4, **o),
    "lstm": lambda **o: gw.LSTM(4, peephole=True, **o),
    "norm": lambda **o: gw.LSTM(4, layer_norm=True, **o),
    "gru": lambda **o: gw.GRU(4, **o),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ragged", [False, True])
def test_two_halves_are_the_whole(kind, ragged, rng):
    x = rng.normal(size=(5, 10, 2))
    lengths = np.array([10, 7, 5, 2, 0]) if ragged else None
    parts = (None, None) if lengths is None else (np.minimum(lengths, 5), np.maximum(lengths - 5, 0))
    whole = gw.Network([KINDS[kind](return_sequences=True)], input_shape=(10, 2), seed=0, dtype="float64")
    layer = KINDS[kind](return_sequences=True, stateful=True)
    half = gw.Network([layer], input_shape=(5, 2), seed=0, dtype="float64")
    assert not half.states
    expected = whole.predict(x, lengths=lengths)
    for _ in range(2):
        for part in (0, 1):
            found = half.forward(x[:, 5 * part : 5 * part + 5], lengths=parts[part])
            assert_close(found, expected[:, 5 * part : 5 * part + 5], relative=1e-12, reason="the same operations")
        half.reset_states()
        assert not half.states


def test_predict_evaluate_and_gradients_leave_states_alone(rng):
    x, y = rng.normal(size=(5, 6, 2)), rng.integers(0, 2, 5)
    net = gw.Network([gw.LSTM(3, stateful=True), gw.Dense(2)], input_shape=(6, 2), seed=0)
    first = net.predict(x)
    net.forward(x)
    before = {name: np.array(state) for name, state in net.states.items()}
    assert sorted(before) == ["0.cell", "0.state"]
    np.testing.assert_array_equal(net.predict(x), first)  # from zero states
    net.predict(x[:2])
    net.evaluate(x, y, **LOSS)
    gw.gradients(net, x, y, **LOSS)
    for name, state in net.states.items():
        np.testing.assert_array_equal(state, before[name])
    assert (net.forward(x) != first).any()
    with pytest.raises(ValueError, match="the batch has 4 rows but the kept state 5"):
        net.forward(x[:4])
    net.reset_states()
    np.testing.assert_array_equal(net.forward(x[:4]), first[:4])


def test_states_begin_anew_with_every_epoch_and_go_on_within(rng):
    x, y, lengths = rng.normal(size=(20, 5, 2)), rng.integers(0, 3, 20), rng.integers(1, 6, 20)
    layers = [gw.RNN(4, stateful=True, return_sequences=True), gw.GRU(3, stateful=True), gw.Dense(3)]
    net = gw.Network(layers, input_shape=(5, 2), seed=0, dtype="float64")
    twin = net.copy()
    net.forward(x[:7])  # a state of other rows, which the fit forgets
    options = {"optimizer": gw.SGD(0.3), "batch_size": 5, "epochs": 3, "shuffle": False, **LOSS}
    history = gw.fit(net, (x, y, lengths), validation=(x[:3], y[:3], lengths[:3]), **options)
    losses = []
    for _ in range(3):
        twin.reset_states()
        for first in range(0, 20, 5):
            rows = slice(first, first + 5)
            loss, dy = reference.softmax_cross_entropy(twin.forward(x[rows], lengths=lengths[rows]), y[rows])
            losses.append(loss)
            twin.backward(dy)
            for name, view in twin.parameters.items():
                view[...] = view - 0.3 * twin.gradients[name]
    assert_close(history.step_loss, losses, relative=1e-6, reason="losses are kept in float32 at least")
    for name, view in net.parameters.items():
        assert_close(view, twin.parameters[name], relative=1e-9, floor=1e-3, reason="twelve steps of a few roundings")


def test_batches_that_states_do_not_allow(rng):
    x, y = rng.normal(size=(10, 5, 2)), rng.integers(0, 3, 10)
    net = gw.Network([gw.Bidirectional(gw.GRU(3, stateful=True), name="reader"), gw.Dense(3)], (5, 2), seed=0)
    options = {"optimizer": gw.SGD(0.1), **LOSS}
    with pytest.raises(ValueError, match=r"\[fit\] shuffle is True but layer reader is stateful"):
        gw.fit(net, (x, y), batch_size=5, **options)
    with pytest.raises(ValueError, match=r"\[fit\] batch_size 4 does not divide 10 samples but layer reader"):
        gw.fit(net, (x, y), batch_size=4, shuffle=False, **options)
    gw.fit(net, (x, y), batch_size=32, shuffle=False, **options)
    gw.fit(net, (x, y), batch_size=2, shuffle=False, **options)


@pytest.mark.parametrize("sequences", [False, True])
def test_lengths_and_a_validation_triple(sequences, rng):
    x, lengths = rng.normal(size=(30, 6, 2)), rng.integers(1, 7, 30)
    y = rng.integers(0, 3, (30, 6) if sequences else 30)
    xv, yv, lv = x[:7] + 1, y[:7], lengths[:7][::-1]
    nets = [
        gw.Network(
            [gw.GRU(4, return_sequences=True), gw.RNN(3, return_sequences=sequences)], input_shape=(6, 2), seed=0
        )
        for _ in range(2)
    ]
    options = {"optimizer": gw.SGD(0.1), "batch_size": 8, "epochs": 2, **LOSS}
    history = gw.fit(nets[0], (x, y, lengths), validation=(xv, yv, lv), **options)
    changed, beyond = x.copy(), np.arange(6) >= lengths[:, None]
    changed[beyond] = 77
    other = np.where(beyond, -3, y) if sequences else y
    gw.fit(nets[1], (changed, other, lengths), **options)
    assert digest(nets[0]) == digest(nets[1])
    found = nets[0].evaluate(xv, yv, lengths=lv, **LOSS)
    assert history.metrics["validation_loss"][-1] == pytest.approx(found["loss"], rel=1e-6)
    assert history.metrics["validation_accuracy"][-1] == found["accuracy"]
    losses = [nets[0].evaluate(x, y, lengths=lengths, batch_size=size, **LOSS)["loss"] for size in (1, 7, 1024)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)
    with pytest.raises(TypeError, match=r"\[fit\] validation is a tuple of 4"):
        gw.fit(nets[0], (x, y), validation=(x, y, lengths, lengths), **options)
    with pytest.raises(ValueError, match=r"\[fit\] lengths has shape \(29,\)"):
        gw.fit(nets[0], (x, y, lengths[1:]), **options)


def test_the_loss_of_an_epoch_counts_steps(rng):
    """At rate 0 the epoch's loss is that of evaluate: over steps that take part, not over batches."""
    x, y, lengths = rng.normal(size=(30, 6, 2)), rng.integers(0, 3, (30, 6)), rng.integers(0, 7, 30)
    net = gw.Network(
        [gw.RNN(4, return_sequences=True), gw.GRU(3, return_sequences=True)],
        input_shape=(6, 2),
        seed=0,
        dtype="float64",
    )
    history = gw.fit(net, (x, y, lengths), optimizer=gw.SGD(0.0), batch_size=7, **LOSS)
    found = net.evaluate(x, y, lengths=lengths, **LOSS)
    assert history.loss[-1] == pytest.approx(found["loss"], rel=1e-9)
    assert history.metrics["accuracy"][-1] == pytest.approx(found["accuracy"], rel=1e-12)


FITS = {
    "dense-first": lambda: [gw.Dense(3), gw.RNN(4), gw.Dense(3)],
    "normalised": lambda: [gw.LayerNorm(), gw.GRU(4, return_sequences=True), gw.BatchNorm(), gw.Tanh(), gw.RNN(3)],
    "between": lambda: [gw.LSTM(4, return_sequences=True), gw.Dense(5), gw.PReLU(), gw.GRU(3, return_sequences=True)],
    "residual": lambda: [gw.Dense(4), gw.Residual(gw.Dense(4), gw.GELU(), gw.GRU(4, return_sequences=True)), gw.RNN(3)],
    "shortcut": lambda: [gw.Residual(gw.LSTM(5, return_sequences=True), shortcut=gw.Dense(5)), gw.ReLU(), gw.Dense(3)],
    "penalties": lambda: [
        gw.LSTM(4, return_sequences=True, kernel_regularizer=gw.L2(0.1), recurrent_regularizer=gw.L1(0.1)),
        gw.Dense(3, kernel_constraint=gw.MaxNorm(0.5)),
    ],
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("optimizer", [gw.SGD(0.1, weight_decay=0.1), gw.Adam(0.01)], ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("name", FITS)
def test_a_fit_is_the_loop_of_gradients_and_updates(name, optimizer, shuffle, rng):
    """Batches gathered or read in place, the fused step or the recorded one: the same as pass by pass."""
    x, lengths = rng.normal(size=(18, 5, 2)), rng.integers(0, 6, 18)
    nets = [gw.Network(FITS[name](), input_shape=(5, 2), seed=0, dtype="float64") for _ in range(3)]
    y = rng.integers(0, 3, (18, *nets[0].output_shape[:-1]))
    for net, stats in zip(nets, (False, True), strict=False):
        options = {"batch_size": 6, "epochs": 2, "shuffle": shuffle, "seed": 3, "stats": stats, **LOSS}
        gw.fit(net, (x, y, lengths), optimizer=optimizer, **options)
    for epoch in range(2):
        order = np.random.default_rng([3, epoch]).permutation(18) if shuffle else np.arange(18)
        for rows in order.reshape(3, 6):
            gw.gradients(nets[2], x[rows], y[rows], lengths=lengths[rows], **LOSS)
            optimizer.update(nets[2])
    for key, view in nets[2].parameters.items():
        for net in nets[:2]:
            assert_close(net.parameters[key], view, relative=1e-9, floor=1e-3, reason="fused or not, six steps")


def test_no_step_takes_part(rng):
    x, y = rng.normal(size=(4, 6, 2)), rng.integers(0, 3, (4, 6))
    net = gw.Network([gw.RNN(4, return_sequences=True), gw.GRU(3, return_sequences=True)], input_shape=(6, 2), seed=0)
    before = digest(net)
    history = gw.fit(net, (x, y, np.zeros(4, int)), optimizer=gw.SGD(0.1), batch_size=4, **LOSS)
    assert digest(net) == before
    assert not np.isinf(history.step_loss).any()


def test_the_clipping_ledger(rng):
    x, y, lengths = 3 * rng.normal(size=(40, 8, 2)), rng.integers(0, 3, 40), rng.integers(1, 9, 40)
    net = gw.Network([gw.RNN(6, activation="relu"), gw.Dense(3)], input_shape=(8, 2), seed=1, dtype="float64")
    twin, before, after = net.copy(), [], []
    for first in range(0, 40, 5):
        rows = slice(first, first + 5)
        gw.gradients(twin, x[rows], y[rows], lengths=lengths[rows], **LOSS)
        size = np.sqrt(sum((view**2).sum() for view in twin.gradients.values()))
        before.append(size)
        after.append(min(size, 0.7))
        for name, view in twin.parameters.items():
            view[...] = view - 0.1 * after[-1] / size * twin.gradients[name]
    options = {"optimizer": gw.SGD(0.1), "batch_size": 5, "shuffle": False, "clip": gw.clip_by_norm(0.7), **LOSS}
    ledger = gw.fit(net, (x, y, lengths), **options).clipping
    assert_close(ledger.before, before, relative=1e-8, reason="eight steps of a few roundings")
    assert_close(ledger.after, after, relative=1e-8, reason="eight steps of a few roundings")
    assert 1 <= ledger.clipped.sum() <= 8
    for name, view in net.parameters.items():
        assert_close(view, twin.parameters[name], relative=1e-8, floor=1e-3, reason="eight steps of a few roundings")


@pytest.mark.parametrize("kind", ["kernel", "recurrent", "bias"])
@pytest.mark.parametrize("both", [False, True])
def test_the_regularization_is_told(kind, both, rng):
    layer = gw.GRU(4, bias_init="ones", **{f"{kind}_regularizer": gw.L2(0.1)})
    net = gw.Network([gw.Bidirectional(layer) if both else layer, gw.Dense(3)], input_shape=(5, 2), seed=0)
    part = {"kernel": "weight", "recurrent": "recurrent_weight", "bias": "bias"}[kind]
    data = rng.normal(size=(8, 5, 2)), rng.integers(0, 3, 8)
    history = gw.fit(net, data, optimizer=gw.SGD(0.1), **LOSS)
    values = [v for n, v in net.parameters.items() if n in (f"0.{part}", f"0.backward_{part}")]
    assert net.regularization_loss() == pytest.approx(sum(0.05 * (v.astype(float) ** 2).sum() for v in values))
    assert history.regularization.tolist() == [net.regularization_loss()]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("parameter", ["weight", "recurrent_weight", "bias"])
@pytest.mark.parametrize("kind", ["relu", *KINDS])
def test_a_bad_weight_is_found_in_its_layer(kind, parameter, value, rng):
    x, y = rng.normal(size=(8, 5, 2)), rng.integers(0, 3, 8)
    layer = gw.RNN(4, activation="relu", name="bad") if kind == "relu" else KINDS[kind](name="bad")
    net = gw.Network([gw.RNN(3, return_sequences=True), layer, gw.Dense(3)], input_shape=(5, 2), seed=0)
    net.parameters[f"bad.{parameter}"].flat[0] = value
    before = {name: np.array(view) for name, view in net.parameters.items()}
    with pytest.raises(gw.NonFiniteError) as raised:
        gw.fit(net, (x, y), optimizer=gw.SGD(0.1), batch_size=8, **LOSS)
    assert raised.value.layer == "bad", str(raised.value)
    for name, view in net.parameters.items():
        np.testing.assert_array_equal(view, before[name])


INTERRUPTED = """
import numpy as np, gradwell as gw
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2000, 100, 8)).astype(np.float32), rng.integers(0, 3, 2000)
net = gw.Network([gw.LSTM(64, return_sequences=True), gw.GRU(64), gw.Dense(3)], input_shape=(100, 8), seed=0)
class Ready(gw.Callback):
    def on_chunk(self, state):
        if not hasattr(self, "said"):
            self.said = print("ready", flush=True)
options = dict(loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=10**6)
try:
    gw.fit(net, (x, y), callbacks=[Ready()], **options)
except KeyboardInterrupt as interrupt:
    print("stopped", flush=True)
    steps = len(interrupt.history.step_loss)
    assert steps == net.training_state["step"] > 0
    gw.fit(net, (x, y), resume=True, max_steps=steps + 1, **options)
    assert net.training_state["step"] == steps + 1
    print("usable", flush=True)
"""


def test_ctrl_c_ends_a_fit_within_a_second():
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.2)
        sent = time.perf_counter()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "stopped\n"
        assert time.perf_counter() - sent < 1
        assert child.stdout.readline() == "usable\n"
        assert child.wait(timeout=30) == 0
