"""One level: what comes next, whether it was expected, and the way back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell import kernels
from gradwell.compression.reader import Reader
from gradwell.compression.sequences import NAME, Items, padded
from gradwell.history import History

Array = NDArray[Any]

MOST_KINDS = 256  # of items above level 0 that are predicted, the most frequent ones
ROWS = 1024  # of sequences that are taken back at a time


class Predictor:
    """A net that predicts the next item of a level among `kinds`; above level 0 it may answer "none of them".

    An item is expected where it is the likeliest and its probability is at least `surprise`. The probability is made
    of exponentials of our own and a running sum, so that a sequence read whole and one read step by step agree to the
    bit: without that the way back would go astray.
    """

    def __init__(self, reader: Reader, kinds: Items, surprise: float):
        self.reader, self.kinds, self.surprise = reader, kinds, surprise
        self._numbers = {tuple(kind): i for i, kind in enumerate(kinds.tolist())}

    @classmethod
    def of(cls, sequences: list[Items], symbols: int, cell: str, units: int, surprise: float, dtype: str) -> Predictor:
        """Return an untrained predictor for the items of these sequences."""
        passed = sequences[0].shape[1] - 1
        longest = [max(int(items[:, k].max()) for items in sequences) for k in range(1, passed + 1)]
        if passed:
            often = Counter(tuple(item) for items in sequences for item in items[1:].tolist())
            ordered = sorted(often.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_KINDS]
            kinds = np.array([kind for kind, _ in ordered], np.int64).reshape(-1, 1 + passed)
        else:
            kinds = np.arange(symbols, dtype=np.int64)[:, None]
        reader = Reader(cell, units, symbols, longest, len(kinds) + bool(passed), True, dtype)
        return cls(reader, kinds, surprise)

    def numbers(self, items: Items) -> NDArray[np.int64]:
        """Return which kind each item is; of none, the number after the last."""
        if items.shape[1] == 1:
            return items[:, 0]
        other = len(self.kinds)
        return np.array([self._numbers.get(tuple(item), other) for item in items.tolist()], np.int64)

    def learn(self, sequences: list[Items], settings: dict[str, Any], stats: bool | str, progress: Any) -> History:
        """Train to predict every item from those before it."""
        longer = [items for items in sequences if len(items) > 1]
        items, lengths = padded([one[:-1] for one in longer])
        targets = np.zeros(items.shape[:2], np.int64)
        for row, one in zip(targets, longer, strict=True):
            row[: len(one) - 1] = self.numbers(one[1:])
        return self.reader.learn(items, lengths, targets, settings, stats, progress)

    def expected(self, sequences: list[Items]) -> list[NDArray[np.bool_]]:
        """Return for every item whether it was expected; the first of a sequence never is."""
        found = [np.zeros(len(items), np.bool_) for items in sequences]
        if max(len(items) for items in sequences) == 1:
            return found
        for first, logits, lengths in self.reader.logits(sequences):
            likeliest, sure = self._likeliest(logits)
            for i, length in enumerate(lengths):
                right = likeliest[i, : length - 1] == self.numbers(sequences[first + i][1:])
                found[first + i][1:] = right & sure[i, : length - 1]
        return found

    def restored(self, sequences: list[Items], lengths: NDArray[np.int64]) -> list[Items]:
        """Return the sequences of `lengths` items that these are what was not expected of."""
        found: list[Items] = []
        for i in range(0, len(sequences), ROWS):
            found += self._restored(i, sequences[i : i + ROWS], lengths[i : i + ROWS])
        return found

    def _restored(self, first: int, sequences: list[Items], lengths: NDArray[np.int64]) -> list[Items]:
        given = np.zeros((len(sequences), int(lengths.max())), np.bool_)
        items = np.zeros((*given.shape, self.kinds.shape[1]), np.int64)
        for i, one in enumerate(sequences):
            places = np.cumsum(one[:, -1]) - 1
            if places[0] != 0 or places[-1] >= lengths[i] or (np.diff(places) < 1).any():
                raise ValueError(f"[{NAME}] sequence {first + i} has gaps that do not fit its length {lengths[i]}")
            given[i, places] = True
            items[i, places] = one[:, :-1]
        net = self.reader.network(1, stateful=True)
        for t in range(1, given.shape[1]):
            logits = net.forward(self.reader.features(items[:, t - 1 : t]), training=False)[:, 0]
            likeliest, sure = self._likeliest(logits)
            wanted = ~given[:, t] & (t < lengths)
            lost = np.flatnonzero(wanted & ~(sure & (likeliest < len(self.kinds))))
            if lost.size:
                raise ValueError(
                    f"[{NAME}] sequence {first + lost[0]} was made by another compressor: lost at step {t}"
                )
            items[wanted, t] = self.kinds[likeliest[wanted]]
        return [row[:length].copy() for row, length in zip(items, lengths, strict=True)]

    def _likeliest(self, logits: Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        wide = np.ascontiguousarray(logits, np.float64)
        shares = kernels.exp(wide - wide.max(axis=-1, keepdims=True))
        total = np.cumsum(shares, axis=-1)[..., -1]  # one order of summation, whatever the shape
        likeliest: NDArray[np.int64] = wide.argmax(axis=-1)
        return likeliest, total * self.surprise <= 1.0
