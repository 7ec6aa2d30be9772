"""Callbacks and the progress bar: when they are called, what they may do, what they leave behind."""

import os

import numpy as np
import pytest

import gradwell as gw
from gradwell.callbacks import TrainingState
from gradwell.history import History
from gradwell.progress import Progress


@pytest.fixture
def data(rng):
    return rng.normal(size=(60, 4)), rng.integers(0, 3, 60)


@pytest.fixture
def net():
    return gw.mlp([4, 6, 3], seed=0)


def fit(net, data, *callbacks, **settings):
    how = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "batch_size": 10, "epochs": 5}
    return gw.fit(net, data, callbacks=callbacks, **{**how, **settings})


def weights(net):
    return {name: value.copy() for name, value in net.parameters.items()}


def assert_same_weights(net, expected):
    for name, value in expected.items():
        np.testing.assert_array_equal(net.parameters[name], value)


class On:
    """Not a Callback: any object with some of the methods will do."""

    def __init__(self, **methods):
        self.__dict__.update({f"on_{event}": method for event, method in methods.items()})


def play(callback, metric, values, net=None):
    """Call on_epoch with each value; return the number of epochs until the callback stops, or None."""
    net = net or gw.mlp([2, 2], seed=0)
    history = History(gw.GradientRecord([], []))
    state = TrainingState(net, history, 0, 0)
    if hasattr(callback, "on_start"):
        callback.on_start(state)
    for epoch, value in enumerate(values, start=1):
        net.parameters["0.bias"][...] = epoch
        history.add_epoch({"loss": 0.0, metric: value})
        state.epoch = epoch
        callback.on_epoch(state)
        if state.reason is not None:
            break
    if hasattr(callback, "on_end"):
        callback.on_end(state)
    return epoch if state.reason is not None else None


@pytest.mark.parametrize(
    ("settings", "metric", "values", "stopped"),
    [
        ({"patience": 2}, "validation_loss", [3, 2, 2.5, 2.4, 1], 4),
        ({"patience": 2}, "validation_loss", [3, 2, 2.5, 1.9, 2, 2], 6),
        ({"patience": 1}, "validation_loss", [3, 3], 2),
        ({"patience": 3}, "validation_loss", [3, 2, 2.5, 2.4], None),
        ({"patience": 1, "min_delta": 0.5}, "validation_loss", [3, 2.4, 2.0], 3),
        ({"patience": 2}, "validation_accuracy", [0.5, 0.6, 0.55, 0.6], 4),
        ({"patience": 2}, "validation_accuracy", [0.1, 0.2, 0.3, 0.4], None),
        ({"patience": 2}, "validation_loss", [np.nan, np.nan], 2),
        ({"patience": 2}, "validation_loss", [1, np.nan, np.nan], 3),
        ({"patience": 2}, "validation_loss", [np.nan, 2, 3, np.nan], 4),
    ],
)
def test_early_stopping_waits_for_an_improvement(settings, metric, values, stopped):
    assert play(gw.EarlyStopping(metric, **settings), metric, values) == stopped


def test_restore_best_gives_back_the_best_weights_only():
    net = gw.mlp([2, 2], seed=0)
    play(gw.EarlyStopping("m_accuracy", patience=3, restore_best=True), "m_accuracy", [1, 5, 4, 3, 2], net)
    np.testing.assert_array_equal(net.parameters["0.bias"], [2, 2])
    play(gw.EarlyStopping("m_accuracy", patience=3), "m_accuracy", [1, 5, 4, 3, 2], net)
    np.testing.assert_array_equal(net.parameters["0.bias"], [5, 5])


def test_restore_best_in_a_fit_that_runs_to_its_end(net, data):
    seen = []
    keep = On(epoch=lambda state: seen.append((state.history.metrics["validation_accuracy"][-1], weights(net))))
    stopper = gw.EarlyStopping("validation_accuracy", patience=99, restore_best=True)
    fit(net, data, keep, stopper, epochs=6, optimizer=gw.SGD(3.0), validation=data)
    best = max(range(6), key=lambda epoch: seen[epoch][0])
    assert best < 5, "the last epoch must not be the best, or this shows nothing"
    assert_same_weights(net, seen[best][1])


