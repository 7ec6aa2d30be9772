"""Every kernel beside plain NumPy doing the same; a group is one operation, and both must agree.

`roofline` is the share reached of what the machine allows on as many threads: the larger of operations over its rate
and bytes over its bandwidth, both measured in the same run, divided by the time taken (Williams et al. 2009).
"""

import numpy as np
import own
import pytest

import gradwell as gw
from gradwell import kernels, reference

N = 65536


@pytest.fixture(scope="session")
def peaks():
    return own.peaks()


@pytest.fixture
def roofline(benchmark, peaks):
    """Return a function that notes the share of the roof a finished benchmark reached."""

    def note(flops, numbers):
        size = 4 * numbers
        cache = min((kib for kib in peaks["gbytes"] if 1024 * kib >= size), default=max(peaks["gbytes"]))
        floor = max(flops / peaks["gflops"], size / peaks["gbytes"][cache]) / 1e9 / gw.num_threads()
        if benchmark.stats:  # None where benchmarks are switched off
            benchmark.extra_info["roofline"] = floor / benchmark.stats.stats.min

    return note


def both(benchmark, name, ours, plain, who, tolerance=1e-5):
    benchmark.group = name
    np.testing.assert_allclose(ours(), plain(), rtol=tolerance, atol=tolerance)
    benchmark(ours if who == "gradwell" else plain)


each = pytest.mark.parametrize("who", ["gradwell", "numpy"])


@each
@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_activation(benchmark, roofline, rng, activation, who):
    x = rng.normal(size=N if activation != "gelu" else N // 16).astype(np.float32)
    both(
        benchmark,
        f"{activation}, {x.size} floats",
        lambda: kernels.activation_forward(x, activation),
        lambda: reference.activation_forward(x, activation),
        who,
    )
    simple = activation in ("identity", "relu", "leaky_relu")
    roofline((2 if simple else 30) * x.size, 2 * x.size)  # some thirty where there is an exponential


@each
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "elu"])
def test_activation_backward(benchmark, roofline, rng, activation, who):
    dy, y = (rng.normal(size=N).astype(np.float32) for _ in range(2))
    y = reference.activation_forward(y, activation).astype(np.float32)
    both(
        benchmark,
        f"{activation} backward, {N} floats",
        lambda: kernels.activation_backward(dy, activation, y=y),
        lambda: reference.activation_backward(dy, activation, y=y),
        who,
    )
    roofline(4 * N, 3 * N)


@each
@pytest.mark.parametrize("shape", [(10, 784, 30), (64, 128, 128), (512, 512, 512)], ids=str)
def test_dense_forward(benchmark, roofline, rng, shape, who):
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
    roofline(2 * batch * inputs * outputs, x.size + w.size + batch * outputs)


@each
@pytest.mark.parametrize("shape", [(10, 784, 30), (64, 128, 128), (512, 512, 512)], ids=str)
def test_dense_backward(benchmark, roofline, rng, shape, who):
    batch, inputs, outputs = shape
    sizes = ((batch, outputs), (batch, inputs), (inputs, outputs))
    dy, x, w = (rng.normal(size=s).astype(np.float32) for s in sizes)

    def plain():
        return np.concatenate([(dy @ w.T).ravel(), (x.T @ dy).ravel(), dy.sum(axis=0)])

    ours = kernels.dense_backward(dy, x, w)
    np.testing.assert_allclose(np.concatenate([a.ravel() for a in ours]), plain(), rtol=1e-3, atol=1e-3)
    benchmark.group = f"dense backward {shape}"
    benchmark((lambda: kernels.dense_backward(dy, x, w)) if who == "gradwell" else plain)
    roofline(4 * batch * inputs * outputs, dy.size + 2 * (x.size + w.size))


