"""Plain NumPy: the formulas as one would write them down, with its BLAS."""

import numpy as np
from jobs import RATE
from threadpoolctl import threadpool_limits


class NumPy:
    def __init__(self, job):
        threadpool_limits(job.threads)
        self.job = job
        self.version = f"numpy {np.__version__}"
        if job.kind == "step":
            self.parameters = job.weights()
            self.x, self.y = job.data()

    def train(self):
        batch = self.job.batch
        starts = [*range(0, len(self.x), batch)] * self.job.epochs
        return [self.step(self.x[i : i + batch], self.y[i : i + batch]) for i in starts]

    def step(self, x, y):
        logistic = self.job.activation == "sigmoid"
        outputs = [x]
        for weight, bias in self.parameters[:-1]:
            z = outputs[-1] @ weight + bias
            outputs.append(1 / (1 + np.exp(-z)) if logistic else np.tanh(z))
        weight, bias = self.parameters[-1]
        logits = outputs[-1] @ weight + bias
        logits -= logits.max(axis=1, keepdims=True)
        share = np.exp(logits)
        total = share.sum(axis=1, keepdims=True)
        rows = np.arange(len(y))
        loss = np.mean(np.log(total[:, 0]) - logits[rows, y])
        delta = share / total
        delta[rows, y] -= 1
        delta /= np.float32(len(y))
        for parameters, output in zip(reversed(self.parameters), reversed(outputs), strict=True):
            upstream = delta @ parameters[0].T
            for parameter, gradient in zip(parameters, (output.T @ delta, delta.sum(axis=0)), strict=True):
                parameter -= np.float32(RATE) * gradient  # noqa: PLW2901 in place
            delta = upstream * (output * (1 - output) if logistic else 1 - output * output)
        return loss

    def dense(self, x, w):
        return lambda: x @ w

    def batchnorm(self, x, dy):
        return lambda: self.normalised(x, dy, 0)

    def layernorm(self, x, dy):
        return lambda: self.normalised(x, dy, 1)

    def normalised(self, x, dy, axis):
        centred = x - x.mean(axis=axis, keepdims=True)
        root = np.sqrt((centred * centred).mean(axis=axis, keepdims=True) + np.float32(1e-5))
        y = centred / root
        rest = dy - dy.mean(axis=axis, keepdims=True) - y * (dy * y).mean(axis=axis, keepdims=True)
        return y, rest / root

    def adamw(self, p, g):
        m, v = np.zeros_like(p), np.zeros_like(p)
        step = 0

        def update():
            nonlocal step
            step += 1
            m[:] = np.float32(0.9) * m + np.float32(0.1) * g
            v[:] = np.float32(0.999) * v + np.float32(0.001) * g * g
            root = np.sqrt(v / np.float32(1 - 0.999**step)) + np.float32(1e-8)
            p[:] = p * np.float32(1 - 1e-5) - np.float32(1e-3 / (1 - 0.9**step)) * m / root
            return p

        return update

    def activation(self, x, dy):
        def elu():
            y = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
            return y, dy * np.where(y > 0, np.float32(1), y + np.float32(1))

        def tanh():
            y = np.tanh(x)
            return y, dy * (1 - y * y)

        def sigmoid():
            y = 1 / (1 + np.exp(-x))
            return y, dy * (y * (1 - y))

        return {"elu": elu, "tanh": tanh, "sigmoid": sigmoid}[self.job.activation]
