"""The page: its structure, what it says, and what it never does."""

import re
import sys
import time

import numpy as np
import pytest
from pages import Page, long_record, made_up, pixels

import gradwell as gw
from gradwell import doctor
from gradwell.report import cells as grid
from gradwell.report import heat, maps
from gradwell.report.page import FOLDER

pytest.importorskip("jinja2")

X, Y = gw.datasets.digits()
X = (X / X.std()).astype(np.float32)
CE = "softmax_cross_entropy"
ALWAYS = ("summary", "verdicts", "gradients", "histograms", "curves", "setting")


def sick(depth=5):
    return gw.mlp([64, *[30] * depth, 10], activation="sigmoid", init="nielsen", seed=0)


@pytest.fixture(scope="module")
def history():
    return gw.fit(
        sick(),
        (X[200:], Y[200:]),
        loss=CE,
        optimizer=gw.SGD(0.1),
        epochs=8,
        stats=True,
        clip=gw.clip_by_norm(0.3),
        validation=(X[:200], Y[:200]),
        progress=False,
    )


@pytest.fixture(scope="module")
def cure():
    few = doctor.remedies("tanh", "adam", "lstm")
    return gw.treat(sick(), (X, Y), loss=CE, optimizer=gw.SGD(0.1), seeds=2, steps=120, remedies=few, progress=False)


@pytest.fixture(scope="module")
def text(history, cure):
    return gw.report.html(history, network=sick(), treatment=cure, title="Five <layers> & digits")


def test_the_page_is_whole(text):
    page = Page(text)
    assert page.values("html", "lang") == ["en"]
    assert page.values("section", "id") == [
        *("summary", "verdicts", "gradients", "histograms", "curves", "clipping", "trials", "setting")
    ]
    assert [h for h in page.tags if h in ("h1", "h2")] == ["h1"] + ["h2"] * 8
    links = {target.removeprefix("#") for target in page.values("a", "href")}
    assert links == set(page.values("section", "id"))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert set(page.values("section", "aria-labelledby")) <= set(ids)


def test_it_needs_nothing_but_itself(text):
    page = Page(text)
    assert "script" not in page.tags
    for _, name, value in page.attributes:
        if name in ("src", "href", "srcset", "data", "action"):
            assert value.startswith(("data:", "#")), value
        assert not name.startswith("on")
    assert not re.search(r"https?:|url\(|@import", text)
    assert len(text.encode()) < 300_000


def test_what_is_for_the_eye_is_told_in_words_too(text):
    page = Page(text)
    pictures = page.values("img", "alt")
    assert len(pictures) == page.tags.count("img") > 8
    assert all(len(alt) > 40 for alt in pictures)
    assert any("goes from" in alt for alt in pictures)
    drawn = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert any("training, each step from" in alt for alt in drawn)
    assert all(value in ("col", "row") for value in page.values("th", "scope"))
    assert len(page.values("th", "scope")) == page.tags.count("th")


def test_it_says_what_is_wrong_where_and_what_to_do(text, history, cure):
    page = Page(text)
    root = gw.diagnose(history).roots[0]
    assert f"The root cause is {root.rule} in layer {root.layer}" in page.text
    assert "at fault: the activation's derivative" in page.text
    assert f"What helped in trials: {cure.winner.remedy.name}." in page.text
    assert "Five <layers> & digits" in page.text
    for finding in gw.diagnose(history):
        assert finding.text in page.text
    for remedy in root.remedies:
        assert " ".join(remedy.code.split()) in page.text
    for words in ("no recurrent layer", "float32", "sgd (", "steps (100.0%)", "norm (limit 0.3)", "held out", "± "):
        assert words in page.text, words
    assert "not tried: there is nothing to change" in page.text


def test_without_findings_it_says_so_and_what_was_not_measured():
    net = gw.mlp([64, 30, 30, 10], activation="tanh", init="glorot", seed=0)
    history = gw.fit(net, (X, Y), loss=CE, optimizer=gw.SGD(0.1), epochs=4, stats=True, progress=False)
    page = Page(gw.report.html(history))
    assert "Nothing was found that is wrong" in page.text
    assert "Not measured, and so not known to be healthy: batch normalization" in page.text
    assert "The loss went from" in page.text
    assert tuple(page.values("section", "id")) == ALWAYS
    assert "1,950" in page.text  # parameters of the first layer, from what the fit noted


