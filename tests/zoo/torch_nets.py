"""PyTorch models among the animals; none where PyTorch is not installed."""

from __future__ import annotations

from importlib.util import find_spec

from nets import Animal


def torch_animals():
    """Yield them all."""
    if find_spec("torch") is None:
        return
    yield from sick()
    yield from healthy()


def sick():
    from torch import nn
    from torch_models import adam, mlp, normal, sgd, train, with_bias, with_weight

    glorot = nn.init.xavier_normal_
    derivative, weight, rate, data = ("derivative",), ("weight",), ("rate",), ("data",)
    for depth in (5, 8):
        made = mlp(depth, 30, nn.Sigmoid, lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.5))
        yield Animal(f"torch logistic {depth}", train(made, sgd(0.1)), "vanishing", None, derivative)
    for depth, activation, size in ((8, nn.Tanh, 0.05), (6, nn.ReLU, 0.03)):
        made = mlp(depth, 50, activation, normal(size))
        yield Animal(f"torch small {depth}", train(made, sgd(0.1)), "vanishing", None, weight)
    for depth, size in ((10, 0.5), (15, 0.4)):
        made = mlp(depth, 64, nn.ReLU, normal(size))
        yield Animal(f"torch large {depth}", train(made, sgd(1e-5)), "exploding", None, weight)
    for depth, size in ((3, 1.0), (6, 1.0)):
        made = mlp(depth, 40, nn.Tanh, normal(size))
        yield Animal(f"torch saturated {depth}", train(made, sgd(1e-3)), "saturation", None, derivative)
    for layer in (2, 4):
        run = train(with_bias(layer, -8.0), sgd(0.01))
        yield Animal(f"torch dead {layer}", run, "dead_units", (str(layer),), derivative)
        run = train(with_weight(layer, 0.1), sgd(0.1))
        yield Animal(f"torch equal {layer}", run, "initialization", (str(layer),), weight)
        run = train(with_weight(layer, 3e38, nn.ReLU), sgd(0.1), steps=20)
        yield Animal(f"torch overflow {layer}", run, "nonfinite", (str(layer),), (None,))
    for name, step in (("SGD", sgd(6.0)), ("Adam", adam(0.5))):
        run = train(mlp(4, 64, nn.Tanh, glorot), step)
        yield Animal(f"torch {name} too fast", run, "violent_updates", None, rate)
    yield Animal("torch stalled", train(mlp(3, 64, nn.Tanh, glorot), sgd(1e-10)), "stalled_updates", None, rate)
    for scale in (300.0, 1e-3):
        yield Animal(
            f"torch inputs x {scale:g}", train(mlp(3, 64, nn.Tanh, glorot), sgd(0.1), scale), "inputs", None, data
        )


def healthy():
    from torch import nn
    from torch_models import Attention, Images, Recurrent, Residual, adam, mlp, sgd, train

    glorot, he = nn.init.xavier_normal_, nn.init.kaiming_normal_
    yield Animal("torch tanh 4", train(mlp(4, 64, nn.Tanh, glorot), sgd(0.1)))
    yield Animal("torch relu 5", train(mlp(5, 64, nn.ReLU, he), sgd(0.05)))
    yield Animal("torch gelu adam", train(mlp(4, 64, nn.GELU, he), adam(1e-3)))
    yield Animal("torch momentum", train(mlp(4, 64, nn.Tanh, glorot), sgd(0.02, momentum=0.9)))
    yield Animal("torch orthogonal 30", train(mlp(30, 64, nn.Tanh, nn.init.orthogonal_), sgd(0.02)))
    yield Animal("torch batch norm", train(mlp(6, 64, nn.ReLU, he, nn.BatchNorm1d), sgd(0.05)))
    yield Animal("torch layer norm", train(mlp(6, 64, nn.ReLU, he, nn.LayerNorm), sgd(0.05)))

    def residual():
        return nn.Sequential(nn.Linear(64, 64), *[Residual() for _ in range(20)], nn.Linear(64, 10))

    yield Animal("torch residual 20", train(residual, sgd(0.05)))
    yield Animal("torch images", train(Images, sgd(0.05)))
    yield Animal("torch lstm", train(lambda: Recurrent(nn.LSTM), adam(3e-3)))
    yield Animal("torch gru", train(lambda: Recurrent(nn.GRU), adam(3e-3)))
    yield Animal("torch attention", train(Attention, adam(1e-3)))
    yield Animal("torch accumulation", train(mlp(4, 64, nn.Tanh, glorot), sgd(0.1), accumulate=4, steps=150))
    yield Animal("torch frozen", train(mlp(4, 64, nn.Tanh, glorot), sgd(0.1), frozen=2))
    yield Animal("torch narrow", train(mlp(2, 5, nn.Tanh, glorot), sgd(0.1)))
    yield Animal("torch large batch", train(mlp(3, 64, nn.ReLU, he), sgd(0.2), batch=512))
