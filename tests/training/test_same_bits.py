"""Same inputs, seed and CPU level: same bits, at any thread count, with or without a stop in between."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

import gradwell as gw


def digest(net):
    return hashlib.sha256(b"".join(view.tobytes() for view in net.parameters.values())).hexdigest()


@pytest.fixture
def threads():
    before = gw.num_threads()
    yield gw.set_num_threads
    gw.set_num_threads(before)


@pytest.mark.parametrize("stats", [False, True])
@pytest.mark.parametrize(
    ("sizes", "batch"), [((50, 200, 200, 10), 64), ((784, 30, 30, 10), 10)], ids=["wide", "narrow"]
)
def test_weights_after_fifty_steps_at_any_thread_count(sizes, batch, stats, threads, rng):
    # The wide net's products are large enough to be shared between threads; the narrow one's are not.
    x, y = rng.normal(size=(512, sizes[0])).astype(np.float32), rng.integers(0, 10, 512)
    found = set()
    for count in (1, 2, 3, 8):
        threads(count)
        for _ in range(5):
            net = gw.mlp(sizes, activation="tanh", seed=0)
            history = gw.fit(
                net,
                (x, y),
                loss="softmax_cross_entropy",
                optimizer=gw.SGD(0.1),
                batch_size=batch,
                epochs=99,
                max_steps=50,
                stats=stats,
            )
            assert len(history.step_loss) == 50
            found.add((digest(net), history.step_loss.tobytes()))
    assert len(found) == 1


def test_the_kernels_really_ran_on_two_threads(threads, rng):
    """The thread count reaches the kernels: a large product takes another thread's processor time too."""
    import time

    x, weight = rng.normal(size=(800, 800)), rng.normal(size=(800, 800))
    used = {}
    for count in (1, 2):
        threads(count)
        gw.kernels.dense_forward(x, weight)
        own, whole = time.thread_time(), time.process_time()
        for _ in range(5):
            gw.kernels.dense_forward(x, weight)
        used[count] = (time.process_time() - whole) / (time.thread_time() - own)
    assert used[1] < 1.2, used
    assert used[2] > 1.5, used


RESUME = """
import sys, numpy as np, gradwell as gw
rng = np.random.default_rng(7)
x, y = rng.normal(size=(103, 6)).astype(np.float32), rng.integers(0, 3, 103)
options = dict(loss="softmax_cross_entropy", optimizer=gw.SGD(0.2, weight_decay=0.01), batch_size=10, epochs=4, seed=3)
action, path = sys.argv[1], sys.argv[2]
if action == "start":
    net = gw.mlp([6, 8, 3], seed=1)
    gw.fit(net, (x, y), max_steps=int(sys.argv[3]), **options)
else:
    net = gw.load(path)
    history = gw.fit(net, (x, y), resume=True, **options)
    print(*(float(v).hex() for v in (*history.loss, history.metrics["accuracy"][-1])))
net.save(path)
"""


@pytest.mark.parametrize("stop", [1, 11, 12, 26, 43])
def test_stopped_saved_and_resumed_in_a_new_process(stop, tmp_path, rng):
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(103, 6)).astype(np.float32), rng.integers(0, 3, 103)
    whole = gw.mlp([6, 8, 3], seed=1)
    history = gw.fit(
        whole,
        (x, y),
        loss="softmax_cross_entropy",
        optimizer=gw.SGD(0.2, weight_decay=0.01),
        batch_size=10,
        epochs=4,
        seed=3,
    )
    path = str(tmp_path / "net.safetensors")
    run = [sys.executable, "-c", RESUME]
    subprocess.run([*run, "start", path, str(stop)], check=True, timeout=60)
    done = subprocess.run([*run, "resume", path], check=True, timeout=60, capture_output=True, text=True)
    assert digest(gw.load(path)) == digest(whole)
    *losses, accuracy = (float.fromhex(word) for word in done.stdout.split())
    np.testing.assert_allclose(losses, history.loss[-len(losses) :], rtol=1e-12)  # sums split at another place
    assert accuracy == history.metrics["accuracy"][-1]


def test_a_callback_that_stops_at_the_end_of_an_epoch_loses_nothing(rng):
    x, y = rng.normal(size=(20, 4)), rng.integers(0, 2, 20)
    options = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.5), "batch_size": 10, "epochs": 3}

    class Stop(gw.Callback):
        def on_chunk(self, state):
            return state.step == 2

    whole, stopped = (gw.mlp([4, 3, 2], seed=0) for _ in range(2))
    history = gw.fit(whole, (x, y), **options)
    first = gw.fit(stopped, (x, y), callbacks=[Stop()], **options)
    rest = gw.fit(stopped, (x, y), resume=True, **options)
    np.testing.assert_array_equal([*first.loss, *rest.loss], history.loss)
    assert digest(stopped) == digest(whole)


def test_resume_refuses_another_run(rng):
    x, y = rng.normal(size=(20, 4)), rng.integers(0, 2, 20)
    net = gw.mlp([4, 2], seed=0)
    options = {"loss": "quadratic", "optimizer": gw.SGD(0.1), "epochs": 2}
    with pytest.raises(ValueError, match="no training state"):
        gw.fit(net, (x, y), resume=True, **options)
    gw.fit(net, (x, y), max_steps=1, batch_size=5, **options)
    with pytest.raises(ValueError, match="same batch_size: it was 5 and is now 4"):
        gw.fit(net, (x, y), resume=True, batch_size=4, **options)
    with pytest.raises(ValueError, match="same seed: it was 0 and is now 1"):
        gw.fit(net, (x, y), resume=True, batch_size=5, seed=1, **options)
    with pytest.raises(ValueError, match="same samples: it was 20 and is now 19"):
        gw.fit(net, (x[1:], y[1:]), resume=True, batch_size=5, **options)
