"""Saved networks: every bit comes back, a failing write harms nothing, a damaged file is named and refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import gradwell as gw
from gradwell import initializers, storage

LAYERS = [
    gw.Dense(4, init="nielsen", name="in"),
    gw.LeakyReLU(0.3),
    gw.PReLU(name="bend"),
    gw.Dense(5, use_bias=False),
    gw.ELU(0.5),
    *(cls() for cls in (gw.Identity, gw.Sigmoid, gw.Tanh, gw.ReLU, gw.SELU, gw.Softplus, gw.SiLU, gw.GELU)),
    gw.Activation("tanh"),
    gw.Dense(2),
]


@pytest.fixture
def net():
    return gw.Network(LAYERS, input_shape=(3, 2), seed=1)


@pytest.fixture
def file(net, tmp_path):
    path = tmp_path / "m.safetensors"
    net.save(path)
    return path


def rewrite(file, about=None, **tensors):
    """Change the description by about(dict) or to a text, and replace tensors; None takes one away."""
    with safe_open(file, framework="numpy") as content:
        text = content.metadata()["gradwell"]
        kept = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    described = json.loads(text)
    if callable(about):
        about(described)
    text = about if isinstance(about, str) else json.dumps(described)
    kept.update({name.replace("_", "."): value for name, value in tensors.items()})
    save_file({k: v for k, v in kept.items() if v is not None}, file, metadata={"gradwell": text})


@pytest.mark.parametrize("flush", [True, False])
def test_every_bit_and_every_layer_comes_back(tmp_path, dtype, flush, rng):
    net = gw.Network(LAYERS, input_shape=(3, 2), seed=1, dtype=dtype, flush_denormals=flush)
    net.parameters["in.bias"][...] = [np.nan, -0.0, np.inf, np.finfo(dtype).smallest_subnormal]
    net.save(str(tmp_path / "m.safetensors"))
    again = gw.load(tmp_path / "m.safetensors")
    assert again.describe() == net.describe()
    assert again.layers == net.layers
    assert list(again.parameters) == list(net.parameters)
    for name, value in net.parameters.items():
        assert again.parameters[name].tobytes() == value.tobytes()
        assert again.parameters[name].dtype == dtype
    net.parameters["in.bias"][...] = again.parameters["in.bias"][...] = 0
    x = rng.normal(size=(7, 3, 2))
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


def test_training_goes_on_from_a_file_bit_for_bit(net, tmp_path, rng):
    data = rng.normal(size=(30, 6)), rng.integers(0, 2, 30)
    how = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "batch_size": 4, "seed": 3}
    whole = net.copy()
    gw.fit(whole, data, **how, epochs=4)
    gw.fit(net, data, **how, epochs=4, max_steps=13)  # in the middle of an epoch
    net.save(tmp_path / "half.safetensors")
    resumed = gw.load(tmp_path / "half.safetensors")
    assert resumed.training_state == net.training_state
    gw.fit(resumed, data, **how, epochs=4, resume=True)
    for name, value in whole.parameters.items():
        np.testing.assert_array_equal(resumed.parameters[name], value)


def test_numpy_numbers_in_settings_can_be_saved(tmp_path):
    gw.mlp(np.array([4, 3, 2]), "elu", alpha=np.float32(0.5), seed=0).save(tmp_path / "m.safetensors")
    assert gw.load(tmp_path / "m.safetensors").layers[1].alpha == 0.5


def test_other_tools_read_the_tensors(net, file):
    with safe_open(file, framework="numpy") as content:
        for name, value in net.parameters.items():
            np.testing.assert_array_equal(content.get_tensor(name), value)


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failing_write_leaves_the_old_file_whole_and_no_other(net, file, monkeypatch, broken):
    before = file.read_bytes()
    net.parameters["in.weight"][...] = 7

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="No space left"):
        net.save(file)
    monkeypatch.undo()
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]
    net.save(file)
    assert file.read_bytes() != before


@pytest.mark.parametrize("path", ["missing/m.safetensors", ""])
def test_saving_into_a_missing_folder_names_it(net, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"\[save\] "):
        net.save(path)
    assert not os.listdir(tmp_path)


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    class Mine(initializers.Initializer):
        def sample(self, rng, shape, n_in):
            return np.ones(shape)

    net = gw.Network([gw.Dense(2, init=Mine())], input_shape=2)
    with pytest.raises(ValueError, match=r"\[save\] layer 0 could not be loaded again: \[init\] init is"):
        net.save(tmp_path / "m.safetensors")
    assert not os.listdir(tmp_path)


def assert_refused(file, message):
    with pytest.raises(ValueError, match=message) as raised:
        gw.load(file)
    assert str(raised.value).startswith(f"[load] {file}: ")


def test_a_truncated_file_is_refused_at_any_length(file):
    content = file.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        assert_refused(file, "not a whole safetensors file")


@pytest.mark.parametrize("content", [b"hello, world", b"\x80\x04K\x01.", b"PK\x03\x04" * 50, b"\xff" * 64])
def test_another_format_is_refused(file, content):
    file.write_bytes(content)
    assert_refused(file, "not a whole safetensors file")


def test_foreign_safetensors_are_refused_by_their_tensors(tmp_path):
    save_file({"model.w": np.zeros((2, 2), np.float32)}, tmp_path / "foreign.safetensors")
    assert_refused(tmp_path / "foreign.safetensors", "no gradwell description; its tensors are model.w")


def test_foreign_dtypes_are_refused_by_their_tensors(tmp_path):
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path = tmp_path / "bf16.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    assert_refused(path, "no gradwell description; its tensors are w")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"in_weight": np.zeros((6, 5), np.float32)}, r"in.weight is \(6, 5\) but its network needs \(6, 4\)"),
        ({"in_bias": np.zeros(9, np.float32)}, r"in.bias is float32 \(9,\) but .* float32 \(4,\)"),
        ({"in_bias": np.zeros(4)}, r"in.bias is float64 \(4,\) but .* float32 \(4,\)"),
        ({"in_weight": None}, "in.weight is missing"),
        ({"bend_slope": None}, "has tensors .* but its network needs .*bend.slope"),
        ({"extra": np.zeros(1)}, "has tensors .*extra.* but its network needs"),
    ],
)
def test_tensors_that_do_not_fit_are_named(file, tensors, message):
    rewrite(file, **tensors)
    assert_refused(file, message)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ("null", "damaged"),
        ("[" * 100_000, "damaged"),
        ("{}", "damaged .*format"),
        (lambda d: d.update(format=3), r"format 3 is newer than this version reads \(2\)"),
        (lambda d: d.update(format="x"), "damaged"),
        (lambda d: d.pop("training"), "damaged .*training"),
        (lambda d: d.update(training={"step": 3}), "damaged .*it has no batch_size"),
        (lambda d: d["network"].pop("dtype"), "damaged .*it has no dtype"),
        (lambda d: d["network"].update(dtype="int8"), 'dtype is "int8"'),
        (lambda d: d["network"].update(layers=3), "int"),
        (lambda d: d["network"].update(layers=["Dense"]), "dictionary"),
        (lambda d: d["network"].update(input_shape=[-1]), "needs"),
        (lambda d: d["network"]["layers"][0].update({"class": "os.system"}), 'class is "os.system"'),
        (lambda d: d["network"]["layers"][0].update(units=2**40), r"in.weight is .* needs \(6, 1099511627776\)"),
        (lambda d: d["network"]["layers"][0].update(units="4"), "units is of type str"),
        (lambda d: d["network"]["layers"][1].update(alpha=-1), "alpha is -1"),
    ],
)
def test_a_damaged_description_is_refused(file, about, message):
    rewrite(file, about)
    assert_refused(file, message)


@pytest.mark.parametrize("path", ["none.safetensors", "."])
def test_a_missing_file_is_not_found(tmp_path, path):
    with pytest.raises(FileNotFoundError, match=r"\[load\] .*: no such file"):
        gw.load(tmp_path / path)


def test_no_code_is_ever_read_from_a_file():
    source = Path(storage.__file__).read_text()
    assert not [word for word in ("import pickle", "np.load", "eval(", "exec(") if word in source]


def test_bytes_are_those_of_the_file_and_damaged_ones_are_refused(net, file):
    content = storage.to_bytes(net)
    assert content == file.read_bytes()
    again = storage.from_bytes(content)
    assert again.layers == net.layers
    assert all(again.parameters[name].tobytes() == view.tobytes() for name, view in net.parameters.items())
    for damaged in (b"", content[:7], content[:-1], content[:100]):
        with pytest.raises(ValueError, match=r"\[load\] bytes: not a whole safetensors file"):
            storage.from_bytes(damaged)
    with pytest.raises(ValueError, match=r"\[load\] bytes: has no gradwell description"):
        storage.from_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
