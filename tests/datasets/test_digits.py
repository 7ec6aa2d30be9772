import hashlib
from importlib import resources

import numpy as np

from gradwell import datasets


def test_shapes_types_and_range():
    x, y = datasets.digits()
    assert x.shape == (1797, 64)
    assert x.dtype == np.float32
    assert y.shape == (1797,)
    assert y.dtype == np.int64
    assert x.min() == 0
    assert x.max() == 1
    assert np.array_equal(x * 16, np.round(x * 16))  # 0 to 16, divided exactly


def test_as_published():
    x, y = datasets.digits()
    # How often each digit occurs in UCI's optdigits.tes, and the top of its first image.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (x[0] * 16).reshape(8, 8)[:2].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]


def test_each_call_gives_arrays_of_its_own():
    x, y = datasets.digits()
    x[:] = 9
    y[:] = 9
    again_x, again_y = datasets.digits()
    assert again_x.max() == 1
    assert set(again_y) == set(range(10))


def test_the_file_is_small_and_unaltered():
    folder = resources.files("gradwell.datasets")
    assert len(folder.joinpath("digits.npz").read_bytes()) < 100_000
    with folder.joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        content = arrays["images"].tobytes() + arrays["labels"].tobytes()
    assert hashlib.md5(content).hexdigest() == "7696c07daa6d85010f8268703ab8b067"


def test_the_licence_travels_with_the_data():
    text = resources.files("gradwell.datasets").joinpath("DIGITS_LICENSE.md").read_text(encoding="utf-8")
    for word in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0", "What was changed"):
        assert word in text
