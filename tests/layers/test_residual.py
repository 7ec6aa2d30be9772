"""Residual blocks: what they are built from, what the record shows of them, and how much memory they take."""

import os
import subprocess
import sys

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell.layers import from_description, walk


def test_names_and_stages():
    block = gw.Residual(gw.Dense(5), gw.ReLU(), gw.Dense(4, name="out"), shortcut=gw.Dense(4), scale="rezero")
    net = gw.Network([gw.Dense(3), block, gw.ReLU(), gw.Dense(2)], input_shape=6, seed=0)
    assert [stage[:2] for stage in net.program.stages] == [
        ("0", "dense"),
        ("1.0", "dense+relu"),
        ("1.out", "dense"),
        ("1.shortcut", "dense"),
        ("1", "residual+relu"),
        ("3", "dense"),
    ]
    assert [stage[4:] for stage in net.program.stages] == [(-1, 4), (0, 2), (1, 4), (0, 4), (2, 5), (4, -1)]
    assert net.parameters["1.scale"] == [0]
    assert [name for name, *_ in walk(net.layers)] == ["0", "1.0", "1.1", "1.out", "1.shortcut", "1", "2", "3"]
    assert "residual+relu 4" in repr(net)


@pytest.mark.parametrize(
    "layer",
    [
        gw.Residual(gw.Dense(3), gw.Residual(gw.BatchNorm(momentum=0.5), gw.ReLU()), scale=0.5, name="block"),
        gw.Residual(gw.Dense(3), shortcut=gw.Dense(3, use_bias=False), scale="fixup"),
        gw.LayerNorm(epsilon=1e-3, use_bias=False),
        gw.Dropout(0.25, name="drop"),
        gw.Dense(3, kernel_regularizer=gw.L1L2(0.1, 0.2), bias_regularizer=gw.L1(0.1), kernel_constraint=gw.MaxNorm(2)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_descriptions_and_files_round_trip(layer, tmp_path):
    assert from_description(layer.describe()) == layer
    net = gw.Network([layer, gw.Dense(2)], input_shape=3, seed=0)
    x = np.random.default_rng(0).normal(size=(8, 3))
    gw.fit(net, (x, np.arange(8) % 2), loss="quadratic", optimizer=gw.Adam(0.1), epochs=2)
    net.save(tmp_path / "m.safetensors")
    again = gw.load(tmp_path / "m.safetensors")
    assert again.layers == net.layers
    np.testing.assert_equal(again.snapshot(), net.snapshot())
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    np.testing.assert_array_equal(net.copy().predict(x), net.predict(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (gw.Residual, r"\[Residual\] the block is empty"),
        (lambda: gw.Residual(gw.Dense(3), 3), r"\[Residual\] layer 1 is of type int"),
        (lambda: gw.Residual(gw.Dense(3), shortcut=gw.ReLU()), r"\[Residual\] shortcut is of type ReLU"),
        (lambda: gw.Residual(gw.Dense(3), scale="zero"), r'\[Residual\] scale is "zero"; needs a number, "rezero"'),
        (lambda: gw.Residual(gw.Dense(3), scale=np.nan), r"\[Residual\] scale is nan"),
        (lambda: gw.Residual(gw.Dense(3), scale=True), r"\[Residual\] scale is of type bool"),
        (lambda: gw.Residual(gw.Dense(3, name="a"), gw.Dense(3, name="a")), r'two layers are named "a"'),
        (
            lambda: gw.Network([gw.Residual(gw.Dense(3))], input_shape=4),
            r"\[network\] the residual block 0 adds a branch of 3 outputs to 4; give shortcut=Dense\(3\)",
        ),
        (lambda: gw.Network([gw.Dropout(1.0)], input_shape=4), r"\[Dropout\] rate is 1.0"),
        (lambda: gw.BatchNorm(momentum=1.0), r"\[BatchNorm\] momentum is 1.0"),
        (lambda: gw.LayerNorm(epsilon=0), r"\[LayerNorm\] epsilon is 0.0"),
        (lambda: gw.Dense(3, kernel_regularizer=0.1), r"\[dense\] kernel_regularizer is 0.1; needs a regularizer"),
        (lambda: gw.Dense(3, kernel_constraint="max"), r"\[dense\] kernel_constraint is 'max'; needs a constraint"),
        (lambda: gw.L2(-1), r"\[regularizer\] l2 is -1.0"),
        (lambda: gw.MaxNorm(0), r"\[MaxNorm\] limit is 0.0"),
    ],
)
def test_what_is_no_block_is_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize("shortcut", [False, True])
def test_the_record_shows_skip_and_branch(shortcut, rng):
    """Norms of the two parts of dC/dx of the block, by hand."""
    branch = gw.Dense(5)
    block = gw.Residual(branch, gw.Tanh(), gw.Dense(6), shortcut=gw.Dense(6) if shortcut else None, scale=0.5)
    net = gw.Network([gw.Dense(6), block, gw.Dense(3)], input_shape=4, seed=1, dtype="float64")
    x, y = rng.normal(size=(40, 4)), rng.integers(0, 3, 40)
    record = gw.gradients(net, x, y, loss="softmax_cross_entropy")
    p = net.parameters
    h = x @ p["0.weight"]
    inner = np.tanh(h @ p["1.0.weight"])
    skip = h @ p["1.shortcut.weight"] if shortcut else h
    outputs = (skip + 0.5 * inner @ p["1.2.weight"]) @ p["2.weight"]
    delta = gw.kernels.softmax_cross_entropy(outputs, y)[1] @ p["2.weight"].T
    by_branch = (0.5 * delta @ p["1.2.weight"].T * (1 - inner**2)) @ p["1.0.weight"].T
    by_skip = delta @ p["1.shortcut.weight"].T if shortcut else delta
    at = record.layers.index("1")
    size = np.linalg.norm(delta)
    reason = "a few roundings"
    assert_close(record.gain("skip")[0, at], np.linalg.norm(by_skip) / size, relative=1e-12, reason=reason)
    assert_close(record.gain("branch")[0, at], np.linalg.norm(by_branch) / size, relative=1e-12, reason=reason)
    assert np.isnan(np.delete(record.gain("skip")[0], at)).all()
    begin = np.linalg.norm(by_skip + by_branch)
    assert_close(record.norm("error")[0, 0], begin, relative=1e-12, reason=reason)
    assert_close(record.gain("weight")[0, 0], begin / size, relative=1e-12, reason="of the joint, not of the branch")
    assert "scale" not in record.kinds


def test_a_block_at_the_input_hands_nothing_back(rng):
    net = gw.Network([gw.Residual(gw.Dense(4)), gw.Dense(3)], input_shape=4, seed=1)
    record = gw.gradients(net, rng.normal(size=(8, 4)), rng.integers(0, 3, 8), loss="quadratic")
    assert np.isnan(record.gain("skip")).all()
    assert np.isnan(record.gain("branch")).all()


def test_fixup_scales_its_branches():
    layers = [gw.Dense(8), *(gw.Residual(gw.Dense(8), gw.ReLU(), gw.Dense(8), scale="fixup") for _ in range(4))]
    net = gw.Network([*layers, gw.Dense(2)], input_shape=8, seed=0)
    plain = [gw.Dense(8), *(gw.Residual(gw.Dense(8), gw.ReLU(), gw.Dense(8)) for _ in range(4))]
    other = gw.Network([*plain, gw.Dense(2)], input_shape=8, seed=0)
    for i in range(1, 5):  # m = 2, L = 4: the factor is 4^(-1/2)
        np.testing.assert_allclose(net.parameters[f"{i}.0.weight"], other.parameters[f"{i}.0.weight"] / 2, rtol=1e-6)
        assert (net.parameters[f"{i}.2.weight"] == 0).all()
        assert net.parameters[f"{i}.scale"] == [1]


def test_a_rezero_net_begins_as_the_identity(rng):
    blocks = [gw.Residual(gw.Dense(7), gw.Tanh(), gw.Dense(7), scale="rezero") for _ in range(100)]
    x = rng.normal(size=(3, 7)).astype(np.float32)
    np.testing.assert_array_equal(gw.Network(blocks, input_shape=7, seed=0).predict(x), x)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer takes memory of its own")
def test_a_thousand_layers_train_within_200_mb():
    code = """
import numpy as np, gradwell as gw
block = lambda: gw.Residual(gw.Dense(64), gw.ReLU(), gw.Dense(64), scale="rezero")
net = gw.Network([gw.Dense(64), *(block() for _ in range(500)), gw.Dense(10)], input_shape=64, seed=0)
x, y = gw.datasets.digits()
h = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.005), batch_size=128, epochs=6)
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]
print(int(peak) / 1024, h.loss[-1])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert float(printed[0]) < 200, printed
    assert float(printed[1]) < 2.0, printed


def test_one_description_in_several_places_is_several_layers(tmp_path, rng):
    dense = gw.Dense(4, name=None)
    net = gw.Network([gw.Residual(dense, gw.Tanh(), dense, shortcut=dense)], input_shape=4, seed=0, dtype="float64")
    x, p = rng.normal(size=(3, 4)), net.parameters
    expected = np.tanh(x @ p["0.0.weight"]) @ p["0.2.weight"] + x @ p["0.shortcut.weight"]
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-12, atol=1e-14)
    net.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(gw.load(tmp_path / "m.safetensors").predict(x), net.predict(x))


def test_a_named_shortcut_can_be_loaded(tmp_path):
    block = gw.Residual(gw.Dense(4), gw.Tanh(), shortcut=gw.Dense(4, name="projection"))
    net = gw.Network([block], input_shape=3, seed=0)
    net.save(tmp_path / "m.safetensors")
    np.testing.assert_equal(gw.load(tmp_path / "m.safetensors").snapshot(), net.snapshot())
