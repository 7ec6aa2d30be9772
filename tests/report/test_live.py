"""The live view: what it shows, that it fits, and that it leaves terminal and training as they were."""

import io
import os
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console

import gradwell as gw
from gradwell.report import live as live_module
from gradwell.report.live_view import Layers, View, layers_of, lines_of, spark, telling

X, Y = gw.datasets.digits()


def console(width=100, height=40, **settings):
    settings = {"force_terminal": True, "color_system": "truecolor", "file": io.StringIO(), **settings}
    return Console(width=width, height=height, **settings)


def fitted(net, steps=40, **settings):
    settings = {"stats": True, "progress": False, "optimizer": gw.SGD(0.1), "epochs": 50, **settings}
    return gw.fit(net, (X, Y), loss="softmax_cross_entropy", max_steps=steps, **settings)


def deep(depth=5):
    return gw.mlp([64, *[30] * depth, 10], activation="sigmoid", init="nielsen", seed=0)


def view_of(history, **changes):
    values = {
        **{"step": 12345, "epoch": 3, "seconds": 75.0, "steps_per_second": 164.6, "losses": history.step_loss},
        **{"metrics": {"accuracy": 0.5}, "layers": layers_of(history), "clipped": None, "diagnosis": None},
        **changes,
    }
    return View(**values)


def shown(view, width=100, height=40, ascii_only=False):
    lines = lines_of(view, width, height, ascii_only)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    return [line.plain for line in lines]


def test_the_figures_are_the_records():
    history = fitted(deep())
    text = shown(view_of(history, clipped=0.25, diagnosis=gw.diagnose(history)))
    assert text[0] == "step 12,345   epoch 3   165 steps/s   1:15"
    assert text[1].startswith(f"loss {history.step_loss[0]:.4g} ") and text[1].endswith("accuracy 0.5")
    record = history.gradients[-20:]
    for i, (name, line) in enumerate(zip(record.layers, text[3:9], strict=True)):
        cells = line.split()
        assert cells[:2] == [name, record.descriptions[i]]
        assert float(cells[3]) == pytest.approx(np.median(record.norm("error")[:, i]), rel=0.06)
        if i < 5:
            assert float(cells[4].rstrip("↓↑")) == pytest.approx(np.median(record.gain()[:, i]), rel=0.06)
    lengths = [line.count("█") for line in text[3:9]]
    assert lengths == sorted(lengths) and lengths[0] == 1 and lengths[-1] > 30
    assert "↓" in text[3] and text[8].endswith("–")
    assert text[9] == "clipped ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 25% of the last steps"
    worst = gw.diagnose(history).findings[0]
    assert text[10].startswith(f"doctor {worst.severity}: {worst.rule}, layer {worst.layer}")
    assert text[-1].strip() == f"try: {worst.remedies[0].name}"


def test_colours_say_how_far_a_gain_is_from_1():
    gains = np.array([1.0, 0.3, 0.05, 40.0, np.nan])
    nothing = np.zeros(5)
    layers = Layers(list("abcde"), ["dense"] * 5, nothing + 1, gains, nothing, nothing, nothing > 0)
    lines = lines_of(view_of(fitted(deep(), steps=2), layers=layers), 100, 30)
    styles = [[str(span.style) for span in line.spans] for line in lines[3:8]]
    assert ["green" in styles[0], "yellow" in styles[1], "bold red" in styles[2], "bold red" in styles[3]] == [True] * 4
    assert [line.plain.split()[-1] for line in lines[3:8]] == ["1", "0.3↓", "0.05↓", "40↑", "–"]


@pytest.mark.parametrize(("width", "height"), [(60, 24), (60, 10), (80, 30), (140, 50)])
def test_two_hundred_layers_in_any_terminal(width, height):
    history = fitted(deep(200), steps=3)
    text = shown(view_of(history, clipped=1.0, diagnosis=gw.diagnose(history)), width, height)
    assert any("of 201 layers not shown" in line and "without any gradient" in line for line in text)
    names = [line.split()[0] for line in text]
    assert "0" in names and "400" in names


def test_the_layers_that_tell_most_are_shown():
    ones = np.ones(50)
    gains, dead = ones.copy(), np.zeros(50)
    gains[20], dead[33] = 1e-3, 0.9
    broken = np.zeros(50, bool)
    broken[7] = True
    layers = Layers([str(i) for i in range(50)], ["dense"] * 50, ones, gains, dead, dead, broken)
    assert telling(layers, 5) == [0, 7, 20, 33, 49]
    text = shown(view_of(fitted(deep(), steps=2), layers=layers), 80, 10)
    assert any(line.startswith("7 dense") and "not finite" in line for line in text)
    assert any(line.startswith("33 dense") and line.endswith("90% dead") for line in text)


