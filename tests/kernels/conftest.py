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
        metafunc.parametrize("device", ["cpu", "cuda"], indirect=True)


# Autouse: pytest drops a fixture again that only pytest_generate_tests asks for.
@pytest.fixture(autouse=True)
def device(request):
    """ "cpu" or "cuda": where the kernels of the test run."""
    name = getattr(request, "param", "cpu")
    if name == "cuda":
        found = gw.cuda_info()
        if not found["available"]:
            pytest.skip(f"no GPU: {found['reason']}")
        if request.node.get_closest_marker("cpu_only"):
            pytest.skip("a property of the CPU's kernels alone")
    with gw.kernels_on(name):
        assert gw._core.kernels_on_device() == (name == "cuda")
        yield name
