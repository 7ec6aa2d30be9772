"""Plain float64 oracle of every kernel: slow, obvious, and never used in training.

Each function has the name and arguments of its kernel in `gradwell.kernels`, computes in float64 and checks
nothing. Complex input serves complex-step differentiation (Squire and Trapp, 1998), f'(x) = Im f(x + ih) / h
without cancellation, so branches look at the real part only.
"""

from gradwell.reference.activation import (
    ACTIVATIONS,
    SELU_ALPHA,
    SELU_SCALE,
    activation_backward,
    activation_derivative,
    activation_forward,
    prelu_backward,
    prelu_forward,
)
from gradwell.reference.batchnorm import batchnorm_backward, batchnorm_forward
from gradwell.reference.boltzmann import (
    boltzmann_conditional,
    boltzmann_free_energy,
    boltzmann_log_partition,
    boltzmann_pseudo_likelihood,
    boltzmann_states,
    boltzmann_update,
)
from gradwell.reference.clipping import clip_adaptive, clip_by_norm, clip_by_value, max_norm
from gradwell.reference.dense import dense_backward, dense_forward
from gradwell.reference.dropout import dropout_forward, philox
from gradwell.reference.elementary import exp, log, sigmoid, tanh
from gradwell.reference.layernorm import layernorm_backward, layernorm_forward
from gradwell.reference.loss import mean_squared_error, quadratic, sigmoid_cross_entropy, softmax_cross_entropy
from gradwell.reference.optimizers import (
    adagrad_update,
    adam_update,
    momentum_update,
    rmsprop_update,
    rprop_update,
    sgd_update,
)
from gradwell.reference.recurrent import (
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
from gradwell.reference.recurrent_norm import lstm_norm_forward
from gradwell.reference.statistics import gradient_statistics

__all__ = [
    "ACTIVATIONS",
    "SELU_ALPHA",
    "SELU_SCALE",
    "activation_backward",
    "activation_derivative",
    "activation_forward",
    "adagrad_update",
    "adam_update",
    "batchnorm_backward",
    "batchnorm_forward",
    "boltzmann_conditional",
    "boltzmann_free_energy",
    "boltzmann_log_partition",
    "boltzmann_pseudo_likelihood",
    "boltzmann_states",
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
    "lstm_norm_forward",
    "lstm_step",
    "max_norm",
    "mean_squared_error",
    "momentum_update",
    "philox",
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
