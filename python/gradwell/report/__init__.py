"""How a gradient record is shown: as text in a terminal, as figures, and as a page."""

from gradwell.report.page import html, write
from gradwell.report.plots import plot_norms
from gradwell.report.terminal import layer_table, text_table

__all__ = ["html", "layer_table", "plot_norms", "text_table", "write"]
