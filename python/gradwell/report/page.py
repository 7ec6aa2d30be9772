"""`html` and `write`: a record, its diagnosis and its training as one page that needs nothing but itself."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from gradwell._core import build_info
from gradwell.report.curves import Chart, Curve, chart
from gradwell.report.heat import Picture
from gradwell.report.maps import (
    gain_maps,
    gains_measured,
    histogram_maps,
    norm_map,
    shown_kind,
    time_map,
)
from gradwell.report.subject import Subject, subject_of
from gradwell.report.summary import remedy_of, scores, sentences
from gradwell.report.tables import (
    clipping_facts,
    cost_facts,
    layer_numbers,
    machine_facts,
    network_rows,
    training_facts,
    trial_rows,
)
from gradwell.storage import write_atomically
from gradwell.time_record import TimeRecord

FOLDER: Final = Path(__file__).parent
STYLES: Final = ("verdicts.css", "figures.css", "page.css")  # what holds on narrow screens comes last
_HELD_OUT: Final = "validation_"


def html(what: Any, *, network: Any = None, treatment: Any = None, title: str | None = None) -> str:
    """Return a page on a training: what is wrong, in which layer, why, and what helps.

    The page needs nothing but itself: no network, no script. It has a light and a dark look, and fits a phone.

    Parameters
    ----------
    what
        A `History`, a watch on another framework's model (`gw.watch.torch`), a `GradientRecord`, or the
        `NonFiniteError` that ended a fit.
    network
        The `Network`, to describe it; without it, what the fit noted of it is shown.
    treatment
        What `gw.treat` returned, to show its trials.
    title
        Of the page.

    Raises
    ------
    TypeError, ValueError
        Something else; an error without a history.
    ImportError
        jinja2 or pillow is not installed; the message says how to get it.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, *[30] * 5, 10], activation="sigmoid", init="nielsen", seed=0)
    >>> history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=2, stats=True)
    >>> page = gw.report.html(history, network=net)
    >>> "The root cause is initialization in layer 0" in page
    True
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise ImportError('pages need jinja2: pip install "gradwell[report]"') from error
    if find_spec("PIL") is None:
        raise ImportError('pages need pillow: pip install "gradwell[report]"')
    if title is not None and not isinstance(title, str):
        raise TypeError(f"[report] title is of type {type(title).__name__}; needs a text")
    subject = subject_of(what, network, treatment)
    gains = gains_measured(subject.record) if len(subject.record) else {}
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in STYLES)
    text: str = environment.get_template("page.html").render(
        title=title or "Gradient report",
        about=_about(subject),
        style=Markup(style),
        sentences=sentences(subject),
        remedy=remedy_of(subject),
        scores=scores(subject),
        diagnosis=Markup(subject.diagnosis.to_html(3)),
        norms=_norms(subject),
        gains=gain_maps(subject.record, gains),
        layers=layer_numbers(subject, gains),
        histograms=list(histogram_maps(subject.record)),
        times=[part for time in _times(subject) for part in (time_map(time), _time_chart(time)) if part],
        charts=_charts(subject),
        clipping=clipping_facts(subject.clipping) if subject.clipping is not None else None,
        clipped=_clipped(subject),
        trials=trial_rows(subject.treatment) if subject.treatment is not None else None,
        treated=subject.treatment,
        network=network_rows(subject),
        training=training_facts(subject),
        machine=machine_facts(),
        costs=cost_facts(subject),
        version=build_info()["version"],
    )
    return text


def write(
    path: str | os.PathLike[str],
    what: Any,
    *,
    network: Any = None,
    treatment: Any = None,
    title: str | None = None,
) -> Path:
    """Write the page of `html` to a file and return its path; the file appears whole or not at all.

    Raises
    ------
    FileNotFoundError
        Its folder does not exist; this is said before any work.
    TypeError, ValueError, ImportError
        As `html`.

    Examples
    --------
    >>> import gradwell as gw, tempfile, pathlib
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 10], activation="tanh", seed=0)
    >>> record = gw.gradients(net, x, y, loss="softmax_cross_entropy")
    >>> gw.report.write(pathlib.Path(tempfile.mkdtemp()) / "digits.html", record, network=net).name
    'digits.html'
    """
    destination = Path(path).expanduser()
    if not destination.name or not destination.parent.is_dir():
        raise FileNotFoundError(f"[report] {destination}: no such folder, or no file name")
    page = html(what, network=network, treatment=treatment, title=title)
    write_atomically(destination, page.encode("utf-8"))
    return destination


