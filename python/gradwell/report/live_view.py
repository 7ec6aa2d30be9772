"""What the live view shows of a fit, as lines of text that fit a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from gradwell.doctor.case import middle
from gradwell.doctor.diagnosis import Diagnosis
from gradwell.history import History

if TYPE_CHECKING:
    from rich.text import Text

Array = NDArray[Any]

_RECENT: Final = 20  # records whose medians are shown
_WINDOW: Final = 1000  # steps whose clipping is counted
_FAR, _VERY_FAR = 2.0, 10.0  # gains further from 1 than this
_MOST_ROWS: Final = 32  # layers
_FLAT, _DEAD = 0.6, 0.2  # shares worth a note, as in the layer table
_SPARKS: Final = {False: "▁▂▃▄▅▆▇█", True: "_.-=+*#@"}
_COLOURS: Final = {"severe": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Layers:
    """The layers as the last few records show them: medians, NaN where not measured."""

    names: list[str]
    descriptions: list[str]
    norms: Array
    gains: Array
    saturated: Array
    dead: Array
    broken: Array
    """Whether an error signal has a NaN or an infinity."""


@dataclass(frozen=True)
class View:
    """One moment of a fit."""

    step: int
    epoch: int
    seconds: float
    steps_per_second: float
    losses: Array
    metrics: dict[str, float]
    layers: Layers | None
    clipped: float | None
    """Share of the last steps that clipping changed; None where nothing clips."""
    diagnosis: Diagnosis | None
    trouble: str = ""
    """Why there is no diagnosis."""


def layers_of(history: History) -> Layers | None:
    """Return what the newest records say of the layers; None where there is no record."""
    record = history.gradients[-_RECENT:]
    if not len(record):
        return None
    broken = (record.nans("error") + record.infs("error"))[-1] > 0
    norms, gains = middle(record.norm("error")), middle(record.gain())
    shares = middle(record.saturated()), middle(record.dead())
    return Layers(record.layers, record.descriptions, norms, gains, shares[0], shares[1], broken)


def clipped_share(history: History) -> float | None:
    """Return the share of the last 1,000 steps that clipping changed."""
    return float(history.clipping.clipped[-_WINDOW:].mean()) if len(history.clipping) else None


def telling(layers: Layers, most: int) -> list[int]:
    """Return positions of the layers to show, in order: first and last, then those whose gain or units stand out.

    Examples
    --------
    >>> nothing = np.zeros(4)
    >>> gains = np.array([1.0, 0.9, 0.1, 1.1])
    >>> telling(Layers(list("abcd"), list("abcd"), nothing + 1, gains, nothing, nothing, nothing > 0), 3)
    [0, 2, 3]
    """
    count = len(layers.names)
    if count <= most:
        return list(range(count))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.abs(np.log10(layers.gains))
    score = np.nan_to_num(score, nan=0.0, posinf=300.0)
    score += np.nan_to_num(layers.dead) + np.maximum(np.nan_to_num(layers.saturated) - _FLAT, 0)
    nothing = layers.norms == 0
    edge = nothing & ~(np.append(nothing[1:], False) & np.append(False, nothing[:-1]))  # of a run of layers without any
    score += np.where(layers.broken, 1000.0, 0.0) + np.where(edge, 400.0, 0.0)
    score[[0, -1]] = np.inf
    return sorted(np.argsort(-score, kind="stable")[: max(most, 2)].tolist())


def spark(values: Array, width: int, ascii_only: bool = False) -> str:
    """Return a line of small bars: means over `width` equal parts, from the least to the greatest.

    Examples
    --------
    >>> spark(np.array([4.0, 3.0, 2.0, 1.0]), 4)
    '█▆▃▁'
    """
    usable = values[np.isfinite(values)]
    if not len(usable) or width < 1:
        return ""
    means = np.array([part.mean() for part in np.array_split(usable, min(width, len(usable)))])
    span = means.max() - means.min()
    marks = _SPARKS[ascii_only]
    levels = (means - means.min()) / span * (len(marks) - 1) if span > 0 else np.zeros(len(means))
    return "".join(marks[round(level)] for level in levels)


def lines_of(view: View, width: int, height: int, ascii_only: bool = False) -> list[Text]:
    """Return the view as lines of at most `width` columns, at most `height` of them."""
    doctor = _doctor(view, width)
    clipping = [] if view.clipped is None else [_clipping(view.clipped, ascii_only)]
    rows = min(height - 4 - len(clipping) - len(doctor), _MOST_ROWS)  # two lines above, the header, what is hidden
    lines = [_title(view), _loss(view, width, ascii_only), *_layers(view.layers, width, max(rows, 2), ascii_only)]
    lines += [*clipping, *doctor]
    for line in lines:
        line.truncate(width, overflow="crop" if ascii_only else "ellipsis")
    return lines[:height]


def _text(*parts: str | tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts, no_wrap=True)


def _title(view: View) -> Text:
    minutes, seconds = divmod(int(view.seconds), 60)
    rate = f"{view.steps_per_second:,.0f}" if view.steps_per_second >= 10 else f"{view.steps_per_second:.2g}"
    rest = f"   epoch {view.epoch}   {rate} steps/s   {minutes}:{seconds:02d}"
    return _text(("step ", "dim"), (f"{view.step:,}", "bold"), rest)


def _loss(view: View, width: int, ascii_only: bool) -> Text:
    usable = view.losses[np.isfinite(view.losses)]
    if not len(usable):
        return _text(("loss ", "dim"), "not measured yet" if not len(view.losses) else "not finite")
    recent = float(usable[-max(1, len(usable) // 50) :].mean())
    metrics = "".join(f"   {name.replace('_', ' ')} {value:.4g}" for name, value in view.metrics.items())
    first, last = f"{usable[0]:.4g} ", f" {recent:.4g}"
    room = min(40, width - len("loss ") - len(first) - len(last) - min(len(metrics), 24))
    line = spark(view.losses, room, ascii_only)
    return _text(("loss ", "dim"), first, (line, "cyan"), (last, "bold"), (metrics, ""))


def _layers(layers: Layers | None, width: int, most: int, ascii_only: bool) -> list[Text]:
    if layers is None:
        return [_text(("no step is recorded yet; with stats=False none will be", "dim"))]
    shown = telling(layers, most)
    labels = [_label(layers, i, width) for i in shown]
    name = max(map(len, [*labels, "layer"]))
    notes = [_note(layers, i) for i in shown]
    bar = max(6, min(48, width - name - 22 - min(max(map(len, notes)), 14)))
    drawable = layers.norms[np.isfinite(layers.norms) & (layers.norms > 0)]
    low, high = (np.log10(drawable.min()), np.log10(drawable.max())) if len(drawable) else (0.0, 0.0)
    norm_sign = "|d|" if ascii_only else "‖δ‖"
    scale = f"log scale, {10**low:.0e} to {10**high:.0e}" if high > low else ""
    scale = scale if len(scale) <= bar else scale.removeprefix("log scale, ")
    lines = [_text((f"{'layer':{name}}  {scale:{bar}} {norm_sign:>8} {'gain':>8}", "dim"))]
    for i, label, note in zip(shown, labels, notes, strict=True):
        drawn = _bar(layers.norms[i], low, high, bar, ascii_only)
        gain, colour = _gain(layers.gains[i], ascii_only)
        value = "not finite" if layers.broken[i] else _number(layers.norms[i])
        lines.append(
            _text(
                f"{label:{name}}  ",
                (f"{drawn:{bar}}", "red" if layers.broken[i] else "blue"),
                f" {value:>8}",
                (f" {gain:>8}", colour),
                (f"  {note}" if note else "", "yellow"),
            )
        )
    hidden = [i for i in range(len(layers.names)) if i not in set(shown)]
    if hidden:
        gains = layers.gains[hidden][np.isfinite(layers.gains[hidden])]
        none = int((layers.norms[hidden] == 0).sum())
        about = f", {none} without any gradient" if none else ""
        about += f", gains {_number(gains.min())} to {_number(gains.max())}" if len(gains) else ""
        lines.append(_text((f"{len(hidden)} of {len(layers.names)} layers not shown{about}", "dim")))
    return lines


def _label(layers: Layers, i: int, width: int) -> str:
    label = f"{layers.names[i]} {layers.descriptions[i]}" if width >= 80 else layers.names[i]
    most = 24 if width >= 80 else 12
    return label if len(label) <= most else label[: most - 1] + "…"


def _bar(norm: float, low: float, high: float, width: int, ascii_only: bool) -> str:
    """Return a bar on a logarithmic scale, in eighths of a column; nothing for 0 and what is not measured."""
    if not np.isfinite(norm) or norm <= 0:
        return ""
    share = (np.log10(norm) - low) / (high - low) if high > low else 1.0
    eighths = round(8 * (1 + share * (width - 1)))
    if ascii_only:
        return "#" * (eighths // 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _gain(gain: float, ascii_only: bool) -> tuple[str, str]:
    """Return a gain with an arrow where it is far from 1, and its colour."""
    if np.isnan(gain):
        return "-" if ascii_only else "–", "dim"
    far = max(gain, 1 / gain) if gain > 0 else np.inf
    arrow = "" if far < _FAR else ("v" if ascii_only else "↓") if gain < 1 else ("^" if ascii_only else "↑")
    colour = "green" if far < _FAR else "yellow" if far < _VERY_FAR else "bold red"
    return f"{_number(gain)}{arrow or ' '}", colour


def _note(layers: Layers, i: int) -> str:
    if layers.dead[i] > _DEAD:
        return f"{layers.dead[i]:.0%} dead"
    return f"{layers.saturated[i]:.0%} saturated" if layers.saturated[i] > _FLAT else ""


def _clipping(share: float, ascii_only: bool) -> Text:
    length = round(20 * share)
    marks = ("#", ".") if ascii_only else ("━", "╌")
    drawn = marks[0] * length + marks[1] * (20 - length)
    return _text(("clipped ", "dim"), (f"{drawn} {share:.0%}", "yellow" if share > 0.9 else ""), " of the last steps")


def _doctor(view: View, width: int) -> list[Text]:
    import textwrap

    if view.diagnosis is None:
        return [_text(("doctor ", "dim"), view.trouble)] if view.trouble else []
    wrong = [finding for finding in view.diagnosis.findings if finding.severity != "note"]
    if not wrong:
        return [_text(("doctor ", "dim"), ("nothing found so far", "green"))]
    worst = wrong[0]
    where = f", layer {worst.layer}" if worst.layer is not None else ""
    factor = f", at fault: {worst.factor}" if worst.factor else ""
    others = f"   and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    head = f"{worst.severity}: {worst.rule.replace('_', ' ')}{where}{factor}"
    lines = [_text(("doctor ", "dim"), (head, _COLOURS[worst.severity]), (others, "dim"))]
    inner = textwrap.wrap(worst.text, max(width - 7, 20))
    lines += [_text(f"       {line}") for line in inner[:2]]
    if worst.remedies:
        lines.append(_text((f"       try: {worst.remedies[0].name}", "dim")))
    return lines


def epoch_line(step: int, epoch: int, history: History, diagnosis: Diagnosis | None) -> str:
    """Return one line for where there is no terminal; cheap, since epochs may be short."""
    figures = {"loss": history.loss, **history.metrics}
    parts = [f"epoch {epoch}", f"step {step:,}"]
    parts += [f"{name.replace('_', ' ')} {values[-1]:.4g}" for name, values in figures.items() if len(values)]
    norms = history.gradients.last("error", "norm")
    if norms is not None:
        parts.append(f"error first {_number(norms[0])} last {_number(norms[-1])}")
    wrong = [f for f in diagnosis.findings if f.severity != "note"] if diagnosis else []
    return ", ".join([*parts, *(f"{f.severity}: {f.rule.replace('_', ' ')}" for f in wrong[:1])])


def _number(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.3g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"
