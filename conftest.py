"""What the examples in the docstrings of the package may use without importing it."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _example_names(doctest_namespace):
    doctest_namespace["np"] = np
