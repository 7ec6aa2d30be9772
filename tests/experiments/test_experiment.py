import json
import math

import numpy as np
import pytest

import gradwell as gw
from gradwell.experiments import EXPERIMENTS, Check, Options, Result, listing, run
from gradwell.experiments.experiment import few_seeds, over_seeds, published_file


@pytest.mark.parametrize(("value", "holds"), [(1.0, True), (2.0, True), (0.999, False), (2.001, False)])
def test_a_check_holds_inside_its_range_ends_included(value, holds):
    assert Check("x", value, 1.0, 2.0).holds is holds


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_never_holds_and_becomes_null(value):
    check = Check("x", value, 0.0, 1.0)
    assert not check.holds
    assert check.as_json() == {"name": "x", "value": None, "low": 0.0, "high": 1.0, "holds": False}


def make_result(value):
    figures = {"array": np.array([1.0, math.nan]), "count": np.int64(3), "pairs": [(1, 2)]}
    return Result("made-up", figures, [Check("x", value, 0.0, 1.0)], "the table", lambda: None, ["a note"])


def test_json_is_plain_and_strict():
    text = json.dumps(make_result(0.5).as_json(), allow_nan=False)
    assert json.loads(text) == {
        "experiment": "made-up",
        "array": [1.0, None],
        "count": 3,
        "pairs": [[1, 2]],
        "notes": ["a note"],
        "checks": [{"name": "x", "value": 0.5, "low": 0.0, "high": 1.0, "holds": True}],
    }


def test_text_names_the_check_that_does_not_hold():
    assert "DOES NOT HOLD  x: 7, needed 0 to 1" in make_result(7.0).text()
    assert "1 of 1 checks hold." in make_result(0.5).text()
    assert not make_result(7.0).holds


def test_seeds():
    assert Options(seeds=4).seed_count(10) == 4
    assert Options().seed_count(10) == 10
    with pytest.raises(ValueError, match="seeds is 0"):
        Options(seeds=0).seed_count(10)
    assert few_seeds(10, 10) == []
    assert "3 of the usual 10" in few_seeds(3, 10)[0]


@pytest.mark.parametrize("inside", [True, False])
def test_published_files_are_found_inside_or_beside_the_data(tmp_path, monkeypatch, inside):
    monkeypatch.delenv("GRADWELL_DATA", raising=False)
    data = tmp_path / "mnist"
    file = (data if inside else tmp_path) / "nielsen" / "curve.json"
    file.parent.mkdir(parents=True)
    file.write_text("[]")
    data.mkdir(exist_ok=True)
    assert published_file(data, "curve.json") == file
    assert published_file(data, "other.json") is None
    assert published_file(None, "curve.json") is None
    monkeypatch.setenv("GRADWELL_DATA", str(data))
    assert published_file(None, "curve.json") == file


def test_registry():
    assert all(name in listing() for name in EXPERIMENTS)
    with pytest.raises(ValueError, match="no experiment 'nonsense', needed one of nielsen-gradients"):
        run("nonsense")


def test_over_seeds_keeps_the_order_and_puts_the_threads_back():
    threads = gw.num_threads()
    seen = []
    rows = over_seeds(5, lambda seed: np.array([seed, gw.num_threads()]), lambda: seen.append(1))
    assert rows.tolist() == [[seed, 1] for seed in range(5)]
    assert len(seen) == 5
    with pytest.raises(ZeroDivisionError):
        over_seeds(3, lambda seed: np.array([1 // seed]), lambda: None)
    assert gw.num_threads() == threads
