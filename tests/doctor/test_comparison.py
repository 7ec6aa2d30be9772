"""`compare`: planted divergences are found at their step and layer; what cannot be compared is refused."""

import json

import numpy as np
import pytest

import gradwell as gw

X, Y = gw.datasets.digits()
X = X.astype(np.float32)
LAYERS = ("0", "2", "4", "6")


def mlp(seed=0, dtype="float32", **settings):
    return gw.mlp([64, 30, 30, 30, 10], seed=seed, dtype=dtype, **{"activation": "tanh", **settings})


def fitted(net, rate=0.1, steps=30, **settings):
    settings = {"stats": True, "loss": "softmax_cross_entropy", "optimizer": gw.SGD(rate), **settings}
    return gw.fit(net, (X, Y), epochs=5, max_steps=steps, progress=False, **settings)


def test_the_same_run_twice_is_identical():
    found = gw.compare(fitted(mlp()), fitted(mlp()))
    assert found.identical and found.first_difference is None and found.parted is None
    assert found.given == () and found.layers == LAYERS
    assert found.steps.tolist() == list(range(30))
    np.testing.assert_array_equal(found.ratios["error"], np.ones(4))
    assert str(found).startswith("The same to the last bit in 30 steps that both recorded (0 to 29).")


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_least_change_of_one_weight(layer, dtype):
    """One unit in the last place of a float32; of a float64 more, since statistics are themselves rounded."""

    def halves(perturbed):
        net = mlp(dtype=dtype)
        first = fitted(net, steps=12)
        if perturbed:
            weight = net.parameters[f"{layer}.weight"]
            used = np.abs(weight) * (X.std(axis=0) > 0)[:, None] if layer == "0" else np.abs(weight)
            at = np.unravel_index(used.argmax(), weight.shape)
            weight[at] = (
                np.nextafter(weight[at], np.float32(np.inf)) if dtype == "float32" else weight[at] * (1 + 1e-12)
            )
        return first, fitted(net, steps=30, resume=True)

    (first, second), (first_b, second_b) = halves(False), halves(True)
    assert gw.compare(first, first_b).identical
    found = gw.compare(second, second_b)
    assert not found.identical
    assert (found.first_difference.step, found.first_difference.layer) == (12, layer)
    assert found.first_difference.phase in ("weights", "forward")
    assert found.first_difference.a != found.first_difference.b
    assert found.parted is None  # nothing of it shows after 18 steps
    assert found.losses.steps.tolist() == list(range(12, 30))


def test_another_rate_from_some_step_on():
    found = gw.compare(fitted(mlp()), fitted(mlp(), gw.schedules.StepDecay(0.1, every=20, factor=0.1)))
    first = found.first_difference
    assert (first.step, first.phase, first.kind, first.layer) == (20, "update", "update", "0")
    assert first.b == pytest.approx(first.a / 10, rel=1e-5)  # the rate is rounded to float32
    assert (found.parted.step, found.parted.phase) == (20, "update")
    assert "the 20 before it are the same to the last bit" in " ".join(str(found).split())
    assert not [given for given in found.given if given.name != "optimizer"]  # the first step's rate is the same


def test_another_seed_of_the_weights_and_of_the_order():
    weights = gw.compare(fitted(mlp()), fitted(mlp(seed=1)))
    assert (weights.first_difference.step, weights.first_difference.phase) == (0, "weights")
    assert {given.name for given in weights.given} == {f"initial {layer}.weight" for layer in LAYERS}
    order = gw.compare(fitted(mlp()), fitted(mlp(), seed=1))
    assert (order.first_difference.step, order.first_difference.phase, order.first_difference.layer) == (
        *(0, "forward"),
        "0",
    )
    assert order.given == ()


def test_another_loss_parts_at_the_loss_and_a_scaled_gradient_goes_back_from_the_last_layer():
    loss = gw.compare(fitted(mlp()), fitted(mlp(), loss="sigmoid_cross_entropy"))
    assert (loss.first_difference.step, loss.first_difference.phase) == (0, "loss")
    assert loss.first_difference.layer is None
    assert [given.name for given in loss.given][:1] == ["loss"]
    record = gw.gradients(mlp(), X, Y, loss="softmax_cross_entropy")
    other = gw.gradients(mlp(), X, Y, loss="sigmoid_cross_entropy")
    record.loss = other.loss = None
    back = gw.compare(record, other).first_difference
    assert (back.phase, back.kind, back.layer) == ("backward", "error", "6")


def test_two_precisions_differ_at_once_and_behave_alike():
    found = gw.compare(fitted(mlp()), fitted(mlp(dtype="float64")))
    assert found.first_difference.step == 0 and found.parted is None
    assert gw.compare(fitted(mlp()), fitted(mlp(dtype="float64")), rtol=1e-12).parted is not None


