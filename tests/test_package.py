"""What importing the package does, and does not do."""

import json
import os
import re
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from compare import assert_close

import gradwell


def run(code, **environment):
    """Run Python code in a fresh process; its environment has no GRADWELL_CPU but what is given."""
    inherited = {name: value for name, value in os.environ.items() if name != "GRADWELL_CPU"}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=False)


def denormals_live():
    """Whether this thread computes with denormal numbers, in Python's floats and in NumPy's."""
    tiny = np.full(64, np.finfo(np.float32).tiny, np.float32)
    return sys.float_info.min / 2 != 0 and bool(np.all(tiny / np.float32(2) != 0))


def denormals_live_in_a_new_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(denormals_live()))
    thread.start()
    thread.join()
    return seen == [True]


@pytest.fixture
def threads():
    before = gradwell.num_threads()
    yield gradwell.set_num_threads
    gradwell.set_num_threads(before)


def test_import_leaves_the_floating_point_unit_alone():
    result = run("import gradwell, sys; print(sys.float_info.min / 2 != 0)")
    assert result.stdout == "True\n", result.stderr


@pytest.mark.parametrize("count", [1, 2, 4])
def test_kernels_leave_the_floating_point_unit_alone(threads, count):
    threads(count)
    x = np.ones((512, 512), np.float32)
    gradwell.kernels.dense_forward(x, x, None, "tanh")
    assert denormals_live()
    assert denormals_live_in_a_new_thread()
    with pytest.raises(ValueError, match="activation"):
        gradwell.kernels.activation_forward(x, "no such function")
    assert denormals_live()


def test_kernels_leave_the_calling_thread_alone():
    seen = []

    def work():
        gradwell.kernels.exp(np.zeros(5000))
        seen.append(denormals_live())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]


def test_build_info():
    info = gradwell.build_info()
    assert info["version"] == version("gradwell")
    assert re.match(r"(gcc|clang) \d", info["compiler"])
    assert info["cpu_levels"]
    assert info["cpu_level"] in info["cpu_levels"]
    assert info["threads"] == gradwell.num_threads() >= 1
    if not os.environ.get("GRADWELL_CPU"):
        assert info["cpu_level"] == info["cpu_levels"][-1], "the best level runs unless another is asked for"


LEVEL_PROBE = """
import json, numpy as np, gradwell
x = np.linspace(-4, 4, 35).reshape(5, 7)
y = gradwell.kernels.dense_forward(x, np.cos(np.arange(21.0)).reshape(7, 3), None, "tanh")
print(json.dumps([gradwell.build_info()["cpu_level"], y.ravel().tolist()]))
"""


@pytest.mark.parametrize("level", gradwell.build_info()["cpu_levels"])
def test_every_level_of_this_cpu_can_be_chosen(level):
    result = run(LEVEL_PROBE, GRADWELL_CPU=level)
    assert result.returncode == 0, result.stderr
    chosen, values = json.loads(result.stdout)
    assert chosen == level
    x = np.linspace(-4, 4, 35).reshape(5, 7)
    weight = np.cos(np.arange(21.0)).reshape(7, 3)
    assert_close(
        np.asarray(values),
        np.tanh(x @ weight).ravel(),
        relative=16 * np.finfo(float).eps,
        cancellation_scale=(np.abs(x) @ np.abs(weight)).ravel(),
        reason="a sum of 7 terms and tanh, each within 2 ulp",
    )


@pytest.mark.parametrize("wanted", ["v1", "avx512", "V3 "])
def test_an_unknown_level_is_refused_by_name(wanted):
    result = run("import gradwell", GRADWELL_CPU=wanted)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: GRADWELL_CPU={wanted}")
    assert all(level in last for level in gradwell.build_info()["cpu_levels"])


def test_an_empty_level_is_no_wish():
    assert run("import gradwell", GRADWELL_CPU="").returncode == 0


def test_import_is_light():
    heavy = {"torch", "jax", "matplotlib", "tqdm", "typer", "rich", "pooch", "safetensors"}
    result = run("import gradwell, sys; print(*sys.modules)")
    assert result.returncode == 0, result.stderr
    assert heavy & set(result.stdout.split()) == set()


def test_threads_are_set_and_wrong_counts_refused(threads):
    threads(3)
    assert gradwell.num_threads() == gradwell.build_info()["threads"] == 3
    for wrong in (0, -1, 1025):
        with pytest.raises(ValueError, match=rf"\[set_num_threads\] count is {wrong}; needs 1 to 1024"):
            threads(wrong)
    for wrong in (1.0, True, "2", None):
        with pytest.raises(TypeError, match=r"\[set_num_threads\] count is of type"):
            threads(wrong)
    assert gradwell.num_threads() == 3


def test_openmp_environment_is_respected():
    code = "import gradwell; print(gradwell.num_threads())"
    assert run(code, OMP_NUM_THREADS="3").stdout == "3\n"


def test_the_package_is_typed():
    folder = Path(gradwell.__file__).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "_core.pyi").is_file()
