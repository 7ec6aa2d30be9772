"""Run folders: every bit comes back, a write that fails leaves no false run, damage and malice are named."""

import hashlib
import json
import os

import numpy as np
import pytest
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as tensors_to_bytes

import gradwell as gw
from gradwell import runs, statistics

X, Y = gw.datasets.digits()


def deep(**settings):
    net = gw.mlp([64, *[20] * 5, 10], activation="sigmoid", init="nielsen", seed=0)
    given = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "epochs": 2, "stats": True, **settings}
    return net, gw.fit(net, (X, Y), progress=False, **given)


def sequences(layer):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 7, 2)), rng.integers(0, 3, 40)
    net = gw.Network([layer, gw.Dense(3)], (7, 2), seed=0)
    how = {"loss": "softmax_cross_entropy", "optimizer": gw.Adam(1e-2), "epochs": 3, "stats": True}
    return net, gw.fit(net, (x, y), clip=gw.clip_by_norm(0.1), progress=False, **how)


def residual():
    layers = [gw.Dense(20), gw.Tanh(), gw.Residual(gw.Dense(20), gw.ReLU(), scale=0.5), gw.BatchNorm(), gw.Dense(10)]
    net = gw.Network(layers, 64, seed=0)
    how = {"loss": "quadratic", "optimizer": gw.SGD(0.05), "epochs": 1, "stats": True, "clip": gw.auto_clip()}
    return net, gw.fit(net, (X, Y), validation=(X[:50], Y[:50]), progress=False, **how)


def resumed():
    net, _ = deep(epochs=1)
    how = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "epochs": 2, "stats": True}
    return net, gw.fit(net, (X, Y), resume=True, progress=False, **how)


def broken(nonfinite="stop"):
    net = gw.mlp([64, 20, 20, 10], activation="relu", init="he", seed=0)
    how = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(1e30), "epochs": 2, "stats": True}
    return net, gw.fit(net, (X, Y), progress=False, nonfinite=nonfinite, **how)


TRAININGS = {
    "deep": deep,
    "without a record": lambda: deep(stats=False),
    "no steps": lambda: deep(epochs=0),
    "lstm": lambda: sequences(gw.LSTM(4)),
    "bidirectional gru": lambda: sequences(gw.Bidirectional(gw.GRU(3))),
    "residual": residual,
    "resumed": resumed,
    "stopped": broken,
    "skipped": lambda: broken("skip"),
}


@pytest.fixture(scope="module", params=TRAININGS.values(), ids=TRAININGS.keys())
def training(request):
    return request.param()


def same(a, b):
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert np.asarray(a).dtype == np.asarray(b).dtype


def test_every_number_comes_back(training, tmp_path):
    net, history = training
    before = json.dumps(history.to_dict())
    run = gw.load_run(gw.save_run(tmp_path / "a" / "run", history, network=net, settings={"rate": 0.1, "π": [None]}))
    again = run.history
    assert json.dumps(history.to_dict()) == before
    record, back = history.gradients, again.gradients
    assert (back.layers, back.descriptions, back.above, back.loss) == (
        record.layers,
        record.descriptions,
        record.above,
        record.loss,
    )
    same(back.steps, record.steps)
    assert back.kinds == record.kinds
    for kind in record.kinds:
        for quantity in statistics.QUANTITIES:
            same(back.get(kind, quantity), record.get(kind, quantity))
        for layer in record.layers:
            for ours, theirs in zip(back.histogram(kind, layer), record.histogram(kind, layer), strict=True):
                same(ours, theirs)
    for part in ("total", "weight", "derivative", "norm", "skip", "branch"):
        same(back.gain(part), record.gain(part))
    for name in record.recurrent:
        for quantity in record.time(name).quantities:
            same(back.time(name).norm(quantity), record.time(name).norm(quantity))
        same(back.time(name).omega, record.time(name).omega)
    same(back.saturated(), record.saturated())
    same(back.dead(), record.dead())
    same(back.update("weight"), record.update("weight"))
    for name in ("steps", "before", "after", "clipped", "factor"):
        same(getattr(again.clipping, name), getattr(history.clipping, name))
    assert list(again.clipping.layer) == list(history.clipping.layer)
    same(again.step_loss, history.step_loss)
    same(again.loss, history.loss)
    assert again.facts == history.facts or repr(again.facts) == repr(history.facts)
    assert str(again.fault) == str(history.fault)
    assert again.first_step == history.first_step
    assert (again.stopped, again.skipped, again.seconds) == (history.stopped, history.skipped, history.seconds)
    assert json.dumps(again.to_dict()) == before
    assert gw.diagnose(again).to_dict() == gw.diagnose(history).to_dict()
    assert run.settings == {"rate": 0.1, "π": [None]}
    for name, value in net.parameters.items():
        assert run.network.parameters[name].tobytes() == value.tobytes()


