"""What a comparison of two runs came to."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.doctor.given import Given

Array = NDArray[Any]

PHASES = ("weights", "forward", "loss", "backward", "update")
WIDTH = 100
_MOST_ROWS, _MOST_GIVEN = 24, 6
_IN_WORDS = {
    "weights": "in the weights before the step",
    "forward": "in the forward pass",
    "backward": "in the backward pass",
    "update": "in the update",
}


@dataclass(frozen=True)
class Difference:
    """A value that is not the same in two runs.

    Attributes
    ----------
    step, layer
        Where; the loss has no layer.
    kind, quantity
        As in `GradientRecord.get`; of "size" (norm of a parameter before the step), "update" (relative update) the
        quantity is the kind of parameter; "loss" is a kind of its own.
    a, b
        The values.
    """

    step: int
    layer: str | None
    kind: str
    quantity: str
    a: float
    b: float

    @property
    def phase(self) -> str:
        """Part of the step: "weights" (before it), "forward", "loss", "backward" or "update"."""
        known = {"size": "weights", "activation": "forward", "loss": "loss", "update": "update"}
        return known.get(self.kind, "backward")

    def to_dict(self) -> dict[str, Any]:
        """Return all of it ready for JSON."""
        return {
            **{"step": self.step, "phase": self.phase, "layer": self.layer, "kind": self.kind},
            **{"quantity": self.quantity, "a": _number(self.a), "b": _number(self.b)},
        }

    def __str__(self) -> str:
        if self.kind == "loss":
            return f"step {self.step}, in the loss: {_pair(self.a, self.b)}"
        of = {"size": f"norm of the {self.quantity}", "update": f"relative update of the {self.quantity}"}
        what = of.get(self.kind, f"{self.quantity} of {_of(self.kind)}")
        return f"step {self.step}, {_IN_WORDS[self.phase]}, {what} of layer {self.layer}: {_pair(self.a, self.b)}"


class Losses(NamedTuple):
    """Loss of each step that both runs have taken."""

    steps: Array
    a: Array
    b: Array


@dataclass(frozen=True)
class Comparison:
    """Where two runs part.

    Attributes
    ----------
    first_difference
        The first value in time that differs at all; None where all that both measured is the same to the last bit.
    parted
        The first norm, relative update or loss that differs by more than `rtol`, or None.
    rtol
        The tolerance: a share of the smaller value.
    steps
        The steps that both recorded.
    layers, only_a, only_b
        Names of the layers that were compared, as a has them, and of those that only one run has.
    medians
        For "error", "weight" and "gain" the medians over `steps` of the norms or the gain, by layer, in a and b.
    losses
        Loss of each step in both.
    given
        What the runs were given that is not the same; None where that is not known of both.

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.digits()
    >>> a, b = (gw.gradients(gw.mlp([64, 30, 10], seed=s), x, y, loss="softmax_cross_entropy") for s in (0, 1))
    >>> comparison = gw.compare(a, b)
    >>> comparison.identical, comparison.first_difference.phase
    (False, 'forward')
    """

    first_difference: Difference | None
    parted: Difference | None
    rtol: float
    steps: Array
    layers: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    medians: dict[str, tuple[Array, Array]]
    losses: Losses
    given: tuple[Given, ...] | None

    @property
    def identical(self) -> bool:
        """Whether all that both measured is the same to the last bit, and no layer is without its counterpart."""
        return self.first_difference is None and not self.only_a and not self.only_b

    @property
    def ratios(self) -> dict[str, Array]:
        """For "error", "weight" and "gain", the median in b over that in a, by layer."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return {kind: np.asarray(b / a) for kind, (a, b) in self.medians.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return all of it ready for JSON; numbers that are not finite are None."""
        return {
            "identical": self.identical,
            "first_difference": self.first_difference.to_dict() if self.first_difference else None,
            "parted": self.parted.to_dict() if self.parted else None,
            "rtol": self.rtol,
            "steps": self.steps.tolist(),
            "layers": list(self.layers),
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "ratios": {kind: _numbers(values) for kind, values in self.ratios.items()},
            "medians": {k: {"a": _numbers(a), "b": _numbers(b)} for k, (a, b) in self.medians.items()},
            "losses": {
                "steps": self.losses.steps.tolist(),
                "a": _numbers(self.losses.a),
                "b": _numbers(self.losses.b),
            },
            "given": None if self.given is None else [_plain(given) for given in self.given],
        }

    def to_json(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __str__(self) -> str:
        lines = [self._verdict(), *self._how_far(), *self._what_was_given()]
        for which, names in (("a", self.only_a), ("b", self.only_b)):
            if names:
                lines.append(f"Only {which} has layers {', '.join(names[:8])}{', …' if len(names) > 8 else ''}.")
        if len(self.losses.steps):
            ends = dict.fromkeys((0, len(self.losses.steps) - 1))
            pairs = [
                f"{_pair(float(self.losses.a[i]), float(self.losses.b[i]))} at step {self.losses.steps[i]}"
                for i in ends
            ]
            lines.append(f"Loss: {', '.join(pairs)}.")
        wrapped = [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ")]
        return "\n".join([*wrapped, *([] if self.identical else ["", *self._table()])])

    def _verdict(self) -> str:
        count = len(self.steps)
        span = f"{count} step{'s' * (count != 1)} that both recorded ({self.steps[0]} to {self.steps[-1]})"
        if self.first_difference is None:
            return f"The same to the last bit in {span}."
        before = int((self.steps < self.first_difference.step).sum())
        last = (
            f"the {before} before it are" if before > 1 else "the one before it is" if before else "none before it is"
        )
        return f"First difference at {self.first_difference}. Of {span}, {last} the same to the last bit."

    def _how_far(self) -> list[str]:
        if self.first_difference is None:
            return []
        by = f"a factor of {1 + self.rtol:g}" if self.rtol >= 0.5 else f"{self.rtol:g} of the smaller value"
        if self.parted is None:
            return [f"No norm, update or loss is apart by more than {by}."]
        if self.parted == self.first_difference:
            return [f"There they are apart by more than {by}."]
        return [f"Apart by more than {by} at {self.parted}."]

    def _what_was_given(self) -> list[str]:
        if self.given is None:
            return ["What the runs were given is not known of both."]
        if not self.given:
            return ["At the start both had the same settings, samples and weights, as far as moments tell."]
        weights = [given for given in self.given if given.name.startswith("initial ")]
        told = [f"{g.name} {_given(g.a)} and {_given(g.b)}" for g in self.given if g not in weights]
        more = [f"{len(told) - _MOST_GIVEN} more"] if len(told) > _MOST_GIVEN else []
        told = told[:_MOST_GIVEN] + more
        told += [f"initial values of {_names(weights)}"] if weights else []
        return [f"Given differently: {'; '.join(told)}."]

    def _table(self) -> list[str]:
        heads = {"error": "‖δ‖", "weight": "‖∂C/∂W‖", "gain": "gain"}
        header = ["layer", *(f"{heads[kind]} {side}" for kind in self.medians for side in ("a", "b", "b/a"))]
        ratios = self.ratios
        rows = []
        for i, name in enumerate(self.layers):
            cells = [_brief(v[i]) for kind in self.medians for v in (*self.medians[kind], ratios[kind])]
            rows.append([name if len(name) <= 24 else f"{name[:23]}…", *cells])
        if len(rows) > _MOST_ROWS:
            half = _MOST_ROWS // 2
            rows = [*rows[:half], [f"… {len(rows) - 2 * half} more", *[""] * (len(header) - 1)], *rows[-half:]]
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        rule = ["─" * width for width in widths]
        lines = [
            "  ".join(
                [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
            ).rstrip()
            for line in (header, rule, *rows)
        ]
        return [f"Medians over {len(self.steps)} steps:", *lines]


def _of(kind: str) -> str:
    return {"error": "the error", "activation": "the output"}.get(kind, f"the gradient of the {kind}")


def _pair(a: float, b: float) -> str:
    """Return two numbers with as many digits as it takes to tell them apart."""
    if a == b:
        return f"{a:.4g} in both"
    texts = [(f"{a:.{digits}g}", f"{b:.{digits}g}") for digits in range(4, 18)]
    left, right = next((pair for pair in texts if pair[0] != pair[1]), texts[-1])
    return f"{left} and {right}"


def _given(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _names(weights: list[Given]) -> str:
    names = [given.name.removeprefix("initial ") for given in weights]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more parameters" if len(names) > 4 else "")


def _brief(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3g}"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _numbers(values: Array) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _plain(given: Given) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return {key: plain(inner) for key, inner in value._asdict().items()}
        if isinstance(value, tuple):
            return [plain(inner) for inner in value]
        return _number(value) if isinstance(value, float) else value

    return {"name": given.name, "a": plain(given.a), "b": plain(given.b)}
