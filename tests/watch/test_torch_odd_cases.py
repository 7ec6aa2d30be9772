"""PyTorch trainings that are not the usual loop: what is not measured is said to be, and nothing false is found."""

import copy
import io
import itertools
import warnings

import numpy as np
import pytest

import gradwell as gw

torch = pytest.importorskip("torch")
nn = torch.nn

X, Y = gw.datasets.digits()
X = torch.tensor((X / X.std()).astype(np.float32))[:500]
Y = torch.tensor(Y)[:500]


def mlp(depth=3, width=20):
    torch.manual_seed(0)
    sizes = [64, *[width] * depth]
    hidden = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def loss_of(model, start=0):
    return nn.functional.cross_entropy(model(X[start : start + 50]), Y[start : start + 50])


def train(model, optimizer, steps=3, watch=None, run=None):
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(run or model, 50 * step % 450)
        loss.backward()
        if watch is not None:
            watch.loss(loss)
        optimizer.step()


def by_hand(model, watch, steps, rate=0.1, end_first=False):
    for step in range(steps):
        model.zero_grad()
        loss = loss_of(model, 50 * step % 450)
        loss.backward()
        watch.loss(loss)
        if end_first:
            watch.end_step()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.data -= rate * parameter.grad  # PyTorch counts no change of .data
        if not end_first:
            watch.end_step()


@pytest.mark.parametrize("every", [1, 3])
def test_weights_changed_by_hand_have_moved(every):
    model, same = mlp(), mlp()
    with gw.watch.torch(model, every=every) as watch:
        by_hand(model, watch, 7)
    optimizer = torch.optim.SGD(same.parameters(), 0.1)
    with gw.watch.torch(same, optimizer, every=every) as beside:
        train(same, optimizer, 7)
    assert "stalled_updates" not in watch.diagnose()
    np.testing.assert_allclose(watch.record.update(), beside.record.update(), rtol=1e-5)


def test_a_step_ended_before_its_update_has_the_change_since_the_last_one():
    model = mlp()
    with gw.watch.torch(model) as watch:
        by_hand(model, watch, 4, end_first=True)
    update = watch.record.update()
    assert np.isnan(update[0]).all()
    assert (update[1:] > 1e-5).all()
    assert "stalled_updates" not in watch.diagnose()


def test_weights_that_no_one_changed_were_not_measured():
    model = mlp()
    with gw.watch.torch(model) as watch:
        by_hand(model, watch, 3, rate=0.0)
    assert np.isnan(watch.record.update()).all()
    assert watch.diagnose().not_measured["stalled_updates"] == "no update was measured"


def test_a_copy_made_while_watching_is_not_watched():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 1)
        twin = copy.deepcopy(model)
        average = torch.optim.swa_utils.AveragedModel(model)
        loss_of(twin).backward()
        average.update_parameters(model)
        train(model, optimizer, 1)
        average.update_parameters(model)
    assert watch.faults == []
    assert (watch.record.get("error", "count")[:, 0] == 50 * 20).all()
    assert torch.equal(twin(X[:5]), average.module(X[:5])) is False  # the average has moved on


def test_a_model_is_saved_while_watching():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    file = io.BytesIO()
    with gw.watch.torch(model, optimizer):
        train(model, optimizer, 1)
        torch.save(model, file)
        expected = model(X[:5])
    assert b"gradwell" not in file.getvalue()
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(X[:5]), expected)


def test_an_optimizer_of_another_model_is_named():
    other = torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1)
    with pytest.raises(ValueError, match=r"\[watch\] optimizer SGD has no parameter of model Sequential"):
        gw.watch.torch(mlp(), other)


def test_a_scaler_is_one():
    with pytest.raises(TypeError, match=r"\[watch\] scaler is of type int"):
        gw.watch.torch(mlp(), scaler=3)


def test_a_model_compiled_before_says_what_is_missing():
    model = mlp()
    compiled = torch.compile(model, backend="eager")
    compiled(X[:50])
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    warned = pytest.warns(RuntimeWarning, match="compiled before it is watched")
    with warned as told, gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 3, run=compiled)
    assert len(told) == len(watch.faults) == 1
    assert watch.record.layers == ["0", "2", "4", "6"]
    assert np.isnan(watch.record.norm("error")).all()
    assert (watch.record.norm("weight") > 0).all()
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # of PyTorch's compiler itself
def test_a_compiled_model_is_watched_from_outside():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model, plain = mlp(), mlp()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(compiled, optimizer) as watch:
        train(compiled, optimizer, 2)
        frames = torch._dynamo.utils.counters["frames"]["total"]
        train(compiled, optimizer, 10)
        assert torch._dynamo.utils.counters["frames"]["total"] == frames
    other = torch.optim.SGD(plain.parameters(), 0.1)
    with gw.watch.torch(plain, other) as beside:
        train(plain, other, 2)
        train(plain, other, 10)
    assert watch.faults == []
    assert watch.record.layers == beside.record.layers
    np.testing.assert_allclose(watch.record.norm("error"), beside.record.norm("error"), rtol=1e-4)
    compiled(X[:50])
    assert watch._calls.calls == []
    torch._dynamo.reset()


def test_a_sparse_gradient_is_not_measured_the_rest_is():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(10, 8, sparse=True), nn.Flatten(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randint(0, 10, (50, 4))), Y[:50]).backward()
            optimizer.step()
    assert watch.faults == []
    assert np.isnan(watch.record.norm("weight")[:, 0]).all()
    assert (watch.record.norm("weight")[:, 1] > 0).all()
    assert (watch.record.norm("error") > 0).all()
    assert (watch.record.update() > 0).all()


