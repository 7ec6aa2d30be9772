"""The estimators do what their parameters say, keep what scikit-learn expects, and come back whole from a pickle."""

import io
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn.base")

import joblib
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gradwell as gw
from gradwell.sklearn import MLPClassifier, MLPRegressor


@pytest.fixture(scope="module")
def flowers():
    x, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture(scope="module")
def waves():
    x = np.random.default_rng(0).normal(size=(400, 3))
    return x, np.sin(x[:, 0]) * x[:, 1]


def same(a, b):
    np.testing.assert_array_equal(a, b, strict=True)


def copies(model):
    """The estimator by pickle at every protocol, and by joblib."""
    yield from (pickle.loads(pickle.dumps(model, protocol)) for protocol in (2, pickle.HIGHEST_PROTOCOL))
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    yield joblib.load(file)


def test_a_classifier_learns_labels_of_any_kind(flowers):
    x, y = flowers
    model = MLPClassifier((20,), learning_rate=0.01, epochs=60, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.95
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    same(model.classes_[model.predict_proba(x).argmax(axis=1)], model.predict(x))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(x)), model.predict_proba(x), rtol=1e-12)


def test_the_logarithm_of_an_impossible_class_is_finite():
    x = np.array([[-1.0], [1.0]] * 20)
    model = MLPClassifier((), optimizer=gw.SGD(1.0), random_state=0).fit(x, x[:, 0] > 0)
    far = model.predict_log_proba([[-1e4]])
    assert model.predict_proba([[-1e4]])[0, 1] == 0
    assert np.isfinite(far).all() and far[0, 1] < -745


def test_several_labels_a_sample(flowers):
    x, y = flowers
    labels = np.column_stack([y == "setosa", y != "virginica"]).astype(int)
    model = MLPClassifier((20,), learning_rate=0.01, epochs=60, random_state=0).fit(x, labels)
    assert model.score(x, labels) > 0.9
    assert model.predict(x).shape == labels.shape and set(np.unique(model.predict(x))) == {0, 1}
    same(model.predict_proba(x) > 0.5, model.predict(x) == 1)
    again = MLPClassifier((20,), learning_rate=0.01, random_state=0)
    for _ in range(60):
        again.partial_fit(x, labels)
    assert again.score(x, labels) > 0.9


