"""Every compiled kernel as a typed function on NumPy arrays.

Arrays are float32 or float64, all of one call alike; any strides are read, results are new C-contiguous arrays.
Bad input raises ValueError or TypeError that names the operation, the argument and the values. Denormal numbers
count as zero inside a kernel. Each function has its plain counterpart in `gradwell.reference`.
"""

from gradwell.kernels.activation import (
    ACTIVATIONS,
    activation_backward,
    activation_derivative,
    activation_forward,
    prelu_backward,
    prelu_forward,
)
from gradwell.kernels.batchnorm import batchnorm_backward, batchnorm_forward
from gradwell.kernels.boltzmann import (
    boltzmann_conditional,
    boltzmann_free_energy,
    boltzmann_pseudo_likelihood,
    boltzmann_update,
)
from gradwell.kernels.clipping import clip_adaptive, clip_by_norm, clip_by_value, max_norm
from gradwell.kernels.dense import dense_backward, dense_forward
from gradwell.kernels.dropout import dropout_forward
from gradwell.kernels.elementary import exp, log, sigmoid, tanh
from gradwell.kernels.layernorm import layernorm_backward, layernorm_forward
from gradwell.kernels.loss import (
    LOSSES,
    mean_squared_error,
    quadratic,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from gradwell.kernels.optimizers import (
    adagrad_update,
    adam_update,
    momentum_update,
    rmsprop_update,
    rprop_update,
    sgd_update,
)
from gradwell.kernels.recurrent import (
    GRUGradients,
    LSTMGradients,
    RNNGradients,
    gru_backward,
    gru_forward,
    gru_step,
    lstm_backward,
    lstm_forward,
    lstm_step,
    rnn_backward,
    rnn_forward,
    rnn_step,
)
from gradwell.kernels.statistics import GradientStatistics, gradient_statistics

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "GRUGradients",
    "GradientStatistics",
    "LSTMGradients",
    "RNNGradients",
    "activation_backward",
    "activation_derivative",
    "activation_forward",
    "adagrad_update",
    "adam_update",
    "batchnorm_backward",
    "batchnorm_forward",
    "boltzmann_conditional",
    "boltzmann_free_energy",
    "boltzmann_pseudo_likelihood",
    "boltzmann_update",
    "clip_adaptive",
    "clip_by_norm",
    "clip_by_value",
    "dense_backward",
    "dense_forward",
    "dropout_forward",
    "exp",
    "gradient_statistics",
    "gru_backward",
    "gru_forward",
    "gru_step",
    "layernorm_backward",
    "layernorm_forward",
    "log",
    "lstm_backward",
    "lstm_forward",
    "lstm_step",
    "max_norm",
    "mean_squared_error",
    "momentum_update",
    "prelu_backward",
    "prelu_forward",
    "quadratic",
    "rmsprop_update",
    "rnn_backward",
    "rnn_forward",
    "rnn_step",
    "rprop_update",
    "sgd_update",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "tanh",
]
