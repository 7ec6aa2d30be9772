"""Doya's neuron against closed forms, plain loops and complex steps."""

import builtins
import math

import numpy as np
import pytest
from compare import assert_close
from hypothesis import given
from hypothesis import strategies as st

from gradwell import reference
from gradwell.theory import dynamics

ROUNDINGS = "at most 100 steps of a few roundings each, not amplified where both go along one trajectory"


def logistic(z):
    return 1 / (1 + np.exp(-z))


def plain_final_state(x, w, b, steps, eps, drive=None):
    """The definition, word for word; complex arguments give derivatives."""
    for t in range(steps):
        x = (1 - eps) * x + eps * logistic(w * x + b) + (0 if drive is None else eps * drive[t])
    return x


def test_the_folds_of_doyas_neuron_are_known():
    golden = (1 + math.sqrt(5)) / 2
    apart = math.sqrt(5) / 2 - 2 * math.log(golden)
    found = dynamics.folds(5.0)
    assert_close(found.x, [(1 - math.sqrt(0.2)) / 2, (1 + math.sqrt(0.2)) / 2], relative=1e-14, reason="roundings")
    assert_close(found.b, [-2.5 + apart, -2.5 - apart], relative=1e-14, reason="roundings")
    assert found.b == pytest.approx([-2.3444, -2.6556], abs=5e-5)


@pytest.mark.parametrize("w", [4.0001, 4.5, 6.0, 30.0, 1e6])
def test_folds_are_where_the_bias_turns(w):
    """At a fold w sigma' = 1 and the bias that makes x an equilibrium is stationary."""
    found = dynamics.folds(w)
    assert_close(w * found.x * (1 - found.x), [1, 1], relative=1e-9, reason="1 - x loses digits for large w")
    step = 1e-4 * min(found.x[0], 1e-2)
    slopes = (dynamics.equilibrium_bias(found.x + step, w) - dynamics.equilibrium_bias(found.x - step, w)) / (2 * step)
    assert np.abs(slopes).max() < 1e-6 * w
    assert found.b.sum() == pytest.approx(-w, rel=1e-12)


@pytest.mark.parametrize("w", [4.0, 3.9, 0.0, -7.0])
def test_weights_of_at_most_4_have_no_fold_and_one_equilibrium(w):
    assert dynamics.folds(w).x.shape == dynamics.folds(w).b.shape == (0,)
    for b in (-w / 2, -30.0, 0.3):
        assert len(dynamics.equilibria(b, w).x) == 1
    with pytest.raises(ValueError, match=r"\[basin_boundary\] w is .*; needs more than 4"):
        dynamics.basin_boundary(0.5, w)


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_equilibria_stay_and_none_is_missed(b, w):
    found = dynamics.equilibria(b, w)
    z = np.linspace(-45, 45, 20_001)
    signs = np.signbit(z - w * logistic(z) - b)
    assert (np.diff(found.x) > 0).all()
    assert len(found.x) >= np.count_nonzero(signs[1:] != signs[:-1])
    assert len(found.x) in ((1, 2, 3) if w > 4 else (1,))
    away = np.abs(found.multiplier - 1) > 1e-3
    assert np.abs(found.x - logistic(w * found.x + b))[away].max(initial=0) < 1e-14 * (1 + abs(w))


def test_equilibria_to_the_published_digits():
    between = dynamics.equilibria(-2.5)
    assert between.x == pytest.approx([0.1448, 0.5, 0.8552], abs=5e-5)
    assert between.x[1] == 0.5
    assert between.stable.tolist() == [True, False, True]
    assert_close(between.multiplier[1], np.array(1.125), relative=1e-15, reason="1 + eps / 4")
    assert len(dynamics.equilibria(-2.7).x) == len(dynamics.equilibria(-2.3).x) == 1


def test_a_fold_counts_once_and_is_not_stable():
    for place, count in ((0, [False, True]), (1, [True, False])):
        at = dynamics.equilibria(dynamics.folds().b[place])
        assert at.stable.tolist() == count
        assert at.x[place] == pytest.approx(dynamics.folds().x[place], rel=1e-12)
    for beside, count in ((-1e-9, 3), (1e-9, 1)):
        assert len(dynamics.equilibria(dynamics.folds().b[0] + beside).x) == count


