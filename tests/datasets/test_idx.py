import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradwell import datasets

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array):
    kind = array.dtype.newbyteorder("=").str[1:]
    header = bytes([0, 0, CODES[kind], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(f">{kind}").tobytes()


ARRAYS = st.sampled_from(sorted(CODES)).flatmap(
    lambda kind: hnp.arrays(np.dtype(kind), hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4))
)


@pytest.fixture
def write(tmp_path):
    def write(content, name="data-idx"):
        file = tmp_path / name
        file.write_bytes(content)
        return file

    return write


@given(array=ARRAYS, compressed=st.booleans())
def test_what_was_written_is_read(tmp_path_factory, array, compressed):
    file = tmp_path_factory.mktemp("idx") / "array"
    content = idx_bytes(array)
    file.write_bytes(gzip.compress(content) if compressed else content)
    read = datasets.load_idx(file)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()  # bits, so that NaN and -0 count too
    assert read.flags.writeable
    assert read.flags.c_contiguous


@given(content=st.binary(max_size=64), compressed=st.booleans())
def test_any_bytes_give_an_array_or_a_value_error(tmp_path_factory, content, compressed):
    file = tmp_path_factory.mktemp("idx") / "bytes"
    file.write_bytes(gzip.compress(content) if compressed else content)
    start = refusal = f"[load_idx] {file}: "
    try:
        datasets.load_idx(file)
    except ValueError as error:
        refusal = str(error)
    assert refusal.startswith(start)


@given(array=ARRAYS, data=st.data())
def test_every_cut_is_noticed(tmp_path_factory, array, data):
    content = idx_bytes(array)
    file = tmp_path_factory.mktemp("idx") / "cut"
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ValueError, match=r"truncated: got .* needed"):
        datasets.load_idx(file)


def test_compression_is_seen_in_the_bytes_not_the_name(write):
    content = idx_bytes(np.arange(6, dtype=np.int16).reshape(2, 3))
    plain = datasets.load_idx(write(content, "plain.gz"))
    packed = datasets.load_idx(str(write(gzip.compress(content), "packed.idx")))
    assert plain.tolist() == packed.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_gzip_of_several_members_is_one_stream(write):
    content = idx_bytes(np.arange(9, dtype=np.uint8))
    read = datasets.load_idx(write(gzip.compress(content[:10]) + gzip.compress(content[10:])))
    assert read.tolist() == list(range(9))


HEADER = bytes([0, 0, 8, 1])
REFUSED = {
    "empty": (b"", r"truncated: got 0 bytes, needed 4 for the magic number"),
    "magic": (b"\x89PNG----", r"bad magic: got bytes 89 50 4e 47, needed 00 00"),
    "type": (
        bytes([0, 0, 10, 1, 0, 0, 0, 0]),
        r"unknown element type: got 0x0a, needed one of 0x08 \(uint8\)",
    ),
    "no dimensions": (bytes([0, 0, 8, 0, 7]), r"got 0 dimensions, needed 1 to 32"),
    "many dimensions": (bytes([0, 0, 8, 255]) + bytes(1020), r"got 255 dimensions, needed 1 to 32"),
    "sizes": (bytes([0, 0, 8, 3, 0, 0, 0, 1]), r"truncated: got 4 bytes, needed 12 for 3 sizes"),
    "elements": (HEADER + b"\0\0\0\5abc", r"truncated: got at most 3 bytes, needed 5 for 5 uint8"),
    "trailing": (HEADER + b"\0\0\0\2abc", r"trailing bytes: got more than the 2 bytes needed for 2 uint8"),
    "absurd": (bytes([0, 0, 14, 2]) + b"\xff" * 8, r"header declares 4294967295 x 4294967295 float64"),
    "absurd beside 0": (bytes([0, 0, 8, 4]) + bytes(4) + b"\xff" * 12, r"header declares 0 x 4294967295 x"),
    "large": (bytes([0, 0, 8, 1]) + b"\xff" * 4, r"truncated: got at most 0 bytes, needed 4294967295"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_a_bad_file_is_refused(write, content, message, compressed):
    if compressed:
        content = gzip.compress(content)
        message = message.replace("at most 3", "3").replace("at most 0", r"(at most )?\d+")
    file = write(content)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load_idx(file)
    assert str(caught.value).startswith(f"[load_idx] {file}: ")


def damaged_gzips():
    content = idx_bytes(np.arange(200, dtype=np.uint8))
    packed = gzip.compress(content)
    return {
        "cut": packed[:-12],
        "no trailer": packed[:-8],
        "checksum": packed[:-8] + b"\0\0\0\0" + packed[-4:],
        "stream": packed[:10] + b"\xff" * 40 + packed[50:],
        "method": packed[:2] + b"\x07" + packed[3:],
        "rubbish after it": packed + b"rubbish",
    }


@pytest.mark.parametrize("content", damaged_gzips().values(), ids=damaged_gzips().keys())
def test_a_damaged_gzip_is_refused(write, content):
    file = write(content)
    with pytest.raises(ValueError, match="the gzip stream is damaged or cut off") as caught:
        datasets.load_idx(file)
    assert str(caught.value).startswith(f"[load_idx] {file}: ")


def test_a_gzip_bomb_is_not_unpacked(write, monkeypatch):
    asked = []
    read = gzip.GzipFile.read

    def counting(self, size=-1):
        asked.append(size)
        return read(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    bomb = write(gzip.compress(HEADER + struct.pack(">I", 100) + bytes(50_000_000)))
    with pytest.raises(ValueError, match="trailing bytes"):
        datasets.load_idx(bomb)
    assert min(asked) > 0
    assert sum(asked) == 4 + 4 + 100 + 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere-idx"):
        datasets.load_idx(tmp_path / "nowhere-idx")
