"""A training step fuses, cuts and shares out its work; none of that may change a bit."""

import os
import time

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import reference

WIDE = [gw.Dense(200), gw.Tanh(), gw.Dense(130), gw.Sigmoid(), gw.Dense(150), gw.ELU(), gw.Dense(7)]
NETS = {
    "narrow": (30, [gw.Dense(30), gw.Sigmoid(), gw.Dense(30), gw.Tanh(), gw.Dense(10)]),
    "tails": (17, [gw.Dense(33), gw.ReLU(), gw.Dense(1), gw.Sigmoid(), gw.Dense(65), gw.SELU(), gw.Dense(3)]),
    "wide": (300, WIDE),
    "keeps its input": (40, [gw.Dense(90), gw.GELU(), gw.Dense(70), gw.SiLU(), gw.Dense(5)]),
    "slopes": (20, [gw.Dense(50), gw.PReLU(), gw.Dense(40), gw.LeakyReLU(), gw.Dense(4)]),
    "lone activations": (24, [gw.Tanh(), gw.Dense(48), gw.Sigmoid(), gw.Tanh(), gw.Dense(6)]),
    "no bias": (16, [gw.Dense(64, use_bias=False), gw.Tanh(), gw.Dense(3, use_bias=False)]),
    "blocks of a weight": (700, [gw.Dense(300), gw.Tanh(), gw.Dense(3)]),
    "packed": (520, [gw.Dense(700), gw.Tanh(), gw.Dense(530), gw.ReLU(), gw.Dense(3)]),
}
each_net = pytest.mark.parametrize("name", NETS)


@pytest.fixture
def threads():
    before = gw.num_threads()
    yield gw.set_num_threads
    gw.set_num_threads(before)


def build(name, dtype="float32"):
    inputs, layers = NETS[name]
    return gw.Network(layers, inputs, seed=3, dtype=dtype)


def data(net, rows, rng):
    x = rng.normal(size=(rows, net.inputs)).astype(net.dtype)
    return x, rng.normal(size=(rows, net.outputs)).astype(net.dtype)


def by_hand(net, x, y, optimizer, batch):
    """Forward, backward and update as three calls, each of which stores all it makes."""
    for first in range(0, len(x), batch):
        outputs = net.forward(x[first : first + batch])
        _, dy = gw.kernels.quadratic(outputs, y[first : first + batch])
        net.backward(dy)
        optimizer.update(net)


@each_net
@pytest.mark.parametrize("rows", [1, 10, 33, 64, 600], ids="{} rows".format)
@pytest.mark.parametrize("count", [1, 2, 3], ids="{} threads".format)
def test_a_step_is_forward_backward_and_update_bit_for_bit(name, rows, count, threads, rng):
    # 600 rows are more than a packed block of the depth; three threads get unequal shares.
    threads(count)
    optimizer = gw.SGD(0.01, weight_decay=0.1)
    one, other = build(name), build(name)
    x, y = data(one, 2 * rows, rng)
    by_hand(one, x, y, optimizer, rows)
    gw.fit(other, (x, y), loss="quadratic", optimizer=optimizer, batch_size=rows, shuffle=False, stats=False)
    for parameter, view in one.parameters.items():
        np.testing.assert_array_equal(other.parameters[parameter], view, err_msg=parameter)


@each_net
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_recording_and_threads_change_no_bit_of_weights_or_record(name, dtype, threads, rng):
    x, y = data(build(name, dtype), 150, rng)
    found, records = set(), set()
    for count in (1, 2, 3, 8):
        threads(count)
        for stats in (False, True):
            net = build(name, dtype)
            options = {"loss": "quadratic", "optimizer": gw.SGD(0.01, l2=0.1), "batch_size": 50, "epochs": 2}
            history = gw.fit(net, (x, y), stats=stats, **options)
            found.add(b"".join(view.tobytes() for view in net.parameters.values()))
            if stats:
                kinds = history.gradients.kinds
                records.add(b"".join(history.gradients.get(kind, "norm").tobytes() for kind in kinds))
    assert len(found) == len(records) == 1


def test_a_shuffled_batch_is_the_same_samples(rng):
    net, twin = build("narrow"), build("narrow")
    x, y = data(net, 40, rng)
    options = {"loss": "quadratic", "optimizer": gw.SGD(0.1), "batch_size": 40, "stats": False}
    gw.fit(net, (x, y), shuffle=True, seed=5, **options)
    order = np.random.default_rng([5, 0]).permutation(40)
    gw.fit(twin, (x[order], y[order]), shuffle=False, **options)
    for parameter, view in net.parameters.items():
        np.testing.assert_array_equal(twin.parameters[parameter], view)


@pytest.mark.parametrize("rows", [5, 40, 64, 90])
def test_the_record_of_a_step_is_that_of_the_whole_arrays(rows, threads, rng):
    """Pieces, blocks of rows and threads add up to the statistics of each array as a whole."""
    threads(2)
    net = build("wide", "float64")
    x, y = data(net, rows, rng)
    record = gw.gradients(net, x, y, loss="quadratic")
    for i, name in enumerate(record.layers):
        expected = reference.gradient_statistics(net.gradients[f"{name}.weight"])
        for quantity in ("norm", "std", "min", "max", "largest", "smallest", "zeros"):
            actual = record.get("weight", quantity)[0, i]
            reason = "sums of some ten thousand terms in double"
            assert_close(actual, getattr(expected, quantity), relative=1e-11, reason=reason)
        exponents, counts = record.histogram("weight", name)
        np.testing.assert_array_equal(counts[0][np.isin(exponents, expected.exponents)], expected.counts)
        assert counts.sum() == expected.counts.sum()


def test_no_thread_works_on_after_a_fit(threads, rng):
    threads(2)
    x, y = rng.normal(size=(512, 300)).astype(np.float32), rng.integers(0, 10, 512)
    net = gw.mlp([300, 300, 300, 10], seed=0)
    gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), batch_size=128, epochs=5)
    time.sleep(0.05)
    before = os.times()
    time.sleep(0.3)
    after = os.times()
    used = after.user + after.system - before.user - before.system
    assert used < 0.1, "a spinning thread would have used 0.3 s"


def test_a_step_too_large_for_its_bound_is_still_taken_where_it_fits(rng):
    """The bound on the gradients is beyond float32, the gradients are not: they are made and looked at."""
    net = gw.Network([gw.Dense(2)], 2, seed=0)
    net.parameters["0.weight"][...] = 0
    x = np.array([[1e30, 0.0], [0.0, 1e-3]], np.float32)
    y = np.array([[1e-25, 0.0], [0.0, 1e22]], np.float32)
    twin = gw.Network([gw.Dense(2)], 2, seed=0)
    twin.parameters["0.weight"][...] = 0
    gw.fit(net, (x, y), loss="quadratic", optimizer=gw.SGD(1e-20), batch_size=2, shuffle=False)
    by_hand(twin, x, y, gw.SGD(1e-20), 2)
    assert net.parameters["0.weight"].any()
    np.testing.assert_array_equal(net.parameters["0.weight"], twin.parameters["0.weight"])
