"""PyTorch models watched: the same figures as plain torch calls, nothing changed, the same doctor."""

import copy
import math
import warnings

import numpy as np
import pytest

import gradwell as gw

torch = pytest.importorskip("torch")
nn = torch.nn

X, Y = gw.datasets.digits()
X = torch.tensor((X / X.std()).astype(np.float32))
Y = torch.tensor(Y)


def mlp(depth=4, width=30, activation=nn.Tanh, functional=False):
    torch.manual_seed(0)
    layers = [nn.Linear(64, width), activation()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = nn.Linear(64, 30), nn.Linear(30, 30), nn.Linear(30, 10)

    def forward(self, x):
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.ReLU()
        )
        self.head = nn.Linear(8 * 36, 10)

    def forward(self, x):
        return self.head(self.body(x.reshape(-1, 1, 8, 8)).flatten(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(8, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, x):
        h = self.embed(x.reshape(-1, 8, 8))
        return self.head(self.norm(h + self.attention(h, h, h)[0]).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.head = kind(8, 16, batch_first=True), nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.cell(x.reshape(-1, 8, 8))[0][:, -1])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.shared, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(torch.tanh(self.shared(torch.tanh(self.shared(x)))))


MODELS = {
    "mlp": mlp,
    "functional": Functional,
    "conv": Conv,
    "attention": Attention,
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "rnn": lambda: Recurrent(nn.RNN),
    "tied": Tied,
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def train(model, optimizer, steps=6, watch=None, batch=50, accumulate=1):
    for step in range(steps):
        optimizer.zero_grad()
        for part in range(accumulate):
            at = (step * accumulate + part) * batch % (len(X) - batch)
            loss = nn.functional.cross_entropy(model(X[at : at + batch]), Y[at : at + batch])
            loss.backward()
        if watch is not None:
            watch.loss(loss.detach())
        optimizer.step()
    return loss


@each_model
@pytest.mark.parametrize("every", [1, 3])
def test_watching_changes_no_bit(make, every):
    plain, watched = make(), make()
    train(plain, torch.optim.Adam(plain.parameters(), 1e-2))
    optimizer = torch.optim.Adam(watched.parameters(), 1e-2)
    with gw.watch.torch(watched, optimizer, every=every) as watch:
        train(watched, optimizer, watch=watch)
    assert watch.faults == []
    assert list(watch.record.steps) == list(range(0, 6, every))
    for one, other in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@each_model
def test_the_model_is_left_as_it_was(make):
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = gw.watch.torch(model, optimizer)
    train(model, optimizer, 1)
    watch.close()
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._backward_hooks
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    records = len(watch.record)
    train(model, optimizer, 2)
    assert len(watch.record) == records == 1


def test_figures_are_those_of_plain_torch():
    model = mlp(3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    kept = []
    x = X[:50]
    for module in model:
        x = module(x)
        x.retain_grad()
        kept.append(x)
    nn.functional.cross_entropy(x, Y[:50]).backward()
    weights = [m.weight.grad.norm().item() for m in model if isinstance(m, nn.Linear)]
    errors = [kept[i].grad.norm().item() for i in (0, 2, 4, 6)]
    outputs = [kept[i].grad.norm().item() for i in (1, 3, 5)]
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 1)
    record = watch.record
    assert record.layers == ["0", "2", "4", "6"]
    assert record.descriptions == ["dense+tanh", "dense+tanh", "dense+tanh", "dense"]
    np.testing.assert_allclose(record.norm("error")[0], errors, rtol=1e-5)
    np.testing.assert_allclose(record.norm("weight")[0], weights, rtol=1e-5)
    np.testing.assert_allclose(record.gain("derivative")[0][:3], np.divide(errors[:3], outputs), rtol=1e-5)
    np.testing.assert_allclose(record.gain("weight")[0][:3], np.divide(outputs, errors[1:]), rtol=1e-5)
    np.testing.assert_allclose(record.norm("activation")[0][:3], [kept[i].norm().item() for i in (1, 3, 5)], rtol=1e-5)
    np.testing.assert_allclose(record.update()[0], 0.1 * np.array(weights) / record.size()[0], rtol=1e-4)
    exponents, counts = record.histogram("error", "2")
    assert counts.sum() == 50 * 30
    assert exponents.max() == math.floor(math.log2(record.largest("error")[0, 1]))


def test_activations_that_are_functions_are_told_apart():
    model = Functional()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    modules = nn.Sequential(model.first, nn.Tanh(), model.second, nn.Tanh(), model.last)
    modules = copy.deepcopy(modules)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 1)
    other = torch.optim.SGD(modules.parameters(), 0.1)
    with gw.watch.torch(modules, other) as same:
        train(modules, other, 1)
    for part in ("weight", "derivative"):
        np.testing.assert_allclose(watch.record.gain(part)[0][:2], same.record.gain(part)[0][:2], rtol=1e-5)


def test_accumulated_gradients_add_up():
    model = mlp(2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 2, accumulate=3)
    assert len(watch.record) == 2
    assert (watch.record.get("error", "count")[:, 0] == 3 * 50 * 30).all()


def test_frozen_layers_are_not_measured_and_not_healthy():
    model = mlp(4)
    model[2].requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 3)
    at = watch.record.layers.index("2")
    assert np.isnan(watch.record.norm("weight")[:, at]).all()
    assert np.isfinite(watch.record.norm("error")[:, at]).all()


def test_evaluation_is_not_recorded():
    model = mlp(2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 1)
        with torch.no_grad():
            model(X)
        train(model, optimizer, 1)
    assert (watch.record.get("activation", "count") == [[1500, 1500, 500]] * 2).all()


def test_several_optimizers_end_one_step():
    model = mlp(2)
    pair = [torch.optim.SGD(model[:2].parameters(), 0.1), torch.optim.Adam(model[2:].parameters(), 1e-2)]
    with gw.watch.torch(model, pair) as watch:
        for _ in range(3):
            nn.functional.cross_entropy(model(X[:50]), Y[:50]).backward()
            for optimizer in pair:
                optimizer.step()
    assert len(watch.record) == 3
    assert np.isfinite(watch.record.update()).all()


def test_steps_ended_by_hand():
    model = mlp(2)
    with gw.watch.torch(model) as watch:
        for _ in range(2):
            model.zero_grad()
            nn.functional.cross_entropy(model(X[:50]), Y[:50]).backward()
            watch.end_step()
    assert len(watch.record) == 2
    assert np.isfinite(watch.record.norm("weight")).all()


def test_a_scaled_loss_is_measured_without_its_scale():
    class Scaler:
        def get_scale(self):
            return 2.0**16

    found = []
    for scale in (1.0, 2.0**16):
        model = mlp(2)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with gw.watch.torch(model, optimizer, scaler=Scaler() if scale > 1 else None) as watch:
            (scale * nn.functional.cross_entropy(model(X[:50]), Y[:50])).backward()
            for p in model.parameters():
                p.grad /= scale
            optimizer.step()
        found.append(watch.record)
    for part in ("total", "weight", "derivative"):
        np.testing.assert_allclose(found[0].gain(part), found[1].gain(part), rtol=1e-5)
    np.testing.assert_allclose(found[0].norm("error"), found[1].norm("error"), rtol=1e-5)
    one, other = (record.histogram("error", 0) for record in found)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_the_doctor_sees_the_same_illness_as_in_ours():
    model = mlp(6, activation=nn.Sigmoid)
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, module.in_features**-0.5)
            nn.init.normal_(module.bias)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 20, watch)
    finding = watch.diagnose()["vanishing"]
    assert finding.factor == "derivative"
    healthy = mlp(3)
    optimizer = torch.optim.SGD(healthy.parameters(), 0.1)
    with gw.watch.torch(healthy, optimizer) as watch:
        train(healthy, optimizer, 120, watch)
    assert watch.diagnose().healthy


