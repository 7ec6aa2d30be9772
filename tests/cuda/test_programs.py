"""A network on a GPU does what it does on the CPU."""

import networks
import numpy as np
import pytest
from compare import assert_close

import gradwell as gw

pytestmark = pytest.mark.usefixtures("cuda")
SUMS = "sums over layers in another order"
KINDS = tuple(networks.PLAIN)


def same(actual, expected, relative=1e-11):
    """Every array of two mappings is the same but for rounding, measured against its largest element."""
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert_close(actual[name], array, relative=relative, cancellation_scale=np.abs(array).max(), reason=SUMS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_forward_and_backward(kind, training):
    cpu, gpu = networks.pair(kind)
    x, _ = networks.samples()
    rng = np.random.default_rng(1)
    for _ in range(2):  # dropout draws anew, moments move
        y, expected = gpu.forward(x, training=training, seed=5), cpu.forward(x, training=training, seed=5)
        assert_close(y, expected, relative=1e-11, cancellation_scale=np.abs(expected).max(), reason=SUMS)
        dy = rng.normal(size=y.shape)
        same({"dx": gpu.backward(dy)}, {"dx": cpu.backward(dy)})
        same(gpu.gradients, cpu.gradients)
        same(gpu.buffers, cpu.buffers)


@pytest.mark.parametrize("kind", KINDS)
def test_prediction_and_evaluation(kind):
    cpu, gpu = networks.pair(kind)
    x, y = networks.samples(rows=37)
    same({"y": gpu.predict(x, batch_size=10)}, {"y": cpu.predict(x, batch_size=10)})
    for loss in gw.kernels.LOSSES:
        here = gpu.evaluate(x, y, loss=loss, batch_size=16)
        there = cpu.evaluate(x, y, loss=loss, batch_size=16)
        assert here == pytest.approx(there, rel=1e-11)


OPTIMIZERS = {
    "sgd": lambda: gw.SGD(0.1, weight_decay=1e-2),
    "momentum": lambda: gw.SGD(0.05, momentum=0.9),
    "nesterov": lambda: gw.SGD(0.05, momentum=0.9, nesterov=True),
    "adagrad": lambda: gw.Adagrad(0.05),
    "rmsprop": lambda: gw.RMSprop(0.01, momentum=0.5),
    "adam": lambda: gw.Adam(0.01),
    "adamw": lambda: gw.AdamW(0.01, weight_decay=0.1),
    "rprop": lambda: gw.Rprop(0.01),
}


def trained(net, optimizer, **settings):
    x, y = networks.samples(rows=23)
    data = {"loss": "softmax_cross_entropy", "optimizer": optimizer, "batch_size": 8, "epochs": 4, "seed": 1}
    return gw.fit(net, (x, y), **{**data, **settings})


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["dense", "wide", "normalised"])
def test_training(kind, optimizer):
    cpu, gpu = networks.pair(kind)
    expected, actual = (trained(net, OPTIMIZERS[optimizer](), stats=False) for net in (cpu, gpu))
    same({"loss": actual.loss}, {"loss": expected.loss}, relative=1e-9)
    same(gpu.parameters, cpu.parameters, relative=1e-8)
    same(gpu.buffers, cpu.buffers, relative=1e-8)
    np.testing.assert_array_equal(actual.metrics["accuracy"], expected.metrics["accuracy"])


@pytest.mark.parametrize("kind", KINDS)
def test_training_of_every_layer(kind):
    cpu, gpu = networks.pair(kind)
    expected, actual = (trained(net, gw.SGD(0.1), stats=False) for net in (cpu, gpu))
    same({"loss": actual.loss}, {"loss": expected.loss}, relative=1e-9)
    same(gpu.parameters, cpu.parameters, relative=1e-8)


