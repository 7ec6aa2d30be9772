"""JAX on the CPU: one compiled step called from Python, or a compiled scan over all steps of the round."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from jobs import RATE

ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "elu": jax.nn.elu}


class Jax:
    def __init__(self, job, scan=False):
        self.job, self.scan = job, scan
        self.version = f"jax {jax.__version__}"
        if job.kind != "step":
            return
        f = ACTIVATIONS[job.activation]

        def loss(parameters, x, y):
            for weight, bias in parameters[:-1]:
                x = f(x @ weight + bias)
            logits = x @ parameters[-1][0] + parameters[-1][1]
            picked = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
            return jnp.mean(jax.nn.logsumexp(logits, axis=1) - picked)

        def step(parameters, batch):
            value, gradients = jax.value_and_grad(loss)(parameters, *batch)
            return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients), value

        self.parameters = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in job.weights()]
        x, y = job.data()
        self.x = jnp.asarray(x).reshape(job.steps, job.batch, -1)
        self.y = jnp.asarray(y.astype("int32")).reshape(job.steps, job.batch)
        self.step = jax.jit(step, donate_argnums=0)
        self.steps = jax.jit(lambda p, x, y: jax.lax.scan(step, p, (x, y)), donate_argnums=0)
        self.batches = [jax.block_until_ready((self.x[i], self.y[i])) for i in range(job.steps)]

    def train(self):
        losses = []
        if self.scan:
            for _ in range(self.job.epochs):
                self.parameters, values = self.steps(self.parameters, self.x, self.y)
                losses.append(values)
            return jax.block_until_ready(jnp.concatenate(losses))
        for batch in self.batches * self.job.epochs:
            self.parameters, value = self.step(self.parameters, batch)
            losses.append(value)
        jax.block_until_ready(self.parameters)
        return jnp.stack(losses)

    def dense(self, x, w):
        x, w = jnp.asarray(x), jnp.asarray(w)
        product = jax.jit(jnp.matmul)
        return lambda: jax.block_until_ready(product(x, w))

    def recurrent(self, x, weight, recurrent, bias, dy):
        hidden, cell = self.job.sizes[1], self.job.activation
        x, dy = (jnp.asarray(a.swapaxes(0, 1)) for a in (x, dy))
        weight, recurrent, bias = (jnp.asarray(a) for a in (weight, recurrent, bias))
        zeros = jnp.zeros((self.job.batch, hidden))

        def step(u, state, z):
            h, c = state
            if cell == "rnn":
                h = jnp.tanh(z + h @ u)
            elif cell == "lstm":
                i, f, g, o = jnp.split(z + h @ u, 4, axis=1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
            else:
                (r, k, n), (r_own, k_own, n_own) = jnp.split(z, 3, axis=1), jnp.split(h @ u, 3, axis=1)
                r, k = jax.nn.sigmoid(r + r_own), jax.nn.sigmoid(k + k_own)
                n = jnp.tanh(n + r * n_own)
                h = n + k * (h - n)
            return (h, c), h

        def forward(w, u, b):
            return jax.lax.scan(lambda state, z: step(u, state, z), (zeros, zeros), x @ w + b)[1]

        @jax.jit
        def both(w, u, b):
            y, back = jax.vjp(forward, w, u, b)
            return y[-1], back(dy)

        def call():
            y, gradients = jax.block_until_ready(both(weight, recurrent, bias))
            return y, gradients[1]

        return call

    def activation(self, x, dy):
        x, dy = jnp.asarray(x), jnp.asarray(dy)

        @jax.jit
        def both(x, dy):
            y, back = jax.vjp(ACTIVATIONS[self.job.activation], x)
            return y, back(dy)[0]

        return lambda: jax.block_until_ready(both(x, dy))
