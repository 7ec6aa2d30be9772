"""The node cases that ONNX tests its LSTM, GRU and RNN with, through the kernels."""

import importlib

import numpy as np
import pytest

from gradwell import kernels

onnx = pytest.importorskip("onnx", reason="the node cases come with onnx==1.20.1")
from onnx.backend.test.case import node as onnx_nodes  # noqa: E402
from onnx.numpy_helper import to_array  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
DIRECTIONS = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
# Where our gates, in our order, stand in ONNX's: i o f c for ours i f g o; z r h for r z n.
PLACES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
EXPECTED = {
    *{f"test_lstm_{name}" for name in ("defaults", "with_initial_bias", "with_peepholes", "batchwise")},
    *{f"test_gru_{name}" for name in ("defaults", "with_initial_bias", "seq_length", "batchwise")},
    *{f"test_simple_rnn_{name}" for name in ("defaults", "with_initial_bias", "batchwise")},
    "test_rnn_seq_length",
}


def cases():
    for module in ("lstm", "gru", "rnn"):  # importing one makes its cases
        importlib.import_module(f"onnx.backend.test.case.node.{module}")
    found = {}
    for case in onnx_nodes._NodeTestCases:
        nodes = case.model.graph.node if case.model else []
        if len(nodes) == 1 and nodes[0].op_type in PLACES:
            found.setdefault(case.name, case)
    return found


CASES = cases()


def attributes(node):
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def gates(table, order):
    """Rows of ONNX's (gates * hidden, ...) in our order, transposed to (..., gates * hidden)."""
    parts = np.split(table, len(order))
    return np.concatenate([parts[k] for k in order]).T


def biases(table, kind, after):
    """Our bias and recurrent bias: the two of ONNX are added except where the reset gate multiplies one of them."""
    given, recurrent = np.split(table, 2)
    given, recurrent = gates(given, PLACES[kind]), gates(recurrent, PLACES[kind])
    if not after:
        return given + recurrent, None
    hidden = len(given) // 3
    shared = recurrent.copy()
    shared[2 * hidden :] = 0
    return given + shared, recurrent[2 * hidden :].copy()


def one_direction(kind, given, a, k, reverse):
    """Outputs (batch, time, hidden) and last states of direction k."""
    weights = [gates(given[name][k], PLACES[kind]) for name in ("W", "R")]
    after = kind == "GRU" and bool(a.get("linear_before_reset", 0))
    bias, recurrent_bias = biases(given["B"][k], kind, after) if "B" in given else (None, None)
    settings = {"lengths": given.get("sequence_lens"), "reverse": reverse}
    settings |= {ours: given[name][k] for ours, name in (("h0", "initial_h"), ("c0", "initial_c")) if name in given}
    if kind == "LSTM":
        if "P" in given:  # i, o, f
            i, o, f = np.split(given["P"][k], 3)
            settings["peephole"] = np.stack([i, f, o])
        return kernels.lstm_forward(given["X"], *weights, bias, **settings)[:3]
    if kind == "GRU":
        return kernels.gru_forward(given["X"], *weights, bias, recurrent_bias, reset_after=after, **settings)[:2]
    return kernels.rnn_forward(given["X"], *weights, bias, **settings)[:2]


def run(node, arrays):
    """Y (time, directions, batch, hidden), Y_h and, of an LSTM, Y_c (directions, batch, hidden), or batch first."""
    a = attributes(node)
    assert set(a) <= {"hidden_size", "layout", "direction", "linear_before_reset"}
    named = dict(zip(INPUTS if node.op_type == "LSTM" else INPUTS[:6], node.input, strict=False))
    values = iter(arrays)
    given = {name: next(values) for name, there in named.items() if there}
    if a.get("layout", 0):
        assert "initial_h" not in given  # no case has both
    else:
        given["X"] = np.moveaxis(given["X"], 1, 0)
    directions = DIRECTIONS[a.get("direction", "forward")]
    found = [one_direction(node.op_type, given, a, k, reverse) for k, reverse in enumerate(directions)]
    y, *last = zip(*found, strict=True)
    if a.get("layout", 0):
        return [np.stack(y, axis=2), *(np.stack(state, axis=1) for state in last)]
    return [np.moveaxis(np.stack(y), (0, 2), (1, 0)), *(np.stack(state) for state in last)]


def test_every_case_is_known():
    assert set(CASES) == EXPECTED


@pytest.mark.parametrize("name", CASES)
def test_node_case(name):
    case = CASES[name]
    node = case.model.graph.node[0]
    for inputs, outputs in case.data_sets:
        arrays = [np.asarray(x) if isinstance(x, (np.ndarray, np.generic)) else to_array(x) for x in inputs]
        expected = [np.asarray(y) if isinstance(y, (np.ndarray, np.generic)) else to_array(y) for y in outputs]
        found = [value for value, output in zip(run(node, arrays), node.output, strict=False) if output]
        for got, wanted in zip(found, expected, strict=True):
            assert got.dtype == wanted.dtype
            # The weights of one case are drawn anew at each import, and its gates' sums reach a hundred in float32.
            np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("kind", "after"), [("LSTM", 0), ("GRU", 0), ("GRU", 1), ("RNN", 0)])
def test_both_directions_as_the_reference_evaluator(kind, after, rng):
    """It knows one direction only, so the second is asked of it with time turned round."""
    time, batch, features, hidden = 5, 3, 4, 6
    wide = len(PLACES[kind]) * hidden
    shapes = {"X": (time, batch, features), "W": (2, wide, features), "R": (2, wide, hidden), "B": (2, 2 * wide)}
    shapes |= {"initial_h": (2, batch, hidden)}
    if kind == "LSTM":
        shapes |= {"initial_c": (2, batch, hidden), "P": (2, 3 * hidden)}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    names = [name if name in arrays else "" for name in INPUTS[: 8 if kind == "LSTM" else 6]]
    more = {"linear_before_reset": after} if kind == "GRU" else {}
    node = onnx.helper.make_node(kind, names, ["Y", "Y_h"], hidden_size=hidden, direction="bidirectional", **more)
    y, h = run(node, list(arrays.values()))[:2]
    alone = onnx.helper.make_node(kind, names, ["Y", "Y_h"], hidden_size=hidden, **more)
    evaluator = ReferenceEvaluator(alone)
    for k, turn in enumerate((slice(None), slice(None, None, -1))):
        given = {name: value[turn] if name == "X" else value[k : k + 1] for name, value in arrays.items()}
        expected, last = evaluator.run(None, given)
        np.testing.assert_allclose(y[:, k], expected[turn, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(h[k], last[0], rtol=1e-5, atol=1e-6)
