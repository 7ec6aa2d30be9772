import json

import numpy as np
import pytest

from gradwell.experiments import EXPERIMENTS, Options, doya_cliff
from gradwell.report import plots


@pytest.fixture(scope="module")
def result():
    return doya_cliff.run(Options(), horizons=(50,))


def test_it_holds(result):
    assert [check.name for check in result.checks if not check.holds] == []
    assert len(result.checks) == 11
    assert EXPERIMENTS["doya-cliff"].module == "doya_cliff"


def test_what_it_found(result):
    found = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert found["folds"] == pytest.approx([-2.34438966, -2.65561034], abs=1e-8)
    assert found["simulated_folds"] == pytest.approx(found["folds"], abs=5e-6)
    assert found["jump"] == pytest.approx(0.504, abs=0.002)
    assert found["descents"]["plain"]["50"]["thrown"] > 0.4
    assert found["descents"]["clipped"]["50"]["farthest_move"] == pytest.approx(0.06, rel=1e-9)
    assert "T = 50, clipped to 0.3" in result.text()


def test_wrong_measurements_are_found():
    stays = doya_cliff.dynamics.descend(6.0, -2.0, learning_rate=1e-6, updates=2, steps=5)
    still = doya_cliff.dynamics.Descent(*(x[:, None] for x in (stays.w, stays.b, stays.loss, stays.norm)))
    wrong = doya_cliff.Measured(
        folds=np.array([-2.3446, -2.6556]),
        simulated_folds=np.array([-2.3444, -2.6556]),
        jump=0.507,
        above=0.01,
        wall_gradient=1 + 1e-8,
        disagreement=float("nan"),
        plain={50: still},
        clipped={50: still},
    )
    failed = [check.name for check in doya_cliff.summarise(wrong).checks if not check.holds]
    assert failed == [
        "fold at -2.3444",
        "folds: closed form against the neuron run",
        "jump of the loss at b = -2.5",
        "loss just above b = -2.5",
        "dx(T)/db at the wall over its closed form",
        "forward against backward gradient",
        "T = 50: thrown, plain",
        "T = 50: in the valley, clipped",
        "T = 50: in the valley, clipped minus plain",
    ]


def test_seeds_are_refused():
    with pytest.raises(ValueError, match="nothing random"):
        doya_cliff.run(Options(seeds=2))


def test_figure(result, tmp_path):
    assert plots.save(result.draw(), tmp_path / "cliff.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_whole_experiment_holds():
    assert doya_cliff.run(Options()).holds
