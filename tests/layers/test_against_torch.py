"""The same networks and optimisers in PyTorch: other people's formulas for the same names."""

import numpy as np
import pytest

import gradwell as gw

torch = pytest.importorskip("torch")


def twin(net):
    """The network's layers in PyTorch, float64, with its weights."""
    made = []
    for name, layer, _ in gw.layers.walk(net.layers):
        get = {key.rsplit(".", 1)[1]: view for key, view in net.parameters.items() if key.rsplit(".", 1)[0] == name}
        if isinstance(layer, gw.Dense):
            one = torch.nn.Linear(*get["weight"].shape, bias=layer.use_bias, dtype=torch.float64)
            values = ((one.weight, get["weight"].T), *([(one.bias, get["bias"])] if layer.use_bias else []))
        elif isinstance(layer, gw.BatchNorm):
            one = torch.nn.BatchNorm1d(len(get["gamma"]), momentum=1 - layer.momentum, dtype=torch.float64)
            values = (one.weight, get["gamma"]), (one.bias, get["beta"])
        elif isinstance(layer, gw.LayerNorm):
            one = torch.nn.LayerNorm(len(get["gamma"]), dtype=torch.float64)
            values = (one.weight, get["gamma"]), (one.bias, get["beta"])
        else:
            one, values = torch.nn.Tanh(), ()
        with torch.no_grad():
            for to, value in values:
                to.copy_(torch.from_numpy(np.array(value)))
        made.append(one)
    return torch.nn.Sequential(*made)


def make():
    # No bias where normalisation takes it out again: its gradient is the noise of rounding.
    layers = [
        gw.Dense(9, use_bias=False),
        gw.BatchNorm(),
        gw.Tanh(),
        gw.Dense(8),
        gw.LayerNorm(),
        gw.Tanh(),
        gw.Dense(3),
    ]
    return gw.Network(layers, input_shape=5, seed=1, dtype="float64")


def decays(model):
    """Weights decay, biases, gamma and beta do not."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    return weights, others


OPTIMIZERS = {
    "sgd": (gw.SGD(0.1), lambda w, o: torch.optim.SGD([*w, *o], 0.1)),
    "momentum": (
        gw.SGD(0.05, momentum=0.9, l2=0.01),
        lambda w, o: torch.optim.SGD([{"params": w, "weight_decay": 0.01}, {"params": o}], 0.05, momentum=0.9),
    ),
    "nesterov": (
        gw.SGD(0.05, momentum=0.9, nesterov=True),
        lambda w, o: torch.optim.SGD([*w, *o], 0.05, momentum=0.9, nesterov=True),
    ),
    "adagrad": (gw.Adagrad(0.05), lambda w, o: torch.optim.Adagrad([*w, *o], 0.05)),
    "rmsprop": (
        gw.RMSprop(0.001, momentum=0.5),
        lambda w, o: torch.optim.RMSprop([*w, *o], 0.001, momentum=0.5),
    ),
    "adam": (gw.Adam(0.01), lambda w, o: torch.optim.Adam([*w, *o], 0.01)),
    "adamw": (
        gw.AdamW(0.01, weight_decay=0.1),
        lambda w, o: torch.optim.AdamW([{"params": w, "weight_decay": 0.1}, {"params": o, "weight_decay": 0}], 0.01),
    ),
    "rprop": (gw.Rprop(0.01), lambda w, o: torch.optim.Rprop([*w, *o], 0.01)),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small tensors: PyTorch's threads would only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps(name, clip, rng):
    """Outputs, weights and running moments; fit's steps are full batches of 40."""
    ours, theirs = OPTIMIZERS[name]
    net = make()
    model = twin(net)
    optimizer = theirs(*decays(model))
    x, y = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    norms = []
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        if clip:
            norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), clip).item())
        optimizer.step()
    settings = {"batch_size": 40, "epochs": 20, "shuffle": False, "clip": gw.clip_by_norm(clip) if clip else None}
    history = gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=ours, **settings)
    near = 2e-5 if clip else 1e-7  # PyTorch adds 1e-6 to the norm it divides by
    for view, parameter in zip(net.parameters.values(), model.parameters(), strict=True):
        expected = parameter.detach().numpy()
        expected = expected.T if expected.ndim > 1 else expected
        np.testing.assert_allclose(view, expected, rtol=near, atol=near / 100)
    if clip:
        np.testing.assert_allclose(history.clipping.before, norms, rtol=near)
    norm = model[1]
    np.testing.assert_allclose(net.buffers["1.running_mean"], norm.running_mean.numpy(), rtol=near, atol=near)
    np.testing.assert_allclose(net.buffers["1.running_variance"], norm.running_var.numpy(), rtol=near)
    model.eval()
    expected = model(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(net.predict(x), expected, rtol=near, atol=near)


@pytest.mark.parametrize("kind", ["batchnorm", "layernorm"])
def test_kernels(kind, rng):
    x, dy = rng.normal(size=(2, 37, 19)).astype(np.float32)
    gamma, beta = rng.normal(size=(2, 19)).astype(np.float32)
    wide = [torch.from_numpy(a.astype(np.float64)).requires_grad_() for a in (x, gamma, beta)]
    if kind == "batchnorm":
        expected = torch.nn.functional.batch_norm(wide[0], None, None, wide[1], wide[2], training=True)
    else:
        expected = torch.nn.functional.layer_norm(wide[0], (19,), wide[1], wide[2])
    expected.backward(torch.from_numpy(dy.astype(np.float64)))
    y, mean, variance = getattr(gw.kernels, f"{kind}_forward")(x, gamma, beta)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    found = getattr(gw.kernels, f"{kind}_backward")(dy, x, gamma, mean, variance)
    for one, other in zip(found, wide, strict=True):
        np.testing.assert_allclose(one, other.grad.numpy(), rtol=1e-4, atol=1e-5)
