"""Recurrent kernels against their float64 oracle: every tail, ragged lengths, both directions, any layout."""

import itertools

import numpy as np
import pytest
from compare import assert_close

import gradwell as gw
from gradwell import kernels, reference

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
VARIANTS = {
    "lstm": ("lstm", {}),
    "lstm_peephole": ("lstm", {}),
    "gru": ("gru", {"reset_after": True}),
    "gru_before": ("gru", {"reset_after": False}),
    "rnn_tanh": ("rnn", {"activation": "tanh"}),
    "rnn_relu": ("rnn", {"activation": "relu"}),
    "rnn_sigmoid": ("rnn", {"activation": "sigmoid"}),
}
TAILS = (1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 48, 65, 67)
each_variant = pytest.mark.parametrize("variant", VARIANTS)

# An element is measured against itself, or where it is a sum that nearly cancels, against a part of the largest of
# its kind, whose terms are of the same size: of one step in y and dx, of all parameters in their gradients, else of
# the array. float64 keeps 1e-9 of itself down to a thousandth of that, 1e-12 in all. float32 keeps 1e-5 of the
# largest: over 200 steps a plain float32 loop loses up to 2e-6, and cells of one unit may cancel further.
TOLERANCE = {np.float64: (1e-9, 1e-3), np.float32: (1e-5, 1.0)}
OF_PARAMETERS = ("dweight", "drecurrent_weight", "dbias", "drecurrent_bias", "dpeephole")
OF_SEQUENCES = {"y", "h", "c", "dx", "dh0", "dc0"}


def largest(name, values):
    if name in OF_PARAMETERS:
        return max(np.abs(values[n]).max(initial=0) for n in OF_PARAMETERS if values.get(n) is not None)
    steps = values[name].ndim == 3
    return np.abs(values[name]).max(axis=(0, 2) if steps else None, keepdims=True, initial=0)


class Case:
    """Arguments of one call in both passes, and what the calls return."""

    def __init__(self, rng, variant, dtype, batch, time, features, hidden, ragged=False, reverse=False):
        self.variant, self.dtype = variant, dtype
        self.family, settings = VARIANTS[variant]
        wide = GATES[self.family] * hidden

        def normal(*shape, scale=1.0):
            return (rng.normal(size=shape) * scale).astype(dtype)

        self.arrays = {
            "x": normal(batch, time, features),
            "weight": normal(features, wide, scale=features**-0.5),
            "recurrent_weight": normal(hidden, wide, scale=hidden**-0.5),
            "bias": normal(wide),
        }
        if variant == "gru":
            self.arrays["recurrent_bias"] = normal(hidden)
        if variant == "lstm_peephole":
            self.arrays["peephole"] = normal(3, hidden, scale=0.25)
        self.arrays["h0"] = normal(batch, hidden)
        self.upstream = {"dy": normal(batch, time, hidden), "dh": normal(batch, hidden)}
        if self.family == "lstm":
            self.arrays["c0"] = normal(batch, hidden)
            self.upstream["dc"] = normal(batch, hidden)
        lengths = rng.integers(0, time + 1, batch) if ragged else None
        self.settings = {**settings, "lengths": lengths, "reverse": reverse}

    def forward(self, module=kernels):
        return getattr(module, f"{self.family}_forward")(**self.arrays, **self.settings)

    def kernel(self, **more):
        """Outputs and gradients by name."""
        *outputs, saved = self.forward()
        found = getattr(kernels, f"{self.family}_backward")(saved=saved, **self.upstream, **more)
        return dict(zip(("y", "h", "c"), outputs, strict=False)), found._asdict()

    def oracle(self):
        found = getattr(reference, f"{self.family}_backward")(**self.upstream, **self.arrays, **self.settings)
        names = getattr(kernels, f"{self.family.upper()}Gradients")._fields
        outputs = dict(zip(("y", "h", "c"), self.forward(reference), strict=False))
        return outputs, dict(zip(names, found, strict=True))

    def check(self, *, relative=None, lost=0.0):
        """Both passes against the oracle; `lost` is an absolute error, for terms that are flushed to 0."""
        usual, part = TOLERANCE[self.dtype]
        for got, expected in zip(self.kernel(), self.oracle(), strict=True):
            assert got.keys() == expected.keys()
            for name, value in expected.items():
                if value is None:
                    assert got[name] is None
                    continue
                assert got[name].dtype == self.dtype and got[name].flags.c_contiguous
                limit = relative or usual
                floor = np.maximum(part * largest(name, expected), lost / limit)
                assert_close(got[name], value, relative=limit, floor=floor, reason=f"{name}: see TOLERANCE")
        return self


