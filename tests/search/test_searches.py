"""Searches find known solutions, leave the network alone, and do not depend on processes."""

import os
import signal
import threading

import numpy as np
import pytest

import gradwell as gw
from gradwell.search.judge import Judge
from gradwell.search.strategy import shaped

XOR = (np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0]))
SEARCHES = {
    "random_guessing": {"trials": 20_000},
    "genetic": {"generations": 200},
    "evolution_strategy": {"generations": 1500, "learning_rate": 0.2, "sigma": 0.2},
    "cma_es": {"generations": 300},
}


def run(method, network=None, data=XOR, **settings):
    if method == "cma_es":
        pytest.importorskip("cma")
    settings = {"loss": "softmax_cross_entropy", "progress": False, "seed": 3} | settings
    return getattr(gw.search, method)(network or gw.mlp([2, 4, 2], activation="tanh", seed=0), data, **settings)


def worst_error(outputs, y):
    return float(np.abs(outputs - y).max())


@pytest.mark.parametrize("method", SEARCHES)
def test_xor_is_found(method):
    net = gw.mlp([2, 4, 2], activation="tanh", seed=0)
    before = {name: view.copy() for name, view in net.parameters.items()}
    found = run(method, net, target_accuracy=1.0, target_loss=0.1, **SEARCHES[method])
    assert found.reached and found.stopped == "target reached"
    assert found.network.predict(XOR[0]).argmax(axis=1).tolist() == XOR[1].tolist()
    assert found.loss == found.network.evaluate(*XOR, loss="softmax_cross_entropy")["loss"] == found.curve[-1]
    assert found.evaluations == found.at[-1]
    assert (np.diff(found.curve) <= 0).all()
    assert all((view == before[name]).all() for name, view in net.parameters.items())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_candidate_is_measured_as_a_network_with_these_weights(dtype, rng):
    net = gw.Network([gw.LSTM(3), gw.LayerNorm(), gw.Dense(2)], input_shape=(7, 2), seed=0, dtype=dtype)
    x, y, lengths = rng.normal(size=(5, 7, 2)), np.array([0, 1, 0, 1, 1]), np.array([7, 3, 5, 1, 7])
    judge = Judge("genetic", net, (x, y, lengths), "softmax_cross_entropy", 1024)
    assert judge.size == net.size
    candidates = rng.normal(size=(3, net.size))
    scores = judge.measure(candidates)
    for candidate, loss, accuracy in zip(candidates, *scores, strict=True):
        start = 0
        for view in net.parameters.values():
            view[...] = candidate[start : start + view.size].reshape(view.shape)
            start += view.size
        expected = net.evaluate(x, y, loss="softmax_cross_entropy", lengths=lengths)
        assert (loss, accuracy) == (expected["loss"], expected["accuracy"])
    judge.put(candidates[-1])
    assert (judge.weights() == candidates[-1].astype(dtype)).all()


@pytest.mark.parametrize("method", SEARCHES)
def test_processes_change_nothing(method, monkeypatch, rng):
    pytest.importorskip("joblib")
    monkeypatch.setattr("gradwell.search.workers.WORTH_SENDING", 0.0)
    settings = {"trials": 3000} if method == "random_guessing" else {"generations": 3, "population": 10}
    data = rng.normal(size=(20, 2)).astype(np.float32), rng.integers(0, 2, 20)
    alone, together = (run(method, data=data, jobs=jobs, target_loss=0.6, **settings) for jobs in (1, 2))
    assert alone.evaluations == together.evaluations
    assert (alone.curve == together.curve).all()
    for name, view in alone.network.parameters.items():
        assert (view == together.network.parameters[name]).all()
    other = run(method, data=data, target_loss=0.6, **(settings | {"seed": 4}))
    assert (other.network.parameters["0.weight"] != alone.network.parameters["0.weight"]).any()


def test_guessing_counts_up_to_the_first_that_does():
    settings = {"loss": "softmax_cross_entropy", "target_accuracy": 1.0, "progress": False, "seed": 1}
    net = gw.mlp([2, 4, 2], activation="tanh", seed=0)
    found = gw.search.random_guessing(net, XOR, trials=20_000, **settings)
    again = gw.search.random_guessing(net, XOR, trials=found.evaluations, **settings)
    short = gw.search.random_guessing(net, XOR, trials=found.evaluations - 1, **settings)
    assert found.reached and again.reached and not short.reached
    assert (short.stopped, short.evaluations) == ("finished", found.evaluations - 1)
    assert all(np.abs(view).max() <= 10 for view in found.network.parameters.values())


def test_the_latch_problem_takes_a_handful_of_guesses():
    x, y = gw.datasets.latch(100, 100, seed=1)
    net = gw.Network([gw.RNN(1)], input_shape=(100, 1), seed=0)
    tried = [run("random_guessing", net, (x, np.sign(y)), loss=worst_error, target_loss=0.2, seed=s) for s in range(5)]
    assert all(found.reached and found.accuracy is None for found in tried)
    assert np.median([found.evaluations for found in tried]) < 200


def test_a_loss_of_ones_own_needs_no_slope():
    settings = {"trials": 20_000, "scale": 3.0, "target_loss": 0.0}
    found = run("random_guessing", loss=lambda outputs, y: np.mean(outputs.argmax(axis=1) != y), **settings)
    assert found.reached and found.loss == 0.0


