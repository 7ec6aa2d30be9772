"""Clipping of gradients while training, and the ledger of what it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, check_positive, check_share
from gradwell.parts import array_part

Array = NDArray[Any]


@dataclass(frozen=True)
class Clip:
    """Base of what `fit(clip=...)` takes. The record shows gradients before clipping."""

    kind: ClassVar[str] = ""

    def describe(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Limit(Clip):
    limit: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", check_positive(f"clip by {self.kind}", "limit", self.limit))

    def describe(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        return {"name": self.kind, "limit": self.limit}


class ClipByValue(_Limit):
    """See `clip_by_value`."""

    kind = "value"


class ClipByNorm(_Limit):
    """See `clip_by_norm`."""

    kind = "norm"


class ClipByLayerNorm(_Limit):
    """See `clip_by_layer_norm`."""

    kind = "layer"


@dataclass(frozen=True)
class AdaptiveClip(Clip):
    """See `adaptive_clip`."""

    ratio: float
    floor: float
    kind: ClassVar[str] = "adaptive"

    def __post_init__(self) -> None:
        for argument, value in asdict(self).items():
            object.__setattr__(self, argument, check_positive("adaptive_clip", argument, value))

    def describe(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        return {"name": self.kind, "limit": self.ratio, "floor": self.floor}


@dataclass(frozen=True)
class AutoClip(Clip):
    """See `auto_clip`."""

    percentile: float
    kind: ClassVar[str] = "percentile"

    def __post_init__(self) -> None:
        object.__setattr__(self, "percentile", check_positive("auto_clip", "percentile", self.percentile, 100.0))

    def describe(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        return {"name": self.kind, "limit": self.percentile}


@dataclass(frozen=True)
class ZClip(Clip):
    """See `z_clip`."""

    z: float
    alpha: float
    warm_up: int
    kind: ClassVar[str] = "zscore"

    def __post_init__(self) -> None:
        object.__setattr__(self, "z", check_positive("z_clip", "z", self.z))
        object.__setattr__(self, "alpha", check_share("z_clip", "alpha", self.alpha))
        check_count("z_clip", "warm_up", self.warm_up)

    def describe(self) -> dict[str, Any]:
        """Return what the compiled program is told."""
        return {"name": self.kind, "limit": self.z, "floor": self.alpha, "warm_up": self.warm_up}


def clip_by_value(limit: float) -> Clip:
    """Cut every element of every gradient off at +-limit.

    Examples
    --------
    >>> clip_by_value(0.5)
    ClipByValue(limit=0.5)
    """
    return ClipByValue(limit)


def clip_by_norm(limit: float) -> Clip:
    """Scale all gradients together to norm `limit` where it is larger (Pascanu, Mikolov, Bengio, 2013).

    Examples
    --------
    >>> clip_by_norm(1.0)
    ClipByNorm(limit=1.0)
    """
    return ClipByNorm(limit)


def clip_by_layer_norm(limit: float) -> Clip:
    """Scale each layer's gradients to norm `limit` where it is larger.

    Examples
    --------
    >>> clip_by_layer_norm(1.0)
    ClipByLayerNorm(limit=1.0)
    """
    return ClipByLayerNorm(limit)


def adaptive_clip(ratio: float = 0.01, floor: float = 1e-3) -> Clip:
    """Scale each unit's gradient to ratio max(|W_i|, floor) where it is larger (Brock, De, Smith, Simonyan, 2021).

    Examples
    --------
    >>> adaptive_clip()
    AdaptiveClip(ratio=0.01, floor=0.001)
    """
    return AdaptiveClip(ratio, floor)


def auto_clip(percentile: float = 10.0) -> Clip:
    """Clip by the norm that is the `percentile`-th of all so far (Seetharaman, Wichern, Pardo, Le Roux, 2020).

    Examples
    --------
    >>> auto_clip()
    AutoClip(percentile=10.0)
    """
    return AutoClip(percentile)


def z_clip(z: float = 2.5, alpha: float = 0.97, warm_up: int = 25) -> Clip:
    """Clip norms that are more than z standard deviations above their running mean (Kumar et al., 2025).

    Such a norm becomes mean + z^2 std / its own score; mean and variance are running figures with decay `alpha` that
    start from the first `warm_up` norms, which are not clipped.

    Examples
    --------
    >>> z_clip()
    ZClip(z=2.5, alpha=0.97, warm_up=25)
    """
    return ZClip(z, alpha, warm_up)


def check_clip(operation: str, clip: Any) -> None:
    """Raise unless `clip` is None or a clipping."""
    if clip is not None and not (isinstance(clip, Clip) and clip.kind):
        raise TypeError(f"[{operation}] clip is of type {type(clip).__name__}; needs one such as gw.clip_by_norm(1.0)")


class ClipLedger:
    """What clipping did, step by step; empty where there was none.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 10], seed=0)
    >>> history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), clip=gw.clip_by_norm(0.5))
    >>> bool((history.clipping.after <= 0.5 + 1e-6).all())
    True
    """

    def __init__(self, layers: Sequence[str]):
        self._layers = np.array([*layers, ""], dtype=object)
        self._rows: list[Array] = []
        self._steps: list[Array] = []

    def append(self, first_step: int, rows: Array) -> None:
        """Add a run of steps: norm before, norm after, number of the parameter that had most of it."""
        if len(rows):
            self._rows.append(rows)
            self._steps.append(first_step + np.arange(len(rows)))

    def to_arrays(self) -> dict[str, Array]:
        """Return steps (steps,) and what clipping did at each (steps, 3): see `from_arrays`."""
        rows = np.concatenate(self._rows) if self._rows else np.zeros((0, 3))
        return {"steps": self.steps.astype(np.int64), "rows": rows}

    @classmethod
    def from_arrays(cls, layers: Sequence[str], arrays: Mapping[str, Array]) -> ClipLedger:
        """Return the ledger that `to_arrays` took apart; ValueError where it names no step or parameter there is."""
        ledger = cls(layers)
        steps = array_part(arrays, "steps", "int64", (None,))
        rows = array_part(arrays, "rows", "float64", (len(steps), 3))
        if not np.isin(rows[:, 2], np.arange(-1, len(layers))).all():
            raise ValueError(f"rows name a parameter that is not among the {len(layers)} there are")
        if len(steps) and ((np.diff(steps) <= 0).any() or steps[0] < 0):
            raise ValueError("steps are not numbers from 0 up in growing order")
        ledger._rows, ledger._steps = [rows], [steps]
        return ledger

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters whose gradients were clipped."""
        return [str(name) for name in self._layers[:-1]]

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows)

    @property
    def steps(self) -> Array:
        """Number of each step (steps,)."""
        return np.concatenate(self._steps) if self._steps else np.zeros(0, np.int64)

    @property
    def before(self) -> Array:
        """Norm of all gradients together before clipping (steps,)."""
        return self._column(0)

    @property
    def after(self) -> Array:
        """Norm of all gradients together after clipping (steps,)."""
        return self._column(1)

    @property
    def clipped(self) -> Array:
        """Whether clipping changed the gradient (steps,)."""
        return self.after < self.before

    @property
    def factor(self) -> Array:
        """How hard: norm after over norm before, 1 where nothing was clipped (steps,)."""
        before = self.before
        return np.divide(self.after, before, out=np.ones(len(before)), where=before > 0)

    @property
    def layer(self) -> Array:
        """Name of the parameter with the largest norm in each step (steps,)."""
        return np.asarray(self._layers[self._column(2).astype(int)])

    def suggest(self, quantile: float = 0.9) -> float:
        """Return the norm that this share of the steps stayed below: a limit that would have clipped the others."""
        if not len(self):
            raise ValueError("[clipping] the ledger is empty; fit with clip=... first")
        if not 0 <= check_positive("clipping", "quantile", quantile, 1.0) <= 1:
            raise AssertionError
        return float(np.quantile(self.before, quantile))

    def to_dict(self) -> dict[str, Any]:
        """Return the figures of `summary` as numbers, ready for JSON."""
        if not len(self):
            return {"steps": 0}
        clipped = self.clipped
        names, counts = np.unique(self.layer[clipped].astype(str), return_counts=True)
        order = np.argsort(-counts)
        norms = np.quantile(self.before, [0.0, 0.5, 0.9, 0.99, 1.0])
        return {
            "steps": len(self),
            "clipped": int(clipped.sum()),
            "median_factor": float(np.median(self.factor[clipped])) if clipped.any() else 1.0,
            "hardest_factor": float(self.factor.min()),
            "norm": dict(zip(("min", "median", "p90", "p99", "max"), norms.tolist(), strict=True)),
            "causes": {str(names[i]): int(counts[i]) for i in order},
            "suggested_limit": self.suggest(),
        }

    def summary(self) -> str:
        """Return in a few lines how often and how hard clipping bit, because of which layer, and a limit to try."""
        found = self.to_dict()
        if not found["steps"]:
            return "no clipping"
        share = found["clipped"] / found["steps"]
        norm = found["norm"]
        lines = [
            f"clipped {found['clipped']} of {found['steps']} steps ({share:.0%})",
            f"norm before: median {norm['median']:.3g}, 90 % below {norm['p90']:.3g}, largest {norm['max']:.3g}",
        ]
        if found["clipped"]:
            causes = ", ".join(f"{name} ({count})" for name, count in list(found["causes"].items())[:3])
            lines.append(f"factor: median {found['median_factor']:.3g}, hardest {found['hardest_factor']:.3g}")
            lines.append(f"largest part from {causes}")
        if share > 0.9:
            lines.append("it bites at nearly every step: the limit, not the learning rate, sets the step")
        if share == 0:
            lines.append("it never bites")
        lines.append(f"a limit of {found['suggested_limit']:.3g} would clip 10 % of the steps")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<ClipLedger of {len(self)} steps, {int(self.clipped.sum())} clipped>"

    def _column(self, i: int) -> Array:
        return np.concatenate([rows[:, i] for rows in self._rows]) if self._rows else np.zeros(0)