def flat(case):
    """All that both passes return, as bytes by name."""
    return {name: value.tobytes() for part in case.kernel() for name, value in part.items() if value is not None}


def assert_same_rows(got, expected, rows):
    for one, other in zip(got, expected, strict=True):
        for name in OF_SEQUENCES & set(one):
            np.testing.assert_array_equal(one[name][rows], other[name][rows], err_msg=name)


@each_variant
def test_hidden_tails(variant, dtype, rng):
    for hidden, shape in zip(TAILS, itertools.cycle([(3, 4, 5), (1, 3, 2), (7, 2, 1)]), strict=False):
        Case(rng, variant, dtype, *shape, hidden).check()
    Case(rng, variant, dtype, 40, 30, 65, 67, ragged=True).check()


@each_variant
@pytest.mark.parametrize("reverse", [False, True], ids=["onward", "reverse"])
def test_ragged_tails(variant, reverse, dtype, rng):
    for hidden, batch in itertools.product((1, 7, 16, 33), (1, 2, 9, 17)):
        Case(rng, variant, dtype, batch, 5, 3, hidden, ragged=True, reverse=reverse).check()


@each_variant
def test_features_and_batch_tails(variant, dtype, rng):
    for features in range(1, 66):
        Case(rng, variant, dtype, 3, 2, features, 5, reverse=features % 2 == 0).check()
    for batch in range(1, 41):
        Case(rng, variant, dtype, batch, 2, 3, 9, ragged=batch % 2 == 0).check()


@each_variant
@pytest.mark.parametrize("time", [0, 1, 2, 7, 200])
def test_any_number_of_steps(variant, time, dtype, rng):
    # A peephole can keep its forget gate open; in float32 1 - f then has few digits left, and the cell grows.
    grows = (variant, time, dtype) == ("lstm_peephole", 200, np.float32)
    for ragged, reverse in itertools.product([False, True], repeat=2):
        Case(rng, variant, dtype, 5, time, 4, 19, ragged, reverse).check(relative=1e-4 if grows else None)


@each_variant
def test_nothing_in_gives_nothing_out(variant, dtype, rng):
    for shape in [(0, 4, 3, 5), (0, 0, 3, 5), (4, 0, 3, 5)]:
        case = Case(rng, variant, dtype, *shape).check()
        outputs, gradients = case.kernel()
        np.testing.assert_array_equal(outputs["h"], case.arrays["h0"])
        np.testing.assert_array_equal(gradients["dh0"], case.upstream["dh"])
        assert not any(gradients[name].any() for name in ("dweight", "drecurrent_weight", "dbias"))
    case = Case(rng, variant, dtype, 4, 6, 3, 5)
    case.settings["lengths"] = np.zeros(4, int)
    outputs, gradients = case.check().kernel()
    assert not outputs["y"].any() and not gradients["dx"].any()


@each_variant
@pytest.mark.parametrize("reverse", [False, True], ids=["onward", "reverse"])
def test_lengths_of_each_kind(variant, reverse, dtype, rng):
    """Outputs and dx are exactly 0 beyond a length, whatever lies there; a shorter batch gives the same bits."""
    case = Case(rng, variant, dtype, 6, 5, 3, 17, reverse=reverse)
    ends = [0, 5, 1, 3, 2, 4]
    case.settings["lengths"] = np.array(ends)
    case.check()
    plain = flat(case)
    for kind in (np.int32, np.uint8, list):
        case.settings["lengths"] = ends if kind is list else np.array(ends, kind)
        assert flat(case) == plain
    for b, end in enumerate(ends):
        case.arrays["x"][b, end:] = case.upstream["dy"][b, end:] = np.nan
    outputs, gradients = case.kernel()
    assert flat(case) == plain
    for b, end in enumerate(ends):
        assert not outputs["y"][b, end:].any() and not gradients["dx"][b, end:].any()
    case.settings["lengths"] = None
    np.testing.assert_array_equal(case.forward()[0][1], outputs["y"][1])
    case.settings["lengths"] = np.array(ends)
    saved = case.forward()[-1]
    case.settings["lengths"][...] = 0  # what is done to them after the call is of no concern
    later = getattr(kernels, f"{case.family}_backward")(saved=saved, **case.upstream)
    np.testing.assert_array_equal(later.dx, gradients["dx"])


