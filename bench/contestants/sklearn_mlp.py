"""scikit-learn: MLPClassifier by plain SGD in the order of the data; BernoulliRBM, whose chains go on."""

import warnings

import numpy as np
import sklearn
from jobs import RATE
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from threadpoolctl import threadpool_limits

ACTIVATIONS = {"sigmoid": "logistic", "tanh": "tanh"}


class ScikitLearn:
    def __init__(self, job):
        self.version = f"scikit-learn {sklearn.__version__}"
        self.job = job
        if job.kind != "step":
            return
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.net = MLPClassifier(
            job.sizes[1:-1],
            activation=ACTIVATIONS[job.activation],
            solver="sgd",
            alpha=0,
            batch_size=job.batch,
            learning_rate_init=RATE,
            momentum=0,
            max_iter=job.epochs,
            shuffle=False,
            warm_start=True,
        )
        self.x, self.y = job.data()
        count = max(job.batch, 200)
        self.net.fit(self.x[:count], np.resize(np.arange(job.sizes[-1]), count))  # makes a net of all outputs
        for i, (weight, bias) in enumerate(job.weights()):
            self.net.coefs_[i][:] = weight
            self.net.intercepts_[i][:] = bias

    def train(self):
        """Return the mean loss of every epoch: what scikit-learn tells."""
        before = len(self.net.loss_curve_)
        self.net.fit(self.x, self.y)
        return self.net.loss_curve_[before:]

    def boltzmann(self, x, weight):
        threadpool_limits(self.job.threads)
        visible, hidden = weight.shape
        net = BernoulliRBM(hidden, learning_rate=RATE, batch_size=self.job.batch, n_iter=1, random_state=0)
        net.fit(x[: self.job.batch])  # makes the arrays
        net.components_ = np.ascontiguousarray(weight.T)
        net.intercept_hidden_, net.intercept_visible_ = np.zeros(hidden, np.float32), np.zeros(visible, np.float32)
        return lambda: net.fit(x), net.transform
