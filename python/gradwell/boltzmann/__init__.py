"""Restricted Boltzmann machines, stacks of them, and their partition function.

A machine learns the distribution of its visible units without labels; a deep belief net is a stack of machines, each
trained on what the one below makes of the data (Hinton, Osindero, Teh, 2006).
"""

from gradwell.boltzmann.belief_net import DBN, DBNHistory
from gradwell.boltzmann.history import RBMHistory
from gradwell.boltzmann.machine import RBM
from gradwell.boltzmann.partition import LogPartition

__all__ = ["DBN", "RBM", "DBNHistory", "LogPartition", "RBMHistory"]
