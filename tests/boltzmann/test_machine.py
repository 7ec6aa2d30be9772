"""The restricted Boltzmann machine: it learns a distribution, resumes to the bit, and refuses what it cannot take."""

import hashlib
import json
import signal
import threading
import time

import numpy as np
import pytest

import gradwell as gw
from gradwell import reference


def bits(rbm):
    arrays = [rbm.weight, rbm.visible_bias, rbm.hidden_bias, *rbm.training_arrays.values()]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def samples(rng, rows=90, units=20):
    return (rng.random((rows, units)) < rng.random(units)).astype(np.float32)


SETTINGS = {
    "plain": {},
    "k of 3, decay": {"k": 3, "weight_decay": 0.01, "momentum": 0.9},
    "persistent": {"persistent": True, "k": 2},
    "sparse, mean field": {"sparsity": 0.1, "sparsity_cost": 2.0, "mean_field": True},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_same_bits_on_any_threads_after_a_stop_and_after_a_file(settings, kind, rng, tmp_path):
    """The last batch of an epoch is smaller than the others."""
    x = samples(rng, 95, 70) if kind == "binary" else rng.normal(size=(95, 70)).astype(np.float32)
    settings = {"batch_size": 20, "learning_rate": 0.05, "measure": 5, **settings}
    threads, found = gw.num_threads(), set()
    try:
        for count in (1, 2, 3):
            gw.set_num_threads(count)
            rbm = gw.RBM(70, 90, kind, seed=3)
            history = rbm.fit(x, epochs=4, **settings)
            found.add(bits(rbm))
    finally:
        gw.set_num_threads(threads)
    assert len(found) == 1
    assert history.epochs == 4 and len(history.step_error) == 20
    twin = gw.RBM(70, 90, kind, seed=3)
    twin.fit(x, epochs=1, **settings)
    twin.save(tmp_path / "m.safetensors")
    loaded = gw.RBM.load(tmp_path / "m.safetensors")
    rest = loaded.fit(x, epochs=4, resume=True, **settings)
    assert bits(loaded) in found
    assert rest.first_step == 5
    np.testing.assert_array_equal(rest.reconstruction_error, history.reconstruction_error[1:])


RATE, MOMENTUM, DECAY, TURNS = 0.3, 0.7, 0.02, 2


def plain_step(rbm, x, persistent, velocity, chains, step):
    """One step by the oracle, in float64."""
    how = {"learning_rate": RATE, "momentum": MOMENTUM, "weight_decay": DECAY}

    def hidden(v, stream):
        return reference.boltzmann_conditional(v, rbm["w"], rbm["b"], seed=7, step=step, stream=stream)

    def visible(h, stream):
        return reference.boltzmann_conditional(h, rbm["w"], rbm["a"], transposed=True, seed=7, step=step, stream=stream)

    data_h, h = hidden(x, 0)
    first = visible(h, 1)
    if persistent:
        h = chains
    for turn in range(TURNS):
        stream = 2 * turn + 1 + 2 * persistent
        v = visible(h, stream)[1]
        model_h, h = hidden(v, stream + 1)
    reference.boltzmann_update(x, data_h, v, model_h, velocity["w"], rbm["w"], **how)
    for name, data, model in (("a", x, v), ("b", data_h, model_h)):
        velocity[name] = MOMENTUM * velocity[name] + RATE * (data.mean(axis=0) - model.mean(axis=0))
        rbm[name] = rbm[name] + velocity[name]
    return h, ((x - first[0]) ** 2).sum(axis=1).mean()


@pytest.mark.parametrize("persistent", [False, True])
def test_every_step_is_the_oracle_s(persistent, rng):
    x = samples(rng, 24, 11).astype(np.float64)
    rbm = gw.RBM(11, 9, seed=7, dtype="float64", init_std=0.5)
    plain = {"w": rbm.weight.copy(), "a": rbm.visible_bias.copy(), "b": rbm.hidden_bias.copy()}
    velocity = {name: np.zeros_like(array) for name, array in plain.items()}
    settings = {"batch_size": 8, "learning_rate": RATE, "momentum": MOMENTUM, "weight_decay": DECAY, "k": TURNS}
    rbm.fit(x, epochs=0, persistent=persistent, shuffle=False, **settings)
    chains = rbm.training_arrays["chains"].copy()
    history = rbm.fit(x, epochs=2, persistent=persistent, shuffle=False, **settings)
    for step in range(6):
        batch = x[8 * (step % 3) : 8 * (step % 3) + 8]
        chains, error = plain_step(plain, batch, persistent, velocity, chains, step)
        assert history.step_error[step] == pytest.approx(error, rel=1e-10)
    for name, found in (("w", rbm.weight), ("a", rbm.visible_bias), ("b", rbm.hidden_bias)):
        np.testing.assert_allclose(found, plain[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("persistent", [False, True])
def test_the_likelihood_rises_to_that_of_the_data(persistent, rng):
    """Bars and stripes of 3 x 3, by enumeration: at most -log 14 a sample, uniform is -9 log 2 = -6.24."""
    rows = reference.boltzmann_states(3)
    bars = np.unique(np.concatenate([np.repeat(rows, 3, axis=1), np.tile(rows, (1, 3))]), axis=0)
    assert len(bars) == 14
    x = np.tile(bars, (10, 1)).astype(np.float32)
    rbm = gw.RBM(9, 14, seed=1, init_std=0.1)
    before = rbm.log_likelihood(x, rbm.log_partition("exact")).mean()
    rbm.fit(x, epochs=3000, batch_size=140, learning_rate=0.1, k=2, momentum=0.0, persistent=persistent, measure=0)
    after = rbm.log_likelihood(x, rbm.log_partition("exact")).mean()
    assert before == pytest.approx(-9 * np.log(2), abs=0.5)
    assert -np.log(14) - 1.0 < after <= -np.log(14)


def test_long_chains_draw_from_the_machine(rng):
    """Chi-square over all 32 states of 5 visible units; 31 degrees of freedom, 61.1 is the 99.9th percentile."""
    rbm = gw.RBM(5, 4, seed=2, init_std=0.7, dtype="float64")
    rbm.visible_bias[:] = rng.normal(size=5)
    states = reference.boltzmann_states(5)
    drawn = rbm.sample(20_000, steps=60)
    counts = np.bincount((drawn @ (2 ** np.arange(5))).astype(int), minlength=32)
    expected = np.exp(rbm.log_likelihood(states, rbm.log_partition("exact"))) * len(drawn)
    assert ((counts - expected) ** 2 / expected).sum() < 61.1


def test_a_gaussian_machine_draws_its_mean_and_variance():
    rbm = gw.RBM(3, 2, "gaussian", seed=5, init_std=0.8, dtype="float64")
    rbm.visible_bias[:] = [1.0, -2.0, 0.0]
    drawn = rbm.sample(20_000, steps=30)
    h = reference.boltzmann_states(2)
    means = h @ rbm.weight.T + rbm.visible_bias
    share = np.exp(h @ rbm.hidden_bias + 0.5 * (means**2 - rbm.visible_bias**2).sum(axis=1))
    share /= share.sum()
    expected = share @ means
    spread = share @ means**2 - expected**2 + 1
    np.testing.assert_allclose(drawn.mean(axis=0), expected, atol=0.04)
    np.testing.assert_allclose(drawn.var(axis=0), spread, rtol=0.05)


def test_sparsity_brings_activities_to_the_target(rng):
    x = samples(rng, 400, 30)
    activity = {}
    for target in (None, 0.05):
        rbm = gw.RBM(30, 40, seed=0)
        rbm.fit(x, epochs=60, batch_size=20, learning_rate=0.1, sparsity=target, measure=0)
        activity[target] = rbm.transform(x).mean()
    assert activity[None] > 0.2
    assert activity[0.05] == pytest.approx(0.05, abs=0.02)


def test_the_history_tells_a_machine_that_learns_by_heart(rng):
    x = samples(rng, 80, 30)
    x, held_out = x[:40], x[40:]
    rbm = gw.RBM(30, 100, seed=0)
    history = rbm.fit(x, epochs=150, batch_size=10, learning_rate=0.2, validation=held_out)
    assert len(history.free_energy_gap) == len(history.pseudo_likelihood) == history.epochs == 150
    assert history.free_energy_gap[-1] > history.free_energy_gap[0] + 1
    assert history.pseudo_likelihood[-1] > history.pseudo_likelihood[0]
    assert json.dumps(history.to_dict(), allow_nan=False)


def test_ctrl_c_is_heard_within_a_second(rng):
    x = rng.random((20_000, 400), dtype=np.float32)
    rbm = gw.RBM(400, 300, seed=0)
    timer = threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT))
    begun = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        rbm.fit(x, epochs=10_000, batch_size=100, measure=0)
    assert time.perf_counter() - begun < 1.5
    steps = len(caught.value.history.step_error)
    assert rbm.training_state["step"] == steps > 0
    twin = gw.RBM(400, 300, seed=0)
    twin.fit(x, epochs=-(-steps // 200), batch_size=100, measure=0)
    rbm.fit(x, epochs=-(-steps // 200), batch_size=100, measure=0, resume=True)
    assert bits(rbm) == bits(twin)


def test_a_step_that_overflows_is_not_applied(rng):
    x = rng.normal(size=(50, 10)).astype(np.float32)
    rbm = gw.RBM(10, 20, "gaussian", seed=0)
    with pytest.raises(ArithmeticError, match=r"\[fit\] step \d+ met a NaN or an infinity .* a smaller one may help"):
        rbm.fit(x, epochs=1000, batch_size=10, learning_rate=1e3, momentum=0.99, measure=0)
    for array in (rbm.weight, rbm.visible_bias, rbm.hidden_bias):
        assert np.isfinite(array).all()


BAD = {
    "outside": (lambda x: x * 2, {}, r"\[fit\] x has values from 0 to 2; binary units need 0 to 1"),
    "negative": (lambda x: x - 1, {}, r"\[fit\] x has values from -1 to 0; binary units need 0 to 1"),
    "nan": (lambda x: np.where(np.arange(8) == 3, np.nan, x), {}, r"\[fit\] x has nan in row 0, column 3"),
    "width": (lambda x: x[:, :7], {}, r"\[fit\] x has shape \(30, 7\); needs \(batch, 8\)"),
    "empty": (lambda x: x[:0], {}, r"\[fit\] x has no rows"),
    "k": (lambda x: x, {"k": 0}, r"\[fit\] k is 0; needs at least 1"),
    "batch": (lambda x: x, {"batch_size": 0}, r"\[fit\] batch_size is 0; needs at least 1"),
    "rate": (
        lambda x: x,
        {"learning_rate": -1.0},
        r"\[fit\] learning_rate is -1.0; needs a finite number of at least 0",
    ),
    "momentum": (lambda x: x, {"momentum": 1.0}, r"\[fit\] momentum is 1.0; needs a number from 0 to below 1"),
    "sparsity": (lambda x: x, {"sparsity": 1.5}, r"\[fit\] sparsity is 1.5"),
    "resume": (lambda x: x, {"resume": True, "k": 2}, r"\[fit\] k is 2 but the fit to resume had 1; needs the same"),
    "validation": (lambda x: x, {"validation": np.zeros((2, 3))}, r"\[fit\] validation has shape \(2, 3\)"),
}


@pytest.mark.parametrize(("change", "settings", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named_and_changes_nothing(change, settings, message, rng):
    x = samples(rng, 30, 8)
    x[0, :2] = 0, 1
    rbm = gw.RBM(8, 5, seed=0)
    rbm.fit(x, epochs=1, batch_size=10)
    before = bits(rbm)
    with pytest.raises(ValueError, match=message):
        rbm.fit(change(x), **{"epochs": 2, "batch_size": 10, **settings})
    assert bits(rbm) == before


def test_bad_settings_are_named():
    for arguments, message in (
        ((0, 3), r"\[rbm\] visible is 0; needs at least 1"),
        ((3, 3, "poisson"), r"\[rbm\] kind is 'poisson'; needs one of binary, gaussian"),
    ):
        with pytest.raises(ValueError, match=message):
            gw.RBM(*arguments)
    with pytest.raises(ValueError, match=r'\[pseudo_likelihood\] kind is "gaussian"; needs binary'):
        gw.RBM(3, 2, "gaussian").pseudo_likelihood(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"\[sample\] start has 2 rows but count is 3"):
        gw.RBM(4, 2).sample(3, start=np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"\[fit\] resume is True but the machine has no training state"):
        gw.RBM(4, 2).fit(np.zeros((2, 4)), resume=True)


def test_damaged_files_are_named(tmp_path):
    file = tmp_path / "m.safetensors"
    with pytest.raises(FileNotFoundError, match=r"\[load\] .*no such file"):
        gw.RBM.load(file)
    file.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=r"\[load\] .*not a whole safetensors file"):
        gw.RBM.load(file)
    gw.mlp([3, 2], seed=0).save(file)
    with pytest.raises(ValueError, match=r"\[load\] .*holds no RBM"):
        gw.RBM.load(file)
    gw.RBM(4, 3, seed=0).save(file)
    whole = file.read_bytes()
    for cut in (10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"\[load\]"):
            gw.RBM.load(file)
    file.write_bytes(whole.replace(b'\\"visible\\": 4', b'\\"visible\\": 9'))
    with pytest.raises(ValueError, match=r"\[load\] .*weight is \(4, 3\) but its machine needs \(9, 3\)"):
        gw.RBM.load(file)