def test_without_records_and_with_losses_that_are_not_finite():
    history = fitted(deep(), steps=3, stats=False)
    text = shown(view_of(history, losses=np.full(4, np.nan)))
    assert "no step is recorded" in text[2] and "not finite" in text[1]
    assert "not measured yet" in shown(view_of(history, losses=np.zeros(0)))[1]


def test_plain_characters_where_the_terminal_knows_no_others():
    history = fitted(deep())
    text = "\n".join(shown(view_of(history, clipped=0.5), ascii_only=True))
    assert text.isascii() and "####" in text


def test_spark():
    assert spark(np.arange(8.0), 8) == "▁▂▃▄▅▆▇█"
    assert spark(np.repeat([5.0, 1.0], 50), 2) == "█▁"
    assert spark(np.array([np.nan, 2.0, 2.0]), 5) == "▁▁"
    assert spark(np.zeros(0), 5) == ""


def test_weights_are_the_same_bits_with_and_without():
    plain, watched = deep(), deep()
    fitted(plain, steps=200)
    fitted(watched, steps=200, callbacks=[gw.report.Live(every=0.0, diagnose_every=0.0, console=console())])
    for name, value in plain.parameters.items():
        np.testing.assert_array_equal(value, watched.parameters[name])


def test_a_terminal_gets_one_block_and_its_cursor_back():
    screen = console()
    fitted(deep(), steps=200, callbacks=[gw.report.Live(every=0.0, console=screen)])
    text = screen.file.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("step ")
    assert "doctor" in text  # the last look


def test_where_there_is_no_terminal_a_line_after_each_epoch():
    screen = console(force_terminal=False)
    fitted(deep(), steps=57 * 3, callbacks=[gw.report.Live(diagnose_every=0.0, console=screen)])
    lines = screen.file.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]
    assert "\x1b" not in screen.file.getvalue() and "loss 2.3" in lines[0] and "error first" in lines[0]


def test_an_exception_leaves_the_terminal_clean():
    screen = console()
    with pytest.raises(gw.NonFiniteError):
        fitted(
            gw.mlp([64, 30, 10], activation="relu", init="he", seed=0),
            optimizer=gw.SGD(1e30),
            callbacks=[gw.report.Live(every=0.0, console=screen)],
        )
    assert screen.file.getvalue().count("\x1b[?25l") == screen.file.getvalue().count("\x1b[?25h") == 1


def test_a_rule_that_fails_does_not_end_the_training():
    @gw.doctor.rule
    class Broken(gw.doctor.Rule):
        name = "broken"

        def missing(self, case):
            return None

        def examine(self, case):
            raise RuntimeError("not today")

    screen = console()
    try:
        history = fitted(deep(), callbacks=[gw.report.Live(every=0.0, diagnose_every=0.0, console=screen)])
    finally:
        gw.doctor.forget("broken")
    assert len(history.step_loss) == 40
    assert "a rule failed: RuntimeError: not today" in screen.file.getvalue()


def test_what_costs_more_comes_more_rarely(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(live_module.time, "perf_counter", lambda: now[0])
    assert live_module._next(99.0, 0.25, 0.02) == pytest.approx(150.0)
    assert live_module._next(99.999, 0.25, 0.02) == pytest.approx(100.25)


def test_settings_are_looked_at():
    with pytest.raises(ValueError, match=r"\[Live\] every is -1"):
        gw.report.Live(every=-1)
    with pytest.raises(TypeError, match=r"\[Live\] diagnose_every"):
        gw.report.Live(diagnose_every="often")


PASTED = """
import gradwell as gw

x, y = gw.datasets.digits()
net = gw.mlp([64, 30, 30, 10], activation="tanh", seed=0)
history = gw.fit(
    net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.1), epochs=%d, callbacks=[gw.report.Live()]
)
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.parametrize("interrupted", [False, True], ids=["to the end", "Ctrl-C"])
def test_as_pasted_in_a_terminal(interrupted):
    import fcntl
    import struct
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    command = [sys.executable, "-c", PASTED % (10_000_000 if interrupted else 3)]
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
        start_new_session=True,
    )
    os.close(theirs)
    seen, begun, to_interrupt = b"", time.monotonic(), interrupted
    try:
        while time.monotonic() - begun < 60:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                seen += piece
                if not piece:
                    break
            if to_interrupt and "‖δ‖".encode() in seen:
                to_interrupt = False
                os.kill(process.pid, signal.SIGINT)
        code = process.wait(timeout=30)
    finally:
        process.kill()
        os.close(ours)
    text = seen.decode()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert "step/s" not in text and "%|" not in text  # no bar beside it
    assert "epoch 0" in text
    if interrupted:
        assert code == -signal.SIGINT and text.index("\x1b[?25h") < text.index("KeyboardInterrupt")
    else:
        assert code == 0 and text.rstrip().endswith("done")
