"""What is measured: one row a job, with the bars it is held to.

A step job trains a net of `sizes` with `activation` between its layers by SGD on softmax cross-entropy; a round of it
is `steps` steps. A kernel job calls one operation `steps` times a round. Weights and data follow from the job alone.
"""

import statistics
from dataclasses import dataclass

import numpy as np

RATE = 0.01
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Bar:
    """`measure` of two contestants must be at least `low` or at most `high`.

    `over` / `under` name contestants; "best peer" is the fastest that is not ours.
    """

    over: str
    under: str
    low: float = 0.0
    high: float = float("inf")

    def holds(self, ratio):
        return self.low <= ratio <= self.high

    def __str__(self):
        wanted = f"≥ {self.low:g}" if self.low else f"≤ {self.high:g}"
        return f"{self.over} / {self.under} {wanted}"


@dataclass(frozen=True)
class Job:
    """One row of the table."""

    name: str
    kind: str  # step, dense, activation, batchnorm, layernorm, adamw, recurrent, boltzmann
    sizes: tuple
    activation: str
    batch: int
    steps: int
    contestants: tuple
    bars: tuple
    threads: int = 2
    epochs: int = 1
    time: int = 0  # steps of the sequences of a recurrent job, whose `activation` names the cell

    @property
    def calls(self):
        """Steps, or calls of a kernel, in one round."""
        return self.steps * self.epochs

    def weights(self):
        """Return [(weight (in, out), bias)], Glorot normal, float32."""
        rng = np.random.default_rng(1)
        made = []
        for n_in, n_out in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            deviation = np.sqrt(2 / (n_in + n_out))
            made.append((rng.normal(0, deviation, (n_in, n_out)).astype(np.float32), np.zeros(n_out, np.float32)))
        return made

    def sequences(self):
        """Return x (batch, time, in), W, U, b and dy of a recurrent job, float32."""
        rng, (n_in, hidden) = np.random.default_rng(2), self.sizes
        wide = GATES[self.activation] * hidden
        x = rng.normal(size=(self.batch, self.time, n_in))
        weight, recurrent = (rng.normal(0, (n + 1) ** -0.5, (n, wide)) for n in (n_in, hidden))
        dy = rng.normal(0, (self.batch * self.time) ** -0.5, (self.batch, self.time, hidden))
        return [a.astype(np.float32) for a in (x, weight, 0.5 * recurrent, np.zeros(wide), dy)]

    def data(self):
        """Return x (steps * batch, in) in [0, 1) and y, class numbers."""
        rng = np.random.default_rng(0)
        samples = self.steps * self.batch
        return rng.random((samples, self.sizes[0]), dtype=np.float32), rng.integers(0, self.sizes[-1], samples)


def judge(job, row):
    """Return what each bar asks, what was measured and whether it holds; None where a side is absent."""
    medians = {name: statistics.median(values) for name, values in row["times"].items()}
    peers = {name: value for name, value in medians.items() if not name.startswith("gradwell") and "stats" not in name}
    bars = []
    for bar in job.bars:
        over = min(peers, key=peers.get, default=None) if bar.over == "best peer" else bar.over
        if over not in medians or bar.under not in medians:
            continue
        ratio = medians[over] / medians[bar.under]
        bars.append({"bar": str(bar), "peer": over, "ratio": ratio, "holds": bool(bar.holds(ratio))})
    return bars


OURS = ("gradwell", "gradwell stats")
PEERS = ("torch", "torch fused", "torch.compile", "jax jit", "jax scan", "scikit-learn", "numpy")


def step(name, sizes, activation, batch, steps, peer, *bars, epochs=1):
    bars = (Bar("best peer", "gradwell", low=peer), *bars)
    return Job(name, "step", tuple(sizes), activation, batch, steps, OURS + PEERS, bars, epochs=epochs)


def recorded(name, sizes, activation, batch, steps, peer, stats, epochs=1):
    bar = Bar("torch stats", "gradwell stats", low=stats)
    job = step(name, sizes, activation, batch, steps, peer, bar, epochs=epochs)
    return Job(**{**vars(job), "contestants": (*job.contestants, "torch stats")})


