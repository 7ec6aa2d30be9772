"""The command line: what it prints, and its exit status 0, 1 or 2."""

import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from commands import refused, run

import gradwell as gw
from gradwell import experiments
from gradwell.experiments import Check, Result, demo


@pytest.fixture
def table(tmp_path):
    """A CSV file whose columns have units of their own, and a target that is a sum of them."""
    rng = np.random.default_rng(0)
    x = rng.normal([500.0, 0.01, -3.0], [100.0, 0.002, 1.0], (300, 3))
    y = 1000 + 2 * x[:, 0] + 1e5 * x[:, 1]
    file = tmp_path / "table.csv"
    rows = [f"{a:.6g},{b:.6g},{c:.6g},{t:.8g}" for (a, b, c), t in zip(x, y, strict=True)]
    file.write_text("\n".join(["length,width,noise,price", *rows]))
    return file


def test_subprocess_version_of_everything():
    command = [sys.executable, "-c", "from gradwell.cli import main; main()", "info", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == gw.__version__
    wrong = subprocess.run([*command[:3], "reproduce"], capture_output=True, text=True, check=False, env=os.environ)
    assert wrong.returncode == 2
    assert "nielsen-gradients" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_start_up_imports_nothing_heavy():
    """--help loads neither matplotlib nor any experiment."""
    code = (
        "import sys, gradwell.cli; print([m for m in sys.modules if 'matplotlib' in m or 'gradwell.experiments' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_info_as_text():
    result = run("info")
    assert result.exit_code == 0
    assert gw.__version__ in result.stdout
    assert "threads" in result.stdout


def test_help_names_every_command():
    result = run("--help")
    assert result.exit_code == 0
    assert all(
        name in result.stdout
        for name in ("demo", "train", "diagnose", "treat", "compare", "report", "reproduce", "info")
    )


@pytest.mark.parametrize("arguments", [["reproduce"], ["reproduce", "nonsense"]])
def test_reproduce_lists_the_names(arguments):
    message = refused(*arguments)
    assert all(name in message for name in experiments.EXPERIMENTS)


def test_reproduce_json(tmp_path):
    figure = tmp_path / "all.svg"
    result = run("reproduce", "activation-derivatives", "--json", "--figure", figure)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["experiment"] == "activation-derivatives"
    assert all(set(check) == {"name", "value", "low", "high", "holds"} for check in found["checks"])
    assert all(check["holds"] is True for check in found["checks"])
    assert figure.stat().st_size > 10_000


def test_reproduce_as_text():
    result = run("reproduce", "neuron-chain", "--seeds", 2)
    assert result.exit_code == 0
    assert "4 of 4 checks hold." in result.stdout


@pytest.mark.parametrize("as_json", [True, False])
def test_a_check_that_does_not_hold_exits_1(monkeypatch, as_json):
    failing = Result("neuron-chain", {}, [Check("wrong band", 3.0, 0.0, 1.0)], "table", lambda: None)
    monkeypatch.setattr(experiments, "run", lambda name, options: failing)
    result = run("reproduce", "neuron-chain", *(["--json"] if as_json else []))
    assert result.exit_code == 1
    if as_json:
        assert json.loads(result.stdout)["checks"][0]["holds"] is False
    else:
        assert "DOES NOT HOLD  wrong band: 3" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--figure", "a.gif"], "needed a name that ends with .png, .svg or .pdf"),
        (["--figure", "no/such/folder/a.png"], "does not exist"),
        (["--seeds", "0"], "seeds"),
        (["--seeds", "many"], "--seeds"),
    ],
)
def test_reproduce_refuses(arguments, said):
    assert said in refused("reproduce", "neuron-chain", *arguments)


def test_missing_mnist_says_how_to_get_it(tmp_path):
    message = refused("reproduce", "nielsen-gradients", "--data", tmp_path)
    assert "GRADWELL_DATA" in message
    assert message.count("\n") == 1


def test_figure_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert 'pip install "gradwell[plot]"' in refused("reproduce", "neuron-chain", "--figure", tmp_path / "a.png")


