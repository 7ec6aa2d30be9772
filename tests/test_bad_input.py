"""Bad input to the public functions: refused by name, with what was given and needed, and nothing is changed."""

import numpy as np
import pytest

import gradwell as gw

X = np.random.default_rng(0).normal(size=(6, 4))
Y = np.array([0, 1, 2, 0, 1, 2])
NAN, INF = np.nan, np.inf


def put(array, value, row=2, column=1):
    changed = np.array(array, dtype=float)
    changed[row, column] = value
    return changed


def fit(net, x=X, y=Y, **settings):
    return gw.fit(net, (x, y), **{"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), **settings})


def backward(net, dy):
    net.forward(X)
    return net.backward(dy)


def cases(error, *rows):
    return [pytest.param(call, error, words, id=f"{i}: {words[0]}") for i, (call, *words) in enumerate(rows)]


# Each row: a call, how its message starts, and what else it says: the argument, what it got, what it needed.
FIT = [
    *cases(
        ValueError,
        (lambda n: fit(n, X[:, :3]), "[fit] x has shape (6, 3)", "(batch, 4)"),
        (lambda n: fit(n, X[0]), "[fit] x has shape (4,)", "(batch, 4)"),
        (lambda n: fit(n, X[..., None]), "[fit] x has shape (6, 4, 1)", "(batch, 4)"),
        (lambda n: fit(n, 3.0), "[fit] x has shape ()", "(batch, 4)"),
        (lambda n: fit(n, X[:0], Y[:0]), "[fit] x has no rows", "at least one"),
        (lambda n: fit(n, [[1, 2], [3]]), "[fit] x cannot be read as one array"),
        (lambda n: fit(n, put(X, NAN)), "[fit] x has nan at row 2, column 1", "finite"),
        (lambda n: fit(n, put(X, -INF)[::-1]), "[fit] x has -inf at row 3, column 1", "finite"),
        (lambda n: fit(n, put(X, 1e300)), "[fit] x has dtype float64", "too large for float32"),
        (lambda n: fit(n, X, Y[:5]), "[fit] y has 5 rows", "x has 6"),
        (lambda n: fit(n, X, Y + 1), "[fit] y has class 3 in row 2", "3 outputs", "0 to 2"),
        (lambda n: fit(n, X, Y - 1), "[fit] y has class -1 in row 0", "0 to 2"),
        (lambda n: fit(n, X, Y.astype(float)), "[fit] y has shape (6,) and dtype float64", "class numbers"),
        (lambda n: fit(n, X, Y > 0), "[fit] y has shape (6,) and dtype bool", "class numbers"),
        (lambda n: fit(n, X, Y[:, None]), "[fit] y has shape (6, 1)", "(6, 3)"),
        (lambda n: fit(n, X, X), "[fit] y has shape (6, 4)", "(6, 3)"),
        (lambda n: fit(n, X, 1), "[fit] y has shape ()", "(6,)"),
        (lambda n: fit(n, X, put(X[:, :3], NAN)), "[fit] y has nan at row 2, column 1", "finite"),
        (lambda n: fit(n, validation=(X[:, :3], Y)), "[fit] xv has shape (6, 3)", "(batch, 4)"),
        (lambda n: fit(n, validation=(X, Y[:2])), "[fit] yv has 2 rows", "x has 6"),
        (lambda n: fit(n, validation=(X[:0], Y[:0])), "[fit] xv has no rows", "at least one"),
        (lambda n: fit(n, loss="hinge"), '[fit] loss is "hinge"', "softmax_cross_entropy, sigmoid"),
        (lambda n: fit(n, batch_size=0), "[fit] batch_size is 0", "at least 1"),
        (lambda n: fit(n, batch_size=-1), "[fit] batch_size is -1", "at least 1"),
        (lambda n: fit(n, batch_size=2**63 - 1), f"[fit] batch_size is {2**63 - 1}", f"at most {2**62}"),
        (lambda n: fit(n, epochs=-1), "[fit] epochs is -1", "at least 0"),
        (lambda n: fit(n, max_steps=-1), "[fit] max_steps is -1", "at least 0"),
        (lambda n: fit(n, seed=-1), "[fit] seed is -1", "at least 0"),
        (lambda n: fit(n, nonfinite="ignore"), '[fit] nonfinite is "ignore"', "raise, stop, skip"),
        (lambda n: fit(n, stats="yes"), "[fit] stats is 'yes'", 'True, False or "auto"'),
        (lambda n: fit(n, stats_budget=0), "[fit] stats_budget is 0", "above 0 and at most 1"),
        (lambda n: fit(n, stats_budget=NAN), "[fit] stats_budget is nan", "finite"),
        (lambda n: fit(n, resume=True), "[fit] resume is True", "no training state"),
    ),
    *cases(
        TypeError,
        (lambda n: fit("net"), "[fit] network is of type str", "gradwell.Network"),
        (lambda n: fit(n, X.astype(object)), "[fit] x has dtype object", "real numbers"),
        (lambda n: fit(n, X.astype(complex)), "[fit] x has dtype complex128", "real numbers"),
        (lambda n: fit(n, X.astype(str)), "[fit] x has dtype <U", "real numbers"),
        (lambda n: fit(n, None), "[fit] x has dtype object", "real numbers"),
        (lambda n: fit(n, X, Y.astype(str)), "[fit] y has dtype <U", "real numbers"),
        (lambda n: fit(n, validation=X), "[fit] validation is a ndarray of 6", "pair (x, y)"),
        (lambda n: fit(n, loss=None), "[fit] loss is of type NoneType", "name"),
        (lambda n: fit(n, optimizer="sgd"), "[fit] optimizer is of type str", "optimizer"),
        (lambda n: fit(n, batch_size=1.5), "[fit] batch_size is of type float", "int"),
        (lambda n: fit(n, batch_size=True), "[fit] batch_size is of type bool", "int"),
        (lambda n: fit(n, epochs="3"), "[fit] epochs is of type str", "int"),
        (lambda n: fit(n, stats_budget="1"), "[fit] stats_budget is of type str", "number"),
    ),
]
PASSES = [
    *cases(
        ValueError,
        (lambda n: n.predict(X[:, :2]), "[predict] x has shape (6, 2)", "(batch, 4)"),
        (lambda n: n.predict(X, batch_size=0), "[predict] batch_size is 0", "at least 1"),
        (lambda n: n.predict(X, batch_size=2**70), f"[predict] batch_size is {2**70}", f"at most {2**62}"),
        (lambda n: n.forward(X.T), "[forward] x has shape (4, 6)", "(batch, 4)"),
        (lambda n: n.backward(X[:, :3]), "[backward] dy has 6 rows", "kept 0", "forward first"),
        (lambda n: backward(n, X[:5, :3]), "[backward] dy has 5 rows", "kept 6"),
        (lambda n: backward(n, X), "[backward] dy has 4 columns", "3 outputs"),
        (lambda n: backward(n, X[0]), "[backward] dy has shape (4,)", "2 dimensions"),
        (lambda n: backward(n, X[:, :3] * 1e300), "[backward] dy has dtype float64", "too large for float32"),
        (lambda n: gw.gradients(n, X, Y[:2], loss="quadratic"), "[gradients] y has 2 rows", "x has 6"),
        (lambda n: gw.gradients(n, X[:0], Y[:0], loss="quadratic"), "[gradients] x has no rows", "one"),
        (lambda n: gw.gradients(n, X, Y + 7, loss="quadratic"), "[gradients] y has class 7", "0 to 2"),
        (lambda n: gw.gradients(n, X, Y, loss="l2"), '[gradients] loss is "l2"', "needs one of"),
        (lambda n: n.initialize(-1), "[network] seed is -1", "at least 0"),
        (lambda n: fit(gw.mlp([4, 1])), "[fit] loss is softmax_cross_entropy", "1 output", "at least 2"),
    ),
    *cases(
        TypeError,
        (lambda n: n.predict("x"), "[predict] x has dtype <U1", "real numbers"),
        (lambda n: n.forward(X * 1j), "[forward] x has dtype complex128", "real numbers"),
        (lambda n: backward(n, X[:, :3] * 1j), "[backward] dy has dtype complex128", "real numbers"),
        (lambda n: n.initialize("a"), "[network] seed is of type str", "int"),
        (lambda n: gw.SGD(0.1).update("net"), "[update] network is of type str", "gradwell.Network"),
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), FIT + PASSES)
def test_bad_data_and_settings_are_named_and_change_nothing(call, error, words):
    net = gw.mlp([4, 5, 3], seed=0)
    before = {name: value.tobytes() for name, value in net.parameters.items()}
    with pytest.raises(error) as raised:
        call(net)
    assert type(raised.value) is error
    message = str(raised.value)
    assert message.startswith(words[0])
    assert all(word in message for word in words[1:]), message
    assert {name: value.tobytes() for name, value in net.parameters.items()} == before
    assert net.training_state is None
    fit(net)  # and it still works


def test_a_first_pass_remembered_survives_a_refused_call():
    net = gw.mlp([4, 3], seed=0)
    net.forward(X)
    for call in (lambda: net.forward(X[:, :2]), lambda: net.predict(X * 1j), lambda: net.backward(X)):
        with pytest.raises((ValueError, TypeError)):
            call()
    assert net.backward(X[:, :3]).shape == X.shape


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: a.astype("f2").astype("f8"),
        np.asfortranarray,
        lambda a: a[::-1].copy()[::-1],
        lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
        lambda a: a.tolist(),
        lambda a: a.astype(np.longdouble),
    ],
    ids=["other byte order", "rounded to half", "fortran", "reversed", "strided", "lists", "long double"],
)
def test_any_layout_of_real_numbers_is_read(convert):
    x = X.astype("f2").astype("f8")
    plain, other = (gw.mlp([4, 5, 3], seed=0, dtype="float64") for _ in range(2))
    fit(plain, x)
    fit(other, convert(x))
    for name, value in plain.parameters.items():
        np.testing.assert_array_equal(other.parameters[name], value)
    np.testing.assert_array_equal(other.predict(convert(x)), plain.predict(x))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, ">i4"])
def test_class_numbers_of_any_integer_type_are_read(dtype):
    plain, other = gw.mlp([4, 3], seed=0), gw.mlp([4, 3], seed=0)
    assert fit(plain).loss == fit(other, y=Y.astype(dtype)).loss


def test_no_samples_have_no_outputs():
    assert gw.mlp([4, 3]).predict(X[:0]).shape == (0, 3)
