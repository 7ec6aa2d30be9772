"""``gradwell treat``: trials from a run's first weights, the winner as code, and training on with it."""

import json
import shutil

import numpy as np
import pytest
from commands import done, refused, told

import gradwell as gw
from gradwell import cli_doctor, runs

QUICK = ("--steps", 60, "--seeds", 1)


def changed(folder, target, **settings):
    """Copy a run with other settings."""
    run = gw.load_run(folder)
    runs.save_run(target, run.history, network=run.network, settings={**run.settings, **settings})
    return target


def test_a_run_begins_again_with_the_weights_it_began_with(sick):
    run = gw.load_run(sick)
    start = cli_doctor.begin(run)
    for name, moments in run.history.facts.moments.items():
        assert np.isclose(start.setup.network.parameters[name].mean(), moments.mean, atol=1e-6)
    history = gw.fit(
        start.setup.network,
        (start.setup.x, start.setup.y),
        loss="softmax_cross_entropy",
        optimizer=start.setup.optimizer,
        epochs=6,
        progress=False,
    )
    assert np.array_equal(history.step_loss, run.history.step_loss)


def test_treat_tells_what_helped(sick):
    text = done("treat", sick, "--only", "tanh", "--only", "lower-rate", *QUICK)
    assert "untreated" in text
    assert 'What helped: gw.mlp(sizes, activation="tanh", init="glorot")' in text
    found = told("treat", sick, "--only", "tanh,lower rate", *QUICK)
    assert found["winner"] == gw.doctor.REMEDIES["tanh"].name
    assert found["code"] == gw.doctor.REMEDIES["tanh"].code
    assert {trial["remedy"] for trial in found["trials"]} == {
        gw.doctor.REMEDIES[n].name for n in ("tanh", "lower rate")
    }
    assert found["applied"] is None


def test_nothing_helped_exits_1(sick):
    assert "What helped: nothing that was tried" in done("treat", sick, "--only", "lower-rate", *QUICK, code=1)
    assert told("treat", sick, "--only", "lower-rate", *QUICK, code=1)["winner"] is None


def test_nothing_to_treat_exits_0(healthy):
    assert "there is nothing to treat" in done("treat", healthy, *QUICK)
    assert told("treat", healthy, *QUICK)["treated"] is False


def test_apply_trains_on_and_the_new_run_can_be_treated_too(sick, tmp_path):
    cured = tmp_path / "cured"
    text = done("treat", sick, "--only", "tanh", *QUICK, "--apply", cured)
    assert "Trained with it:" in text
    run = gw.load_run(cured)
    assert run.settings["remedies"] == ["tanh"]
    assert run.settings["options"] == gw.load_run(sick).settings["options"]
    assert run.history.metrics["validation_accuracy"][-1] > 0.9
    assert "there is nothing to treat" in done("treat", cured, *QUICK)
    start = cli_doctor.begin(run)
    assert start.setup.network.layers == run.network.layers
    assert "the run itself" in refused("treat", sick, "--apply", sick)


def test_standardised_samples_take_the_rows_held_out_along(tmp_path):
    done("train", "digits", "--epochs", 2, "--run", tmp_path / "raw", "--validation", 0.3)
    start = cli_doctor.begin(gw.load_run(tmp_path / "raw"))
    outcome = cli_doctor.apply(start, "standardise", cli_doctor.Destination(run=tmp_path / "new"), progress=False)
    x, held = outcome.data.inside[0], outcome.data.held[0]
    spread = x.std(axis=0)
    assert np.allclose(spread[spread > 0], 1, atol=1e-3)
    assert abs(held.mean()) < 0.1
    assert gw.load_run(tmp_path / "new").settings["remedies"] == ["standardise"]
    again = cli_doctor.begin(gw.load_run(tmp_path / "new"))
    assert np.array_equal(again.setup.x, x)


def test_data_that_moved_or_changed(flowers, healthy, tmp_path):
    moved = tmp_path / "moved.csv"
    shutil.copy(flowers, moved)
    done("treat", healthy, "--data", moved, *QUICK)
    lines = moved.read_text().splitlines()
    moved.write_text("\n".join([*lines[:-1], lines[-1].replace("tulip", "rose")]))
    message = refused("treat", healthy, "--data", moved)
    assert "does not hold the rows that" in message
    about = json.loads((healthy / "settings.json").read_text())["data"]
    gone = changed(healthy, tmp_path / "gone", data={**about, "place": str(tmp_path / "gone.csv")})
    assert "gone.csv: No such file" in refused("treat", gone)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "prayer"], "only has 'prayer'; needs some of lsuv, matching-init"),
        (["--rule", "clipping", *QUICK], 'rule is "clipping" but it found nothing'),
        (["--seeds", 0], "seeds"),
        (["--report", "no/such/page.html"], "does not exist"),
    ],
)
def test_wrong_use(sick, arguments, said):
    assert said in refused("treat", sick, *arguments)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"made_by": "hand"}, "made_by is 'hand'"),
        ({"options": {}}, "data is missing"),
        ({"data": None}, "data is None"),
        ({"remedies": ["prayer"]}, "remedies has 'prayer'"),
    ],
)
def test_runs_of_others(sick, tmp_path, settings, said):
    message = refused("treat", changed(sick, tmp_path / "run", **settings))
    assert "is no run of gradwell train" in message
    assert said in message


def test_a_report_with_the_trials(sick, tmp_path):
    pytest.importorskip("jinja2")
    page = tmp_path / "page.html"
    text = done("treat", sick, "--only", "tanh", *QUICK, "--report", page)
    assert f"Report: {page}" in text
    assert gw.doctor.REMEDIES["tanh"].name in page.read_text(encoding="utf-8")
