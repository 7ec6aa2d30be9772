"""The experiments on recurrent layers, made small: their arithmetic, figures and checks."""

import json

import numpy as np
import pytest

from gradwell.experiments import Options, adding_problem, memory_length, pascanu_temporal_order
from gradwell.report import plots


def by_name(result):
    return {check.name: check for check in result.checks}


def looked_at(result, tmp_path):
    """The JSON can be written and the figure drawn."""
    assert json.dumps(result.as_json(), allow_nan=False)
    assert result.text()
    assert plots.save(result.draw(), tmp_path / "figure.png").stat().st_size > 10_000


def test_adding_problem_runs_small(tmp_path):
    result = adding_problem.run(Options(seeds=1), lengths=(12, 20), sequences=200, passes=2)
    assert not by_name(result)["T = 20: lstm, share of the seeds"].holds
    assert by_name(result)["T = 20: rnn tanh, share of the seeds"].holds
    assert any("Only 1 of the usual" in note for note in result.notes)
    looked_at(result, tmp_path)


def made_up_adding(lstm, rnn):
    hidden = {"lstm": np.ones((2, 110)), "rnn tanh": 0.9 ** np.arange(110)[::-1] * np.ones((2, 1))}
    hidden["irnn"] = hidden["lstm"]
    right = {"lstm": lstm, "rnn tanh": rnn, "irnn": 0.5}
    memory = {"lstm": np.inf, "rnn tanh": 44.0, "irnn": np.inf}
    return {
        (model, 100): [
            adding_problem.Trained(
                np.array([0.5, 0.1]), right[model], 20_000, hidden[model], np.full((2, 2), memory[model])
            )
        ]
        * 2
        for model in adding_problem.MODELS
    }


@pytest.mark.parametrize(("lstm", "rnn", "failures"), [(0.95, 0.15, 0), (0.89, 0.15, 1), (0.95, 0.9, 1)])
def test_adding_problem_wants_the_lstm_to_succeed_and_the_plain_cell_to_fail(lstm, rnn, failures):
    result = adding_problem.summarise(made_up_adding(lstm, rnn))
    assert sum(not check.holds for check in result.checks) == failures


def test_memory_of_the_relu_cell_has_its_closed_form(tmp_path):
    assert [memory_length.expected_memory(fraction) for fraction in memory_length.FRACTIONS] == [10, 44]
    result = memory_length.run(Options(seeds=1), steps=60, updates=5)
    relu = [check for check in result.checks if check.name.startswith("relu")]
    assert len(relu) == 3 and all(check.holds for check in relu)
    looked_at(result, tmp_path)


def test_pascanu_temporal_order_runs_small(tmp_path):
    result = pascanu_temporal_order.run(Options(seeds=1), lengths=(10, 20), sequences=400, passes=2)
    assert by_name(result)["T = 20: clip minus plain, seeds solved"].holds
    assert not by_name(result)["T = 20: lstm, share solved"].holds
    looked_at(result, tmp_path)


def test_pascanu_temporal_order_compares_the_seeds_solved():
    def trained(solved):
        return [pascanu_temporal_order.Trained(np.array([0.0]), 0 if k < solved else 5, 1000) for k in range(5)]

    solved = {"plain": 2, "clip": 1, "clip + omega": 5, "lstm": 5}
    found = {(method, length): trained(count) for method, count in solved.items() for length in (20, 50)}
    failed = [check.name for check in pascanu_temporal_order.summarise(found).checks if not check.holds]
    assert failed == ["T = 50: clip minus plain, seeds solved"]
