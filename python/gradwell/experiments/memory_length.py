"""How far back the gradient of a recurrent layer reaches, before training and after a little of it.

Sequences of the adding problem of 200 steps, in its later form: the loss is read at the last step alone, so |dC/dh_t|
shows what each step's Jacobian does to it on the way back. A layer's memory is the number of steps over which the gains
of these Jacobians multiply to 1/e, or to 1 %. A plain tanh cell, a GRU, and LSTMs with a forget bias of 1 and of 5 are
measured as they start and after 200 updates. Beside them stands a relu cell with 0.9 times the identity and nothing
that could switch it off: its gradient falls by exactly 0.9 a step.

S. Hochreiter and J. Schmidhuber (1997), Long short-term memory. F. Gers, J. Schmidhuber and F. Cummins (2000), Learning
to forget: an LSTM remembers over about 1 / (1 - f) steps, with f = sigmoid(b) at the forget bias b.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.datasets import adding
from gradwell.experiments.experiment import Check, Options, Result, few_seeds
from gradwell.initializers import Identity
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS: Final = 5
STEPS: Final = 200
HIDDEN: Final = 32
SEQUENCES: Final = 10_000
UPDATES: Final = 200
LOOKED_AT: Final = 200
DECAY: Final = 0.9
FRACTIONS: Final = (math.exp(-1.0), 0.01)
CELLS: Final = ("rnn tanh", "gru", "lstm, forget bias 1", "lstm, forget bias 5")

Array = NDArray[np.float64]


class Measured(NamedTuple):
    """What was measured of one cell."""

    hidden: Array  # (seeds, 2, steps) |dC/dh_t| at the start and after training
    cell: Array  # (seeds, 2, steps) |dC/dc_t|, NaN where there is no cell
    memory: Array  # (seeds, 2, fractions)


def layer(name: str) -> Any:
    """Return the layer of a name in `CELLS`."""
    made = {
        "rnn tanh": gw.RNN(HIDDEN),
        "gru": gw.GRU(HIDDEN),
        "lstm, forget bias 1": gw.LSTM(HIDDEN, forget_bias=1.0),
        "lstm, forget bias 5": gw.LSTM(HIDDEN, forget_bias=5.0),
    }
    return made[name]


def run(options: Options, steps: int = STEPS, updates: int = UPDATES) -> Result:
    """Measure every cell at both moments, for every seed."""
    seeds = options.seed_count(SEEDS)
    x, y, _ = adding(SEQUENCES, steps, seed=1, variant="arjovsky")
    measured = {}
    with options.bar(len(CELLS) * seeds, "network") as bar:
        for name in CELLS:
            rows = []
            for seed in range(seeds):
                rows.append(before_and_after(layer(name), x, y, updates, seed))
                bar.update()
            measured[name] = Measured(*(np.array(part) for part in zip(*rows, strict=True)))
    return summarise(measured, closed_form(x[:LOOKED_AT]), updates)


def before_and_after(recurrent: Any, x: Any, y: Any, updates: int, seed: int) -> tuple[Array, Array, Array]:
    """Return |dC/dh_t|, |dC/dc_t| and memory of a layer at the start and after a short training."""
    net = gw.Network([recurrent, gw.Dense(1)], input_shape=x.shape[1:], seed=seed)
    looks = [look(net, x[:LOOKED_AT], y[:LOOKED_AT])]
    settings: dict[str, Any] = {"batch_size": 50, "epochs": 1 + updates * 50 // len(x), "max_steps": updates}
    settings |= {"clip": gw.clip_by_norm(1.0), "stats": False, "progress": False, "seed": seed}
    gw.fit(net, (x, y), loss="mean_squared_error", optimizer=gw.Adam(2e-3), **settings)
    looks.append(look(net, x[:LOOKED_AT], y[:LOOKED_AT]))
    hidden, cell, memory = (np.array(part) for part in zip(*looks, strict=True))
    return hidden, cell, memory


def look(net: gw.Network, x: Any, y: Any) -> tuple[Array, Array, Array]:
    """Return |dC/dh_t|, |dC/dc_t| and the memory by fraction, on one batch."""
    record = gw.gradients(net, x, y, loss="mean_squared_error").time(0)
    hidden = record.norm("hidden")[0]
    cell = record.norm("cell")[0] if "cell" in record.quantities else np.full_like(hidden, np.nan)
    return hidden, cell, np.array([record.memory(fraction)[0] for fraction in FRACTIONS])


def closed_form(x: Any) -> tuple[Array, Array]:
    """Return |dC/dh_t| and memory of a relu cell that multiplies its state by 0.9 and is never switched off.

    All inputs are 1, and weights and bias positive.
    """
    positive = gw.initializers.Constant(0.1)
    relu = gw.RNN(HIDDEN, activation="relu", init=positive, bias_init=positive, recurrent_init=Identity(DECAY))
    net = gw.Network([relu, gw.Dense(1)], input_shape=x.shape[1:], seed=0)
    hidden, _, memory = look(net, np.ones_like(x), np.zeros((len(x), 1)))
    return hidden, memory


def expected_memory(fraction: float) -> int:
    """Return after how many steps 0.9^k is at most a fraction."""
    return math.ceil(math.log(fraction) / math.log(DECAY))


def summarise(measured: dict[str, Measured], exact: tuple[Array, Array], updates: int) -> Result:
    """Turn gradients by step and memories into figures and checks."""
    seeds, _, steps = measured[CELLS[0]].hidden.shape
    decay = exact[0][:-1] / exact[0][1:]
    checks = []
    for fraction, found in zip(FRACTIONS, exact[1], strict=True):
        expected = float(expected_memory(fraction))
        checks.append(Check(f"relu, {DECAY:g} identity: steps to {label(fraction)}", float(found), expected, expected))
    checks.append(Check("relu: worst step against the factor", float(np.abs(decay / DECAY - 1).max()), 0.0, 1e-4))
    for moment, when in enumerate(("start", "trained")):
        norms = {name: of.hidden[:, moment] for name, of in measured.items()}
        left = {name: np.median(norm[:, 0] / norm[:, -1]) for name, norm in norms.items()}
        memory = {name: np.median(np.minimum(of.memory[:, moment, 1], steps)) for name, of in measured.items()}
        for name in CELLS[2:]:
            more = float(np.log10(left[name] / left["rnn tanh"]))
            checks.append(Check(f"{when}: powers of ten more at step 0, {name} over rnn", more, 1.0, math.inf))
            longer = float(memory[name] / memory["rnn tanh"])
            if when == "start":
                checks.append(Check(f"{when}: steps to 1 %, {name} over rnn", longer, 1.2, math.inf))
    rows = [table_row(name, found) for name, found in measured.items()]
    remains = f"{exact[0][0] / exact[0][-1]:.1e}"
    rows.append([f"relu, {DECAY:g} identity", *(f"{value:.0f}" for value in exact[1]), "", "", remains, ""])
    headers = ["cell", "1/e", "1 %", "1/e trained", "1 % trained", "|dC/dh_0|/|dC/dh_T|", "trained"]
    notes = [
        f"Medians of the seeds; memories in steps, of {steps}; inf: the gradient did not fall so far. {HIDDEN} units, "
        f"{updates} updates with Adam. Expected of a relu cell with {DECAY:g} times the identity: "
        f"{expected_memory(FRACTIONS[0])} and {expected_memory(FRACTIONS[1])} steps. Of an LSTM whose gates do not "
        f"depend on its state yet: 1/(1 - f), {1 + math.e:.1f} steps with a forget bias of 1 and {1 + math.exp(5):.0f} "
        "with 5.",
        "Expected, and not found: that an LSTM has the longer memory than a plain cell by all these lengths. The plain "
        "cell starts from an orthogonal matrix and keeps most of the gradient over its first steps back; in the LSTM "
        "much of it is lost within one or two steps, on the way from the state into the cell, and the rest then fades "
        "slowly. So the LSTM is always sooner at 1/e, after the short training at 1 % as well, and yet far more of the "
        "gradient arrives at step 0.",
        *few_seeds(seeds, SEEDS),
    ]
    figures = {
        "seeds": seeds,
        "steps": steps,
        "updates": updates,
        "fractions": FRACTIONS,
        "cells": {name: found._asdict() for name, found in measured.items()},
        "relu": {"hidden": exact[0], "memory": exact[1], "expected": [expected_memory(f) for f in FRACTIONS]},
    }
    table = text_table(headers, rows)
    return Result("memory-length", figures, checks, table, lambda: draw(measured, exact[0]), notes)


def label(fraction: float) -> str:
    """Return a fraction as people write it."""
    return "1/e" if fraction == FRACTIONS[0] else f"{100 * fraction:g} %"


def table_row(name: str, found: Measured) -> list[str]:
    """Return a cell's medians: memories at both moments, then what is left at the first step."""
    memory = np.median(found.memory, axis=0)
    left = np.median(found.hidden[:, :, 0] / found.hidden[:, :, -1], axis=0)
    return [name, *(f"{value:.0f}" for value in memory.ravel()), *(f"{value:.1e}" for value in left)]


