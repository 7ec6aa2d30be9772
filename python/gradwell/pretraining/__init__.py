"""Greedy layer-wise pre-training: each hidden layer learns from what those below make of the data.

By restricted Boltzmann machines (Hinton, Osindero, Teh, 2006), denoising autoencoders (Vincent et al., 2008) or a
supervised layer at a time (Bengio et al., 2007).
"""

from gradwell.pretraining.greedy import Pretraining, pretrain

__all__ = ["Pretraining", "pretrain"]