@each
@pytest.mark.parametrize("loss", kernels.LOSSES)
def test_loss(benchmark, roofline, rng, loss, who):
    outputs, targets = rng.normal(size=(256, 10)).astype(np.float32), rng.integers(0, 10, 256)
    both(
        benchmark,
        f"{loss}, 256 x 10",
        lambda: getattr(kernels, loss)(outputs, targets)[1],
        lambda: getattr(reference, loss)(outputs, targets)[1],
        who,
    )
    roofline(30 * outputs.size, 2 * outputs.size)


@each
def test_sgd_update(benchmark, roofline, rng, who):
    p, g = (rng.normal(size=N).astype(np.float32) for _ in range(2))

    def plain():
        np.multiply(p, np.float32(1 - 1e-5), out=p)
        np.subtract(p, np.float32(0.1) * g, out=p)

    benchmark.group = f"SGD update, {N} floats"
    benchmark((lambda: kernels.sgd_update(p, g, 0.1, weight_decay=1e-4)) if who == "gradwell" else plain)
    roofline(3 * N, 3 * N)


@each
def test_gradient_statistics(benchmark, roofline, rng, who):
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
    roofline(20 * N, N)


@each
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid"])
def test_elementary(benchmark, roofline, rng, name, who):
    x = rng.uniform(0.1, 3, N).astype(np.float32)
    both(benchmark, f"{name}, {N} floats", lambda: getattr(kernels, name)(x), lambda: getattr(reference, name)(x), who)
    roofline(25 * N, 2 * N)


@each
def test_prelu(benchmark, roofline, rng, who):
    x, slope = rng.normal(size=(256, 256)).astype(np.float32), rng.random(256, dtype=np.float32)
    both(
        benchmark,
        "prelu, 256 x 256",
        lambda: kernels.prelu_forward(x, slope),
        lambda: reference.prelu_forward(x, slope),
        who,
    )
    roofline(2 * x.size, 2 * x.size)


@each
@pytest.mark.parametrize("kind", ["batchnorm", "layernorm"])
def test_normalisation(benchmark, roofline, rng, kind, who):
    x, dy = rng.normal(size=(2, 256, 256)).astype(np.float32)
    gamma, beta = rng.normal(size=(2, 256)).astype(np.float32)

    def run(module):
        y, mean, variance = getattr(module, f"{kind}_forward")(x, gamma, beta)
        return np.stack([y, getattr(module, f"{kind}_backward")(dy, x, gamma, mean, variance)[0]])

    both(benchmark, f"{kind}, 256 x 256, both ways", lambda: run(kernels), lambda: run(reference), who, 1e-4)
    roofline(20 * x.size, 5 * x.size)


@each
@pytest.mark.parametrize("rule", ["momentum", "adagrad", "rmsprop", "adam", "rprop"])
def test_optimizer(benchmark, roofline, rng, rule, who):
    states = {"rmsprop": 2, "adam": 2, "rprop": 2}.get(rule, 1)
    start, gradient = rng.normal(size=(2, N)).astype(np.float32)
    p, state = start.copy(), [np.zeros(N, np.float32) for _ in range(states)]

    def step(module):
        steps = [1] if rule == "adam" else []
        getattr(module, f"{rule}_update")(p, gradient, *state, 1e-3, *steps)
        return p

    benchmark.group = f"{rule}, {N} floats"
    benchmark(lambda: step(kernels if who == "gradwell" else reference))
    roofline(15 * N, (3 + 2 * states) * N)


@each
def test_dropout(benchmark, roofline, rng, who):
    x = rng.normal(size=(64, 64)).astype(np.float32)
    both(
        benchmark,
        "dropout, 64 x 64",
        lambda: kernels.dropout_forward(x, 0.5, seed=1)[0],
        lambda: reference.dropout_forward(x, 0.5, seed=1)[0],
        who,
    )
    roofline(40 * x.size, 3 * x.size)


@each
def test_clip_by_norm(benchmark, roofline, rng, who):
    g = rng.normal(size=N).astype(np.float32)
    benchmark.group = f"clip by norm, {N} floats"
    benchmark(lambda: (kernels if who == "gradwell" else reference).clip_by_norm(g, 1e9))
    roofline(2 * N, N)
