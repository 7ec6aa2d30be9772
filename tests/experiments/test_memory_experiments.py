"""History compression and random guessing on small settings: their arithmetic, figures and checks."""

import json

import numpy as np
import pytest

import gradwell as gw
from gradwell.experiments import Options, history_compressor, random_guessing
from gradwell.report import plots


def looked_at(result, tmp_path):
    """The JSON can be written and the figure drawn."""
    assert json.dumps(result.as_json(), allow_nan=False)
    assert result.text()
    assert plots.save(result.draw(), tmp_path / "figure.png").stat().st_size > 10_000


def test_history_compressor_runs_small(tmp_path):
    result = history_compressor.run(Options(seeds=2), lags=(12, 40), sequences=200, epochs=10)
    checks = {check.name: check for check in result.checks}
    assert checks["sequences that come back symbol for symbol"].holds
    assert checks["first, lag 40: compressed, share solved"].holds
    assert result.figures["first, lag 40"]["length left"].max() < 3
    assert any("Only 2 of the usual" in note for note in result.notes)
    looked_at(result, tmp_path)


def shares(raw, compressed, back=1.0):
    return np.array([[*raw, compressed, 3.0, back]] * 10)


@pytest.mark.parametrize(
    ("order", "failures"),
    [
        (shares([0.3, 0.3, 0.3], 1.0), 0),
        (shares([0.3, 0.96, 0.3], 1.0), 1),
        (shares([0.3, 0.3, 0.3], 0.94), 1),
        (shares([0.3, 0.3, 0.3], 1.0, 0.0), 1),
    ],
)
def test_history_compressor_wants_the_compressed_alone_to_succeed(order, failures):
    found = {("first", 200): shares([1.0, 0.5, 0.5], 1.0), ("order", 200): order}
    fresh = {key: {"raw": np.array([1e-9, 1.0]), "compressed": np.ones(3)} for key in found}
    result = history_compressor.summarise(found, fresh, 20)
    assert sum(not check.holds for check in result.checks) == failures


def test_parity_is_that_of_the_ones():
    for steps in (5, 8):
        x, y = random_guessing.data("parity", 200, steps, seed=0)
        ones = (x[:, :, 0] == 1).sum(axis=1)
        assert (y[:, 0] == np.where(ones % 2 == 0, 1, -1)).all()
        assert set(np.unique(x).tolist()) == {-1.0, 1.0}


def test_latch_is_guessed_in_few_trials():
    passes, reached, right = random_guessing.guess("latch", random_guessing.TASKS["latch"], 0)
    assert passes < 500 and reached == 1 and right > 0.9


def test_a_step_of_descent_is_one_pass():
    task = random_guessing.TASKS["parity"]._replace(trials=250, start=150)
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        fit = gw.fit
        patch.setattr(gw, "fit", lambda *a, **k: steps.append(len((h := fit(*a, **k)).step_loss)) or h)
        used, reached, _ = random_guessing.descend("parity", task, 0)
    assert steps == [150, 100] and used == 250 and not reached


def test_repeated_sequences_are_steps_of_the_whole_batch():
    x, y = random_guessing.data("parity", 10, 6, seed=0)
    nets = [random_guessing.network("parity", 6, 3) for _ in range(2)]
    for net, times in zip(nets, (1, 5), strict=True):
        many = np.tile(x, (times, 1, 1)), np.tile(y, (times, 1))
        settings = {"optimizer": gw.Adam(0.01), "batch_size": 10, "epochs": 5 // times, "shuffle": False}
        gw.fit(net, many, loss="mean_squared_error", stats=False, progress=False, **settings)
    assert all((nets[0].parameters[name] == view).all() for name, view in nets[1].parameters.items())


def test_random_guessing_runs_small(tmp_path):
    result = random_guessing.run(Options(seeds=2), trials={"latch": 60, "parity": 80})
    checks = {check.name: check for check in result.checks}
    assert checks["parity: gradient descent, share solved"].holds
    assert not checks["parity: guessing, share solved"].holds
    looked_at(result, tmp_path)
