"""Findings that explain one another: which is the cause of which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gradwell.doctor.finding import Finding
from gradwell.doctor.registry import Rule


def joined(findings: list[Finding], rules: Mapping[str, Rule]) -> list[Finding]:
    """Return the findings, each with the rule whose finding explains it.

    A rule names those that may explain it, the likeliest first. The first of them that found something explains it,
    unless it began later (by more than a tenth of the steps: some illnesses show only after a while), or is itself
    explained by what it would explain.
    """
    cause: dict[str, str] = {}
    real = [f for f in findings if f.severity != "note"]
    first = {f.rule: f for f in real}
    span = max((f.steps[1] for f in real if f.steps), default=0)
    for finding in real:
        rule = rules.get(finding.rule)
        for name in rule.explained_by if rule else ():
            known = name in first and name in rules and name != finding.rule
            if known and not _leads_to(name, finding.rule, cause) and _in_time(first[name], finding, rules[name], span):
                cause[finding.rule] = name
                break
    return [replace(f, explained_by=cause.get(f.rule)) if f.severity != "note" else f for f in findings]


def _in_time(cause: Finding, effect: Finding, rule: Rule, span: int) -> bool:
    if cause.steps is None or effect.steps is None:
        return True
    if rule.acts_later and effect.steps[0] <= cause.steps[0]:
        return False
    return cause.steps[0] <= effect.steps[0] + span // 10


def _leads_to(name: str, target: str, cause: Mapping[str, str]) -> bool:
    while name in cause:
        name = cause[name]
        if name == target:
            return True
    return False
