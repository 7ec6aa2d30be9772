"""Every layer in a network: outputs and every gradient, element by element, against a plain network's complex steps."""

import numpy as np
import plain
import pytest
from compare import assert_close

import gradwell as gw

D, R, BN, LN, Res = gw.Dense, gw.ReLU, gw.BatchNorm, gw.LayerNorm, gw.Residual
NETS = {
    "batchnorm": [D(5), BN(), gw.Tanh(), D(4), BN(use_scale=False), gw.GELU(), D(3)],
    "batchnorm first and last": [BN(), D(4), gw.Sigmoid(), D(3), BN(use_bias=False)],
    "batchnorm alone": [BN()],
    "batchnorm and prelu": [D(4), BN(), gw.PReLU(), D(3)],
    "layernorm": [D(5), LN(), gw.Tanh(), D(4), LN(use_scale=False), gw.SiLU(), D(3), LN()],
    "residual": [D(4), Res(D(4), gw.Tanh(), D(4)), gw.Tanh(), D(3)],
    "residual at the input": [Res(D(4), gw.Tanh(), D(4)), D(3)],
    "residual at both ends": [Res(D(3), gw.Tanh(), shortcut=D(3))],
    "shortcut": [D(4), gw.Tanh(), Res(D(5), gw.Tanh(), D(3), shortcut=D(3, use_bias=False)), gw.Sigmoid(), D(3)],
    "scaled": [D(4), Res(gw.Tanh(), D(4), scale=0.5), Res(D(4), gw.Sigmoid(), scale=-2.0), D(3)],
    "branch ends in an activation": [D(4), Res(D(4), gw.Tanh()), Res(D(4), gw.ELU(), shortcut=D(4)), D(3)],
    "rezero": [D(4), Res(D(4), gw.Tanh(), D(4), scale="rezero"), Res(D(4), gw.Tanh(), scale="fixup"), D(3)],
    "pre-activation": [D(4), Res(BN(), gw.Tanh(), D(4), LN(), gw.Tanh(), D(4)), Res(LN(), D(4)), D(3)],
    "nested": [
        D(4),
        Res(Res(D(4), gw.Tanh()), D(4), Res(D(4), gw.Tanh(), scale="fixup")),
        Res(Res(Res(gw.Tanh()))),
        gw.Softplus(),
        D(3),
    ],
    "nested with shortcuts": [Res(Res(D(4), gw.Tanh(), shortcut=D(4)), Res(D(4), gw.PReLU()), shortcut=D(4)), D(3)],
    "activation alone": [gw.Tanh(), Res(gw.Sigmoid()), gw.GELU(), D(3)],
    "dropout": [D(6), gw.Tanh(), gw.Dropout(0.5), D(4), gw.Dropout(0.2), Res(D(4), gw.Dropout(0.3)), D(3)],
}


def make(name):
    net = gw.Network(NETS[name], input_shape=4 if name != "batchnorm alone" else 3, seed=5, dtype="float64")
    rng = np.random.default_rng(1)
    for view in net.parameters.values():  # learned scales, offsets and slopes away from 0 and 1
        view[...] = rng.uniform(0.3, 1.2, view.shape) * rng.choice([-1, 1], view.shape)
    return net


def masks_of(net, batch, seed, step):
    stages = [name for name, *_ in net.program.stages]
    found = {}
    width = {name: outputs for name, _, _, outputs, *_ in net.program.stages}
    for name, layer, _ in gw.layers.walk(net.layers):
        if isinstance(layer, gw.Dropout):
            ones = np.ones((batch, width[name]))
            found[name] = gw.kernels.dropout_forward(ones, layer.rate, seed=seed, step=step, layer=stages.index(name))[
                1
            ]
    return found