def test_a_regressor_of_one_and_of_several_targets(waves):
    x, y = waves
    model = MLPRegressor("32x2", activation="tanh", epochs=100, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.95 and model.predict(x).shape == y.shape
    both = MLPRegressor("32x2", activation="tanh", epochs=100, random_state=0).fit(x, np.column_stack([y, -y]))
    assert both.predict(x).shape == (400, 2) and both.score(x, np.column_stack([y, -y])) > 0.95
    assert MultiOutputRegressor(model).fit(x, np.column_stack([y, -y])).predict(x).shape == (400, 2)


def test_large_targets_in_a_transformed_target_regressor(waves):
    x, y = waves
    inside = MLPRegressor("32x2", activation="tanh", epochs=100, random_state=0)
    model = TransformedTargetRegressor(inside, transformer=StandardScaler())
    assert model.fit(x, 1e6 + 1e5 * y).score(x, 1e6 + 1e5 * y) > 0.95


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_random_state_gives_the_same_bits(flowers, dtype):
    x, y = flowers
    model = MLPClassifier((20,), dropout=0.2, dtype=dtype, epochs=5, random_state=7)
    one, other = clone(model).fit(x, y), clone(model).fit(x, y)
    same(one.predict_proba(x), other.predict_proba(x))
    assert one.loss_curve_ == other.loss_curve_
    assert one.network_.dtype == dtype
    different = clone(model).set_params(random_state=8).fit(x, y)
    assert (different.predict_proba(x) != one.predict_proba(x)).any()


def test_recording_changes_no_bit(flowers):
    x, y = flowers
    fits = [MLPClassifier((20,), epochs=5, random_state=0, stats=stats).fit(x, y) for stats in (True, False, "auto")]
    for other in fits[1:]:
        same(fits[0].predict_proba(x), other.predict_proba(x))
    assert len(fits[0].history_.gradients.steps) == 25 and len(fits[1].history_.gradients.steps) == 0


def test_a_pickle_holds_the_bytes_of_a_safetensors_file(flowers):
    x, y = flowers
    model = MLPClassifier((20,), epochs=5, random_state=0).fit(x, y)
    held = model.__getstate__()
    assert gw.mlp([2, 2]).__class__ not in {type(value) for value in held.values()}
    assert isinstance(held["network_"], bytes) and b'"gradwell"' in held["network_"]
    for again in copies(model):
        same(again.predict_proba(x), model.predict_proba(x))
        assert again.loss_curve_ == model.loss_curve_
        assert again.diagnosis_.to_dict() == model.diagnosis_.to_dict()
        same(again.partial_fit(x, y).predict_proba(x), pickle.loads(pickle.dumps(again)).predict_proba(x))


def test_an_estimator_goes_on_after_a_pickle_as_if_there_had_been_none(flowers):
    x, y = flowers
    model = MLPClassifier((20,), dropout=0.2, random_state=0)
    model.partial_fit(x, y, classes=np.unique(y))
    (again, *_) = copies(model)
    for one in (model, again):
        one.partial_fit(x, y)
        one.partial_fit(x[:70], y[:70])
    same(again.predict_proba(x), model.predict_proba(x))


def test_an_unfitted_estimator_can_be_pickled():
    again = pickle.loads(pickle.dumps(MLPClassifier("8x2", optimizer=gw.Adam(0.1))))
    assert again.get_params()["optimizer"] == gw.Adam(0.1)


def test_partial_fits_are_the_epochs_of_a_fit(flowers):
    x, y = flowers
    whole = MLPClassifier((20,), epochs=4, dropout=0.2, random_state=3, n_iter_no_change=None).fit(x, y)
    parts = MLPClassifier((20,), dropout=0.2, random_state=3)
    for _ in range(4):
        parts.partial_fit(x, y, classes=np.unique(y))
    same(parts.predict_proba(x), whole.predict_proba(x))
    assert parts.loss_curve_ == whole.loss_curve_ and parts.n_iter_ == 4


def test_partial_fit_takes_batches_of_any_size_and_continues_the_optimiser(flowers):
    x, y = flowers
    model = MLPClassifier((20,), optimizer=gw.Adam(1e-3), random_state=0)
    updates = 0
    for rows in (slice(0, 150), slice(0, 7), slice(40, 141), slice(149, 150)):
        model.partial_fit(x[rows], y[rows], classes=np.unique(y))
        updates += -(-len(x[rows]) // 32)
        assert model.network_.program.updates == updates  # Adam's t
    assert model.n_iter_ == 4


def test_partial_fit_says_what_it_needs(flowers):
    x, y = flowers
    with pytest.raises(ValueError, match="classes is None"):
        MLPClassifier().partial_fit(x, y)
    model = MLPClassifier((5,), random_state=0).partial_fit(x, y, classes=np.unique(y))
    before = model.predict_proba(x)
    for arguments, match in [
        ((x, np.full(len(x), "rose")), "'rose'.* in row 0"),
        ((x, y, ["setosa", "rose"]), "classes|rose"),
        ((x[:, :2], y), "features"),
        ((x, np.column_stack([y == "setosa"] * 3).astype(int)), "dimensions"),
    ]:
        with pytest.raises(ValueError, match=match):
            model.partial_fit(*arguments)
    with pytest.raises(ValueError, match="other layers"):
        model.set_params(hidden_layer_sizes=(6,)).partial_fit(x, y)
    with pytest.raises(ValueError, match="early_stopping"):
        model.set_params(hidden_layer_sizes=(5,), early_stopping=True).partial_fit(x, y)
    model.set_params(early_stopping=False)
    same(model.predict_proba(x), before)
    model.partial_fit(x, y)


def test_a_warm_start_begins_from_the_weights_that_are_there(flowers):
    x, y = flowers
    model = MLPClassifier((20,), epochs=3, random_state=0, warm_start=True).fit(x, y)
    first = model.loss_
    network = model.network_
    model.fit(x, y)
    assert model.network_ is network and model.loss_curve_[0] < first and model.n_iter_ == 3
    with pytest.raises(ValueError, match="classes"):
        model.fit(x, np.where(y == "setosa", "rose", y))
    assert MLPClassifier((20,), epochs=3, random_state=0).fit(x, y).fit(x, y).loss_ == first


def test_early_stopping_keeps_the_best_epoch(flowers):
    x, y = flowers
    noisy = np.random.default_rng(1).permutation(y)  # nothing to learn but by heart
    model = MLPClassifier((50,), optimizer=gw.Adam(0.02), random_state=0, early_stopping=True, n_iter_no_change=3)
    model.fit(x, noisy)
    losses = model.history_.metrics["validation_loss"]
    assert model.n_iter_ == len(losses) < 200 and losses.argmin() == len(losses) - 4
    assert "has not improved" in model.history_.stopped
    assert model.network_.training_state["step"] < len(model.history_.step_loss)


def test_training_ends_when_the_loss_does(flowers):
    x, y = flowers
    assert MLPClassifier((20,), tol=10.0, n_iter_no_change=4, random_state=0).fit(x, y).n_iter_ == 5
    assert MLPClassifier((20,), tol=10.0, n_iter_no_change=None, epochs=12, random_state=0).fit(x, y).n_iter_ == 12


@pytest.mark.parametrize("residual", [True, "rezero", "fixup"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_forty_residual_layers_learn(flowers, residual, normalization):
    x, y = flowers
    settings = {"residual": residual, "normalization": normalization, "learning_rate": 0.003}
    model = MLPClassifier("16x40", epochs=20, random_state=0, **settings).fit(x, y)
    assert model.score(x, y) > 0.9
    assert any(type(layer) is gw.Residual for layer in model.network_.layers)


def test_widths_that_change_in_a_residual_net(flowers):
    x, y = flowers
    model = MLPClassifier((16, 8, 8), residual=True, epochs=60, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.9 and "1.shortcut.weight" in model.network_.parameters


def test_batch_normalisation_meets_no_batch_of_one_sample(flowers):
    x, y = flowers
    for rows in (33, 65, 97, 2):
        some = np.linspace(0, 149, rows).astype(int)
        MLPClassifier((8,), normalization="batch", epochs=2, random_state=0).fit(x[some], y[some])


def test_parameters_reach_the_training(flowers):
    x, y = flowers
    model = MLPClassifier(
        (8, 6),
        "elu",
        init="orthogonal",
        dropout=0.1,
        optimizer="rmsprop",
        learning_rate=0.01,
        weight_decay=0.1,
        clip_norm=0.5,
        batch_size=10,
        epochs=2,
    ).fit(x, y)
    facts = model.history_.facts
    assert facts.optimizer["name"] == "rmsprop" and facts.optimizer["weight_decay"] == 0.1
    assert facts.learning_rate == 0.01 and facts.batch_size == 10
    assert (model.history_.clipping.after <= 0.5 + 1e-6).all()
    kinds = [type(layer).__name__ for layer in model.network_.layers]
    assert kinds == ["Dense", "ELU", "Dropout", "Dense", "ELU", "Dropout", "Dense"]
    assert model.network_.layers[0].init.describe()["name"] == "orthogonal"


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"hidden_layer_sizes": "64 by 6"}, ValueError, '"64 by 6"; needs widths'),
        ({"hidden_layer_sizes": (10, 0)}, ValueError, "hidden_layer_sizes is 0"),
        ({"hidden_layer_sizes": (10, 2.5)}, TypeError, "hidden_layer_sizes is of type float"),
        ({"activation": "step"}, ValueError, 'activation is "step"'),
        ({"normalization": "group"}, ValueError, 'normalization is "group"'),
        ({"dropout": 1.0}, ValueError, "rate is 1.0"),
        ({"residual": "yes"}, ValueError, "residual is 'yes'"),
        ({"optimizer": "lbfgs"}, ValueError, 'optimizer is "lbfgs"'),
        ({"optimizer": 3}, TypeError, "optimizer is of type int"),
        ({"optimizer": gw.SGD(0.1), "learning_rate": 0.1}, ValueError, "learning_rate is 0.1 but optimizer"),
        ({"optimizer": "rprop", "weight_decay": 0.1}, ValueError, "weight_decay is 0.1"),
        ({"learning_rate": -1}, ValueError, "learning_rate is -1"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"tol": -1.0}, ValueError, "tol is -1"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change is 0"),
        ({"early_stopping": 1}, TypeError, "early_stopping is of type int"),
        ({"dtype": "float16"}, ValueError, 'dtype is "float16"'),
        ({"stats": "all"}, ValueError, "stats is 'all'"),
        ({"clip_norm": 0}, ValueError, "is 0"),
    ],
)
def test_bad_parameters_are_named_by_fit_and_change_nothing(flowers, settings, error, match):
    x, y = flowers
    model = MLPClassifier((5,), epochs=2, random_state=0).fit(x, y)
    before = model.predict_proba(x)
    model.set_params(**settings)
    for again in (model, clone(model)):
        with pytest.raises(error, match=match):
            again.fit(x, y)
    same(model.predict_proba(x), before)


def test_bad_samples(flowers):
    x, y = flowers
    with pytest.raises(ValueError, match="1 class; needs at least 2"):
        MLPClassifier().fit(x[:50], y[:50])
    with pytest.raises(ValueError, match="several columns of classes"):
        MLPClassifier().fit(x, np.column_stack([np.arange(150) % 3, np.arange(150) % 4]))
    with pytest.raises(TypeError, match="dense data is required"):
        MLPClassifier().fit(csr_matrix(x), y)
    with pytest.raises(ValueError, match="too large"):
        MLPClassifier().fit(x * 1e40, y)


def test_a_training_that_blows_up_says_where(flowers):
    x, _ = flowers
    model = MLPRegressor((8, 8), optimizer=gw.SGD(1e6), random_state=0)
    with pytest.raises(gw.NonFiniteError) as caught:
        model.fit(x, np.arange(150.0))
    assert not hasattr(model, "network_")
    assert "nonfinite" in gw.diagnose(caught.value)


def test_the_diagnosis_tells_of_unscaled_samples_and_of_vanishing_gradients(flowers):
    x, y = flowers
    raw = MLPClassifier((20,), epochs=10, random_state=0).fit(1000 * x, y)
    assert "inputs" in raw.diagnosis_
    deep = MLPClassifier("30x6", "sigmoid", init="nielsen", optimizer="sgd", epochs=10, stats=True, random_state=0)
    diagnosis = deep.fit(x, y).diagnosis_
    assert isinstance(diagnosis, gw.doctor.Diagnosis) and diagnosis is deep.diagnosis_
    assert diagnosis["vanishing"].factor == "derivative"
    with pytest.raises(AttributeError):
        MLPClassifier().diagnosis_  # noqa: B018


def test_grid_search_over_a_pipeline(flowers):
    x, y = flowers
    model = make_pipeline(StandardScaler(), MLPClassifier(epochs=10, random_state=0))
    grid = {"mlpclassifier__hidden_layer_sizes": ["8x1", (8, 8)], "mlpclassifier__optimizer": ["sgd", gw.Adam(0.01)]}
    search = GridSearchCV(model, grid, cv=2).fit(x, y)
    assert search.best_score_ > 0.8 and search.best_estimator_[-1].history_.epochs == 10


def test_cross_validation_in_processes_gives_what_one_process_gives(flowers):
    x, y = flowers
    model = make_pipeline(StandardScaler(), MLPClassifier((20,), epochs=20, random_state=0))
    same(cross_val_score(model, x, y, cv=3, n_jobs=2), cross_val_score(model, x, y, cv=3))


def test_data_frames(flowers):
    pandas = pytest.importorskip("pandas")
    x, y = flowers
    frame = pandas.DataFrame(x, columns=["a", "b", "c", "d"])
    model = MLPClassifier((20,), epochs=20, random_state=0).fit(frame, pandas.Series(y, dtype="category"))
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"] and model.n_features_in_ == 4
    same(model.predict(frame).astype(y.dtype), MLPClassifier((20,), epochs=20, random_state=0).fit(x, y).predict(x))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c", "d"]])
