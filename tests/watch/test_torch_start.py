"""What a watch knows of a PyTorch model's start, which steps it measures, and what it holds."""

import numpy as np
import pytest

import gradwell as gw

torch = pytest.importorskip("torch")
nn = torch.nn

X, Y = gw.datasets.digits()
X, Y = torch.tensor(X / X.std(), dtype=torch.float32), torch.tensor(Y)


def mlp(activation=nn.Tanh, depth=6, start=None):
    torch.manual_seed(0)
    layers = [m for n in (64, *[30] * (depth - 1)) for m in (nn.Linear(n, 30), activation())]
    model = nn.Sequential(*layers, nn.Linear(30, 10))
    if start is not None:
        for layer in model[::2]:
            start(layer.weight)
    return model


def watched(model, x=X, steps=30, rate=0.1, **settings):
    optimizer = torch.optim.SGD(model.parameters(), rate)
    with gw.watch.torch(model, optimizer, **settings) as watch:
        for step in range(steps):
            at = step * 32 % (len(x) - 32)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[at : at + 32]), Y[at : at + 32])
            loss.backward()
            optimizer.step()
            watch.loss(loss, Y[at : at + 32])
    assert watch.faults == []
    return watch


def test_the_start_is_judged_as_ours_is():
    diagnosis = watched(mlp(start=lambda w: nn.init.normal_(w, std=0.05))).diagnose()
    found = diagnosis["initialization"]
    assert found.factor == "weight"
    net = gw.mlp([64, *[30] * 6, 10], activation="tanh", init=gw.initializers.Normal(std=0.05), seed=0)
    ours = gw.diagnose(net, X.numpy(), Y.numpy(), loss="softmax_cross_entropy")["initialization"]
    assert found.evidence["expected_log10_ratio"] == pytest.approx(ours.evidence["expected_log10_ratio"], abs=0.1)
    assert watched(mlp(start=nn.init.xavier_normal_)).diagnose().get("initialization") is None


def test_weights_that_start_equal_inputs_and_blind_guesses():
    assert watched(mlp(start=lambda w: nn.init.constant_(w, 0.1))).diagnose()["initialization"].severity == "severe"
    diagnosis = watched(mlp(), 1000 * X).diagnose()
    assert diagnosis["inputs"].factor == "data"
    sick = watched(mlp(nn.Sigmoid, 8), steps=300, rate=0.01).diagnose()
    assert sick["blind_guess"].evidence["blind"] == pytest.approx(np.log(10), abs=0.05)
    assert not set(sick.not_measured) & {"initialization", "inputs", "blind_guess"}


def test_an_unknown_chain_has_no_forecast_and_says_nothing():
    class Between(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(64, 30), nn.Linear(30, 30), nn.Linear(30, 10)

        def forward(self, x):
            return self.c(torch.sin(self.b(torch.sin(self.a(x)))))

    assert watched(Between())._case().expected is None
    assert watched(mlp())._case().expected is not None


def test_auto_measures_the_start_and_then_few_steps():
    watch = watched(mlp(depth=30), steps=300, every="auto")
    steps = watch.record.steps
    assert list(steps[:3]) == [0, 1, 2]
    assert 4 < len(steps) <= 152


@pytest.mark.parametrize("every", [0, -1, 1.5, "often"])
def test_a_wrong_pace_is_named(every):
    with pytest.raises((ValueError, TypeError), match="every"):
        gw.watch.torch(mlp(), every=every)


def test_evaluations_do_not_pile_up():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        for _ in range(100):
            model(X[:8])
        assert len(watch._calls.calls) <= 13 * 17
        nn.functional.cross_entropy(model(X[:32]), Y[:32]).backward()
        optimizer.step()
    assert watch.faults == []
    assert np.isfinite(watch.record.norm("error")).all()


def test_updates_of_half_precision_and_changed_parameters():
    model = mlp(depth=2).to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    with gw.watch.torch(model, optimizer) as watch:
        for step in range(3):
            if step == 1:
                with torch.no_grad():
                    model[0].weight.mul_(3)
            before = model[0].weight.detach().float().clone()
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[:32].to(torch.bfloat16)), Y[:32]).backward()
            optimizer.step()
            moved = (model[0].weight.detach().float() - before).norm() / before.norm()
            assert watch.record.update()[-1, 0] == pytest.approx(moved.item(), rel=1e-5)
    assert watch.faults == []
