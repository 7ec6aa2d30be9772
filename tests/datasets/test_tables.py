import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradwell import datasets


@pytest.fixture
def table(tmp_path):
    def write(text, name="table.csv"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


IRIS = "length,width,kind\n5.1,3.5,setosa\n6.3,3.3,virginica\n4.9,3.0,setosa\n"


def test_names_numbers_and_classes(table):
    data = datasets.load_csv(table(IRIS), target="kind")
    assert data.x.dtype == np.float32
    assert data.x.tolist() == np.float32([[5.1, 3.5], [6.3, 3.3], [4.9, 3.0]]).tolist()
    assert data.y.dtype == np.int64
    assert data.y.tolist() == [0, 1, 0]
    assert data.feature_names == ("length", "width")
    assert data.classes == ("setosa", "virginica")


@pytest.mark.parametrize("target", [1, -2, "b", np.int64(1)])
def test_the_target_may_stand_anywhere(table, target):
    data = datasets.load_csv(table("a,b,c\n1,2.5,3\n4,5.5,6\n"), target=target, dtype="float64")
    assert data.x.dtype == data.y.dtype == np.float64
    assert data.x.tolist() == [[1, 3], [4, 6]]
    assert data.y.tolist() == [2.5, 5.5]
    assert data.feature_names == ("a", "c")
    assert data.classes is None


def test_without_a_target_every_column_is_a_feature(table):
    data = datasets.load_csv(table("1;2\r\n\r\n 3 ; 4 \r\n"), delimiter=";")
    assert data.x.tolist() == [[1, 2], [3, 4]]
    assert data.y is None
    assert data.feature_names == ()
    assert data.classes is None


def test_marks_of_spreadsheets_are_read(table):
    data = datasets.load_csv(table('\ufeff"a, b",c\n"1", "2"\n'))
    assert data.feature_names == ("a, b", "c")
    assert data.x.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("first", "header", "rows", "names"),
    [
        ("a,b", "auto", 1, ("a", "b")),
        ("0,7", "auto", 2, ()),
        ("0,b", True, 1, ("0", "b")),
        ("nan,inf", False, 2, ()),
    ],
)
def test_header(table, first, header, rows, names):
    data = datasets.load_csv(table(f"{first}\n2,3\n"), header=header)
    assert data.x.shape == (rows, 2)
    assert data.feature_names == names


def test_a_first_row_with_a_number_is_no_header(table):
    data = datasets.load_csv(table("5.1,setosa\n6.3,virginica\n"), target=-1)
    assert data.x.shape == (2, 1)
    assert data.classes == ("setosa", "virginica")


KINDS = {
    "text": (["b", "a", "b"], "auto", [1, 0, 1], ("a", "b")),
    "whole": (["10", "9", "-1"], "auto", [2, 1, 0], ("-1", "9", "10")),
    "fractions": (["1.0", "2.5", "1.0"], "auto", [1.0, 2.5, 1.0], None),
    "whole as value": (["3", "1", "3"], "value", [3, 1, 3], None),
    "fractions as class": (["2.5", "10.0", "2.5"], "class", [0, 1, 0], ("2.5", "10.0")),
    "mixed as class": (["1", "none", "1"], "class", [0, 1, 0], ("1", "none")),
    "nan as class": (["nan", "1", "10"], "class", [2, 0, 1], ("1", "10", "nan")),
    "many whole": ([str(n) for n in range(21)], "auto", list(range(21)), None),
    "few whole": ([str(n) for n in range(20)], "auto", list(range(20)), tuple(str(n) for n in range(20))),
}


@pytest.mark.parametrize(("targets", "kind", "y", "classes"), KINDS.values(), ids=KINDS.keys())
def test_target_kind(table, targets, kind, y, classes):
    text = "x,t\n" + "".join(f"0,{target}\n" for target in targets)
    data = datasets.load_csv(table(text), target="t", target_kind=kind)
    assert data.y.tolist() == y
    assert data.classes == classes
    assert data.y.dtype == (np.float32 if classes is None else np.int64)


