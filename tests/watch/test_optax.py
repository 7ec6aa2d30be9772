"""Optax rules watched: updates pass unchanged, also compiled; the record is that of plain JAX."""

import numpy as np
import pytest

import gradwell as gw

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
jnp = jax.numpy

X, Y = gw.datasets.digits()
X = (X / X.std()).astype(np.float32)


def start(depth=12, width=30, scale=1.0):
    rng = np.random.default_rng(0)
    sizes = [64, *[width] * depth, 10]
    layers = {}
    for i in range(depth + 1):
        shape = sizes[i], sizes[i + 1]
        kernel = rng.normal(size=shape) * scale / shape[0] ** 0.5
        layers[f"Dense_{i}"] = {"kernel": jnp.array(kernel, jnp.float32), "bias": jnp.zeros(shape[1])}
    return {"params": layers}


def loss_of(params, x, y):
    layers = params["params"]
    for i in range(len(layers)):
        x = x @ layers[f"Dense_{i}"]["kernel"] + layers[f"Dense_{i}"]["bias"]
        x = jax.nn.sigmoid(x) if i < len(layers) - 1 else x
    return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()


def train(optimizer, params, steps=6, compiled=True):
    state = optimizer.init(params)

    def step(params, state, x, y):
        gradients = jax.grad(loss_of)(params, x, y)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, gradients, updates

    run = jax.jit(step) if compiled else step
    seen = []
    for i in range(steps):
        at = slice(32 * i, 32 * i + 32)
        before = params
        params, state, gradients, updates = run(params, state, X[at], Y[at])
        seen.append((before, gradients, updates))
    jax.effects_barrier()
    return params, seen


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("every", [1, 3])
def test_the_record_is_that_of_plain_jax_and_no_bit_changes(compiled, every):
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
    plain, seen = train(rule, start(), compiled=compiled)
    watch = gw.watch.optax(rule, every=every)
    watched, _ = train(watch.transformation, start(), compiled=compiled)
    assert watch.faults == []
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(watched), strict=True):
        np.testing.assert_array_equal(a, b)
    record = watch.record
    assert list(record.steps) == list(range(0, 6, every))
    assert record.layers == [f"Dense_{i}" for i in range(13)]
    for row, step in enumerate(record.steps):
        before, gradients, updates = seen[step]
        for i, layer in enumerate(record.layers):
            norm, moved, size = (
                np.linalg.norm(np.asarray(tree["params"][layer]["kernel"], np.float64))
                for tree in (gradients, updates, before)
            )
            assert record.norm("weight")[row, i] == pytest.approx(norm, rel=1e-5)
            assert record.update("weight")[row, i] == pytest.approx(moved / size, rel=1e-5)
    assert "vanishing" in watch.diagnose()


def test_a_nan_is_found_and_a_wrong_order_named():
    params = start(2)
    params["params"]["Dense_1"]["kernel"] = params["params"]["Dense_1"]["kernel"].at[0, 0].set(jnp.nan)
    watch = gw.watch.optax(optax.sgd(0.1))
    train(watch.transformation, params, 1)
    assert watch.diagnose()["nonfinite"].severity == "severe"
    wrong = gw.watch.optax(optax.sgd(0.1), order=["a"])
    with pytest.raises(ValueError, match=r"\[watch\] order is \['a'\]; needs the layers"):
        wrong.transformation.init(params)
    given = gw.watch.optax(optax.sgd(0.1), order=["Dense_2", "Dense_0", "Dense_1"])
    train(given.transformation, start(2), 1)
    assert given.record.layers == ["Dense_2", "Dense_0", "Dense_1"]


def test_parameters_in_lists_and_without_layers():
    watch = gw.watch.optax(optax.sgd(0.1))
    params = [(jnp.ones((2, 3)), jnp.ones(3)), (jnp.ones((3, 1), jnp.bfloat16), jnp.ones(1))]
    state = watch.transformation.init(params)
    watch.transformation.update(params, state)
    jax.effects_barrier()
    assert watch.faults == []
    assert watch.record.layers == ["0", "1"]


def test_what_fails_in_measuring_stays_out_of_the_training(monkeypatch):
    watch = gw.watch.optax(optax.sgd(0.1))
    monkeypatch.setattr(type(watch), "_measured", lambda *a: 1 / 0)
    with pytest.warns(RuntimeWarning, match="a measurement failed"):
        train(watch.transformation, start(2), 3)
    assert len(watch.faults) == 3


def test_a_closed_watch_measures_nothing():
    watch = gw.watch.optax(optax.sgd(0.1))
    with watch:
        train(watch.transformation, start(2), 2)
    train(watch.transformation, start(2), 2)
    assert len(watch.record) == 2


@pytest.mark.parametrize(("rule", "every", "error"), [(3, 1, TypeError), (optax.sgd(0.1), 0, ValueError)])
def test_wrong_use_is_named(rule, every, error):
    with pytest.raises(error, match=r"\[watch\] (rule|every) is"):
        gw.watch.optax(rule, every=every)
