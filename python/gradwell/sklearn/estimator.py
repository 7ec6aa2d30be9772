"""What both estimators share: parameters, training, outputs, and what a pickle holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gradwell.callbacks import EarlyStopping
from gradwell.checks import check_count, check_flag, check_number
from gradwell.clipping import clip_by_norm
from gradwell.doctor import Diagnosis, diagnose
from gradwell.history import History
from gradwell.network import Network
from gradwell.sklearn.parameters import batch_of, layers_of, optimizer_of
from gradwell.storage import from_bytes, to_bytes
from gradwell.training import fit

Array = NDArray[Any]

REAL = (np.float64, np.float32)  # what samples may come in; the network converts them, and says where it cannot


class MultilayerPerceptron(BaseEstimator):
    """Base of the estimators: dense layers trained by `gradwell.fit`.

    The bytes of a safetensors file stand for the network in a pickle; `history_` is not in it, `diagnosis_` is.
    """

    network_: Network
    history_: History
    n_iter_: int
    loss_curve_: list[float]
    _diagnosis: Diagnosis | None
    _seed: int

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        init: Any = None,
        normalization: str | None = None,
        dropout: float = 0.0,
        residual: bool | str = False,
        optimizer: Any = "adam",
        learning_rate: Any = None,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        batch_size: int = 32,
        epochs: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: int | None = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        stats: bool | str = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        dtype: str = "float32",
        verbose: bool = False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.normalization = normalization
        self.dropout = dropout
        self.residual = residual
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.batch_size = batch_size
        self.epochs = epochs
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.stats = stats
        self.random_state = random_state
        self.warm_start = warm_start
        self.dtype = dtype
        self.verbose = verbose

    @property
    def loss_(self) -> float:
        """Mean training loss of the last epoch."""
        check_is_fitted(self)
        return self.loss_curve_[-1]

    @property
    def diagnosis_(self) -> Diagnosis:
        """What the doctor says of the last training; worked out when it is first asked for."""
        check_is_fitted(self)
        if self._diagnosis is None:
            self._diagnosis = diagnose(self.history_)
        return self._diagnosis

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _goes_on(self, incremental: bool) -> bool:
        """Whether training starts from the weights that are there."""
        return hasattr(self, "network_") and (incremental or self.warm_start)

    def _train(self, x: Array, y: Array, loss: str, outputs: int, *, incremental: bool, classes: bool = False) -> None:
        """Train on samples (n, features) and targets, and keep what came of it; an error changes nothing.

        `classes` says whether the targets are class numbers, which a validation split then keeps the shares of.
        """
        network, seed = self._prepared(x.shape[1], outputs, incremental)
        given = self._settings(incremental)
        training, validation = (x, y), None
        if given["early_stopping"]:
            split = {"test_size": self.validation_fraction, "random_state": seed, "stratify": y if classes else None}
            x, held_x, y, held_y = train_test_split(x, y, **split)
            training, validation = (x, y), (held_x, held_y)
        size = batch_of(self._name, self.batch_size, len(x), whole=self.normalization == "batch")
        resumes = incremental and network.training_state is not None
        before = network.training_state
        epochs = _made_to_go_on(network, len(x), size) + 1 if resumes else (1 if incremental else self.epochs)
        try:
            history = fit(
                network,
                training,
                loss=loss,
                optimizer=given["optimizer"],
                batch_size=size,
                epochs=epochs,
                validation=validation,
                clip=given["clip"],
                stats=self.stats,
                seed=seed,
                progress=given["verbose"],
                callbacks=given["callbacks"],
                resume=resumes,
            )
        except (ValueError, TypeError):
            network.training_state = before
            raise
        losses = [float(value) for value in history.loss]
        self.loss_curve_ = [*self.loss_curve_, *losses] if resumes else losses
        self.n_iter_ = len(self.loss_curve_)
        self.network_, self.history_ = network, history
        self._seed, self._diagnosis = seed, None

    def _prepared(self, inputs: int, outputs: int, incremental: bool) -> tuple[Network, int]:
        """Return the network to train and the seed of its batches: new ones, or those that are there."""
        shape = {name: getattr(self, name) for name in ("activation", "init", "normalization", "dropout", "residual")}
        layers = layers_of(self._name, self.hidden_layer_sizes, outputs, **shape)
        continued = self._goes_on(incremental)
        dtype = self.dtype if isinstance(self.dtype, str) else np.dtype(self.dtype).name
        if continued and (self.network_.layers != tuple(layers) or self.network_.dtype != dtype):
            raise ValueError(
                f"[{self._name}] the parameters describe other layers than those that are trained; needs the same "
                "to go on, or a fit with warm_start=False"
            )
        if continued and incremental:
            return self.network_, self._seed
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return (self.network_ if continued else Network(layers, inputs, seed=seed, dtype=self.dtype)), seed

    def _settings(self, incremental: bool) -> dict[str, Any]:
        """Return the arguments of `fit` that parameters stand for, checked."""
        check_count(self._name, "epochs", self.epochs)
        least = check_number(self._name, "tol", self.tol, lowest=0.0)
        early = check_flag(self._name, "early_stopping", self.early_stopping)
        if early and incremental:
            raise ValueError(f"[{self._name}] early_stopping is True; partial_fit needs False")
        callbacks: list[Any] = []
        if self.n_iter_no_change is not None and not incremental:
            check_count(self._name, "n_iter_no_change", self.n_iter_no_change)
            watched = "validation_loss" if early else "loss"
            callbacks.append(
                EarlyStopping(watched, patience=self.n_iter_no_change, min_delta=least, restore_best=early)
            )
        return {
            "optimizer": optimizer_of(self._name, self.optimizer, self.learning_rate, self.weight_decay),
            "clip": None if self.clip_norm is None else clip_by_norm(self.clip_norm),
            "early_stopping": early,
            "callbacks": callbacks,
            "verbose": bool(self.verbose),
        }

    def _outputs(self, X: Any) -> Array:
        """Return the network's outputs (n, outputs) in float64."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=REAL)
        return self.network_.predict(x).astype(np.float64)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: the network as the bytes of its file, and the diagnosis for the history."""
        state = dict(super().__getstate__())
        if "network_" in state:
            state["_diagnosis"] = self.diagnosis_
            state["network_"] = to_bytes(self.network_)
            state.pop("history_", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the estimator that `__getstate__` described."""
        super().__setstate__(state)
        if "network_" in state:
            self.network_ = from_bytes(state["network_"])


def _made_to_go_on(network: Network, samples: int, batch_size: int) -> int:
    """Make the training state fit other samples; return the number of the epoch it then stands before.

    A resumed `fit` needs as many samples as before, `partial_fit` may bring others. The epoch is the first one that
    starts at the steps taken or later, so that no random number of dropout is drawn twice.
    """
    state = network.training_state or {}
    per_epoch = -(-samples // batch_size)
    epoch = -(-int(state["step"]) // per_epoch)
    at = {"samples": samples, "batch_size": batch_size, "step": epoch * per_epoch, "epoch": [0.0, 0.0, 0.0]}
    network.training_state = {**state, **at}
    return epoch