@dataclass(frozen=True)
class Amplify:
    """Multiply the gradients of some layers by `factor`, in some epochs (Basodi, Ji, Zhang, Pan, 2020).

    It comes before clipping. The record shows gradients before it.

    Parameters
    ----------
    layers
        Names of layers, as in parameter names.
    factor
        Above 0.
    epochs
        Numbers of the epochs in which it works, counted from 0; None for all.

    Examples
    --------
    >>> Amplify(["0", "2"], 4.0, epochs=range(5))
    Amplify(layers=('0', '2'), factor=4.0, epochs=(0, 1, 2, 3, 4))
    """

    layers: Sequence[str]
    factor: float
    epochs: Iterable[int] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layers, str) or not isinstance(self.layers, Sequence):
            raise TypeError(f"[Amplify] layers is {self.layers!r}; needs a list of layer names")
        object.__setattr__(self, "layers", tuple(str(layer) for layer in self.layers))
        object.__setattr__(self, "factor", check_positive("Amplify", "factor", self.factor))
        if self.epochs is not None:
            if not isinstance(self.epochs, Iterable):
                raise TypeError(f"[Amplify] epochs is of type {type(self.epochs).__name__}; needs numbers, or None")
            object.__setattr__(self, "epochs", tuple(self.epochs))
            for epoch in self.epochs:
                check_count("Amplify", "epochs", epoch, lowest=0)

    def factors(self, parameters: Sequence[str], epoch: int) -> list[float]:
        """Return what the gradient of each parameter is multiplied by in an epoch; [] for nothing."""
        owners = [name.rsplit(".", 1)[0] for name in parameters]
        for layer in self.layers:
            if layer not in owners:
                known = ", ".join(dict.fromkeys(owners))
                raise ValueError(f'[Amplify] layers has "{layer}"; the network has parameters in {known}')
        if self.epochs is not None and epoch not in self.epochs:
            return []
        return [self.factor if owner in self.layers else 1.0 for owner in owners]