def test_names_are_escaped():
    names = ["<script>alert(1)</script>", 'a"b', "&amp;", "last"]
    norms = np.tile([1e-6, 1e-4, 1e-2, 1.0], (4, 1))
    page = Page(gw.report.html(made_up(norms, names), title="</title><script>x</script>"))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_a_layer_that_was_not_measured_is_never_healthy():
    norms = np.tile([1.0, np.nan, 1.0, 1.0], (4, 1))
    record = made_up(norms)
    record._chunks[0]["statistics"][:, 5] = np.nan  # its output neither
    page = Page(gw.report.html(record))
    levels = [value for value in page.values("div", "class") if value.startswith("score ")]
    assert levels == ["score good", "score missing", "score good", "score good"]
    assert "1 was not measured" in page.text
    empty = gw.fit(sick(), (X, Y), loss=CE, optimizer=gw.SGD(0.1), stats=False, progress=False)
    page = Page(gw.report.html(empty))
    assert "No layer was measured, so none has a score." in page.text
    assert "No norm of a gradient was measured." in page.text
    assert not [value for value in page.values("div", "class") if value.startswith("score ")]


def test_zero_not_finite_and_not_measured_have_colours_of_their_own():
    values = np.array([[1.0, 0.0, np.nan, np.inf], [0.1, 0.0, np.nan, 1.0]])
    shown = heat.picture("t", values, np.arange(2), list("abcd"), what="norm", broken=np.isinf(values))
    cells, palette = pixels(shown.uri)
    assert cells.tolist() == [
        [grid.LEVELS - 1, 0],
        [grid.EXACT_ZERO] * 2,
        [grid.MISSING] * 2,
        [grid.NOT_FINITE, grid.LEVELS - 1],
    ]
    assert palette[grid.MISSING, 3] == 0
    special = {tuple(colour) for colour in palette[grid.LEVELS :]}
    assert len(special) == 3 and not special & {tuple(colour) for colour in palette[: grid.LEVELS]}
    assert set(shown.marks) == {"missing", "zero", "broken"}
    assert "Not measured: layer c." in shown.notes
    assert "2 of 8 values are exactly 0." in shown.notes


def test_gains_are_centred_on_one():
    values = np.array([[1.0, 0.1, 10.0, 1e9, 1e-9]])
    cells, _ = pixels(heat.picture("t", values, np.arange(1), list("abcde"), what="gain", limit=10.0).uri)
    assert cells[:, 0].tolist() == [(grid.LEVELS - 1) / 2 + 0.5, 0, grid.LEVELS - 1, grid.LEVELS - 1, 0]


def test_a_fault_in_one_of_many_records_shows():
    values = np.ones((5000, 3))
    values[1234, 1] = 0.0
    values[4321, 2] = np.inf
    cells, _ = pixels(heat.picture("t", values, np.arange(5000), list("abc"), what="norm").uri)
    assert cells.shape == (3, 556)  # of 9 records each: 600 would not go round
    assert (cells[1] == grid.EXACT_ZERO).sum() == 1 and (cells[2] == grid.NOT_FINITE).sum() == 1
    assert np.flatnonzero(cells[1] == grid.EXACT_ZERO)[0] == 1234 // 9


def test_gradients_by_time_step():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 12, 3)).astype(np.float32)
    net = gw.Network([gw.RNN(6, return_sequences=True), gw.Bidirectional(gw.LSTM(4)), gw.Dense(2)], (12, 3), seed=0)
    y = (x[:, 0, 0] > 0).astype(int)
    history = gw.fit(net, (x, y), loss=CE, optimizer=gw.SGD(0.1), epochs=2, stats=True, progress=False)
    page = Page(gw.report.html(history, network=net))
    assert "time" in page.values("section", "id")
    assert "Layer 1: gradient of the state at each step of the sequence, read from its end" in page.text
    assert page.text.count("by step of the sequence") == 3


def test_an_error_with_a_history_makes_a_page():
    net = gw.mlp([64, 30, 30, 10], activation="relu", init="he", seed=0)
    with pytest.raises(gw.NonFiniteError) as caught:
        gw.fit(net, (50 * X, Y), loss="quadratic", optimizer=gw.SGD(5.0), epochs=3, stats=True, progress=False)
    page = Page(gw.report.html(caught.value))
    assert "The first value that is not finite was made" in page.text


