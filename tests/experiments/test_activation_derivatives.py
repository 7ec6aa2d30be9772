import pytest

from gradwell.experiments import Options, activation_derivatives
from gradwell.kernels import ACTIVATIONS
from gradwell.report import plots


def test_every_activation_has_its_bound():
    assert set(activation_derivatives.BOUNDS) == set(ACTIVATIONS)
    result = activation_derivatives.run(Options())
    assert result.holds
    sigmoid = result.as_json()["activations"]["sigmoid"]
    assert sigmoid["largest"] == pytest.approx(0.25, rel=1e-15)
    assert abs(sigmoid["at"]) < 1e-6  # flat to rounding around 0


def test_a_wrong_derivative_is_found():
    measured = {name: activation_derivatives.measure(name) for name in ("sigmoid", "tanh")}
    measured["sigmoid"]["largest"] = 0.2499
    measured["tanh"]["difference"] = 1e-3
    result = activation_derivatives.summarise(measured)
    assert [check.name for check in result.checks if not check.holds] == [
        "sigmoid: largest |f′|",
        "tanh: f′ against a difference quotient",
    ]


def test_seeds_are_refused():
    with pytest.raises(ValueError, match="nothing random"):
        activation_derivatives.run(Options(seeds=2))


def test_figure(tmp_path):
    assert plots.save(activation_derivatives.draw(), tmp_path / "all.png").stat().st_size > 10_000
