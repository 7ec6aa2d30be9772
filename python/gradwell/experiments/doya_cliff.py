"""Doya's neuron: a loss with a cliff in it, and what clipping does at the cliff.

One logistic neuron feeds itself, x' = (1 - eps) x + eps sigma(w x + b), and the loss is (0.855 - x(T))^2, x(0) = 0.5.
With w = 5 there are two stable states for biases between two folds, and x(0) ends in the low one below b = -2.5 and in
the high one above. There the loss jumps, and its gradient is a product of T factors 1 + eps/4. The folds are known in
closed form and are found once more by running the neuron; its gradient is computed forward and backward in time.

Then gradient descent on (w, b), from starts on both sides of the wall b = -w/2, with and without clipping by norm.

K. Doya (1993), Bifurcations of recurrent neural networks in gradient descent learning. R. Pascanu, T. Mikolov and
Y. Bengio (2013), On the difficulty of training recurrent neural networks, figure 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.experiments.experiment import Check, Options, Result
from gradwell.report import plots
from gradwell.report.terminal import text_table
from gradwell.theory import dynamics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPS, STEPS = 0.5, 100
BESIDE: Final = 1e-4  # from here x(T) ends within 1e-3 of a stable state
FOLDS: Final = (-2.3444, -2.6556)
JUMP: Final = 0.504
AGREEMENT: Final = 1e-9  # 100 steps of a few roundings each stay below 1e-13
HORIZONS: Final = (30, 50, 100)  # T of the descents: the longer, the steeper and the narrower the wall
SHOWN: Final = 50  # T of the descent drawn
RATE, UPDATES, MAX_NORM = 0.2, 1000, 0.3
THROWN, IN_VALLEY = 1.0, 1e-4  # an update that moves (w, b) farther; a loss at the end that is less

Array = NDArray[np.float64]


class Measured(NamedTuple):
    """What the neuron was measured to do."""

    folds: Array  # (2,) upper and lower bias, in closed form
    simulated_folds: Array  # (2,) the same, where the neuron is seen to leave a state
    jump: float  # loss just below the wall minus loss just above it
    above: float  # loss just above it
    wall_gradient: float  # dx(T)/db at the wall over (1 + eps/4)^T - 1
    disagreement: float  # largest relative difference of forward and backward gradients
    plain: dict[int, dynamics.Descent]  # by T
    clipped: dict[int, dynamics.Descent]


def run(options: Options, horizons: Sequence[int] = HORIZONS) -> Result:
    """Measure folds, cliff and gradients, then descend from 200 starts with and without clipping."""
    if options.seeds is not None:
        raise ValueError("[reproduce] doya-cliff has nothing random; leave --seeds out")
    wall = dynamics.basin_boundary()
    below, above = dynamics.cliff_loss(dynamics.WEIGHT, wall + BESIDE * np.array([-1, 1]), steps=STEPS, eps=EPS).loss
    at = dynamics.forward_sensitivity(dynamics.START, dynamics.WEIGHT, wall, steps=STEPS, eps=EPS)
    plain: dict[int, dynamics.Descent] = {}
    clipped: dict[int, dynamics.Descent] = {}
    with options.bar(2 * len(horizons), "descent") as bar:
        for steps in horizons:
            for kept, max_norm in ((plain, None), (clipped, MAX_NORM)):
                kept[steps] = dynamics.descend(
                    *starts(), learning_rate=RATE, updates=UPDATES, max_norm=max_norm, steps=steps, eps=EPS
                )
                bar.update()
    growth = float(at.dx_db) / ((1 + EPS / 4) ** STEPS - 1)
    exact, simulated, apart = dynamics.folds().b, simulated_folds(), disagreement(wall)
    return summarise(Measured(exact, simulated, float(below - above), float(above), growth, apart, plain, clipped))


def starts() -> tuple[Array, Array]:
    """Return the weights and biases of 200 starts, at most 0.3 in b from the wall, where 5.1 <= w <= 6."""
    w, beside = np.meshgrid(np.linspace(5.1, 6.0, 20), np.linspace(-0.3, 0.3, 10))
    return w.ravel(), (beside - w / 2).ravel()


def disagreement(wall: float) -> float:
    """Return the largest relative difference between derivatives carried forward and propagated back."""
    b = np.append(np.linspace(-3.5, -1.5, 2001), wall + BESIDE * np.array([-1, 0, 1]))
    given = (dynamics.START, np.array([[4.0], [5.0], [6.0]]), b)
    forward = dynamics.forward_sensitivity(*given, steps=STEPS, eps=EPS)
    backward = dynamics.backpropagation_through_time(*given, steps=STEPS, eps=EPS)
    by_w, by_b = backward.dx_dw / forward.dx_dw - 1, backward.dx_db / forward.dx_db - 1
    return float(max(np.abs(by_w).max(), np.abs(by_b).max()))


def simulated_folds(rounds: int = 3, steps: int = 20_000) -> Array:
    """Return the biases at which the low and the high state stop holding the neuron, by running it on finer grids.

    Beyond a fold by m the neuron still takes about 6.6 / sqrt(m) steps past the place where the state was: 20,000 steps
    tell 1e-7 from a fold.
    """
    found = []
    for x0 in (0.0, 1.0):
        low, high = -2.9, -2.1
        for _ in range(rounds):
            grid = np.linspace(low, high, 65)
            end = dynamics.trajectory(x0, dynamics.WEIGHT, grid, steps=steps, eps=1.0)[-1]
            first = int(np.argmax(end > 0.5))
            low, high = grid[first - 1], grid[first]
        found.append((low + high) / 2)
    return np.array(found)


def shares(descent: dynamics.Descent) -> dict[str, float]:
    """Return how many of the paths were thrown, and how many ended in the valley, as shares; and the farthest move."""
    farthest = descent.moves.max(axis=0)
    return {
        "thrown": float((farthest > THROWN).mean()),
        "in_valley": float((descent.loss[-1] < IN_VALLEY).mean()),
        "farthest_move": float(farthest.max()),
        "median_farthest_move": float(np.median(farthest)),
        "largest_norm": float(descent.norm.max()),
        "median_final_loss": float(np.median(descent.loss[-1])),
    }


def summarise(measured: Measured) -> Result:
    """Turn what was measured into figures and checks."""
    plain = {steps: shares(descent) for steps, descent in measured.plain.items()}
    clipped = {steps: shares(descent) for steps, descent in measured.clipped.items()}
    off = np.abs(measured.simulated_folds - measured.folds).max()
    checks = [
        *(Check(f"fold at {b:g}", float(f), b - 1e-4, b + 1e-4) for b, f in zip(FOLDS, measured.folds, strict=True)),
        Check("folds: closed form against the neuron run", float(off), 0.0, 1e-5),
        Check("jump of the loss at b = -2.5", measured.jump, JUMP - 0.002, JUMP + 0.002),
        Check("loss just above b = -2.5", measured.above, 0.0, 1e-5),
        Check("dx(T)/db at the wall over its closed form", measured.wall_gradient, 1 - AGREEMENT, 1 + AGREEMENT),
        Check("forward against backward gradient", measured.disagreement, 0.0, AGREEMENT),
    ]
    rows = []
    for steps, free in plain.items():
        kept, at = clipped[steps], f"T = {steps}:"
        checks += [
            Check(f"{at} thrown, plain", free["thrown"], 0.15, 1.0),
            Check(f"{at} farthest move, clipped", kept["farthest_move"], 0.0, RATE * MAX_NORM + 1e-9),
            Check(f"{at} in the valley, clipped", kept["in_valley"], 0.98, 1.0),
            Check(f"{at} in the valley, clipped minus plain", kept["in_valley"] - free["in_valley"], 0.1, 1.0),
        ]
        for name, found in (("plain", free), (f"clipped to {MAX_NORM:g}", kept)):
            cells = [f"{100 * found['thrown']:.0f}", f"{100 * found['in_valley']:.0f}", f"{found['farthest_move']:.3g}"]
            rows.append([f"T = {steps}, {name}", *cells, f"{found['median_final_loss']:.1e}"])
    notes = [
        f"Folds at b = {measured.folds[0]:.8f} and {measured.folds[1]:.8f} (expected: {FOLDS[0]:g} and {FOLDS[1]:g}); "
        f"the neuron leaves a state within {off:.1e} of them. With T = {STEPS} and eps = {EPS:g} the loss falls by "
        f"{measured.jump:.4f} (expected: {JUMP:g}) from {BESIDE:g} below b = -2.5 to {BESIDE:g} above, where it is "
        f"{measured.above:.1e}. Gradients forward and backward in time differ by {measured.disagreement:.1e} at most.",
        f"{len(starts()[0])} starts beside the wall, rate {RATE:g}, {UPDATES} updates. Thrown: an update moved (w, b) "
        f"by more than {THROWN:g}. In the valley: a loss below {IN_VALLEY:g} at the end. The longer T, the narrower "
        "the wall, and the more updates leap over it unharmed.",
    ]
    figures = {
        "eps": EPS,
        "steps": STEPS,
        "folds": measured.folds,
        "simulated_folds": measured.simulated_folds,
        "jump": measured.jump,
        "loss_above": measured.above,
        "wall_gradient_over_closed_form": measured.wall_gradient,
        "forward_against_backward": measured.disagreement,
        "descents": {"plain": plain, "clipped": clipped},
    }
    headers = ["descent", "thrown %", "in the valley %", "farthest move", "median loss at the end"]
    return Result("doya-cliff", figures, checks, text_table(headers, rows), lambda: draw(measured), notes)


def draw(measured: Measured) -> Figure:
    """Draw equilibria, loss and gradient by bias, the loss surface, and one descent with and without clipping."""
    figure, panels = plots.subplots(2, 3, size=(11.0, 6.6))
    wall = dynamics.basin_boundary()
    dynamics.equilibria(wall, eps=EPS).plot(panels[0, 0]).legend(loc="lower right", fontsize="small")
    panels[0, 0].set(title=f"Equilibria, w = {dynamics.WEIGHT:g}", xlim=(-3.2, -1.6), xticks=np.arange(-3.2, -1.5, 0.4))
    draw_cliff(panels[0, 1], panels[0, 2], wall)
    place = panels[1, 0].get_subplotspec()
    panels[1, 0].remove()
    draw_surface(figure.add_subplot(place, projection="3d"))
    draw_descents(panels[1, 1], panels[1, 2], measured)
    figure.suptitle("One neuron in time: a cliff in the loss, and what clipping does there")
    return figure


def draw_cliff(left: Any, right: Any, wall: float) -> None:
    """Draw the loss over the bias, and the size of its gradient."""
    near = np.geomspace(1e-7, 0.6, 400)
    b = wall + np.concatenate([-near[::-1], [0.0], near])
    at = dynamics.cliff_loss(dynamics.WEIGHT, b, steps=STEPS, eps=EPS)
    left.plot(b, at.loss, color=plots.BLUE)
    left.set(xlabel="bias b", ylabel=f"L = ({dynamics.TARGET:g} − x(T))²", title=f"The loss, T = {STEPS}, ε = {EPS:g}")
    right.plot(b, np.abs(at.db), color=plots.BLUE)
    right.set(xlabel="bias b", ylabel="|∂L/∂b|", yscale="log", title="Its gradient", ylim=(1e-4, None))
    for axes in (left, right):
        for fold in FOLDS:
            axes.axvline(fold, color="gray", linestyle=":", linewidth=1)
    left.annotate("folds", (FOLDS[0], 0.3), (5, 0), textcoords="offset points", color="gray")


def draw_surface(axes: Any) -> None:
    """Draw the loss over weight and bias; lines of one distance from the wall keep its edge straight."""
    beside = np.concatenate([np.linspace(-0.6, -0.01, 12), np.linspace(-0.005, 0.005, 5), np.linspace(0.01, 0.9, 12)])
    w = np.linspace(4.4, 6.2, 13)[:, None]
    at = dynamics.cliff_loss(w, beside - w / 2, steps=SHOWN, eps=EPS)
    style: dict[str, Any] = {"cmap": "cividis", "edgecolor": "white", "linewidth": 0.2, "rcount": 40, "ccount": 40}
    axes.plot_surface(at.b, at.w, at.loss, **style)
    axes.set(xlabel="bias b", ylabel="weight w", zlabel="L", title=f"The loss surface, T = {SHOWN}")
    axes.set(xticks=[-3.5, -2.5, -1.5], yticks=[4.5, 5, 5.5, 6], zticks=[0, 0.2, 0.4, 0.6])
    axes.view_init(elev=28, azim=35)
    axes.set_box_aspect(None, zoom=0.9)


def draw_descents(left: Any, right: Any, measured: Measured) -> None:
    """Draw one start's path with and without clipping on the loss, and the loss of both by update."""
    plain, clipped = measured.plain[SHOWN], measured.clipped[SHOWN]
    thrown = plain.moves.max(axis=0) > THROWN
    away = np.hypot(plain.w[0] - 5.7, plain.b[0] + 2.6)
    start = int(np.argmin(np.where(thrown, away, np.inf) if thrown.any() else away))
    w, b = np.linspace(4.7, 6.1, 120), np.linspace(-3.2, -2.1, 160)
    at = dynamics.cliff_loss(w[:, None], b, steps=SHOWN, eps=EPS)
    levels = [0, 1e-4, 1e-3, 1e-2, 1e-1, 1]
    left.contourf(b, w, at.loss, levels, colors=["#ffffff", "#ececec", "#dadada", "#c8c8c8", "#8c8c8c"])
    left.plot(-w / 2, w, ":", color="black", linewidth=1, label="wall b = −w/2")
    for path, colour, name in ((clipped, plots.BLUE, f"clipped to {MAX_NORM:g}"), (plain, plots.ORANGE, "plain")):
        left.plot(path.b[:, start], path.w[:, start], "-", color=colour, linewidth=1.2, label=name)
        right.plot(path.loss[:, start], color=colour, linewidth=1.2, label=name)
    left.plot(plain.b[0, start], plain.w[0, start], "o", color="black", fillstyle="none", label="start")
    left.set(xlim=(b[0], b[-1]), ylim=(w[0], w[-1]), xlabel="bias b", ylabel="weight w")
    left.set_title("Descent at the wall; white: L < 10⁻⁴")
    left.legend(loc="lower left", fontsize="small", frameon=True, framealpha=1)
    right.set(yscale="log", xlabel="update", ylabel="L", title="The loss of both")
    right.legend(loc="upper right", bbox_to_anchor=(1.0, 0.72))
