"""What people hand to the doctor that is not a plain net on plain data."""

import pickle

import numpy as np
import pytest

import gradwell as gw

X, Y = gw.datasets.digits()
X = (X / X.std()).astype(np.float32)
CE = "softmax_cross_entropy"


def fit(net, x=X, y=Y, **settings):
    usual = {"loss": CE, "optimizer": gw.SGD(0.1), "epochs": 2, "stats": True, "progress": False}
    return gw.fit(net, (x, y), **{**usual, **settings})


def sick():
    return gw.mlp([64, *[20] * 5, 10], activation="sigmoid", init="nielsen", seed=0)


def healthy():
    return gw.mlp([64, 20, 20, 10], activation="tanh", seed=0)


def treat(net=None, x=X, y=Y, **settings):
    usual = {"loss": CE, "optimizer": gw.SGD(0.1), "steps": 40, "seeds": 1, "progress": False}
    return gw.treat(sick() if net is None else net, (x, y), **{**usual, **settings})


@pytest.mark.parametrize("layers", [[gw.ReLU()], [gw.Dropout(0.5), gw.Tanh()]])
def test_a_network_without_weights(layers):
    net = gw.Network(layers, input_shape=10, seed=0)
    verdicts = gw.diagnose(fit(net, np.abs(X[:, :10]), epochs=1)).verdicts
    assert verdicts["weight_growth"] == "not measured: no layer has weights"


@pytest.mark.parametrize(
    "what",
    [lambda: gw.GradientRecord([], [], []), lambda: fit(healthy(), epochs=0), lambda: fit(healthy(), stats=False)],
)
def test_a_diagnosis_without_gradients_is_not_healthy(what):
    empty = gw.diagnose(what())
    assert not empty.healthy and all(finding.severity == "note" for finding in empty)
    assert str(empty).startswith("No gradient was recorded.")


def test_records_without_layers():
    record = gw.GradientRecord([], [], [])
    record.append({"steps": np.arange(3), "stages": np.zeros((3, 0, 3)), "parameters": np.zeros((3, 0, 2))})
    assert record.dead().shape == record.saturated().shape == (3, 0)
    assert not gw.diagnose(record).healthy


def test_a_step_of_nothing_is_said_to_be_one():
    finding = gw.diagnose(fit(gw.mlp([64, 20, 20, 10], seed=0), optimizer=gw.SGD(0.0)))["stalled_updates"]
    assert finding.text == "No step changes any weight."


def test_samples_that_are_not_finite_are_named():
    x = X[:10].copy()
    x[3, 4] = np.nan
    finding = gw.diagnose(gw.mlp([64, 20, 20, 10], seed=0), x, Y[:10], loss=CE)["nonfinite"]
    assert finding.factor == "data" and finding.text == "Values that are not finite at 1 step; the samples have some."


def test_lengths_without_a_network_are_refused():
    with pytest.raises(TypeError, match="lengths is given with a History"):
        gw.diagnose(fit(sick()), lengths=[1])


def test_an_error_comes_back_from_another_process():
    with pytest.raises(gw.NonFiniteError) as caught:
        fit(gw.mlp([64, 20, 20, 10], activation="relu", seed=0), optimizer=gw.SGD(1e8))
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error) == str(caught.value) and error.values == caught.value.values
    assert gw.diagnose(error).to_dict() == gw.diagnose(caught.value).to_dict()


def test_a_remedy_whose_batches_would_be_refused_is_skipped():
    cure = treat(x=X[:65], y=Y[:65])
    trial = next(t for t in cure.trials if t.remedy is gw.doctor.REMEDIES["batchnorm"])
    assert "leaves a last batch of 1 of 65 samples" in trial.skipped
    assert cure.winner is not None


@pytest.mark.parametrize("remedies", [["adam"], gw.doctor.remedies, "adam", {"adam"}])
def test_remedies_of_another_kind_are_refused(remedies):
    with pytest.raises(TypeError, match=r"\[treat\] remedies is .*; needs a list"):
        treat(remedies=remedies)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"optimizer": "adam"}, '"optimizer"'), ({"fit": {"lr": 1.0}}, '"lr"'), ({"layers": "swish"}, '"swish"')],
)
def test_a_change_that_no_trial_knows_is_refused(change, named):
    with pytest.raises(ValueError, match=named):
        treat(remedies=[gw.doctor.Remedy("mine", "why", "code", change)])


def test_a_remedy_that_only_advises_is_skipped():
    (trial,) = treat(remedies=[gw.doctor.Remedy("more data", "why", "code")]).trials
    assert trial.skipped == "it changes nothing that a trial could"


def recurrent(torch):
    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = torch.nn.LSTM(8, 16, batch_first=True)
            self.out = torch.nn.Linear(16, 10)

        def forward(self, x):
            return self.out(self.memory(x.view(-1, 8, 8))[0][:, -1])

    return Recurrent()


def attending(torch):
    encoder = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    embed, flat = torch.nn.Linear(8, 16), torch.nn.Flatten()
    return torch.nn.Sequential(torch.nn.Unflatten(1, (8, 8)), embed, encoder, flat, torch.nn.Linear(128, 10))


def bare(torch):
    class Bare(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = torch.nn.Parameter(torch.full((64, 10), 0.1))

        def forward(self, x):
            return x @ self.slope

    return Bare()


@pytest.mark.parametrize("make", [recurrent, attending, bare])
def test_parameters_of_any_name_are_looked_at(make):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = make(torch)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        for _ in range(3):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(torch.tensor(X[:32])), torch.tensor(Y[:32]))
            loss.backward()
            watch.loss(loss)
            optimizer.step()
    assert not watch.faults
    diagnosis = watch.diagnose()
    assert diagnosis.verdicts["nonfinite"] == "clear" and "violent_updates" in diagnosis.verdicts


def test_a_last_step_of_few_sequences_is_no_rise(rng):
    """The first step's gradient is everyone's, the last step's that of the one long sequence."""
    x, y = rng.normal(size=(64, 120, 3)), np.ones(64, int)
    lengths = rng.integers(3, 20, 64)
    lengths[0], y[0] = 120, 0
    net = gw.Network([gw.RNN(16), gw.Dense(2)], (120, 3), seed=0)
    net.parameters["1.weight"][...] *= 1e-2
    net.parameters["1.bias"][0] = 12.0  # the long one is right, the others are wrong
    rule = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(1e-6), "batch_size": 64, "stats": True}
    history = gw.fit(net, (x, y, lengths), epochs=3, **rule)
    time = history.gradients.time()
    assert time.norm("hidden")[0, 0] > 1e3 * time.norm("hidden")[0, -1]
    assert [finding.rule for finding in gw.diagnose(history).findings if finding.layer == "0"] == []