@each_variant
def test_what_is_left_out_is_zero(variant, dtype, rng):
    case = Case(rng, variant, dtype, 3, 4, 2, 9)
    for name in ("bias", "recurrent_bias", "h0", "c0"):
        if name in case.arrays:
            case.arrays[name][...] = 0
    for value in list(case.upstream.values())[1:]:
        value[...] = 0
    full = flat(case)
    for name in ("bias", "recurrent_bias", "h0", "c0"):
        case.arrays.pop(name, None)
    assert flat(case) == full
    case.upstream = {"dy": case.upstream["dy"]}
    assert flat(case) == full
    without = case.kernel(need_dx=False)[1]
    assert without.pop("dx") is None
    assert all(value is None or value.tobytes() == full[name] for name, value in without.items())


@each_variant
def test_any_layout_and_read_only(variant, relayout, dtype, rng):
    case = Case(rng, variant, dtype, 7, 5, 6, 17, ragged=True)
    plain = flat(case)
    before = {name: value.copy() for name, value in (case.arrays | case.upstream).items()}
    case.arrays = {name: relayout(value) for name, value in case.arrays.items()}
    case.upstream = {name: relayout(value) for name, value in case.upstream.items()}
    case.settings["lengths"] = relayout(case.settings["lengths"])
    assert flat(case) == plain
    for name, value in (case.arrays | case.upstream).items():
        np.testing.assert_array_equal(value, before[name])  # no argument is written to


@each_variant
def test_tiny_gradients(variant, dtype, rng):
    """At 1e-30 of the usual size; what falls below the format's normal numbers counts as 0."""
    case = Case(rng, variant, dtype, 9, 7, 4, 19, ragged=True)
    case.upstream = {name: value * dtype(1e-30) for name, value in case.upstream.items()}
    case.check(lost=np.finfo(dtype).tiny * 100)


@each_variant
def test_a_gradient_that_vanishes_on_its_way(variant, dtype, rng):
    """From the last of 200 steps to the first; its relative error grows by a few roundings at every step."""
    case = Case(rng, variant, dtype, 3, 200, 4, 17)
    case.upstream["dy"][...] = 0
    case.check(lost=np.finfo(dtype).tiny * 100, relative=1e-9 if dtype is np.float64 else 1e-4)


@each_variant
def test_a_nan_stays_in_its_sequence(variant, dtype, rng):
    case = Case(rng, variant, dtype, 20, 6, 3, 17, ragged=True)
    case.settings["lengths"][11] = 6
    plain = case.kernel()
    case.arrays["x"][11, 2, 1] = np.nan
    outputs, gradients = case.kernel()
    assert_same_rows((outputs, gradients), plain, np.arange(20) != 11)
    np.testing.assert_array_equal(outputs["y"][11, :2], plain[0]["y"][11, :2])
    assert np.isnan(outputs["y"][11, 2:]).all() and np.isnan(outputs["h"][11]).all()
    assert all(np.isnan(gradients[name]).any() for name in ("dweight", "drecurrent_weight", "dbias"))


@each_variant
def test_a_nan_of_the_gradient_stays_in_its_sequence(variant, dtype, rng):
    case = Case(rng, variant, dtype, 20, 6, 3, 17)
    plain = case.kernel()
    case.upstream["dy"][11, 3, 4] = np.nan
    outputs, gradients = case.kernel()
    assert_same_rows((outputs, gradients), plain, np.arange(20) != 11)
    np.testing.assert_array_equal(gradients["dx"][11, 4:], plain[1]["dx"][11, 4:])
    assert np.isnan(gradients["dx"][11, :4]).all() and np.isnan(gradients["dbias"]).any()


