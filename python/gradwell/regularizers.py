"""Penalties on weights, and constraints that weights keep to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from gradwell.checks import check_number, check_positive


@dataclass(frozen=True)
class L1L2:
    """A penalty of l1 |w|_1 + l2/2 |w|^2 on the loss, elastic where both are there (Zou, Hastie, 2005).

    With the half: Keras's L2(c) is this one's L2(2c).

    Its gradient, l1 sign(w) + l2 w, is added to the parameter's in the optimiser, after any clipping; the record shows
    the gradient of the loss alone. `network.regularization_loss()` is its value.

    Parameters
    ----------
    l1, l2
        At least 0.

    Examples
    --------
    >>> L1L2(l1=1e-5, l2=1e-4)
    L1L2(l1=1e-05, l2=0.0001)
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        for argument, value in asdict(self).items():
            object.__setattr__(self, argument, check_number("regularizer", argument, value, lowest=0))

    def describe(self) -> dict[str, Any]:
        """Return the settings."""
        return asdict(self)


def L1(l1: float) -> L1L2:  # noqa: N802 - named as the field names it
    """Return the penalty l1 |w|_1, which makes weights zero (Tibshirani, 1996).

    Examples
    --------
    >>> L1(1e-5)
    L1L2(l1=1e-05, l2=0.0)
    """
    return L1L2(l1=l1)


def L2(l2: float) -> L1L2:  # noqa: N802 - named as the field names it
    """Return the penalty l2/2 |w|^2, which makes weights small (Hoerl, Kennard, 1970).

    Examples
    --------
    >>> L2(1e-4)
    L1L2(l1=0.0, l2=0.0001)
    """
    return L1L2(l2=l2)


@dataclass(frozen=True)
class Constraint:
    """Base of constraints: what a weight is brought back to after every step."""

    limit: float
    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", check_positive(type(self).__name__, "limit", self.limit))

    def describe(self) -> dict[str, Any]:
        """Return kind and settings."""
        return {"kind": self.kind, "limit": self.limit}


@dataclass(frozen=True)
class MaxNorm(Constraint):
    """Each unit's incoming weights (a column) have at most the norm `limit` (Srebro, Shraibman, 2005).

    Examples
    --------
    >>> MaxNorm(3.0)
    MaxNorm(limit=3.0)
    """

    kind: ClassVar[str] = "max_norm"


@dataclass(frozen=True)
class ClipWeights(Constraint):
    """Every weight stays within +-limit, as in the Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017).

    Examples
    --------
    >>> ClipWeights(0.01)
    ClipWeights(limit=0.01)
    """

    kind: ClassVar[str] = "clip"


RegularizerLike = L1L2 | Mapping[str, Any] | None
ConstraintLike = Constraint | Mapping[str, Any] | None


def regularizer(operation: str, argument: str, value: Any) -> L1L2 | None:
    """Return the penalty that `value` is or describes."""
    if value is None or isinstance(value, L1L2):
        return value
    if isinstance(value, Mapping) and set(value) <= {"l1", "l2"}:
        return L1L2(**value)
    raise TypeError(f"[{operation}] {argument} is {value!r}; needs a regularizer such as gw.L2(1e-4)")


def constraint(operation: str, argument: str, value: Any) -> Constraint | None:
    """Return the constraint that `value` is or describes."""
    if value is None or (isinstance(value, Constraint) and value.kind):
        return value
    if isinstance(value, Mapping) and set(value) == {"kind", "limit"}:
        for cls in (MaxNorm, ClipWeights):
            if cls.kind == value["kind"]:
                return cls(value["limit"])
    raise TypeError(f"[{operation}] {argument} is {value!r}; needs a constraint such as gw.MaxNorm(3.0)")