def draw(measured: dict[str, Measured], relu: Array) -> Figure:
    """Draw the gradient of state and cell by step, at the start and after training."""
    figure, panels = plots.subplots(1, 3, size=(11.5, 4.2), sharey=True)
    colours = (plots.ORANGE, plots.PURPLE, plots.GREEN, plots.BLUE)
    for moment, title in enumerate(("|∂C/∂h_t| at the start", "|∂C/∂h_t| after a short training")):
        for (name, found), colour in zip(measured.items(), colours, strict=True):
            draw_norms(panels[0, moment], found.hidden[:, moment], colour, name)
        panels[0, moment].set_title(title)
    draw_norms(panels[0, 0], relu[None], plots.BLACK, f"relu, {DECAY:g} identity", "--")
    for name, colour in zip(CELLS[2:], colours[2:], strict=True):
        for moment, (style, when) in enumerate(((":", "start"), ("-", "trained"))):
            draw_norms(panels[0, 2], measured[name].cell[:, moment], colour, f"{name[6:]}, {when}", style)
    panels[0, 2].set_title("|∂C/∂c_t| of the LSTMs")
    panels[0, 0].set(ylim=(1e-12, 1e3), ylabel="norm, at the last step 1")
    for axes in panels[0]:
        axes.set(xlabel="step t of the sequence", yscale="log")
    panels[0, 0].legend(loc="lower right", fontsize="small")
    panels[0, 2].legend(loc="lower right", fontsize="small")
    figure.suptitle("How far back the gradient reaches")
    return figure


def draw_norms(axes: Any, norms: Array, colour: str, name: str, style: str = "-") -> None:
    """Draw the median of the seeds' norms, each over its last step's, and their range."""
    scaled = norms / norms[:, -1:]
    scaled = np.where(scaled > 0, scaled, np.nan)
    steps = np.arange(norms.shape[1])
    axes.plot(steps, np.median(scaled, axis=0), style, color=colour, linewidth=1.6, label=name)
    axes.fill_between(steps, scaled.min(axis=0), scaled.max(axis=0), color=colour, alpha=0.12, linewidth=0)
