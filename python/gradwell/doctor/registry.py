"""The rules there are: ours, and those that users and other packages register."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any, TypeVar

from gradwell.doctor.case import Case
from gradwell.doctor.finding import NO_RECORD, Finding

ENTRY_POINTS = "gradwell.rules"


class Rule:
    """One illness: what must be measured to look for it, and how to find it.

    A rule of one's own derives from this, says its `name`, the `source` of its thresholds and which rules' findings may
    `explain` its own, and is registered with the decorator `rule`, or by an entry point of the group
    "gradwell.rules" that names the class.

    Examples
    --------
    >>> from gradwell import doctor
    >>> @doctor.rule
    ... class Huge(doctor.Rule):
    ...     name, source = "huge", "a wish"
    ...     def examine(self, case):
    ...         if case.record.norm("error").max() > 1e6:
    ...             yield doctor.Finding(self.name, "warning", "a gradient is above a million")
    >>> "huge" in doctor.rules()
    True
    >>> doctor.forget("huge")
    """

    name: str = ""
    source: str = ""
    explained_by: tuple[str, ...] = ()
    """Rules whose findings can be the cause of this one's, the likeliest first."""
    acts_later: bool = False
    """Whether what it finds shows its effects only in the steps that follow."""

    def missing(self, case: Case) -> str | None:
        """Return what was not measured that this rule needs, or None."""
        return None if len(case.record) and case.layers else NO_RECORD

    def examine(self, case: Case) -> Iterable[Finding]:
        """Yield what is found."""
        raise NotImplementedError


_RULES: dict[str, Rule] = {}
_LOADED: list[str] = []
Class = TypeVar("Class", bound=type)


def rule(kind: Class) -> Class:
    """Register a class of rules; raise where its name is missing or taken."""
    if not (isinstance(kind, type) and issubclass(kind, Rule)):
        raise TypeError(f"[rule] {kind!r} is no class of rules; derive it from gradwell.doctor.Rule")
    if not kind.name or kind.name in _RULES:
        raise ValueError(f'[rule] name is "{kind.name}"; needs one that is not taken by {", ".join(_RULES) or "none"}')
    _RULES[kind.name] = kind()
    return kind


def forget(name: str) -> None:
    """Remove a rule."""
    if name not in _RULES:
        raise ValueError(f'[rule] there is no rule "{name}"; there are {", ".join(_RULES)}')
    del _RULES[name]


def rules() -> dict[str, Rule]:
    """Return all rules by name, those of other packages among them."""
    if not _LOADED:
        _LOADED.append(ENTRY_POINTS)
        for entry in entry_points(group=ENTRY_POINTS):
            found: Any = entry.load()
            if getattr(found, "name", None) not in _RULES:
                rule(found)
    return dict(_RULES)
