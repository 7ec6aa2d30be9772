"""The restricted Boltzmann machine."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import kernels
from gradwell.boltzmann.contrastive import train
from gradwell.boltzmann.history import RBMHistory
from gradwell.boltzmann.partition import LogPartition, annealed, enumerated
from gradwell.boltzmann.samples import KINDS, checked_samples
from gradwell.checks import check_count, check_flag, check_positive

Array = NDArray[Any]

# Streams of random numbers that training does not use: it takes two for each turn of the chain.
SAMPLE_STREAM = 0x40000000
LARGEST_SEED = 2**62


class RBM:
    """Visible units v and hidden units h, joined by a weight: p(v, h) = exp(-E(v, h)) / Z.

    E(v, h) = -v.a - h.b - v W h for binary visible units; for Gaussian ones, of variance 1, |v - a|^2 / 2 takes the
    place of -v.a (Smolensky, 1986; Hinton, 2002; Hinton, 2010). Hidden units are binary.

    Parameters
    ----------
    visible, hidden
        How many units.
    kind
        "binary": v in [0, 1], grey values standing for probabilities; "gaussian": any real v, best brought to mean 0
        and variance 1 first.
    seed
        Of the weights at the start, N(0, init_std^2), and of every draw.
    init_std
        As above; Hinton advises 0.01.
    dtype
        "float32" or "float64".

    Attributes
    ----------
    weight, visible_bias, hidden_bias
        (visible, hidden), (visible,), (hidden,): changed by `fit`, and free to be set in place.

    Raises
    ------
    ValueError, TypeError
        Settings that make no machine.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, _ = gw.datasets.digits()
    >>> rbm = gw.RBM(64, 32, seed=0)
    >>> history = rbm.fit(x, epochs=5, batch_size=20, learning_rate=0.1)
    >>> bool(history.reconstruction_error[-1] < 0.8 * history.reconstruction_error[0])
    True
    >>> rbm.transform(x).shape
    (1797, 32)
    """

    def __init__(
        self,
        visible: int,
        hidden: int,
        kind: str = "binary",
        *,
        seed: int = 0,
        init_std: float = 0.01,
        dtype: str = "float32",
    ):
        for name, value in (("visible", visible), ("hidden", hidden)):
            check_count("rbm", name, value)
        if kind not in KINDS:
            raise ValueError(f"[rbm] kind is {kind!r}; needs one of {', '.join(KINDS)}")
        if dtype not in ("float32", "float64"):
            raise ValueError(f"[rbm] dtype is {dtype!r}; needs float32 or float64")
        check_count("rbm", "seed", seed, lowest=0)
        if seed >= LARGEST_SEED:
            raise ValueError(f"[rbm] seed is {seed}; needs less than 2**62")
        self.visible, self.hidden, self.kind = int(visible), int(hidden), kind
        self.seed, self.dtype = int(seed), dtype
        std = check_positive("rbm", "init_std", init_std)
        drawn = np.random.default_rng([self.seed, 0x52424D]).normal(0.0, std, (self.visible, self.hidden))
        self.weight: Array = drawn.astype(dtype)
        self.visible_bias: Array = np.zeros(self.visible, dtype)
        self.hidden_bias: Array = np.zeros(self.hidden, dtype)
        self.training_state: dict[str, Any] | None = None
        """Where `fit` stopped, for `fit(resume=True)`; saved with the machine."""
        self.training_arrays: dict[str, Array] = {}
        """Velocities, persistent chains and mean activities as `fit` left them."""

    def fit(
        self,
        x: Any,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        learning_rate: float = 0.05,
        k: int = 1,
        persistent: bool = False,
        momentum: float = 0.5,
        weight_decay: float = 0.0,
        sparsity: float | None = None,
        sparsity_cost: float = 1.0,
        mean_field: bool = False,
        validation: Any = None,
        shuffle: bool = True,
        measure: int = 100,
        progress: bool | None = None,
        resume: bool = False,
    ) -> RBMHistory:
        """Train by contrastive divergence; return what happened.

        velocity <- momentum velocity + learning_rate (<v h> of the data - <v h> of the model - weight_decay W), then
        W <- W + velocity; biases alike, without decay (Hinton, 2002). <v h> of the model is estimated by `k` turns of
        a Gibbs chain that starts at the data, or goes on from where the last step's ended.

        Parameters
        ----------
        x
            Samples (n, visible).
        epochs, batch_size
            Passes over the data, and samples a step (the last step of an epoch takes what is left).
        learning_rate, momentum, weight_decay
            As in the formula.
        k
            Turns of the chain.
        persistent
            `batch_size` chains go on from step to step (Tieleman, 2008).
        sparsity, sparsity_cost
            How active hidden units should be on average, 0 to 1, and how much that counts: biases of hidden units move
            by learning_rate sparsity_cost (sparsity - activity), the activity being a mean over steps that forgets a
            tenth a step (Lee, Ekanadham, Ng, 2008).
        mean_field
            Reconstructions are means, not draws: less noise, and a bias (Hinton, 2010, section 3).
        validation
            Samples that are not trained on, for the free-energy gap.
        shuffle
            Each epoch's order is drawn from (seed, epoch); False takes that of the data.
        measure
            From so many samples the pseudo-likelihood and free energies are taken after each epoch; 0 takes none.
        progress
            True shows a bar, False none, None one if stderr is a terminal.
        resume
            Go on from `training_state`: the same bits as if there had been no stop. `epochs` counts from the beginning.

        Returns
        -------
        RBMHistory
            On KeyboardInterrupt or ArithmeticError the exception carries it as ``.history``, and the machine is as
            after the last whole step.

        Raises
        ------
        ValueError, TypeError
            Bad arguments; nothing is changed.
        ArithmeticError
            A step met a NaN or an infinity, most often since the learning rate is too large; it is not applied.
        """
        settings = {
            "learning_rate": learning_rate,
            "k": k,
            "persistent": persistent,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "sparsity": sparsity,
            "sparsity_cost": sparsity_cost,
            "mean_field": mean_field,
            "shuffle": shuffle,
            "batch_size": batch_size,
        }
        return train(self, x, epochs, settings, validation, measure, progress, resume)

    def transform(self, x: Any, batch_size: int = 1024) -> Array:
        """Return p(h = 1 | v) of every sample (n, hidden)."""
        v = self._samples("transform", "x", x)
        return self._in_batches("transform", v, batch_size, lambda part: self.hidden_given(part, draw=False)[0])

    def reconstruct(self, x: Any, batch_size: int = 1024) -> Array:
        """Return the mean of v given the mean of h given v, for every sample (n, visible)."""
        v = self._samples("reconstruct", "x", x)

        def there_and_back(part: Array) -> Array:
            return self.visible_given(self.hidden_given(part, draw=False)[0], draw=False)[0]

        return self._in_batches("reconstruct", v, batch_size, there_and_back)

    def sample(self, count: int = 1, *, steps: int = 1000, start: Any = None, mean: bool = False) -> Array:
        """Return `count` draws of v (count, visible) after `steps` turns of Gibbs chains.

        Parameters
        ----------
        count
            Chains; one draw of each.
        steps
            Turns of the chain. Chains of a trained machine mix slowly: few turns stay near the start.
        start
            Where they start (count, visible); None starts hidden units at random.
        mean
            Return the mean of v in the last turn, not a draw: smoother pictures.

        Examples
        --------
        >>> import gradwell as gw
        >>> gw.RBM(6, 4, seed=0).sample(3, steps=10).shape
        (3, 6)
        """
        check_count("sample", "count", count)
        check_count("sample", "steps", steps)
        mean = check_flag("sample", "mean", mean)
        if start is not None:
            v = self._samples("sample", "start", start)
            if len(v) != count:
                raise ValueError(f"[sample] start has {len(v)} rows but count is {count}")
            h = self.hidden_given(v, stream=SAMPLE_STREAM + 2)[1]
        else:
            zeros = np.zeros((count, self.visible), self.dtype)
            weight, bias = np.zeros_like(self.weight), np.zeros_like(self.hidden_bias)
            h = kernels.boltzmann_conditional(zeros, weight, bias, seed=self.seed, stream=SAMPLE_STREAM + 2)[1]
        return self.chain(h, steps, mean)[0]

    def chain(self, h: Any, steps: int, mean: bool = False) -> tuple[Array, Array]:
        """Return (v, h) after `steps` turns of Gibbs chains from hidden states h (count, hidden)."""
        h = checked_samples("chain", "h", h, self.hidden, "binary", self.dtype)
        check_count("chain", "steps", steps)
        state: Array | None = h
        for step in range(steps):
            assert state is not None
            h = state
            means, v = self.visible_given(h, step=step, stream=SAMPLE_STREAM)
            if step + 1 < steps:
                assert v is not None
                state = self.hidden_given(v, step=step, stream=SAMPLE_STREAM + 1)[1]
        assert v is not None
        return (means if mean else v), h

    def free_energy(self, x: Any) -> Array:
        """Return F(v) = -log sum_h exp(-E(v, h)) of every sample, in float64 (n,)."""
        v = self._samples("free_energy", "x", x)
        return kernels.boltzmann_free_energy(v, self.weight, self.visible_bias, self.hidden_bias, kind=self.kind)

    def pseudo_likelihood(self, x: Any) -> Array:
        """Return sum_i log p(v_i | all others) of every sample, in float64 (n,); grey values count as 1 from 0.5 on.

        Raises
        ------
        ValueError
            The visible units are Gaussian.
        """
        if self.kind != "binary":
            raise ValueError('[pseudo_likelihood] kind is "gaussian"; needs binary visible units')
        v = (self._samples("pseudo_likelihood", "x", x) >= 0.5).astype(self.dtype)
        return kernels.boltzmann_pseudo_likelihood(v, self.weight, self.visible_bias, self.hidden_bias)

    def log_partition(
        self, method: str = "ais", *, chains: int = 100, temperatures: int = 1000, data: Any = None, seed: int = 0
    ) -> LogPartition:
        """Return log Z, estimated by annealed importance sampling, or exact by enumeration.

        The chains go from a machine with weight 0 to this one through `temperatures` in between; the mean of their
        importance weights is unbiased for Z (Neal, 2001; Salakhutdinov and Murray, 2008).

        Parameters
        ----------
        method
            "ais", or "exact": all states of the smaller side, at most 25 units.
        chains, temperatures
            How many; the error falls with both.
        data
            Samples whose mean sets the biases of the machine that the chains start from: closer to the end.
        seed
            Of the chains.

        Returns
        -------
        LogPartition
            `value`, and `low` and `high`, three standard errors around Z.

        Examples
        --------
        >>> import gradwell as gw
        >>> rbm = gw.RBM(8, 5, seed=0, init_std=0.5)
        >>> abs(rbm.log_partition().value - rbm.log_partition("exact").value) < 0.1
        True
        """
        if method not in ("ais", "exact"):
            raise ValueError(f'[log_partition] method is {method!r}; needs "ais" or "exact"')
        if method == "exact":
            return enumerated(self)
        if data is not None:
            data = self._samples("log_partition", "data", data)
        return annealed(self, chains, temperatures, data, seed)

    def log_likelihood(self, x: Any, log_partition: LogPartition | float) -> Array:
        """Return log p(v) = -F(v) - log Z of every sample, in float64 (n,)."""
        value = log_partition.value if isinstance(log_partition, LogPartition) else float(log_partition)
        return -self.free_energy(x) - value

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, settings and training state to a safetensors file: whole or not at all."""
        from gradwell.boltzmann.files import save_machine

        save_machine(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RBM:
        """Return the machine that `save` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is damaged or holds something else.
        """
        from gradwell.boltzmann.files import load_machine

        return load_machine(path)

    def hidden_given(
        self, v: Array, *, step: int = 0, stream: int = SAMPLE_STREAM, draw: bool = True
    ) -> tuple[Array, Array | None]:
        """Return mean and draw of h given v, as `kernels.boltzmann_conditional`."""
        return kernels.boltzmann_conditional(
            v, self.weight, self.hidden_bias, seed=self.seed, step=step, stream=stream, draw=draw
        )

    def visible_given(
        self, h: Array, *, step: int = 0, stream: int = SAMPLE_STREAM, draw: bool = True
    ) -> tuple[Array, Array | None]:
        """Return mean and draw of v given h, as `kernels.boltzmann_conditional`."""
        return kernels.boltzmann_conditional(
            h,
            self.weight,
            self.visible_bias,
            transposed=True,
            kind=self.kind,
            seed=self.seed,
            step=step,
            stream=stream,
            draw=draw,
        )

    def _samples(self, operation: str, argument: str, x: Any) -> Array:
        return checked_samples(operation, argument, x, self.visible, self.kind, self.dtype)

    @staticmethod
    def _in_batches(operation: str, x: Array, batch_size: int, function: Any) -> Array:
        check_count(operation, "batch_size", batch_size)
        return np.concatenate([function(x[i : i + batch_size]) for i in range(0, len(x), batch_size)])

    def __repr__(self) -> str:
        return f"<RBM {self.visible} {self.kind} visible, {self.hidden} hidden; {self.dtype}>"
