"""What a fit does to the process around it: Ctrl-C, forks, threads, floating-point flags, denormals."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import gradwell as gw

INTERRUPTED = """
import sys, time, numpy as np, gradwell as gw
rng = np.random.default_rng(0)
x, y = rng.normal(size=(20000, 100)).astype(np.float32), rng.integers(0, 10, 20000)
net = gw.mlp([100, 200, 200, 10], seed=0)
class Ready(gw.Callback):
    def on_chunk(self, state):
        if not hasattr(self, "said"):
            self.said = print("ready", flush=True)
try:
    gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=10**6, callbacks=[Ready()])
except KeyboardInterrupt as interrupt:
    steps = len(interrupt.history.step_loss)
    assert steps == net.training_state["step"] > 0
    assert np.isfinite(net.predict(x[:5])).all()
    gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=10**6,
           resume=True, max_steps=steps + 3)
    assert net.training_state["step"] == steps + 3
    print("usable", flush=True)
"""


def test_ctrl_c_ends_a_fit_within_a_second():
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        sent = time.perf_counter()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "usable\n"
        assert time.perf_counter() - sent < 1.0 + 0.5  # and half a second for the resumed steps
        assert child.wait(timeout=30) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_trains_on_one_thread_and_says_so_once():
    script = """
import os, warnings, numpy as np, gradwell as gw
gw.set_num_threads(2)
x = np.random.default_rng(0).normal(size=(600, 600)).astype(np.float32)
y = np.zeros(600, int)
def fit():
    net = gw.mlp([600, 600, 10], seed=0)
    gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), batch_size=600, epochs=2)
    return net.parameters["0.weight"].tobytes()
expected = fit()
def child(depth):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert fit() == expected
        assert fit() == expected
    assert len(said) == (1 if depth == 0 else 0), (depth, [str(w.message) for w in said])
    assert gw.num_threads() == 1
    if depth < 1:
        fork(depth + 1)
def fork(depth):
    pid = os.fork()
    if pid == 0:
        try:
            child(depth)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
fork(0)
assert fit() == expected
"""
    warn = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", script]
    subprocess.run(warn, check=True, timeout=10)


def test_a_second_thread_waits_its_turn(rng):
    x, y = rng.normal(size=(3000, 300)).astype(np.float32), rng.integers(0, 10, 3000)
    options = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.01), "batch_size": 1000, "epochs": 20}
    alone, watched = (gw.mlp([300, 400, 400, 10], seed=0) for _ in range(2))
    gw.fit(alone, (x, y), **options)
    fitting = threading.Thread(target=lambda: gw.fit(watched, (x, y), **options))
    fitting.start()
    seen = set()
    while fitting.is_alive():
        seen.add(watched.predict(x[:2]).tobytes())
    fitting.join()
    assert len(seen) > 1, "the predictions were made while the weights changed"
    np.testing.assert_array_equal(watched.predict(x[:2]), alone.predict(x[:2]))


def test_no_floating_point_flag_leaks(rng):
    def halves():
        return sys.float_info.min / 2 != 0

    x = rng.normal(size=(400, 400))
    net = gw.mlp([400, 400, 2], seed=0, dtype="float64")
    gw.fit(net, (x, np.zeros(400, int)), loss="quadratic", optimizer=gw.SGD(0.1), batch_size=400, epochs=2)
    assert halves()
    with pytest.raises(gw.NonFiniteError):
        gw.fit(net, (x, np.zeros(400, int)), loss="quadratic", optimizer=gw.SGD(1e300), epochs=1)
    assert halves()
    found = []
    other = threading.Thread(target=lambda: found.append(halves()))
    other.start()
    other.join()
    assert found == [True]


def test_vanished_gradients_are_zero_and_counted_or_kept_as_denormals(rng):
    x, y = rng.normal(size=(20, 8)), rng.integers(0, 3, 20)
    sizes = [8, *[8] * 60, 3]
    flushed = gw.mlp(sizes, activation="sigmoid", init="nielsen", seed=0)
    kept = gw.mlp(sizes, activation="sigmoid", init="nielsen", seed=0, flush_denormals=False)
    zeros = gw.gradients(flushed, x, y, loss="quadratic").zeros("error")[0]
    gw.gradients(kept, x, y, loss="quadratic")
    size = np.abs(np.concatenate([g.ravel() for g in kept.gradients.values()]))
    smallest = np.finfo(np.float32).smallest_normal
    assert ((size > 0) & (size < smallest)).any(), "denormals are kept when asked for"
    size = np.abs(np.concatenate([g.ravel() for g in flushed.gradients.values()]))
    assert not ((size > 0) & (size < smallest)).any(), "and are zero otherwise"
    assert zeros[0] == 160 and zeros[-1] == 0


def test_an_interrupt_leaves_step_weights_and_history_together(tmp_path):
    """Whenever Ctrl-C comes, steps taken, noted and recorded are as many, and a resumed fit ends with the same bits."""
    code = """
import os, signal, threading, numpy as np, gradwell as gw
rng = np.random.default_rng(0)
x, y = rng.normal(size=(4000, 8)).astype(np.float32), rng.integers(0, 3, 4000)
make = lambda: gw.mlp([8, 60, 60, 3], seed=0)
settings = dict(loss="softmax_cross_entropy", optimizer=gw.Adam(1e-3), batch_size=50, epochs=100, progress=False)
whole = make()
gw.fit(whole, (x, y), **settings)
for delay in (0.02, 0.05, 0.11, 0.16):
    net = make()
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        gw.fit(net, (x, y), **settings)
    except KeyboardInterrupt as error:
        assert net.training_state["step"] == net.program.updates == len(error.history.step_loss)
        assert error.history.stopped == "interrupted"
        gw.fit(net, (x, y), resume=True, **settings)
    timer.join()
    assert net.program.updates == whole.program.updates
    for one, other in zip(net.parameters.values(), whole.parameters.values()):
        assert one.tobytes() == other.tobytes()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
