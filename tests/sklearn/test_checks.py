"""scikit-learn's own checks of estimators, all of them."""

import pytest

pytest.importorskip("sklearn.base")

from sklearn.utils.estimator_checks import parametrize_with_checks

from gradwell.sklearn import MLPClassifier, MLPRegressor


@parametrize_with_checks(
    [
        MLPClassifier(),
        MLPRegressor(),
        MLPClassifier("20x3", "tanh", normalization="batch", residual=True, epochs=50, random_state=0),
        MLPRegressor((), dtype="float64", optimizer="sgd", epochs=50),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
