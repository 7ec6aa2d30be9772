"""The same statistics and the same doctor on models of other frameworks."""

from gradwell.watch.arrays import gradients
from gradwell.watch.optax_rule import OptaxWatch, optax
from gradwell.watch.torch_model import TorchWatch, torch
from gradwell.watch.watching import Watch

__all__ = ["OptaxWatch", "TorchWatch", "Watch", "gradients", "optax", "torch"]
