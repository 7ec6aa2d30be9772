"""Rules that turn a gradient into a step."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from gradwell.checks import check_flag, check_number, check_positive, check_share
from gradwell.clipping import Clip, check_clip
from gradwell.network import Network
from gradwell.schedules import Constant, Schedule, check_rates, schedule

SHARES = ("momentum", "beta1", "beta2", "rho", "dampening")


@dataclass(frozen=True)
class Optimizer:
    """Base of optimisers: settings, and one step of a network along the gradients it holds.

    `learning_rate` is a number of at least 0, or a schedule from `gradwell.schedules`. State lives in the network: it
    is saved with it, and begins at zero with each `fit` that does not resume.
    """

    learning_rate: float | Schedule
    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        operation = type(self).__name__
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.name == "learning_rate":
                value = value if isinstance(value, Schedule) else check_number(operation, setting.name, value, lowest=0)
            elif setting.name in SHARES:
                value = check_share(operation, setting.name, value)
            elif setting.name == "nesterov":
                value = check_flag(operation, setting.name, value)
            elif setting.name == "epsilon":
                value = check_positive(operation, setting.name, value)
            else:
                value = check_number(operation, setting.name, value, lowest=0)
            object.__setattr__(self, setting.name, value)

    @property
    def schedule(self) -> Schedule:
        """The learning rate as a schedule."""
        return schedule(type(self).__name__, "learning_rate", self.learning_rate)

    def rule(self) -> dict[str, Any]:
        """Return what the compiled program is told, but for the learning rate."""
        raise NotImplementedError

    def update(self, network: Network, *, clip: Clip | None = None) -> float | None:
        """Take one step along the gradients in `network.gradients`, as `network.backward` left them.

        With `clip` the gradients are clipped first, and their norm before that is returned. A schedule is asked for
        the rate of the step that the network's state has come to.

        Raises
        ------
        ValueError
            A gradient that is not finite, or a step that would overflow; nothing is changed then.
        """
        if not isinstance(network, Network):
            raise TypeError(f"[update] network is of type {type(network).__name__}; needs a gradwell.Network")
        check_clip("update", clip)
        rule = self.rule()
        held = network.optimizer_rule
        # Another rule's state gives way to this one's: it is put back where the step is refused.
        saved = network.snapshot() if held is not None and held["name"] != rule["name"] else None
        try:
            self.prepare(network, afresh=False)
            steps = np.array([float(network.program.updates)])
            rate = check_rates(self.schedule.rates(steps, self.schedule.begin()), 1)[0]
            described = None if clip is None else clip.describe()
            before = network.program.update({**rule, "learning_rate": rate}, described, network.flush_denormals)[0]
        except ValueError:
            if saved is not None:
                network.restore(saved)
            raise
        network.clip_rule = network.clip_rule if described is None else described
        return None if clip is None else float(before)

    def prepare(self, network: Network, *, afresh: bool) -> None:
        """Make the network's optimiser state this rule's: zeros where it was another's, or `afresh`."""
        rule = self.rule()
        network.program.prepare_optimizer(rule, afresh)
        network.optimizer_rule = {"name": rule["name"]}

    def describe(self) -> dict[str, Any]:
        """Return name and settings."""
        return {"name": self.name, **{setting.name: getattr(self, setting.name) for setting in fields(self)}}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent (Robbins and Monro, 1951), plain or with momentum.

    p <- (1 - learning_rate weight_decay) p - learning_rate (g + l2 p); with momentum
    v <- momentum v + (1 - dampening) g takes the gradient's place (Polyak, 1964), with nesterov g + momentum v does
    (Sutskever et al., 2013). The two decays act on weights only.

    Parameters
    ----------
    learning_rate
        Step size, at least 0, or a schedule.
    weight_decay
        Decoupled decay (Loshchilov and Hutter, 2019). Nielsen's L2 with lambda over n samples is lambda / n.
    l2
        Coupled decay: the gradient of l2/2 |W|^2 is added to g.
    momentum, dampening
        From 0 to below 1. (PyTorch does not dampen the first step.)
    nesterov
        Look ahead; needs momentum and no dampening.

    Examples
    --------
    >>> SGD(0.1, weight_decay=1e-4)
    SGD(learning_rate=0.1, weight_decay=0.0001, l2=0.0, momentum=0.0, dampening=0.0, nesterov=False)
    """

    weight_decay: float = 0.0
    l2: float = 0.0
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dampening and not self.momentum:
            raise ValueError(f"[SGD] dampening is {self.dampening} but momentum is 0; needs momentum above 0")
        if self.nesterov and (not self.momentum or self.dampening):
            raise ValueError(
                f"[SGD] nesterov is True with momentum {self.momentum} and dampening {self.dampening}; "
                "needs momentum above 0 and dampening 0"
            )

    def rule(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        kind = "nesterov" if self.nesterov else ("momentum" if self.momentum else "sgd")
        moving = {"momentum": self.momentum, "dampening": self.dampening} if self.momentum else {}
        return {"name": kind, "weight_decay": self.weight_decay, "l2": self.l2, **moving}


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s <- s + g^2, p <- p - learning_rate g / (sqrt(s) + epsilon) (Duchi, Hazan and Singer, 2011).

    Examples
    --------
    >>> Adagrad(0.01).rule()
    {'name': 'adagrad', 'epsilon': 1e-10, 'weight_decay': 0.0, 'l2': 0.0}
    """

    learning_rate: float | Schedule = 0.01
    epsilon: float = 1e-10
    weight_decay: float = 0.0
    l2: float = 0.0
    name: ClassVar[str] = "adagrad"

    def rule(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        return {"name": self.name, "epsilon": self.epsilon, "weight_decay": self.weight_decay, "l2": self.l2}


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s <- rho s + (1 - rho) g^2, v <- momentum v + g / (sqrt(s) + epsilon), p <- p - learning_rate v (Hinton, 2012).

    Examples
    --------
    >>> RMSprop(1e-3).rho
    0.99
    """

    learning_rate: float | Schedule = 1e-2
    rho: float = 0.99
    momentum: float = 0.0
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    l2: float = 0.0
    name: ClassVar[str] = "rmsprop"

    def rule(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        settings = {"decay": self.rho, "momentum": self.momentum, "epsilon": self.epsilon}
        return {"name": self.name, **settings, "weight_decay": self.weight_decay, "l2": self.l2}


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba, 2015).

    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2,
    p <- p - learning_rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon), t = 1, 2, ...

    `l2` is added to g, `weight_decay` is decoupled; both act on weights only.

    Examples
    --------
    >>> Adam(1e-3).beta2
    0.999
    """

    learning_rate: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    l2: float = 0.0
    name: ClassVar[str] = "adam"

    def rule(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        settings = {"momentum": self.beta1, "decay": self.beta2, "epsilon": self.epsilon}
        return {"name": "adam", **settings, "weight_decay": self.weight_decay, "l2": self.l2}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 by default (Loshchilov and Hutter, 2019).

    Examples
    --------
    >>> AdamW(1e-3).weight_decay
    0.01
    """

    weight_decay: float = 0.01
    name: ClassVar[str] = "adamw"


@dataclass(frozen=True)
class Rprop(Optimizer):
    """Steps by the sign of the gradient alone, each parameter with a step size of its own (Riedmiller, Braun, 1993).

    Sizes start at `learning_rate`, grow by 1.2 while the sign stays and halve when it turns, within [smallest,
    largest]. It is meant for full batches: the sign of a small batch's gradient is noise.

    Examples
    --------
    >>> Rprop(0.01).largest
    50.0
    """

    learning_rate: float | Schedule = 1e-2
    smallest: float = 1e-6
    largest: float = 50.0
    name: ClassVar[str] = "rprop"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.schedule, Constant):
            raise ValueError("[Rprop] learning_rate is a schedule; needs a number, from which the sizes start")
        rate = float(self.schedule.rates(np.zeros(1), {})[0])
        if not self.smallest <= rate <= self.largest:
            raise ValueError(
                f"[Rprop] learning_rate is {rate}; needs a number from smallest, {self.smallest}, to largest, "
                f"{self.largest}"
            )

    def rule(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        return {"name": self.name, "smallest": self.smallest, "largest": self.largest}