def dense(batch, inputs, outputs, threads, calls):
    name = f"dense {batch}×{inputs}×{outputs}, {threads} thread{'s' if threads > 1 else ''}"
    contestants = ("gradwell", "torch", "jax jit", "numpy") if threads == 2 else ("gradwell", "torch", "numpy")
    bars = (Bar("torch", "gradwell", low=1.0),)
    return Job(name, "dense", (inputs, outputs), "identity", batch, calls, contestants, bars, threads)


def activation(name, size=65536):
    bars = (Bar("torch", "gradwell", low=3.0),)
    contestants = ("gradwell", "torch", "jax jit", "numpy")
    return Job(f"{name}, {size} floats", "activation", (size,), name, 1, 300, contestants, bars)


def normalisation(kind, rows, columns, calls, *bars):
    contestants = ("gradwell", "torch", "numpy")
    return Job(f"{kind} {rows}×{columns}, both ways", kind, (columns,), "identity", rows, calls, contestants, bars)


def recurrent(cell, time, batch, inputs, hidden, calls, peer):
    name = f"{cell} T{time} B{batch} I{inputs} H{hidden}, both ways"
    bars = (Bar("torch", "gradwell", low=peer), Bar("gradwell stats", "gradwell", high=1.05))
    return Job(name, "recurrent", (inputs, hidden), cell, batch, calls, (*OURS, "torch", "jax jit"), bars, time=time)


def adamw(numbers, calls):
    bars = (Bar("torch", "gradwell", low=1.5), Bar("torch fused", "gradwell", low=1.0))
    contestants = ("gradwell", "torch", "torch fused", "numpy")
    return Job(f"AdamW, {numbers:,} numbers", "adamw", (numbers,), "identity", 1, calls, contestants, bars)


def boltzmann(visible, hidden, batch, steps):
    bars = (Bar("scikit-learn", "gradwell", low=4.0), Bar("torch", "gradwell", low=2.0))
    contestants = ("gradwell", "torch", "scikit-learn")
    name = f"CD-1 {visible}×{hidden}, batch {batch}"
    return Job(name, "boltzmann", (visible, hidden), "sigmoid", batch, steps, contestants, bars)


JOBS = (
    step("[784,30,10] logistic, batch 10", (784, 30, 10), "sigmoid", 10, 1000, 2.5, epochs=3),
    step(
        "[784,30×4,10] logistic, batch 10",
        (784, 30, 30, 30, 30, 10),
        "sigmoid",
        10,
        1000,
        2.5,
        Bar("torch", "gradwell", low=20),
        epochs=3,
    ),
    step("20×30 tanh, batch 32", (30,) * 21 + (10,), "tanh", 32, 300, 3.0, epochs=3),
    recorded("50×128 tanh, batch 64", (128,) * 51 + (10,), "tanh", 64, 100, 2.5, 8.0),
    recorded("100×256 tanh, batch 128", (256,) * 101 + (10,), "tanh", 128, 20, 1.8, 4.0),
    recorded("8×2048 tanh, batch 256", (2048,) * 9 + (10,), "tanh", 256, 4, 1.2, 2.3),
    dense(128, 256, 256, 1, 300),
    dense(128, 256, 256, 2, 300),
    dense(512, 512, 512, 1, 50),
    dense(512, 512, 512, 2, 50),
    activation("elu"),
    activation("tanh"),
    activation("sigmoid"),
    normalisation("batchnorm", 256, 1024, 100, Bar("torch", "gradwell", low=2.5)),
    normalisation("batchnorm", 4096, 1024, 5, Bar("torch", "gradwell", low=1.5)),
    normalisation("layernorm", 256, 1024, 100),
    adamw(10_000_000, 3),
    recurrent("lstm", 100, 32, 64, 128, 20, 1.5),
    recurrent("lstm", 200, 64, 128, 256, 3, 1.5),
    recurrent("lstm", 784, 32, 1, 128, 4, 2.0),
    recurrent("lstm", 50, 64, 512, 512, 3, 1.2),
    recurrent("gru", 200, 64, 128, 256, 3, 1.5),
    recurrent("rnn", 200, 64, 128, 256, 5, 1.5),
    boltzmann(784, 500, 100, 600),
)
