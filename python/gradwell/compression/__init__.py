"""Sequences made shorter by leaving out what can be predicted: the history compressor.

A recurrent net learns to predict the next symbol; only what it did not expect is handed to the net above, with the time
since the last such symbol, and nothing is lost (Schmidhuber, 1992).
"""

from gradwell.compression.compressor import HistoryCompressor
from gradwell.compression.history import CompressionHistory
from gradwell.compression.sequences import Compressed

__all__ = ["Compressed", "CompressionHistory", "HistoryCompressor"]
