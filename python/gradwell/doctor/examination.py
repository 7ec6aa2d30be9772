"""`diagnose`: every rule looks at the case, and what they find is put in order."""

from __future__ import annotations

from typing import Any

from gradwell.doctor import illnesses as _ours  # noqa: F401  registers them
from gradwell.doctor.case import Case
from gradwell.doctor.diagnosis import Diagnosis, in_order
from gradwell.doctor.finding import Finding
from gradwell.doctor.probes import Probe
from gradwell.doctor.probes import probe as look
from gradwell.doctor.registry import rules
from gradwell.doctor.stories import joined
from gradwell.facts import Facts
from gradwell.gradients import gradients
from gradwell.history import History
from gradwell.network import Network
from gradwell.nonfinite import NonFiniteError
from gradwell.statistics import GradientRecord


def diagnose(
    what: Any,
    x: Any = None,
    y: Any = None,
    *,
    loss: str | None = None,
    lengths: Any = None,
    training: bool = True,
    seed: int = 0,
    probe: bool | Probe = True,
) -> Diagnosis:
    """Say what is wrong with a network's gradients, where, and which factor is at fault.

    Parameters
    ----------
    what
        A `History`, the `NonFiniteError` that ended a fit, a `GradientRecord`, or a `Network` with samples x, targets y
        and the name of the loss, for one look before or after training.
    x, y, loss, lengths, training, seed
        As in `gradwell.gradients`; only with a network.
    probe
        False: look at a network with one pass only, without what `gradwell.doctor.probe` finds. Or what that found, for
        a training or a record.

    Returns
    -------
    Diagnosis
        Findings with layer, factor, evidence and remedies, root causes first; and what each rule came to.

    Raises
    ------
    TypeError, ValueError
        Something else, a network without samples, or samples that do not fit it.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> net = gw.mlp([64, 30, 30, 10], activation="tanh", init="glorot", seed=0)
    >>> history = gw.fit(net, (x / x.std(), y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=3)
    >>> gw.diagnose(history).healthy
    True
    """
    if not isinstance(probe, (bool, Probe)):
        raise TypeError(f"[diagnose] probe is of type {type(probe).__name__}; needs a bool or a gradwell.doctor.Probe")
    case = _case(what, x, y, loss, lengths, training, seed)
    if isinstance(probe, Probe):
        case.probe = probe
    elif probe and isinstance(what, Network) and loss is not None:
        case.probe = look(what, x, y, loss=loss, lengths=lengths, seed=seed)
    return diagnose_case(case)


def diagnose_case(case: Case) -> Diagnosis:
    """Let every rule look at a case."""
    found: list[Finding] = []
    verdicts = {}
    known = rules()
    for name, rule in known.items():
        missing = rule.missing(case)
        if missing is not None:
            verdicts[name] = f"not measured: {missing}"
            continue
        mine = list(rule.examine(case))
        verdicts[name] = "found" if mine else "clear"
        found += mine
    return Diagnosis(in_order(joined(found, known)), verdicts, tuple(case.layers))


def _case(what: Any, x: Any, y: Any, loss: Any, lengths: Any, training: bool, seed: int) -> Case:
    if isinstance(what, Network):
        if x is None or y is None or loss is None:
            raise TypeError("[diagnose] x, y or loss is None; a network needs samples, targets and the loss's name")
        record = gradients(what, x, y, loss=loss, training=training, seed=seed, lengths=lengths)
        features, counts = what.samples("diagnose", x, lengths)
        targets = what.targets("diagnose", "y", y, len(features), counts)
        return Case(record, Facts.of(what, loss, features, targets, counts))
    if x is not None or y is not None or loss is not None or lengths is not None:
        raise TypeError(f"[diagnose] x, y, loss or lengths is given with a {type(what).__name__}; they need a network")
    if isinstance(what, NonFiniteError):
        if what.history is None:
            raise ValueError("[diagnose] the error has no history; needs one that `fit` raised")
        case = Case.of(what.history)
        case.fault = what
        return case
    if isinstance(what, History):
        return Case.of(what)
    if isinstance(what, GradientRecord):
        return Case(what)
    raise TypeError(
        f"[diagnose] what is of type {type(what).__name__}; needs a History, a Network, a GradientRecord or a "
        "NonFiniteError"
    )
