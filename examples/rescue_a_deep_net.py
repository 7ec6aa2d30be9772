"""A thirty-layer logistic net that cannot learn, and the same net with one remedy at a time."""

import numpy as np

import gradwell as gw

x, y = gw.datasets.digits()
order = np.random.default_rng(0).permutation(len(y))
train, test = order[:1500], order[1500:]
sizes = [64, *[50] * 30, 10]
block = (gw.Dense(50, init="kumar"), gw.Sigmoid(), gw.Dense(50, init="zeros"))
blocks = [gw.Residual(*block) for _ in range(15)]

nets = {
    "as it is": gw.mlp(sizes, activation="sigmoid", init="nielsen", seed=0),
    "kumar's weights": gw.mlp(sizes, activation="sigmoid", init="kumar", seed=0),
    "batch norm": gw.mlp(sizes, activation="sigmoid", normalization="batch", seed=0),
    "residual blocks": gw.Network([gw.Dense(50), *blocks, gw.Dense(10)], input_shape=64, seed=0),
    "relu, he": gw.mlp(sizes, activation="relu", seed=0),
}

print(f"{'30 hidden layers':<18} {'expected':>10} {'measured':>10} {'accuracy':>9}")
print(f"{'':<18} {'‖δ‖ first / last hidden':>21}")
for name, net in nets.items():
    expected = gw.forecast(net, input_mean=float(x.mean()), input_square=float((x**2).mean()))
    record = gw.gradients(net, x[train], y[train], loss="softmax_cross_entropy")
    gw.fit(
        net,
        (x[train], y[train]),
        loss="softmax_cross_entropy",
        optimizer=gw.Adam(1e-3),
        batch_size=30,
        epochs=30,
        clip=gw.clip_by_norm(1.0),
        progress=False,
    )
    accuracy = (net.predict(x[test]).argmax(axis=1) == y[test]).mean()
    print(f"{name:<18} {1 / expected.ratio:>10.1e} {1 / record.ratio()[0]:>10.1e} {accuracy:>9.1%}")
