"""The regressor."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import column_or_1d, validate_data

from gradwell.sklearn.estimator import REAL, MultilayerPerceptron

Array = NDArray[Any]


class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """Multilayer perceptron that predicts numbers, trained by `gradwell.fit`.

    The loss is the mean squared error over samples and outputs. Samples and targets are taken as they are: put a
    `StandardScaler` in front, and targets far from 1 into a `TransformedTargetRegressor`.

    Parameters, attributes but for `classes_`, and errors are those of `MLPClassifier`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 3))
    >>> model = MLPRegressor("32x2", activation="tanh", epochs=50, random_state=0).fit(x, np.sin(x[:, 0]) * x[:, 1])
    >>> model.score(x, np.sin(x[:, 0]) * x[:, 1]) > 0.95
    True
    """

    _flat: bool

    def fit(self, X: Any, y: Any) -> MLPRegressor:
        """Train on samples X (n, features) and targets y (n,) or (n, outputs)."""
        return self._learn(X, y, incremental=False)

    def partial_fit(self, X: Any, y: Any) -> MLPRegressor:
        """Train for one more pass over samples; the optimiser goes on where it was."""
        return self._learn(X, y, incremental=True)

    def predict(self, X: Any) -> Array:
        """Return the predictions (n,) or (n, outputs)."""
        outputs = self._outputs(X)
        return outputs.ravel() if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of every estimator."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _learn(self, X: Any, y: Any, *, incremental: bool) -> MLPRegressor:
        continued = self._goes_on(incremental)
        x, y = validate_data(self, X, y, reset=not continued, multi_output=True, y_numeric=True, dtype=REAL)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = y.reshape(len(y), -1)
        if continued and targets.shape[1] != self.network_.outputs:
            raise ValueError(
                f"[{self._name}] y has {targets.shape[1]} columns; needs the {self.network_.outputs} before"
            )
        self._train(x, targets, "mean_squared_error", targets.shape[1], incremental=incremental)
        self._flat = y.ndim == 1
        return self
