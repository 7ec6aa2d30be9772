"""gradwell trains deep networks fast on a CPU and shows every layer's gradient while they train."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradwell import startup  # before all else: it tells a failing import apart

# isort: split
from gradwell import kernels, schedules
from gradwell._core import build_info, num_threads, set_num_threads
from gradwell.callbacks import Callback, Checkpoint, EarlyStopping
from gradwell.clipping import (
    Amplify,
    adaptive_clip,
    auto_clip,
    clip_by_layer_norm,
    clip_by_norm,
    clip_by_value,
    z_clip,
)
from gradwell.devices import cuda_info, kernels_on, set_cuda_precision
from gradwell.gradients import gradients
from gradwell.history import History
from gradwell.initializing import initialize
from gradwell.layers import (
    ELU,
    GELU,
    GRU,
    LSTM,
    RNN,
    SELU,
    Activation,
    BatchNorm,
    Bidirectional,
    ConvLSTM,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    LayerNorm,
    LeakyReLU,
    PReLU,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from gradwell.mlp import mlp
from gradwell.network import Network
from gradwell.nonfinite import NonFiniteError
from gradwell.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, Rprop
from gradwell.regularizers import L1, L1L2, L2, ClipWeights, MaxNorm
from gradwell.statistics import GradientRecord
from gradwell.time_record import TimeRecord
from gradwell.training import fit

if TYPE_CHECKING:
    from gradwell import boltzmann, callbacks, datasets, doctor, initializers, reference, search, theory, watch
    from gradwell.boltzmann import DBN, RBM
    from gradwell.compression import HistoryCompressor
    from gradwell.doctor import compare, diagnose, treat
    from gradwell.generation import generate
    from gradwell.pretraining import pretrain
    from gradwell.runs import load_run, save_run
    from gradwell.storage import load
    from gradwell.theory import forecast

__version__ = build_info()["version"]

_FROM = {
    "DBN": "gradwell.boltzmann",
    "HistoryCompressor": "gradwell.compression",
    "RBM": "gradwell.boltzmann",
    "compare": "gradwell.doctor",
    "diagnose": "gradwell.doctor",
    "forecast": "gradwell.theory",
    "generate": "gradwell.generation",
    "load": "gradwell.storage",
    "load_run": "gradwell.runs",
    "pretrain": "gradwell.pretraining",
    "save_run": "gradwell.runs",
    "treat": "gradwell.doctor",
}
_ON_DEMAND = (
    "boltzmann",
    "datasets",
    "doctor",
    "experiments",
    "reference",
    "report",
    "search",
    "sklearn",
    "theory",
    "watch",
)

__all__ = [
    "DBN",
    "ELU",
    "GELU",
    "GRU",
    "L1",
    "L1L2",
    "L2",
    "LSTM",
    "RBM",
    "RNN",
    "SELU",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Amplify",
    "BatchNorm",
    "Bidirectional",
    "Callback",
    "Checkpoint",
    "ClipWeights",
    "ConvLSTM",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "Flatten",
    "GradientRecord",
    "History",
    "HistoryCompressor",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "MaxNorm",
    "Network",
    "NonFiniteError",
    "PReLU",
    "RMSprop",
    "ReLU",
    "Residual",
    "Rprop",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "TimeRecord",
    "__version__",
    "adaptive_clip",
    "auto_clip",
    "boltzmann",
    "build_info",
    "callbacks",
    "clip_by_layer_norm",
    "clip_by_norm",
    "clip_by_value",
    "compare",
    "cuda_info",
    "datasets",
    "diagnose",
    "doctor",
    "fit",
    "forecast",
    "generate",
    "gradients",
    "initialize",
    "initializers",
    "kernels",
    "kernels_on",
    "load",
    "load_run",
    "mlp",
    "num_threads",
    "pretrain",
    "reference",
    "save_run",
    "schedules",
    "search",
    "set_cuda_precision",
    "set_num_threads",
    "theory",
    "treat",
    "watch",
    "z_clip",
]


def __getattr__(name: str) -> Any:
    """Import the larger parts when they are first asked for: `import gradwell` costs little more than NumPy."""
    if name in _FROM:
        return getattr(import_module(_FROM[name]), name)
    if name in _ON_DEMAND:
        return import_module(f"gradwell.{name}")
    raise AttributeError(f"module 'gradwell' has no attribute '{name}'")