CLIPS = {
    "norm": gw.clip_by_norm(0.1),
    "layer": gw.clip_by_layer_norm(0.05),
    "value": gw.clip_by_value(0.02),
    "adaptive": gw.adaptive_clip(0.02),
    "percentile": gw.auto_clip(30),
    "zscore": gw.z_clip(1.0),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_clipping(clip):
    cpu, gpu = networks.pair("dense")
    expected, actual = (trained(net, gw.SGD(0.3), clip=CLIPS[clip], stats=False) for net in (cpu, gpu))
    same(gpu.parameters, cpu.parameters, relative=1e-8)
    for name in ("before", "after"):
        np.testing.assert_allclose(getattr(actual.clipping, name), getattr(expected.clipping, name), rtol=1e-9)
    assert actual.clipping.steps.tolist() == expected.clipping.steps.tolist()


def test_penalties_constraints_and_amplification():
    layers = [
        gw.Dense(6, kernel_regularizer=gw.L1L2(1e-3, 1e-2), bias_regularizer=gw.L2(0.1)),
        gw.Tanh(),
        gw.Dense(5, kernel_constraint=gw.MaxNorm(0.5)),
        gw.Tanh(),
        gw.Dense(3, kernel_constraint=gw.ClipWeights(0.1)),
    ]
    cpu = gw.Network(layers, 4, seed=2, dtype="float64")
    gpu = cpu.copy().to("cuda")
    amplify = gw.Amplify(["0"], 3.0)
    expected, actual = (trained(net, gw.SGD(0.2), amplify=amplify, stats=False) for net in (cpu, gpu))
    same(gpu.parameters, cpu.parameters, relative=1e-8)
    np.testing.assert_allclose(actual.regularization, expected.regularization, rtol=1e-9)


def test_learning_rates_of_a_schedule():
    cpu, gpu = networks.pair("dense")
    for net in (cpu, gpu):
        trained(net, gw.SGD(gw.schedules.CosineDecay(0.3, 12)), stats=False)
    same(gpu.parameters, cpu.parameters, relative=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_every_time(dtype):
    def run():
        net = networks.make("wide", dtype=dtype).to("cuda")
        history = trained(net, gw.Adam(0.01), clip=gw.clip_by_norm(1.0))
        return [history.loss, *net.parameters.values()]

    for first, second in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", ["dense", "wide"])
def test_recording_changes_nothing(kind):
    plain, recorded = (networks.make(kind).to("cuda") for _ in range(2))
    trained(plain, gw.SGD(0.1), stats=False)
    trained(recorded, gw.SGD(0.1), stats=True)
    for name, view in plain.parameters.items():
        np.testing.assert_array_equal(recorded.parameters[name], view)


def test_resuming_gives_the_same_bits():
    whole, parts = (networks.make("dense").to("cuda") for _ in range(2))
    trained(whole, gw.Adam(0.01), epochs=4)
    trained(parts, gw.Adam(0.01), epochs=1)
    trained(parts, gw.Adam(0.01), epochs=4, resume=True)
    for name, view in whole.parameters.items():
        np.testing.assert_array_equal(parts.parameters[name], view)


def test_a_chain_of_narrow_layers_stores_no_gradient():
    """Its step makes each gradient in registers; where something is to look at them they are made first."""
    plain, clipped = (networks.make("dense").to("cuda") for _ in range(2))
    trained(plain, gw.SGD(0.1), stats=False)
    trained(clipped, gw.SGD(0.1), clip=gw.clip_by_norm(1e9), stats=False)
    assert all((view == 0).all() for view in plain.gradients.values())
    assert all((view != 0).any() for view in clipped.gradients.values())
    same(plain.parameters, clipped.parameters, relative=1e-9)


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 33])
def test_narrow_chains_of_any_batch(rows):
    nets = [gw.mlp([70, 128, 33, 1, 2], activation="relu", seed=1, dtype="float64", device=d) for d in ("cpu", "cuda")]
    x, y = networks.samples(rows=2 * rows + 1, inputs=70, classes=2)
    for net in nets:
        gw.fit(net, (x, y), loss="quadratic", optimizer=gw.Adam(0.01), batch_size=rows, epochs=2, stats=False)
    same(nets[1].parameters, nets[0].parameters, relative=1e-8)
