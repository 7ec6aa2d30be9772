"""Curves for papers: gradients by time step, clipping, the effects of remedies. See `plots` for their style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradwell.clipping import ClipLedger
from gradwell.doctor.treatment import Treatment
from gradwell.doctor.trials import Trial
from gradwell.history import History
from gradwell.report.plots import BLACK, BLUE, GREEN, ORANGE, axes_or_new, check_record, draw_norms
from gradwell.statistics import GradientRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]


def plot_time_steps(
    record: GradientRecord,
    layer: int | str | None = None,
    quantities: Sequence[str] = ("hidden",),
    axes: Axes | None = None,
) -> Axes:
    """Draw a recurrent layer's gradients by step of the sequence: medians over the records, with their 10 to 90 %.

    Parameters
    ----------
    record
        From `gradwell.fit` or `gradwell.gradients`.
    layer
        Name or position; by default the only recurrent one.
    quantities
        As in `TimeRecord.norm`: "hidden", "cell" or the name of a gate.
    axes
        Where to draw; a new figure unless given.

    Raises
    ------
    ValueError
        No recurrent layer, no such quantity, or nothing recorded.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import gradwell as gw
    >>> net = gw.Network([gw.RNN(8), gw.Dense(1)], (20, 1), seed=0)
    >>> record = gw.gradients(net, np.ones((4, 20, 1)), np.zeros((4, 1)), loss="quadratic")
    >>> gw.report.plot_time_steps(record).get_xlabel()
    'step of the sequence'
    """
    check_record("plot_time_steps", record)
    time = record.time(layer)
    values = {quantity: time.norm(quantity) for quantity in quantities}
    axes, _ = axes_or_new(axes, (7.0, 4.0))
    for (name, norm), colour, line in zip(
        values.items(), (BLUE, ORANGE, GREEN, BLACK, BLUE), ("-", "--", "-.", ":", ":"), strict=False
    ):
        positive = np.where(norm > 0, norm, np.nan)
        low, middle, high = (_over_records(positive, share) for share in (10, 50, 90))
        axes.plot(middle, line, color=colour, label=name)
        if len(norm) > 1:
            axes.fill_between(np.arange(norm.shape[1]), low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set(yscale="log", xlabel="step of the sequence", ylabel=f"norm of the gradient, layer {time.layer}")
    if len(values) > 1:
        axes.legend(frameon=False)
    return axes


def plot_clipping(clipping: ClipLedger | History, axes: Axes | None = None) -> Axes:
    """Draw the norm of all gradients together before and after clipping, over the steps.

    Parameters
    ----------
    clipping
        ``history.clipping``, or the history.
    axes
        Where to draw; a new figure unless given.

    Raises
    ------
    TypeError, ValueError
        Something else; nothing was clipped or looked at.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 10], seed=0)
    >>> history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), clip=gw.clip_by_norm(0.5))
    >>> gw.report.plot_clipping(history).get_title()
    'clipped at 57 of 57 steps'
    """
    ledger = clipping.clipping if isinstance(clipping, History) else clipping
    if not isinstance(ledger, ClipLedger):
        raise TypeError(
            f"[plot_clipping] clipping is of type {type(clipping).__name__}; needs a ClipLedger or a History"
        )
    if not len(ledger):
        raise ValueError("[plot_clipping] the ledger is empty; fit with clip=... first")
    axes, _ = axes_or_new(axes, (7.5, 4.0))
    both = np.stack([ledger.before, ledger.after], axis=1)
    draw_norms(axes, ledger.steps, ["before clipping", "after"], both)
    axes.set(xlabel="step", ylabel="norm of all gradients together")
    axes.set_title(f"clipped at {int(ledger.clipped.sum()):,} of {len(ledger):,} steps")
    axes.legend(frameon=False)
    return axes


def plot_treatment(treatment: Treatment, axes: Axes | None = None) -> Axes:
    """Draw the loss of each remedy's trainings beside the untreated network's: a dot a seed, the mean and its spread.

    Parameters
    ----------
    treatment
        From `gradwell.treat`.
    axes
        Where to draw; a new figure unless given.

    Raises
    ------
    TypeError
        Something else.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, *[30] * 5, 10], activation="sigmoid", init="nielsen", seed=0)
    >>> cure = gw.treat(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), seeds=2, steps=100)
    >>> gw.report.plot_treatment(cure).get_yticklabels()[0].get_text()
    'untreated'
    """
    if not isinstance(treatment, Treatment):
        raise TypeError(
            f"[plot_treatment] treatment is of type {type(treatment).__name__}; needs what gw.treat returned"
        )
    tried = [treatment.untreated, *(trial for trial in treatment.trials if trial.skipped is None)]
    axes, matplotlib = axes_or_new(axes, (8.0, 1.4 + 0.42 * len(tried)))
    finite = [o.loss for trial in tried for o in trial.outcomes if np.isfinite(o.loss)]
    for row, trial in enumerate(tried):
        _draw_trial(axes, row, trial, trial is treatment.winner)
    if np.isfinite(treatment.untreated.loss):
        axes.axvline(treatment.untreated.loss, color=BLACK, linewidth=0.8, linestyle=":")
    if finite and min(finite) > 0 and max(finite) > 20 * min(finite):
        axes.set_xscale("log")
    axes.set_yticks(range(len(tried)), [t.remedy.name if t.remedy else "untreated" for t in tried])
    axes.set_ylim(len(tried) - 0.4, -0.6)
    axes.set(xlabel="loss of the last tenth of the steps (mean ± std)")
    axes.set_title(f"remedies against {treatment.finding.rule.replace('_', ' ')}")
    handles = [
        matplotlib.lines.Line2D([], [], color=colour, marker=marker, linestyle="", label=text)
        for colour, marker, text in ((GREEN, "o", "finding gone in most seeds"), (ORANGE, "x", "finding still there"))
    ]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, -0.16 * 5 / (1.4 + 0.42 * len(tried))),
        ncols=2,
        frameon=False,
    )
    return axes


def _draw_trial(axes: Axes, row: int, trial: Trial, best: bool) -> None:
    helped = trial.gone > 0.5
    colour, marker = (GREEN, "o") if helped else (ORANGE, "x")
    losses = np.array([outcome.loss for outcome in trial.outcomes])
    known = losses[np.isfinite(losses)]
    if not known.size:
        axes.annotate(
            "not finite", (0.5, row), xycoords=("axes fraction", "data"), ha="center", va="center", color=colour
        )
        return
    axes.plot(known, np.full(len(known), row), marker, color=colour, alpha=0.45, markersize=5, linestyle="")
    axes.errorbar(
        known.mean(),
        row,
        xerr=known.std(),
        fmt=marker,
        color=colour,
        markersize=8 if best else 6,
        capsize=3,
        linewidth=1.2,
    )
    if best:
        axes.annotate("best", (known.mean(), row), xytext=(0, 8), textcoords="offset points", ha="center", color=colour)


def _over_records(values: Array, share: float) -> Array:
    known = [column[~np.isnan(column)] for column in values.T]
    return np.array([np.percentile(column, share) if column.size else np.nan for column in known])
