"""One neuron in time: its equilibria, and the gradient of where it ends.

The state x follows x' = (1 - eps) x + eps (sigma(w x + b) + w_in u), sigma the logistic function and 0 < eps <= 1 the
share of the state renewed in a step. With w > 4 there are biases with two stable states, and x(0) ends in one or the
other: between them the final state has a cliff, and its gradient there is a product of T equal factors above 1.

K. Doya (1993), Bifurcations of recurrent neural networks in gradient descent learning. R. Pascanu, T. Mikolov and
Y. Bengio (2013), On the difficulty of training recurrent neural networks.
"""

from gradwell.theory.dynamics.cliff import CliffLoss, Descent, cliff_loss, descend
from gradwell.theory.dynamics.equilibria import Equilibria, Folds, basin_boundary, equilibria, equilibrium_bias, folds
from gradwell.theory.dynamics.neuron import EPS, START, STEPS, TARGET, WEIGHT
from gradwell.theory.dynamics.trajectories import (
    FinalState,
    backpropagation_through_time,
    forward_sensitivity,
    trajectory,
)

__all__ = [
    "EPS",
    "START",
    "STEPS",
    "TARGET",
    "WEIGHT",
    "CliffLoss",
    "Descent",
    "Equilibria",
    "FinalState",
    "Folds",
    "backpropagation_through_time",
    "basin_boundary",
    "cliff_loss",
    "descend",
    "equilibria",
    "equilibrium_bias",
    "folds",
    "forward_sensitivity",
    "trajectory",
]
