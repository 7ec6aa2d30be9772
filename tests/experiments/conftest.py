import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mnist_folder():
    """The folder of MNIST's files; tests that need it are skipped where it is not there."""
    given = os.environ.get("GRADWELL_DATA")
    places = [Path(given)] if given else []
    places.append(Path(__file__).parents[3] / "shared" / "data")
    for place in places:
        for folder in (place, place / "mnist"):
            if any(folder.glob("train-images?idx3-ubyte*")):
                return folder
    pytest.skip("MNIST is not here; set GRADWELL_DATA to its folder")
