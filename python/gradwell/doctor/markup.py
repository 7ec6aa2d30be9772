"""A diagnosis as HTML: plain elements with classes, no style of its own, every text escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from gradwell.doctor.finding import Finding

if TYPE_CHECKING:
    from gradwell.doctor.diagnosis import Diagnosis


def markup(diagnosis: Diagnosis, level: int = 3) -> str:
    """Return the findings, what is clear, and what was not measured and why.

    Parameters
    ----------
    diagnosis
        The verdict on one network.
    level
        Of the headings, 1 to 5; those of single findings are one below.

    Raises
    ------
    ValueError
        Another level.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 10], activation="tanh", seed=0)
    >>> "Not measured" in markup(gw.diagnose(net, x, y, loss="softmax_cross_entropy"))
    True
    """
    if level not in range(1, 6):
        raise ValueError(f"[to_html] level is {level!r}; needs 1 to 5")
    parts = ['<div class="diagnosis">', f"<h{level}>Findings</h{level}>"]
    if diagnosis.findings:
        parts += ['<ol class="findings">', *_tree(diagnosis, level + 1), "</ol>"]
    else:
        parts.append("<p>Nothing found that is wrong in what was measured.</p>")
    clear = [name for name, text in diagnosis.verdicts.items() if text == "clear"]
    parts.append(f"<h{level}>Clear</h{level}>")
    parts.append(f'<p class="clear">{_listed(clear)}</p>')
    parts.append(f"<h{level}>Not measured</h{level}>")
    missed = diagnosis.not_measured
    if missed:
        parts.append("<p>These rules had nothing to look at. That is no sign of health.</p>")
        parts.append('<dl class="not-measured">')
        parts += [f"<div><dt>{_words(name)}</dt><dd>{escape(why)}</dd></div>" for name, why in missed.items()]
        parts.append("</dl>")
    else:
        parts.append("<p>Every rule had what it looks at.</p>")
    return "\n".join([*parts, "</div>"])


def _tree(diagnosis: Diagnosis, level: int) -> list[str]:
    """Return list items: root causes, with what each explains as a list inside."""
    names = {finding.rule for finding in diagnosis.findings}
    shown: set[int] = set()

    def item(finding: Finding) -> list[str]:
        shown.add(id(finding))
        effects = [f for f in diagnosis.findings if f.explained_by == finding.rule and id(f) not in shown]
        lines = [f'<li class="finding {finding.severity}">', *_finding(finding, level)]
        if effects:
            lines += ['<p class="because">Because of that:</p>', '<ol class="findings effects">']
            lines += [line for effect in effects if id(effect) not in shown for line in item(effect)]
            lines.append("</ol>")
        return [*lines, "</li>"]

    roots = [f for f in diagnosis.findings if f.explained_by not in names]
    lines = [line for root in roots if id(root) not in shown for line in item(root)]
    # Findings of rules of one's own may explain one another in a circle; they are shown all the same.
    return lines + [line for finding in diagnosis.findings if id(finding) not in shown for line in item(finding)]


def _finding(finding: Finding, level: int) -> list[str]:
    where = [f"layer {finding.layer}"] if finding.layer is not None else []
    where += [_span(finding.steps)] if finding.steps else []
    where += [f"at fault: {finding.factor}"] if finding.factor else []
    lines = [
        f'<h{level}><span class="severity">{finding.severity}</span> {_words(finding.rule)}</h{level}>',
        f'<p class="where">{escape(" · ".join(where))}</p>' if where else "",
        f"<p>{escape(finding.text)}</p>",
    ]
    if len(finding.layers) > 1:
        lines.append(f"<p>Seen in layers {_few(finding.layers)}.</p>")
    if finding.evidence:
        lines += _evidence(finding.evidence)
    if finding.remedies and finding.explained_by is None:
        lines += ['<p class="try">What may help:</p>', '<ol class="remedies">']
        for remedy in finding.remedies:
            lines.append(f"<li><p><strong>{escape(remedy.name)}</strong>: {escape(remedy.why)}</p>")
            lines.append(f"<pre><code>{escape(remedy.code)}</code></pre></li>")
        lines.append("</ol>")
    return [line for line in lines if line]


def _evidence(evidence: Mapping[str, float]) -> list[str]:
    items = [f"<li>{_words(name)} <b>{_number(float(value))}</b></li>" for name, value in evidence.items()]
    return ['<ul class="evidence" aria-label="Evidence">', *items, "</ul>"]


def _span(steps: tuple[int, int]) -> str:
    return f"step {steps[0]}" if steps[0] == steps[1] else f"steps {steps[0]} to {steps[1]}"


def _few(names: tuple[str, ...], most: int = 8) -> str:
    text = ", ".join(escape(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def _listed(names: list[str]) -> str:
    return ", ".join(map(_words, names)) + "." if names else "None."


def _number(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.4g}"


def _words(name: str) -> str:
    return escape(name.replace("_", " "))
