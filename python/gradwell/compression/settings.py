"""The settings of a history compressor, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gradwell.checks import check_count, check_positive, check_share
from gradwell.compression.reader import CELLS, OPTIMIZERS
from gradwell.compression.sequences import NAME


@dataclass(frozen=True)
class Settings:
    """See `HistoryCompressor`."""

    alphabet: int | None
    cell: str
    hidden_size: int
    max_levels: int
    surprise: float
    min_shortening: float
    optimizer: str
    learning_rate: float
    epochs: int
    batch_size: int
    max_norm: float
    classifier_cell: str | None
    classifier_size: int | None
    classifier_epochs: int | None
    classifier_learning_rate: float | None
    seed: int
    dtype: str

    def __post_init__(self) -> None:
        for name, lowest in (("hidden_size", 1), ("max_levels", 0), ("epochs", 1), ("batch_size", 1), ("seed", 0)):
            check_count(NAME, name, getattr(self, name), lowest=lowest)
            object.__setattr__(self, name, int(getattr(self, name)))
        for name in ("alphabet", "classifier_size", "classifier_epochs"):
            if getattr(self, name) is not None:
                check_count(NAME, name, getattr(self, name))
                object.__setattr__(self, name, int(getattr(self, name)))
        for name in ("surprise", "min_shortening"):
            object.__setattr__(self, name, check_share(NAME, name, getattr(self, name)))
        for name in ("learning_rate", "max_norm", "classifier_learning_rate"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_positive(NAME, name, getattr(self, name)))
        for name, options in (
            ("cell", list(CELLS)),
            ("classifier_cell", [None, *CELLS]),
            ("optimizer", list(OPTIMIZERS)),
            ("dtype", ["float32", "float64"]),
        ):
            if getattr(self, name) not in options:
                known = ", ".join(str(option) for option in options)
                raise ValueError(f"[{NAME}] {name} is {getattr(self, name)!r}; needs one of {known}")

    def of_predictor(self, level: int) -> dict[str, Any]:
        """Return how the predictor of a level is trained."""
        names = ("optimizer", "learning_rate", "epochs", "batch_size", "max_norm")
        return {**{name: getattr(self, name) for name in names}, "seed": self.seed + level}

    def of_classifier(self) -> dict[str, Any]:
        """Return how the classifier is trained; what is not set is as in the predictors."""
        epochs = self.epochs if self.classifier_epochs is None else self.classifier_epochs
        rate = self.learning_rate if self.classifier_learning_rate is None else self.classifier_learning_rate
        return {**self.of_predictor(self.max_levels), "epochs": epochs, "learning_rate": rate}

    def as_dict(self) -> dict[str, Any]:
        """Return all of them, ready for JSON and for `HistoryCompressor`."""
        return asdict(self)
