import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("gradwell", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("gradwell")


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