def _about(subject: Subject) -> str:
    record = subject.record
    parts = [f"{len(record.layers)} layer{'s' * (len(record.layers) != 1)}"]
    if subject.steps is not None:
        parts.append(f"{subject.steps:,} step{'s' * (subject.steps != 1)}")
    parts.append(f"{len(record):,} recorded")
    return " · ".join(parts)


def _norms(subject: Subject) -> Picture | None:
    kind = shown_kind(subject.record)
    return norm_map(subject.record, kind) if kind is not None else None


def _times(subject: Subject) -> list[TimeRecord]:
    record = subject.record
    if not len(record):
        return []
    found = []
    for layer in record.recurrent:
        both = record.descriptions[record.layers.index(layer)].startswith("bidirectional")
        found += [record.time(layer, direction) for direction in (("forward", "backward") if both else ("forward",))]
    return found


def _time_chart(time: TimeRecord) -> Chart | None:
    """Return the gradient by step of the sequence, at the first record and as the median of the last third."""
    norms = time.norm("hidden")
    late = norms[-max(1, len(norms) // 3) :]
    places = np.arange(norms.shape[1])
    curves = [Curve("first record", places, norms[0], 1)]
    if len(norms) > 1:
        curves.append(Curve("median of the last third", places, np.median(late, axis=0), 0))
    memory = time.memory()[-max(1, len(norms) // 3) :]
    reach = float(np.median(memory))
    whole = "does not fall to 1/e within the sequence" if np.isinf(reach) else f"falls to 1/e over {reach:.0f} steps"
    zeros = ("An exact 0 has no place on this axis.",) if (norms == 0).any() else ()
    return chart(
        f"Layer {time.layer}, by step of the sequence{', read from its end' if time.backward else ''}",
        curves,
        row_label="‖∂C/∂hₜ‖",
        column_label="step of the sequence",
        logarithmic=True,
        notes=(f"The gradient {whole} (median of the last third of the records).", *zeros),
    )


def _charts(subject: Subject) -> list[Chart]:
    """Return the curves of the loss, by step and held out, and of every metric."""
    losses, metrics = subject.losses, dict(subject.metrics)
    epochs = max((len(values) for values in metrics.values()), default=0)
    ends = (np.arange(epochs) + 1) * (len(losses) / epochs) if epochs else np.zeros(0)
    metrics.pop("loss", None)
    curves = [Curve("training, each step", np.arange(len(losses)), losses)] if len(losses) else []
    held_out = metrics.pop(f"{_HELD_OUT}loss", None)
    if held_out is not None:
        curves.append(Curve("held out, each epoch", ends[-len(held_out) :], held_out, 1, True))
    blind = subject.facts.blind if subject.facts is not None else None
    if curves and blind is not None:
        curves.append(Curve("a guess that looks at no sample", np.array([0, len(losses)]), np.full(2, blind), 2))
    found = [chart("Loss", curves, row_label="loss")]
    for name in dict.fromkeys(name.removeprefix(_HELD_OUT) for name in metrics):
        both = [(name, "training", 0), (f"{_HELD_OUT}{name}", "held out", 1)]
        lines = [Curve(text, ends[-len(metrics[n]) :], metrics[n], k, True) for n, text, k in both if n in metrics]
        found.append(chart(name.replace("_", " ").capitalize(), lines, row_label=name.replace("_", " ")))
    return [drawn for drawn in found if drawn is not None]


def _clipped(subject: Subject) -> Chart | None:
    ledger = subject.clipping
    if ledger is None:
        return None
    curves = [Curve("before clipping", ledger.steps, ledger.before, 1), Curve("after", ledger.steps, ledger.after, 0)]
    return chart("Norm of all gradients together", curves, row_label="norm", logarithmic=True)
