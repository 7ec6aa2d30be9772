"""Nielsen, chapter 5: the gradient in a chain of neurons is a product, the one backpropagation finds.

One logistic neuron a layer: dC/db_1 = s'(z_1) w_2 s'(z_2) w_3 ... s'(z_n) dC/da_n with s' at most 1/4. The
product is formed factor by factor in NumPy and compared with what the compiled network's backward pass finds,
for every layer. Weights and biases are N(0, 1), everything is float64, and the cost is (a - y)^2 / 2.

M. Nielsen (2015), Neural Networks and Deep Learning, chapter 5, "What's causing the vanishing gradient
problem?".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell import reference
from gradwell.experiments.experiment import Check, Options, Result
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 20
LENGTHS: Final = (4, 40)
TOLERANCE: Final = 1e-12  # 40 layers of three roundings each, at 1.1e-16 a rounding, stay below 2e-14
INPUT, TARGET = 0.5, 0.25

Array = NDArray[np.float64]


class Chain(NamedTuple):
    """One chain: the factors of the product, and every layer's gradient by both ways."""

    weights: Array  # (n,) w_1 ... w_n
    derivatives: Array  # (n,) s'(z_1) ... s'(z_n)
    product: Array  # (n,) dC/db of each layer, multiplied out
    backward: Array  # (n,) dC/db of each layer, by backpropagation

    @property
    def error(self) -> float:
        """Largest relative difference between the two."""
        return float(np.max(np.abs(self.backward - self.product) / np.abs(self.product)))


def run(options: Options) -> Result:
    """Compare product and backpropagation on chains of 4 and 40 neurons."""
    seeds = options.seed_count(SEEDS)
    return summarise({length: [measure(length, seed) for seed in range(seeds)] for length in LENGTHS})


def measure(length: int, seed: int) -> Chain:
    """Build one chain and find its gradients both ways."""
    layers = [layer for _ in range(length) for layer in (gw.Dense(1, init="nielsen"), gw.Sigmoid())]
    net = gw.Network(layers, input_shape=1, seed=seed, dtype="float64")
    weights = np.array([net.parameters[f"{2 * i}.weight"].item() for i in range(length)])
    biases = np.array([net.parameters[f"{2 * i}.bias"].item() for i in range(length)])
    product = np.empty(length)
    derivatives = np.empty(length)
    activation = INPUT
    for i in range(length):
        z = weights[i] * activation + biases[i]
        activation = reference.sigmoid(np.array(z)).item()
        derivatives[i] = activation * (1 - activation)
    running = activation - TARGET  # dC/da_n
    for i in reversed(range(length)):
        running *= derivatives[i]
        product[i] = running
        running *= weights[i]
    output = net.forward(np.array([[INPUT]]))
    net.backward(output - TARGET)
    backward = np.array([net.gradients[f"{2 * i}.bias"].item() for i in range(length)])
    return Chain(weights, derivatives, product, backward)


def summarise(chains: dict[int, list[Chain]]) -> Result:
    """Turn the chains of each length into figures and checks."""
    checks, rows = [], []
    figures: dict[str, Any] = {}
    for length, found in chains.items():
        errors = [chain.error for chain in found]
        steepest = max(float(chain.derivatives.max()) for chain in found)
        shrunk = np.array([abs(chain.backward[0] / chain.backward[-1]) for chain in found])
        checks.append(Check(f"{length} neurons: relative error of backpropagation", max(errors), 0.0, TOLERANCE))
        checks.append(Check(f"{length} neurons: largest σ′", steepest, 0.0, 0.25))
        figures[str(length)] = {
            "chains": len(found),
            "largest_relative_error": max(errors),
            "largest_derivative": steepest,
            "first_over_last": {
                "smallest": shrunk.min(),
                "median": np.median(shrunk),
                "largest": shrunk.max(),
            },
        }
        cells = [f"{max(errors):.1e}", f"{steepest:.4f}", f"{np.median(shrunk):.1e}"]
        rows.append([str(length), *cells, f"{shrunk.min():.1e} … {shrunk.max():.1e}"])
    example = chains[LENGTHS[0]][0] if LENGTHS[0] in chains else next(iter(chains.values()))[0]
    headers = ["neurons", "relative error", "largest σ′", "|∂C/∂b₁| / |∂C/∂bₙ|", "smallest … largest"]
    worst = max(chain.error for found in chains.values() for chain in found)
    said = f"Published formula and backpropagation differ by at most {worst:.1e} (relative). One chain in full:"
    notes = [said, "", _factors(example)]
    return Result("neuron-chain", {"lengths": figures}, checks, text_table(headers, rows), lambda: draw(chains), notes)


def _factors(chain: Chain) -> str:
    """Write out the product of one chain, factor by factor."""
    rows = [["∂C/∂a", "", f"{chain.product[-1] / chain.derivatives[-1]:.6g}", ""]]
    running = chain.product[-1] / chain.derivatives[-1]
    for i in reversed(range(len(chain.weights))):
        running *= chain.derivatives[i]
        rows.append([f"σ′(z{i + 1})", f"{chain.derivatives[i]:.6g}", f"{running:.6g}", f"{chain.backward[i]:.6g}"])
        if i:
            running *= chain.weights[i]
            rows.append([f"w{i + 1}", f"{chain.weights[i]:.6g}", f"{running:.6g}", ""])
    return text_table(["factor", "value", "product so far", "∂C/∂b by backpropagation"], rows)


def draw(chains: dict[int, list[Chain]]) -> Figure:
    """Draw how the product shrinks from the last neuron to the first, for every chain."""
    figure, panels = plots.subplots(1, len(chains), size=(9.5, 4.2))
    for axes, (length, found) in zip(panels[0], chains.items(), strict=True):
        layers = np.arange(1, length + 1)
        for chain in found:
            relative = np.abs(chain.backward / chain.backward[-1])
            axes.plot(layers, relative, color=plots.BLUE, alpha=0.3, linewidth=1)
        middle = np.median([np.abs(chain.backward / chain.backward[-1]) for chain in found], axis=0)
        axes.plot(layers, middle, "o-", color=plots.BLUE, markersize=4, label="median of the chains")
        bound = 0.25 ** (length - layers)
        axes.plot(layers, bound, "--", color=plots.ORANGE, label="(1/4)ⁿ⁻ˡ, all weights 1")
        axes.set(yscale="log", xlabel="neuron l, first to last", title=f"{length} neurons")
        axes.set_xticks(layers if length < 10 else np.arange(0, length + 1, 10))
        axes.legend(loc="lower right")
    panels[0, 0].set_ylabel("|∂C/∂bₗ| / |∂C/∂bₙ|")
    figure.suptitle("The gradient in a chain of logistic neurons is a product of weights and derivatives")
    return figure