@pytest.mark.parametrize(("b", "w"), [(1e17, 5.0), (-1e17, 1e18), (1e300, 0.0), (-1e300, -3.0), (700.0, -800.0)])
def test_equilibria_far_out(b, w):
    found = dynamics.equilibria(b, w)
    assert len(found.x) == (3 if w == 1e18 else 1)
    assert ((found.x >= 0) & (found.x <= 1)).all()


@pytest.mark.parametrize("eps", [0.1, 0.5, 1.0])
@pytest.mark.parametrize(("b", "w"), [(-2.5, 5.0), (-2.4, 5.0), (10.0, -20.0), (0.0, 1.0)])
def test_the_multiplier_is_what_a_step_does_to_a_small_deviation(b, w, eps):
    found = dynamics.equilibria(b, w, eps=eps)
    h = 1e-6
    up, down = (dynamics.trajectory(found.x + s, w, b, steps=1, eps=eps)[1] for s in (h, -h))
    assert found.multiplier == pytest.approx((up - down) / (2 * h), abs=1e-8)
    later = dynamics.trajectory(found.x + h, w, b, steps=50, eps=eps)[-1]
    assert ((np.abs(later - found.x) < h) == found.stable).all()


def test_the_basin_boundary_parts_the_final_states():
    for x0 in (-1.0, 0.1, 0.35, 0.5, 0.6, 0.9, 1.5):
        wall = dynamics.basin_boundary(x0)
        low, high = dynamics.trajectory(x0, 5.0, wall + np.array([-1e-3, 1e-3]), steps=2000)[-1]
        assert low < 0.3
        assert high > 0.7
    assert dynamics.basin_boundary(0.5) == -2.5
    assert dynamics.basin_boundary(0.0) == dynamics.folds().b[0]
    assert dynamics.basin_boundary(1.0) == dynamics.folds().b[1]


def test_a_trajectory_is_its_definition(rng):
    b, u = rng.normal(-2, 1, 7), rng.normal(0, 0.3, 30)
    states = dynamics.trajectory(0.2, 4.0, b, steps=30, eps=0.3, inputs=u, input_weight=-2.0)
    assert states.shape == (31, 7)
    for t in (0, 1, 30):
        expected = plain_final_state(np.full(7, 0.2), 4.0, b, t, 0.3, -2.0 * u)
        assert_close(states[t], expected, relative=1e-13, cancellation_scale=1.0, reason=ROUNDINGS)


