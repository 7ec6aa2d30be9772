"""The options of ``gradwell train``, and what they make: network, optimiser, clipping. A run keeps them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import gradwell as gw
from gradwell.parts import part

MADE_BY: Final = "gradwell train"
STATS: Final[dict[str, bool | str]] = {"auto": "auto", "all": True, "none": False}
_USUAL_RATES: Final = {"sgd": 0.1, "momentum": 0.01, "adagrad": 0.01, "rmsprop": 1e-3, "adam": 1e-3, "adamw": 1e-3}
OPTIMIZERS: Final = tuple(_USUAL_RATES)


@dataclass(frozen=True)
class Settings:
    """What a training is given."""

    data: str
    target: str = "-1"
    hidden: str = "30,30"
    activation: str = "tanh"
    init: str | None = None
    loss: str | None = None
    normalization: str | None = None
    dropout: float = 0.0
    optimizer: str = "sgd"
    clip_norm: float | None = None
    clip_value: float | None = None
    epochs: int = 30
    learning_rate: float | None = None
    weight_decay: float = 0.0
    batch_size: int = 32
    validation: float = 0.1
    seed: int = 0
    stats: str = "auto"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, options: Any) -> Settings:
        """Return the settings that `to_dict` gave; ValueError where one is missing or of another type."""
        kinds: dict[str, tuple[type | None, ...]] = {
            "str": (str,),
            "str | None": (str, None),
            "float": (float,),
            "float | None": (float, None),
            "int": (int,),
        }
        return cls(**{field.name: part(options, field.name, *kinds[str(field.type)]) for field in fields(cls)})


def widths(hidden: str) -> list[int]:
    """Return the widths of the hidden layers: "64x6" is six of 64, and parts are joined by commas.

    Examples
    --------
    >>> widths("128,64x3")
    [128, 64, 64, 64]
    """
    found: list[int] = []
    for text in (text.strip() for text in hidden.lower().split(",")):
        width, _, count = text.partition("x")
        if not text:
            continue
        numbers = [width, count] if "x" in text else [width, "1"]
        if not all(n.isdecimal() and len(n) <= 9 and int(n) >= 1 for n in numbers) or int(numbers[1]) > 10_000:
            raise ValueError(
                f"[train] hidden is {hidden!r}; needs whole numbers of at least 1, such as 30,30 or 64x6 for six of 64"
            )
        found += [int(numbers[0])] * int(numbers[1])
    return found


def network(settings: Settings, inputs: int, outputs: int) -> gw.Network:
    """Return the network as it is before training."""
    return gw.mlp(
        [inputs, *widths(settings.hidden), outputs],
        activation=settings.activation,
        init=settings.init,
        normalization=settings.normalization,
        dropout=settings.dropout,
        seed=settings.seed,
    )


def optimizer(settings: Settings) -> Any:
    """Return the optimiser by its name, with its usual learning rate where none is given."""
    if settings.optimizer not in OPTIMIZERS:
        raise ValueError(f"[train] optimizer is {settings.optimizer!r}; needs one of {', '.join(OPTIMIZERS)}")
    rate = _USUAL_RATES[settings.optimizer] if settings.learning_rate is None else settings.learning_rate
    decay = settings.weight_decay
    if settings.optimizer in ("sgd", "momentum"):
        return gw.SGD(rate, weight_decay=decay, momentum=0.9 if settings.optimizer == "momentum" else 0.0)
    classes = {"adagrad": gw.Adagrad, "rmsprop": gw.RMSprop, "adam": gw.Adam, "adamw": gw.AdamW}
    return classes[settings.optimizer](rate, **({"weight_decay": decay} if decay else {}))


def clip(settings: Settings) -> Any:
    """Return the clipping, or None."""
    if settings.clip_norm is not None and settings.clip_value is not None:
        raise ValueError("[train] clip_norm and clip_value are both given; needs one of them")
    if settings.clip_value is not None:
        return gw.clip_by_value(settings.clip_value)
    return None if settings.clip_norm is None else gw.clip_by_norm(settings.clip_norm)


def stats(settings: Settings) -> bool | str:
    """Return which steps are recorded, as `fit` takes it."""
    if settings.stats not in STATS:
        raise ValueError(f"[train] stats is {settings.stats!r}; needs one of {', '.join(STATS)}")
    return STATS[settings.stats]