def test_the_error_that_ended_a_fit_comes_back(tmp_path):
    net = gw.mlp([64, 20, 20, 10], activation="relu", init="he", seed=0)
    with pytest.raises(gw.NonFiniteError) as caught:
        gw.fit(net, (X, Y), loss="softmax_cross_entropy", optimizer=gw.SGD(1e30), epochs=2, progress=False)
    run = gw.load_run(gw.save_run(tmp_path, caught.value.history))
    assert run.network is None
    assert run.history.fault.values == caught.value.values
    assert gw.diagnose(run.history.fault).to_dict() == gw.diagnose(caught.value).to_dict()


@pytest.fixture(scope="module")
def finished():
    return deep()


@pytest.fixture
def folder(finished, tmp_path):
    net, history = finished
    return gw.save_run(tmp_path / "run", history, network=net, settings={"a": 1})


def signed(folder):
    """Write the manifest anew, so that what is looked at is what the files hold."""
    manifest = json.loads((folder / "run.json").read_text())
    for name, entry in manifest["files"].items():
        content = (folder / name).read_bytes()
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / "run.json").write_text(json.dumps(manifest))
    return folder


def refused(folder):
    with pytest.raises(ValueError, match=r"^\[load") as caught:
        gw.load_run(folder)
    return str(caught.value)


def test_a_run_is_replaced_and_another_folder_is_not(finished, folder):
    _, history = finished
    (folder / "notes.txt").write_text("mine")
    gw.save_run(folder, history, settings={"a": 2})
    again = gw.load_run(folder)
    assert (again.settings, again.network) == ({"a": 2}, None)
    assert not (folder / "network.safetensors").exists()
    assert (folder / "notes.txt").read_text() == "mine"
    other = folder.parent / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"is no run and holds thesis\.tex"):
        gw.save_run(other, history)
    assert [entry.name for entry in other.iterdir()] == ["thesis.tex"]
    gw.save_run(other, history, overwrite=True)
    assert (other / "thesis.tex").read_text() == "x"
    with pytest.raises(NotADirectoryError, match="is a file"):
        gw.save_run(other / "thesis.tex", history)


@pytest.mark.parametrize("count", range(1, 12))
def test_a_write_that_breaks_off_leaves_the_old_run_or_none(finished, folder, monkeypatch, count):
    """Every rename is made to fail in turn."""
    left = count
    replace = os.replace

    def failing(source, target):
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    try:
        gw.save_run(folder, finished[1], network=finished[0], settings={"a": 2})
    except OSError:
        assert left == 0
    monkeypatch.setattr(os, "replace", replace)
    assert not [entry for entry in folder.iterdir() if entry.name.endswith(".tmp")]
    if 4 < count <= 9:  # four temporary files, four renames, the manifest
        assert "not written to its end" in refused(folder)
    else:
        assert gw.load_run(folder).settings == {"a": 1 if count <= 4 else 2}


def test_bad_settings_change_nothing(finished, folder):
    _, history = finished
    for settings, said in (({"a": np.nan}, "settings cannot be written"), ({"a": {1}}, "settings cannot be written")):
        with pytest.raises(ValueError, match=said):
            gw.save_run(folder, history, settings=settings)
    with pytest.raises(TypeError, match="history is of type dict"):
        gw.save_run(folder, {})
    with pytest.raises(TypeError, match="network is of type str"):
        gw.save_run(folder, history, network="net")

    class Own(gw.Tanh):
        pass

    own = gw.Network([gw.Dense(3), Own(), gw.Dense(10)], 64, seed=0)
    theirs = gw.fit(own, (X, Y), loss="quadratic", optimizer=gw.SGD(0.1), progress=False)
    with pytest.raises(ValueError, match=r'\[save_run\] history could not be loaded again: .*class is "Own"'):
        gw.save_run(folder, theirs)
    assert gw.load_run(folder).settings == {"a": 1}


@pytest.mark.parametrize("name", ["record.safetensors", "history.json", "network.safetensors", "settings.json"])
def test_damage_is_named(folder, name):
    file = folder / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert f"{name}: is damaged: has {len(whole) - 1} bytes" in refused(folder)
    at = len(whole) // 2
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert f"{name}: is damaged: its SHA-256" in refused(folder)
    file.unlink()
    assert f"{name}: is missing" in refused(folder)


def test_no_run_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        gw.load_run(tmp_path / "none")
    assert "has no run.json" in refused(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", "holds a list"),
        ("{}", "gradwell_run is missing"),
        ('{"gradwell_run": 2, "files": {}}', "format 2 is newer than this version reads (1)"),
        ('{"gradwell_run": NaN}', "NaN is no number"),
        ('{"gradwell_run": true}', "gradwell_run is True"),
        ('{"gradwell_run": 1, "files": []}', "files is []"),
        ('{"gradwell_run": 1, "files": {"record.safetensors": 3}}', "record.safetensors is 3"),
        (" " * 1_000_001, "too long"),
    ],
)
def test_a_strange_manifest(folder, manifest, said):
    (folder / "run.json").write_text(manifest)
    message = refused(folder)
    assert "run.json" in message
    assert said in message


