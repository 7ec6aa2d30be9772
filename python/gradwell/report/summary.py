"""The head of the page: three sentences, and a health score for each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from gradwell.doctor.finding import Finding, Remedy
from gradwell.report.scales import Tick, number, short, spread_out
from gradwell.report.subject import Subject

CAUSES: Final = {
    "weight": "the weights",
    "derivative": "the activation's derivative",
    "norm": "the normalisation",
    "skip": "the skip connection",
    "time": "the recurrence over time",
    "data": "the data",
    "loss": "the loss",
    "rate": "the learning rate",
    "clip": "the clipping",
    "format": "the range of the number format",
}


@dataclass(frozen=True)
class Score:
    """A layer's health as the page's template draws it; None where nothing of it was measured."""

    layer: str
    value: int | None

    @property
    def level(self) -> str:
        """How it is coloured."""
        if self.value is None:
            return "missing"
        return "good" if self.value > 80 else "fair" if self.value > 50 else "poor"


@dataclass(frozen=True)
class Scores:
    """The row of bars."""

    bars: tuple[Score, ...]
    ticks: tuple[Tick, ...]
    alt: str
    note: str


def sentences(subject: Subject) -> list[str]:
    """Return what the diagnosis comes to in three sentences."""
    found = subject.diagnosis
    roots = [f for f in found.roots if f.severity != "note"]
    if not roots:
        return [_nothing(subject), _missed(subject), _course(subject)]
    root = roots[0]
    return [_cause(root, len(roots)), _effects(subject, root), _advice(subject)]


def scores(subject: Subject) -> Scores:
    """Return each layer's health score; a layer of which nothing was measured has none."""
    record = subject.record
    seen = np.zeros(len(record.layers), bool)
    if len(record):
        for kind in record.kinds:
            seen |= np.isfinite(record.norm(kind)).any(axis=0)
    known = subject.diagnosis.scores()
    bars = tuple(
        Score(name, known.get(name) if there else None) for name, there in zip(record.layers, seen, strict=True)
    )
    measured = [bar for bar in bars if bar.value is not None]
    if not measured:
        note = "No layer was measured, so none has a score."
        return Scores(bars, (), note, note)
    least = min(bar.value or 0 for bar in measured)
    lowest = [bar.layer for bar in measured if bar.value == least]
    full = sum(bar.value == 100 for bar in measured)
    note = f"{full} of {len(bars)} layers {'has' if full == 1 else 'have'} the full 100"
    others = f" and {len(lowest) - 1} more" if len(lowest) > 1 else ""
    note += "." if full == len(measured) else f"; the lowest, {least}, is that of layer {lowest[0]}{others}."
    gone = len(bars) - len(measured)
    note += f" {gone} {'was' if gone == 1 else 'were'} not measured." if gone else ""
    return Scores(bars, _ticks(record.layers), f"Health score of each layer. {note}", note)


def _ticks(layers: list[str]) -> tuple[Tick, ...]:
    """Return as many names as have room below the bars, or the first and the last where they are long."""
    longest = max(map(len, layers))
    if longest <= 6 or len(layers) == 1:
        return tuple(spread_out([short(name, 12) for name in layers], 44 // (min(longest, 12) + 2)))
    return (Tick(0.0, short(layers[0], 18)), Tick(100.0, short(layers[-1], 18)))


def _cause(root: Finding, count: int) -> str:
    where = f" in layer {root.layer}" if root.layer is not None else ""
    blame = f"; at fault: {CAUSES.get(root.factor, root.factor)}" if root.factor else ""
    others = f", the worst of {count} root causes" if count > 1 else ""
    return f"The root cause is {_words(root.rule)}{where} ({root.severity}{others}){blame}."


def _effects(subject: Subject, root: Finding) -> str:
    text = root.text.rstrip(".")
    names = _explained(subject, root.rule, {root.rule})
    return f"{text}, which explains {_and(names)}." if names else f"{text}."


def _explained(subject: Subject, rule: str, seen: set[str]) -> list[str]:
    names = []
    for finding in subject.diagnosis.findings:
        if finding.explained_by == rule and finding.rule not in seen:
            seen.add(finding.rule)
            names += [_words(finding.rule), *_explained(subject, finding.rule, seen)]
    return names


def remedy_of(subject: Subject) -> Remedy | None:
    """Return what helped in trials, or else the first remedy of the worst root cause; None where there is neither."""
    winner = subject.treatment.winner if subject.treatment is not None else None
    if winner is not None:
        return winner.remedy
    roots = [f for f in subject.diagnosis.roots if f.severity != "note"]
    return roots[0].remedies[0] if roots and roots[0].remedies else None


def _advice(subject: Subject) -> str:
    remedy = remedy_of(subject)
    if remedy is None:
        return "No remedy is known for it."
    tried = subject.treatment is not None and subject.treatment.winner is not None
    return f"{'What helped in trials' if tried else 'The first thing to try'}: {remedy.name}."


def _nothing(subject: Subject) -> str:
    clear = sum(text == "clear" for text in subject.diagnosis.verdicts.values())
    if not len(subject.record):
        return f"No gradient was recorded, so little could be judged; {clear} rules on the rest are clear."
    span = f"{len(subject.record):,} recorded step{'s' * (len(subject.record) != 1)}"
    return (
        f"Nothing was found that is wrong: {clear} rules are clear over {span} of {len(subject.record.layers)} layers."
    )


def _missed(subject: Subject) -> str:
    missed = [_words(name) for name in subject.diagnosis.not_measured]
    if not missed:
        return "Every rule had what it looks at."
    if len(missed) > 6:
        missed = [*missed[:5], f"{len(missed) - 5} more"]
    return f"Not measured, and so not known to be healthy: {_and(missed)}."


def _course(subject: Subject) -> str:
    losses = subject.losses[np.isfinite(subject.losses)]
    if len(losses) < 2:
        return "There was no training, so nothing is said about its course."
    few = max(1, len(losses) // 20)
    first, last = float(losses[:few].mean()), float(losses[-few:].mean())
    return f"The loss went from {number(first)} to {number(last)} in {len(subject.losses):,} steps."


def _words(rule: str) -> str:
    return rule.replace("_", " ")


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
