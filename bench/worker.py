"""A process that holds one contestant: it runs a round when told to and is idle otherwise.

Frameworks bring thread pools and settings of the floating-point unit of their own; apart, none disturbs another.
"""

import multiprocessing
import time
import traceback

import numpy as np


class Worker:
    """The near end of a contestant in a process of its own."""

    def __init__(self, name, job):
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=serve, args=(far, name, job), daemon=True)
        self.process.start()
        far.close()
        self.absent = None
        self.version, self.check = self.receive() or ("", None)

    def receive(self):
        try:
            kind, value = self.pipe.recv()
        except EOFError:
            kind, value = "failed", "the process died"
        if kind == "absent":
            self.absent = value
            return None
        if kind == "failed":
            raise RuntimeError(f"{self.name}:\n{value}")
        return value

    def round(self):
        """Return the seconds of one round."""
        self.pipe.send("round")
        return self.receive()

    def stop(self):
        if self.process.is_alive():
            self.process.terminate()
        self.process.join()


def serve(pipe, name, job):
    """Send version and check values, then the seconds of every round asked for."""
    try:
        try:
            from contestants import make

            run, version, check = prepare(make(name, job), job)
        except ImportError as error:
            pipe.send(("absent", str(error)))
            return
        pipe.send(("ready", (version, check)))
        while pipe.recv() == "round":
            start = time.perf_counter()
            run()
            pipe.send(("seconds", time.perf_counter() - start))
    except EOFError:
        pass
    except BaseException:
        pipe.send(("failed", traceback.format_exc()))


def prepare(contestant, job):
    """Run once, for compilation and for the values that all must agree on; return what a round calls."""
    if job.kind == "step":
        return contestant.train, contestant.version, np.array(contestant.train(), np.float64)
    if job.kind == "recurrent":
        return repeated(contestant.recurrent(*job.sequences()), contestant, job)
    if job.kind == "boltzmann":  # draws differ: what must agree are the means of hidden units at the start
        x, weight = job.data()[0], job.weights()[0][0]
        run, means = contestant.boltzmann(x, weight)
        return run, contestant.version, np.asarray(means(x[: job.batch]), np.float64)
    rng = np.random.default_rng(2)
    table = (job.batch, job.sizes[0])
    first = table if job.kind in ("dense", "batchnorm", "layernorm") else job.sizes
    shapes = (first, first if job.kind.endswith("norm") else job.sizes)
    call = getattr(contestant, job.kind)(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))
    return repeated(call, contestant, job)


def repeated(call, contestant, job):
    """Return what a round calls, the version, and the values of one call."""
    made = call()
    check = np.concatenate([np.asarray(a).ravel() for a in (made if isinstance(made, tuple) else (made,))])

    def many():
        for _ in range(job.calls):
            call()

    return many, contestant.version, check.astype(np.float64)
