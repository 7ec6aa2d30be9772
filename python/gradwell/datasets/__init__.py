"""Data to train on: a small built-in set, MNIST, and readers for IDX, CSV and NPZ files.

Only `digits` comes with the package. Nothing is downloaded unless ``download=True`` is written.
"""

from gradwell.datasets.digits import digits
from gradwell.datasets.idx import load_idx
from gradwell.datasets.mnist import mnist
from gradwell.datasets.tables import Dataset, load_csv, load_npz

__all__ = ["Dataset", "digits", "load_csv", "load_idx", "load_npz", "mnist"]