def test_nan_and_infinity_are_numbers(table):
    data = datasets.load_csv(table("1,nan\n-inf,2\n"))
    assert np.array_equal(data.x, np.float32([[1, np.nan], [-np.inf, 2]]), equal_nan=True)


@given(values=hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)))
def test_float64_survives_text(tmp_path_factory, values):
    file = tmp_path_factory.mktemp("csv") / "values.csv"
    file.write_text("".join(",".join(map(repr, row)) + "\n" for row in values.tolist()))
    assert np.array_equal(datasets.load_csv(file, dtype="float64").x, values, equal_nan=True)


@given(content=st.binary(max_size=60) | st.text('0123,;"\n\r a.-', max_size=60).map(str.encode))
def test_any_bytes_give_a_table_or_a_value_error(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("csv") / "bytes.csv"
    file.write_bytes(content)
    start = refusal = f"[load_csv] {file}: "
    try:
        datasets.load_csv(file, target=-1)
    except ValueError as error:
        refusal = str(error)
    assert refusal.startswith(start)


REFUSED = {
    "not a number": ("a,b\n1,2\n\n3,x7\n", {}, r"line 4: column 1 'b': 'x7' is not a number"),
    "no name": ("1,2\n3,x7\n", {}, r"line 2: column 1: 'x7' is not a number"),
    "empty cell": ("a,b\n1,\n", {}, r"line 2: column 1 'b': '' is not a number"),
    "underscore": ("a,b\n1_000,2\n", {}, r"line 2: column 0 'a': '1_000' is not a number"),
    "column after the target": ("t,a\n1,2\n3,?\n", {"target": 0}, r"line 3: column 1 'a': '\?' is not"),
    "first row as data": ("a,b\n1,2\n", {"header": False}, r"line 1: column 0: 'a' is not a number"),
    "too long a row": ("1,2\n1,2,3\n", {}, r"line 2: got 3 cells, needed 2"),
    "too short a row": ("a,b,c\n1,2,3\n1,2\n", {}, r"line 3: got 2 cells, needed 3"),
    "empty": ("", {}, r"got an empty file"),
    "blank": ("\n  \n\n", {}, r"got an empty file"),
    "header only": ("a,b\n", {}, r"got a header only"),
    "unknown target": (
        IRIS,
        {"target": "species"},
        r"'species' is not a column; .* 'length', 'width', 'kind'",
    ),
    "index too high": ("1,2\n", {"target": 2}, r"target 2 is not a column; .* 0 to 1, without names"),
    "index too low": ("1,2\n", {"target": -3}, r"target -3 is not a column"),
    "name without header": ("1,2\n", {"target": "a"}, r"target 'a' is not a column; .* without names"),
    "name twice": ("a,a\n1,2\n", {"target": "a"}, r"target 'a' is the name of 2 columns"),
    "only the target": ("a\n1\n", {"target": "a"}, r"the target is the only column"),
    "misprint": (
        "x,t\n0,1\n0,2o\n0,3\n",
        {"target": "t"},
        r"line 3: column 1 't': '2o' .*2 other",
    ),
    "value": ("x,t\n0,low\n", {"target": "t", "target_kind": "value"}, r"line 2: column 1 't': 'low' is not"),
    "too large": ("a,b\n1,2\n3,1e39\n", {}, r"line 3: column 1 'b': 1e\+39 is too large for float32"),
    "too large a target": ("1,1e39\n", {"target": 1}, r"line 1: column 1: 1e\+39 is too large for float32"),
    "open quote": ('1,"2\n3,4\n', {}, r"line 2: unexpected end of data"),
    "not UTF-8": (b"a,b\n1,\xff\n", {}, r"is not UTF-8 text"),
    "delimiter": ("1;2\n", {"header": False}, r"line 1: column 0: '1;2' is not a number"),
}


@pytest.mark.parametrize(("text", "options", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_table_is_refused(table, text, options, message):
    file = table(text)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load_csv(file, **options)
    assert str(caught.value).startswith(f"[load_csv] {file}: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ", "}, "delimiter is ', '"),
        ({"header": "yes"}, "header is 'yes'"),
        ({"dtype": "int32"}, "dtype is int32"),
        ({"target_kind": "regression", "target": 0}, "target_kind is 'regression'"),
        ({"target_kind": "class"}, "target_kind is 'class' but target is None"),
    ],
)
def test_a_wrong_option_is_named(table, options, message):
    with pytest.raises(ValueError, match=message):
        datasets.load_csv(table("1,2\n"), **options)


@pytest.mark.parametrize("load", [datasets.load_csv, datasets.load_npz])
def test_a_missing_file_is_named(tmp_path, load):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere")


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "table.npz", **arrays)
        return tmp_path / "table.npz"

    return write


@pytest.mark.parametrize(("stored", "read"), [("f4", "f4"), (">f8", "f8"), ("u1", "f4"), ("?", "f4"), ("f2", "f4")])
def test_npz_inputs(npz, stored, read):
    data = datasets.load_npz(npz(x=np.eye(3).astype(stored), y=np.arange(3)))
    assert data.x.dtype == np.dtype(read)
    assert data.x.dtype.isnative
    assert np.array_equal(data.x, np.eye(3))
    assert data.feature_names == ()
    assert data.classes is None


@pytest.mark.parametrize(("stored", "read"), [("u1", "i8"), (">i4", "i8"), ("f4", "f4"), ("f8", "f8")])
def test_npz_targets(npz, stored, read):
    data = datasets.load_npz(npz(inputs=np.zeros((3, 2, 2)), t=np.arange(3).astype(stored)), "inputs", "t")
    assert data.y.dtype == np.dtype(read)
    assert data.y.tolist() == [0, 1, 2]


def test_npz_without_targets(npz):
    assert datasets.load_npz(npz(x=np.eye(2)), y=None).y is None


NPZ_REFUSED = {
    "name": ({"a": np.eye(2), "b": np.eye(2)}, r"got 'a', 'b', needed 'x'"),
    "target name": ({"x": np.eye(2)}, r"got 'x', needed 'y'"),
    "rows": ({"x": np.eye(2), "y": np.arange(3)}, r"'x' has 2 rows but 'y' has 3"),
    "text": ({"x": np.eye(2), "y": np.array(["a", "b"])}, r"'y' is <U1 \(2,\), needed real numbers"),
    "complex": ({"x": np.eye(2) + 1j, "y": np.arange(2)}, r"'x' is complex128 \(2, 2\), needed real"),
    "flat": (
        {"x": np.arange(2), "y": np.arange(2)},
        r"'x' is int64 \(2,\), needed .* in 2 or more dimensions",
    ),
    "pickled": ({"x": np.eye(2), "y": np.array([{}, {}])}, r"cannot be read: .*allow_pickle=False"),
}


@pytest.mark.parametrize(("arrays", "message"), NPZ_REFUSED.values(), ids=NPZ_REFUSED.keys())
def test_a_bad_npz_is_refused(npz, arrays, message):
    file = npz(**arrays)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load_npz(file)
    assert str(caught.value).startswith(f"[load_npz] {file}: ")


def damaged_npz():
    buffer = io.BytesIO()
    np.savez(buffer, x=np.ones((40, 2)), y=np.arange(40))
    content = buffer.getvalue()
    single = io.BytesIO()
    np.save(single, np.eye(2))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("x", "text")
        archive.writestr("y", "text")
    return {
        "empty": (b"", "is not an .npz file"),
        "text": (b"1,2\n", "is not an .npz file"),
        "npy": (single.getvalue(), "is not an .npz file"),
        "cut": (content[: len(content) // 2], "is not an .npz file"),
        "checksum": (content[:300] + b"\xff" + content[301:], "cannot be read: Bad CRC-32"),
        "zip of texts": (other.getvalue(), r"needed real numbers"),
    }


@pytest.mark.parametrize(("content", "message"), damaged_npz().values(), ids=damaged_npz().keys())
def test_a_damaged_npz_is_refused(table, content, message):
    with pytest.raises(ValueError, match=message):
        datasets.load_npz(table(content, "table.npz"))
