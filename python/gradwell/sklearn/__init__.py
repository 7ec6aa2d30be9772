"""Estimators for scikit-learn; needs ``pip install "gradwell[sklearn]"``.

They take and give what scikit-learn's do (`Pipeline`, `GridSearchCV`, `cross_val_score`, `clone`), and keep what a fit
of ours leaves behind: `network_`, `history_` and the doctor's `diagnosis_`.
"""

try:
    import sklearn.base as _needed
except ImportError as error:
    raise ImportError('gradwell.sklearn needs scikit-learn 1.6 or later: pip install "gradwell[sklearn]"') from error

from gradwell.sklearn.classifier import MLPClassifier
from gradwell.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