def test_layers_unfrozen_midway_stand_where_they_run():
    model = mlp()
    model[0].requires_grad_(False)
    model[2].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 2)
        model.requires_grad_(True)
        train(model, optimizer, 2)
    assert watch.faults == []
    assert watch.record.layers == ["0", "2", "4", "6"]
    assert np.isnan(watch.record.norm("error")[:2, :2]).all()
    assert (watch.record.norm("error")[2:] > 0).all()


def test_layers_unfrozen_after_the_record_was_asked_for_are_told_of():
    model = mlp()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 2)
        assert watch.record.layers == ["2", "4", "6"]
        model.requires_grad_(True)
        with pytest.warns(RuntimeWarning, match="layer 0 first ran when there was a record already") as told:
            train(model, optimizer, 2)
    assert len(told) == 1
    assert watch.record.layers == ["2", "4", "6"]
    assert len(watch.record) == 4


class Packed(nn.Module):
    def __init__(self, embed):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(8, 8) if embed else nn.Identity()
        self.lstm, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 10)

    def forward(self, x):
        lengths = torch.arange(len(x)) % 8 + 1
        x = self.embed(x.reshape(-1, 8, 8))
        x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(nn.utils.rnn.pad_packed_sequence(self.lstm(x)[0], batch_first=True)[0][:, 0])


@pytest.mark.parametrize("embed", [True, False])
def test_packed_sequences(embed):
    model = Packed(embed)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 2)
    assert watch.faults == []
    at = watch.record.layers.index("lstm")
    steps = int((torch.arange(50) % 8 + 1).sum())
    assert (watch.record.get("error", "count")[:, at] == steps * 16).all()
    assert (watch.record.norm("error")[:, at] > 0).all()


@pytest.mark.parametrize("wrong", [torch.ones(3), "a", None, 1j])
def test_a_loss_that_is_none_is_told_once(wrong):
    watch = gw.watch.torch(mlp())
    with pytest.warns(RuntimeWarning, match="loss"):
        watch.loss(wrong)
    watch.loss(wrong)  # a second warning would be an error
    assert len(watch.faults) == 2
    assert watch.losses == []
    watch.loss(torch.ones(1))
    assert watch.losses == [1.0]


def test_a_nan_in_the_samples_is_the_samples():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    spoilt = X[:50].clone()
    spoilt[3, 3] = np.nan
    with gw.watch.torch(model, optimizer) as watch:
        nn.functional.cross_entropy(model(spoilt), Y[:50]).backward()
        optimizer.step()
    assert (watch.origin.phase, watch.origin.layer) == ("input", None)
    assert str(watch.origin) == "[watch] step 0: the samples have values that are not finite"
    finding = watch.diagnose()["nonfinite"]
    assert (finding.factor, finding.text) == ("data", "The samples have values that are not finite.")


def test_the_origin_says_nothing_of_the_update():
    model = mlp()
    with torch.no_grad():
        model[2].weight[0, 0] = np.inf
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 1)
    text = "[watch] step 0: first non-finite value in the forward pass of layer 2, operation dense+tanh"
    assert str(watch.origin) == text


def test_what_may_help_is_written_for_pytorch():
    for name, remedy in gw.doctor.REMEDIES.items():
        assert remedy.torch_code, name
        assert "gw." not in remedy.torch_code
    model = nn.Sequential(*[m for n in (64, *[20] * 7) for m in (nn.Linear(n, 20), nn.Sigmoid())], nn.Linear(20, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 5, watch)
    text = str(watch.diagnose())
    assert "try:" in text
    assert "gw." not in text
    assert "nn." in watch.diagnose().to_html()


def test_steps_of_a_line_search_are_no_rate():
    model = mlp()
    optimizer = torch.optim.LBFGS(model.parameters(), 1.0, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    with gw.watch.torch(model, optimizer) as watch:
        for _ in range(4):
            watch.loss(optimizer.step(closure))
    assert watch.faults == []
    assert np.isnan(watch.record.update()).all()
    assert (watch.record.norm("weight") > 0).all()
    assert (watch.record.get("error", "count")[:, 0] == 50 * 20).all()  # of the last evaluation
    assert watch.diagnose().not_measured["violent_updates"] == "no update was measured"


def test_gradients_made_within_a_step_are_measured():
    model, same = mlp(), mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    with gw.watch.torch(model, optimizer) as watch:
        optimizer.step(closure)
    other = torch.optim.SGD(same.parameters(), 0.1)
    with gw.watch.torch(same, other) as beside:
        train(same, other, 1)
    np.testing.assert_array_equal(watch.record.norm("weight"), beside.record.norm("weight"))
    np.testing.assert_allclose(watch.record.update(), beside.record.update(), rtol=1e-6)


def test_a_step_told_that_there_is_no_closure_is_a_plain_one():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        for start in (0, 50):
            loss_of(model, start).backward()
        optimizer.step(closure=None)
    assert (watch.record.get("error", "count")[:, 0] == 2 * 50 * 20).all()  # both passes


def test_a_closed_watch_is_not_entered_again():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gw.watch.torch(model, optimizer) as watch:
        train(model, optimizer, 1)
    with pytest.raises(ValueError, match=r"\[watch\] the watch is closed"), watch:
        pass


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_gradients_given_as_tensors(dtype):
    tensor = torch.full((4, 4), 0.5, dtype=dtype, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = gw.watch.gradients({"a": tensor, "b": nn.Parameter(tensor.detach())})
    np.testing.assert_array_equal(record.norm("weight")[0], [2, 2])
