"""Files that other programs read hold the record to the last bit, and appear whole or not at all."""

import csv
import json
import math

import numpy as np
import pytest

import gradwell as gw
from gradwell.report import exports
from gradwell.report.columns import columns_of, values_of
from gradwell.statistics import QUANTITIES

X, Y = gw.datasets.digits()


@pytest.fixture(scope="module")
def history():
    layers = [
        gw.Dense(12, name='first, "the"', use_bias=False),
        gw.Tanh(),
        gw.Residual(gw.Dense(12), gw.ReLU()),
        gw.Dense(10),
    ]
    net = gw.Network(layers, 64, dtype="float64", seed=0)
    return gw.fit(
        net, (X, Y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.01), max_steps=40, stats=True, progress=False
    )


@pytest.fixture(params=[1_000_000, 700], ids=["in one piece", "in pieces"], autouse=True)
def pieces(request, monkeypatch):
    monkeypatch.setattr(exports, "_AT_ONCE", request.param)


def expected(record):
    """Every number that a table must hold, by (step, layer, kind, quantity), asked of the record one by one."""
    asked = {(kind, q): record.get(kind, q) for kind in record.kinds for q in QUANTITIES}
    asked |= {("gain", part): record.gain(part) for part in ("total", "weight", "derivative", "norm", "skip", "branch")}
    for kind in ("weight", "bias"):
        asked |= {("update", kind): record.update(kind), ("size", kind): record.size(kind)}
    asked |= {("activation", "saturated"): record.saturated(), ("activation", "dead"): record.dead()}
    return {
        (int(step), layer, *names): values[i, j]
        for names, values in asked.items()
        for i, step in enumerate(record.steps)
        for j, layer in enumerate(record.layers)
    }


def assert_equal(found, record):
    wanted = expected(record)
    assert set(found) <= set(wanted)
    assert {key for key in set(wanted) - set(found) if not math.isnan(wanted[key])} == set()
    keys = list(found)
    np.testing.assert_array_equal([found[key] for key in keys], [wanted[key] for key in keys])


def test_csv_is_the_record_to_the_last_bit(history, tmp_path):
    file = gw.report.export(tmp_path / "record.csv", history)
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["step", "layer", "kind", "quantity", "value"]
    assert {row["layer"] for row in rows} == set(history.gradients.layers)
    assert all(row["value"] != "nan" for row in rows) and any(row["value"] == "" for row in rows)
    found = {
        (int(row["step"]), row["layer"], row["kind"], row["quantity"]): float(row["value"] or "nan") for row in rows
    }
    assert len(found) == len(rows)
    assert_equal(found, history.gradients)
    assert (0, 'first, "the"', "bias", "norm") not in found  # it has none
    assert (0, 'first, "the"', "update", "bias") not in found


