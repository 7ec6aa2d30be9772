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

    def activation(self, x, dy):
        x, dy = jnp.asarray(x), jnp.asarray(dy)

        @jax.jit
        def both(x, dy):
            y, back = jax.vjp(ACTIVATIONS[self.job.activation], x)
            return y, back(dy)[0]

        return lambda: jax.block_until_ready(both(x, dy))
