"""Every example runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.skipif(not EXAMPLES, reason="the examples are not beside these tests")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", path], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


PAGES = [page for page in (Path(__file__).parent.parent / "README.md",) if page.is_file()]
FENCED = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
BLOCKS = [block for page in PAGES for block in FENCED.findall(page.read_text("utf-8"))]


@pytest.mark.skipif(not BLOCKS, reason="the README is not beside these tests")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_readme_works_as_pasted(block, tmp_path):
    for module in ("torch", "jinja2"):
        if module in block or (module == "jinja2" and "gw.report.write" in block):
            pytest.importorskip(module)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
