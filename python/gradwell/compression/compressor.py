"""The history compressor: levels of predictors, and a classifier on what is left at the top."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwell.checks import check_count, integer_array
from gradwell.compression import figures
from gradwell.compression.history import CompressionHistory
from gradwell.compression.predictor import Predictor
from gradwell.compression.reader import Reader
from gradwell.compression.sequences import NAME, Compressed, Items, checked_sequences, padded, pass_up
from gradwell.compression.settings import Settings
from gradwell.gradients import gradients
from gradwell.nonfinite import NonFiniteError

Array = NDArray[Any]

MEASURED = 256  # sequences that the gradients of an untrained classifier are measured on


class HistoryCompressor:
    """Predictors stacked by the principle of history compression (Schmidhuber, 1992), with a classifier on top.

    A recurrent net learns p(s_t | s_1 ... s_(t-1)). Symbol s_t is expected where it is the likeliest and
    p >= `surprise`; what is expected says nothing new and is left out. The others, and the first of a sequence in any
    case, go up as pairs (s_t, gap), gap the steps since the one before. The next level does the same with these pairs.
    Nothing is lost: `decompress` lets the predictors fill in what was left out. Errors of a classifier on top travel
    over few steps instead of many.

    Parameters
    ----------
    alphabet
        Number of symbols, 0 to alphabet - 1; None takes the largest of the training sequences and one more.
    cell, hidden_size
        Of the predictors: "lstm", "gru" or "rnn", and its units.
    max_levels
        Levels at most; 0 leaves the classifier alone with the raw sequences.
    surprise
        Least probability of an expected symbol, from 0 to below 1. At 0 the likeliest is always expected; from 0.5 on,
        one of two that are equally likely never is but by a net that errs, so that it cannot vanish from the upper
        level's sight in some sequences and stay in others. By default 0.8.
    min_shortening
        A level is kept if it leaves out at least this share of the symbols. Levels end with one that does not, where no
        sequence has more than one symbol left, or at `max_levels`.
    optimizer, learning_rate, epochs, batch_size, max_norm
        How each predictor is trained: "adam", "rmsprop" or "sgd", with clipping by norm.
    classifier_cell, classifier_size, classifier_epochs, classifier_learning_rate
        Of the classifier; None takes the predictors'.
    seed
        Of all that is drawn: the same seed gives the same bits.
    dtype
        "float32" or "float64".

    Attributes
    ----------
    levels
        Number of levels that were kept.
    history_
        The `CompressionHistory` of the last fit; None before.

    Raises
    ------
    ValueError, TypeError
        Settings that make no compressor.

    References
    ----------
    J. Schmidhuber (1992), Learning complex, extended sequences using the principle of history compression, Neural
    Computation 4(2).

    Examples
    --------
    >>> import gradwell as gw
    >>> x, y = gw.datasets.rare_symbols(50, 20, seed=0)
    >>> compressor = gw.HistoryCompressor(cell="rnn", epochs=40, seed=0)
    >>> compressor.fit(x, y)
    <CompressionHistory mean length 21 → 1>
    >>> compressor.score(x, y), [items.tolist() for items in compressor.compress(x[:2]).items]
    (1.0, [[[1, 1]], [[1, 1]]])
    >>> bool((compressor.decompress(compressor.compress(x))[7] == x[7]).all())
    True
    """

    def __init__(
        self,
        alphabet: int | None = None,
        *,
        cell: str = "lstm",
        hidden_size: int = 32,
        max_levels: int = 3,
        surprise: float = 0.8,
        min_shortening: float = 0.05,
        optimizer: str = "adam",
        learning_rate: float = 0.01,
        epochs: int = 20,
        batch_size: int = 32,
        max_norm: float = 1.0,
        classifier_cell: str | None = None,
        classifier_size: int | None = None,
        classifier_epochs: int | None = None,
        classifier_learning_rate: float | None = None,
        seed: int = 0,
        dtype: str = "float32",
    ):
        given = {name: value for name, value in locals().items() if name != "self"}
        self.settings = Settings(**given)
        self.history_: CompressionHistory | None = None
        self.symbols: int | None = self.settings.alphabet
        """Size of the alphabet; None until it is known."""
        self.predictors: list[Predictor] = []
        self.classifier: Reader | None = None
        self.classes_: NDArray[np.int64] = np.zeros(0, np.int64)
        """The labels, in order."""

    @property
    def levels(self) -> int:
        """Number of levels that were kept."""
        return len(self.predictors)

    def fit(
        self, x: Any, y: Any = None, *, lengths: Any = None, stats: bool | str = "auto", progress: bool | None = None
    ) -> CompressionHistory:
        """Train all levels anew, one after the other, and with labels the classifier; return what happened.

        A second fit forgets the first.

        Parameters
        ----------
        x
            Sequences: a list of integer arrays of one dimension, or one array (n, time), with `lengths` if they differ.
        y
            Integer labels (n,), or None for no classifier.
        lengths
            Symbols of each row of x.
        stats, progress
            As in `gradwell.fit`.

        Raises
        ------
        ValueError, TypeError
            Bad arguments.
        KeyboardInterrupt, NonFiniteError
            With what was done so far as ``.history``; the compressor is as it was before the call.
        """
        sequences = checked_sequences(x, lengths, self.settings.alphabet)
        labels = None if y is None else self._labels(y, len(sequences))
        symbols = self.settings.alphabet or 1 + max(int(items.max()) for items in sequences)
        history, classifier = CompressionHistory(), None
        predictors: list[Predictor] = []
        try:
            top = self._stack(sequences, symbols, predictors, history, stats, progress)
            if labels is not None:
                classifier = self._classify(sequences, top, labels, symbols, history, stats, progress)
        except (KeyboardInterrupt, NonFiniteError) as error:
            error.history = history  # type: ignore[union-attr]
            raise
        self.history_, self.symbols, self.predictors, self.classifier = history, symbols, predictors, classifier
        self.classes_ = np.zeros(0, np.int64) if labels is None else np.unique(labels)
        return history

    def _stack(
        self,
        sequences: list[Items],
        symbols: int,
        predictors: list[Predictor],
        history: CompressionHistory,
        stats: bool | str,
        progress: bool | None,
    ) -> list[Items]:
        s = self.settings
        history.measure(sequences)
        history.stopped = f"max_levels {s.max_levels} reached"
        for level in range(s.max_levels):
            if history.max_length[-1] == 1:
                history.stopped = "one symbol is left"
                break
            predictor = Predictor.of(sequences, symbols, s.cell, s.hidden_size, s.surprise, s.dtype)
            learnt = predictor.learn(sequences, s.of_predictor(level), stats, progress)
            expected = predictor.expected(sequences)
            left_out = sum(int(flags.sum()) for flags in expected) / sum(len(flags) for flags in expected)
            if left_out < max(s.min_shortening, 1e-12):
                history.rejected = learnt
                history.stopped = f"level {level + 1} left out {left_out:.1%}; needs {s.min_shortening:.1%}"
                break
            sequences = [pass_up(items, flags) for items, flags in zip(sequences, expected, strict=True)]
            predictors.append(predictor)
            history.predictors.append(learnt)
            history.unexpected.append(1 - left_out)
            history.measure(sequences)
        return sequences

    def _classify(
        self,
        raw: list[Items],
        top: list[Items],
        labels: NDArray[np.int64],
        symbols: int,
        history: CompressionHistory,
        stats: bool | str,
        progress: bool | None,
    ) -> Reader:
        s, (classes, targets) = self.settings, np.unique(labels, return_inverse=True)
        settings = s.of_classifier()
        readers = []
        for name, sequences in (("raw", raw), ("compressed", top)):
            longest = [max(int(items[:, k].max()) for items in sequences) for k in range(1, sequences[0].shape[1])]
            cell, units = s.classifier_cell or s.cell, s.classifier_size or s.hidden_size
            readers.append(Reader(cell, units, symbols, longest, len(classes), False, s.dtype))
            history.fresh[name] = _fresh_gradient(readers[-1], sequences, targets, settings["seed"])
        items, counts = padded(top)
        history.classifier = readers[-1].learn(items, counts, targets, settings, stats, progress)
        return readers[-1]

    def compress(self, x: Any, level: int | None = None, *, lengths: Any = None) -> Compressed:
        """Return what is left of sequences after `level` levels, by default all."""
        self._check_fitted()
        count = self.levels if level is None else self._check_level(level)
        sequences = checked_sequences(x, lengths, self.symbols)
        below = np.zeros((len(sequences), count), np.int64)
        for k, predictor in enumerate(self.predictors[:count]):
            below[:, k] = [len(items) for items in sequences]
            flags = predictor.expected(sequences)
            sequences = [pass_up(items, one) for items, one in zip(sequences, flags, strict=True)]
        return Compressed(sequences, below)

    def decompress(self, compressed: Compressed) -> list[NDArray[np.int64]]:
        """Return the sequences that `compress` was given, symbol for symbol.

        Predictors must give the bits they gave then: the same weights, on a processor of the same level.

        Raises
        ------
        ValueError
            What is given does not come from this compressor.
        """
        self._check_fitted()
        if not isinstance(compressed, Compressed):
            raise TypeError(f"[{NAME}] compressed is of type {type(compressed).__name__}; needs what compress returns")
        sequences = compressed.items
        for k in reversed(range(self._check_level(compressed.level))):
            sequences = self.predictors[k].restored(sequences, compressed.lengths[:, k])
        return [items[:, 0] for items in sequences]

    def predict_proba(self, x: Any, *, lengths: Any = None) -> Array:
        """Return the probability of each of `classes_` (n, classes)."""
        if self.classifier is None:
            self._check_fitted()
            raise ValueError(f"[{NAME}] there is no classifier; fit with labels first")
        top = self.compress(x, lengths=lengths).items
        logits = np.concatenate([part for _, part, _ in self.classifier.logits(top)]).astype(np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Array = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, x: Any, *, lengths: Any = None) -> NDArray[np.int64]:
        """Return the likeliest label of each sequence (n,)."""
        likeliest = self.predict_proba(x, lengths=lengths).argmax(axis=1)
        labels: NDArray[np.int64] = self.classes_[likeliest]
        return labels

    def score(self, x: Any, y: Any, *, lengths: Any = None) -> float:
        """Return the share of labels that are right."""
        predicted = self.predict(x, lengths=lengths)
        return float((predicted == self._labels(y, len(predicted))).mean())

    def summary(self) -> str:
        """Return a table of the levels: lengths, what goes up, and the predictors' losses."""
        self._check_fitted()
        assert self.history_ is not None
        return figures.table(self.history_)

    def plot(self) -> Any:
        """Draw the length by level and, where there were labels, |dC/dh_t| raw against compressed; return the figure.

        Needs ``pip install "gradwell[plot]"``.
        """
        self._check_fitted()
        assert self.history_ is not None
        return figures.draw(self.history_)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write settings, weights and history to a safetensors file: whole or not at all."""
        from gradwell.compression.files import save_compressor

        self._check_fitted()
        save_compressor(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HistoryCompressor:
        """Return the compressor that `save` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is damaged or holds something else.
        """
        from gradwell.compression.files import load_compressor

        return load_compressor(path)

    def _labels(self, y: Any, rows: int) -> NDArray[np.int64]:
        labels = integer_array(NAME, "y", y)
        if labels.shape != (rows,):
            raise ValueError(f"[{NAME}] y has shape {labels.shape} but x has {rows} sequences; needs ({rows},)")
        return labels

    def _check_fitted(self) -> None:
        if self.history_ is None:
            raise ValueError(f"[{NAME}] there is nothing learnt yet; fit it first, or load one")

    def _check_level(self, level: int) -> int:
        check_count(NAME, "level", level, lowest=0)
        if level > self.levels:
            raise ValueError(f"[{NAME}] level is {level}; needs at most {self.levels}, the levels there are")
        return int(level)

    def __repr__(self) -> str:
        s = self.settings
        if self.history_ is None:
            return f"<HistoryCompressor {s.cell} {s.hidden_size}, at most {s.max_levels} levels; not fitted>"
        lengths = " → ".join(f"{mean:.4g}" for mean in self.history_.mean_length)
        classes = f"; {len(self.classes_)} classes" if self.classifier is not None else ""
        return f"<HistoryCompressor {s.cell} {s.hidden_size}, {self.symbols} symbols, mean length {lengths}{classes}>"


def _fresh_gradient(reader: Reader, sequences: list[Items], targets: NDArray[np.int64], seed: int) -> Array:
    """Return |dC/dh_t| (time,) of the untrained net over sequences of the most frequent length."""
    counts = np.array([len(items) for items in sequences])
    values, often = np.unique(counts, return_counts=True)
    chosen = np.flatnonzero(counts == values[often.argmax()])[:MEASURED]
    items, _ = padded([sequences[i] for i in chosen])
    net = reader.network(items.shape[1], seed=seed)
    record = gradients(net, reader.features(items), targets[chosen], loss="softmax_cross_entropy")
    norms: Array = record.time("0").norm("hidden")[0]
    return norms
