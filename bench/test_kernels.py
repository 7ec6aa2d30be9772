"""Every kernel beside plain NumPy doing the same; a group is one operation, and both must agree."""

import numpy as np
import pytest

from gradwell import kernels, reference

N = 65536


def both(benchmark, name, ours, plain, who, tolerance=1e-5):
    benchmark.group = name
    np.testing.assert_allclose(ours(), plain(), rtol=tolerance, atol=tolerance)
    benchmark(ours if who == "gradwell" else plain)


each = pytest.mark.parametrize("who", ["gradwell", "numpy"])


@each
@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_activation(benchmark, rng, activation, who):
    x = rng.normal(size=N if activation != "gelu" else N // 16).astype(np.float32)
    both(
        benchmark,
        f"{activation}, {x.size} floats",
        lambda: kernels.activation_forward(x, activation),
        lambda: reference.activation_forward(x, activation),
        who,
    )


@each
@pytest.mark.parametrize("shape", [(10, 784, 30), (64, 128, 128), (512, 512, 512)], ids=str)
def test_dense_forward(benchmark, rng, shape, who):
    batch, inputs, outputs = shape
    x, w = (rng.normal(size=s).astype(np.float32) for s in ((batch, inputs), (inputs, outputs)))
    both(
        benchmark,
        f"dense forward {shape}",
        lambda: kernels.dense_forward(x, w),
        lambda: x @ w,
        who,
        tolerance=1e-3,
    )


@each
@pytest.mark.parametrize("shape", [(10, 784, 30), (64, 128, 128), (512, 512, 512)], ids=str)
def test_dense_backward(benchmark, rng, shape, who):
    batch, inputs, outputs = shape
    sizes = ((batch, outputs), (batch, inputs), (inputs, outputs))
    dy, x, w = (rng.normal(size=s).astype(np.float32) for s in sizes)

    def plain():
        return np.concatenate([(dy @ w.T).ravel(), (x.T @ dy).ravel(), dy.sum(axis=0)])

    ours = kernels.dense_backward(dy, x, w)
    np.testing.assert_allclose(np.concatenate([a.ravel() for a in ours]), plain(), rtol=1e-3, atol=1e-3)
    benchmark.group = f"dense backward {shape}"
    benchmark((lambda: kernels.dense_backward(dy, x, w)) if who == "gradwell" else plain)


@each
@pytest.mark.parametrize("loss", kernels.LOSSES)
def test_loss(benchmark, rng, loss, who):
    outputs, targets = rng.normal(size=(256, 10)).astype(np.float32), rng.integers(0, 10, 256)
    both(
        benchmark,
        f"{loss}, 256 x 10",
        lambda: getattr(kernels, loss)(outputs, targets)[1],
        lambda: getattr(reference, loss)(outputs, targets)[1],
        who,
    )


@each
def test_sgd_update(benchmark, rng, who):
    p, g = (rng.normal(size=N).astype(np.float32) for _ in range(2))

    def plain():
        np.multiply(p, np.float32(1 - 1e-5), out=p)
        np.subtract(p, np.float32(0.1) * g, out=p)

    benchmark.group = f"SGD update, {N} floats"
    benchmark((lambda: kernels.sgd_update(p, g, 0.1, weight_decay=1e-4)) if who == "gradwell" else plain)


@each
def test_gradient_statistics(benchmark, rng, who):
    x = rng.normal(size=N).astype(np.float32)

    def plain():
        wide = x.astype(np.float64)
        size = np.abs(wide)
        exponents = np.bincount(np.frexp(x[x != 0])[1] + 200)
        extremes = (wide.min(), wide.max(), size.max(), size[size > 0].min())
        counts = (np.isnan(x).sum(), np.isinf(x).sum(), (x == 0).sum())
        return np.sqrt(wide @ wide), wide.mean(), wide.std(), extremes, counts, exponents

    np.testing.assert_allclose(kernels.gradient_statistics(x).norm, plain()[0], rtol=1e-12)
    benchmark.group = f"gradient statistics, {N} floats"
    benchmark((lambda: kernels.gradient_statistics(x)) if who == "gradwell" else plain)
