"""Which layer learns, and what changes it: the same deep net with four activations, on the built-in digits."""

import gradwell as gw

x, y = gw.datasets.digits()
held_out = x[1500:], y[1500:]
for activation, init, rate in [
    ("sigmoid", "nielsen", 0.5),
    ("tanh", "glorot", 0.2),
    ("relu", "he", 0.1),
    ("selu", "lecun", 0.1),
]:
    net = gw.mlp([64, 30, 30, 30, 30, 10], activation=activation, init=init, seed=0)
    history = gw.fit(
        net,
        (x[:1500], y[:1500]),
        loss="softmax_cross_entropy",
        optimizer=gw.SGD(rate),
        batch_size=10,
        epochs=10,
        validation=held_out,
        stats=True,
    )
    record = history.gradients
    print(f"\n{activation}, {init}: {history.metrics['validation_accuracy'][-1]:.1%} of held-out digits right")
    print(gw.report.layer_table(record, row=0))