@pytest.mark.parametrize("batch", [2, 5, 40], ids=lambda n: f"batch {n}")
@pytest.mark.parametrize("name", NETS)
def test_outputs_and_gradients(name, batch, rng):
    net = make(name)
    x, y = rng.normal(size=(batch, net.inputs)), rng.integers(0, 3, batch)
    masks = masks_of(net, batch, 7, 0)
    expected = plain.forward(net.layers, net.parameters, x, masks=masks)
    scale = np.abs(expected).max()
    outputs = net.forward(x, seed=7)
    assert_close(outputs, expected, relative=1e-11, cancellation_scale=scale, reason="a few roundings a layer")
    exact = plain.gradients(net, x, y, "softmax_cross_entropy", masks=masks)
    net.backward(gw.kernels.softmax_cross_entropy(outputs, y)[1])
    by_backward = {key: view.copy() for key, view in net.gradients.items()}
    record = gw.gradients(net, x, y, loss="softmax_cross_entropy", seed=7)
    largest = max(np.abs(g).max() for g in exact.values())
    for key, gradient in net.gradients.items():
        reason = "a few roundings a layer; normalisation and sums cancel"
        # A batch of two is normalised to +-1: what is left of its gradients is of the order of epsilon.
        floor = largest * (1e-4 if batch > 2 else 1e-2)
        assert_close(gradient, exact[key], relative=1e-9, floor=floor, reason=reason)
        assert_close(by_backward[key], exact[key], relative=1e-9, floor=floor, reason=reason)
    assert np.isfinite(record.norm("error")).all()


@pytest.mark.parametrize("name", [name for name in NETS if name != "dropout"])
def test_input_gradients(name, rng):
    net = make(name)
    x, dy = rng.normal(size=(5, net.inputs)), rng.normal(size=(5, 3))
    net.forward(x)
    dx = net.backward(dy)
    for at in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[at] += 1e-30j
        exact = (dy * plain.forward(net.layers, net.parameters, moved)).sum().imag / 1e-30
        floor = 1e-3 * np.abs(dx).max()
        assert_close(dx[at], exact, relative=1e-9, floor=floor, reason="sums over the batch cancel")


@pytest.mark.parametrize("name", NETS)
def test_inference(name, rng):
    net = make(name)
    x = rng.normal(size=(40, net.inputs))
    for _ in range(3):
        net.forward(x)
    expected = plain.forward(net.layers, net.parameters, x[:9], training=False, buffers=net.buffers)
    got = net.predict(x[:9])
    assert_close(got, expected, relative=1e-11, cancellation_scale=np.abs(expected).max(), reason="a few roundings")
    np.testing.assert_array_equal(net.forward(x[:9], training=False), got)
    np.testing.assert_array_equal(net.predict(x[:9], batch_size=1), got)


@pytest.mark.parametrize("name", NETS)
def test_training_is_the_plain_step_and_the_same_recorded(name, rng):
    """Steps by the fused path, the recorded one and the kernels of one's own loop."""
    x, y = rng.normal(size=(48, 4 if name != "batchnorm alone" else 3)), rng.integers(0, 3, 48)
    fits = []
    for stats in (False, True):
        net = make(name)
        settings = {"batch_size": 16, "epochs": 2, "shuffle": False, "seed": 3, "stats": stats}
        gw.fit(net, (x, y), loss="softmax_cross_entropy", optimizer=gw.SGD(0.05), **settings)
        fits.append(b"".join(v.tobytes() for v in [*net.parameters.values(), *net.buffers.values()]))
        fitted = net
    assert fits[0] == fits[1]
    if name == "dropout":
        return  # an own loop draws by its own count of passes
    own = make(name)
    for _ in range(2):
        for first in range(0, 48, 16):
            outputs = own.forward(x[first : first + 16])
            own.backward(gw.kernels.softmax_cross_entropy(outputs, y[first : first + 16])[1])
            gw.SGD(0.05).update(own)
    for key, view in own.parameters.items():
        assert_close(fitted.parameters[key], view, relative=1e-9, floor=1e-3, reason="fused or not, six steps")
    for key, view in own.buffers.items():
        assert_close(fitted.buffers[key], view, relative=1e-9, floor=1e-3, reason="fused or not, six steps")


@pytest.mark.parametrize("name", NETS)
def test_same_bits_at_any_thread_count(name, rng):
    x, y = rng.normal(size=(1024, 4 if name != "batchnorm alone" else 3)), rng.integers(0, 3, 1024)
    before, found = gw.num_threads(), set()
    worth = gw._core.get_worth()
    try:
        gw._core.set_worth(1, 1, 1)  # threads whatever the size
        for threads in (1, 2, 3):
            gw.set_num_threads(threads)
            for stats in (False, True):
                net = make(name)
                gw.fit(net, (x, y), loss="quadratic", optimizer=gw.Adam(0.01), batch_size=100, epochs=2, stats=stats)
                found.add(b"".join(v.tobytes() for v in [*net.parameters.values(), *net.buffers.values()]))
    finally:
        gw.set_num_threads(before)
        gw._core.set_worth(*worth)
    assert len(found) == 1
