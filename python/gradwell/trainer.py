"""Where a fit stands, and the run of steps that takes it further."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import _core
from gradwell.checks import check_count, check_flag
from gradwell.clipping import Amplify, Clip, check_clip
from gradwell.facts import Facts
from gradwell.history import History
from gradwell.interrupts import interrupts_deferred
from gradwell.layers import BatchNorm, recurrent_of, walk
from gradwell.losses import check_finite, check_loss, check_shares, has_accuracy
from gradwell.network import Network
from gradwell.nonfinite import NonFiniteError
from gradwell.optimizers import Optimizer
from gradwell.progress import Progress
from gradwell.sampling import RecordSchedule
from gradwell.schedules import Constant, check_rates
from gradwell.statistics import GradientRecord

Array = NDArray[Any]

CHUNK_SECONDS = 0.1
NONFINITE = ("raise", "stop", "skip")


class Trainer:
    """The checked arguments of one fit, and where it stands."""

    def __init__(
        self,
        network: Network,
        data: tuple[Any, ...],
        loss: str,
        optimizer: Optimizer,
        batch_size: int,
        validation: tuple[Any, ...] | None,
        seed: int,
        shuffle: bool,
        nonfinite: str,
        clip: Clip | None,
        amplify: Amplify | None,
    ):
        if not isinstance(network, Network):
            raise TypeError(f"[fit] network is of type {type(network).__name__}; needs a gradwell.Network")
        if not (isinstance(optimizer, Optimizer) and optimizer.name):
            raise TypeError(f"[fit] optimizer is of type {type(optimizer).__name__}; needs a gradwell optimizer")
        check_loss("fit", loss, network.output_shape[-1])
        check_count("fit", "batch_size", batch_size)
        check_count("fit", "seed", seed, lowest=0)
        if nonfinite not in NONFINITE:
            raise ValueError(f'[fit] nonfinite is "{nonfinite}"; needs one of {", ".join(NONFINITE)}')
        check_clip("fit", clip)
        if amplify is not None and not isinstance(amplify, Amplify):
            raise TypeError(f"[fit] amplify is of type {type(amplify).__name__}; needs a gw.Amplify")
        self.network = network
        self.clip = clip
        self.amplify = amplify
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.shuffle = check_flag("fit", "shuffle", shuffle)
        self.nonfinite = nonfinite
        self.x, self.y, self.lengths = _samples(network, data, "data", "x", "y")
        self.validation = None if validation is None else _samples(network, validation, "validation", "xv", "yv")
        check_shares("fit", "y", loss, self.y)
        if self.validation is not None:
            check_shares("fit", "yv", loss, self.validation[1])
        self.steps_per_epoch = -(-len(self.x) // self.batch_size)
        self.accuracy = has_accuracy(loss, self.y)
        check_batches(network, len(self.x), self.batch_size)
        self._stateful = _check_states(network, len(self.x), self.batch_size, self.shuffle)
        self._check_schedule()
        layers = [recurrent_of(layer) or layer for _, layer, _ in walk(network.layers)]
        kinds = ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")
        self._regularized = any(getattr(layer, kind, None) is not None for layer in layers for kind in kinds)
        self._names = names = list(network.parameters)
        if amplify is not None:
            amplify.factors(names, 0)  # checks the names
        self.history = History(GradientRecord.of(network), names)
        self.step = 0
        self.step_seconds = 0.0
        self._timed = {kind: np.zeros(2) for kind in ("plain", "recorded")}  # steps and seconds
        self.schedule_state: dict[str, Any] = {}
        self._metrics: dict[str, float] = {}  # of the last epoch
        self._order: tuple[int, Array] = (-1, np.zeros(0, np.int64))
        self._epoch_sum = self._epoch_samples = self._epoch_correct = 0.0

    def _check_schedule(self) -> None:
        needed = self.optimizer.schedule.needs
        known = ["loss", *(["accuracy"] if self.accuracy else [])]
        known += [f"validation_{name}" for name in known] if self.validation is not None else []
        if needed is not None and needed not in known:
            raise ValueError(f'[fit] the schedule follows "{needed}"; this fit has {", ".join(known)}')

    def start(self, resume: bool) -> None:
        """Begin at step 0, or where the network's training state says."""
        if _core.take_fork_notice():
            warnings.warn(
                "this process was forked from one that had several threads: gradwell works on one thread here",
                RuntimeWarning,
                stacklevel=3,
            )
        rule = self.optimizer.rule()
        described = None if self.clip is None else self.clip.describe()
        self.schedule_state = self.optimizer.schedule.begin()
        first = self._rates(2)[0]  # a schedule that cannot is found before any step
        training = {"batch_size": self.batch_size, "optimizer": rule, "learning_rate": float(first), "clip": described}
        self.history.facts = Facts.of(self.network, self.loss, self.x, self.y, self.lengths, **training)
        self._anew = not resume or self.network.clip_rule != described
        if not resume:
            return
        before = self.network.training_state
        if before is None:
            raise ValueError("[fit] resume is True but the network has no training state; fit it first, or load one")
        for name, value in self._identity().items():
            if before.get(name) != value:
                raise ValueError(f"[fit] resume needs the same {name}: it was {before.get(name)} and is now {value}")
        held = (self.network.optimizer_rule or {"name": "none"})["name"]
        if held != rule["name"]:
            raise ValueError(f"[fit] resume needs the same optimizer: it was {held} and is now {rule['name']}")
        self.schedule_state = before.get("schedule") or self.schedule_state
        self.step = self.history.first_step = int(before["step"])
        self._epoch_sum, self._epoch_samples, self._epoch_correct = before["epoch"]

    def take_over(self, resume: bool) -> None:
        """Make optimiser and clipping of the network those of this fit; afresh unless it resumes."""
        if not resume:
            self.optimizer.prepare(self.network, afresh=True)
        if self._anew:
            described = None if self.clip is None else self.clip.describe()
            self.network.program.restore_clip(described, [])
            self.network.clip_rule = described

    def hold_samples(self) -> None:
        """Have the samples where the network is, if they fit there, until the program is told to release them."""
        self.network.program.hold(self.x, self.y, self.lengths)

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a resumed fit to go on as if it had not stopped."""
        return {
            "seed": self.seed,
            "shuffle": self.shuffle,
            "batch_size": self.batch_size,
            "samples": len(self.x),
            "loss": self.loss,
        }

    def order(self, epoch: int) -> Array:
        """Return the order of the samples in an epoch."""
        if self._order[0] != epoch:
            n = len(self.x)
            drawn = np.random.default_rng([self.seed, epoch]).permutation(n) if self.shuffle else np.arange(n)
            self._order = (epoch, drawn.astype(np.int64, copy=False))
        return self._order[1]

    def run_chunk(self, last: int, schedule: RecordSchedule, bar: Progress) -> bool:
        """Take about 100 ms of steps, at most to the end of the epoch; False where the fit must end."""
        epoch, within = divmod(self.step, self.steps_per_epoch)
        wanted = int(CHUNK_SECONDS / self.step_seconds) if self.step_seconds else 1
        steps = max(1, min(wanted, self.steps_per_epoch - within, last - self.step))
        steps, every = schedule.plan(self.step, steps, last - self.step)
        order = self.order(epoch)[within * self.batch_size : (within + steps) * self.batch_size]
        plan = self._plan(every, steps)
        flush = self.network.flush_denormals
        if self._stateful and within == 0:
            self.network.reset_states()
        with interrupts_deferred():
            result = self.network.program.train(self.x, self.y, self.lengths, order, plan, flush)
            done = self._take_note(result)
        losses = result["losses"]
        schedule.learn(result)
        if done:
            self.step_seconds = (result["plain_seconds"] + result["recorded_seconds"]) / done
        bar.advance(done, self.history, losses)
        return self._met_fault(result["fault"], order[done * self.batch_size :]) if result["fault"] else True

    def _take_note(self, result: dict[str, Any]) -> int:
        """Write down a run of steps; return how many there were."""
        losses = result["losses"]
        done = len(losses)
        self.history.gradients.append(result["record"])
        self.history.add_steps(losses)
        self.history.clipping.append(self.step, result["clips"])
        for kind in self._timed:
            self._timed[kind] += result[f"{kind}_steps"], result[f"{kind}_seconds"]
        (plain, seconds), (recorded, slower) = self._timed.values()
        if plain and recorded:
            self.history.recording_seconds = max(float(slower - recorded * seconds / plain), 0.0)
        self._epoch_correct += result["correct"]
        self._epoch_samples += result["samples"]
        self._epoch_sum += float(losses @ result["counts"])
        self._advance(done)
        return done

    def _plan(self, record_every: int, steps: int) -> Any:
        rates = self._rates(steps)
        epoch = self.step // self.steps_per_epoch
        return _core.Plan(
            loss=self.loss,
            rule=self.optimizer.rule(),
            learning_rates=rates.tolist(),
            clip=None if self.clip is None else self.clip.describe(),
            amplify=[] if self.amplify is None else self.amplify.factors(self._names, epoch),
            seed=self.seed,
            batch=self.batch_size,
            first_step=self.step,
            record_every=record_every,
        )

    def _rates(self, steps: int) -> Array:
        schedule = self.optimizer.schedule
        count = 1 if isinstance(schedule, Constant) else steps  # one rate serves all steps
        numbers = self.step + np.arange(count, dtype=np.float64)
        return check_rates(schedule.rates(numbers, self.schedule_state), count)

    def _advance(self, steps: int) -> None:
        self.step += steps
        sums = [self._epoch_sum, self._epoch_samples, self._epoch_correct]
        state = {"step": self.step, "epoch": sums, "schedule": self.schedule_state, "metrics": self._metrics}
        self.network.training_state = {**self._identity(), **state}

    def _met_fault(self, fault: str, rest: Array) -> bool:
        """Deal with a step that made a non-finite value; True where the fit goes on."""
        if self.nonfinite == "skip":
            self.history.skipped.append(self.step)
            self._advance(1)
            return True
        batch = np.ascontiguousarray(rest[: self.batch_size])
        flush = self.network.flush_denormals
        found = self.network.program.find_producer(self.x, self.y, self.lengths, batch, self._plan(0, 1), flush)
        layer = self.history.gradients.layers[found["stage"]] if found["stage"] >= 0 else None
        error = NonFiniteError(self.step, found["phase"] or fault, layer, found["operation"], found["values"])
        self.history.fault = error
        if self.nonfinite == "raise":
            raise error
        self.history.stopped = str(error)
        return False

    def end_epoch(self) -> None:
        """Write down the figures of the epoch just finished."""
        values = {"loss": self._epoch_sum / self._epoch_samples if self._epoch_samples else float("nan")}
        if self.accuracy:
            values["accuracy"] = self._epoch_correct / self._epoch_samples if self._epoch_samples else float("nan")
        if self.validation is not None:
            x, y, lengths = self.validation
            flush = self.network.flush_denormals
            mean, correct, seen = self.network.program.evaluate(x, y, lengths, self.loss, 1024, flush)
            values["validation_loss"] = mean
            if self.accuracy:
                values["validation_accuracy"] = correct / max(seen, 1)
        if self._regularized:
            values["regularization"] = self.network.regularization_loss()
        self.history.add_epoch(values)
        self._metrics = {name: value for name, value in values.items() if np.isfinite(value)}
        self.schedule_state = self.optimizer.schedule.after_epoch(self.schedule_state, values)
        self._epoch_sum = self._epoch_samples = self._epoch_correct = 0.0
        self._advance(0)


def _samples(network: Network, pair: Any, argument: str, x_name: str, y_name: str) -> tuple[Array, Array, Array | None]:
    """Return (x, y, lengths or None) checked and in the network's dtype."""
    if not isinstance(pair, (tuple, list)) or len(pair) not in (2, 3):
        raise TypeError(f"[fit] {argument} is {_shape(pair)}; needs a pair (x, y), or (x, y, lengths)")
    x, lengths = network.samples("fit", pair[0], pair[2] if len(pair) == 3 else None, x_name)
    if not len(x):
        raise ValueError(f"[fit] {x_name} has no rows; needs at least one")
    check_finite("fit", x_name, x)
    return x, network.targets("fit", y_name, pair[1], len(x), lengths), lengths


def _check_states(network: Network, samples: int, batch_size: int, shuffle: bool) -> bool:
    """Whether states go from batch to batch; raise where the batches do not allow it."""
    names = [name for name, layer, _ in walk(network.layers) if (r := recurrent_of(layer)) is not None and r.stateful]
    if not names:
        return False
    if shuffle:
        raise ValueError(f"[fit] shuffle is True but layer {names[0]} is stateful; needs shuffle=False")
    if samples % batch_size and samples > batch_size:
        raise ValueError(
            f"[fit] batch_size {batch_size} does not divide {samples} samples but layer {names[0]} is stateful; "
            "every batch must have as many rows"
        )
    return True


def check_batches(network: Network, samples: int, batch_size: int) -> None:
    """Raise where batch normalisation would meet a batch of one sample."""
    if not any(isinstance(layer, BatchNorm) for _, layer, _ in walk(network.layers)):
        return
    last = samples % batch_size or min(batch_size, samples)
    if last == 1:
        which = "batch_size is 1" if batch_size == 1 else f"batch_size {batch_size} leaves a last batch of 1"
        raise ValueError(f"[fit] {which} of {samples} samples; batch normalisation needs at least 2 in every batch")


def _shape(value: Any) -> str:
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{size}"
