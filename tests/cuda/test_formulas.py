"""What is done element by element has the CPU's bits: one source, every fused multiply-add spelled out."""

import numpy as np
import pytest

import gradwell as gw


@pytest.mark.usefixtures("cuda")
@pytest.mark.skipif(gw.build_info()["cpu_level"] == "v2", reason="this CPU level has no fused multiply-add")
@pytest.mark.parametrize("activation", gw.kernels.ACTIVATIONS)
def test_activations_have_the_bits_of_the_cpu(activation, dtype, rng):
    x = (rng.normal(size=5000) * rng.choice([1e-3, 1.0, 5.0, 30.0], 5000)).astype(dtype)
    results = []
    for device in ("cpu", "cuda"):
        with gw.kernels_on(device):
            y = gw.kernels.activation_forward(x, activation)
            results.append((y, gw.kernels.activation_derivative(x, activation)))
    for here, there in zip(*results, strict=True):
        np.testing.assert_array_equal(here, there)
