"""The same statistics and the same doctor on models of other frameworks."""

from gradwell.watch.arrays import gradients
from gradwell.watch.torch_model import TorchWatch, torch
from gradwell.watch.watching import Watch

__all__ = ["TorchWatch", "Watch", "gradients", "torch"]
