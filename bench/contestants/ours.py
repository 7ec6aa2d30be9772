"""gradwell through its public interface: `fit` and `kernels`."""

import numpy as np
from jobs import RATE

import gradwell as gw


class Gradwell:
    def __init__(self, job, stats):
        gw.set_num_threads(job.threads)
        self.job, self.stats = job, stats
        self.version = f"gradwell {gw.__version__} ({gw.build_info()['cpu_level']})"
        if job.kind == "step":
            self.net = gw.mlp(list(job.sizes), activation=job.activation, seed=0)
            for i, (weight, bias) in enumerate(job.weights()):
                self.net.parameters[f"{2 * i}.weight"][:] = weight
                self.net.parameters[f"{2 * i}.bias"][:] = bias
            self.data = job.data()

    def train(self):
        """Return the loss of every step of one round."""
        return gw.fit(
            self.net,
            self.data,
            loss="softmax_cross_entropy",
            optimizer=gw.SGD(RATE),
            batch_size=self.job.batch,
            epochs=self.job.epochs,
            shuffle=False,
            stats=self.stats,
            progress=False,
        ).step_loss

    def dense(self, x, w):
        return lambda: gw.kernels.dense_forward(x, w)

    def batchnorm(self, x, dy):
        gamma, beta = np.ones(x.shape[1], np.float32), np.zeros(x.shape[1], np.float32)

        def both():
            y, mean, variance = gw.kernels.batchnorm_forward(x, gamma, beta)
            return y, gw.kernels.batchnorm_backward(dy, x, gamma, mean, variance)[0]

        return both

    def layernorm(self, x, dy):
        gamma, beta = np.ones(x.shape[1], np.float32), np.zeros(x.shape[1], np.float32)

        def both():
            y, mean, variance = gw.kernels.layernorm_forward(x, gamma, beta)
            return y, gw.kernels.layernorm_backward(dy, x, gamma, mean, variance)[0]

        return both

    def recurrent(self, x, weight, recurrent, bias, dy):
        cell = self.job.activation
        own = {"gru": {"recurrent_bias": np.zeros(self.job.sizes[1], np.float32)}}.get(cell, {})
        forward = getattr(gw.kernels, f"{cell}_forward")

        def both():
            *outputs, saved = forward(x, weight, recurrent, bias, **own)
            found = saved.backward(f"{cell}_backward", dy, None, None, False, self.stats)
            return outputs[0][:, -1], found[2]

        return both

    def boltzmann(self, x, weight):
        rbm = gw.RBM(*weight.shape, seed=0)
        rbm.weight[:] = weight

        def epoch():
            rbm.fit(
                x,
                epochs=1,
                batch_size=self.job.batch,
                learning_rate=RATE,
                momentum=0.0,
                shuffle=False,
                measure=0,
                progress=False,
            )

        return epoch, rbm.transform

    def adamw(self, p, g):
        state = np.zeros_like(p), np.zeros_like(p)
        step = 0

        def update():
            nonlocal step
            step += 1
            gw.kernels.adam_update(p, g, *state, 1e-3, step, weight_decay=0.01)
            return p

        return update

    def activation(self, x, dy):
        name = self.job.activation
        forward, backward = gw.kernels.activation_forward, gw.kernels.activation_backward

        def both():
            y = forward(x, name)
            return y, backward(dy, name, y=y)

        return both
