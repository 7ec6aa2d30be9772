"""What the doctor says: findings, root causes first, and what each rule came to."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gradwell.doctor.finding import NO_RECORD, SEVERITIES, Finding
from gradwell.doctor.markup import markup

WIDTH = 100


@dataclass(frozen=True)
class Diagnosis:
    """The verdict on one network.

    Attributes
    ----------
    findings
        Root causes first, each followed by what it explains; within that the severe ones first.
    verdicts
        For every rule "found", "clear" or "not measured: ..." with the reason. What was not measured is not healthy.
    layers
        Names of the layers that were looked at.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, *[30] * 5, 10], activation="sigmoid", init="nielsen", seed=0)
    >>> diagnosis = gw.diagnose(net, x, y, loss="sigmoid_cross_entropy")
    >>> diagnosis.healthy, diagnosis["vanishing"].factor
    (False, 'derivative')
    """

    findings: tuple[Finding, ...]
    verdicts: Mapping[str, str]
    layers: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether gradients were recorded and nothing found but notes; what was not measured is in `verdicts`."""
        recorded = NO_RECORD not in self.not_measured.values()
        return recorded and all(finding.severity == "note" for finding in self.findings)

    @property
    def roots(self) -> tuple[Finding, ...]:
        """Findings that no other explains."""
        return tuple(finding for finding in self.findings if finding.explained_by is None)

    @property
    def not_measured(self) -> dict[str, str]:
        """Rules that had nothing to look at, and why."""
        start = "not measured: "
        return {name: text[len(start) :] for name, text in self.verdicts.items() if text.startswith(start)}

    def __getitem__(self, rule: str) -> Finding:
        for finding in self.findings:
            if finding.rule == rule:
                return finding
        raise KeyError(f"[diagnosis] {rule}: {self.verdicts.get(rule, 'there is no such rule')}")

    def get(self, rule: str) -> Finding | None:
        """Return what a rule found, or None."""
        return next((finding for finding in self.findings if finding.rule == rule), None)

    def __contains__(self, rule: object) -> bool:
        return any(finding.rule == rule for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def scores(self) -> dict[str, int]:
        """Return a health score by layer: 100, less 20 for every warning and 50 for every severe finding there."""
        cost = {"note": 0, "warning": 20, "severe": 50}
        found = dict.fromkeys(self.layers, 100)
        for finding in self.findings:
            for layer in finding.layers or ((finding.layer,) if finding.layer else ()):
                if layer in found:
                    found[layer] = max(0, found[layer] - cost[finding.severity])
        return found

    def in_torch(self) -> Diagnosis:
        """Return the same with remedies that are written for PyTorch."""
        told = tuple(replace(f, remedies=tuple(r.in_torch() for r in f.remedies)) for f in self.findings)
        return replace(self, findings=told)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it ready for JSON."""
        return {
            "healthy": self.healthy,
            "findings": [finding.to_dict() for finding in self.findings],
            "verdicts": dict(self.verdicts),
            "scores": self.scores(),
        }

    def to_json(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def to_html(self, level: int = 3) -> str:
        """Return all of it as a fragment of HTML with headings of `level`: plain elements with classes, no style."""
        return markup(self, level)

    def __str__(self) -> str:
        worst = [f.severity for f in self.findings if f.severity != "note"]
        clear = "Nothing found that is wrong." if self.healthy else "No gradient was recorded."
        lines = [f"{len(worst)} finding{'s' * (len(worst) != 1)}" if worst else clear]
        for finding in self.findings:
            indent = "  " if finding.explained_by is None else "      because of that: "
            where = f", layer {finding.layer}" if finding.layer is not None else ""
            when = f", steps {finding.steps[0]} to {finding.steps[1]}" if finding.steps else ""
            factor = f", at fault: {finding.factor}" if finding.factor else ""
            lines.append(f"{indent}{finding.severity}: {finding.rule.replace('_', ' ')}{where}{when}{factor}")
            inner = " " * (6 if finding.explained_by is None else 10)
            lines += textwrap.wrap(finding.text, WIDTH, initial_indent=inner, subsequent_indent=inner)
            if finding.explained_by is None:
                for remedy in finding.remedies[:3]:
                    one = f"{inner}try: {remedy.name}    {remedy.code}"
                    fits = len(one) <= WIDTH + len(inner)
                    lines += [one] if fits else [f"{inner}try: {remedy.name}", f"{inner}     {remedy.code}"]
        missed: dict[str, list[str]] = {}
        for name, why in self.not_measured.items():
            missed.setdefault(why, []).append(name.replace("_", " "))
        if missed:
            text = "; ".join(f"{', '.join(names)} ({why})" for why, names in missed.items())
            lines += textwrap.wrap(f"Not measured: {text}.", WIDTH, subsequent_indent="  ")
        return "\n".join(lines)


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return root causes, the worst first, each followed by what it explains."""
    worst = sorted(findings, key=lambda f: -SEVERITIES.index(f.severity))
    names = {f.rule for f in worst}

    def below(cause: str, seen: frozenset[str]) -> list[Finding]:
        effects = [f for f in worst if f.explained_by == cause and f.rule not in seen]
        return [g for f in effects for g in (f, *below(f.rule, seen | {f.rule}))]

    ordered: list[Finding] = []
    for finding in worst:
        if finding.explained_by is None or finding.explained_by not in names:
            ordered += [finding, *(f for f in below(finding.rule, frozenset({finding.rule})) if f not in ordered)]
    kept = {id(finding): finding for finding in ordered}
    return tuple(kept.values())