def test_parquet_is_the_record_to_the_last_bit(history, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    record = history.gradients
    file = parquet.ParquetFile(gw.report.export(tmp_path / "record.parquet", record))
    schema = file.schema_arrow
    assert schema.field("step").type == pa.int64() and schema.field("value").type == pa.float64()
    about = json.loads(schema.metadata[b"gradwell"])
    assert about["format"] == 1 and about["layers"] == record.layers
    table = file.read().to_pydict()
    assert None in table["value"]
    found = {
        key: math.nan if value is None else value
        for *key, value in zip(*(table[name] for name in ("step", "layer", "kind", "quantity", "value")), strict=True)
        for key in [tuple(key)]
    }
    assert_equal(found, record)
    assert (file.num_row_groups == 1) == (exports._AT_ONCE > 700)


def test_json_is_to_dict(history, tmp_path):
    file = gw.report.export(tmp_path / "record.json", history)
    assert json.loads(file.read_text()) == history.gradients.to_dict()


def test_json_of_a_recurrent_net_has_its_time_record(tmp_path, rng):
    net = gw.Network([gw.LSTM(3), gw.Dense(1)], (5, 2), seed=0)
    x, y = rng.normal(size=(8, 5, 2)), rng.normal(size=(8, 1))
    record = gw.gradients(net, x, y, loss="quadratic")
    assert record.to_dict()["time"]
    file = gw.report.export(tmp_path / "record.json", record)
    assert json.loads(file.read_text()) == record.to_dict()


def test_numbers_that_are_not_finite(tmp_path):
    record = gw.gradients(gw.mlp([64, 8, 8, 10], activation="relu", seed=0), X, Y, loss="softmax_cross_entropy")
    record._chunks[0]["statistics"][0, 1, QUANTITIES.index("norm")] = 0.0  # a gain of infinity
    text = gw.report.export(tmp_path / "record.csv", record).read_text()
    assert "0,0,gain,total,inf\n" in text
    assert json.loads(gw.report.export(tmp_path / "r.json", record).read_text())["gain"]["total"][0][0] is None


def test_a_watch_can_be_exported(tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gw.watch.torch(model, optimizer) as watch:
        for _ in range(2):
            model(torch.ones(5, 4)).square().mean().backward()
            optimizer.step()
    columns = columns_of(watch.record)
    assert np.isfinite(values_of(watch.record, columns)).any()
    lines = gw.report.export(tmp_path / "record.csv", watch).read_text().splitlines()
    assert len(lines) == 1 + 2 * len(columns)


def test_format_by_name_and_what_is_refused(history, tmp_path):
    assert json.loads(gw.report.export(tmp_path / "odd.txt", history, format="json").read_text())
    with pytest.raises(ValueError, match=r"\[export\] path is .*odd.xlsx.*needs \"csv\", \"json\", \"parquet\""):
        gw.report.export(tmp_path / "odd.xlsx", history)
    with pytest.raises(ValueError, match=r'\[export\] format is "yaml"'):
        gw.report.export(tmp_path / "odd.csv", history, format="yaml")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        gw.report.export(tmp_path / "missing" / "record.csv", history)
    with pytest.raises(TypeError, match=r"\[export\] what is of type int"):
        gw.report.export(tmp_path / "record.csv", 3)
    with pytest.raises(ValueError, match="the record is empty"):
        gw.report.export(tmp_path / "record.csv", history.gradients[:0])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["odd.txt"]


def test_what_was_there_stays_when_writing_fails(history, tmp_path, monkeypatch):
    file = tmp_path / "record.csv"
    file.write_text("before")
    pieces = []

    def failing(*arguments):
        pieces.append(arguments)
        if len(pieces) > 3:
            raise OSError("disk full")
        return values_of(*arguments)

    monkeypatch.setattr(exports, "values_of", failing)
    monkeypatch.setattr(exports, "_AT_ONCE", 700)
    with pytest.raises(OSError, match="disk full"):
        gw.report.export(file, history)
    assert [f.name for f in tmp_path.iterdir()] == ["record.csv"] and file.read_text() == "before"


def test_rows_of_a_record_are_a_record(history):
    record = history.gradients
    for key in (slice(None), slice(5, 9), slice(-3, None), slice(1, None, 7), -1, 0, slice(30, 90)):
        part = record[key]
        rows = np.atleast_1d(np.arange(len(record))[key])
        np.testing.assert_array_equal(part.steps, record.steps[rows])
        np.testing.assert_array_equal(part.norm("weight"), record.norm("weight")[rows])
        np.testing.assert_array_equal(part.gain("derivative"), record.gain("derivative")[rows])
        exponents, counts = part.histogram("error", 0)
        every, all_counts = record.histogram("error", 0)
        first = every.tolist().index(exponents[0])
        np.testing.assert_array_equal(counts, all_counts[rows, first : first + len(exponents)])
    assert len(list(record)) == len(record)
    with pytest.raises(IndexError, match=r"\[record\] row is 40; there are 40"):
        _ = record[40]
    with pytest.raises(ValueError, match="run backwards"):
        _ = record[::-1]


def test_parts_do_not_change_what_they_are_of():
    """Joining the chunks of a part must leave those of the whole record as they were."""
    net = gw.mlp([64, 12, 10], seed=0)
    record = gw.gradients(net, X[:8], Y[:8], loss="softmax_cross_entropy")
    for i in range(3):
        record.append(gw.gradients(net, X[i:], Y[i:], loss="softmax_cross_entropy")._chunks[0])
    wanted = [record[i].histogram("weight", 0)[1].sum() for i in range(4)]
    _ = record[1:].norm(), record[:].norm()
    assert record.histogram("weight", 0)[1].sum(axis=1).tolist() == wanted