@each_variant
def test_saturated_gates(variant, dtype, rng):
    """Values and gradients stay finite; a gate that has rounded to 1 has the gradient 0, so only y is compared."""
    case = Case(rng, variant, dtype, 4, 5, 3, 17)
    if variant != "rnn_relu":
        case.arrays["bias"] *= dtype(1e4)
    outputs, gradients = case.kernel()
    for name, value in case.oracle()[0].items():
        assert_close(outputs[name], value, relative=1e-5, floor=1.0, reason="inputs of 1e4 are rounded")
    assert all(np.isfinite(value).all() for value in gradients.values() if value is not None)


@pytest.fixture
def threads():
    before = gw.num_threads()
    yield gw.set_num_threads
    gw.set_num_threads(before)


@each_variant
@pytest.mark.parametrize("shape", [(40, 12, 33, 65), (3, 40, 20, 67), (40, 3, 5, 200)], ids=str)
def test_same_bits_at_any_thread_count(variant, shape, dtype, threads, rng):
    case = Case(rng, variant, dtype, *shape, ragged=True)
    threads(1)
    expected = flat(case)
    for count in (2, 3):
        threads(count)
        assert flat(case) == expected, count


@each_variant
def test_rows_do_not_depend_on_their_batch(variant, dtype, rng):
    """A sequence alone gives the bits it gives among others."""
    case = Case(rng, variant, dtype, 21, 4, 5, 17)
    among = case.kernel()
    for b in (0, 13, 20):
        alone = Case(rng, variant, dtype, 1, 4, 5, 17)
        alone.arrays = {n: v[b : b + 1] if n in ("x", "h0", "c0") else v for n, v in case.arrays.items()}
        alone.upstream = {n: v[b : b + 1] for n, v in case.upstream.items()}
        row = [{n: v[b : b + 1] for n, v in part.items() if n in OF_SEQUENCES} for part in among]
        assert_same_rows(alone.kernel(), row, 0)


@each_variant
def test_a_step_is_a_sequence_of_one(variant, dtype, rng):
    for hidden, features in itertools.product((1, 9, 33), (1, 20)):
        case = Case(rng, variant, dtype, 5, 1, features, hidden)
        states = {name.removesuffix("0"): case.arrays[name] for name in ("h0", "c0") if name in case.arrays}
        rest = {name: value for name, value in case.arrays.items() if name not in ("x", "h0", "c0")}
        rest |= {name: case.settings[name] for name in ("reset_after", "activation") if name in case.settings}
        step = getattr(kernels, f"{case.family}_step")(case.arrays["x"][:, 0], **states, **rest)
        expected = getattr(reference, f"{case.family}_step")(case.arrays["x"][:, 0], **states, **rest)
        for got, value in zip(*[s if case.family == "lstm" else [s] for s in (step, expected)], strict=True):
            relative, part = TOLERANCE[dtype]
            assert got.dtype == dtype
            assert_close(got, value, relative=relative, floor=part * np.abs(value).max(), reason="see TOLERANCE")


def wrong_arguments(case):
    """(argument, what it is replaced by) of a forward call."""
    for name, value in case.arrays.items():
        yield from ((name, value.astype(int)), (name, value.tolist()), (name, value[None]))
        if name != "x":
            yield from ((name, value.astype(np.float64)), (name, value[:-1]), (name, value[..., :-1]))
    yield from (("x", case.arrays["x"][:, :, :0]), ("weight", None), ("recurrent_weight", None))
    for lengths in ([5, 1, 1], [-1, 1, 1], [1, 1], [1, 1, 1, 1], [[1, 1, 1]], [1.0, 1.0, 1.0], 1, "111"):
        yield "lengths", lengths
    if case.family == "rnn":
        yield "activation", "elu"
    if case.variant == "gru_before":
        yield "recurrent_bias", np.zeros(5, np.float32)


