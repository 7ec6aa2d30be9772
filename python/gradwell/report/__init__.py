"""How a gradient record is shown: as text in a terminal, and as figures."""

from gradwell.report.plots import plot_norms
from gradwell.report.terminal import layer_table, text_table

__all__ = ["layer_table", "plot_norms", "text_table"]
