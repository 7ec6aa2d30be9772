"""The partition function: annealed importance sampling against enumeration."""

import numpy as np
import pytest

import gradwell as gw
from gradwell import reference


@pytest.mark.parametrize(("visible", "hidden"), [(14, 5), (5, 14), (13, 13)])
def test_enumeration_over_either_side_agrees(visible, hidden, rng):
    rbm = gw.RBM(visible, hidden, seed=1, init_std=0.5, dtype="float64")
    rbm.visible_bias[:], rbm.hidden_bias[:] = rng.normal(size=visible), rng.normal(size=hidden)
    wanted = reference.boltzmann_log_partition(rbm.weight, rbm.visible_bias, rbm.hidden_bias)
    assert rbm.log_partition("exact").value == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
@pytest.mark.parametrize("with_data", [False, True])
def test_annealed_importance_sampling_is_within_a_tenth_of_a_nat(kind, with_data, rng):
    for seed in range(3):
        rbm = gw.RBM(20, 15, kind, seed=seed, init_std=0.5 if kind == "binary" else 0.15)
        rbm.visible_bias[:], rbm.hidden_bias[:] = rng.normal(size=20), rng.normal(size=15)
        data = (rng.random((50, 20)) < 0.3).astype(np.float32) if with_data else None
        exact = rbm.log_partition("exact").value
        found = rbm.log_partition("ais", chains=200, temperatures=1500, data=data, seed=seed)
        assert found.value == pytest.approx(exact, abs=0.1)
        assert found.low < exact < found.high


def test_a_trained_machine_too(rng):
    digits, _ = gw.datasets.digits()
    x = (digits[:, 16:36] > 0.5).astype(np.float32)
    rbm = gw.RBM(20, 18, seed=0)
    rbm.fit(x, epochs=30, batch_size=50, learning_rate=0.2, measure=0)
    exact = rbm.log_partition("exact").value
    assert rbm.log_partition(chains=200, temperatures=2000, data=x).value == pytest.approx(exact, abs=0.1)
    assert rbm.log_likelihood(x, exact).mean() > -np.log(2) * 20


def test_seeds_differ_and_repeat():
    rbm = gw.RBM(10, 8, seed=0, init_std=1.0)
    first, again, other = (rbm.log_partition(seed=seed, temperatures=50).value for seed in (1, 1, 2))
    assert first == again != other


def test_bad_input_is_named():
    rbm = gw.RBM(40, 30, seed=0)
    with pytest.raises(ValueError, match=r"\[log_partition\] enumeration would take 2\*\*30 states; needs at most 25"):
        rbm.log_partition("exact")
    with pytest.raises(ValueError, match=r'\[log_partition\] method is \'mcmc\'; needs "ais" or "exact"'):
        rbm.log_partition("mcmc")
    with pytest.raises(ValueError, match=r"\[log_partition\] chains is 1; needs at least 2"):
        rbm.log_partition(chains=1)
