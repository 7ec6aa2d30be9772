"""What goes wrong on a GPU is found, named, and changes nothing."""

import os
import subprocess
import sys

import networks
import numpy as np
import pytest

import gradwell as gw

pytestmark = pytest.mark.usefixtures("cuda")


def fit(net, data, **settings):
    rule = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "batch_size": 8, "seed": 0, "stats": False}
    return gw.fit(net, data, **{**rule, **settings})


@pytest.mark.parametrize("kind", ["dense", "wide", "normalised"])
def test_a_nan_in_the_weights_is_named(kind):
    net = networks.make(kind).to("cuda")
    net.parameters["0.weight"][1, 2] = np.nan
    before = {name: view.copy() for name, view in net.parameters.items()}
    with pytest.raises(gw.NonFiniteError, match="dense_forward") as caught:
        fit(net, networks.samples())
    assert caught.value.step == 0
    for name, view in net.parameters.items():
        np.testing.assert_array_equal(view, before[name])


@pytest.mark.parametrize("kind", ["dense", "wide"])
def test_an_overflowing_step_is_refused(kind):
    errors = []
    for net in networks.pair(kind, dtype="float32"):
        with pytest.raises(gw.NonFiniteError, match="update") as caught:
            fit(net, networks.samples(), optimizer=gw.SGD(3e38))
        errors.append(caught.value)
        assert all(np.isfinite(view).all() for view in net.parameters.values())
    here, there = errors
    assert (here.step, here.phase, here.layer) == (there.step, there.phase, there.layer)


@pytest.mark.parametrize("width", [6, 150])
def test_steps_before_a_fault_are_taken(width):
    x, y = networks.samples(rows=40)
    x[33] = [3e38, -3e38, 3e38, -3e38]  # in the last batch only
    nets, histories = [gw.mlp([4, width, 3], activation="relu", seed=0, device=d) for d in ("cpu", "cuda")], []
    for net in nets:
        net.parameters["0.weight"][0] *= 2.0
        with pytest.raises(gw.NonFiniteError) as caught:
            fit(net, (x, y), shuffle=False, loss="quadratic", optimizer=gw.SGD(1e-3))
        assert caught.value.step == 4
        histories.append(caught.value.history)
    np.testing.assert_allclose(histories[1].step_loss, histories[0].step_loss, rtol=1e-5)
    for name, view in nets[0].parameters.items():
        np.testing.assert_allclose(nets[1].parameters[name], view, rtol=1e-4, atol=1e-6)


def test_what_a_bound_leaves_open_the_gradients_decide():
    """The largest input and the largest error are in different rows: their product is far above any gradient."""
    x, y = np.ones((48, 4)) * [0, 1, 1, 1], np.zeros((48, 3))
    x[16:] = np.tile([[1e32, 0, 0, 0], [0, 1, 1, 1]], (16, 1))  # after steps that nothing is wrong with
    y[17::2] = 1e8
    layers = [gw.Dense(6, use_bias=False), gw.ReLU(), gw.Dense(3, use_bias=False)]
    nets = [gw.Network(layers, 4, seed=0, device=device) for device in ("cpu", "cuda")]
    for net in nets:
        net.parameters["0.weight"][0] = 0.0  # so that nothing comes of the large input, nor of its error
        history = fit(net, (x, y), shuffle=False, loss="quadratic", optimizer=gw.SGD(1e-12), epochs=2)
        assert len(history.step_loss) == 12
    for name, view in nets[0].parameters.items():
        np.testing.assert_allclose(nets[1].parameters[name], view, rtol=1e-4, atol=1e-7)


def test_bad_steps_are_skipped():
    here, there = networks.pair("wide")
    x, y = networks.samples(rows=40)
    x[33] = 1e308
    x[33, 1] = -1e308
    for net in (here, there):
        history = fit(net, (x, y), shuffle=False, nonfinite="skip", epochs=2, loss="quadratic")
        assert len(history.skipped) == 2
    for name, view in here.parameters.items():
        np.testing.assert_allclose(there.parameters[name], view, rtol=1e-7)


def test_parameters_that_near_the_end_of_the_format_still_step():
    here, there = (networks.make("dense", dtype="float32") for _ in range(2))
    there.to("cuda")
    for net in (here, there):
        net.parameters["4.bias"][0] = 1.2e38
        fit(net, networks.samples(), optimizer=gw.SGD(1e-3), loss="sigmoid_cross_entropy", max_steps=2)
        assert len(net.parameters["0.weight"]) > 0
    for name, view in here.parameters.items():
        np.testing.assert_allclose(there.parameters[name], view, rtol=1e-4)


LITTLE_MEMORY = """
import numpy as np, gradwell as gw
net = gw.mlp([64, 32, 10], seed=0)
try:
    gw.mlp([2000, 2000, 10], seed=0).to("cuda")
except MemoryError:
    print("too large")
net.to("cuda")
x, y = np.ones((40000, 64)), np.zeros(40000, int)
before = net.predict(x[:5])
h = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), batch_size=100, max_steps=30)
print(net.training_state["step"], "steps")
shares = np.eye(10)[y]
h = gw.fit(net, (x, shares), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), batch_size=100, max_steps=30)
print(bool(np.isfinite(h.step_loss).all()), net.training_state["step"], "more")
try:
    net.predict(np.ones((400000, 64)), batch_size=400000)
except MemoryError:
    print("too many rows")
print(net.predict(x[:5]).shape)
"""


def test_little_memory(cuda):
    """Sets that do not fit are streamed; what cannot work leaves the network as it was."""
    if "emulated" not in cuda["name"]:
        pytest.skip("the memory of a GPU cannot be made small")
    run = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY],
        env={**os.environ, "GRADWELL_EMULATED_MEMORY": str(44 << 20)},
        capture_output=True,
        text=True,
        check=False,
    )
    wanted = ["too large", "30 steps", "True 30 more", "too many rows", "(5, 10)"]
    assert run.stdout.split("\n")[:5] == wanted, run.stderr


def test_interrupts(cuda):
    net = networks.make("dense").to("cuda")

    class Stop(gw.Callback):
        def on_chunk(self, state):
            if state.step > 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(net, networks.samples(rows=4000), epochs=100, callbacks=[Stop()])
    assert caught.value.history.step_loss.size > 3
    assert np.isfinite(net.predict(networks.samples()[0])).all()
