"""bench/gpu.py at toy sizes: that it runs, that all agree, and that it writes what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
if not (BENCH / "gpu.py").is_file():
    pytest.skip("needs the source tree; an installed package has none", allow_module_level=True)


def measured(folder, *arguments):
    command = [sys.executable, BENCH / "gpu.py", "--smoke", "--out", folder, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads((folder / "gpu.json").read_text())
    return result.stdout, told, (folder / "gpu.md").read_text()


@pytest.mark.usefixtures("cuda")
def test_steps_agree_with_pytorch_and_are_timed(tmp_path):
    some = ("--contestants", "gradwell,gradwell stats,torch")
    printed, told, page = measured(tmp_path, "--rounds", "1", "--only", "small", *some)
    assert len(told["rows"]) == 9
    for row in told["rows"]:
        assert row["faults"] == ""
        assert len(row["times"]["gradwell"]) == told["machine"]["rounds"]
        assert f"| {row['job']} |" in page
    recorded = [row for row in told["rows"] if "record" in row["job"]]
    assert len(recorded) == 3
    assert all("gradwell stats" in row["times"] for row in recorded)
    assert "bars reached" in printed


@pytest.mark.usefixtures("cuda")
def test_kernels_are_timed_beside_a_copy(tmp_path):
    _, told, page = measured(tmp_path, "--only", "kernels")
    names = {row["job"].partition(",")[0] for row in told["rows"]}
    assert {"relu_forward", "batchnorm_backward", "measure", "adam"} <= names
    for row in told["rows"]:
        assert row["rates"]["copy"] > 0
        assert row["bars"][0]["bar"].startswith("share of the copy's")
    if told["machine"]["emulated"]:
        assert "the times mean nothing" in page


@pytest.mark.usefixtures("cuda")
def test_jobs_for_which_there_is_no_time_are_left_out(tmp_path):
    printed, told, _ = measured(tmp_path, "--only", "LSTM", "--minutes", "0")
    assert told["rows"] == []
    assert told["machine"]["left_out"] == ["small LSTM T200 B64 I128 H256"]
    assert "the time is up" in printed
