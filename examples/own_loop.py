"""A training loop of one's own: any loss whose gradient one can write down, here a Huber loss on a sine."""

import numpy as np

import gradwell as gw

rng = np.random.default_rng(0)
x = rng.uniform(-3, 3, (2000, 1)).astype(np.float32)
y = np.sin(x) + 0.1 * rng.standard_t(2, x.shape).astype(np.float32)  # heavy-tailed noise
net = gw.mlp([1, 30, 30, 1], activation="tanh", seed=0)
optimizer = gw.SGD(0.1)
for _ in range(60):
    order = rng.permutation(len(x))
    for rows in order.reshape(-1, 20):
        difference = net.forward(x[rows]) - y[rows]
        net.backward(
            np.clip(difference, -0.2, 0.2) / len(rows)
        )  # the gradient of Huber's loss (1964), mean over the batch
        optimizer.update(net)
error = np.sqrt(np.mean((net.predict(x) - np.sin(x)) ** 2))
print(f"root mean square distance from the sine: {error:.3f} (the noise has {np.std(y - np.sin(x)):.2f})")