def test_restore_best_in_a_fit_is_exact(net, data):
    seen = []
    keep = On(epoch=lambda state: seen.append((state.history.loss[-1], weights(net))))
    stopper = gw.EarlyStopping("loss", patience=2, min_delta=0.02, restore_best=True)
    history = fit(net, data, keep, stopper, epochs=100)
    assert history.epochs < 100
    assert history.stopped == "loss has not improved for 2 epochs"
    assert_same_weights(net, seen[-3][1])
    assert stopper.best == seen[-3][0]
    again = fit(net, data, stopper, epochs=1)  # forgets the fit before
    assert stopper.best == again.loss[0]


def test_checkpoints_after_every_epoch_and_of_the_best(net, data, tmp_path):
    every, best = tmp_path / "every.safetensors", tmp_path / "best.safetensors"
    seen = []

    def compare(state):
        assert_same_weights(gw.load(every), weights(net))
        assert gw.load(every).training_state["step"] == state.step
        seen.append((state.history.metrics["validation_accuracy"][-1], weights(net)))

    fit(
        net,
        data,
        gw.Checkpoint(every),
        gw.Checkpoint(best, metric="validation_accuracy"),
        On(epoch=compare),
        validation=data,
        epochs=8,
        optimizer=gw.SGD(2.0),
    )
    values = [value for value, _ in seen]
    assert_same_weights(gw.load(best), seen[int(np.argmax(values))][1])
    assert sorted(os.listdir(tmp_path)) == ["best.safetensors", "every.safetensors"]


def test_a_new_fit_starts_a_new_search_for_the_best_and_a_resumed_one_does_not(net, data, tmp_path):
    checkpoint = gw.Checkpoint(tmp_path / "m.safetensors", metric="accuracy")
    fit(net, data, checkpoint, epochs=1)
    checkpoint.best = 2.0
    fit(net, data, checkpoint, epochs=2, resume=True)
    assert checkpoint.best == 2.0
    fit(net, data, checkpoint, epochs=1)
    assert checkpoint.best < 2.0


def test_a_missing_checkpoint_folder_is_found_before_training(net, data, tmp_path):
    before = weights(net)
    with pytest.raises(FileNotFoundError, match=r"\[Checkpoint\] .*none: no such folder"):
        fit(net, data, gw.Checkpoint(tmp_path / "none" / "m.safetensors"))
    assert_same_weights(net, before)


@pytest.mark.parametrize(("event", "epochs"), [("start", 0), ("epoch", 1)])
def test_returning_true_ends_the_fit(net, data, event, epochs):
    history = fit(net, data, On(**{event: lambda state: True}))
    assert history.stopped == "stopped by a callback"
    assert history.epochs == epochs
    assert len(history.step_loss) == 6 * epochs


def test_stopping_in_a_chunk_says_why_and_the_fit_can_go_on(net, data):
    history = fit(net, data, On(chunk=lambda state: state.stop("seen enough") or True), stats=True)
    assert history.stopped == "seen enough"
    assert 0 < len(history.step_loss) == len(history.gradients) == net.training_state["step"]
    fit(net, data, resume=True)
    whole = gw.mlp([4, 6, 3], seed=0)
    fit(whole, data)
    assert_same_weights(net, weights(whole))


def test_callbacks_see_the_fit_as_it_stands(net, data):
    calls = []

    def note(event):
        return lambda s: calls.append((event, s.step, s.epoch, s.history.epochs, len(s.history.step_loss)))

    returned = fit(net, data, On(start=note("start"), chunk=note("chunk"), epoch=note("epoch")), epochs=2)
    assert calls[0] == ("start", 0, 0, 0, 0)
    assert [call for call in calls if call[0] == "epoch"] == [("epoch", 6, 1, 1, 6), ("epoch", 12, 2, 2, 12)]
    chunks = [call for call in calls if call[0] == "chunk"]
    assert chunks
    assert all(step == steps for _, step, _, _, steps in chunks)
    assert sorted(step for _, step, *_ in chunks)[-1] == len(returned.step_loss) == 12


