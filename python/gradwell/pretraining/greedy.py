"""Pre-training in one call, layer by layer from the input on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from gradwell.boltzmann import RBM, RBMHistory
from gradwell.checks import check_count, check_flag, check_positive, check_share
from gradwell.layers import Activation, Dense
from gradwell.losses import check_finite
from gradwell.network import Network
from gradwell.optimizers import Adam
from gradwell.pretraining import autoencoder
from gradwell.pretraining.stack import Level, hidden_levels
from gradwell.training import fit

Array = NDArray[Any]

METHODS = ("rbm", "autoencoder", "supervised")
RATES = {"rbm": 0.1, "autoencoder": 1e-3, "supervised": 1e-3}
OPERATION = "pretrain"
# What RBM.fit takes beyond the arguments that all methods share.
RBM_ONLY = ("k", "persistent", "momentum", "weight_decay", "sparsity", "sparsity_cost", "mean_field")


@dataclass
class Pretraining:
    """What `pretrain` did.

    Attributes
    ----------
    method
        "rbm", "autoencoder" or "supervised".
    layers
        Names of the layers, in the order they were trained.
    losses
        For each of them a number an epoch: reconstruction error of a machine, loss of an autoencoder or a classifier.
    machines, histories
        Of "rbm", the machines and their histories.
    """

    method: str
    layers: list[str] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    machines: list[RBM] = field(default_factory=list)
    histories: list[RBMHistory] = field(default_factory=list)

    def __repr__(self) -> str:
        parts = (f"{name}: {v[0]:.4g} to {v[-1]:.4g}" for name, v in zip(self.layers, self.losses, strict=True) if v)
        return f"<Pretraining by {self.method}; {', '.join(parts)}>"


def pretrain(
    network: Network,
    x: Any,
    y: Any = None,
    *,
    method: str = "rbm",
    epochs: int = 10,
    batch_size: int = 100,
    learning_rate: float | None = None,
    kind: str | None = None,
    corruption: float = 0.25,
    tied: bool = True,
    seed: int = 0,
    progress: bool | None = None,
    **settings: Any,
) -> Pretraining:
    """Set the weights of a stack of dense layers by training one hidden layer after the other on `x`.

    The last layer is left as it is by the methods that see no targets; "supervised" sets it too. Optimiser and training
    state of the network are forgotten: `fit` comes next.

    Parameters
    ----------
    network
        Dense layers with activations, and dropout, which plays no part here. "rbm" needs logistic hidden layers.
    x, y
        Samples (n, features); targets as `fit` takes them, for "supervised" only.
    method
        "rbm": each layer is a restricted Boltzmann machine, its weights drawn anew (Hinton, Osindero, Teh, 2006).
        "autoencoder": each learns, from the weights it has, to give its input back after a share of it was set to 0
        and the rest divided by what is left (Vincent et al., 2008). "supervised": each learns to classify
        with an output layer of its own (Bengio et al., 2007).
    epochs, batch_size
        For each layer.
    learning_rate
        By default 0.1 for "rbm", and 0.001 for the others, which use Adam.
    kind
        Of the first machine's visible units; by default "binary" where x is from 0 to 1, else "gaussian", whose
        learning rate is a hundredth.
    corruption, tied
        Of autoencoders: the share set to 0; whether the decoder's weight is the encoder's, transposed.
    seed
        Of all that is drawn.
    progress
        As in `fit`.
    settings
        Of "rbm": k, persistent, momentum, weight_decay, sparsity, sparsity_cost, mean_field, as in `RBM.fit`.

    Returns
    -------
    Pretraining
        What was learned, layer by layer.

    Raises
    ------
    ValueError, TypeError
        Bad arguments; nothing is changed. A layer that is done stays done where a later one is interrupted.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 50, 50, 10], activation="sigmoid", seed=0)
    >>> gw.pretrain(net, x, method="rbm", epochs=5, batch_size=20).layers
    ['0', '2']
    """
    levels = hidden_levels(network)
    if method not in METHODS:
        raise ValueError(f"[{OPERATION}] method is {method!r}; needs one of {', '.join(METHODS)}")
    features = network.features(OPERATION, x)
    if not len(features):
        raise ValueError(f"[{OPERATION}] x has no rows; needs at least one")
    check_finite(OPERATION, "x", features)
    rate = RATES[method] if learning_rate is None else check_positive(OPERATION, "learning_rate", learning_rate)
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("seed", seed)):
        check_count(OPERATION, name, value, lowest=0 if name in ("epochs", "seed") else 1)
    unknown = sorted(set(settings) - set(RBM_ONLY if method == "rbm" else ()))
    if unknown:
        raise TypeError(f'[{OPERATION}] {unknown[0]} is no setting of method "{method}"')
    shared = {"epochs": epochs, "batch_size": batch_size, "learning_rate": rate, "progress": progress}
    result = Pretraining(method)
    if method == "rbm":
        _check_logistic(levels)
        kind = kind or ("binary" if features.min() >= 0 and features.max() <= 1 else "gaussian")
        if kind == "gaussian" and learning_rate is None:
            shared["first_rate"] = rate / 100
        _by_machines(levels, features, kind, {**shared, **settings}, seed, result)
    elif method == "autoencoder":
        own = {"corruption": check_share(OPERATION, "corruption", corruption)}
        own["tied"] = check_flag(OPERATION, "tied", tied)
        _by_autoencoders(levels, features, {**shared, **own}, seed, result)
    else:
        if y is None:
            raise ValueError(f'[{OPERATION}] y is None; "supervised" needs targets')
        targets = network.targets(OPERATION, "y", y, len(features))
        _by_classifiers(network, levels, features, targets, shared, seed, result)
    network.training_state = None
    network.forget_optimizer()
    return result


def _check_logistic(levels: list[Level]) -> None:
    for level in levels:
        if level.activation != "sigmoid":
            raise ValueError(
                f'[{OPERATION}] layer {level.name} has activation {level.activation}; "rbm" needs sigmoid '
                '("autoencoder" takes any)'
            )


def _by_machines(
    levels: list[Level], x: Array, kind: str, settings: dict[str, Any], seed: int, result: Pretraining
) -> None:
    first_rate = settings.pop("first_rate", settings["learning_rate"])
    for i, level in enumerate(levels):
        visible, hidden = level.weight.shape
        rbm = RBM(visible, hidden, kind if i == 0 else "binary", seed=seed + i, dtype=str(x.dtype))
        rate = first_rate if i == 0 else settings["learning_rate"]
        history = rbm.fit(x, measure=0, **{**settings, "learning_rate": rate})
        level.weight[...], level.bias[...] = rbm.weight, rbm.hidden_bias
        x = level.outputs(x)
        result.layers.append(level.name)
        result.losses.append(history.reconstruction_error.tolist())
        result.machines.append(rbm)
        result.histories.append(history)


def _by_autoencoders(levels: list[Level], x: Array, settings: dict[str, Any], seed: int, result: Pretraining) -> None:
    for i, level in enumerate(levels):
        losses = autoencoder.learn(level, x, settings, seed + i)
        x = level.outputs(x)
        result.layers.append(level.name)
        result.losses.append(losses)


def _by_classifiers(
    network: Network,
    levels: list[Level],
    x: Array,
    y: Array,
    settings: dict[str, Any],
    seed: int,
    result: Pretraining,
) -> None:
    last = next(i for i in reversed(range(len(network.layers))) if isinstance(network.layers[i], Dense))
    output = network.layers[last].name or str(last)
    for i, level in enumerate(levels):
        inputs, hidden = level.weight.shape
        layers = [Dense(hidden, name="below"), Activation(level.activation, level.alpha)]
        head = Network([*layers, Dense(network.outputs, name="head")], inputs, seed=seed + i, dtype=network.dtype)
        head.parameters["below.weight"][...], head.parameters["below.bias"][...] = level.weight, level.bias
        history = fit(
            head,
            (x, y),
            loss="softmax_cross_entropy" if y.ndim == 1 else "quadratic",
            optimizer=Adam(settings["learning_rate"]),
            batch_size=settings["batch_size"],
            epochs=settings["epochs"],
            stats=False,
            seed=seed + i,
            progress=settings["progress"],
        )
        level.weight[...], level.bias[...] = head.parameters["below.weight"], head.parameters["below.bias"]
        if i + 1 == len(levels):
            for kind in ("weight", "bias"):
                if f"{output}.{kind}" in network.parameters:
                    network.parameters[f"{output}.{kind}"][...] = head.parameters[f"head.{kind}"]
        x = level.outputs(x)
        result.layers.append(level.name)
        result.losses.append([float(loss) for loss in history.loss])
