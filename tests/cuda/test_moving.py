"""Between devices: weights, optimiser state and files go along; views stay views; errors leave all as it was."""

import pickle

import networks
import numpy as np
import pytest

import gradwell as gw

pytestmark = pytest.mark.usefixtures("cuda")


def fitted(net, epochs=2, **settings):
    data = networks.samples()
    rule = {"loss": "softmax_cross_entropy", "optimizer": gw.Adam(0.01), "batch_size": 8, "stats": False}
    return gw.fit(net, data, epochs=epochs, **{**rule, **settings})


def test_there_and_back():
    net = networks.make("normalised")
    before = {name: view.copy() for name, view in net.parameters.items()}
    assert net.to("cuda") is net
    assert net.device == "cuda"
    assert "on cuda" in repr(net)
    net.to("cuda").to("cpu")
    assert net.device == "cpu"
    for name, view in net.parameters.items():
        np.testing.assert_array_equal(view, before[name])


def test_training_goes_on_elsewhere():
    here, there = networks.pair("dense")
    fitted(here, epochs=1)
    fitted(there, epochs=1)
    there.to("cpu")
    for net in (here, there):
        fitted(net, epochs=3, resume=True)
    for name, view in here.parameters.items():
        np.testing.assert_allclose(there.parameters[name], view, rtol=1e-8)


def test_views_are_views():
    net = networks.make("dense").to("cuda")
    weight = net.parameters["0.weight"]
    before = weight.copy()
    fitted(net)
    assert not np.array_equal(weight, before)  # seen through a view held since before the fit
    np.testing.assert_array_equal(weight, net.parameters["0.weight"])
    weight[...] = 0.0
    net.parameters["0.bias"][...] = 2.0
    net.parameters["2.weight"][...] = 0.0
    x, _ = networks.samples()
    np.testing.assert_array_equal(net.predict(x)[0], net.predict(x)[1])
    del weight
    fitted(net)
    assert np.abs(net.parameters["2.weight"]).max() > 0


def test_files_belong_to_no_device(tmp_path):
    net = networks.make("normalised").to("cuda")
    fitted(net)
    net.save(tmp_path / "net.safetensors")
    for device in ("cpu", "cuda"):
        again = gw.load(tmp_path / "net.safetensors", device=device)
        assert again.device == device
        for name, view in net.parameters.items():
            np.testing.assert_array_equal(again.parameters[name], view)
        fitted(again, epochs=3, resume=True)


def test_copies_and_pickles_are_where_the_network_is():
    net = networks.make("dense").to("cuda")
    for twin in (net.copy(), pickle.loads(pickle.dumps(net))):
        assert twin.device == "cuda"
        np.testing.assert_array_equal(twin.parameters["0.weight"], net.parameters["0.weight"])


def test_the_default_device(monkeypatch):
    monkeypatch.setenv("GRADWELL_DEVICE", "cuda")
    assert gw.mlp([4, 3, 2]).device == "cuda"
    assert gw.mlp([4, 3, 2], device="cpu").device == "cpu"
    monkeypatch.setenv("GRADWELL_DEVICE", "gpu")
    with pytest.raises(ValueError, match=r'\[GRADWELL_DEVICE\] device is "gpu"; needs "cpu" or "cuda"'):
        gw.mlp([4, 3, 2])


@pytest.mark.parametrize(
    ("layers", "shape", "reason"),
    [
        ([gw.ConvLSTM(2, 3)], (4, 1, 5, 5), "a ConvLSTM"),
        ([gw.LSTM(3, stateful=True)], (4, 2), "a stateful layer"),
        ([gw.LSTM(3, layer_norm=True)], (4, 2), "an LSTM with layer normalisation"),
    ],
)
def test_layers_of_the_cpu_only(layers, shape, reason):
    net = gw.Network([*layers, gw.Flatten(), gw.Dense(2)], shape, seed=0)
    with pytest.raises(ValueError, match=rf"\[to\] layer 0 is or has {reason}, which runs on the CPU only"):
        net.to("cuda")
    assert net.device == "cpu"


def test_own_updates():
    here, there = networks.pair("dense")
    x, y = networks.samples()
    for net in (here, there):
        optimizer = gw.Adam(0.05)
        for _ in range(3):
            dy = net.forward(x)
            dy[np.arange(len(y)), y] -= 1.0
            net.backward(dy / len(y))
            optimizer.update(net)
    for name, view in here.parameters.items():
        np.testing.assert_allclose(there.parameters[name], view, rtol=1e-8)


def test_a_wrong_device():
    net = networks.make("dense")
    with pytest.raises(ValueError, match=r'\[to\] device is "tpu"; needs "cpu" or "cuda"'):
        net.to("tpu")
    with pytest.raises(TypeError, match=r"\[to\] device is of type int; needs a str"):
        net.to(0)


def test_precision():
    with pytest.raises(ValueError, match='needs "float32", "tf32" or "bfloat16"'):
        gw.set_cuda_precision("float16")
    for name in ("tf32", "bfloat16", "float32"):
        gw.set_cuda_precision(name)
