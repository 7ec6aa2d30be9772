"""tools/gpu_check.py, as far as it goes without a GPU."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
EMULATED = ROOT / "build" / "emulated" / "libgradwell_cuda.so"
if not (TOOLS / "gpu_check.py").is_file():
    pytest.skip("needs the source tree; an installed package has none", allow_module_level=True)
sys.path.insert(0, str(TOOLS))

import gpu_build  # noqa: E402
import gpu_check  # noqa: E402
import gpu_results  # noqa: E402
from gpu_run import Ended, run  # noqa: E402

RACES = "========= RACECHECK SUMMARY"
SUITE = """
import pytest

def test_right(): pass
def test_wrong(): assert 1 == 2
@pytest.mark.skip(reason="no reason")
def test_skipped(): pass
@pytest.mark.parametrize("text", ["a b", "c::d"])
def test_many(text): pass
"""


def checked(*arguments):
    command = [sys.executable, TOOLS / "gpu_check.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--parts", "kernels,nope"], "no part nope; needs some of build, kernels"), (["--minutes", "0"], "more than 0")],
)
def test_wrong_use_is_refused(arguments, said):
    result = checked(*arguments)
    assert result.returncode == 2
    assert said in result.stderr


def test_a_command_is_stopped_at_its_limit_with_all_that_it_started(tmp_path):
    log, late = tmp_path / "log", tmp_path / "late"
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(late)!r}).touch()"
    code = f"import subprocess, sys, time; print('begun'); subprocess.Popen([sys.executable, '-c', {child!r}])"
    begun = time.monotonic()
    ended = run([sys.executable, "-u", "-c", f"{code}; time.sleep(60)"], tmp_path, {}, log, 1.0)
    assert ended.stopped
    assert time.monotonic() - begun < 10
    assert log.read_text().startswith("begun")
    time.sleep(3)
    assert not late.exists()


def test_a_command_that_is_not_there_is_told(tmp_path):
    ended = run([str(tmp_path / "nothing")], tmp_path, {}, tmp_path / "log", 5.0)
    assert gpu_results.judge_plain(tmp_path / "log", ended)["outcome"] == "failed"


@pytest.fixture
def suite(tmp_path):
    """The log of pytest on a suite of one failure, and how pytest ended."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-v", "-rfE", "--tb=short", "-p", "no:cacheprovider", "test_suite.py"]
    log = tmp_path / "suite.txt"
    return log, run(command, tmp_path, {"PATH": ""}, log, 60.0)


def test_tests_are_counted_and_failures_named(suite):
    judged = gpu_results.judge_pytest(*suite)
    assert judged["outcome"] == "failed"
    assert judged["counts"] == {"passed": 3, "failed": 1, "skipped": 1}
    assert judged["failed"] == ["test_suite.py::test_wrong"]
    assert "assert 1 == 2" in judged["tail"]


def test_tests_that_all_skip_are_a_failure(tmp_path):
    log = tmp_path / "log"
    log.write_text("tests/a.py::test_x SKIPPED (no GPU) [100%]\n")
    assert gpu_results.judge_pytest(log, Ended(0, 1.0, False))["note"] == "no test ran"


@pytest.mark.parametrize(
    ("report", "ended", "outcome", "found"),
    [
        ("========= ERROR SUMMARY: 0 errors\n", Ended(0, 9.0, False), "passed", 0),
        ("========= ERROR SUMMARY: 2 errors\n", Ended(9, 9.0, False), "failed", 2),
        (f"{RACES}: 0 hazards displayed (0 errors, 0 warnings)\n", Ended(0, 9.0, False), "passed", 0),
        (f"{RACES}: 3 hazards displayed (3 errors, 0 warnings)\n", Ended(9, 9.0, False), "failed", 3),
        ("", Ended(-9, 120.0, True), "passed", 0),
        ("========= Invalid __global__ write of size 4 bytes\n", Ended(-9, 120.0, True), "failed", 1),
    ],
)
def test_a_sanitizer_is_judged_by_what_it_found(tmp_path, report, ended, outcome, found):
    log = tmp_path / "memcheck.txt"
    log.write_text("tests/a.py::test_x[cuda] PASSED [ 50%]\n")
    (tmp_path / "memcheck-errors.txt").write_text(report)
    judged = gpu_results.judge_sanitizer(log, ended)
    assert judged["outcome"] == outcome
    assert judged["counts"]["errors found"] == found


def test_cublas_is_that_of_the_compiler(tmp_path):
    old, headless, right = (tmp_path / name for name in ("old", "headless", "right"))
    for folder, version in ((old, 12), (headless, 13), (right, 13)):
        (folder / "lib").mkdir(parents=True)
        (folder / "include").mkdir()
        (folder / "lib" / f"libcublasLt.so.{version}").touch()
        if folder != headless:
            (folder / "include" / "cublasLt.h").touch()
    found = gpu_build.find_cublas(13, iter([tmp_path / "nothing", old, headless, right]))
    assert found == (right / "include", right / "lib" / "libcublasLt.so.13")
    with pytest.raises(gpu_build.CannotBuildError, match="cuBLAS 14 was found neither"):
        gpu_build.find_cublas(14, iter([old, right]))


def test_what_has_no_time_is_left_out_and_said_to_be(tmp_path, capsys):
    check = gpu_check.Check(tmp_path, gpu_check.options(["--minutes", "1"]))
    assert not check.part("kernels", [sys.executable, "-c", "1 / 0"], gpu_results.judge_plain, spare=58.0)
    assert check.part("bench", [sys.executable, "-c", ""], gpu_results.judge_plain)
    assert "no time was left" in capsys.readouterr().out
    told = json.loads((tmp_path / "results.json").read_text())
    assert [part["outcome"] for part in told["parts"]] == ["left out", "passed"]


def test_the_page_has_parts_failures_and_measurements(suite):
    judged = {"name": "kernels", "seconds": 3.0, **gpu_results.judge_pytest(*suite)}
    page = gpu_results.markdown({"name": "a GPU"}, [judged], "| job |")
    assert "# Check on a GPU: a GPU" in page
    assert "| kernels | **failed** | 3 | 1 | 1 | 3 | exit status 1 |" in page
    assert "- `test_suite.py::test_wrong`" in page
    assert page.endswith("## Measured\n\n| job |\n")


def test_without_a_build_the_rest_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "missing_modules", lambda emulated: ["one"])
    assert gpu_check.main(["--out", str(tmp_path), "--parts", "kernels,bench"]) == 1
    parts = json.loads((tmp_path / "results.json").read_text())["parts"]
    assert [(part["name"], part["outcome"]) for part in parts] == [
        ("build", "failed"),
        ("kernels", "left out"),
        ("bench", "left out"),
    ]
    assert parts[0]["note"] == "Python has no one"


@pytest.mark.skipif(not EMULATED.is_file(), reason="make emulated has not been run")
def test_the_emulated_library_goes_all_the_way(tmp_path):
    some = ("--parts", "kernels,memcheck", "--select", "test_prelu and float32")
    result = checked("--emulated", "--out", tmp_path, *some)
    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads((tmp_path / "results.json").read_text())
    assert "emulated" in told["gpu"]["name"]
    outcomes = {part["name"]: part["outcome"] for part in told["parts"]}
    assert outcomes == {"build": "passed", "gpu": "passed", "memcheck": "left out", "kernels": "passed"}
