"""Deep belief nets: a stack of machines, each trained on what the one below makes of the data."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.boltzmann.history import RBMHistory
from gradwell.boltzmann.machine import RBM
from gradwell.boltzmann.samples import checked_samples
from gradwell.checks import check_count, check_flag
from gradwell.mlp import mlp
from gradwell.network import Network

Array = NDArray[Any]

STREAM = 0x70000000  # of draws on the way up for the bound, and on the way down for samples
TINY = 1e-12  # probabilities are kept so far from 0 and 1 where their logarithm is taken


@dataclass
class DBNHistory:
    """What `DBN.fit` leaves behind.

    Attributes
    ----------
    layers
        The history of each machine.
    bounds
        After each layer, the variational lower bound on log p(v), mean over samples; empty where it was not asked for.
    """

    layers: list[RBMHistory] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)


class DBN:
    """A deep belief net (Hinton, Osindero, Teh, 2006).

    p(v, h1, ..., hL) = p(v | h1) ... p(hL-2 | hL-1) p(hL-1, hL), the last factor a restricted Boltzmann machine and
    the others the downward conditionals of those below.

    Parameters
    ----------
    sizes
        Units from the visible layer up, such as [784, 500, 500, 2000].
    kind
        Of the visible units: "binary" or "gaussian".
    seed, init_std, dtype
        As in `RBM`.
    transposed
        A machine whose hidden layer is as wide as the layer below its visible one starts from the transposed weights of
        the machine below; then adding it leaves the bound where it was, and training raises it.

    Attributes
    ----------
    machines
        The machines, from the bottom up.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, _ = gw.datasets.digits()
    >>> dbn = gw.DBN([64, 40, 30], seed=0)
    >>> history = dbn.fit(x, epochs=3, batch_size=20, learning_rate=0.1)
    >>> dbn.transform(x).shape, dbn.sample(2, steps=10).shape
    ((1797, 30), (2, 64))
    >>> dbn.to_network(10, seed=0)
    <Network 64 → dense+sigmoid 40 → dense+sigmoid 30 → dense 10; 4,140 parameters, float32>
    """

    def __init__(
        self,
        sizes: Sequence[int],
        kind: str = "binary",
        *,
        seed: int = 0,
        init_std: float = 0.01,
        dtype: str = "float32",
        transposed: bool = True,
    ):
        if not hasattr(sizes, "__len__"):
            raise TypeError(f"[dbn] sizes is of type {type(sizes).__name__}; needs a list such as [784, 500, 500]")
        if len(sizes) < 2:
            raise ValueError(f"[dbn] sizes has {len(sizes)} numbers; needs visible units and at least one hidden layer")
        check_count("dbn", "seed", seed, lowest=0)
        self.transposed = check_flag("dbn", "transposed", transposed)
        self.machines = [
            RBM(below, above, kind if i == 0 else "binary", seed=seed + i, init_std=init_std, dtype=dtype)
            for i, (below, above) in enumerate(itertools.pairwise(sizes))
        ]

    @property
    def sizes(self) -> list[int]:
        """Units from the visible layer up."""
        return [self.machines[0].visible, *(rbm.hidden for rbm in self.machines)]

    def fit(
        self,
        x: Any,
        *,
        epochs: int | Sequence[int] = 10,
        learning_rate: float | Sequence[float] = 0.05,
        bound: bool | str = False,
        draws: bool = False,
        **settings: Any,
    ) -> DBNHistory:
        """Train one machine after the other, each on the hidden units of the one below; return what happened.

        Parameters
        ----------
        x
            Samples (n, visible).
        epochs, learning_rate
            As in `RBM.fit`; one number, or one for each machine.
        bound
            True or "ais" estimates the lower bound after each layer (`lower_bound`), "exact" takes the partition
            function by enumeration.
        draws
            Hand draws of the hidden units up, not their means. The bound speaks of draws: only so must it not fall.
        settings
            Others of `RBM.fit`, but for `validation` and `resume`.

        Raises
        ------
        ValueError, TypeError
            Bad arguments.
        KeyboardInterrupt, ArithmeticError
            With the history so far as ``.history``; machines below the one that was interrupted are whole.
        """
        data = self._samples("fit", "x", x)
        for name in ("validation", "resume"):
            if name in settings:
                raise TypeError(f"[fit] {name} is no setting of a deep belief net; fit its machines one by one")
        if bound not in (True, False, "ais", "exact"):
            raise ValueError(f'[fit] bound is {bound!r}; needs True, False, "ais" or "exact"')
        draws = check_flag("fit", "draws", draws)
        every_epochs = self._for_each("epochs", epochs)
        every_rate = self._for_each("learning_rate", learning_rate)
        history, inputs = DBNHistory(), data
        for i, rbm in enumerate(self.machines):
            if i and self.transposed and rbm.hidden == self.machines[i - 1].visible:
                self._start_transposed(i)
            try:
                layer = rbm.fit(inputs, epochs=every_epochs[i], learning_rate=every_rate[i], **settings)
            except (KeyboardInterrupt, ArithmeticError) as error:
                history.layers.append(error.history)  # type: ignore[union-attr]
                error.history = history  # type: ignore[union-attr]
                raise
            history.layers.append(layer)
            if bound:
                method = "exact" if bound == "exact" else "ais"
                history.bounds.append(float(self.lower_bound(data, layers=i + 1, method=method).mean()))
            inputs = rbm.transform(inputs)
            if draws:
                inputs = np.random.default_rng([rbm.seed, STREAM]).random(inputs.shape, inputs.dtype) < inputs
        return history

    def transform(self, x: Any, layers: int | None = None) -> Array:
        """Return the means of the hidden units of machine number `layers`, by default the last, layer by layer."""
        count = self._count("transform", layers)
        values = self._samples("transform", "x", x)
        for rbm in self.machines[:count]:
            values = rbm.transform(values)
        return values

    def reconstruct(self, x: Any) -> Array:
        """Return the means of v after a way up and down by means (n, visible)."""
        values = self.transform(x)
        for rbm in reversed(self.machines):
            values = rbm.visible_given(values, draw=False)[0]
        return values

    def sample(self, count: int = 1, *, steps: int = 1000, start: Any = None, mean: bool = True) -> Array:
        """Return `count` samples (count, visible): Gibbs chains in the top machine, then draws on the way down.

        Parameters
        ----------
        count, steps
            Chains, and their turns in the top machine.
        start
            Samples (count, visible) whose way up is where the chains start; None starts at random.
        mean
            Return the means of v, not draws of them.
        """
        top = self.machines[-1]
        if len(self.machines) == 1:
            return top.sample(count, steps=steps, start=start, mean=mean)
        if start is not None:
            start = self.transform(self._samples("sample", "start", start), len(self.machines) - 1)
        values = top.sample(count, steps=steps, start=start)
        for i in reversed(range(len(self.machines) - 1)):
            means, drawn = self.machines[i].visible_given(values, stream=STREAM + i)
            assert drawn is not None
            values = means if i == 0 and mean else drawn
        return values

    def lower_bound(
        self, x: Any, layers: int | None = None, *, method: str = "ais", draws: int = 10, **settings: Any
    ) -> Array:
        """Return the variational lower bound on log p(v) of every sample, in float64 (n,).

        E_Q[log p(v | h1) + ... + log p(hL-1)] + entropy of Q(h1 | v) ... , with Q the upward conditionals of the
        machines, and log p(hL-1) = -F(hL-1) - log Z of the top one (Hinton, Osindero, Teh, 2006, appendix). With one
        layer it is log p(v) itself. Grey values of binary units count as 1 from 0.5 on.

        Parameters
        ----------
        x
            Samples (n, visible).
        layers
            Machines from the bottom that make the net; None for all.
        method, settings
            Of `RBM.log_partition` for the top machine.
        draws
            From Q, that the expectation is the mean of.
        """
        count = self._count("lower_bound", layers)
        check_count("lower_bound", "draws", draws)
        v = self._samples("lower_bound", "x", x)
        if self.machines[0].kind == "binary":
            v = (v >= 0.5).astype(v.dtype)
        top = self.machines[count - 1]
        if method == "ais" and "data" not in settings:
            settings["data"] = self.transform(v, count - 1) if count > 1 else v
        log_z = top.log_partition(method, **settings).value
        total = np.zeros(len(v))
        for draw in range(1 if count == 1 else draws):
            below = v
            for i, rbm in enumerate(self.machines[: count - 1]):
                q, h = rbm.hidden_given(below, step=draw, stream=STREAM + 0x1000 + i)
                assert h is not None
                total += _entropy(q) + _log_conditional(rbm, below, h)
                below = h
            total += top.log_likelihood(below, log_z)
        return total / (1 if count == 1 else draws)

    def to_network(self, classes: int, *, seed: int | None = None) -> Network:
        """Return a network of logistic layers with these weights and a linear output layer, ready for `fit`.

        Parameters
        ----------
        classes
            Outputs.
        seed
            Of the output layer's weight.
        """
        check_count("to_network", "classes", classes)
        net = mlp([*self.sizes, classes], activation="sigmoid", seed=seed, dtype=self.machines[0].dtype)
        for i, rbm in enumerate(self.machines):
            net.parameters[f"{2 * i}.weight"][...] = rbm.weight
            net.parameters[f"{2 * i}.bias"][...] = rbm.hidden_bias
        return net

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all machines to one safetensors file: whole or not at all."""
        from gradwell.boltzmann.files import to_parts, write

        about: dict[str, Any] = {"transposed": self.transposed, "machines": []}
        arrays: dict[str, Array] = {}
        for i, rbm in enumerate(self.machines):
            description, own = to_parts(rbm)
            about["machines"].append(description)
            arrays |= {f"{i}/{name}": array for name, array in own.items()}
        write(path, "gradwell DBN", about, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DBN:
        """Return the net that `save` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is damaged or holds something else.
        """
        from gradwell.boltzmann.files import from_parts, read

        about, arrays = read(path, "gradwell DBN")
        try:
            machines = [
                from_parts(one, {k.removeprefix(f"{i}/"): a for k, a in arrays.items() if k.startswith(f"{i}/")})
                for i, one in enumerate(about["machines"])
            ]
            widths = [(a.hidden, b.visible) for a, b in itertools.pairwise(machines)]
            if not machines or any(above != below for above, below in widths):
                raise ValueError("its machines do not fit one another")
            net = cls.__new__(cls)
            net.transposed = bool(about["transposed"])
            net.machines = machines
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"[load] {os.fspath(path)}: {error}") from None
        return net

    def _start_transposed(self, i: int) -> None:
        rbm, below = self.machines[i], self.machines[i - 1]
        rbm.weight[...] = below.weight.T
        rbm.visible_bias[...] = below.hidden_bias
        rbm.hidden_bias[...] = below.visible_bias

    def _for_each(self, name: str, value: Any) -> list[Any]:
        values = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value] * len(self.machines)
        if len(values) != len(self.machines):
            raise ValueError(
                f"[fit] {name} has {len(values)} numbers; needs {len(self.machines)}, one for each machine"
            )
        return values

    def _count(self, operation: str, layers: int | None) -> int:
        if layers is None:
            return len(self.machines)
        check_count(operation, "layers", layers)
        if layers > len(self.machines):
            raise ValueError(f"[{operation}] layers is {layers}; needs at most {len(self.machines)}")
        return layers

    def _samples(self, operation: str, argument: str, x: Any) -> Array:
        first = self.machines[0]
        return checked_samples(operation, argument, x, first.visible, first.kind, first.dtype)

    def __repr__(self) -> str:
        first = self.machines[0]
        return f"<DBN {' - '.join(map(str, self.sizes))}; {first.kind} visible, {first.dtype}>"


def _entropy(q: Array) -> Array:
    p = np.clip(q.astype(np.float64), TINY, 1 - TINY)
    entropy: Array = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(axis=1)
    return entropy


def _log_conditional(rbm: RBM, v: Array, h: Array) -> Array:
    """Return log p(v | h) of every row."""
    mean = rbm.visible_given(h, draw=False)[0].astype(np.float64)
    if rbm.kind == "gaussian":
        far: Array = -0.5 * ((v - mean) ** 2 + np.log(2 * np.pi)).sum(axis=1)
        return far
    p = np.clip(mean, TINY, 1 - TINY)
    log_p: Array = (v * np.log(p) + (1 - v) * np.log(1 - p)).sum(axis=1)
    return log_p
