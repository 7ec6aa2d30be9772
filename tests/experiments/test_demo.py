import io
import json

import numpy as np
import pytest

import gradwell as gw
from gradwell.experiments import demo, demo_figures, demo_story


@pytest.fixture(scope="module")
def trained():
    stream = io.StringIO()
    ill = demo.train(demo.sick(), "as it was", "logistic units", 8, stream, optimizer=gw.SGD(demo.RATE))
    net = gw.mlp(demo.SIZES, activation="tanh", init="glorot", seed=0)
    treated = demo.train(net, "treated", "tanh", 8, optimizer=gw.SGD(demo.RATE))
    return (ill, treated), stream.getvalue()


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A whole run into a folder, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "new"
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        found = demo.run(folder, epochs=6)
    return found, stream.getvalue(), folder


def test_the_logistic_network_starves_in_front_and_the_other_does_not(trained):
    (ill, treated), _ = trained
    assert ill.slowness > 30
    assert 0.2 < treated.slowness < 5
    assert treated.accuracy > ill.accuracy + 0.5
    assert treated.first_gradient > 10 * ill.first_gradient


def test_gain_is_the_product_of_its_factors(trained):
    figures = trained[0][0].as_json()
    total, weight, derivative = (
        np.array(figures[f"gain_{part}"][:-1], float) for part in ("total", "weight", "derivative")
    )
    assert np.allclose(total, weight * derivative, rtol=1e-12)
    assert figures["gain_total"][-1] is None  # the last layer has none above it: not measured


def test_live_bars_have_a_line_a_layer(trained):
    text = trained[1]
    assert "layer  8" in text
    assert "█" in text


def test_every_step_is_told_in_order(shown):
    found, text, folder = shown
    titles = ("1. A network that does not learn", "2. What the doctor says", "3. What helps", "4. The proof")
    assert [text.index(title) for title in titles] == sorted(text.index(title) for title in titles)
    assert "warning: initialization, layer 0, at fault: derivative" in text
    assert "In short: initialization is the cause, the derivative of its activation at fault." in text
    assert f"What helped: {found['code']}" in text
    assert text.rstrip().endswith("right.")
    assert max(map(len, text.splitlines())) <= 110 + len(str(folder))


def test_the_words_carry_the_measured_numbers(shown):
    found, text, _ = shown
    ill, treated = found["networks"]
    assert f"pulled {ill['last_over_first']:.3g} times as hard" in text
    ratio = treated["median_first_layer_gradient"] / ill["median_first_layer_gradient"]
    assert f"gradient is {ratio:.3g} times as large" in text
    before, after = (network["validation_accuracy"][-1] for network in (ill, treated))
    assert f"from {before:.1%} to {after:.1%} right" in text
    assert after > before + 0.5
    assert found["treatment"]["winner"] in treated["network"]
    assert found["diagnosis"]["healthy"] is False
    json.dumps(found, allow_nan=False)


def test_files(shown):
    found, text, folder = shown
    names = ["demo-gradients.png", "demo-learning.png"]
    assert [path.rsplit("/", 1)[1] for path in found["figures"]] == names
    assert all((folder / name).stat().st_size > 10_000 for name in names)
    assert all(path in text for path in found["figures"])


def test_report(shown):
    pytest.importorskip("jinja2")
    found, text, folder = shown
    page = folder / "demo-report.html"
    assert found["report"] == str(page)
    assert found["report"] in text
    assert found["treatment"]["winner"] in page.read_text(encoding="utf-8").replace("&#39;", "'")


def test_quiet_without_files(capsys):
    found = demo.run(None, epochs=1, quiet=True)
    assert capsys.readouterr().out == ""
    assert (found["figures"], found["report"]) == ([], None)


def test_nothing_helped_is_said(trained):
    (ill, _), _ = trained
    text = demo_story.closing(demo.Shown(ill, gw.diagnose(ill.history), None, None))
    assert text.endswith("Nothing that was tried helped.")
    assert len(demo_figures.learning([ill]).axes) == 2


def test_sparks_are_as_high_as_their_values():
    assert demo_story._sparks([1.0, 10.0, 100.0], 1.0, 100.0) in ("▁▅█", "▁▄█")
    assert demo_story._sparks([0.0, 1.0], 0.0, 1.0) == "▁█"
