"""What a rule finds: one illness, where it is, what makes it, the numbers, and what may help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SEVERITIES = ("note", "warning", "severe")
NO_RECORD = "no gradient record"  # why a rule has not measured anything
FACTORS = ("weight", "derivative", "norm", "skip", "time", "data", "loss", "rate", "clip", "format")


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    Attributes
    ----------
    name
        In a few words.
    why
        What it does against the finding, and who says so.
    code
        A line to paste.
    change
        What a trial changes, as `gradwell.doctor.remedies` lists it.
    torch_code
        The same in PyTorch; empty where `code` serves there too.

    Examples
    --------
    >>> from gradwell.doctor import REMEDIES
    >>> REMEDIES["adam"].in_torch().code
    'optimizer = torch.optim.Adam(model.parameters(), 1e-3)'
    """

    name: str
    why: str
    code: str
    change: Mapping[str, Any] = field(default_factory=dict)
    torch_code: str = ""

    def in_torch(self) -> Remedy:
        """Return the remedy with the line for PyTorch as its code."""
        return replace(self, code=self.torch_code or self.code)


@dataclass(frozen=True)
class Finding:
    """One illness of one network.

    Attributes
    ----------
    rule
        Name of the rule that found it.
    severity
        "note" (worth knowing, nothing wrong), "warning" or "severe".
    text
        One sentence.
    layer, layers
        Name of the layer where it is worst, and of all where it is; None and () where it has no place.
    steps
        First and last training step at which it was seen.
    factor
        What is at fault: "weight", "derivative", "norm", "skip", "time", "data", "loss", "rate", "clip" or "format"
        (the range of the number format); None where that is not known.
    evidence
        The numbers behind it, the threshold among them.
    remedies
        What may help, the most promising first.
    explained_by
        Name of the rule whose finding is the cause of this one, or None.
    """

    rule: str
    severity: str
    text: str
    layer: str | None = None
    layers: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None
    factor: str | None = None
    evidence: Mapping[str, float] = field(default_factory=dict)
    remedies: tuple[Remedy, ...] = ()
    explained_by: str | None = None

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f'[finding] severity is "{self.severity}"; needs one of {", ".join(SEVERITIES)}')
        if self.factor is not None and self.factor not in FACTORS:
            raise ValueError(f'[finding] factor is "{self.factor}"; needs one of {", ".join(FACTORS)}')

    def to_dict(self) -> dict[str, Any]:
        """Return all of it ready for JSON; numbers that are not finite are None."""
        finite = {name: float(v) if abs(float(v)) < float("inf") else None for name, v in self.evidence.items()}
        return {
            "rule": self.rule,
            "severity": self.severity,
            "text": self.text,
            "layer": self.layer,
            "layers": list(self.layers),
            "steps": list(self.steps) if self.steps else None,
            "factor": self.factor,
            "evidence": finite,
            "remedies": [
                {"name": r.name, "why": r.why, "code": r.code, "change": dict(r.change)} for r in self.remedies
            ],
            "explained_by": self.explained_by,
        }
