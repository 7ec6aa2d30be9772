"""Kernels of a GPU's table that the record is made by: a program of C++ compares them with plain loops."""

import shutil
import subprocess
from pathlib import Path

import pytest

import gradwell as gw

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_parts_norms_changes_and_saturation(tmp_path):
    found = gw.cuda_info()
    if not found["available"]:
        pytest.skip(f"no GPU: {found['reason']}")
    program = tmp_path / "device_table"
    command = ["g++", "-std=c++17", "-O1", "-ffp-contract=off", f"-I{ROOT / 'cpp/include'}"]
    subprocess.run([*command, ROOT / "tests/kernels/device_table.cpp", "-ldl", "-o", program], check=True)
    done = subprocess.run([program, found["library"]], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
