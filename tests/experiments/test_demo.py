import io
import json

import numpy as np
import pytest

from gradwell.experiments import demo


@pytest.fixture(scope="module")
def trained():
    stream = io.StringIO()
    shown = [demo.train(recipe, epochs=8, live=stream) for recipe in demo.RECIPES]
    return shown, stream.getvalue()


def test_the_logistic_network_starves_in_front_and_the_other_does_not(trained):
    (slow, healthy), _ = trained
    assert slow.slowness > 30
    assert 0.2 < healthy.slowness < 5
    assert healthy.accuracy > slow.accuracy + 0.5


def test_gain_is_the_product_of_its_factors(trained):
    figures = trained[0][0].as_json()
    total, weight, derivative = (
        np.array(figures[f"gain_{part}"][:-1], float) for part in ("total", "weight", "derivative")
    )
    assert np.allclose(total, weight * derivative, rtol=1e-12)
    assert figures["gain_total"][-1] is None  # the last layer has none above it: not measured


def test_the_closing_sentences_carry_the_measured_numbers(trained):
    slow, healthy = trained[0]
    text = demo.closing(slow, healthy)
    assert f"{slow.slowness:.3g} times" in text
    assert f"{healthy.accuracy:.1%}" in text
    assert "derivative" in text


def test_live_bars_have_a_line_a_layer(trained):
    text = trained[1]
    assert "layer  8" in text
    assert "█" in text


def test_quiet_without_figures(capsys, tmp_path):
    found = demo.run(None, epochs=1, quiet=True)
    assert capsys.readouterr().out == ""
    assert found["figures"] == []
    json.dumps(found, allow_nan=False)


def test_figures(tmp_path, capsys):
    found = demo.run(tmp_path / "new", epochs=1)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["demo-gradients.png", "demo-learning.png"]
    assert len(found["figures"]) == 2
    assert "unseen digits right" in capsys.readouterr().out
