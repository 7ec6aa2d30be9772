"""The doctor on labelled networks: the bars hold on seeds that no threshold was chosen on."""

import pytest
from animals import ANIMALS
from visit import lines, look, totals, visit, wilson

import gradwell as gw


@pytest.fixture(scope="module")
def table():
    return visit([20], lambda text: None)


def test_there_are_enough_of_both():
    sick = [a for a in ANIMALS if a.illness]
    assert len(ANIMALS) >= 60
    assert min(len(sick), len(ANIMALS) - len(sick)) >= 30
    assert len({a.name for a in ANIMALS}) == len(ANIMALS)


def test_the_sick_are_found_and_the_healthy_left_alone(table):
    found = totals(table)
    assert found["found"][0] >= 0.95
    assert found["layer"][0] >= 0.90
    assert found["factor"][0] >= 0.85
    assert found["alarm"][0] <= 0.02


def test_others_find_fewer(table):
    found = totals(table)
    for tool in ("SageMaker", "AutoTrainer", "TheDeepChecker", "torchmortem"):
        assert found[tool][0] < found["found"][0]


def test_the_table_has_a_line_for_each_illness(table):
    assert len(list(lines(table))) == 2 + len(table) == 20


def test_the_zoo_can_fail(monkeypatch):
    animal = next(a for a in ANIMALS if a.illness == "vanishing")
    monkeypatch.setattr(gw, "diagnose", lambda trained, **_: gw.doctor.Diagnosis((), {}, ()))
    assert look(animal, 0)[0] == {"found": False, "layer": False, "factor": False}


def test_wilson_by_hand():
    p, low, high = wilson(8, 10)
    assert (p, round(low, 4), round(high, 4)) == (0.8, 0.4902, 0.9433)
