"""The record that a GPU leaves is the CPU's, number by number."""

import networks
import numpy as np
import pytest

import gradwell as gw

pytestmark = pytest.mark.usefixtures("cuda")
KINDS = tuple(networks.PLAIN)
RULE = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.05), "batch_size": 8, "seed": 0, "stats": True}


def compare(actual, expected, relative):
    """Two records agree in every number: those that are counted exactly, the others to rounding."""
    (made, here), (wanted, there) = actual.to_arrays(), expected.to_arrays()
    assert made == wanted
    assert set(here) == set(there)
    for name, array in there.items():
        assert here[name].shape == array.shape, name
        if array.dtype.kind == "f":
            np.testing.assert_allclose(here[name], array, rtol=relative, atol=1e-13, err_msg=name)
        else:
            np.testing.assert_array_equal(here[name], array, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_one_gradient(kind):
    x, y = networks.samples(rows=70)
    cpu, gpu = (gw.gradients(net, x, y, loss="softmax_cross_entropy") for net in networks.pair(kind))
    compare(gpu, cpu, relative=1e-8)


@pytest.mark.parametrize("kind", ["dense", "normalised", "residual"])
def test_every_step(kind):
    cpu, gpu = (gw.fit(net, networks.samples(rows=15), epochs=2, **RULE).gradients for net in networks.pair(kind))
    compare(gpu, cpu, relative=1e-7)


def test_a_part_of_the_steps():
    cpu, gpu = (
        gw.fit(net, networks.samples(), epochs=3, **{**RULE, "stats": "auto"}).gradients
        for net in networks.pair("dense")
    )
    assert len(gpu) >= 4
    assert gpu.steps[:4].tolist() == cpu.steps[:4].tolist()
    np.testing.assert_allclose(gpu.norm("error")[:4], cpu.norm("error")[:4], rtol=1e-8)


def test_a_fault_is_in_the_record():
    records = []
    for net in networks.pair("dense"):
        net.parameters["2.weight"][0, 0] = np.nan
        with pytest.raises(gw.NonFiniteError) as caught:
            gw.fit(net, networks.samples(), **RULE)
        records.append(caught.value.history.gradients)
    cpu, gpu = records
    assert len(gpu) == len(cpu) == 1
    np.testing.assert_array_equal(gpu.nans("activation"), cpu.nans("activation"))
    assert gpu.nans("activation").sum() > 0


def test_the_doctor_sees_the_same():
    x, y = gw.datasets.digits()
    verdicts = []
    for device in ("cpu", "cuda"):
        net = gw.mlp([64, *[20] * 5, 10], activation="sigmoid", init="nielsen", seed=0, device=device)
        history = gw.fit(net, (x, y), max_steps=8, **{**RULE, "batch_size": 50})
        verdicts.append([finding.rule for finding in gw.diagnose(history).findings])
    assert verdicts[0]
    assert verdicts[0] == verdicts[1]
