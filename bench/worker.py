"""A process that holds one contestant: it runs a round when told to and is idle otherwise.

Frameworks bring thread pools and settings of the floating-point unit of their own; apart, none disturbs another.
"""

import gc
import multiprocessing
import time
import traceback
from dataclasses import replace

import numpy as np


class Worker:
    """The near end of a contestant in a process of its own."""

    def __init__(self, name, job=None):
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=serve, args=(far, name), daemon=True)
        self.process.start()
        far.close()
        self.absent, self.version, self.check = None, "", None
        if job is not None:
            self.begin(job)
            self.started()

    def begin(self, job):
        """Have the contestant made for a job; `started` waits for it."""
        self.pipe.send(("job", job))

    def started(self, longest=None):
        """Wait until the contestant is ready, or absent; at most so many seconds, then it is stopped."""
        self.absent, self.version, self.check = None, "", None
        if longest is not None and not self.pipe.poll(longest):
            self.absent = f"not ready within {longest:.0f} s"
            self.stop()
            return
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

    def round(self, epochs=0):
        """Return the seconds of one round, of so many epochs where it is not of the job's."""
        self.pipe.send(("round", epochs))
        return self.receive()

    def stop(self):
        if self.process.is_alive():
            self.process.terminate()
        self.process.join()


def serve(pipe, name):
    """Make the contestant of every job sent, and send its version and check values; the seconds of every round."""
    contestant = run = None
    try:
        while True:
            what, value = pipe.recv()
            if what == "round":
                if value:
                    contestant.job = replace(contestant.job, epochs=value)
                start = time.perf_counter()
                run()
                pipe.send(("seconds", time.perf_counter() - start))
                continue
            contestant = run = None  # its memory is the next one's
            gc.collect()
            try:
                from contestants import make

                contestant = make(name, value)
                run, version, check = prepare(contestant, value)
            except ImportError as error:
                pipe.send(("absent", str(error)))
                continue
            pipe.send(("ready", (version, check)))
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