class Bad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, way):
        ctx.way = way
        return x * math.nan if way == "forward" else x.clone()

    @staticmethod
    def backward(ctx, g):
        return (g * math.inf if ctx.way == "backward" else g), None


class Planted(nn.Module):
    def __init__(self, way, inner):
        super().__init__()
        self.way, self.inner = way, inner

    def forward(self, x):
        return Bad.apply(self.inner(x), self.way) if self.way == "forward" else self.inner(Bad.apply(x, self.way))


@pytest.mark.parametrize("at", range(12))
@pytest.mark.parametrize("way", ["forward", "backward", "update"])
def test_the_origin_of_a_nan_is_named(way, at):
    torch.manual_seed(0)
    linear = [nn.Linear(64, 20), *[nn.Linear(20, 20) for _ in range(10)], nn.Linear(20, 10)]
    if way == "forward":
        with torch.no_grad():
            linear[at].weight[0, 0] = math.inf
    layers = []
    for k, module in enumerate(linear):
        block = Planted("backward", module) if way == "backward" and k == at and k > 0 else module
        layers += [block, nn.Tanh()] if k < 11 else [block]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.SGD([{"params": [p], "lr": 0.1} for p in model.parameters()])
    if way == "update":
        optimizer.param_groups[2 * at]["lr"] = math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with gw.watch.torch(model, optimizer) as watch:
            loss = nn.functional.cross_entropy(model(X[:50]), Y[:50])
            loss.backward()
            optimizer.step()
    if way == "backward" and at == 0:
        assert watch.origin is None
        return
    name = f"{2 * at}.inner" if way == "backward" else str(2 * at)
    assert (watch.origin.phase, watch.origin.layer) == (way, name)
    assert watch.diagnose()["nonfinite"].layer == name


def test_what_fails_in_measuring_stays_out_of_the_training(monkeypatch):
    model = mlp(2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = gw.watch.torch(model, optimizer)
    monkeypatch.setattr(type(watch._calls), "_follows", lambda *a: 1 / 0)
    with pytest.warns(RuntimeWarning, match="a measurement failed") as told:
        train(model, optimizer, 3)
    assert len(told) == 1
    assert all(isinstance(fault, ZeroDivisionError) for fault in watch.faults)


def test_a_step_that_could_not_be_measured_ends_all_the_same(monkeypatch):
    model = mlp(2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        with monkeypatch.context() as broken:
            broken.setattr(type(watch), "_settle", lambda self: 1 / 0)
            with pytest.warns(RuntimeWarning, match="a measurement failed"):
                train(model, optimizer, 1)
        train(model, optimizer, 2)
    assert list(watch.record.steps) == [1, 2]
    watch.end_step()
    assert not any(module._forward_hooks for module in model.modules())


def test_steps_that_are_not_measured_have_no_hooks():
    model = mlp(2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer, every=3):
        for hooked in (True, False, False, True):
            assert any(module._forward_hooks for module in model.modules()) is hooked
            train(model, optimizer, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_formats(dtype):
    model = mlp(2).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        nn.functional.cross_entropy(model(X[:50].to(dtype)), Y[:50]).backward()
        optimizer.step()
    assert watch.faults == []
    assert np.isfinite(watch.record.norm("error")).all()


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((3,), {}, "model is of type int"),
        ((mlp(1), 3), {}, "optimizer is of type int"),
        ((mlp(1),), {"every": 0}, "every is 0"),
    ],
)
def test_wrong_use_is_named(arguments, settings, message):
    with pytest.raises((TypeError, ValueError), match=rf"\[watch\] {message}"):
        gw.watch.torch(*arguments, **settings)
