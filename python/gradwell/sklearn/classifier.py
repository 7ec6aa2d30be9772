"""The classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d, validate_data

from gradwell.sklearn.estimator import REAL, MultilayerPerceptron

Array = NDArray[Any]


class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    """Multilayer perceptron that tells classes apart, trained by `gradwell.fit`.

    The loss is the cross-entropy of softmax(logits); for several labels a sample, (n, labels) of 0 and 1, that of the
    logistic function. Samples are taken as they are: put a `StandardScaler` in front.

    Parameters
    ----------
    hidden_layer_sizes
        Widths of the hidden layers: (64, 32), one number, or "64x6" for six of 64; () for none.
    activation, init, normalization, dropout
        As in `gradwell.mlp`.
    residual
        True makes every hidden layer behind the first a block x + F(x) / sqrt(blocks); "rezero" and "fixup" learn the
        scale.
    optimizer
        "adam", "adamw", "sgd", "rmsprop", "adagrad", "rprop", or a gradwell optimiser such as ``gw.SGD(0.1)``.
    learning_rate, weight_decay
        Of an optimiser by name; None takes its usual ones (0.01 for "sgd"). The rate may be a schedule.
    clip_norm
        Clips the norm of all gradients together; None does not.
    batch_size
        Samples a step, at most all. With normalization="batch" it grows where the last batch would have one sample.
    epochs
        Most passes over the data.
    tol, n_iter_no_change
        Training ends when the loss has not improved by more than `tol` for so many epochs; None trains all epochs.
    early_stopping, validation_fraction
        Whether to hold this share of the samples back, look at its loss instead, and keep the weights of its best.
    stats
        As in `gradwell.fit`: what of the gradients is recorded.
    random_state
        Seed of weights, batches and split; an int makes them the same each time, to the bit.
    warm_start
        Whether `fit` starts from the weights that are there.
    dtype
        "float32" or "float64".
    verbose
        Whether to show a bar.

    Attributes
    ----------
    classes_
        The labels (classes,); of several labels a sample their numbers.
    network_, history_, diagnosis_
        The `gradwell.Network`, the `gradwell.History` of the last call and what `gradwell.diagnose` says of it.
    loss_, loss_curve_, n_iter_
        Mean training loss of the last epoch and of every one, and how many there were.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Raises
    ------
    ValueError, TypeError
        Parameters or samples that make no sense, from `fit`; a network trained before stays as it was.
    NonFiniteError
        A training step made a NaN or an infinity; ``gradwell.diagnose(error)`` says where it came from.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> x, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier((20, 20), epochs=50, random_state=0)).fit(x, y)
    >>> model.score(x, y) > 0.95, model[-1].diagnosis_.healthy
    (True, True)
    """

    classes_: Array
    _multilabel: bool

    def fit(self, X: Any, y: Any) -> MLPClassifier:
        """Train on samples X (n, features) and labels y (n,), or (n, labels) of 0 and 1."""
        return self._learn(X, y, None, incremental=False)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> MLPClassifier:
        """Train for one more pass over samples; the optimiser goes on where it was.

        `classes` are all labels there will be, needed by the first call on labels (n,).
        """
        return self._learn(X, y, classes, incremental=True)

    def predict(self, X: Any) -> Array:
        """Return the likeliest label of every sample (n,), or (n, labels) of 0 and 1."""
        logits = self._outputs(X)
        if self._multilabel:
            return (logits > 0).astype(np.int64)
        labels: Array = self.classes_[logits.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of every class, in the order of `classes_` (n, classes)."""
        logits = self._outputs(X)
        return np.asarray(expit(logits) if self._multilabel else softmax(logits, axis=1))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of `predict_proba`, finite where those are too small for a float."""
        logits = self._outputs(X)
        return np.asarray(log_expit(logits) if self._multilabel else log_softmax(logits, axis=1))

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of every estimator."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _learn(self, X: Any, y: Any, classes: Any, *, incremental: bool) -> MLPClassifier:
        continued = self._goes_on(incremental)
        x, y = validate_data(self, X, y, reset=not continued, multi_output=True, dtype=REAL)
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(f"[{self._name}] y has several columns of classes; needs (n,), or (n, labels) of 0 and 1")
        multilabel = kind == "multilabel-indicator"
        if continued and multilabel != self._multilabel:
            raise ValueError(f"[{self._name}] y has shape {np.shape(y)}; needs as many dimensions as before to go on")
        if multilabel:
            targets = (y.toarray() if issparse(y) else y).astype(np.float32)
            known, loss = np.arange(targets.shape[1]), "sigmoid_cross_entropy"
        else:
            y = column_or_1d(y, warn=True)
            known, loss = self._known(y, classes, continued, incremental), "softmax_cross_entropy"
            targets = _numbers(self._name, y, known)
        if continued and not np.array_equal(known, self.classes_):
            raise ValueError(f"[{self._name}] classes are {known}; needs the {self.classes_} of before to go on")
        self._train(x, targets, loss, len(known), incremental=incremental, classes=not multilabel)
        self.classes_, self._multilabel = known, multilabel
        return self

    def _known(self, y: Array, classes: Any, continued: bool, incremental: bool) -> Array:
        """Return all labels there are."""
        if classes is None and incremental:
            if not continued:
                raise ValueError(f"[{self._name}] classes is None; the first call of partial_fit needs all labels")
            return self.classes_
        known: Array = np.unique(y if classes is None else np.asarray(classes))
        if len(known) < 2:
            raise ValueError(f"[{self._name}] y has {len(known)} class; needs at least 2")
        return known


def _numbers(operation: str, y: Array, classes: Array) -> Array:
    """Return the place of every label in `classes`, which are in order."""
    places = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    wrong = np.flatnonzero(classes[places] != y)
    if wrong.size:
        raise ValueError(f"[{operation}] y has {y[wrong[0]]!r} in row {wrong[0]}; needs one of {classes}")
    return np.asarray(places, np.int64)