@pytest.mark.parametrize("make", [gw.EarlyStopping, lambda m: gw.Checkpoint("unused.safetensors", metric=m)])
def test_an_unknown_metric_is_named_with_those_there_are(net, data, make):
    with pytest.raises(ValueError, match=r'\[callback\] metric is "auc"; this fit has loss, accuracy$'):
        fit(net, data, make("auc"))
    assert not os.path.exists("unused.safetensors")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"patience": 0}, ValueError, r"\[EarlyStopping\] patience is 0; needs at least 1"),
        ({"patience": 2.0}, TypeError, r"\[EarlyStopping\] patience is of type float"),
        ({"min_delta": -1}, ValueError, r"\[EarlyStopping\] min_delta is -1"),
        ({"min_delta": "a"}, TypeError, r"\[EarlyStopping\] min_delta is of type str"),
    ],
)
def test_bad_settings_are_named(settings, error, message):
    with pytest.raises(error, match=message):
        gw.EarlyStopping(**settings)


@pytest.mark.parametrize("event", ["start", "chunk", "epoch"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_exception_the_network_is_whole_and_usable(net, data, event, error):
    def fail(state):
        raise error("from the callback")

    with pytest.raises(error, match="from the callback"):
        fit(net, data, On(**{event: fail}), epochs=2)
    fit(net, data, epochs=2, resume=event != "start")
    whole = gw.mlp([4, 6, 3], seed=0)
    fit(whole, data, epochs=2)
    assert_same_weights(net, weights(whole))


def test_the_bar_shows_loss_speed_and_gradient_norms(net, data, capsys):
    fit(net, data, progress=True, stats=True, epochs=200)
    out, err = capsys.readouterr()
    assert out == ""
    last = err.split("\r")[-1]
    for part in ("1200/1200", "step/s", "loss ", "|δ| first ", " last "):
        assert part in last


def test_without_a_record_the_bar_shows_the_loss_alone(net, data, capsys):
    fit(net, data, progress=True, stats=False)
    err = capsys.readouterr().err
    assert "loss " in err
    assert "δ" not in err


@pytest.mark.parametrize("progress", [False, None])
def test_no_bar_where_none_is_wanted_or_there_is_no_terminal(net, data, capsys, progress):
    fit(net, data, progress=progress)
    assert capsys.readouterr() == ("", "")


def test_the_bar_changes_no_weight(net, data, capsys):
    fit(net, data, progress=True)
    silent = gw.mlp([4, 6, 3], seed=0)
    fit(silent, data, progress=False)
    assert_same_weights(net, weights(silent))


def test_a_resumed_checkpoint_keeps_a_better_file(tmp_path):
    """A new object, as in a new process, takes the best value so far from the file."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 4)), rng.integers(0, 2, 100)
    file = tmp_path / "best.safetensors"
    net = gw.mlp([4, 2], seed=0)
    settings = {"loss": "softmax_cross_entropy", "validation": (x, y)}

    def checkpoint():
        return gw.Checkpoint(file, metric="validation_loss")

    gw.fit(net, (x, y), optimizer=gw.SGD(0.1), epochs=3, callbacks=[checkpoint()], **settings)
    best = file.read_bytes()
    gw.fit(net, (x, y), optimizer=gw.SGD(50.0), epochs=4, resume=True, callbacks=[checkpoint()], **settings)
    assert file.read_bytes() == best


def test_on_exit_comes_last_and_after_an_exception_too(net, data):
    seen = []
    fit(net, data, On(end=lambda state: seen.append("end"), exit=lambda state: seen.append(f"exit {state.step}")))
    assert seen == ["end", "exit 30"]

    def fail(state):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fit(net, data, On(epoch=fail, exit=lambda state: seen.append(f"exit {state.step}")), On(chunk=seen.append))
    assert seen[-1] == "exit 6"
    assert "end" not in seen[2:]


def test_the_bar_makes_room_for_a_callback_that_draws(net, data, monkeypatch):
    asked = []
    monkeypatch.setattr("gradwell.training.Progress", lambda show, *rest: asked.append(show) or Progress(False, *rest))
    drawing = On(chunk=lambda state: None)
    drawing.shows_progress = True
    fit(net, data, drawing)
    fit(net, data, drawing, progress=True)
    fit(net, data)
    assert asked == [False, True, None]
