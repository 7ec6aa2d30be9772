"""Paths of residual networks, and the loss along the gradient."""

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import theory


def test_the_published_shares_of_54_blocks():
    """More than 95 % of paths have 19 to 35 blocks; lengths 5 to 17 are 0.45 % (Veit, Wilber, Belongie, 2016)."""
    ensemble = theory.path_ensemble(54)
    assert ensemble.share.sum() == pytest.approx(1.0, rel=1e-12)
    assert ensemble.between(19, 35) == pytest.approx(0.980, abs=5e-4)
    assert ensemble.between(5, 17) == pytest.approx(0.00454, abs=5e-6)


def test_thousands_of_blocks():
    share = theory.path_ensemble(5000).share
    assert share.sum() == pytest.approx(1.0, rel=1e-9)
    assert share.argmax() == 2500


@pytest.mark.parametrize("scale", [0.3, "rezero"])
def test_paths_add_up_to_the_gradient(scale, rng):
    """With all 2^n paths the sum of their gradients is the whole gradient: here for 3 linear blocks, by hand."""
    blocks = [gw.Residual(gw.Dense(5, use_bias=False), scale=scale) for _ in range(3)]
    net = gw.Network([gw.Dense(5), *blocks, gw.Dense(3)], input_shape=4, seed=0, dtype="float64")
    factors = [0.3] * 3
    if scale == "rezero":
        for i, factor in enumerate((0.2, -0.7, 1.3), 1):
            net.parameters[f"{i}.scale"][...] = factor
        factors = [0.2, -0.7, 1.3]
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    lengths, norms = theory.path_gradients(net, x, y, loss="softmax_cross_entropy", samples=400)
    h = x @ net.parameters["0.weight"]
    maps = [f * net.parameters[f"{i}.0.weight"] for i, f in enumerate(factors, 1)]
    for m in maps:
        h = h + h @ m
    upstream = gw.kernels.softmax_cross_entropy(h @ net.parameters["4.weight"], y)[1] @ net.parameters["4.weight"].T
    all_three = upstream @ maps[2].T @ maps[1].T @ maps[0].T
    assert lengths.tolist() == [0, 1, 2, 3]
    assert_close(norms[0], np.linalg.norm(upstream), relative=1e-12, reason="a few roundings")
    assert_close(norms[3], np.linalg.norm(all_three), relative=1e-12, reason="a few roundings")
    singles = [np.linalg.norm(upstream @ m.T) for m in maps]
    assert norms[1] == pytest.approx(np.mean(singles), rel=0.1)  # 400 draws of three


def test_networks_without_a_row_of_blocks_are_refused(rng):
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    with pytest.raises(ValueError, match="fewer than 2 residual blocks"):
        theory.path_gradients(gw.mlp([4, 3], seed=0), x, y, loss="quadratic")
    net = gw.Network([gw.Residual(gw.Dense(3), shortcut=gw.Dense(3))], input_shape=4, seed=0)
    with pytest.raises(ValueError, match="block 0 has a shortcut"):
        theory.path_gradients(net, x, y, loss="quadratic")
    with pytest.raises(ValueError, match=r"\[path_ensemble\] depth is 0"):
        theory.path_ensemble(0)


def test_the_landscape_of_a_quadratic_is_known(rng):
    """A linear net under the quadratic loss: C is quadratic in w, so loss and gradient along g are polynomials."""
    x, y = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    net = gw.Network([gw.Dense(2, use_bias=False)], input_shape=4, seed=0, dtype="float64")
    before = np.array(net.parameters["0.weight"])
    around = theory.landscape(net, x, y, loss="quadratic", step_sizes=[0.1, 0.5])
    gradient = x.T @ (x @ before - y) / 50
    hessian_g = x.T @ x @ gradient / 50
    np.testing.assert_array_equal(net.parameters["0.weight"], before)
    assert_close(around.gradient_norm, np.linalg.norm(gradient), relative=1e-12, reason="a few roundings")
    sizes = np.array([0.1, 0.5])
    assert_close(around.gradient_change, sizes * np.linalg.norm(hessian_g), relative=1e-9, reason="differences")
    assert_close(around.smoothness, np.linalg.norm(hessian_g) / np.linalg.norm(gradient), relative=1e-9, reason="same")
    losses = [((x @ (before - s * gradient) - y) ** 2).sum() / 100 for s in sizes]
    assert_close(around.loss, losses, relative=1e-12, reason="a few roundings")
    assert around.loss_range == (around.loss.min(), around.loss.max())
    assert around.predictiveness == (around.gradient_change.min(), around.gradient_change.max())


def test_the_landscape_refuses_a_flat_place_and_leaves_the_weights():
    net = gw.mlp([4, 3, 2], seed=0, init="zeros", activation="relu")
    with pytest.raises(ValueError, match=r"\[landscape\] step_sizes is -1"):
        theory.landscape(net, np.ones((2, 4)), np.zeros(2, int), loss="quadratic", step_sizes=[-1.0])
    with pytest.raises(ValueError, match=r"\[landscape\] the gradient has the norm 0"):
        theory.landscape(net, np.zeros((2, 4)), np.zeros((2, 2)), loss="quadratic")
    assert all((view == 0).all() for view in net.parameters.values())
