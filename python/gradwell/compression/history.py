"""What the training of a history compressor leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.history import History
from gradwell.parts import array_part, list_part, part

Array = NDArray[Any]

FRESH = ("raw", "compressed")


@dataclass
class CompressionHistory:
    """Figures of one `HistoryCompressor.fit`.

    Attributes
    ----------
    mean_length, max_length
        Of the training sequences at every level, the raw ones first.
    unexpected
        Share of the symbols of each level that were not expected and went up.
    predictors
        The `History` of each level's predictor.
    rejected
        That of a predictor that shortened too little and was thrown away, or None.
    classifier
        The `History` of the classifier, with the gradient of every step of the top level's sequences in
        ``classifier.gradients.time("0")``; None where there were no labels.
    fresh
        "raw" and "compressed": |dC/dh_t| by step, of a classifier that has learnt nothing yet, on sequences of the
        length that is most frequent among the raw ones and among the top level's; empty without labels.
    stopped
        Why no level came after the last.
    """

    mean_length: list[float] = field(default_factory=list)
    max_length: list[int] = field(default_factory=list)
    unexpected: list[float] = field(default_factory=list)
    predictors: list[History] = field(default_factory=list)
    rejected: History | None = None
    classifier: History | None = None
    fresh: dict[str, Array] = field(default_factory=dict)
    stopped: str = ""

    @property
    def levels(self) -> int:
        """How many levels were kept."""
        return len(self.unexpected)

    def measure(self, sequences: list[Any]) -> None:
        """Note the lengths of one level."""
        lengths = [len(items) for items in sequences]
        self.mean_length.append(float(np.mean(lengths)))
        self.max_length.append(max(lengths))

    def to_dict(self) -> dict[str, Any]:
        """Return all but the gradient records as lists and numbers, ready for JSON."""
        losses = [history.loss.tolist() for history in self.predictors]
        return {
            "mean_length": self.mean_length,
            "max_length": self.max_length,
            "unexpected": self.unexpected,
            "predictor_loss": losses,
            "classifier_loss": None if self.classifier is None else self.classifier.loss.tolist(),
            "fresh": {name: norms.tolist() for name, norms in self.fresh.items()},
            "stopped": self.stopped,
        }

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what is said in words, ready for JSON, and arrays by name: see `from_arrays`."""
        named = {f"predictor.{i}": history for i, history in enumerate(self.predictors)}
        named |= {name: kept for name in ("rejected", "classifier") if (kept := getattr(self, name)) is not None}
        about: dict[str, Any] = {"stopped": self.stopped, "max_length": self.max_length, "histories": {}}
        arrays = {"mean_length": np.array(self.mean_length), "unexpected": np.array(self.unexpected)}
        arrays |= {f"fresh/{name}": np.asarray(norms, np.float64) for name, norms in self.fresh.items()}
        for name, history in named.items():
            about["histories"][name], own = history.to_arrays()
            arrays |= {f"{name}/{key}": array for key, array in own.items()}
        return about, arrays

    @classmethod
    def from_arrays(cls, description: Any, arrays: Mapping[str, Array]) -> CompressionHistory:
        """Return the history that `to_arrays` took apart; ValueError where the parts do not fit one another."""
        found = cls(stopped=part(description, "stopped", str), max_length=list_part(description, "max_length", int))
        found.mean_length = array_part(arrays, "mean_length", "float64", (len(found.max_length),)).tolist()
        found.unexpected = array_part(arrays, "unexpected", "float64", (None,)).tolist()
        for name in FRESH:
            if f"fresh/{name}" in arrays:
                found.fresh[name] = array_part(arrays, f"fresh/{name}", "float64", (None,))
        for name, about in part(description, "histories", dict).items():
            inside = {k.removeprefix(f"{name}/"): a for k, a in arrays.items() if k.startswith(f"{name}/")}
            history = History.from_arrays(about, inside)
            if name.startswith("predictor."):
                found.predictors.append(history)
            elif name == "rejected":
                found.rejected = history
            else:
                found.classifier = history
        return found

    def __repr__(self) -> str:
        return f"<CompressionHistory mean length {' → '.join(f'{mean:.4g}' for mean in self.mean_length)}>"
