"""scikit-learn's MLPClassifier: plain SGD in the order of the data."""

import warnings

import sklearn
from jobs import RATE
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

ACTIVATIONS = {"sigmoid": "logistic", "tanh": "tanh"}


class ScikitLearn:
    def __init__(self, job):
        if job.kind != "step":
            raise NotImplementedError
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.version = f"scikit-learn {sklearn.__version__}"
        self.net = MLPClassifier(
            job.sizes[1:-1],
            activation=ACTIVATIONS[job.activation],
            solver="sgd",
            alpha=0,
            batch_size=job.batch,
            learning_rate_init=RATE,
            momentum=0,
            max_iter=1,
            shuffle=False,
            warm_start=True,
        )
        self.x, self.y = job.data()
        first = slice(0, job.batch)
        self.y[: job.sizes[-1]] %= job.sizes[-1]
        self.net.fit(self.x[: max(job.batch, 200)], self.classes(max(job.batch, 200), job.sizes[-1]))
        del first
        for i, (weight, bias) in enumerate(job.weights()):
            self.net.coefs_[i][:] = weight
            self.net.intercepts_[i][:] = bias

    def classes(self, count, classes):
        """Return targets in which every class appears, so that the net is made with all its outputs."""
        y = self.y[:count].copy()
        y[:classes] = range(classes)
        return y

    def train(self):
        """Return the mean loss of the round: what scikit-learn tells."""
        self.net.fit(self.x, self.y)
        return [self.net.loss_curve_[-1]]