def test_what_behaves_differently():
    found = gw.compare(fitted(mlp()), fitted(mlp(activation="sigmoid", init="nielsen")))
    names = [given.name for given in found.given]
    assert "layer 1" in names and "layer 0" in names and "learning rate" not in names
    assert found.parted.step == 0
    a, b = found.medians["gain"]
    np.testing.assert_array_equal(found.ratios["gain"], b / a)
    assert found.ratios["gain"][0] < 0.5 and np.isnan(found.ratios["gain"][-1])
    assert json.loads(found.to_json()) == found.to_dict()
    assert max(map(len, str(found).splitlines())) <= 100


def test_losses_tell_of_steps_that_were_not_recorded():
    def sampled(change):
        net = mlp()
        first = fitted(net, steps=10)
        net.parameters["2.bias"][0] += change
        rest = fitted(net, steps=80, resume=True)
        del first
        rest.gradients = rest.gradients[30:]  # recorded from step 40 on only
        return rest

    found = gw.compare(sampled(0.0), sampled(0.5))
    assert (found.steps[0], found.first_difference.step, found.first_difference.phase) == (40, 10, "loss")


def test_layers_by_position_and_layers_of_one_run_only():
    def named(prefix):
        layers = [gw.Dense(8, name=f"{prefix}0"), gw.Tanh(), gw.Dense(10, name="last")]
        return fitted(gw.Network(layers, 64, seed=0), steps=3)

    a, b = named("a"), named("b")
    by_name = gw.compare(a, b)
    assert (by_name.layers, by_name.only_a, by_name.only_b) == (("last",), ("a0",), ("b0",))
    assert not by_name.identical and by_name.first_difference is None
    assert "Only a has layers a0." in str(by_name)
    assert gw.compare(a, b, match="position").identical


def test_long_records_are_gone_through_in_parts(monkeypatch):
    runs = [fitted(mlp()), fitted(mlp(), gw.schedules.StepDecay(0.1, every=20, factor=0.1)), fitted(mlp(seed=1))]
    runs.append(runs[0].gradients[::3])
    pairs = [(a, b) for a in runs for b in runs]
    whole = [gw.compare(a, b, rtol=0.2).to_dict() for a, b in pairs]
    monkeypatch.setattr("gradwell.doctor.comparison._ROWS", 7)
    assert [gw.compare(a, b, rtol=0.2).to_dict() for a, b in pairs] == whole


def test_deep_networks_have_a_short_table():
    depth = [64, *[4] * 60, 10]
    records = [gw.gradients(gw.mlp(depth, seed=seed), X, Y, loss="softmax_cross_entropy") for seed in (0, 1)]
    lines = str(gw.compare(*records)).splitlines()
    assert len(lines) < 40 and any("37 more" in line for line in lines)


def test_a_watch_agrees_with_us():
    torch = pytest.importorskip("torch")
    net = mlp()
    model = torch.nn.Sequential()
    for layer, index in zip(LAYERS, range(0, 8, 2), strict=True):
        width = net.parameters[f"{layer}.weight"].shape
        linear = torch.nn.Linear(*width)
        linear.weight.data = torch.tensor(net.parameters[f"{layer}.weight"].T.copy())
        linear.bias.data = torch.tensor(net.parameters[f"{layer}.bias"].copy())
        model.add_module(str(index), linear)
        if layer != "6":
            model.add_module(str(index + 1), torch.nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gw.watch.torch(model, optimizer) as watch:
        for step in range(10):
            rows = slice(32 * step, 32 * step + 32)
            loss = torch.nn.functional.cross_entropy(model(torch.tensor(X[rows])), torch.tensor(Y[rows]).long())
            optimizer.zero_grad()
            loss.backward()
            watch.loss(loss)
            optimizer.step()
    ours = fitted(net, steps=10, shuffle=False)
    found = gw.compare(ours, watch, rtol=1e-4)
    assert found.layers == LAYERS and not found.only_a and not found.only_b
    assert found.parted is None and found.given is None
    np.testing.assert_allclose(found.ratios["error"], 1, rtol=1e-4)
    assert len(found.losses.steps) == 10


def test_what_cannot_be_compared():
    run = fitted(mlp(), steps=5)
    later = run.gradients[3:]
    with pytest.raises(ValueError, match=r"no recorded step in common: a has 3 from 0 to 2 and b has 2 from 3 to 4"):
        gw.compare(run.gradients[:3], later)
    with pytest.raises(ValueError, match=r"\[compare\] b has no recorded step; fit with stats=True"):
        gw.compare(run, fitted(mlp(), steps=5, stats=False))
    other = fitted(gw.Network([gw.Dense(10, name="only")], 64, seed=0), steps=5)
    with pytest.raises(ValueError, match=r"b has layers only; needs some of a's 0, 2, 4, 6, or match=\"position\""):
        gw.compare(run, other)
    with pytest.raises(ValueError, match=r"\[compare\] b has 1 layers; needs the 4 of a"):
        gw.compare(run, other, match="position")
    with pytest.raises(ValueError, match=r'\[compare\] match is "shape"; needs one of name, position'):
        gw.compare(run, run, match="shape")
    with pytest.raises(TypeError, match=r"\[compare\] b is of type str; needs a History"):
        gw.compare(run, "run")
    with pytest.raises(ValueError, match=r"\[compare\] rtol is -1"):
        gw.compare(run, run, rtol=-1)
