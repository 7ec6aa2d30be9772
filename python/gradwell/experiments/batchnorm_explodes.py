"""Yang et al.: without skip connections, batch normalisation of relu layers makes the gradient explode.

40 layers of 500 relu units behind batch normalisation, He weights, standard normal inputs. The squared norm of the
error signal grows from layer to layer on its way back by pi / (pi - 1) = 1.467 in the limit of large batches and
widths, and faster for small batches. As residual blocks the same layers grow it no more than a little.

G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein, S. Schoenholz (2019), A mean field theory of batch normalization.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.experiments.experiment import Check, Options, Result, few_seeds
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 5
DEPTH: Final = 40
WIDTH: Final = 500
LIMIT: Final = math.pi / (math.pi - 1)
EXPECTED: Final = {8: 1.72, 32: 1.45, 256: 1.405}  # squared growth a layer of networks of this size
TOLERANCE: Final = 0.03
RESIDUAL_LIMIT: Final = 1.15

Array = NDArray[np.float64]
Norms = Mapping[tuple[str, int], Array]  # kind and batch: (seeds, layers) norms, first to last


def run(options: Options) -> Result:
    """Measure the error signals of plain and residual networks at three batch sizes."""
    seeds = options.seed_count(SEEDS)
    norms = {}
    with options.bar(2 * len(EXPECTED) * seeds, "network") as bar:
        for kind in ("plain", "residual"):
            for batch in EXPECTED:
                rows = []
                for seed in range(seeds):
                    rows.append(measure(kind, batch, seed))
                    bar.update()
                norms[kind, batch] = np.array(rows)
    return summarise(norms)


def network(kind: str, seed: int) -> gw.Network:
    """Return 40 layers of batch-normalised relu units, plain or each with a skip connection around it."""
    unit = (gw.Dense(WIDTH, use_bias=False, init="he"), gw.BatchNorm(), gw.ReLU())
    layers: list[Any] = [gw.Residual(*unit)] * DEPTH if kind == "residual" else list(unit) * DEPTH
    return gw.Network([*layers, gw.Dense(10)], input_shape=WIDTH, seed=seed)


def measure(kind: str, batch: int, seed: int) -> Array:
    """Return the norms of the error signals, first layer first: behind the weight, or of what a block hands on."""
    rng = np.random.default_rng([seed, batch])
    x, y = rng.normal(size=(batch, WIDTH)), rng.integers(0, 10, batch)
    record = gw.gradients(network(kind, seed), x, y, loss="softmax_cross_entropy")
    stage = "dense" if kind == "plain" else "residual"
    at = [i for i, description in enumerate(record.descriptions) if description == stage][:DEPTH]
    return np.asarray(record.norm("error")[0, at])


def growth(norms: Array) -> float:
    """Return the squared growth a layer: geometric mean over layers and seeds."""
    ratios = np.log(norms[:, 0] / norms[:, -1]) * 2 / (norms.shape[1] - 1)
    return float(np.exp(ratios.mean()))


def summarise(norms: Norms) -> Result:
    """Turn norms, (seeds, layers) for each kind and batch, into figures and checks."""
    checks, rows, figures = [], [], {}
    for batch, expected in EXPECTED.items():
        plain, residual = growth(norms["plain", batch]), growth(norms["residual", batch])
        low, high = expected * (1 - TOLERANCE), expected * (1 + TOLERANCE)
        checks.append(Check(f"batch {batch}: squared growth a layer", plain, low, high))
        checks.append(Check(f"batch {batch}: squared growth of a residual block", residual, 0.9, RESIDUAL_LIMIT))
        total = float(np.median(norms["residual", batch][:, 0] / norms["residual", batch][:, -1]))
        rows.append([str(batch), f"{expected:.3f}", f"{plain:.3f}", f"{residual:.3f}", f"{total:.1f}"])
        figures[str(batch)] = {"expected": expected, "plain": plain, "residual": residual, "residual_total": total}
    expected_limit = gw.forecast(network("plain", 0)).error
    forecast = float((expected_limit[2] / expected_limit[2 * DEPTH - 4]) ** (2 / (DEPTH - 3)))
    checks.append(Check("forecast: squared growth a layer", forecast, LIMIT * 0.98, LIMIT * 1.02))
    seeds = len(norms["plain", 256])
    notes = [
        f"In the limit of large batches theory says π / (π − 1) = {LIMIT:.3f}; gw.forecast of these networks says "
        f"{forecast:.3f}. Over {DEPTH} layers that is a factor {LIMIT ** (DEPTH / 2):.1e} on the norm.",
        *few_seeds(seeds, SEEDS),
    ]
    headers = ["batch", "expected growth²", "measured", "with skip connections", "over all blocks"]
    data: dict[str, Any] = {"seeds": seeds, "depth": DEPTH, "width": WIDTH, "batches": figures, "forecast": forecast}
    return Result("batchnorm-explodes", data, checks, text_table(headers, rows), lambda: draw(norms), notes)


def draw(norms: Norms) -> Figure:
    """Draw the norms by layer over the last layer's, plain and residual."""
    figure, panels = plots.subplots(1, 2, size=(9.5, 4.2), sharey=True)
    titles = {"plain": "dense, batch norm, relu", "residual": "the same with skip connections"}
    for axes, (kind, title) in zip(panels[0], titles.items(), strict=True):
        for batch, colour in zip(EXPECTED, plots.shades(len(EXPECTED)), strict=True):
            values = np.median(norms[kind, batch], axis=0)
            axes.plot(np.arange(1, len(values) + 1), values / values[-1], color=colour, label=f"batch {batch}")
        layers = np.arange(1, DEPTH + 1)
        if kind == "plain":
            axes.plot(layers, LIMIT ** ((DEPTH - layers) / 2), "--", color=plots.ORANGE, label="(π / (π − 1))^(n/2)")
        axes.set(yscale="log", xlabel="layer, first to last", title=title)
        axes.legend(loc="upper right")
    panels[0, 0].set_ylabel("‖δ‖ / ‖δ of the last layer‖")
    figure.suptitle(f"Batch normalisation lets the gradient explode, {DEPTH} layers of {WIDTH} units")
    return figure