@pytest.mark.parametrize("eps", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("driven", [False, True])
def test_forward_backward_and_a_complex_step_agree(rng, eps, driven):
    """Backpropagation and forward sensitivity agree near rounding; the complex step knows neither."""
    u = rng.normal(0, 0.5, 40) if driven else None
    w, b = np.array([[-6.0], [0.5], [4.5], [5.0]]), np.linspace(-4, 2, 61)
    settings = {"steps": 40, "eps": eps, "inputs": u, "input_weight": 0.7}
    forward = dynamics.forward_sensitivity(0.5, w, b, **settings)
    backward = dynamics.backpropagation_through_time(0.5, w, b, **settings)
    np.testing.assert_array_equal(forward.x, backward.x)
    drive = None if u is None else 0.7 * u
    by_b = plain_final_state(0.5 + 0j, w, b + 1e-30j, 40, eps, drive).imag / 1e-30
    by_w = plain_final_state(0.5 + 0j, w + 1e-30j, b, 40, eps, drive).imag / 1e-30
    # Negative weights add terms of both signs: a derivative may be smaller than what it is a sum of.
    floor = np.where(w < 0, 1e-2, 0)
    for name, expected in (("dx_db", by_b), ("dx_dw", by_w)):
        one, other = getattr(forward, name), getattr(backward, name)
        scale = np.maximum(np.abs(one), np.broadcast_to(floor, one.shape))
        assert_close(other, one, relative=1e-12, cancellation_scale=scale, reason=ROUNDINGS)
        assert_close(one, expected, relative=1e-9, cancellation_scale=scale, reason="an exponential written otherwise")


def test_tails_where_the_derivative_is_tiny():
    """At b = 200 sigma' is 1e-87: both must have it, not 0."""
    settings = {"steps": 3, "eps": 1.0}
    forward = dynamics.forward_sensitivity(0.5, 1.0, [-200.0, 200.0], **settings)
    backward = dynamics.backpropagation_through_time(0.5, 1.0, [-200.0, 200.0], **settings)
    assert (forward.dx_db > 0).all()
    assert (forward.dx_db < 1e-80).all()
    assert_close(backward.dx_db, forward.dx_db, relative=1e-14, reason=ROUNDINGS)


@pytest.mark.parametrize("w", [5.0, 6.0])
def test_the_gradient_at_the_wall_is_a_geometric_series(w):
    """At b = -w/2 the state stays at 1/2: dx(T)/db = (m^T - 1) / (w - 4) with m = 1 + eps (w / 4 - 1)."""
    at = dynamics.forward_sensitivity(0.5, w, dynamics.basin_boundary(0.5, w), steps=100, eps=0.5)
    m = 1 + 0.5 * (w / 4 - 1)
    assert at.x == 0.5
    assert_close(at.dx_db, np.array((m**100 - 1) / (w - 4)), relative=1e-13, reason=ROUNDINGS)
    assert_close(at.dx_dw, at.dx_db / 2, relative=1e-15, reason="the same sum, halved")


def test_too_long_a_way_along_the_wall_overflows_to_infinity():
    at = dynamics.forward_sensitivity(0.5, 5.0, -2.5, steps=10_000)
    assert at.dx_db == math.inf
    with pytest.raises(ValueError, match=r"\[descend\] the gradient at update 0 is not finite; needs fewer steps"):
        dynamics.descend(5.0, -2.5, learning_rate=0.1, updates=1, steps=10_000)


def test_the_loss_jumps_at_minus_two_and_a_half():
    """L goes to 0 as b falls to -2.5 and jumps to 0.504 just below."""
    below, above = dynamics.cliff_loss(5.0, [-2.5001, -2.4999]).loss
    assert below - above == pytest.approx(0.504, abs=0.002)
    assert above < 1e-6
    low, _, high = dynamics.equilibria(-2.5).x
    limit = (0.855 - low) ** 2 - (0.855 - high) ** 2
    assert limit == pytest.approx(0.5044, abs=5e-5)
    below, above = dynamics.cliff_loss(5.0, [-2.5 - 1e-9, -2.5 + 1e-9], steps=400).loss
    assert below - above == pytest.approx(limit, abs=1e-6)


def test_the_gradient_of_the_loss_and_its_grid():
    w, b, h = np.linspace(4.5, 5.5, 3), np.linspace(-3.0, -2.0, 4), 1e-6
    at = dynamics.cliff_loss(w[:, None], b, steps=40)
    assert at.loss.shape == at.norm.shape == at.w.shape == at.b.shape == (3, 4)
    up, down = (dynamics.cliff_loss(w[:, None], b + s, steps=40).loss for s in (h, -h))
    assert at.db == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-8)
    up, down = (dynamics.cliff_loss(w[:, None] + s, b, steps=40).loss for s in (h, -h))
    assert at.dw == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-8)
    assert_close(at.norm, np.sqrt(at.dw**2 + at.db**2), relative=1e-15, reason="two roundings")


@pytest.mark.parametrize("max_norm", [None, 0.1])
def test_updates_of_descent_by_hand(max_norm):
    steps = 50
    path = dynamics.descend(5.2, -2.62, learning_rate=0.3, updates=3, max_norm=max_norm, steps=steps)
    w, b = 5.2, -2.62
    for update in range(4):
        assert_close(path.w[update], np.array(w), relative=1e-13, reason="a few roundings")
        assert_close(path.b[update], np.array(b), relative=1e-13, reason="a few roundings")
        at = dynamics.cliff_loss(path.w[update], path.b[update], steps=steps)
        assert path.loss[update] == at.loss
        assert path.norm[update] == at.norm
        gradient = np.array([at.dw, at.db])
        if max_norm is not None:
            reference.clip_by_norm(gradient, max_norm)
        w, b = path.w[update] - 0.3 * gradient[0], path.b[update] - 0.3 * gradient[1]
    assert path.moves.shape == (3,)


