"""Restricted Boltzmann machines: kernels against the oracle, draws against their probabilities, exact gradients."""

import hashlib

import numpy as np
import pytest

import gradwell as gw
from gradwell import kernels, reference

KEYS = [{"seed": 0}, {"seed": 2**61 + 3, "step": 2**40 + 5, "stream": 7}]


def machine(rng, visible, hidden, dtype=np.float64, scale=0.4):
    weight = rng.normal(0, scale, (visible, hidden)).astype(dtype)
    return weight, rng.normal(0, 0.5, visible).astype(dtype), rng.normal(0, 0.5, hidden).astype(dtype)


def close(dtype):
    return {"rtol": 2e-6, "atol": 4e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}


def uniform(shape, bits, seed=0, step=0, stream=0):
    """What each element draws: the upper `bits` of word column % 4 of its counter."""
    low = 2**32 - 1
    words = [
        reference.philox((column, row, stream ^ (step >> 32 << 16), step & low), (seed & low, seed >> 32))
        for row in range(shape[0])
        for column in range(-(-shape[1] // 4))
    ]
    return np.array(words).reshape(shape[0], -1)[:, : shape[1]] // 2 ** (32 - bits) / 2.0**bits


@pytest.mark.parametrize("key", KEYS, ids=["zero", "large"])
@pytest.mark.parametrize("kind", ["binary", "gaussian"])
@pytest.mark.parametrize("transposed", [False, True], ids=["hidden", "visible"])
def test_means_and_draws_are_the_oracle_s_at_every_tail(key, kind, transposed, dtype, rng):
    bits = 24 if dtype == np.float32 else 32
    for units in (1, 3, 4, 31, 32, 33, 70):
        weight = rng.normal(0, 0.4, (units, 9) if transposed else (9, units)).astype(dtype)
        bias, x = rng.normal(size=units).astype(dtype), rng.random((15, 9)).astype(dtype)
        mean, sample = kernels.boltzmann_conditional(x, weight, bias, transposed=transposed, kind=kind, **key)
        wanted, drawn = reference.boltzmann_conditional(
            x, weight, bias, transposed=transposed, kind=kind, bits=bits, **key
        )
        np.testing.assert_allclose(mean, wanted, **close(dtype))
        if kind == "binary":  # the mean that was rounded decides
            np.testing.assert_array_equal(sample, uniform(mean.shape, bits, **key) < mean)
        else:
            np.testing.assert_allclose(sample, drawn, rtol=0, atol=3e-5 if dtype == np.float32 else 1e-11)


def test_draws_have_the_exact_conditional(rng):
    """Chi-square over all 16 states of 4 units; 15 degrees of freedom, 37.7 is the 99.9th percentile."""
    weight, _, bias = machine(rng, 3, 4, np.float32, 1.0)
    x = np.tile(np.array([[1, 0, 1]], np.float32), (100_000, 1))
    mean, sample = kernels.boltzmann_conditional(x, weight, bias, seed=11)
    states = reference.boltzmann_states(4)
    p = mean[0].astype(np.float64)
    expected = np.prod(np.where(states == 1, p, 1 - p), axis=1) * len(x)
    counts = np.bincount((sample @ (2 ** np.arange(4))).astype(int), minlength=16)
    assert ((counts - expected) ** 2 / expected).sum() < 37.7


def test_gaussian_draws_are_normal_and_independent(dtype):
    zeros = np.zeros((40_000, 1), dtype)
    weight, bias = np.zeros((1, 6), dtype), np.arange(6, dtype=dtype)
    sample = kernels.boltzmann_conditional(zeros, weight, bias, kind="gaussian", seed=3)[1] - bias
    n = len(zeros)
    assert np.abs(sample.mean(axis=0)).max() < 4.5 / np.sqrt(n)
    assert np.abs((sample**2).mean(axis=0) - 1).max() < 4.5 * np.sqrt(2 / n)
    assert np.abs((sample**4).mean(axis=0) - 3).max() < 4.5 * np.sqrt(96 / n)
    assert np.abs(np.corrcoef(sample.T) - np.eye(6)).max() < 4.5 / np.sqrt(n)


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_free_energy_is_the_oracle_s(kind, dtype, rng):
    for hidden in (1, 7, 16, 33):
        weight, a, b = machine(rng, 21, hidden, dtype)
        v = rng.random((9, 21)).astype(dtype)
        found = kernels.boltzmann_free_energy(v, weight, a, b, kind=kind)
        np.testing.assert_allclose(found, reference.boltzmann_free_energy(v, weight, a, b, kind=kind), **close(dtype))
        assert found.dtype == np.float64


def test_free_energy_sums_out_the_hidden_units(rng):
    weight, a, b = machine(rng, 5, 6)
    v, h = reference.boltzmann_states(5), reference.boltzmann_states(6)
    energy = -(v @ a)[:, None] - h @ b - v @ weight @ h.T
    wanted = -np.log(np.exp(-energy).sum(axis=1))
    np.testing.assert_allclose(kernels.boltzmann_free_energy(v, weight, a, b), wanted, rtol=1e-12)
    total = np.log(np.exp(-wanted).sum())
    assert reference.boltzmann_log_partition(weight, a, b) == pytest.approx(total, abs=1e-10)


def test_pseudo_likelihood_is_the_oracle_s(dtype, rng):
    weight, a, b = machine(rng, 13, 19, dtype)
    v = (rng.random((8, 13)) < 0.5).astype(dtype)
    wanted = reference.boltzmann_pseudo_likelihood(v, weight, a, b)
    np.testing.assert_allclose(kernels.boltzmann_pseudo_likelihood(v, weight, a, b), wanted, rtol=1e-5)


@pytest.mark.parametrize("rows", [(20, 20), (7, 600)], ids=["alike", "apart"])
def test_the_update_is_the_oracle_s(rows, dtype, rng):
    weight, _, _ = machine(rng, 45, 67, dtype)
    velocity = rng.normal(size=weight.shape).astype(dtype)
    sides = [rng.random((n, units)).astype(dtype) for n in rows for units in weight.shape]
    wanted = [array.astype(np.float64) for array in (velocity, weight)]
    settings = {"learning_rate": 0.3, "momentum": 0.8, "weight_decay": 0.01}
    reference.boltzmann_update(*sides, *wanted, **settings)
    kernels.boltzmann_update(*sides, velocity, weight, **settings)
    np.testing.assert_allclose(velocity, wanted[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(weight, wanted[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_exact_statistics_give_the_gradient_of_the_log_likelihood(kind, rng):
    """Exact statistics of data less those of the model are d mean log p(v) / dW: differences of enumeration."""
    weight, a, b = machine(rng, 4, 5)
    data = (rng.random((6, 4)) < 0.5).astype(float) if kind == "binary" else rng.normal(size=(6, 4))

    def likelihood(w):
        energy = reference.boltzmann_free_energy(data, w, a, b, kind=kind)
        return -energy.mean() - reference.boltzmann_log_partition(w, a, b, kind=kind)

    h = reference.boltzmann_states(5)
    z = h @ weight.T + a  # p(h) in closed form, and the mean of v given h
    inside = np.logaddexp(0, z) if kind == "binary" else 0.5 * (z**2 - a**2) + 0.5 * np.log(2 * np.pi)
    share = np.exp(h @ b + inside.sum(axis=1) - reference.boltzmann_log_partition(weight, a, b, kind=kind))
    assert share.sum() == pytest.approx(1, abs=1e-12)
    model_v = kernels.boltzmann_conditional(h, weight, a, transposed=True, kind=kind, draw=False)[0]
    data_h = kernels.boltzmann_conditional(data, weight, b, draw=False)[0]
    before, velocity = weight.copy(), np.zeros_like(weight)
    kernels.boltzmann_update(data, data_h, model_v * share[:, None] * len(h), h, velocity, weight, learning_rate=1.0)
    step = 1e-3
    for i, j in np.ndindex(before.shape):
        moved = [before.copy() for _ in range(4)]
        for w, times in zip(moved, (1, -1, 2, -2), strict=True):
            w[i, j] += times * step
        up, down, far_up, far_down = map(likelihood, moved)
        slope = (8 * (up - down) - (far_up - far_down)) / (12 * step)  # error of order step^4
        assert velocity[i, j] == pytest.approx(slope, abs=1e-9)
    np.testing.assert_array_equal(weight, before + velocity)


def test_any_number_of_threads_gives_the_same_bits(rng):
    weight, a, b = machine(rng, 300, 200, np.float32)
    v, h = rng.random((64, 300)).astype(np.float32), rng.random((64, 200)).astype(np.float32)
    threads, sums = gw.num_threads(), set()
    try:
        for count in (1, 2, 3):
            gw.set_num_threads(count)
            w, velocity = weight.copy(), np.zeros_like(weight)
            kernels.boltzmann_update(v, h, 1 - v, 1 - h, velocity, w, learning_rate=0.1, momentum=0.5)
            results = [*kernels.boltzmann_conditional(h, w, a, transposed=True, kind="gaussian", seed=1)]
            results += [*kernels.boltzmann_conditional(v, w, b, seed=1), w, velocity]
            results += [kernels.boltzmann_free_energy(v, w, a, b), kernels.boltzmann_pseudo_likelihood(v, w, a, b)]
            sums.add(hashlib.sha256(b"".join(array.tobytes() for array in results)).hexdigest())
    finally:
        gw.set_num_threads(threads)
    assert len(sums) == 1


def test_any_layout_is_read(relayout, rng):
    weight, a, b = machine(rng, 20, 30)
    v = rng.random((6, 20))
    plain = kernels.boltzmann_conditional(v, weight, b, seed=4)
    for found, wanted in zip(
        kernels.boltzmann_conditional(relayout(v), relayout(weight), relayout(b), seed=4), plain, strict=True
    ):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(
        kernels.boltzmann_free_energy(relayout(v), relayout(weight), relayout(a), relayout(b)),
        kernels.boltzmann_free_energy(v, weight, a, b),
    )


def test_bad_input_is_named(rng):
    weight, a, b = machine(rng, 4, 3)
    v = np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"\[boltzmann_conditional\] weight has 4 rows but x has 5 columns"):
        kernels.boltzmann_conditional(np.zeros((2, 5)), weight, b)
    with pytest.raises(ValueError, match=r"\[boltzmann_conditional\] bias has 4 values but weight has 3 columns"):
        kernels.boltzmann_conditional(v, weight, a)
    with pytest.raises(ValueError, match=r'\[boltzmann_conditional\] kind is "poisson"; needs binary or gaussian'):
        kernels.boltzmann_conditional(v, weight, b, kind="poisson")
    with pytest.raises(TypeError, match=r"\[boltzmann_free_energy\] weight has dtype float32 but v has float64"):
        kernels.boltzmann_free_energy(v, weight.astype(np.float32), a, b)
    with pytest.raises(ValueError, match=r"\[boltzmann_update\] h_model has 2 rows but v_model has 3"):
        kernels.boltzmann_update(
            v, np.zeros((2, 3)), np.zeros((3, 4)), np.zeros((2, 3)), np.zeros((4, 3)), weight, learning_rate=0.1
        )
    with pytest.raises(ValueError, match=r"\[boltzmann_update\] v_data has no rows"):
        kernels.boltzmann_update(v[:0], v[:0, :3], v, v[:, :3], np.zeros((4, 3)), weight, learning_rate=0.1)