@each_variant
def test_a_wrong_argument_is_named(variant, rng):
    case = Case(rng, variant, np.float32, 3, 4, 2, 5)
    for name, value in wrong_arguments(case):
        with pytest.raises((ValueError, TypeError), match=rf"^\[{case.family}_forward\] {name} "):
            getattr(kernels, f"{case.family}_forward")(**{**case.arrays, **case.settings, name: value})
    backward = getattr(kernels, f"{case.family}_backward")
    saved, expected = case.forward()[-1], case.kernel()[1]
    wrong = [(name, f(value)) for name, value in case.upstream.items() for f in (np.float64, lambda v: v[:-1], list)]
    another = Case(rng, "gru" if case.family == "rnn" else "rnn_tanh", np.float32, 3, 4, 2, 5).forward()[-1]
    for name, value in [*wrong, ("saved", None), ("saved", another)]:
        with pytest.raises((ValueError, TypeError), match=rf"^\[{case.family}_backward\] {name} "):
            backward(**{"saved": saved, **case.upstream, name: value})
    for name, value in backward(saved=saved, **case.upstream)._asdict().items():  # refused calls have used up nothing
        np.testing.assert_array_equal(value, expected[name])
    with pytest.raises(ValueError, match=rf"^\[{case.family}_backward\] saved "):
        backward(saved=saved, **case.upstream)


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize("variant", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_as_torch(variant, packed, rng):
    """Both directions of a bidirectional layer, and all gradients, packed sequences included."""
    torch = pytest.importorskip("torch")
    batch, time, features, hidden = 6, 9, 5, 17
    turns = False, True
    onward, backwards = cases = [Case(rng, variant, np.float32, batch, time, features, hidden, False, t) for t in turns]
    backwards.arrays["x"] = onward.arrays["x"]
    ends = [4, 9, 1, 7, 7, 2] if packed else [time] * batch
    onward.settings["lengths"] = backwards.settings["lengths"] = np.array(ends) if packed else None

    def stack(part, name):
        return torch.from_numpy(np.stack([getattr(case, part)[name] for case in cases]))

    settings = {"nonlinearity": variant[4:]} if onward.family == "rnn" else {}
    settings |= {"batch_first": True, "bidirectional": True}
    model = getattr(torch.nn, onward.family.upper())(features, hidden, **settings)
    for case, parameters in zip(cases, model.all_weights, strict=True):
        weights = [case.arrays[name].T for name in ("weight", "recurrent_weight", "bias")]
        weights.append(np.zeros_like(weights[2]))
        weights[3][2 * hidden : 3 * hidden] = case.arrays.get("recurrent_bias", 0)
        for parameter, value in zip(parameters, weights, strict=True):
            parameter.data.copy_(torch.from_numpy(value))
    x = torch.from_numpy(onward.arrays["x"]).requires_grad_()
    states = [stack("arrays", name).requires_grad_() for name in ("h0", "c0") if name in onward.arrays]
    tools, lstm = torch.nn.utils.rnn, len(states) == 2
    given = tools.pack_padded_sequence(x, ends, batch_first=True, enforce_sorted=False) if packed else x
    y, last = model(given, tuple(states) if lstm else states[0])
    y = tools.pad_packed_sequence(y, batch_first=True, total_length=time)[0] if packed else y
    last = last if lstm else (last,)
    cost = (y * torch.from_numpy(np.concatenate([case.upstream["dy"] for case in cases], axis=2))).sum()
    for value, name in zip(last, ("dh", "dc"), strict=False):
        cost = cost + (value * stack("upstream", name)).sum()
    cost.backward()

    def same(got, expected):
        expected = expected.detach().numpy()
        assert_close(got, expected, relative=1e-5, floor=np.abs(expected).max(), reason="float32 on both sides")

    found = [case.kernel() for case in cases]
    same(found[0][1]["dx"] + found[1][1]["dx"], x.grad)
    for k, ((outputs, gradients), parameters) in enumerate(zip(found, model.all_weights, strict=True)):
        same(outputs["y"], y[:, :, k * hidden : (k + 1) * hidden])
        for name, value, state in zip(("h", "c"), last, states, strict=False):
            same(outputs[name], value[k])
            same(gradients[f"d{name}0"], state.grad[k])
        for name, parameter in zip(("dweight", "drecurrent_weight", "dbias"), parameters, strict=False):
            same(gradients[name].T, parameter.grad)
        if variant == "gru":
            same(gradients["drecurrent_bias"], parameters[3].grad[2 * hidden :])