def test_a_watch_on_a_pytorch_model_makes_a_page():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layers = [part for inputs in (64, 20, 20) for part in (torch.nn.Linear(inputs, 20), torch.nn.Sigmoid())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(20, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images, labels = torch.tensor(X[:64]), torch.tensor(Y[:64])
    with gw.watch.torch(model, optimizer) as watch:
        for _ in range(30):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            watch.loss(loss)
            optimizer.step()
    page = Page(gw.report.html(watch, title="another framework"))
    assert "4 layers · 30 steps · 30 recorded" in page.text
    assert "training, each step" in page.text
    assert "Its derivative part" in page.text


def test_the_record_of_one_pass_makes_a_page():
    record = gw.gradients(sick(), X, Y, loss=CE)
    page = Page(gw.report.html(record))
    assert "1 recorded" in page.text
    assert "No loss was recorded." in page.text


def test_a_long_record_makes_a_small_page_soon():
    record = long_record()
    begun = time.perf_counter()
    text = gw.report.html(record)
    seconds = time.perf_counter() - begun
    assert len(text.encode()) < 2_000_000
    assert seconds < 20  # about 3 on one idle core
    page = Page(text)
    assert "A column is the median of up to 17 neighbouring records" in page.text
    assert "The root cause is vanishing" in page.text


@pytest.mark.parametrize(
    ("what", "given", "error", "message"),
    [
        (3, {}, TypeError, r"\[report\] what is of type int"),
        (gw.NonFiniteError(0, "loss", None, "x", {}), {}, ValueError, "without a history"),
        (None, {"network": 3}, TypeError, r"\[report\] network is of type int"),
        (None, {"treatment": 3}, TypeError, r"\[report\] treatment is of type int"),
        (None, {"title": 3}, TypeError, r"\[report\] title is of type int"),
    ],
)
def test_wrong_use_is_named(history, what, given, error, message):
    with pytest.raises(error, match=message):
        gw.report.html(history if what is None else what, **given)


def test_a_file_appears_whole_or_not_at_all(history, tmp_path):
    path = gw.report.write(tmp_path / "page.html", history)
    before = path.read_bytes()
    assert before.startswith(b"<!DOCTYPE html>")
    with pytest.raises(TypeError):
        gw.report.write(path, 3)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(FileNotFoundError, match=r"\[report\] .*absent"):
        gw.report.write(tmp_path / "absent" / "page.html", history)


def test_without_jinja2_the_message_says_how_to_get_it(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r'pip install "gradwell\[report\]"'):
        gw.report.html(history)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_of_texts_have_contrast_in_both_looks():
    style = (FOLDER / "page.css").read_text()
    looks = [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)]
    assert len(looks) == 2 and looks[0].keys() == looks[1].keys()
    for look in looks:
        for ground in ("paper", "raised"):
            for name in ("ink", "soft", "accent", "good", "fair", "poor", "line0", "line1", "line2"):
                low, high = sorted([luminance(look[name]), luminance(look[ground])])
                assert (high + 0.05) / (low + 0.05) > 4.5, (name, ground)  # WCAG 2.2, level AA


def test_an_all_zero_output_is_measured():
    net = gw.mlp([64, 20, 10], activation="relu", seed=0)
    net.parameters["0.bias"][...] = -1e6  # no unit is ever on
    record = gw.gradients(net, X, Y, loss=CE)
    record.append({key: value.copy() for key, value in gw.gradients(sick_like(net), X, Y, loss=CE)._chunks[0].items()})
    exponents, counts = record.histogram("activation", 0)
    cells, _ = pixels(maps.histogram_map(record, "activation", 0, exponents, counts).uri)
    assert (cells[:, 0] == grid.MISSING + 1).all()  # empty, not "not measured"


def sick_like(net):
    healthy = net.copy()
    healthy.parameters["0.bias"][...] = 0
    return healthy


def test_labels_of_unevenly_recorded_steps_keep_apart():
    steps = np.concatenate([np.arange(300), 1000 + np.arange(3), 2000 + np.arange(3), 3000 + np.arange(3)])
    ticks = heat.step_ticks(steps)
    assert [tick.text for tick in ticks] == ["0", "1,000"]
    assert [tick.text for tick in heat.step_ticks(np.arange(0, 500, 5))] == ["0", "100", "200", "300", "400"]
