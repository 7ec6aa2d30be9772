"""Text written character by character: what is drawn, how often, and what is refused."""

import numpy as np
import pytest

import gradwell as gw
from gradwell import generation

CHARACTERS = gw.datasets.Characters("abcde")


def network(*layers, steps=12, outputs=5, dtype="float64"):
    layers = layers or (gw.LSTM(7, return_sequences=True), gw.GRU(6, return_sequences=True))
    return gw.Network([gw.Embedding(5, 4), *layers, gw.Dense(outputs)], input_shape=steps, seed=3, dtype=dtype)


@pytest.mark.parametrize(
    "layers",
    [
        (),
        (gw.RNN(6, return_sequences=True), gw.LayerNorm(), gw.LSTM(7, return_sequences=True, peephole=True)),
        (gw.LSTM(6, return_sequences=True, truncate=3, stateful=True), gw.BatchNorm(), gw.Dropout(0.5)),
    ],
)
def test_step_by_step_gives_what_a_window_gives(layers):
    net = network(*layers)
    tokens = np.random.default_rng(0).integers(0, 5, 12)
    twin = generation._stepwise(net, 5)
    found = np.array([generation._read(twin, token) for token in tokens])
    np.testing.assert_allclose(found, net.predict(tokens[None])[0], rtol=1e-12, atol=1e-14)  # sums in another order


def test_frequencies_are_the_softmax():
    net = network()
    net.parameters["3.weight"][...] *= 3
    logits = net.predict(CHARACTERS.encode("abcabcabcabc")[None])[0, 3]
    for temperature in (0.5, 2.0):
        shares = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
        draws = np.random.default_rng(0)
        drawn = [generation._drawn(logits, temperature, draws) for _ in range(20_000)]
        counts = np.bincount(drawn, minlength=5)
        chi_square = ((counts - 20_000 * shares) ** 2 / (20_000 * shares)).sum()
        assert chi_square < 18.5  # 99.9 % of four degrees of freedom
        first = [
            CHARACTERS.encode(gw.generate(net, CHARACTERS, "abca", 1, temperature=temperature, seed=s))[0]
            for s in range(300)
        ]
        assert np.abs(np.bincount(first, minlength=5) / 300 - shares).max() < 0.1


def test_greedy_takes_the_likeliest_whatever_the_seed():
    net = network(steps=30)
    text = gw.generate(net, CHARACTERS, "bad", 20, temperature=0)
    assert text == gw.generate(net, CHARACTERS, "bad", 20, temperature=0, seed=9)
    read = CHARACTERS.encode("bad" + text + "a" * 7)
    likeliest = net.predict(read[None])[0].argmax(axis=1)
    assert CHARACTERS.decode(likeliest[2:22]) == text
    assert text == gw.generate(net, CHARACTERS, "bad", 20, temperature=1e-300)


def test_a_seed_repeats_and_the_network_stays_as_it_was():
    net = network(gw.LSTM(6, return_sequences=True, stateful=True), dtype="float32")
    before = {name: view.copy() for name, view in net.parameters.items()}
    first = gw.generate(net, CHARACTERS, "a", 50, seed=1)
    assert len(first) == 50
    assert first == gw.generate(net, CHARACTERS, "a", 50, seed=1)
    assert first != gw.generate(net, CHARACTERS, "a", 50, seed=2)
    assert not net.states
    for name, view in net.parameters.items():
        assert (view == before[name]).all()


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("", 3), {}, "prompt is empty"),
        (("abx", 3), {}, "'x' at position 2"),
        (("a", 0), {}, "length"),
        (("a", 3), {"temperature": -0.1}, "temperature"),
        (("a", 3), {"temperature": np.nan}, "temperature"),
        (("a", 3), {"seed": -1}, "seed"),
    ],
)
def test_arguments_that_do_not_fit(arguments, settings, message):
    with pytest.raises(ValueError, match=rf"^\[generate\] .*{message}"):
        gw.generate(network(), CHARACTERS, *arguments, **settings)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (network(outputs=4), "gives 4 characters but the vocabulary has 5"),
        (network(gw.Bidirectional(gw.RNN(3, return_sequences=True))), "layer 1 is Bidirectional"),
        (network(gw.GRU(3, return_sequences=True, go_backwards=True)), "layer 1 has go_backwards"),
        (network(gw.Residual(gw.GRU(4, return_sequences=True))), "in a block"),
        (network(gw.Flatten()), "Flatten"),
        (gw.Network([gw.RNN(3), gw.Dense(5)], input_shape=(4, 1)), "no Embedding"),
    ],
)
def test_networks_that_do_not_fit(net, message):
    with pytest.raises(ValueError, match=rf"^\[generate\] .*{message}"):
        gw.generate(net, CHARACTERS, "a", 3)


def test_types_that_do_not_fit():
    with pytest.raises(TypeError, match=r"\[generate\] prompt is of type int"):
        gw.generate(network(), CHARACTERS, 3, 3)
    with pytest.raises(TypeError, match=r"\[generate\] network is of type str"):
        gw.generate("net", CHARACTERS, "a", 3)
    net = network()
    net.parameters["3.bias"][0] = np.nan
    with pytest.raises(ValueError, match="NaN or an infinity"):
        gw.generate(net, CHARACTERS, "a", 3)