def test_candidates_are_measured_on_one_thread_and_the_number_is_put_back():
    before, seen = gw.num_threads(), []

    def loss(outputs, y):
        seen.append(gw.num_threads())
        if len(seen) == 5:
            raise ArithmeticError
        return 1.0

    try:
        gw.set_num_threads(2)
        run("random_guessing", loss=loss, trials=3)
        assert gw.num_threads() == 2
        with pytest.raises(ArithmeticError):
            run("random_guessing", loss=loss, trials=3)
        assert gw.num_threads() == 2
    finally:
        gw.set_num_threads(before)
    assert seen == [1] * 5


@pytest.mark.parametrize("crossover", ["uniform", "one_point", "none"])
def test_the_elite_is_kept(crossover):
    found = run("genetic", crossover=crossover, generations=30, population=12, elite=1, mutation=2.0)
    assert found.evaluations == 12 + 29 * 11
    assert found.curve[-1] < found.curve[0]


def test_without_mutation_uniform_children_hold_weights_of_the_first_generation():
    first = np.random.default_rng(3).uniform(-1, 1, (8, 22)).astype(np.float32)
    found = run("genetic", population=8, generations=5, mutation_rate=0.0)
    weights = np.concatenate([view.ravel() for view in found.network.parameters.values()])
    assert all(weight in first[:, k] for k, weight in enumerate(weights))


def test_ranks_are_shaped():
    assert shaped(np.array([5.0, 1.0, np.inf])).tolist() == [0.0, -0.5, 0.5]
    assert shaped(np.full(4, 7.0)).tolist() == [0.0] * 4


def test_the_strategy_follows_the_slope(rng):
    x = rng.normal(size=(64, 5)).astype(np.float32)
    y = x @ np.arange(1, 6)[:, None]
    net = gw.Network([gw.Dense(1)], input_shape=5, seed=0)
    found = run("evolution_strategy", net, (x, y), loss="mean_squared_error", generations=400)
    assert found.loss < 0.05 < found.curve[0]


@pytest.mark.parametrize("method", SEARCHES)
def test_nan_counts_as_the_worst(method):
    calls = []

    def sometimes_nan(outputs, y):
        calls.append(0)
        return np.nan if len(calls) % 2 else float(np.abs(outputs).sum())

    count = {"trials": 40} if method == "random_guessing" else {"generations": 4, "population": 10}
    found = run(method, loss=sometimes_nan, **count)
    assert np.isfinite(found.loss)


def test_an_interrupt_returns_the_best_so_far():
    calls = []

    def slow(outputs, y):
        calls.append(0)
        if len(calls) == 50:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(0.01)
        return float(np.abs(outputs - 1).sum())

    found = run("genetic", loss=slow, population=20, generations=1000)
    assert found.stopped == "interrupted" and not found.reached
    assert found.evaluations == 38  # two whole generations; the third was cut off
    assert found.loss == slow(found.network.predict(XOR[0]), XOR[1])
    calls[:] = [0] * 49
    with pytest.raises(KeyboardInterrupt):
        run("genetic", loss=slow)


def test_a_result_prints_and_goes_to_json(tmp_path):
    found = run("random_guessing", trials=50)
    assert "50 evaluations" in repr(found) and "finished" in repr(found)
    assert found.to_dict()["curve"] == found.curve.tolist()
    assert found.evaluations_per_second > 0
    pytest.importorskip("matplotlib")
    assert found.plot().get_xlabel() == "evaluations"
    found.network.save(tmp_path / "best.safetensors")
    assert (gw.load(tmp_path / "best.safetensors").predict(XOR[0]) == found.network.predict(XOR[0])).all()


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("random_guessing", {"trials": 0}, r"\[random_guessing\] trials is 0"),
        ("random_guessing", {"scale": 0.0}, r"\[random_guessing\] scale is 0.0"),
        ("random_guessing", {"jobs": 0}, r"\[random_guessing\] jobs is 0"),
        ("random_guessing", {"loss": "hinge"}, r"\[random_guessing\] loss is \"hinge\""),
        ("random_guessing", {"loss": worst_error, "target_accuracy": 1.0}, "the loss counts no right answers"),
        ("genetic", {"elite": 64}, r"\[genetic\] elite is 64 but population is 64"),
        ("genetic", {"crossover": "two"}, r"\[genetic\] crossover is \"two\""),
        ("genetic", {"mutation_rate": 1.5}, r"\[genetic\] mutation_rate is 1.5"),
        ("genetic", {"data": (XOR[0], XOR[1][:3])}, r"\[genetic\] y has 3 rows but x has 4"),
        ("evolution_strategy", {"population": 7}, r"\[evolution_strategy\] population is 7"),
        ("evolution_strategy", {"seed": -1}, r"\[evolution_strategy\] seed is -1"),
        ("cma_es", {"sigma": -1.0}, r"\[cma_es\] sigma is -1.0"),
        ("genetic", {"data": XOR[0]}, r"\[genetic\] data is ndarray"),
    ],
)
def test_what_does_not_fit_is_named(method, settings, message):
    with pytest.raises(ValueError, match=message):
        run(method, **settings)


def test_a_network_is_needed():
    with pytest.raises(TypeError, match=r"\[genetic\] network is of type list"):
        gw.search.genetic([2, 4, 2], XOR, loss="softmax_cross_entropy")
