"""What is examined: a gradient record, and whatever else is known of the network and its training."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.clipping import ClipLedger
from gradwell.doctor.probes import Probe
from gradwell.facts import Facts
from gradwell.history import History
from gradwell.nonfinite import NonFiniteError
from gradwell.statistics import GradientRecord
from gradwell.theory.forecasting import Forecast, forecast_of

Array = NDArray[Any]


class Case:
    """What rules look at.

    Attributes
    ----------
    record
        The gradient record: of a training, or of one pass (`gradwell.gradients`).
    facts
        What the network was at the start, and what it was given; None where that is not known.
    losses
        Loss of every training step; empty outside of training.
    clipping
        The ledger of clipping.
    fault, skipped
        The error that named a non-finite value, and steps left out because of one.
    forecast
        What theory expects, where it is known already.
    probe
        A look at the network beyond its record; None where there was none.
    """

    def __init__(
        self,
        record: GradientRecord,
        facts: Facts | None = None,
        *,
        losses: Array | None = None,
        clipping: ClipLedger | None = None,
        fault: NonFiniteError | None = None,
        skipped: tuple[int, ...] = (),
        forecast: Forecast | None = None,
        probe: Probe | None = None,
    ):
        self.record = record
        self.facts = facts
        self.losses = np.zeros(0) if losses is None else np.asarray(losses, np.float64)
        self.clipping = ClipLedger([]) if clipping is None else clipping
        self.fault = fault
        self.skipped = skipped
        self.forecast = forecast
        self.probe = probe

    @classmethod
    def of(cls, history: History) -> Case:
        """Make the case of a training."""
        return cls(
            history.gradients,
            history.facts,
            losses=history.step_loss,
            clipping=history.clipping,
            fault=history.fault,
            skipped=tuple(history.skipped),
        )

    @property
    def trained(self) -> bool:
        """Whether there were training steps, or this is one look at a network."""
        return len(self.losses) > 0

    @property
    def layers(self) -> list[str]:
        """Names of the record's layers."""
        return self.record.layers

    @cached_property
    def trunk(self) -> list[int]:
        """Positions of the hidden layers that every path from input to output crosses; those of branches left out."""
        count = len(self.layers)
        blocks = {name for name, kind in zip(self.layers, self.record.descriptions, strict=True) if "residual" in kind}
        inside = [any(name.startswith(f"{block}.") for block in blocks) for name in self.layers]
        return [i for i in range(count - 1) if not inside[i]]

    @cached_property
    def expected(self) -> Forecast | None:
        """What theory expects of the network as it was at the start; None where it has nothing to say."""
        if self.forecast is not None:
            return self.forecast
        if self.facts is None or not self.facts.layers or self.facts.inputs is None:
            return None
        if any("recurrent" in str(type(layer).__module__) for layer in self.facts.layers):
            return None
        inputs = self.facts.inputs
        if not (np.isfinite(inputs.square) and inputs.square > 0):
            return None
        try:
            found = forecast_of(
                self.facts.stages,
                self.facts.layers,
                self.facts.moments,
                input_mean=inputs.mean,
                input_square=max(inputs.square, inputs.mean**2),
            )
        except (ValueError, KeyError, OverflowError, ZeroDivisionError):
            return None
        return found if np.isfinite(found.error).all() else None

    def span(self, where: Array) -> tuple[int, int] | None:
        """Return the first and last recorded step at which a condition (records,) holds."""
        held = self.record.steps[np.asarray(where, bool)]
        return (int(held[0]), int(held[-1])) if len(held) else None


def middle(values: Array, axis: int = 0) -> Array:
    """Return medians over what was measured; NaN where nothing was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=axis))


def most(values: Array, axis: int) -> Array:
    """Return the largest of what was measured; NaN where nothing was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmax(values, axis=axis))


def windows(values: Array) -> list[Array]:
    """Return the first record and each third of them, or all where there are fewer than three."""
    return [values[:1], *np.array_split(values, 3)] if len(values) >= 3 else [values]


def logs(values: Array) -> Array:
    """Return log10; an exact 0 counts as 1e-45, below the smallest number of float32."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(np.where(values == 0, 1e-45, values)))
