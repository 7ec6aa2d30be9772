"""What ``gradwell diagnose`` and ``gradwell treat`` do with a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradwell as gw
from gradwell import cli_settings
from gradwell.cli_data import Prepared, Scale, Table, prepared, read
from gradwell.cli_settings import MADE_BY, Settings
from gradwell.cli_train import Destination, Outcome, trained
from gradwell.doctor import REMEDIES, Diagnosis, NothingToTreatError, Setup, Treatment, applied
from gradwell.parts import list_part, part
from gradwell.runs import Run

_FEW = 20  # recorded steps that leave some rules nothing to look at


class Start(NamedTuple):
    """What a run began with, made again."""

    settings: Settings
    data: Prepared
    remedies: tuple[str, ...]
    """Names of those that had been applied before."""
    setup: Setup


class Treated(NamedTuple):
    """What trying the remedies came to."""

    run: Run
    cure: Treatment | None
    """None where there was nothing to treat."""
    applied: Outcome | None
    """The training with the winner, where one was asked for."""
    page: Path | None = None
    """The report, where one was asked for."""

    @property
    def holds(self) -> bool:
        """Whether there was nothing to treat, or something helped."""
        return self.cure is None or self.cure.winner is not None

    def text(self) -> str:
        """Return the table of the trials, the winner as code, and how training with it went."""
        if self.cure is None:
            return f"{headline(self.run)}\n\nNothing found that is wrong: there is nothing to treat."
        lines = [headline(self.run), "", str(self.cure)]
        if self.page is not None:
            lines += ["", f"Report: {self.page}"]
        if self.applied is not None:
            lines += ["", "Trained with it:", "", self.applied.text()]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return the same, ready for JSON."""
        found = {} if self.cure is None else self.cure.to_dict()
        return {
            "run": str(self.run.folder),
            "treated": self.cure is not None,
            **found,
            "code": self.cure.code if self.cure else "",
            "applied": self.applied.as_json() if self.applied else None,
            "report": str(self.page) if self.page else None,
        }


def headline(run: Run) -> str:
    """Return in a line or two what a run is, and why it ended if it did early."""
    history = run.history
    ended = "" if history.stopped == "finished" else f"; ended early: {history.stopped}"
    steps, recorded = len(history.step_loss), len(history.gradients)
    hint = " (train with --stats all for every one)" if recorded < min(steps, _FEW) else ""
    return f"{run.folder}: {steps} steps, {recorded} of them recorded{hint}{ended}" + (
        f"\n{run.network}" if run.network is not None else ""
    )


def diagnosis_text(run: Run, diagnosis: Diagnosis) -> str:
    """Return the diagnosis under a headline."""
    return f"{headline(run)}\n\n{diagnosis}"


def treat(
    run: Run,
    only: Sequence[str],
    *,
    data: str | None,
    rule: str | None,
    steps: int,
    seeds: int,
    jobs: int,
    page: Path | None,
    to: Destination,
    progress: bool | None,
) -> Treated:
    """Try remedies from where a run began, and train with the winner where `to` names a folder."""
    to.check()
    if to.run is not None and to.run.resolve() == run.folder.resolve():
        raise ValueError(f"[treat] apply is {to.run}, the run itself; needs another folder")
    if page is not None and not page.parent.is_dir():
        raise FileNotFoundError(f"[treat] report: the folder {page.parent} does not exist")
    tried = _named(only)
    start = begin(run, data)
    setup = start.setup
    try:
        cure = gw.treat(
            setup.network,
            (setup.x, setup.y),
            loss=start.data.loss,
            optimizer=setup.optimizer,
            batch_size=min(start.settings.batch_size, len(setup.x)),
            clip=setup.clip,
            rule=rule,
            remedies=tried or None,
            steps=steps,
            seeds=seeds,
            jobs=jobs,
            progress=progress,
        )
    except NothingToTreatError:
        return Treated(run, None, None)
    if page is not None:
        gw.report.write(page, run.history, network=run.network, treatment=cure, title=str(run.folder))
    if cure.winner is None or to.run is None:
        return Treated(run, cure, None, page)
    won = next((name for name, remedy in REMEDIES.items() if remedy == cure.winner.remedy), None)
    if won is None:
        raise ValueError(f"[treat] apply needs one of the remedies {', '.join(REMEDIES)}; another one won")
    return Treated(run, cure, apply(start, won, to, progress), page)


def apply(start: Start, name: str, to: Destination, progress: bool | None) -> Outcome:
    """Train as the run did, but with a remedy."""
    settings, data, before, setup = start
    data, setup = _with_remedy(data, setup, name)
    how = {"optimizer": setup.optimizer, "clip": setup.clip}
    return trained(setup.network, data, settings, how, to, progress, (*before, name))


def begin(run: Run, data: str | None = None) -> Start:
    """Make again what a run began with: its data, read anew and checked, its weights before the first step.

    Raises
    ------
    ValueError
        The run is not of ``gradwell train``, or its data is not what it was.
    """
    try:
        made_by = part(run.settings, "made_by", str)
        if made_by != MADE_BY:
            raise ValueError(f"made_by is {made_by!r}; needs {MADE_BY!r}")
        settings = Settings.from_dict(part(run.settings, "options", dict))
        about = part(run.settings, "data", dict)
        place, sha256 = part(about, "place", str), part(about, "sha256", str)
        remedies = tuple(list_part(run.settings, "remedies", str))
        unknown = [name for name in remedies if name not in REMEDIES]
        if unknown:
            raise ValueError(f"remedies has {unknown[0]!r}; needs some of {', '.join(REMEDIES)}")
    except ValueError as error:
        raise ValueError(f"[treat] {run.folder} is no run of gradwell train: its settings' {error}") from None
    table = read(replace(settings, data=data or place))
    if table.sha256 != sha256:
        raise ValueError(f"[treat] {data or place} does not hold the rows that {run.folder} was trained on (SHA-256)")
    return _start(settings, table, remedies)


def _start(settings: Settings, table: Table, remedies: tuple[str, ...]) -> Start:
    data = prepared(settings, table)
    net = cli_settings.network(settings, table.x.shape[1], table.outputs)
    setup = Setup(net, *data.inside, cli_settings.optimizer(settings), cli_settings.clip(settings))
    for name in remedies:
        data, setup = _with_remedy(data, setup, name)
    return Start(settings, data, remedies, setup)


def _with_remedy(data: Prepared, setup: Setup, name: str) -> tuple[Prepared, Setup]:
    changed = applied(REMEDIES[name], setup, 0)
    if changed.x is not setup.x:  # the rows held out are brought to the same scale
        data = data._replace(x_scale=Scale.of(data.table.x))
    return data, replace(changed, x=data.inside[0])


def _named(names: Sequence[str]) -> list[Any]:
    """Return remedies by name, written with blanks or hyphens, one by one or joined by commas."""
    listed = [name.strip().replace("-", " ") for text in names for name in text.split(",") if name.strip()]
    for name in listed:
        if name not in REMEDIES:
            known = ", ".join(name.replace(" ", "-") for name in REMEDIES)
            raise ValueError(f"[treat] only has {name!r}; needs some of {known}")
    return [REMEDIES[name] for name in dict.fromkeys(listed)]
