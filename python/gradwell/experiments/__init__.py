"""Published experiments, each with its published figures beside what is measured here.

An experiment is a module with ``run(options) -> Result``. A module is imported only when it is asked for.
"""

import importlib
from typing import Final, NamedTuple

from gradwell.experiments.experiment import Check, Options, Result

__all__ = ["EXPERIMENTS", "Check", "Entry", "Options", "Result", "listing", "run"]


class Entry(NamedTuple):
    """One experiment: where it is, and what it shows."""

    module: str
    summary: str


EXPERIMENTS: Final[dict[str, Entry]] = {
    "nielsen-gradients": Entry("nielsen_gradients", "gradient norm of each hidden layer before training"),
    "nielsen-curves": Entry("nielsen_curves", "how fast each hidden layer learns over 500 epochs"),
    "nielsen-depth": Entry("nielsen_depth", "validation accuracy with one to four hidden layers"),
    "neuron-chain": Entry("neuron_chain", "a gradient as a product, factor by factor, against backpropagation"),
    "sigmoid-rescue": Entry("sigmoid_rescue", "deep logistic networks, and the cures that make them learn"),
    "pretraining-rescue": Entry("pretraining_rescue", "deep logistic networks, their layers pre-trained one by one"),
    "dbn-mnist": Entry("dbn_mnist", "a deep belief net of 784-500-500-2000: its bound, its samples, its test error"),
    "batchnorm-explodes": Entry("batchnorm_explodes", "batch norm without skip connections lets the gradient explode"),
    "residual-depth": Entry("residual_depth", "20, 110 and 1001 layers: plain, residual and ReZero"),
    "ioffe-szegedy": Entry("ioffe_szegedy", "batch norm in a logistic network, as first published"),
    "trainable-depth": Entry("trainable_depth", "how deep tanh networks train, against mean-field theory"),
    "dead-relu": Entry("dead_relu", "which learning rates kill units, and what revives them"),
    "doya-cliff": Entry("doya_cliff", "one recurrent neuron: folds, a cliff in the loss, clipping at its wall"),
    "char-lstm": Entry("char_lstm", "characters predicted by an LSTM, against counts of one to three"),
    "pixel-mnist": Entry("pixel_mnist", "an image read pixel by pixel, and the gradient at each of 784 steps"),
    "adding-problem": Entry("adding_problem", "two marked values to add: which recurrent cells learn it, and why"),
    "memory-length": Entry("memory_length", "how far back the gradient of each recurrent cell reaches"),
    "pascanu-temporal-order": Entry("pascanu_temporal_order", "clipping and a regulariser against vanishing in time"),
    "history-compressor": Entry("history_compressor", "a plain cell over long lags, predictable symbols left out"),
    "random-guessing": Entry("random_guessing", "weights guessed at random, against gradients through time"),
    "activation-derivatives": Entry("activation_derivatives", "every activation, its derivative and its bound"),
}


def listing() -> str:
    """Return the names and what each shows, one a line."""
    width = max(map(len, EXPERIMENTS))
    return "\n".join(f"  {name:<{width}}  {entry.summary}" for name, entry in EXPERIMENTS.items())


def run(name: str, options: Options | None = None) -> Result:
    """Run an experiment by name.

    Parameters
    ----------
    name
        A key of `EXPERIMENTS`.
    options
        Where the data is, how many seeds, whether to show progress.

    Returns
    -------
    Result
        Figures, checks, a text and a way to draw it.

    Raises
    ------
    ValueError
        Unknown name, or an option that does not fit.
    FileNotFoundError
        The experiment needs MNIST and it was not found.

    Examples
    --------
    >>> run("activation-derivatives").holds
    True
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"[reproduce] there is no experiment {name!r}, needed one of {', '.join(EXPERIMENTS)}")
    module = importlib.import_module(f"gradwell.experiments.{EXPERIMENTS[name].module}")
    result: Result = module.run(options or Options())
    return result
