"""Tables of the page: layers, network, training, trials, clipping, machine, and what measuring cost."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell._core import build_info, num_threads
from gradwell.clipping import ClipLedger
from gradwell.doctor.treatment import Treatment
from gradwell.doctor.trials import Trial
from gradwell.report.condensing import bounds_of, quantiles
from gradwell.report.maps import Shown, shown_kind
from gradwell.report.scales import number
from gradwell.report.subject import Subject

Array = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """A table as the page's template draws it; the first column heads the rows, `left` names those of words."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class TrialRow:
    """A remedy's trainings as the page's template draws them."""

    name: str
    code: str
    gone: str
    loss: str
    length: float
    """Of the loss's bar, in per cent of the largest."""
    level: str
    note: str


def layer_numbers(subject: Subject, gains: dict[str, Shown]) -> Table | None:
    """Return what the heat maps show as numbers, a row for each layer: medians over the recorded steps."""
    record = subject.record
    kind = shown_kind(record)
    if kind is None:
        return None
    values = record.norm(kind)
    columns = [values[0], _median(values), values[-1]]
    none = np.full(len(record.layers), np.nan)
    parts = ("total", "weight", "derivative")
    columns += [_median(gains[part].values) if part in gains else none for part in parts]
    shares = [_median(record.saturated()), _median(record.dead())]
    rows = [
        (name, what, *(number(float(column[i])) for column in columns), *(_share(float(s[i])) for s in shares))
        for i, (name, what) in enumerate(zip(record.layers, record.descriptions, strict=True))
    ]
    symbol = "‖δ‖" if kind == "error" else "norm"
    headers = (
        "layer",
        "what",
        f"{symbol} first",
        "median",
        "last",
        "gain",
        "weight",
        "derivative",
        "saturated",
        "dead",
    )
    return Table("Norms at the first and last record; medians of the rest", headers, tuple(rows), (0, 1))


def network_rows(subject: Subject) -> Table:
    """Return the layers: of the network where it is given, else of the fit's facts, else of the record."""
    network, facts, record = subject.network, subject.facts, subject.record
    headers = ("layer", "what", "inputs", "outputs", "parameters")
    if network is not None:
        sizes = {name: view.size for name, view in network.parameters.items()}
        return Table("Layers from input to output", headers, _stage_rows(network.program.stages, sizes), (0, 1))
    if facts is not None:
        sizes = {name: moments.size for name, moments in facts.moments.items()}
        return Table("Layers from input to output", headers, _stage_rows(facts.stages, sizes), (0, 1))
    rows = tuple(zip(record.layers, record.descriptions, strict=True))
    return Table("Layers from input to output", headers[:2], rows, (0, 1))


def training_facts(subject: Subject) -> list[tuple[str, str]]:
    """Return how it was trained, as far as that is known."""
    network, facts = subject.network, subject.facts
    found = []
    if network is not None:
        found.append(("network", f"{network.size:,} parameters, {network.dtype}"))
    elif facts is not None:
        found.append(("network", f"{sum(m.size for m in facts.moments.values()):,} parameters"))
    if facts is not None:
        found.append(("loss", facts.loss.replace("_", " ")))
        found.append(("samples", f"{facts.samples:,}, {facts.batch_size:,} a step"))
        if facts.optimizer is not None:
            found.append(("optimiser", _settings(facts.optimizer)))
        if np.isfinite(facts.learning_rate):
            found.append(("learning rate at the start", number(facts.learning_rate)))
        found.append(("clipping", _settings(facts.clip) if facts.clip is not None else "none"))
    if subject.steps is not None:
        found.append(("steps", f"{subject.steps:,}"))
    if subject.stopped is not None:
        found.append(("ended", subject.stopped))
    if subject.skipped:
        found.append(("steps left out", f"{len(subject.skipped):,}, a value was not finite"))
    return found


def machine_facts() -> list[tuple[str, str]]:
    """Return where the page was made."""
    info = build_info()
    return [
        ("processor", processor()),
        ("threads", str(num_threads())),
        ("kernels", f"level {info['cpu_level']}, {info['compiler']}"),
        ("platform", platform.platform()),
        ("Python", f"{platform.python_version()}, NumPy {np.__version__}"),
        ("gradwell", str(info["version"])),
    ]


