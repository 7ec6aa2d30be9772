"""Characters of a text, predicted by an LSTM and by counts of one to three characters.

A network reads windows of a text and tells at every step how likely each character is to come next. Its cross-entropy
in bits a character, on a part of the text that it has not seen, stands beside that of counted n-grams. What it writes
by itself, at two temperatures, is among the notes.

The text is made up by a grammar (`gradwell.datasets.stories`); `Options.data` may name a text file instead.

A. Graves (2013), Generating sequences with recurrent neural networks.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import gradwell as gw
from gradwell.datasets import Characters, character_windows, read_text, stories
from gradwell.experiments.experiment import Check, Options, Result
from gradwell.report import plots
from gradwell.report.terminal import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS: Final = 128
WINDOW: Final = 64
BATCH: Final = 32
EPOCHS: Final = 16
HELD_OUT: Final = 0.1
SMOOTHING: Final = 2.0
PROMPT: Final = "\n\n"
WRITTEN: Final = 240

Tokens = NDArray[np.int64]


def run(options: Options, epochs: int = EPOCHS, units: int = UNITS, length: int = 100_000) -> Result:
    """Train on nine tenths of the text and measure on the last."""
    given = options.data is not None and options.data.is_file()
    text = read_text(options.data) if given and options.data is not None else stories(length)
    characters = Characters.of(text)
    tokens = characters.encode(text)
    cut = int(len(tokens) * (1 - HELD_OUT))
    train, held = (character_windows(part, WINDOW) for part in (tokens[:cut], tokens[cut:]))
    size = len(characters)
    net = gw.Network([gw.Embedding(size, 32), gw.LSTM(units, return_sequences=True), gw.Dense(size)], WINDOW, seed=0)
    with options.bar(epochs, "epoch") as bar:

        class Watch(gw.Callback):
            def on_epoch(self, state: Any) -> None:
                bar.update()

        settings: dict[str, Any] = {"loss": "softmax_cross_entropy", "batch_size": BATCH, "epochs": epochs}
        settings |= {"optimizer": gw.Adam(4e-3), "clip": gw.clip_by_norm(1.0), "validation": held, "seed": 0}
        history = gw.fit(net, train, **settings, stats="auto", progress=False, callbacks=[Watch()])
    bits = np.array(history.metrics["validation_loss"]) / np.log(2)
    counted = {n: n_gram_bits(tokens[:cut], tokens[cut:], n, size) for n in (1, 2, 3)}
    samples = {}
    prompt = PROMPT if all(c in characters.vocabulary for c in PROMPT) else text[0]
    for temperature in (0.5, 1.0):
        samples[temperature] = gw.generate(net, characters, prompt, WRITTEN, temperature=temperature, seed=1)
    names = {1: "unigrams", 2: "bigrams", 3: "trigrams"}
    rows = [[names[n], f"{value:.3f}"] for n, value in counted.items()]
    rows.append([f"LSTM of {units}", f"{bits[-1]:.3f}"])
    table = text_table(["model", "bits a character"], rows)
    notes = [
        f"{len(text):,} characters, {size} of them different; the last {100 * HELD_OUT:.0f} % are held out. Windows "
        f"of {WINDOW}, {epochs} passes, Adam, clipping by norm to 1. N-grams are counted on the same text, each mixed "
        "with the shorter ones.",
        *(f"Written at temperature {t:g}:\n{sample.strip()}" for t, sample in samples.items()),
    ]
    checks = [Check("bits a character, LSTM over trigrams", bits[-1] / counted[3], 0.0, 0.999)]
    figures = {
        "text": str(options.data) if given else "stories",
        "bits": bits.tolist(),
        "n_grams": {names[n]: value for n, value in counted.items()},
        "samples": {str(t): sample for t, sample in samples.items()},
    }
    lines = {names[n]: value for n, value in counted.items()}
    return Result("char-lstm", figures, checks, table, lambda: draw(bits, lines), notes)


def n_gram_bits(train: Tokens, held: Tokens, n: int, size: int) -> float:
    """Return the cross-entropy of counted n-grams on held-out tokens, in bits a character.

    The estimate of order k is (count + s * estimate of order k - 1) / (count of the context + s) with s = 2, and starts
    from 1 / size (Dirichlet smoothing; MacKay and Peto, 1995).
    """
    counts = [Counter(_grams(train, k)) for k in range(n + 1)]
    total = 0.0
    for place in range(n - 1, len(held)):
        estimate = 1 / size
        for k in range(1, n + 1):
            gram = tuple(held[place - k + 1 : place + 1].tolist())
            context = len(train) if k == 1 else counts[k - 1][gram[:-1]]
            estimate = (counts[k][gram] + SMOOTHING * estimate) / (context + SMOOTHING)
        total -= float(np.log2(estimate))
    return total / max(len(held) - n + 1, 1)


def _grams(tokens: Tokens, k: int) -> list[tuple[int, ...]]:
    listed = tokens.tolist()
    return [tuple(listed[i : i + k]) for i in range(len(listed) - k + 1)] if k else []


def draw(bits: NDArray[np.float64], counted: dict[str, float]) -> Figure:
    """Draw bits a character by epoch, and what counting reaches."""
    figure, panels = plots.subplots(1, 1, size=(6.5, 4.2))
    axes = panels[0, 0]
    axes.plot(np.arange(1, len(bits) + 1), bits, "o-", color=plots.BLUE, label="LSTM, held out")
    for (name, value), colour in zip(counted.items(), (plots.ORANGE, plots.GREEN, "0.4"), strict=True):
        axes.axhline(value, color=colour, linestyle="--", label=name)
    axes.set(xlabel="epoch", ylabel="bits a character", title="Predicting the next character", ylim=(0, None))
    axes.legend(fontsize="small")
    return figure
