import gzip
import hashlib
import importlib
import os
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from gradwell import datasets

module = importlib.import_module("gradwell.datasets.mnist")  # the name in the package is the function
FILES = {
    "train-images-idx3-ubyte": (6, 28, 28),
    "train-labels-idx1-ubyte": (6,),
    "t10k-images-idx3-ubyte": (4, 28, 28),
    "t10k-labels-idx1-ubyte": (4,),
}


def idx_file(shape, code=8, fill=1):
    header = bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return header + bytes([fill]) * int(np.prod(shape))


def write_all(folder, spell=str, pack=bytes):
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in FILES.items():
        (folder / spell(name)).write_bytes(pack(idx_file(shape)))
    return folder


@pytest.fixture(autouse=True)
def small_mnist_and_no_home(monkeypatch, tmp_path):
    """Let 6 and 4 images count as all of MNIST, and let nothing of the user's own be found."""
    monkeypatch.setattr(module, "_COUNTS", {"train": 6, "t10k": 4})
    monkeypatch.delenv("GRADWELL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "pooch", None)  # importing it fails


def spelt_with_dot(name):
    return name.replace("-idx", ".idx")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("spell", [str, spelt_with_dot])
def test_plain_and_gzip_in_both_spellings(tmp_path, spell, suffix):
    folder = write_all(tmp_path, lambda name: spell(name) + suffix, gzip.compress if suffix else bytes)
    data = datasets.mnist(folder)
    assert [array.shape for array in data] == [(6, 784), (6,), (4, 784), (4,)]
    assert data.train_images.dtype == data.test_images.dtype == np.float32
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert np.all(data.train_images == np.float32(1) / np.float32(255))
    assert np.all(data.test_labels == 1)


@pytest.mark.parametrize("folder", ["", "mnist"])
def test_gradwell_data_is_the_folder_or_holds_it(tmp_path, monkeypatch, folder):
    write_all(tmp_path / "data" / folder)
    monkeypatch.setenv("GRADWELL_DATA", str(tmp_path / "data"))
    assert datasets.mnist().train_images.shape == (6, 784)


def test_the_cache_folder_is_used_without_gradwell_data(tmp_path):
    write_all(tmp_path / "cache" / "gradwell" / "mnist")
    assert datasets.mnist().test_images.shape == (4, 784)


def test_without_xdg_the_cache_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_all(tmp_path / ".cache" / "gradwell" / "mnist")
    assert datasets.mnist().test_images.shape == (4, 784)


def test_path_comes_before_gradwell_data(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADWELL_DATA", str(tmp_path / "nowhere"))
    assert datasets.mnist(str(write_all(tmp_path / "here"))).train_labels.shape == (6,)


def test_nothing_there_says_where_what_and_how(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        datasets.mnist()
    looked = tmp_path / "cache" / "gradwell"
    for part in (
        f"{looked} and {looked / 'mnist'}",
        *FILES,
        "GRADWELL_DATA",
        "--data",
        'pip install "gradwell[data]"',
    ):
        assert part in str(caught.value)
    assert "download=True" in str(caught.value)
    assert not looked.exists()


def test_one_missing_file_is_the_one_named(tmp_path):
    write_all(tmp_path / "mnist")
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        datasets.mnist(tmp_path)
    assert f"looked in {tmp_path / 'mnist'}: t10k-labels-idx1-ubyte (or .gz) missing" in str(caught.value)


def test_two_folders_are_not_mixed(tmp_path):
    write_all(tmp_path)
    write_all(tmp_path / "mnist")
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="train-labels"):
        datasets.mnist(tmp_path)


def test_a_file_as_path_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file, needed the folder"):
        datasets.mnist(tmp_path / "file")


WRONG = {
    "labels as images": (
        "train-images-idx3-ubyte",
        idx_file((6,)),
        r"mislabelled file: got labels, uint8 \(6,\)",
    ),
    "images as labels": ("t10k-labels-idx1-ubyte", idx_file((4, 28, 28)), r"mislabelled file: got images"),
    "neither": ("t10k-labels-idx1-ubyte", idx_file((2, 2)), r"mislabelled file: got something else"),
    "fewer images": (
        "train-images-idx3-ubyte",
        idx_file((5, 28, 28)),
        r"got uint8 \(5, 28, 28\), needed .*\(6, 28",
    ),
    "fewer labels": ("train-labels-idx1-ubyte", idx_file((5,)), r"got uint8 \(5,\), needed uint8 \(6,\)"),
    "test as train": ("train-images-idx3-ubyte", idx_file((4, 28, 28)), r"got uint8 \(4, 28, 28\)"),
    "size": ("train-images-idx3-ubyte", idx_file((6, 28, 27)), r"got uint8 \(6, 28, 27\)"),
    "signed": ("train-images-idx3-ubyte", idx_file((6, 28, 28), code=9), r"got int8 \(6, 28, 28\)"),
    "label": ("train-labels-idx1-ubyte", idx_file((6,), fill=10), r"train labels reach 10, needed 0 to 9"),
    "truncated": ("train-labels-idx1-ubyte", idx_file((6,))[:-1], r"\[load_idx\] .*truncated"),
}


@pytest.mark.parametrize(("name", "content", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_refused(tmp_path, name, content, message):
    (write_all(tmp_path) / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.mnist(tmp_path)
    assert str(tmp_path) in str(caught.value)


def fake_pooch(monkeypatch, answers):
    """A pooch whose mirrors answer as told: an exception, or None for a good file."""
    calls = []

    def retrieve(url, known_hash, fname, path):
        calls.append((url, known_hash))
        answer = next(answer for mirror, answer in answers.items() if mirror in url)
        if answer is not None:
            raise answer
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / fname).write_bytes(gzip.compress(idx_file(FILES[fname.removesuffix(".gz")])))

    monkeypatch.setitem(sys.modules, "pooch", types.SimpleNamespace(retrieve=retrieve))
    return calls


def test_download_needs_pooch_only_when_a_file_is_missing(tmp_path):
    assert datasets.mnist(write_all(tmp_path / "full"), download=True).train_labels.shape == (6,)
    with pytest.raises(ImportError, match=r'pip install "gradwell\[data\]"'):
        datasets.mnist(tmp_path / "none", download=True)


def test_download_goes_to_the_cache_and_happens_once(tmp_path, monkeypatch):
    calls = fake_pooch(monkeypatch, {"ossci-datasets": None})
    assert datasets.mnist(download=True).test_images.shape == (4, 784)
    assert len(calls) == 4
    assert calls[0] == (
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
        "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    )
    assert sorted(os.listdir(tmp_path / "cache" / "gradwell" / "mnist")) == sorted(f"{name}.gz" for name in FILES)
    datasets.mnist(download=True)
    datasets.mnist()
    assert len(calls) == 4


def test_only_the_missing_file_is_fetched_into_the_given_folder(tmp_path, monkeypatch):
    calls = fake_pooch(monkeypatch, {"ossci-datasets": None})
    (write_all(tmp_path) / "t10k-images-idx3-ubyte").unlink()
    datasets.mnist(tmp_path, download=True)
    assert [url.rsplit("/", 1)[1] for url, _ in calls] == ["t10k-images-idx3-ubyte.gz"]
    assert (tmp_path / "t10k-images-idx3-ubyte.gz").is_file()


def test_the_second_mirror_is_tried(tmp_path, monkeypatch):
    calls = fake_pooch(monkeypatch, {"ossci-datasets": ValueError("MD5 differs"), "cvdf-datasets": None})
    datasets.mnist(tmp_path / "new", download=True)
    assert len(calls) == 8
    assert calls[1][0].startswith("https://storage.googleapis.com/cvdf-datasets/mnist/")


def test_no_mirror_answers(tmp_path, monkeypatch):
    answers = {"ossci-datasets": ValueError("MD5 differs"), "cvdf-datasets": ConnectionError("no route")}
    fake_pooch(monkeypatch, answers)
    with pytest.raises(OSError, match=r"train-images-idx3-ubyte.gz .*MD5 differs; .*no route"):
        datasets.mnist(tmp_path, download=True)


@pytest.fixture
def real_mnist(monkeypatch):
    folder = Path(os.environ.get("GRADWELL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    monkeypatch.setattr(module, "_COUNTS", {"train": 60_000, "t10k": 10_000})
    try:
        return datasets.mnist(folder)
    except FileNotFoundError:
        pytest.skip(f"no MNIST in {folder}")


def test_the_real_files_are_mnist(real_mnist):
    data = real_mnist
    assert [array.shape for array in data] == [(60000, 784), (60000,), (10000, 784), (10000,)]
    assert data.train_images.dtype == np.float32
    assert data.train_images.min() == 0
    assert data.train_images.max() == 1
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    # The published MD5 of the decompressed files, 16 bytes of header and the pixels.
    sums = {"train": "6bbc9ace898e44ae57da46a324031adb", "t10k": "2646ac647ad5339dbf082846283269ea"}
    for split, images in (("train", data.train_images), ("t10k", data.test_images)):
        header = bytes([0, 0, 8, 3]) + struct.pack(">3I", len(images), 28, 28)
        pixels = np.round(images * 255).astype(np.uint8)
        assert hashlib.md5(header + pixels.tobytes()).hexdigest() == sums[split]
