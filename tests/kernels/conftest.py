"""Every test of a kernel runs on the CPU, and again on a GPU (or its emulation) where there is one."""

import pytest

import gradwell as gw

# Modules whose kernels a GPU has too, called on arrays of the host.
ON_DEVICES = {
    "test_activation",
    "test_batchnorm",
    "test_boltzmann",
    "test_clipping",
    "test_dense",
    "test_dropout",
    "test_layernorm",
    "test_loss",
    "test_math",
    "test_optimizers",
    "test_statistics",
}


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__.rpartition(".")[2] in ON_DEVICES:
        metafunc.fixturenames.append("device")
        metafunc.parametrize("device", ["cpu", "cuda"], indirect=True)


@pytest.fixture
def device(request):
    """ "cpu" or "cuda": where the kernels of the test run."""
    if request.param == "cuda":
        found = gw.cuda_info()
        if not found["available"]:
            pytest.skip(f"no GPU: {found['reason']}")
        if request.node.get_closest_marker("cpu_only"):
            pytest.skip("a property of the CPU's kernels alone")
    with gw.kernels_on(request.param):
        yield request.param
