"""``gradwell train --run``, ``diagnose``, ``compare`` and ``report``: what they print, and their exit status."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from commands import done, refused, run, told

import gradwell as gw
from gradwell import cli_settings
from gradwell.progress import Progress


def test_names_of_classes_are_kept_and_used(flowers, tmp_path):
    text = done("train", flowers, "--target", "kind", "--epochs", 30, "--run", tmp_path / "run")
    assert "held out, right by class: daisy " in text
    assert f"Run kept in {tmp_path / 'run'}" in text
    run = gw.load_run(tmp_path / "run")
    assert run.settings["data"]["classes"] == ["daisy", "rose", "tulip"]
    assert run.settings["data"]["features"] == ["length", "width", "colour"]
    assert run.settings["data"]["place"] == str(flowers)
    found = told("train", flowers, "--target", "kind", "--epochs", 30)
    assert found["classes"] == ["daisy", "rose", "tulip"]
    assert sum(part["rows"] for part in found["by_class"].values()) == found["rows"]["held_out"] == 18
    assert found["by_class"]["rose"]["right"] == found["by_class"]["rose"]["rows"]


def test_data_as_an_argument_or_an_option_is_the_same(flowers):
    settings = ("--target", "kind", "--epochs", 3)
    assert told("train", flowers, *settings)["loss"] == told("train", "--data", flowers, *settings)["loss"]
    assert "both given; needs one" in refused("train", flowers, "--data", flowers)


@pytest.mark.parametrize(
    ("hidden", "widths"),
    [("64x6", [64] * 6), ("30,30", [30, 30]), ("128, 64X3,7", [128, 64, 64, 64, 7]), ("", []), ("5x1", [5])],
)
def test_widths(hidden, widths):
    assert cli_settings.widths(hidden) == widths


@pytest.mark.parametrize("hidden", ["64x", "x6", "6x0", "0x6", "6x6x6", "-3", "1.5", "³x2", "9" * 99, "2x99999"])
def test_widths_that_are_none(hidden):
    with pytest.raises(ValueError, match=r"\[train\] hidden is .* such as 30,30 or 64x6"):
        cli_settings.widths(hidden)


def test_settings_of_a_run_come_back():
    settings = cli_settings.Settings("a.csv", hidden="64x6", clip_norm=1, stats="all")
    assert cli_settings.Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    for name, value in (("epochs", "many"), ("dropout", None), ("seed", True), ("loss", 3)):
        with pytest.raises(ValueError, match=f"{name} is "):
            cli_settings.Settings.from_dict({**settings.to_dict(), name: value})


@pytest.mark.parametrize(("stats", "recorded"), [("all", 51), ("none", 0), ("auto", None)])
def test_which_steps_are_recorded(tmp_path, stats, recorded):
    done("train", "digits", "--epochs", 1, "--stats", stats, "--run", tmp_path)
    steps = len(gw.load_run(tmp_path).history.gradients)
    assert steps == recorded if recorded is not None else 0 < steps < 51


def test_values_train_as_well_and_keep_their_scale(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal([500.0, 0.01], [100.0, 0.002], (200, 2))
    np.savez(tmp_path / "t.npz", x=x, y=3 * x[:, 0] + 7)
    done("train", tmp_path / "t.npz", "--epochs", 5, "--run", tmp_path / "run", "--clip-value", 0.5)
    run = gw.load_run(tmp_path / "run")
    assert run.settings["scale"]["x"]["mean"] == pytest.approx([500, 0.01], rel=0.1)
    assert run.settings["scale"]["y"]["spread"] == pytest.approx([300], rel=0.2)
    assert run.settings["loss"] == "mean_squared_error"
    assert run.history.facts.clip == {"name": "value", "limit": 0.5}


def test_a_training_that_fails_leaves_its_run(flowers, tmp_path):
    settings = ("--target", "kind", "--activation", "relu", "--learning-rate", 1e30, "--epochs", 20)
    result = run("train", flowers, *settings, "--run", tmp_path / "run")
    assert result.exit_code == 1
    assert "first non-finite value" in result.stderr
    text = done("diagnose", tmp_path / "run", code=1)
    assert "nonfinite" in text
    assert "ended early: [fit] step" in text


def test_a_training_that_is_interrupted_leaves_its_run(tmp_path, monkeypatch):
    def interrupted(self, steps, history, losses):
        if len(history.step_loss) > 100:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", interrupted)
    result = run("train", "digits", "--epochs", 9, "--run", tmp_path / "run")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "gradwell: interrupted\n")
    history = gw.load_run(tmp_path / "run").history
    assert history.stopped == "interrupted"
    assert 100 < len(history.step_loss) < 459


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stats", "some"], "stats is 'some'; needs one of auto, all, none"),
        (["--clip-norm", 1, "--clip-value", 1], "clip_norm and clip_value are both given"),
        (["--clip-value", 0], "limit is 0.0"),
    ],
)
def test_train_refuses(arguments, said):
    assert said in refused("train", "digits", "--epochs", 1, *arguments)


def test_a_run_is_written_where_it_does_no_harm(tmp_path, sick):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    quick = ("train", "digits", "--epochs", 1, "--run")
    assert "thesis.tex" in refused(*quick, other)
    assert [entry.name for entry in other.iterdir()] == ["thesis.tex"]
    assert "is a file; needs a folder" in refused(*quick, other / "thesis.tex")
    assert "is a file; needs a folder" in refused(*quick, other / "thesis.tex" / "run")
    done(*quick, other, "--overwrite")
    assert (other / "thesis.tex").read_text() == "x"
    done(*quick, other)  # a run is replaced
    assert len(gw.load_run(other).history.step_loss) == 51


def test_diagnose_says_what_is_wrong_and_exits_1(sick):
    text = done("diagnose", sick, code=1)
    assert text.startswith(f"{sick}: 306 steps, 306 of them recorded\n<Network 64 → dense+sigmoid 30")
    assert "warning: initialization, layer 0, at fault: derivative" in text
    found = told("diagnose", sick, code=1)
    assert found["healthy"] is False
    assert found["findings"][0]["rule"] == "initialization"
    assert found == {"run": str(sick), **gw.diagnose(gw.load_run(sick).history).to_dict()}


def test_diagnose_of_a_healthy_run_exits_0(healthy):
    text = done("diagnose", healthy)
    assert "Nothing found that is wrong." in text
    assert "recorded (train with --stats all for every one)" in text
    assert told("diagnose", healthy)["healthy"] is True


def test_compare(sick, healthy, tmp_path):
    same = tmp_path / "same"
    done("train", "digits", "--hidden", "30x6", "--activation", "sigmoid", "--init", "nielsen", "--stats", "all",
         "--epochs", 6, "--run", same)  # fmt: skip
    assert told("compare", sick, same)["identical"] is True
    done("compare", sick, same)
    other = tmp_path / "other"
    done("train", "digits", "--hidden", "30x6", "--activation", "sigmoid", "--init", "nielsen", "--stats", "all",
         "--epochs", 6, "--learning-rate", 0.05, "--run", other)  # fmt: skip
    found = told("compare", sick, other, code=1)
    assert found["identical"] is False
    assert "learning rate" in done("compare", sick, other, code=1)
    assert "match is" in refused("compare", sick, same, "--match", "size")


def test_report(sick, tmp_path):
    pytest.importorskip("jinja2")
    folder = tmp_path / "run"
    shutil.copytree(sick, folder)
    page = folder / "report.html"
    assert done("report", folder) == f"Report: {page}\n"
    assert "initialization" in page.read_text(encoding="utf-8")
    gw.load_run(folder)  # a report in its folder does a run no harm
    assert told("report", folder, "-o", tmp_path / "b.html")["report"] == str(tmp_path / "b.html")
    assert (tmp_path / "b.html").stat().st_size > 10_000
    assert "no such folder" in refused("report", folder, "-o", tmp_path / "no" / "b.html")


@pytest.mark.parametrize("command", [("diagnose",), ("treat",), ("report",), ("compare", "{sick}")])
def test_what_is_no_run_is_refused(command, sick, tmp_path):
    command = [text.format(sick=sick) for text in command]
    empty, damaged = tmp_path / "empty", tmp_path / "damaged"
    empty.mkdir()
    shutil.copytree(sick, damaged)
    (damaged / "record.safetensors").write_bytes(b"x" * (damaged / "record.safetensors").stat().st_size)
    for folder, said in (
        (tmp_path / "none", "no such folder"),
        (empty, "has no run.json"),
        (damaged, "record.safetensors: is damaged"),
    ):
        message = refused(*command, folder)
        assert said in message
        assert message.startswith("gradwell: [load_run] ")
        assert message.count("\n") == 1
        assert refused(*command, folder, "--json") == message


def test_a_cpu_level_that_is_none_is_a_line_and_exit_2():
    environment = {**os.environ, "GRADWELL_CPU": "foo"}
    script = os.path.join(os.path.dirname(sys.executable), "gradwell")
    for command in ([sys.executable, "-m", "gradwell", "info"], [script, "info"]):
        if not os.path.exists(command[0]):
            continue
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("gradwell: GRADWELL_CPU=foo, but this CPU runs: ")
        assert result.stderr.count("\n") == 1
    library = [sys.executable, "-c", "import gradwell"]
    result = subprocess.run(library, capture_output=True, text=True, check=False, env=environment)
    assert (result.returncode, result.stderr.splitlines()[-1][:12]) == (1, "ImportError:")