def cost_facts(subject: Subject) -> list[tuple[str, str]]:
    """Return what was measured of how much, and how long it took."""
    record = subject.record
    found = [("layers", str(len(record.layers)))]
    if subject.steps:
        share = f"{len(record):,} of {subject.steps:,} steps ({len(record) / subject.steps:.1%})"
        found.append(("recorded", share))
    else:
        found.append(("recorded", f"{len(record):,} step{'s' * (len(record) != 1)}"))
    if subject.seconds is not None:
        each = f", {subject.seconds / subject.steps * 1e6:,.0f} µs a step" if subject.steps else ""
        found.append(("time of training, recording and validation", f"{subject.seconds:.3g} s{each}"))
    spent = "not measured: there were not both recorded and plain steps"
    if subject.seconds and math.isfinite(subject.recording_seconds):
        spent = f"{subject.recording_seconds:.3g} s ({subject.recording_seconds / subject.seconds:.1%} of it)"
    found.append(("time of recording alone", spent))
    found += [("fault while measuring", fault) for fault in subject.faults[:5]]
    return found


def clipping_facts(ledger: ClipLedger) -> list[tuple[str, str]]:
    """Return what clipping did."""
    found = ledger.to_dict()
    norm = found["norm"]
    facts = [
        ("clipped", f"{found['clipped']:,} of {found['steps']:,} steps ({found['clipped'] / found['steps']:.0%})"),
        (
            "norm before",
            f"median {number(norm['median'])}, 90 % below {number(norm['p90'])}, most {number(norm['max'])}",
        ),
    ]
    if found["clipped"]:
        facts.append(("factor", f"median {number(found['median_factor'])}, hardest {number(found['hardest_factor'])}"))
        causes = [f"{name} ({count:,})" for name, count in list(found["causes"].items())[:3]]
        facts.append(("largest part from", ", ".join(causes)))
    facts.append(("limit that would clip 10 %", number(found["suggested_limit"])))
    return facts


def trial_rows(treatment: Treatment) -> list[TrialRow]:
    """Return the trials, the untreated network first."""
    losses = [t.loss for t in (treatment.untreated, *treatment.trials) if np.isfinite(t.loss)]
    top = max(losses, default=1.0) or 1.0
    return [_trial_row(trial, top, treatment.winner) for trial in (treatment.untreated, *treatment.trials)]


def processor() -> str:
    """Return the name of the machine's processor."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or sys.platform


def _trial_row(trial: Trial, top: float, winner: Trial | None) -> TrialRow:
    name, code = ("untreated", "") if trial.remedy is None else (trial.remedy.name, trial.remedy.code)
    if trial.skipped is not None:
        return TrialRow(name, code, "–", "–", 0.0, "skipped", f"not tried: {trial.skipped}")
    count, gone = len(trial.outcomes), sum(outcome.gone for outcome in trial.outcomes)
    notes = ["the best of those that helped"] if winner is not None and trial is winner else []
    notes += ["from new weights"] if trial.drawn_anew else []
    loss = "not finite" if not np.isfinite(trial.loss) else number(trial.loss)
    loss += f" ±\u00a0{trial.spread:.2g}" if count > 1 and np.isfinite(trial.spread) else ""
    length = 100.0 if not np.isfinite(trial.loss) else 100 * max(trial.loss, 0.0) / top
    level = "winner" if winner is not None and trial is winner else "helped" if trial.gone > 0.5 else "not"
    return TrialRow(name, code, f"{gone}\u00a0of\u00a0{count}", loss, round(length, 1), level, ", ".join(notes))


def _stage_rows(stages: Sequence[tuple[Any, ...]], sizes: dict[str, int]) -> tuple[tuple[str, ...], ...]:
    names = {str(stage[0]) for stage in stages}
    rows = []
    for name, what, inputs, outputs, *_ in stages:
        # Names of a branch's layers begin with their block's: "1.0.weight" is of 1.0, not of 1.
        mine = [s for parameter, s in sizes.items() if _owner(parameter, names) == name]
        rows.append((str(name), str(what), f"{inputs:,}", f"{outputs:,}", f"{sum(mine):,}" if mine else "–"))
    return tuple(rows)


def _owner(parameter: str, names: set[str]) -> str:
    owner = parameter.rpartition(".")[0]
    while owner and owner not in names:
        owner = owner.rpartition(".")[0]
    return owner


def _settings(rule: dict[str, Any]) -> str:
    rest = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in rule.items() if key != "name")
    return f"{rule.get('name', '')} ({rest})" if rest else str(rule.get("name", ""))


def _value(value: Any) -> str:
    return number(float(value)) if isinstance(value, float) else str(value)


def _median(values: Array) -> Array:
    return np.asarray(quantiles(values, bounds_of(len(values), 1))[0])


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.0%}"