def test_clipping_keeps_all_starts_in_the_valley_and_plain_descent_does_not():
    w = np.linspace(5.1, 6.0, 30)
    settings = {"learning_rate": 0.2, "updates": 1000, "steps": 50}
    plain = dynamics.descend(w, -w / 2 + 0.05, **settings)
    clipped = dynamics.descend(w, -w / 2 + 0.05, max_norm=0.3, **settings)
    assert (plain.moves.max(axis=0) > 1).mean() > 0.4
    assert clipped.moves.max() <= 0.2 * 0.3 * (1 + 1e-9)
    assert (clipped.loss[-1] < 1e-4).all()
    assert (plain.loss[-1] < 1e-4).mean() < 0.7


def test_equilibria_are_drawn(monkeypatch):
    axes = dynamics.equilibria(-2.5).plot()
    assert axes.get_xlabel() == "bias b"
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["stable", "unstable", "fold", "b = -2.5"]
    stable, unstable = (line.get_xydata() for line in axes.get_lines()[:2])
    half = math.sqrt(0.2) / 2
    assert np.abs(stable[~np.isnan(stable[:, 0]), 1] - 0.5).min() == pytest.approx(half, rel=1e-12)
    assert np.abs(unstable[~np.isnan(unstable[:, 0]), 1] - 0.5).max() == pytest.approx(half, rel=1e-12)
    assert dynamics.equilibria(0.0, 2.0).plot(axes) is axes
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"gradwell\[plot\]"):
        dynamics.equilibria(-2.5).plot()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: dynamics.folds("5"), TypeError, r"\[folds\] w is of type str; needs a number"),
        (lambda: dynamics.equilibria(math.nan), ValueError, r"\[equilibria\] b is nan; needs a finite number"),
        (lambda: dynamics.equilibria(0.0, eps=1.5), ValueError, r"\[equilibria\] eps is 1.5; needs .* at most 1"),
        (lambda: dynamics.equilibrium_bias([0.5, 1.0]), ValueError, r"\[equilibrium_bias\] x has values outside of"),
        (lambda: dynamics.basin_boundary(math.inf), ValueError, r"\[basin_boundary\] x0 is inf"),
        (lambda: dynamics.trajectory(0.5, 5.0, math.nan), ValueError, r"\[trajectory\] b has values that are not fin"),
        (lambda: dynamics.trajectory(0.5, 5.0, "b"), TypeError, r"\[trajectory\] b has dtype"),
        (lambda: dynamics.trajectory(0.5, [1, 2], [1, 2, 3]), ValueError, r"x0 \(\), w \(2,\), b \(3,\); needs ones"),
        (lambda: dynamics.trajectory(0.5, 5.0, 0.0, steps=0), ValueError, r"\[trajectory\] steps is 0; needs at least"),
        (lambda: dynamics.trajectory(0.5, 5.0, 0.0, eps=0), ValueError, r"\[trajectory\] eps is 0"),
        (
            lambda: dynamics.backpropagation_through_time(0.5, 5.0, 0.0, steps=4, inputs=[1.0]),
            ValueError,
            r"\[backpropagation_through_time\] inputs has shape \(1,\); needs \(4,\), one a step",
        ),
        (lambda: dynamics.cliff_loss(5.0, -2.0, target=None), TypeError, r"\[cliff_loss\] target is of type NoneType"),
        (
            lambda: dynamics.descend(5, -2, learning_rate=0, updates=1),
            ValueError,
            r"\[descend\] learning_rate is 0",
        ),
        (
            lambda: dynamics.descend(5, -2, learning_rate=1, updates=1, max_norm=-1),
            ValueError,
            r"\[descend\] max_norm is -1",
        ),
        (lambda: dynamics.descend(5, -2, learning_rate=1, updates=1.5), TypeError, r"\[descend\] updates is of type"),
    ],
)
def test_refused_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
