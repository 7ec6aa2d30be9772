import itertools

import numpy as np
import pytest

from gradwell import datasets


def test_first_symbol_is_all_that_differs():
    tokens, y = datasets.rare_symbols(4000, 20, seed=0)
    assert tokens.shape == (4000, 21) and tokens.dtype == y.dtype == np.int64
    assert (tokens[:, 0] == y).all() and set(y.tolist()) == {0, 1}
    assert (tokens[:, 1:] == np.arange(2, 22)).all()
    assert abs(y.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)  # five standard deviations


@pytest.mark.parametrize("length", [6, 7, 40])
def test_order_step_by_step(length):
    tokens, y = datasets.rare_symbols(3000, length, seed=2, variant="order")
    assert tokens.shape == (3000, length)
    seen = set()
    for row, label in zip(tokens.tolist(), y.tolist(), strict=True):
        rare = [step for step, token in enumerate(row) if token < 2]
        assert len(rare) == 2 and label == 2 * row[rare[0]] + row[rare[1]]
        assert 1 <= rare[0] < rare[1] < length // 2
        seen |= {tuple(rare)}
        rest = [token for token in row if token > 1]
        assert all(after == (before - 1) % 8 + 2 for before, after in itertools.pairwise(rest))
    if length < 10:
        assert len(seen) == (length // 2 - 1) * (length // 2 - 2) / 2  # every pair of steps that is allowed
    assert np.bincount(y, minlength=4).min() > 3000 / 4 - 5 * np.sqrt(3000 * 3 / 16)
    assert set(tokens[:, 0].tolist()) == set(range(2, 10))


def test_same_seed_same_sequences_and_bad_arguments():
    one, other = (datasets.rare_symbols(9, 12, seed=4, variant="order") for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))
    for arguments, said in (
        ((0, 5), "count is 0"),
        ((3, 0), "length is 0; needs at least 1"),
        ((3, 5, "order"), "length is 5; needs at least 6"),
        ((3, 5, "third"), "variant is 'third'"),
    ):
        with pytest.raises(ValueError, match=rf"\[rare_symbols\] {said}"):
            datasets.rare_symbols(*arguments[:2], seed=0, variant=(*arguments, "first")[2])
