"""Ten sick networks treated: does the winner make the finding vanish on seeds that no trial saw?"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from nets import adding, biases, clouds, digits, weights

import gradwell as gw
from gradwell.initializers import Normal

CE, MSE = "softmax_cross_entropy", "mean_squared_error"


@dataclass(frozen=True)
class Patient:
    name: str
    layers: object  # seed -> Network
    data: object
    optimizer: object
    loss: str = CE
    clip: object = None


def plain(depth, width, activation, init, inputs=64, outputs=10, change=None):
    def make(seed):
        net = gw.mlp([inputs, *[width] * depth, outputs], activation=activation, init=init, seed=seed)
        if change:
            change(net)
        return net

    return make


def wide(seed):
    x, y = digits(seed)
    return x * np.float32(1000), y


PATIENTS = (
    Patient("logistic 5", plain(5, 30, "sigmoid", "nielsen"), digits, gw.SGD(0.1)),
    Patient("logistic 8", plain(8, 40, "sigmoid", "nielsen", 20, 5), clouds, gw.SGD(0.1)),
    Patient("small weights", plain(8, 50, "tanh", Normal(0, 0.05)), digits, gw.SGD(0.1)),
    Patient("relu glorot 20", plain(20, 64, "relu", "glorot"), digits, gw.SGD(0.05)),
    Patient("saturated", plain(5, 40, "tanh", Normal(0, 2.0)), digits, gw.SGD(0.01)),
    Patient("large rate", plain(4, 64, "tanh", "glorot"), digits, gw.SGD(6.0)),
    Patient("no rate", plain(3, 64, "tanh", "glorot"), digits, gw.SGD(1e-9)),
    Patient("large inputs", plain(3, 64, "tanh", "glorot"), wide, gw.SGD(0.1)),
    Patient("tight clip", plain(3, 64, "relu", "he"), digits, gw.SGD(0.1), clip=gw.clip_by_norm(1e-3)),
    Patient(
        "rnn 200",
        lambda seed: gw.Network([gw.RNN(32), gw.Dense(1)], (200, 2), seed=seed),
        adding(200),
        gw.Adam(1e-3),
        MSE,
    ),
    Patient("equal weights", plain(4, 40, "tanh", "glorot", change=weights(4, value=0.1)), digits, gw.SGD(0.1)),
    Patient("dead layer", plain(4, 64, "relu", "he", change=biases(4, -8.0)), digits, gw.SGD(0.01)),
)


def cured(patient, seeds=5, first=100):
    """The treatment, and on how many new seeds the winner's change makes the finding vanish."""
    data = patient.data(0)
    settings = {"loss": patient.loss, "optimizer": patient.optimizer, "clip": patient.clip}
    cure = gw.treat(patient.layers(0), data, seeds=2, steps=250, progress=False, **settings)
    if cure.winner is None:
        return cure, 0
    gone = 0
    for seed in range(first, first + seeds):
        fresh = gw.doctor.Setup(patient.layers(seed), *patient.data(seed), patient.optimizer, patient.clip)
        changed = gw.doctor.applied(cure.winner.remedy, fresh, seed)
        history = gw.fit(
            changed.network,
            (changed.x, changed.y),
            loss=patient.loss,
            optimizer=changed.optimizer,
            clip=changed.clip,
            epochs=5,
            seed=seed,
            stats=True,
            progress=False,
        )
        finding = gw.diagnose(history).get(cure.finding.rule)
        gone += finding is None or finding.severity == "note"
    return cure, gone


if __name__ == "__main__":
    total = 0
    for patient in PATIENTS:
        cure, gone = cured(patient)
        total += gone
        print(f"{patient.name:16} {cure.finding.rule:20} {gone} of 5   {cure.code or 'nothing helped'}")
    print(f"{total} of {5 * len(PATIENTS)}")
    sys.exit(0 if total >= 0.9 * 5 * len(PATIENTS) else 1)
