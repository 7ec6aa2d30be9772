"""Every activation function with its derivative and the largest value the derivative takes.

The derivative is what backpropagation multiplies by at every layer. For the logistic function it is at most
1/4 (Nielsen, chapter 5), so a chain of logistic layers shrinks a gradient unless its weights make up for it.

Largest |f'| in closed form: sigmoid 1/4 at 0; tanh, relu, softplus (towards infinity) and the linear parts 1;
selu 1.0507 * 1.6733 just below 0; silu 1.0998 at 2.3994; gelu Phi(sqrt 2) + sqrt(2) phi(sqrt 2) at sqrt 2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell import kernels
from gradwell.experiments.experiment import Check, Options, Result
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GELU = 0.5 * (1 + math.erf(1.0)) + math.exp(-1.0) / math.sqrt(math.pi)
# Largest |f'| of each; the tolerance is how far a grid point may be from where it is taken.
BOUNDS: Final = {
    "identity": 1.0,
    "sigmoid": 0.25,
    "tanh": 1.0,
    "relu": 1.0,
    "leaky_relu": 1.0,
    "elu": 1.0,
    "selu": 1.0507009873554805 * 1.6732632423543772,
    "softplus": 1.0,
    "silu": 1.0998393194,
    "gelu": _GELU,
}
TOLERANCE: Final = 1e-8
SLOPE_TOLERANCE: Final = 1e-8
_KINKED = (
    "relu",
    "leaky_relu",
    "selu",
    "elu",
)  # no central difference across 0: elu's second derivative jumps

Array = NDArray[np.float64]


def run(options: Options) -> Result:
    """Measure the largest derivative of every activation, and each derivative against a difference quotient."""
    if options.seeds is not None:
        raise ValueError("[reproduce] activation-derivatives has nothing random; leave --seeds out")
    return summarise({name: measure(name) for name in BOUNDS})


def measure(name: str) -> dict[str, float]:
    """Return where |f'| is largest, that value, and how far f' is from a central difference of f."""
    x = np.concatenate([np.linspace(-40, 40, 800_001), [0.0, -1e-9, 1e-9, math.sqrt(2), 2.3993572805]])
    slope = np.abs(kernels.activation_derivative(x, name))
    place = int(np.argmax(slope))
    step = 6e-6  # cube root of the rounding error: balances the two errors of a central difference
    middle = np.linspace(-8, 8, 4001)
    if name in _KINKED:
        middle = middle[np.abs(middle) > step]
    forward, back = (kernels.activation_forward(middle + sign * step, name) for sign in (1, -1))
    difference = np.abs((forward - back) / (2 * step) - kernels.activation_derivative(middle, name))
    return {"at": float(x[place]), "largest": float(slope[place]), "difference": float(difference.max())}


def summarise(measured: dict[str, dict[str, float]]) -> Result:
    """Turn the measured values into figures and checks."""
    checks, rows = [], []
    figures: dict[str, Any] = {}
    for name, found in measured.items():
        bound = BOUNDS[name]
        checks.append(Check(f"{name}: largest |f′|", found["largest"], bound - TOLERANCE, bound + TOLERANCE))
        checks.append(Check(f"{name}: f′ against a difference quotient", found["difference"], 0.0, SLOPE_TOLERANCE))
        figures[name] = {"bound": bound, **found}
        largest, place, difference = found["largest"], found["at"], found["difference"]
        rows.append([name, f"{bound:.6f}", f"{largest:.6f}", f"{place:.3g}", f"{difference:.0e}"])
    headers = ["activation", "sup |f′|", "measured", "at x", "f′ − difference quotient"]
    quarter = measured["sigmoid"]["largest"]
    note = f"The derivative of a logistic layer leaves at most {quarter:.4f} of the error signal."
    return Result("activation-derivatives", {"activations": figures}, checks, text_table(headers, rows), draw, [note])


def draw() -> Figure:
    """Draw every activation and its derivative, a small panel each."""
    columns = 5
    rows = -(-len(BOUNDS) // columns)
    figure, panels = plots.subplots(rows, columns, size=(11, 2.5 * rows), sharex=True, sharey=True)
    x = np.linspace(-4, 4, 1601)
    for axes, name in zip(panels.flat, BOUNDS, strict=False):
        slope = kernels.activation_derivative(x, name)
        slope[1:][np.abs(np.diff(slope)) > 0.2] = np.nan  # a jump is not joined up
        axes.axhline(0, color="#bbbbbb", linewidth=0.8)
        axes.plot(x, kernels.activation_forward(x, name), color=plots.BLUE, label="f")
        axes.plot(x, slope, "--", color=plots.ORANGE, label="f′")
        axes.set(title=name, ylim=(-2, 3), xticks=(-4, -2, 0, 2, 4))
        if name == "sigmoid":
            axes.plot(0, 0.25, "o", color=plots.BLACK, markersize=4)
            axes.annotate("σ′(0) = 1/4", (0, 0.25), (-3.7, 1.6), arrowprops={"arrowstyle": "-", "linewidth": 0.7})
    panels[0, 0].legend(loc="upper left")
    for axes in panels[-1]:
        axes.set_xlabel("x")
    figure.suptitle("Activations and their derivatives: what backpropagation multiplies by at each layer")
    return figure
