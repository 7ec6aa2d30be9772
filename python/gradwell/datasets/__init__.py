"""Data to train on: built-in digits and tales, long-memory tasks, MNIST, and readers for IDX, CSV, NPZ and text files.

Only `digits` comes with the package as a file; `stories` and the tasks are made from a seed. Nothing is downloaded
unless ``download=True`` is written.
"""

from gradwell.datasets.digits import digits
from gradwell.datasets.idx import load_idx
from gradwell.datasets.mnist import mnist
from gradwell.datasets.pixels import pixel_mnist
from gradwell.datasets.rare import rare_symbols
from gradwell.datasets.sequences import adding, copy_memory, copy_memory_baseline, latch, temporal_order
from gradwell.datasets.stories import stories
from gradwell.datasets.tables import Dataset, load_csv, load_npz
from gradwell.datasets.text import Characters, character_windows, read_text

__all__ = [
    "Characters",
    "Dataset",
    "adding",
    "character_windows",
    "copy_memory",
    "copy_memory_baseline",
    "digits",
    "latch",
    "load_csv",
    "load_idx",
    "load_npz",
    "mnist",
    "pixel_mnist",
    "rare_symbols",
    "read_text",
    "stories",
    "temporal_order",
]
