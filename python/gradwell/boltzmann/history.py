"""What the training of a restricted Boltzmann machine leaves behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class RBMHistory:
    """Figures of one `RBM.fit`, a number an epoch; an epoch that was not measured is NaN, not 0.

    Attributes
    ----------
    stopped
        Why the fit ended: "finished", "interrupted", or the message of what was not finite.
    first_step
        Number of the first step: above 0 where the fit resumed another.
    seconds
        Time spent, measuring included.
    """

    def __init__(self) -> None:
        self.stopped = "finished"
        self.first_step = 0
        self.seconds = 0.0
        self._steps: list[Array] = []
        self._epochs: dict[str, list[float]] = {}

    @property
    def step_error(self) -> Array:
        """Squared distance of sample and reconstruction at each step, mean over its batch (steps,)."""
        return np.concatenate(self._steps) if self._steps else np.zeros(0)

    @property
    def reconstruction_error(self) -> Array:
        """The mean of `step_error` over the samples of each epoch (epochs,).

        It is cheap and shows that something is learned; it is not what is minimised (Hinton, 2010, section 5).
        """
        return self._of("reconstruction_error")

    @property
    def pseudo_likelihood(self) -> Array:
        """Sum over the units of log p(v_i | all others) after each epoch, mean over some samples (epochs,)."""
        return self._of("pseudo_likelihood")

    @property
    def free_energy(self) -> Array:
        """Mean free energy of some training samples after each epoch (epochs,)."""
        return self._of("free_energy")

    @property
    def free_energy_gap(self) -> Array:
        """Mean free energy of validation samples less that of as many training samples (epochs,).

        It grows where a machine learns its training samples by heart; the partition function cancels out (Hinton, 2010,
        section 6).
        """
        return self._of("free_energy_gap")

    @property
    def epochs(self) -> int:
        """Number of epochs finished."""
        return len(self.reconstruction_error)

    def _of(self, name: str) -> Array:
        return np.array(self._epochs.get(name, []))

    def add_steps(self, errors: Array) -> None:
        """Append the errors of a run of steps."""
        self._steps.append(errors)

    def add_epoch(self, values: dict[str, float]) -> None:
        """Append the figures of one epoch."""
        for name, value in values.items():
            self._epochs.setdefault(name, []).append(value)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as lists and numbers, ready for JSON; NaN is None."""
        listed = {name: [None if np.isnan(v) else v for v in values] for name, values in self._epochs.items()}
        return {**listed, "step_error": self.step_error.tolist(), "stopped": self.stopped, "seconds": self.seconds}

    def __repr__(self) -> str:
        last = {name: round(values[-1], 4) for name, values in self._epochs.items() if values}
        return f"<RBMHistory {self.epochs} epochs, {len(self.step_error)} steps, {last}, {self.stopped}>"
