"""What is measured on a GPU, with the bars; weights and data follow from the job alone, as in jobs.py."""

from dataclasses import dataclass, replace

import numpy as np
from jobs import Bar, Job

PEERS = ("torch", "torch graphs", "torch.compile", "jax jit", "jax scan")
KERNELS = (
    "relu_forward",
    "relu_backward",
    "tanh_forward",
    "tanh_backward",
    "sigmoid_forward",
    "sigmoid_backward",
    "batchnorm_forward",
    "batchnorm_backward",
    "layernorm_forward",
    "layernorm_backward_input",
    "measure",
    "adam",
)
SHARE = 0.85  # of the bandwidth of a copy


@dataclass(frozen=True)
class GpuJob(Job):
    """A job whose contestants hold their data on the GPU; peers may be put on the CPU to try their code."""

    precision: str = "float32"  # of the factors of products, for all alike
    peers_on: str = "cuda"
    round_seconds: float = 0.06

    def lstm(self):
        """Return weight (in, 4 hidden), recurrent weight, and those of the dense layer behind the last step."""
        rng, (n_in, hidden, classes) = np.random.default_rng(1), self.sizes
        shapes = ((n_in, 4 * hidden), (hidden, 4 * hidden), (hidden, classes))
        return [rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32) for shape in shapes]

    def data(self):
        """Return x (steps * batch, in), of sequences (steps * batch, time, in), and class numbers."""
        if not self.time:
            return super().data()
        rng, samples = np.random.default_rng(0), self.steps * self.batch
        x = rng.normal(size=(samples, self.time, self.sizes[0])).astype(np.float32)
        return x, rng.integers(0, self.sizes[-1], samples)


def step(name, sizes, activation, batch, steps, low, **more):
    bars = (Bar("best peer", "gradwell", low=low),)
    return GpuJob(name, "step", tuple(sizes), activation, batch, steps, ("gradwell", *PEERS), bars, **more)


def recorded(name, sizes, batch, steps):
    bars = (Bar("gradwell stats", "gradwell", high=1.05),) if batch >= 256 else ()
    ours = ("gradwell", "gradwell stats")
    return GpuJob(f"record of {name}, batch {batch}", "step", tuple(sizes), "tanh", batch, steps, ours, bars)


def lstm(time, batch, inputs, hidden, steps):
    bars = (Bar("torch", "gradwell", low=1.0),)
    name = f"LSTM T{time} B{batch} I{inputs} H{hidden}"
    contestants = ("gradwell", "torch", "torch graphs")
    return GpuJob(name, "step", (inputs, hidden, 10), "lstm", batch, steps, contestants, bars, time=time)


WIDE = step("8×4096 tanh, batch 4096", (4096,) * 9 + (10,), "tanh", 4096, 1, 1.0)
JOBS = (
    step("[784,30×4,10] logistic, batch 10", (784, 30, 30, 30, 30, 10), "sigmoid", 10, 200, 3.0),
    step("50×128 tanh, batch 64", (128,) * 51 + (10,), "tanh", 64, 50, 2.0),
    step("100×256 tanh, batch 128", (256,) * 101 + (10,), "tanh", 128, 20, 1.5),
    WIDE,
    replace(WIDE, name=f"{WIDE.name}, TF32", precision="tf32"),
    lstm(200, 64, 128, 256, 4),
    *(recorded("50×128 tanh", (128,) * 51 + (10,), batch, 20) for batch in (64, 256, 1024)),
)
KERNEL_BYTES = 1 << 28


def small(job):
    """Return a job of the same kind that takes an instant even where no GPU is."""
    hidden = 1 if "gradwell stats" in job.contestants else 3
    sizes = (3, 6, 4) if job.time else (9, *(7,) * hidden, 4)
    contestants = tuple(name for name in job.contestants if name not in ("torch.compile", "jax scan"))
    few = {"threads": 1, "batch": 5, "steps": 2, "time": min(job.time, 4), "peers_on": "cpu", "round_seconds": 0.0}
    return replace(job, name=f"small {job.name}", sizes=sizes, contestants=contestants, **few)
