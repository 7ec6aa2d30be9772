import os
from pathlib import Path

import numpy as np
import pytest
from commands import done
from hypothesis import settings

import gradwell as gw

# Without a GPU, what runs on one is tested on the CPU: `make emulated` compiles the same sources for it.
EMULATED = Path(__file__).resolve().parents[1] / "build" / "emulated" / "libgradwell_cuda.so"
if EMULATED.is_file() and "GRADWELL_CUDA_LIBRARY" not in os.environ and not gw.cuda_info()["available"]:
    os.environ["GRADWELL_CUDA_LIBRARY"] = str(EMULATED)

settings.register_profile("gradwell", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("gradwell")


@pytest.fixture
def cuda():
    """The facts of the GPU; the test is skipped where there is none."""
    found = gw.cuda_info()
    if not found["available"]:
        pytest.skip(f"no GPU: {found['reason']}")
    return found


@pytest.fixture
def rng():
    return np.random.default_rng(20100513)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _misaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)[1:]
    view = raw.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def _strided(array):
    wide = np.full(tuple(2 * n for n in array.shape), 7, array.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def _reversed(array):
    backwards = tuple(slice(None, None, -1) for _ in array.shape)
    return array[backwards].copy()[backwards]


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": _strided,
    "reversed": _reversed,
    "read_only": _read_only,
    "misaligned": _misaligned,
}


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS.keys())
def relayout(request):
    """A function that lays an array's values out differently in memory."""
    return request.param


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
    """A run folder that nothing is wrong with."""
    folder = tmp_path_factory.mktemp("runs") / "healthy"
    done("train", flowers, "--target", "kind", "--hidden", "16x2", "--epochs", 40, "--run", folder)
    return folder


@pytest.fixture(scope="session")
def sick(tmp_path_factory):
    """A run folder of a logistic network whose gradient vanishes."""
    folder = tmp_path_factory.mktemp("runs") / "sick"
    how = ("--hidden", "30x6", "--activation", "sigmoid", "--init", "nielsen", "--stats", "all", "--epochs", 6)
    done("train", "digits", *how, "--run", folder)
    return folder
