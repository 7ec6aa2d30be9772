"""The history compressor: nothing is lost, what is predictable is left out, long lags become short ones."""

import json
import os
import signal
import threading

import numpy as np
import pytest

import gradwell as gw
from gradwell.compression import Compressed


def stream(count=120, length=60, seed=0):
    return gw.datasets.rare_symbols(count, length, seed=seed, variant="order")


def made(cell="lstm", x=None, y=None, **settings):
    if x is None:
        x, y = stream()
    compressor = gw.HistoryCompressor(**{"cell": cell, "hidden_size": 16, "epochs": 8, "seed": 1, **settings})
    compressor.fit(x, y, progress=False)
    return compressor


@pytest.fixture(scope="module")
def fitted():
    return made(epochs=30)


def grammar(count, seed):
    """Sequences of random lengths: two interleaved cycles that switch at random, and some noise."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        word = rng.integers(3, size=4)
        noisy = np.tile(word, 12)[: rng.integers(1, 45)]
        places = rng.random(len(noisy)) < 0.08
        noisy[places] = rng.integers(5, size=places.sum())
        found.append(noisy)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("surprise", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_nothing_is_lost(cell, surprise, dtype):
    settings = {
        "surprise": surprise,
        "min_shortening": 0.0,
        "alphabet": 5,
        "learning_rate": 0.02,
        "dtype": dtype,
        "epochs": 25,
    }
    compressor = made(cell, grammar(150, 0), **settings)
    assert compressor.levels >= (1 if surprise else 2)
    unseen = grammar(60, 1)
    for level in range(compressor.levels + 1):
        compressed = compressor.compress(unseen, level)
        assert compressed.level == level
        back = compressor.decompress(compressed)
        assert [row.tolist() for row in back] == [row.tolist() for row in unseen]


def test_nothing_is_lost_of_lone_sequences_longer_ones_and_any_threads(fitted):
    x, _ = stream(40, 150, seed=5)
    together = fitted.compress(x)
    alone = [fitted.compress([row]).items[0].tolist() for row in x]
    assert [items.tolist() for items in together.items] == alone
    threads = gw.num_threads()
    try:
        for count in (1, 2):
            gw.set_num_threads(count)
            assert (np.array(fitted.decompress(together)) == x).all()
    finally:
        gw.set_num_threads(threads)


def test_what_is_left_is_what_cannot_be_known(fitted):
    x, _ = stream(200, 60, seed=3)
    for row, items, lengths in zip(x, *vars(fitted.compress(x, 1)).values(), strict=True):
        places = np.cumsum(items[:, 1]) - 1
        assert lengths.tolist() == [60]
        assert (row[places] == items[:, 0]).all()
        assert {0, *np.flatnonzero(row < 2)} <= set(places.tolist())  # the first, and both rare ones
        assert len(places) <= 8


def test_expected_by_hand():
    """The rule itself, on a net whose weights are set: after 0 comes 1 with p = 0.6, after 1 always 0."""
    compressor = made("rnn", [[0, 1, 0, 1]], hidden_size=2, surprise=0.5, epochs=1, min_shortening=0.0)
    reader = compressor.predictors[0].reader if compressor.levels else None
    if reader is None:
        pytest.skip("one epoch left nothing out")
    zero = {name: np.zeros_like(values) for name, values in reader.parameters.items()}
    reader.parameters = {**zero, "0.weight": np.eye(2, dtype=np.float32) * 50, "1.weight": zero["1.weight"].copy()}
    reader.parameters["1.weight"][0] = [0, np.log(1.5)]  # h_0 is tanh(50) = 1 after symbol 0
    reader.parameters["1.weight"][1] = [9, 0]
    compressor.predictors = compressor.predictors[:1]
    assert compressor.compress([[0, 1, 0, 0, 1]], 1).items[0].tolist() == [[0, 1], [0, 3]]
    compressor.predictors[0].surprise = 0.61
    assert compressor.compress([[0, 1, 0, 0, 1]], 1).items[0].tolist() == [[0, 1], [1, 1], [0, 2], [1, 1]]


def test_a_lag_that_a_plain_cell_cannot_bridge():
    x, y = gw.datasets.rare_symbols(60, 100, seed=0)
    compressor = made("rnn", x, y, epochs=40)
    assert compressor.score(x, y) == 1.0
    history = compressor.history_
    assert history.max_length == [101, 1] and history.stopped == "one symbol is left"
    assert history.fresh["raw"].shape == (101,) and history.fresh["compressed"].shape == (1,)
    assert history.fresh["raw"][0] < 1e-3 * history.fresh["raw"][-1]
    assert history.classifier.gradients.time("0").norm("hidden").shape[1] == 1


def test_order_of_rare_symbols(fitted):
    x, y = stream(300, 60, seed=9)
    assert fitted.score(x, y) > 0.95
    probabilities = fitted.predict_proba(x)
    assert probabilities.shape == (300, 4) and np.allclose(probabilities.sum(axis=1), 1)
    assert (fitted.predict(x) == fitted.classes_[probabilities.argmax(axis=1)]).all()


def test_history_and_table(fitted):
    history = fitted.history_
    assert history.levels == fitted.levels == len(history.predictors) == len(history.unexpected)
    assert len(history.mean_length) == history.levels + 1
    for i, share in enumerate(history.unexpected):
        assert history.mean_length[i + 1] == pytest.approx(share * history.mean_length[i])
    assert history.predictors[0].loss[-1] < 0.3 * history.predictors[0].loss[0]
    assert json.dumps(history.to_dict(), allow_nan=False)
    lines = fitted.summary().splitlines()
    assert lines[0].split()[:3] == ["level", "mean", "length"] and len(lines) == 2 + history.levels + 1 + 2
    assert "60 →" in repr(fitted) and "not fitted" in repr(gw.HistoryCompressor())


def test_figure(fitted, tmp_path):
    pytest.importorskip("matplotlib")
    fitted.plot().savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_same_seed_same_bits_and_a_second_fit_forgets_the_first(tmp_path):
    x, y = stream(60, 30)
    one, other, third = made(x=x, y=y), made(x=stream(50, 40, seed=8)[0]), made(x=x, y=y, seed=2)
    other.fit(x, y, progress=False)

    def weights(compressor):
        readers = [*(p.reader for p in compressor.predictors), compressor.classifier]
        return [values.tobytes() for reader in readers for values in reader.parameters.values()]

    assert weights(one) == weights(other) != weights(third)


def test_saved_and_loaded(fitted, tmp_path):
    path = tmp_path / "c.safetensors"
    fitted.save(path)
    back = gw.HistoryCompressor.load(path)
    x, _ = stream(50, 60, seed=4)
    assert (back.predict_proba(x) == fitted.predict_proba(x)).all()
    assert (np.array(back.decompress(fitted.compress(x))) == x).all()
    assert back.summary() == fitted.summary() and repr(back) == repr(fitted)
    assert back.history_.to_dict() == fitted.history_.to_dict()
    assert back.settings == fitted.settings
    again = tmp_path / "d.safetensors"
    back.save(again)
    assert again.read_bytes() == path.read_bytes()
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole.replace(b'\\"hidden_size\\": 16', b'\\"hidden_size\\": 17')):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"\[load\]"):
            gw.HistoryCompressor.load(path)
    with pytest.raises(FileNotFoundError):
        gw.HistoryCompressor.load(tmp_path / "none")
    gw.RBM(3, 2).save(path)
    with pytest.raises(ValueError, match="holds no HistoryCompressor"):
        gw.HistoryCompressor.load(path)


def test_without_labels_and_without_levels():
    x, y = stream(40, 20)
    unlabelled = made(x=x)
    assert unlabelled.classifier is None and not unlabelled.history_.fresh
    with pytest.raises(ValueError, match="no classifier"):
        unlabelled.predict(x)
    flat = made(x=x, y=y, max_levels=0)
    assert flat.levels == 0 and [len(items) for items in flat.compress(x).items] == [20] * 40
    assert flat.compress(x).gaps[0].size == 0
    assert (np.array(flat.decompress(flat.compress(x))) == x).all()
    noise = np.random.default_rng(0).integers(4, size=(40, 12))
    assert "left out" in made(x=noise).history_.stopped


def test_rows_with_lengths_are_lists_of_them(fitted):
    x, _ = stream(5, 60, seed=2)
    lengths = [60, 1, 7, 33, 59]
    cut = [row[:n] for row, n in zip(x, lengths, strict=True)]
    rows = fitted.compress(np.where(np.arange(60) < np.array(lengths)[:, None], x, -7), lengths=lengths)
    assert [i.tolist() for i in rows.items] == [i.tolist() for i in fitted.compress(cut).items]


BAD = {
    "negative": (([[0, -1]],), ValueError, r"x\[0\] has -1 at step 1; needs symbols of at least 0"),
    "large": (([[0, 1], [1, 9]],), ValueError, r"x\[1\] has 9 at step 1; needs symbols below 4, the alphabet"),
    "empty": (([[0], []],), ValueError, r"x\[1\] has no symbols"),
    "none": (([],), ValueError, "x has no sequences"),
    "nan": (([[0.0, np.nan]],), TypeError, r"x\[0\] has dtype float64; needs integers"),
    "text": (("abc",), TypeError, "x is of type str"),
    "number": ((3,), TypeError, "x is of type int"),
    "deep": ((np.zeros((2, 3, 4), int),), ValueError, r"x has shape \(2, 3, 4\)"),
    "labels": (([[0, 1]], [1, 2]), ValueError, r"y has shape \(2,\) but x has 1 sequences"),
    "real labels": (([[0, 1]], [1.5]), TypeError, "y has dtype float64"),
}


@pytest.mark.parametrize(("arguments", "kind", "said"), BAD.values(), ids=BAD.keys())
def test_bad_data_is_refused_by_name(arguments, kind, said):
    compressor = gw.HistoryCompressor(4)
    with pytest.raises(kind, match=r"\[HistoryCompressor\] " + said):
        compressor.fit(*arguments)
    assert compressor.history_ is None


def test_bad_calls_are_refused_by_name(fitted):
    x, y = stream(4, 60)
    other = made(x=stream(40, 20)[0], epochs=1, seed=5, surprise=0.0, min_shortening=0.0)
    for call, said in (
        (lambda: gw.HistoryCompressor().compress(x), "nothing learnt yet"),
        (lambda: gw.HistoryCompressor().summary(), "nothing learnt yet"),
        (lambda: gw.HistoryCompressor().predict(x), "nothing learnt yet"),
        (lambda: fitted.compress(x, fitted.levels + 1), "level is .*; needs at most"),
        (lambda: fitted.compress(x, -1), "level is -1"),
        (lambda: fitted.compress(x + 5), "needs symbols below 10"),
        (lambda: fitted.compress(x, lengths=[1, 2]), "lengths has shape"),
        (lambda: fitted.compress(x, lengths=[0, 1, 2, 3]), "lengths has 0 in row 0; needs 1 to 60"),
        (lambda: fitted.score(x, y[:2]), "y has shape"),
        (lambda: fitted.decompress(other.compress(x, 1)), "another compressor|gaps"),
        (lambda: fitted.decompress(Compressed([np.array([[3, 2]])], np.array([[9]]))), "gaps that do not fit"),
        (lambda: gw.HistoryCompressor(surprise=1.0), "surprise is 1.0"),
        (lambda: gw.HistoryCompressor(cell="elman"), "cell is 'elman'; needs one of lstm, gru, rnn"),
        (lambda: gw.HistoryCompressor(optimizer="lion"), "optimizer is 'lion'"),
        (lambda: gw.HistoryCompressor(hidden_size=0), "hidden_size is 0"),
    ):
        with pytest.raises(ValueError, match=rf"\[HistoryCompressor\] .*({said})"):
            call()
    with pytest.raises(TypeError, match="compressed is of type list"):
        fitted.decompress([x])


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to its own process")
def test_ctrl_c_leaves_what_was_there():
    x, y = stream(300, 100)
    compressor = made(x=x, y=y, epochs=1)
    before = compressor.history_
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    compressor.settings = gw.HistoryCompressor(epochs=100_000).settings
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        compressor.fit(x, y, progress=False)
    timer.join()
    assert compressor.history_ is before
    assert caught.value.history.mean_length == [100.0]
