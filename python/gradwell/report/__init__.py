"""How a gradient record is shown: in a terminal, live too, as figures, as a page, and in files for other programs."""

from gradwell.report.exports import export
from gradwell.report.line_figures import plot_clipping, plot_time_steps, plot_treatment
from gradwell.report.live import Live
from gradwell.report.map_figures import plot_gain_map, plot_histogram, plot_norm_map
from gradwell.report.page import html, write
from gradwell.report.plots import plot_norms
from gradwell.report.tensorboard import tensorboard
from gradwell.report.terminal import layer_table, text_table

__all__ = [
    "Live",
    "export",
    "html",
    "layer_table",
    "plot_clipping",
    "plot_gain_map",
    "plot_histogram",
    "plot_norm_map",
    "plot_norms",
    "plot_time_steps",
    "plot_treatment",
    "tensorboard",
    "text_table",
    "write",
]