def test_names_in_a_manifest_lead_nowhere_else(folder):
    manifest = json.loads((folder / "run.json").read_text())
    manifest["files"]["../../etc/passwd"] = {"bytes": 1, "sha256": ""}
    (folder / "run.json").write_text(json.dumps(manifest))
    assert gw.load_run(folder).settings == {"a": 1}


def with_array(name, change):
    def damage(folder):
        arrays = {
            key: np.array(array) for key, array in tensors_of((folder / "record.safetensors").read_bytes()).items()
        }
        arrays[name] = change(arrays[name])
        kept = {key: np.array(array, order="C") for key, array in arrays.items() if array is not None}
        (folder / "record.safetensors").write_bytes(tensors_to_bytes(kept))

    return damage


def with_words(*path, value):
    def damage(folder):
        words = json.loads((folder / "history.json").read_text())
        inside = words
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value
        (folder / "history.json").write_text(json.dumps(words))

    return damage


def whole_file(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def put(index, value):
    def change(array):
        array[index] = value
        return array

    return change


HUGE = 2**62
HEADER = json.dumps({"steps": {"dtype": "I64", "shape": [HUGE], "data_offsets": [0, 8]}}).encode()
DAMAGE = {
    "shape": (with_array("gradients/statistics", lambda a: a[:-1]), "gradients: statistics is float64"),
    "dtype": (with_array("gradients/time", lambda a: a.astype(np.float32)), "time is float32"),
    "missing": (with_array("gradients/counts", lambda a: None), "counts is missing"),
    "offset": (with_array("gradients/histograms", put((0, 0, 2), HUGE)), "histograms point outside"),
    "overflow": (with_array("gradients/histograms", put((0, 0, 1), 2**63 - 1)), "histograms point outside"),
    "wide": (with_array("gradients/histograms", put((0, 0, 0), -(2**63))), "histograms point outside"),
    "steps": (with_array("gradients/steps", lambda a: a[::-1]), "growing order"),
    "empty": (with_array("gradients/steps", lambda a: a[:0]), "growing order"),
    "clip steps": (with_array("clipping/rows", lambda a: np.ones((4, 3))), "rows is float64 (4, 3)"),
    "losses": (with_array("step_loss", lambda a: a.astype(np.int64)), "step_loss is int64"),
    "epochs": (with_array("epochs/loss", lambda a: None), "epochs/loss is missing"),
    "moments": (with_array("facts/moments", lambda a: a[:1]), "moments is float64"),
    "stages": (with_words("gradients", "stages", value=[["0", "dense", 1, 2, -1, 99]]), "the last two those of stages"),
    "stage order": (with_words("gradients", "stages", value=[["0", "dense", 1, 2, 0, -1]]), "those of stages"),
    "stage names": (with_words("gradients", "stages", value=[["0", "d", -1, -1], ["0", "d", -1, -1]]), "the same name"),
    "times": (with_words("gradients", "times", value=[[HUGE, HUGE, 2, False]] * 6), "needs three counts"),
    "cells": (with_words("gradients", "times", value=[[9, 9, 1, False]] * 6), "do not fit one another"),
    "parameter": (with_words("gradients", "parameters", value=[["0.weight", 77]]), "belongs to stage 77"),
    "nameless": (with_words("gradients", "parameters", value=[["weight", 0]]), "full stop"),
    "no layer": (with_words("facts", "layers", value=[{"class": "os.system"}]), 'class is "os.system"'),
    "layer": (with_words("facts", "layers", value=[{"class": "Dense", "units": "rm"}]), "units"),
    "loss name": (with_words("facts", "loss", value="__import__"), 'loss is "__import__"'),
    "other layers": (with_words("facts", "stages", value=[["9", "dense", 1, 1, -1, -1]]), "different layers"),
    "seconds": (with_words("seconds", value="long"), "seconds is 'long'"),
    "stopped": (with_words("stopped", value=None), "stopped is None"),
    "fault": (with_words("fault", value={"values": ["x"]}), "statistics is missing"),
    "nan": (whole_file("history.json", b'{"seconds": NaN}'), "NaN is no number"),
    "nested": (whole_file("history.json", b"[" * 100_000), "is no JSON"),
    "bytes": (whole_file("settings.json", b"\xff\xfe"), "is no JSON"),
    "list": (whole_file("settings.json", b"[]"), "holds a list"),
    "no tensors": (whole_file("record.safetensors", b"hello"), "no whole safetensors file"),
    "huge": (
        whole_file("record.safetensors", len(HEADER).to_bytes(8, "little") + HEADER + bytes(8)),
        "no whole safetensors file",
    ),
    "network": (whole_file("network.safetensors", b"hello"), "not a whole safetensors file"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.values(), ids=DAMAGE.keys())
def test_what_has_the_right_sum_but_makes_no_sense(folder, damage, said):
    damage(folder)
    message = refused(signed(folder))
    assert str(folder) in message
    assert said.removeprefix("gradients: ") in message


def test_the_format_is_written(folder):
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["gradwell_run"] == runs.FORMAT
    assert manifest["version"] == gw.__version__
    assert set(manifest["files"]) == {entry.name for entry in folder.iterdir()} - {"run.json"}
