"""The recurrent oracle against autograd and complex steps, each sequence on its own as one would write it down."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from compare import assert_close

from gradwell import reference

NEAR = {"relative": 1e-9, "reason": "float64, sums of a few hundred terms of either sign"}
ARGUMENTS = {
    "lstm": ("x", "weight", "recurrent_weight", "bias", "peephole", "h0", "c0"),
    "gru": ("x", "weight", "recurrent_weight", "bias", "recurrent_bias", "h0"),
    "rnn": ("x", "weight", "recurrent_weight", "bias", "h0"),
}
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
VARIANTS = [
    ("lstm", {}),
    ("lstm", {"peephole": True}),
    ("gru", {"reset_after": True}),
    ("gru", {"reset_after": False}),
    ("rnn", {"activation": "tanh"}),
    ("rnn", {"activation": "relu"}),
    ("rnn", {"activation": "sigmoid"}),
]
each_variant = pytest.mark.parametrize(
    ("family", "settings"),
    VARIANTS,
    ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())) or "plain",
)


def logistic(z):
    return 1 / (1 + anp.exp(-z))


def cell(family, settings, x, state, a):
    """One step of one sequence; state is [h] or [h, c]."""
    h = state[0]
    z = anp.dot(x, a["weight"]) + a["bias"]
    u = a["recurrent_weight"]
    n = h.shape[0]
    if family == "rnn":
        f = {"tanh": anp.tanh, "relu": lambda v: anp.where(v > 0, v, 0.0), "sigmoid": logistic}
        return [f[settings["activation"]](z + anp.dot(h, u))]
    if family == "gru":
        r = logistic(z[:n] + anp.dot(h, u[:, :n]))
        update = logistic(z[n : 2 * n] + anp.dot(h, u[:, n : 2 * n]))
        if settings["reset_after"]:
            new = anp.tanh(z[2 * n :] + r * (anp.dot(h, u[:, 2 * n :]) + a["recurrent_bias"]))
        else:
            new = anp.tanh(z[2 * n :] + anp.dot(r * h, u[:, 2 * n :]))
        return [(1 - update) * new + update * h]
    c = state[1]
    z = z + anp.dot(h, u)
    p = a.get("peephole", np.zeros((3, n)))
    i, f = logistic(z[:n] + p[0] * c), logistic(z[n : 2 * n] + p[1] * c)
    c = f * c + i * anp.tanh(z[2 * n : 3 * n])
    return [logistic(z[3 * n :] + p[2] * c) * anp.tanh(c), c]


def walk(family, settings, a, lengths, reverse):
    """Outputs by (sequence, step) and the last states of every sequence."""
    y, last = {}, []
    for b in range(a["x"].shape[0]):
        state = [a[name][b] for name in ("h0", "c0") if name in a]
        steps = range(lengths[b])
        for t in reversed(steps) if reverse else steps:
            state = cell(family, settings, a["x"][b, t], state, a)
            y[b, t] = state[0]
        last.append(state)
    return y, last


def example(rng, family, settings, batch=4, time=6, features=3, hidden=5):
    wide = GATES[family] * hidden
    shapes = {
        "x": (batch, time, features),
        "weight": (features, wide),
        "recurrent_weight": (hidden, wide),
        "bias": (wide,),
        "recurrent_bias": (hidden,),
        "peephole": (3, hidden),
        "h0": (batch, hidden),
        "c0": (batch, hidden),
    }
    names = [name for name in ARGUMENTS[family] if name != "peephole" or settings.get("peephole")]
    names = [name for name in names if name != "recurrent_bias" or settings["reset_after"]]
    arrays = {name: rng.normal(size=shapes[name]) for name in names}
    arrays["recurrent_weight"] /= np.sqrt(hidden)
    upstream = {"dy": rng.normal(size=(batch, time, hidden)), "dh": rng.normal(size=(batch, hidden))}
    if family == "lstm":
        upstream["dc"] = rng.normal(size=(batch, hidden))
    return arrays, upstream


def others(settings):
    return {name: value for name, value in settings.items() if name != "peephole"}


def check(family, settings, arrays, upstream, lengths=None, reverse=False):
    batch, time = arrays["x"].shape[:2]
    ends = [time] * batch if lengths is None else lengths
    dy, rest = upstream["dy"], {name: value for name, value in upstream.items() if name != "dy"}

    def cost(values):
        y, last = walk(family, settings, dict(zip(arrays, values, strict=True)), ends, reverse)
        total = sum(0.0 * anp.sum(value) for value in values)  # autograd refuses what no argument enters
        total = total + sum(anp.sum(value * dy[at]) for at, value in y.items())
        for b, state in enumerate(last):
            total = total + sum(anp.sum(s * d[b]) for s, d in zip(state, rest.values(), strict=True))
        return total

    expected = grad(cost)(list(arrays.values()))
    settings = {**others(settings), "lengths": lengths, "reverse": reverse}
    forward, backward = getattr(reference, f"{family}_forward"), getattr(reference, f"{family}_backward")
    y, *last = forward(**arrays, **settings)
    outputs, states = walk(family, others(settings), arrays, ends, reverse)
    wanted = np.zeros_like(y)
    for at, value in outputs.items():
        wanted[at] = value
    assert_close(y, wanted, **NEAR)
    for k, got in enumerate(last):
        assert_close(got, np.array([state[k] for state in states]).reshape(got.shape), **NEAR)
    found = [part for part in backward(dy, **arrays, **rest, **settings) if part is not None]
    for name, got, value in zip(arrays, found, expected, strict=True):
        if name == "x" and lengths is not None:
            assert all(not got[b, end:].any() for b, end in enumerate(ends))
        assert_close(got, value, **{**NEAR, "reason": f"d{name}: {NEAR['reason']}"})


@each_variant
@pytest.mark.parametrize("reverse", [False, True], ids=["onward", "reverse"])
@pytest.mark.parametrize("lengths", [None, [4, 0, 6, 1]], ids=["whole", "ragged"])
def test_gradients_agree_with_autograd(family, settings, lengths, reverse, rng):
    check(family, settings, *example(rng, family, settings), lengths, reverse)


@each_variant
@pytest.mark.parametrize("size", [1e-20, 1e20])
def test_gradients_of_any_size(family, settings, size, rng):
    arrays, upstream = example(rng, family, settings)
    check(family, settings, arrays, {name: value * size for name, value in upstream.items()}, [6, 3, 1, 0])


@each_variant
def test_two_hundred_steps(family, settings, rng):
    """The gradient of the last state alone, down to where it has vanished on its way to the first step."""
    arrays, upstream = example(rng, family, settings, batch=2, time=200, features=2, hidden=3)
    check(family, settings, arrays, {**upstream, "dy": np.zeros_like(upstream["dy"])}, [200, 150])
    check(family, settings, arrays, upstream, [150, 200], reverse=True)


@each_variant
def test_saturated_gates(family, settings, rng):
    arrays, upstream = example(rng, family, settings)
    arrays["bias"] = arrays["bias"] * 20
    check(family, settings, arrays, upstream)


@each_variant
@pytest.mark.parametrize("shape", [(3, 0, 2, 4), (0, 5, 2, 4), (1, 1, 1, 1)], ids=str)
def test_small_shapes(family, settings, shape, rng):
    check(family, settings, *example(rng, family, settings, *shape))


@each_variant
@pytest.mark.parametrize("reverse", [False, True], ids=["onward", "reverse"])
def test_gradients_agree_with_the_complex_step(family, settings, reverse, rng):
    arrays, upstream = example(rng, family, settings)
    settings = {**others(settings), "lengths": np.array([6, 2, 0, 1]), "reverse": reverse}
    dy, rest = upstream["dy"], {name: value for name, value in upstream.items() if name != "dy"}
    found = getattr(reference, f"{family}_backward")(dy, **arrays, **rest, **settings)
    for name, gradient in zip(arrays, [part for part in found if part is not None], strict=True):
        direction = rng.normal(size=gradient.shape)
        moved = {**arrays, name: arrays[name] + 1e-30j * direction}
        outputs = getattr(reference, f"{family}_forward")(**moved, **settings)
        slope = sum((value * d).sum() for value, d in zip(outputs, upstream.values(), strict=True)).imag / 1e-30
        size = np.abs(gradient * direction).sum()
        assert_close(slope, (gradient * direction).sum(), relative=1e-12, cancellation_scale=size, reason="one sum")


@each_variant
def test_a_step_is_a_sequence_of_one(family, settings, rng):
    arrays, _ = example(rng, family, settings, time=1)
    _, *last = getattr(reference, f"{family}_forward")(**arrays, **others(settings))
    states = {name.removesuffix("0"): value for name, value in arrays.items() if name in ("h0", "c0")}
    rest = {name: value for name, value in arrays.items() if name not in ("x", "h0", "c0")}
    new = getattr(reference, f"{family}_step")(arrays["x"][:, 0], **states, **rest, **others(settings))
    for one, other in zip(last, new if family == "lstm" else [new], strict=True):
        np.testing.assert_array_equal(one, other)


@each_variant
def test_what_lies_beyond_a_length_is_not_read(family, settings, rng):
    arrays, upstream = example(rng, family, settings)
    settings = {**others(settings), "lengths": [6, 2, 0, 1]}
    rest = {name: value for name, value in upstream.items() if name != "dy"}
    backward = getattr(reference, f"{family}_backward")
    plain = backward(upstream["dy"], **arrays, **rest, **settings)
    spoilt, dy = arrays["x"].copy(), upstream["dy"].copy()
    for b, end in enumerate(settings["lengths"]):
        spoilt[b, end:] = dy[b, end:] = np.nan
    found = backward(dy, **{**arrays, "x": spoilt}, **rest, **settings)
    for one, other in zip(found, plain, strict=True):
        np.testing.assert_array_equal(one, other)
