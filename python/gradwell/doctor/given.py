"""What two runs were given, where that is not the same."""

from __future__ import annotations

from math import isnan
from typing import Any, NamedTuple

from gradwell.facts import Facts


class Given(NamedTuple):
    """A setting or a property of the start that differs: its name, and what the runs had."""

    name: str
    a: Any
    b: Any


def given_differently(a: Facts, b: Facts) -> tuple[Given, ...]:
    """Return what differs in settings, layers, samples and initial weights; of those, moments are compared.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> settings = {"loss": "softmax_cross_entropy", "max_steps": 1}
    >>> runs = [gw.fit(gw.mlp([64, 10], seed=0), (x, y), optimizer=gw.SGD(rate), **settings) for rate in (0.1, 0.2)]
    >>> given_differently(*(run.facts for run in runs))
    (Given(name='learning rate', a=0.1, b=0.2),)
    """
    settings = [
        Given("optimizer", _settings(a.optimizer), _settings(b.optimizer)),
        Given("learning rate", a.learning_rate, b.learning_rate),
        Given("clipping", _settings(a.clip), _settings(b.clip)),
        Given("loss", a.loss, b.loss),
        Given("batch size", a.batch_size, b.batch_size),
        Given("samples", a.samples, b.samples),
        Given("input shape", a.input_shape, b.input_shape),
    ]
    samples = []
    if a.inputs is not None and b.inputs is not None:
        names_of_inputs = type(a.inputs)._fields
        samples = [
            Given(f"inputs: {name}", getattr(a.inputs, name), getattr(b.inputs, name)) for name in names_of_inputs
        ]
    names = [*a.moments, *(name for name in b.moments if name not in a.moments)]
    weights = [Given(f"initial {name}", a.moments.get(name), b.moments.get(name)) for name in names]
    candidates = [*settings, *_layers(a, b), *samples, Given("blind guess's loss", a.blind, b.blind), *weights]
    return tuple(given for given in candidates if not _same(given.a, given.b))


def _layers(a: Facts, b: Facts) -> list[Given]:
    if len(a.layers) != len(b.layers):
        return [Given("number of layers", len(a.layers), len(b.layers))]
    pairs = zip(a.layers, b.layers, strict=True)
    return [Given(f"layer {i}", repr(left), repr(right)) for i, (left, right) in enumerate(pairs)]


def _settings(told: dict[str, Any] | None) -> str | None:
    """Return what a program is told of a rule as text: its name, and its settings."""
    if told is None:
        return None
    settings = ", ".join(f"{key} {value}" for key, value in told.items() if key != "name")
    name = str(told.get("name", ""))
    return f"{name} ({settings})" if name and settings else name or settings


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(left, right) for left, right in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float) and isnan(a) and isnan(b):
        return True
    return bool(a == b)
