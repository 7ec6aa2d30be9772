"""Training by contrastive divergence: runs of about 100 ms of steps in C++, and a look up in between."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.boltzmann.history import RBMHistory
from gradwell.boltzmann.samples import checked_samples
from gradwell.checks import check_count, check_flag, check_number, check_share
from gradwell.interrupts import interrupts_deferred

if TYPE_CHECKING:
    from gradwell.boltzmann.machine import RBM

Array = NDArray[Any]

CHUNK_SECONDS = 0.1
CHAIN_STREAM = 0x60000000  # the chains' first states
OPERATION = "fit"
# What must stay for a resumed fit to go on as if it had not stopped.
IDENTITY = ("batch_size", "shuffle", "persistent", "k", "mean_field")


def train(
    rbm: RBM,
    x: Any,
    epochs: int,
    settings: dict[str, Any],
    validation: Any,
    measure: int,
    progress: bool | None,
    resume: bool,
) -> RBMHistory:
    """Train `rbm` in place; see `RBM.fit`."""
    v = checked_samples(OPERATION, "x", x, rbm.visible, rbm.kind, rbm.dtype)
    held_out = None
    if validation is not None:
        held_out = checked_samples(OPERATION, "validation", validation, rbm.visible, rbm.kind, rbm.dtype)
    check_count(OPERATION, "epochs", epochs, lowest=0)
    check_count(OPERATION, "measure", measure, lowest=0)
    settings = _checked(settings, len(v))
    identity = {"seed": rbm.seed, "samples": len(v), **{name: settings[name] for name in IDENTITY}}
    step = _begin(rbm, identity, check_flag(OPERATION, "resume", resume))
    history = RBMHistory()
    history.first_step = step
    run = _Run(rbm, v, settings, identity, step, history)
    begun = time.perf_counter()
    last = epochs * run.steps_per_epoch
    bar = _bar(progress, last, step)
    try:
        while run.step < last:
            before = run.step
            run.chunk(last)
            if bar is not None:
                bar.update(run.step - before)
                bar.set_postfix_str(f"reconstruction error {history.step_error[-1]:.4g}", refresh=False)
            if run.step % run.steps_per_epoch == 0:
                run.end_epoch(held_out, measure)
    except (KeyboardInterrupt, ArithmeticError) as error:
        history.stopped = str(error) or "interrupted"
        error.history = history  # type: ignore[union-attr]
        raise
    finally:
        history.seconds = time.perf_counter() - begun
        if bar is not None:
            bar.close()
    return history


def _bar(progress: bool | None, total: int, start: int) -> Any:
    import sys

    if not (progress or (progress is None and sys.stderr is not None and sys.stderr.isatty())):
        return None
    from tqdm import tqdm

    return tqdm(total=total, initial=start, unit="step", dynamic_ncols=True, mininterval=0.1)


def _checked(settings: dict[str, Any], samples: int) -> dict[str, Any]:
    """Return the settings as the core takes them."""
    for name in ("k", "batch_size"):
        check_count(OPERATION, name, settings[name])
    if settings["k"] > 2**20:
        raise ValueError(f"[{OPERATION}] k is {settings['k']}; needs at most {2**20}")
    for name in ("learning_rate", "weight_decay", "sparsity_cost"):
        settings[name] = check_number(OPERATION, name, settings[name], lowest=0)
    settings["momentum"] = check_share(OPERATION, "momentum", settings["momentum"])
    for name in ("persistent", "mean_field", "shuffle"):
        settings[name] = check_flag(OPERATION, name, settings[name])
    target = settings["sparsity"]
    settings["sparsity"] = -1.0 if target is None else check_share(OPERATION, "sparsity", target)
    settings["batch_size"] = min(int(settings["batch_size"]), samples)
    return settings


def _begin(rbm: RBM, identity: dict[str, Any], resume: bool) -> int:
    """Return the first step, with velocities, chains and activities as they must be there."""
    if resume:
        state = rbm.training_state
        if state is None:
            raise ValueError(f"[{OPERATION}] resume is True but the machine has no training state; fit it first")
        for name, value in identity.items():
            if state[name] != value:
                raise ValueError(
                    f"[{OPERATION}] {name} is {value} but the fit to resume had {state[name]}; needs the same"
                )
        return int(state["step"])
    chains = np.zeros((0, rbm.hidden), rbm.dtype)
    if identity["persistent"]:
        shape = (identity["batch_size"], rbm.hidden)
        chains = np.random.default_rng([rbm.seed, CHAIN_STREAM]).integers(0, 2, shape).astype(rbm.dtype)
    rbm.training_arrays = {
        "weight_velocity": np.zeros_like(rbm.weight),
        "visible_velocity": np.zeros_like(rbm.visible_bias),
        "hidden_velocity": np.zeros_like(rbm.hidden_bias),
        "chains": chains,
        "activity": np.full(rbm.hidden, -1.0),
        "epoch": np.zeros(2),
    }
    rbm.training_state = {**identity, "step": 0}
    return 0


class _Run:
    """The state of one fit."""

    def __init__(
        self,
        rbm: RBM,
        x: Array,
        settings: dict[str, Any],
        identity: dict[str, Any],
        step: int,
        history: RBMHistory,
    ):
        self.rbm, self.x, self.settings, self.identity = rbm, x, settings, identity
        self.step, self.history = step, history
        self.batch = settings["batch_size"]
        self.steps_per_epoch = -(-len(x) // self.batch)
        self.step_seconds = 0.0
        self._order: tuple[int, Array] = (-1, np.zeros(0, np.int64))
        self.sums = rbm.training_arrays["epoch"]  # of errors times samples, and of samples, in this epoch

    def order(self, epoch: int) -> Array:
        """Return the order of the samples in an epoch."""
        if self._order[0] != epoch:
            n = len(self.x)
            rng = np.random.default_rng([self.rbm.seed, epoch])
            drawn = rng.permutation(n) if self.settings["shuffle"] else np.arange(n)
            self._order = (epoch, drawn.astype(np.int64, copy=False))
        return self._order[1]

    def chunk(self, last: int) -> None:
        """Take about 100 ms of steps, at most to the end of the epoch."""
        epoch, within = divmod(self.step, self.steps_per_epoch)
        wanted = int(CHUNK_SECONDS / self.step_seconds) if self.step_seconds else 1
        steps = max(1, min(wanted, self.steps_per_epoch - within, last - self.step))
        if within == 0:
            self.sums[:] = 0
        order = self.order(epoch)[within * self.batch : (within + steps) * self.batch]
        rbm, begun = self.rbm, time.perf_counter()
        state = {
            "weight": rbm.weight,
            "visible_bias": rbm.visible_bias,
            "hidden_bias": rbm.hidden_bias,
            **rbm.training_arrays,
        }
        plan = {**self.settings, "kind": rbm.kind, "seed": rbm.seed, "first_step": self.step}
        with interrupts_deferred():
            errors, finite = _core.contrastive_steps(self.x, order, state, plan)
            self.step += len(errors)
            self.history.add_steps(errors)
            sizes = np.minimum(self.batch, len(order) - self.batch * np.arange(len(errors)))
            for error, size in zip(errors, sizes, strict=True):  # one by one: the sum must not depend on the chunks
                self.sums += error * size, size
            rbm.training_state = {**self.identity, "step": self.step}
        if len(errors):
            self.step_seconds = (time.perf_counter() - begun) / len(errors)
        if not finite:
            raise ArithmeticError(
                f"[{OPERATION}] step {self.step} met a NaN or an infinity and was not applied; learning_rate is "
                f"{self.settings['learning_rate']:g}: a smaller one may help"
            )

    def end_epoch(self, held_out: Array | None, measure: int) -> None:
        """Write down the figures of the epoch just finished."""
        values = {"reconstruction_error": float(self.sums[0] / self.sums[1])}
        some = self.x[:measure]
        if measure:
            values["free_energy"] = float(self.rbm.free_energy(some).mean())
            if self.rbm.kind == "binary":
                values["pseudo_likelihood"] = float(self.rbm.pseudo_likelihood(some).mean())
        if measure and held_out is not None:
            values["free_energy_gap"] = float(self.rbm.free_energy(held_out[:measure]).mean()) - values["free_energy"]
        self.history.add_epoch(values)
