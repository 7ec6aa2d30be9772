"""Event files, read back with tensorboardX's own definition of events and, where it is installed, TensorBoard."""

import struct

import numpy as np
import pytest

import gradwell as gw

pytest.importorskip("tensorboardX")

X, Y = gw.datasets.digits()


@pytest.fixture(scope="module")
def history():
    net = gw.mlp([64, 12, 12, 10], activation="relu", seed=0)
    data = (X, Y)
    return gw.fit(net, data, loss="softmax_cross_entropy", optimizer=gw.SGD(0.01), epochs=2, stats=True, progress=False)


def events_of(path):
    """Read an event file: length, its checksum, the event, its checksum."""
    from tensorboardX.crc32c import crc32c
    from tensorboardX.proto.event_pb2 import Event

    def masked(data):
        crc = crc32c(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    content = path.read_bytes()
    while content:
        (length,), (check,) = struct.unpack("<Q", content[:8]), struct.unpack("<I", content[8:12])
        assert check == masked(content[:8])
        body = content[12 : 12 + length]
        assert struct.unpack("<I", content[12 + length : 16 + length]) == (masked(body),)
        event = Event()
        event.ParseFromString(body)
        yield event
        content = content[16 + length :]


def read(path):
    scalars, histograms = {}, {}
    for event in events_of(path):
        for value in event.summary.value:
            kept = histograms if value.HasField("histo") else scalars
            kept.setdefault(value.tag, {})[event.step] = value.histo if value.HasField("histo") else value.simple_value
    return scalars, histograms


def test_scalars_are_the_record(history, tmp_path):
    scalars, _ = read(gw.report.tensorboard(tmp_path / "run", history, histograms=1))
    record = history.gradients
    for tag, values in {
        "norm of the error/0": record.norm("error")[:, 0],
        "norm of the output/2": record.norm("activation")[:, 1],
        "norm of the gradient: weight/4": record.norm("weight")[:, 2],
        "gain/2": record.gain()[:, 1],
        "gain: weight/0": record.gain("weight")[:, 0],
        "relative update: bias/4": record.update("bias")[:, 2],
        "share of saturated outputs/0": record.saturated()[:, 0],
    }.items():
        np.testing.assert_array_equal(list(scalars[tag].values()), values[-len(scalars[tag]) :].astype(np.float32))
    assert list(scalars["gain/2"]) == record.steps.tolist()
    assert "gain/4" not in scalars  # the last layer has none
    np.testing.assert_array_equal(list(scalars["loss/step"].values()), history.step_loss.astype(np.float32))
    np.testing.assert_array_equal(list(scalars["epoch/accuracy"].values()), history.metrics["accuracy"].astype("f4"))
    assert list(scalars["epoch/loss"]) == [1, 2]


def test_histograms_are_between_powers_of_two(history, tmp_path):
    _, histograms = read(gw.report.tensorboard(tmp_path / "run", history, histograms=10))
    record = history.gradients
    assert 2 <= len(histograms["error/0"]) <= 10
    exponents, counts = record.histogram("activation", "2")
    for step, found in histograms["activation/2"].items():
        row = record.steps.tolist().index(step)
        limits, buckets = np.array(found.bucket_limit), np.array(found.bucket)
        assert (np.diff(limits) > 0).all() and (np.exp2(np.round(np.log2(limits))) == limits).all()
        assert found.min <= limits[0]
        if zeros := record.zeros("activation")[row, 1]:
            assert buckets[0] == zeros
        for limit, bucket in list(zip(limits, buckets, strict=True))[bool(zeros) :]:
            assert bucket == counts[row, exponents.tolist().index(int(np.log2(limit)) - 1)]
        assert found.num == buckets.sum() == record.get("activation", "count")[row, 1]
        assert found.max == record.largest("activation")[row, 1] <= limits[-1]
        assert found.min == (0 if zeros else record.smallest("activation")[row, 1])
        assert found.sum_squares == pytest.approx(record.norm("activation")[row, 1] ** 2, rel=1e-12)


def test_tensorboard_itself_reads_them(history, tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    gw.report.tensorboard(tmp_path / "run", history)
    reader = accumulators.EventAccumulator(str(tmp_path / "run"))
    reader.Reload()
    assert "norm of the error/0" in reader.Tags()["scalars"] and "weight/0" in reader.Tags()["histograms"]
    values = [event.value for event in reader.Scalars("norm of the error/0")]
    np.testing.assert_array_equal(values, history.gradients.norm("error")[:, 0].astype(np.float32))
    assert len(reader.Histograms("error/0")[0].histogram_value.bucket) > 1


def test_few_points_and_refusals(history, tmp_path):
    scalars, _ = read(gw.report.tensorboard(tmp_path / "few", history, points=7))
    assert 4 <= len(scalars["norm of the error/0"]) <= 7
    with pytest.raises(FileExistsError, match=r"\[tensorboard\] .*few: has events already"):
        gw.report.tensorboard(tmp_path / "few", history)
    with pytest.raises(FileExistsError, match="is a file; needs a folder"):
        gw.report.tensorboard(next((tmp_path / "few").iterdir()), history)
    with pytest.raises(ValueError, match="points is 0"):
        gw.report.tensorboard(tmp_path / "none", history, points=0)
    with pytest.raises(TypeError, match=r"\[tensorboard\] what is of type str"):
        gw.report.tensorboard(tmp_path / "none", "history")
    with pytest.raises(ValueError, match="the record is empty"):
        gw.report.tensorboard(tmp_path / "none", history.gradients[:0])
    assert [folder.name for folder in tmp_path.iterdir()] == ["few"]
