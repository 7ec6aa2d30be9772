"""Tables and runs that the commands are tried on."""

import numpy as np
import pytest
from commands import done

SICK = ("--hidden", "30x6", "--activation", "sigmoid", "--init", "nielsen", "--stats", "all")


@pytest.fixture(scope="session")
def flowers(tmp_path_factory):
    """A CSV file of three classes with names, that a small network tells apart."""
    rng = np.random.default_rng(0)
    rows = ["length,width,colour,kind"]
    for name, middle in (("daisy", (1, 1, 5)), ("rose", (4, 1, 0)), ("tulip", (2, 6, 1))):
        rows += [f"{a:.3f},{b:.3f},{c:.3f},{name}" for a, b, c in rng.normal(middle, 0.6, (60, 3))]
    file = tmp_path_factory.mktemp("data") / "flowers.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.fixture(scope="session")
def healthy(flowers, tmp_path_factory):
    """A run that nothing is wrong with."""
    folder = tmp_path_factory.mktemp("runs") / "healthy"
    done("train", flowers, "--target", "kind", "--hidden", "16x2", "--epochs", 40, "--run", folder)
    return folder


@pytest.fixture(scope="session")
def sick(tmp_path_factory):
    """A run of a logistic network whose gradient vanishes."""
    folder = tmp_path_factory.mktemp("runs") / "sick"
    done("train", "digits", *SICK, "--epochs", 6, "--run", folder)
    return folder
