"""How a compressor's history is shown: a table, and a figure."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwell.compression.history import CompressionHistory


def table(history: CompressionHistory) -> str:
    """Return a line for each level, aligned under its headers."""
    rows = [["level", "mean length", "longest", "goes up", "predictor's loss"]]
    for level, (mean, longest) in enumerate(zip(history.mean_length, history.max_length, strict=True)):
        share, loss = "-", "-"
        if level < history.levels:
            curve = history.predictors[level].loss
            share, loss = f"{history.unexpected[level]:.1%}", f"{curve[0]:.3g} to {curve[-1]:.3g}"
        rows.append([str(level), f"{mean:.1f}", str(longest), share, loss])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    lines.append(f"No further level: {history.stopped}.")
    if history.classifier is not None:
        curve, right = history.classifier.loss, history.classifier.metrics["accuracy"]
        lines.append(f"Classifier: loss {curve[0]:.3g} to {curve[-1]:.3g}, accuracy {right[-1]:.1%} while it trained.")
    return "\n".join(lines)


def draw(history: CompressionHistory) -> Any:
    """Draw the length by level and, where there were labels, |dC/dh_t| raw and compressed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('plots need matplotlib: pip install "gradwell[plot]"') from None
    panels = 1 + bool(history.fresh)
    figure = Figure(figsize=(4.6 * panels, 3.8), dpi=150, layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    levels = np.arange(len(history.mean_length))
    axes[0].plot(levels, history.mean_length, "o-", color="#0072B2", label="mean")
    axes[0].plot(levels, history.max_length, "s--", color="#D55E00", label="longest")
    axes[0].set(xlabel="level", ylabel="symbols of a sequence", yscale="log", title="What is left", xticks=levels)
    axes[0].legend(frameon=False)
    for kind, colour, marker in (("raw", "#D55E00", ""), ("compressed", "#0072B2", "o")):
        if kind in history.fresh:
            norms = history.fresh[kind]
            back = np.arange(len(norms) - 1, -1, -1)
            shown = np.where(norms > 0, norms, np.nan)
            axes[1].plot(back, shown, color=colour, marker=marker, label=f"{kind}, {len(norms)} steps")
    if history.fresh:
        axes[1].set(xlabel="steps before the answer", ylabel="‖∂C/∂h_t‖", yscale="log", title="Before training")
        axes[1].invert_xaxis()
        axes[1].legend(frameon=False)
    for panel in axes:
        panel.grid(color="#e4e4e4", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    return figure
