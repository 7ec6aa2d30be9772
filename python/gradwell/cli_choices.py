"""The values that options and arguments can have, for a shell to complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

SHELLS: Final = ("bash", "zsh", "fish")


def names(what: str) -> list[str]:
    """Return the values of one kind: "activations", "losses", "optimizers", "remedies", "experiments" or "shells".

    Remedies are written with hyphens, so that no shell takes one for two words.

    Examples
    --------
    >>> names("shells")
    ['bash', 'zsh', 'fish']
    >>> names("remedies")[:2]
    ['lsuv', 'matching-init']
    """
    return list(_KINDS[what]())


def _activations() -> Iterable[str]:
    from gradwell.kernels import ACTIVATIONS

    return (*ACTIVATIONS, "prelu")


def _losses() -> Iterable[str]:
    from gradwell.kernels import LOSSES

    return LOSSES


def _optimizers() -> Iterable[str]:
    from gradwell.cli_settings import OPTIMIZERS

    return OPTIMIZERS


def _remedies() -> Iterable[str]:
    from gradwell.doctor import REMEDIES

    return (name.replace(" ", "-") for name in REMEDIES)


def _experiments() -> Iterable[str]:
    from gradwell.experiments import EXPERIMENTS

    return EXPERIMENTS


_KINDS: Final[dict[str, Callable[[], Iterable[str]]]] = {
    "activations": _activations,
    "losses": _losses,
    "optimizers": _optimizers,
    "remedies": _remedies,
    "experiments": _experiments,
    "shells": lambda: SHELLS,
}
