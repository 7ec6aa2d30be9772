"""What the examples in the docstrings of the package may use without importing it, and what is not collected."""

from importlib.util import find_spec

import numpy as np
import pytest

collect_ignore = [] if find_spec("torch") else ["tests/zoo/torch_models.py"]


@pytest.fixture(autouse=True)
def _example_names(doctest_namespace):
    doctest_namespace["np"] = np