def test_demo(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "run", partial(demo.run, epochs=2))
    result = run("demo", "--json", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["networks"][0]["network"] == "as it was: logistic units"
    assert found["networks"][1]["network"] == f"treated: {found['treatment']['winner']}"
    assert len(list(tmp_path.iterdir())) == len(found["figures"]) + (found["report"] is not None)
    assert json.loads(run("demo", "--json", "--no-figures").stdout)["figures"] == []


def test_demo_output_is_a_file(table):
    assert "is a file; needs a folder" in refused("demo", "--output", table)


def test_train_digits_and_load(tmp_path):
    model = tmp_path / "model.safetensors"
    result = run("train", "--data", "digits", "--hidden", "20", "--epochs", 5, "--save", model)
    assert result.exit_code == 0, result.output
    assert "validation accuracy" in result.stdout
    assert "dense+tanh" in result.stdout
    x, y = gw.datasets.digits()
    assert np.mean(gw.load(model).predict(x).argmax(axis=1) == y) > 0.8


def test_train_json_is_the_same_each_time():
    arguments = ("train", "--data", "digits", "--epochs", 2, "--seed", 3, "--json")
    first, again = (json.loads(run(*arguments).stdout) for _ in range(2))
    assert first["loss"] == again["loss"]
    assert first["metrics"] == again["metrics"]
    assert first["rows"] == {"train": 1617, "held_out": 180}
    assert first["gradients"]["layers"] == ["0", "2", "4"]
    assert first["saved"] is None


def test_train_values_and_save_in_the_tables_own_units(table, tmp_path):
    model = tmp_path / "price.safetensors"
    arguments = ("--data", table, "--target", "price", "--epochs", 60, "--json", "--save", model)
    result = run("train", *arguments)
    assert result.exit_code == 0, result.output
    final = json.loads(result.stdout)["final"]
    data = gw.datasets.load_csv(table, target="price")
    error = gw.load(model).predict(data.x)[:, 0] - data.y
    # The loss is the error's share of the target's variance; folding the scales in must not change it.
    assert np.mean(error**2) / np.var(data.y) < 0.05
    assert final["validation_loss"] < 0.05


def test_train_npz_of_classes(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) * [1000, 1]
    np.savez(tmp_path / "moons.npz", x=x, y=(x[:, 1] > 0).astype(int))
    result = run("train", "--data", tmp_path / "moons.npz", "--hidden", "", "--epochs", 40, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["final"]["validation_accuracy"] >= 0.9


def test_training_that_diverges_exits_1_and_names_the_layer(table):
    result = run("train", "--data", table, "--activation", "relu", "--learning-rate", 1e6, "--epochs", 50)
    assert result.exit_code == 1
    assert result.stderr.startswith("gradwell: ")
    assert "step" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "absent.csv"], "absent.csv: No such file"),
        (["--data", "table.xlsx"], "needs a .csv or .npz file, 'digits' or 'mnist'"),
        (["--data", "digits", "--hidden", "30,x"], "hidden is '30,x'"),
        (["--data", "digits", "--hidden", "30,0"], "hidden is '30,0'"),
        (["--data", "digits", "--activation", "sigmoidal"], "sigmoidal"),
        (["--data", "digits", "--init", "zzz"], 'init is "zzz"'),
        (["--data", "digits", "--loss", "hinge"], 'loss is "hinge"'),
        (["--data", "digits", "--epochs", "0"], "epochs"),
        (["--data", "digits", "--learning-rate", "-1"], "learning-rate"),
        (["--data", "digits", "--learning-rate", "inf"], "learning_rate is inf"),
        (["--data", "digits", "--save", "model.pt"], "ends with .safetensors"),
        (["--data", "digits", "--save", "no/such/model.safetensors"], "does not exist"),
        ([], "--data"),
    ],
)
def test_train_refuses(arguments, said):
    assert said in refused("train", *arguments)


def test_train_names_a_column_that_is_not_there(table):
    assert "weight" in refused("train", "--data", table, "--target", "weight")


def test_train_refuses_values_that_are_not_finite(tmp_path):
    file = tmp_path / "broken.csv"
    file.write_text("a,b\n1,0.5\nnan,1.5\n")
    assert "nan at row 1, column 0" in refused("train", "--data", file, "--target", "b")


def test_train_refuses_class_numbers_without_end(tmp_path):
    np.savez(tmp_path / "wide.npz", x=np.ones((3, 2)), y=np.array([0, 5, 10**9]))
    assert "needs class numbers" in refused("train", "--data", tmp_path / "wide.npz")


def test_version_and_module():
    assert run("--version").stdout.strip() == f"gradwell {gw.__version__}"
    command = [sys.executable, "-m", "gradwell", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"gradwell {gw.__version__}", done.stderr


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"])
def test_train_with_remedies(optimizer):
    chosen = ["--optimizer", optimizer, "--normalization", "batch", "--dropout", 0.1, "--clip-norm", 1.0]
    result = run("train", "--data", "digits", "--epochs", 5, "--json", *chosen)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert "batchnorm+tanh" in found["network"]
    assert found["clipping"]["steps"] == 5 * 51
    assert found["final"]["validation_accuracy"] > 0.6


def test_train_shows_the_ledger():
    result = run("train", "--data", "digits", "--epochs", 1, "--clip-norm", 0.1)
    assert "clipped" in result.stdout
    assert "would clip 10 % of the steps" in result.stdout


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["--optimizer", "best"], "optimizer is 'best'; needs one of sgd, momentum"),
        (["--normalization", "group"], 'normalization is "group"'),
        (["--dropout", "1.0"], "rate is 1.0"),
        (["--clip-norm", "0"], "limit is 0.0"),
    ],
)
def test_train_with_remedies_that_are_none(chosen, message):
    assert message in refused("train", "--data", "digits", *chosen)
