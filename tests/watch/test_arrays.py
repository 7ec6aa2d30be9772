"""Gradients of any framework by name."""

import numpy as np
import pytest

import gradwell as gw
from gradwell.watch.measurements import measured


def test_norms_by_layer_and_the_doctor():
    rng = np.random.default_rng(0)
    arrays = {f"layer{i}": rng.normal(size=(20, 20)) * 10.0 ** (i - 5) for i in range(5)}
    record = gw.watch.gradients(arrays, step=7)
    assert record.layers == list(arrays)
    assert list(record.steps) == [7]
    np.testing.assert_allclose(record.norm("weight")[0], [np.linalg.norm(a) for a in arrays.values()])
    diagnosis = gw.diagnose(record)
    assert diagnosis.verdicts["nonfinite"] == "clear"
    assert (diagnosis["vanishing"].layers, diagnosis["vanishing"].factor) == (("layer0", "layer1", "layer2"), None)
    assert diagnosis["vanishing"].evidence["log10_ratio"] == pytest.approx(-3, abs=0.1)
    assert "weight gradient" in diagnosis["vanishing"].text
    arrays["layer2"][3, 3] = np.nan
    assert gw.diagnose(gw.watch.gradients(arrays))["nonfinite"].layer == "layer2"


def test_jax_arrays():
    jax = pytest.importorskip("jax")
    weights = {"a": jax.numpy.ones((2, 3)), "b": jax.numpy.ones(4)}
    grads = jax.grad(lambda w: (w["a"] ** 2).sum() + w["b"].sum())(weights)
    record = gw.watch.gradients(grads)
    np.testing.assert_allclose(record.norm("weight")[0], [np.sqrt(24), 2])


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ([1], TypeError, "arrays is of type list"),
        ({}, ValueError, "arrays is empty"),
        ({"a": np.array(["x"])}, TypeError, "a has dtype"),
        ({"a": np.ones(2) * 1j}, TypeError, "a has dtype complex128"),
    ],
)
def test_wrong_use_is_named(arrays, error, message):
    with pytest.raises(error, match=rf"\[watch\] {message}"):
        gw.watch.gradients(arrays)


@pytest.mark.parametrize("cut", [0, 1, 30, 99, 100])
@pytest.mark.parametrize("spoil", [None, np.nan, np.inf, 0.0])
def test_arrays_in_parts_are_measured_as_one(cut, spoil):
    x = np.random.default_rng(1).normal(size=100)
    if spoil is not None:
        x[[3, 50]] = spoil
    (whole,) = measured([x])
    one, other = measured([x[:cut], x[cut:]])
    parts = one.merged(other)
    np.testing.assert_allclose(parts.numbers, whole.numbers, rtol=1e-12)
    assert parts.low == whole.low
    np.testing.assert_array_equal(parts.counts, whole.counts)


def test_too_few_layers_are_not_measured():
    record = gw.watch.gradients({"a": np.ones(3), "b": np.ones(3)})
    assert "fewer than two hidden layers" in gw.diagnose(record).not_measured["vanishing"]
