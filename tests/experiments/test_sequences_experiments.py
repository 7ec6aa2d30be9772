"""Characters and pixels: the experiments on small settings, and the counted n-grams against a plain loop."""

import numpy as np
import pytest

from gradwell.datasets import Characters
from gradwell.experiments import char_lstm, pixel_mnist
from gradwell.experiments.experiment import Options


def test_n_grams_are_counted_as_they_say():
    train, held, size, s = np.array([0, 1, 0, 1, 0]), np.array([0, 1, 1]), 3, char_lstm.SMOOTHING
    one = [(count + s / size) / (5 + s) for count in (3, 2, 0)]
    assert char_lstm.n_gram_bits(train, held, 1, size) == pytest.approx(-np.log2([one[0], one[1], one[1]]).mean())
    after_0, after_1 = (2 + s * one[1]) / (3 + s), (0 + s * one[1]) / (2 + s)
    assert char_lstm.n_gram_bits(train, held, 2, size) == pytest.approx(-np.log2([after_0, after_1]).mean())


def test_a_text_file_is_learnt(tmp_path):
    file = tmp_path / "book.txt"
    file.write_text("abcab" * 800, encoding="utf-8")
    result = char_lstm.run(Options(data=file), epochs=6, units=16)
    assert result.figures["text"] == str(file)
    assert result.figures["bits"][-1] < result.figures["bits"][0]
    counted = result.figures["n_grams"]
    assert counted["trigrams"] < counted["bigrams"] < counted["unigrams"]
    assert set(result.figures["samples"]["0.5"]) <= set(Characters.of("abc").vocabulary)
    assert result.draw() is not None


def test_pixels_on_a_few_images(mnist_folder):
    result = pixel_mnist.run(Options(data=mnist_folder), trained=32, tested=16, epochs=1, units=4)
    assert len(result.figures["cell"]["first"]) == 784
    assert np.isfinite(result.figures["cell"]["last"]).all()
    assert result.draw() is not None
