import math

import numpy as np
import pytest
from compare import assert_close

from gradwell import datasets

ROUNDED = "rounded once to float32"


def adding_faults(x, y, length, lengths):
    """What is wrong with sequences of experiment 4 of Hochreiter and Schmidhuber, step by step."""
    faults = []
    for row, total in enumerate(lengths):
        values = [float(value) for value in x[row, :total, 0]]
        markers = [float(marker) for marker in x[row, :total, 1]]
        marked = [step for step in range(total) if markers[step] == 1]
        if x[row, total:].any():
            faults.append(f"{row}: not 0 behind its end")
        if len(marked) != 2:
            faults.append(f"{row}: {len(marked)} marked")
            continue
        unmarked = {first: [step for step in range(total) if step != first][: length // 2 - 1] for first in marked}
        one, other = marked
        if not ((one < 10 and other in unmarked[one]) or (other < 10 and one in unmarked[other])):
            faults.append(f"{row}: marked {marked}")
        for step in range(total):
            expected = 1 if step in marked else -1 if step in {0, total - 1} else 0
            if markers[step] != expected:
                faults.append(f"{row}: marker {markers[step]} at {step}")
            if not -1 <= values[step] < 1:
                faults.append(f"{row}: value {values[step]} at {step}")
        if 0 in marked and values[0] != 0:
            faults.append(f"{row}: first pair marked with value {values[0]}")
        if y[row, 0] != np.float32(0.5 + (values[one] + values[other]) / 4):
            faults.append(f"{row}: target {y[row, 0]}")
    return faults


@pytest.mark.parametrize("length", [11, 12, 29, 40])
def test_adding_as_hochreiter_and_schmidhuber(length):
    x, y, lengths = datasets.adding(2000, length, seed=3)
    assert x.shape == (2000, length + length // 10, 2)
    assert y.shape == (2000, 1)
    assert (x.dtype, y.dtype, lengths.dtype) == (np.float32, np.float32, np.int64)
    assert adding_faults(x, y, length, lengths) == []
    assert set(lengths.tolist()) == set(range(length, length + length // 10 + 1))
    marked = np.flatnonzero((x[:, :, 1] == 1).any(axis=0)).tolist()
    assert marked == list(range(max(10, length // 2)))  # every place that is allowed, no other


def test_adding_marks_all_allowed_pairs_equally_often():
    x, _, _ = datasets.adding(20_000, 60, seed=0)
    often = (x[:, :, 1] == 1).sum(axis=0)
    # The first mark falls on each of 10 pairs, the second on each of the 29 left of 30.
    expected = np.where(np.arange(30) < 10, 0.1 + 0.9 / 29, 1 / 29) * 20_000
    assert np.abs(often[:30] - expected).max() < 5 * math.sqrt(expected.max())  # five standard deviations
    assert not often[30:].any()


@pytest.mark.parametrize("length", [2, 3, 20, 21])
def test_adding_as_arjovsky(length):
    x, y, lengths = datasets.adding(500, length, seed=5, variant="arjovsky")
    assert x.shape == (500, length, 2)
    assert (x.dtype, y.dtype) == (np.float32, np.float32)
    assert lengths.tolist() == [length] * 500
    for row in range(500):
        marked = [step for step in range(length) if x[row, step, 1] != 0]
        assert len(marked) == 2
        assert marked[0] < length // 2 <= marked[1]
        assert all(x[row, step, 1] == 1 for step in marked)
        assert all(0 <= value < 1 for value in x[row, :, 0])
        assert y[row, 0] == np.float32(float(x[row, marked[0], 0]) + float(x[row, marked[1], 0]))
    assert (x[:, :, 1] == 1).any(axis=0).all()  # a mark falls on every step


def test_to_predict_one_has_an_error_of_a_sixth():
    _, y, _ = datasets.adding(100_000, 10, seed=0, variant="arjovsky")
    error = ((y.astype(np.float64) - 1) ** 2).mean()
    assert_close(
        error, 1 / 6, relative=0.02, reason="five standard deviations of the mean, 0.2 / sqrt(100,000), of 1/6"
    )


# Published for T = 100: first and last step of each relevant symbol.
RELEVANT = [
    ("pascanu", 2, [(10, 19), (50, 59)]),
    ("pascanu", 3, [(10, 19), (30, 39), (60, 69)]),
    ("hochreiter", 2, [(10, 20), (50, 60)]),
    ("hochreiter", 3, [(10, 20), (33, 43), (66, 76)]),
]


@pytest.mark.parametrize(("variant", "symbols", "intervals"), RELEVANT)
def test_temporal_order(variant, symbols, intervals):
    x, y, lengths = datasets.temporal_order(1000, 100, seed=1, symbols=symbols, variant=variant)
    published = variant == "hochreiter"
    assert x.shape == (1000, 110 if published else 100, 8 if published else 6)
    assert (x.dtype, y.dtype, lengths.dtype) == (np.float32, np.int64, np.int64)
    assert set(lengths.tolist()) == (set(range(100, 111)) if published else {100})
    seen = [set() for _ in intervals]
    for row, total in enumerate(lengths):
        assert x[row, :total].sum(axis=1).tolist() == [1] * total  # one-hot
        assert not x[row, total:].any()
        kinds = x[row, :total].argmax(axis=1).tolist()
        steps = [step for step, kind in enumerate(kinds) if kind < 2]
        assert len(steps) == symbols
        for step, (first, last), where in zip(steps, intervals, seen, strict=True):
            assert first <= step <= last
            where.add(step)
        assert y[row] == int("".join(str(kinds[step]) for step in steps), 2)  # AB of A=0, B=1 is 01
        rest = [kind for step, kind in enumerate(kinds) if step not in steps]
        if published:
            assert (rest[0], rest[-1]) == (6, 7)  # E first, B last
            assert kinds[0] == 6 and kinds[-1] == 7
            rest = rest[1:-1]
        assert set(rest) == {2, 3, 4, 5}
    assert seen == [set(range(first, last + 1)) for first, last in intervals]
    assert set(y.tolist()) == set(range(2**symbols))


def test_temporal_order_classes_are_equally_likely():
    _, y, _ = datasets.temporal_order(40_000, 50, seed=0)
    assert np.abs(np.bincount(y) - 10_000).max() < 5 * math.sqrt(10_000 * 0.75)  # five standard deviations


def test_temporal_order_of_other_lengths():
    for length in (10, 15, 57, 200):
        for variant in ("pascanu", "hochreiter"):
            for symbols in (2, 3):
                x, _, lengths = datasets.temporal_order(300, length, seed=2, symbols=symbols, variant=variant)
                assert ((x[:, :, :2] == 1).sum(axis=(1, 2)) == symbols).all()
                assert (x.sum(axis=(1, 2)) == lengths).all()


def test_latch():
    x, y = datasets.latch(10_000, 101, seed=0)
    assert x.shape == (10_000, 101, 1)
    assert y.shape == (10_000, 1)
    assert (x.dtype, y.dtype) == (np.float32, np.float32)
    sign = x[:, 0, 0]
    assert set(sign.tolist()) == {-1, 1}
    assert set(y[:, 0].tolist()) == {float(np.float32(0.8)), float(np.float32(-0.8))}
    assert (np.sign(y[:, 0]) == sign).all()
    assert abs(sign.mean()) < 5 / math.sqrt(10_000)
    noise = x[:, 1:, 0].astype(np.float64)
    # Standard deviations of a mean and a variance of a million draws: 4.5e-4 and 2.8e-4.
    assert abs(noise.mean()) < 5 * 4.5e-4
    assert abs(noise.var() - 0.2) < 5 * 2.8e-4
    assert abs((noise.mean(axis=1) * sign).mean()) < 5 * 4.5e-4  # the noise tells nothing about the class
    quarter = (np.abs(noise) < 0.6745 * math.sqrt(0.2)).mean()  # quartiles of a Gaussian
    assert abs(quarter - 0.5) < 5 * 0.5 / 1000


@pytest.mark.parametrize(("delay", "symbols", "length"), [(1, 8, 10), (7, 8, 10), (4, 2, 1), (3, 1, 4)])
def test_copy_memory(delay, symbols, length):
    tokens, targets = datasets.copy_memory(200, delay, seed=0, symbols=symbols, length=length)
    assert tokens.shape == targets.shape == (200, delay + 2 * length)
    assert (tokens.dtype, targets.dtype) == (np.int64, np.int64)
    blank, delimiter = symbols, symbols + 1
    for row in range(200):
        given = tokens[row, :length].tolist()
        assert tokens[row].tolist() == [*given, *[blank] * (delay - 1), delimiter, *[blank] * length]
        assert targets[row].tolist() == [*[blank] * (delay + length), *given]
    assert set(tokens[:, :length].ravel().tolist()) == set(range(symbols))


def test_copy_memory_has_the_published_categories():
    tokens, _ = datasets.copy_memory(100, 100, seed=0)
    assert tokens.shape == (100, 120)  # T + 20
    assert set(tokens.ravel().tolist()) == set(range(10))
    assert not np.array_equal(tokens[0, :10], tokens[1, :10])


@pytest.mark.parametrize(("delay", "symbols", "length"), [(100, 8, 10), (5, 3, 2), (2, 1, 4)])
def test_baseline_is_the_cross_entropy_without_memory(delay, symbols, length):
    _, targets = datasets.copy_memory(50, delay, seed=0, symbols=symbols, length=length)
    total = 0.0
    for row in targets:
        for step, token in enumerate(row):
            guess = step >= delay + length
            probability = 1 / symbols if guess else 1.0 * (token == symbols)
            total -= math.log(probability)
    expected = total / targets.size
    baseline = datasets.copy_memory_baseline(delay, symbols=symbols, length=length)
    assert_close(baseline, expected, relative=1e-12, reason="float64, thousands of sums")


def test_baseline_of_the_paper():
    expected = 10 * math.log(8) / (500 + 20)
    assert_close(datasets.copy_memory_baseline(500), expected, relative=1e-15, reason="the same formula")


@pytest.mark.parametrize("shape", [(3, 784), (3, 28, 28)])
def test_pixels_come_row_by_row(shape):
    images = np.random.default_rng(0).random(shape)
    sequences = datasets.pixel_mnist(images)
    assert sequences.shape == (3, 784, 1)
    assert sequences.dtype == np.float32
    assert sequences.flags.c_contiguous
    square = images.reshape(3, 28, 28)
    for image in range(3):
        for row in range(28):
            for column in range(28):
                assert sequences[image, 28 * row + column, 0] == np.float32(square[image, row, column])


def test_bytes_are_divided_by_255():
    images = np.arange(2 * 784).reshape(2, 784).astype(np.uint8)
    sequences = datasets.pixel_mnist(images)
    assert sequences.min() == 0
    assert sequences.max() == 1
    assert_close(sequences[:, :, 0], images / 255, ulp=1, reason=ROUNDED)


def test_one_permutation_for_all_images():
    order = np.arange(784) / 784
    images = np.stack([order, 1 - order])
    first = datasets.pixel_mnist(images, permutation=7)
    places = np.rint(first[0, :, 0].astype(np.float64) * 784).astype(int)
    assert sorted(places.tolist()) == list(range(784))
    assert (places != np.arange(784)).sum() > 700
    assert np.array_equal(first[1, :, 0], (1 - order).astype(np.float32)[places])
    assert np.array_equal(datasets.pixel_mnist(images[1:], permutation=7), first[1:])
    assert not np.array_equal(datasets.pixel_mnist(images, permutation=8), first)


def test_sequences_of_pixels_are_a_copy():
    images = np.zeros((1, 784), np.float32)
    datasets.pixel_mnist(images)[:] = 1
    assert not images.any()
    assert datasets.pixel_mnist(np.zeros((0, 784), np.float32)).shape == (0, 784, 1)


DRAWN = [
    lambda seed: datasets.adding(20, 30, seed=seed),
    lambda seed: datasets.adding(20, 30, seed=seed, variant="arjovsky"),
    lambda seed: datasets.temporal_order(20, 30, seed=seed),
    lambda seed: datasets.temporal_order(20, 30, seed=seed, symbols=3, variant="hochreiter"),
    lambda seed: datasets.latch(20, 30, seed=seed),
    lambda seed: datasets.copy_memory(20, 30, seed=seed),
]


@pytest.mark.parametrize("draw", DRAWN)
def test_the_seed_settles_all(draw):
    first, again, other = draw(4), draw(np.int64(4)), draw(5)
    for one, same in zip(first, again, strict=True):
        assert np.array_equal(one, same)
    assert not np.array_equal(first[0], other[0])


FLOATS = np.zeros((2, 784), np.float32)
REFUSED = [
    (lambda: datasets.adding(0, 20, seed=0), ValueError, r"\[adding\] count is 0; needs at least 1"),
    (lambda: datasets.adding(1, 10, seed=0), ValueError, r"\[adding\] length is 10; needs at least 11"),
    (
        lambda: datasets.adding(1, 1, seed=0, variant="arjovsky"),
        ValueError,
        r"\[adding\] length is 1; needs at least 2",
    ),
    (lambda: datasets.adding(1, 20, seed=-1), ValueError, r"\[adding\] seed is -1; needs at least 0"),
    (lambda: datasets.adding(1, 20.0, seed=0), TypeError, r"\[adding\] length is of type float; needs an int"),
    (lambda: datasets.adding(True, 20, seed=0), TypeError, r"\[adding\] count is of type bool; needs an int"),
    (
        lambda: datasets.adding(1, 20, seed=0, variant="le"),
        ValueError,
        r"\[adding\] variant is 'le'; needs 'hochreiter' or 'arjovsky'",
    ),
    (lambda: datasets.temporal_order(1, 9, seed=0), ValueError, r"\[temporal_order\] length is 9; needs at least 10"),
    (
        lambda: datasets.temporal_order(1, 20, seed=0, symbols=4),
        ValueError,
        r"\[temporal_order\] symbols is 4; needs 2 or 3",
    ),
    (
        lambda: datasets.temporal_order(1, 20, seed=0, variant=None),
        ValueError,
        r"\[temporal_order\] variant is None; needs 'pascanu' or 'hochreiter'",
    ),
    (lambda: datasets.latch(1, 1, seed=0), ValueError, r"\[latch\] length is 1; needs at least 2"),
    (lambda: datasets.latch(1, 5, seed="a"), TypeError, r"\[latch\] seed is of type str; needs an int"),
    (lambda: datasets.copy_memory(1, 0, seed=0), ValueError, r"\[copy_memory\] delay is 0; needs at least 1"),
    (
        lambda: datasets.copy_memory(1, 5, seed=0, symbols=0),
        ValueError,
        r"\[copy_memory\] symbols is 0; needs at least 1",
    ),
    (
        lambda: datasets.copy_memory_baseline(5, length=0),
        ValueError,
        r"\[copy_memory_baseline\] length is 0; needs at least 1",
    ),
    (
        lambda: datasets.pixel_mnist(np.zeros((2, 783))),
        ValueError,
        r"\[pixel_mnist\] images has shape \(2, 783\); needs \(n, 784\) or \(n, 28, 28\)",
    ),
    (
        lambda: datasets.pixel_mnist(FLOATS.astype(np.int64)),
        TypeError,
        r"\[pixel_mnist\] images has dtype int64; needs uint8 or floating point",
    ),
    (
        lambda: datasets.pixel_mnist(FLOATS + 255),
        ValueError,
        r"\[pixel_mnist\] images range from 255 to 255; needs 0 to 1, or uint8",
    ),
    (
        lambda: datasets.pixel_mnist(FLOATS * np.nan),
        ValueError,
        r"\[pixel_mnist\] images range from nan to nan; needs 0 to 1, or uint8",
    ),
    (
        lambda: datasets.pixel_mnist(FLOATS, permutation=-3),
        ValueError,
        r"\[pixel_mnist\] permutation is -3; needs at least 0",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refused(call, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        call()
