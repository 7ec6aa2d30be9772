"""PyTorch models of the zoo, and how they are trained while they are watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nets import digits
from torch import nn

import gradwell as gw


@dataclass(frozen=True)
class Watched:
    """A model's watch, after its training."""

    watch: Any

    def diagnose(self, probed):
        return self.watch.diagnose()

    @property
    def record(self):
        return self.watch.record

    @property
    def losses(self):
        return np.array(self.watch.losses)


class Residual(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.norm, self.inner = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x):
        return x + 0.3 * torch.tanh(self.inner(self.norm(x)))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell, self.head = kind(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.cell(x.reshape(-1, 8, 8))[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.body = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.body(self.embed(x.reshape(-1, 8, 8))).mean(1))


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *[m for n in (1, 16, 16) for m in (nn.Conv2d(n, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())]
        )
        self.head = nn.Linear(16 * 64, 10)

    def forward(self, x):
        return self.head(self.body(x.reshape(-1, 1, 8, 8)).flatten(1))


def mlp(depth, width, activation, start=None, norm=None):
    def make():
        layers = []
        for inputs in (64, *[width] * (depth - 1)):
            linear = nn.Linear(inputs, width)
            if start is not None:
                start(linear.weight)
                nn.init.zeros_(linear.bias)
            layers += [linear, *([norm(width)] if norm else []), activation()]
        return nn.Sequential(*layers, nn.Linear(width, 10))

    return make


def with_bias(layer, value):
    def make():
        model = mlp(4, 64, nn.ReLU, nn.init.kaiming_normal_)()
        nn.init.constant_(model[layer].bias, value)
        return model

    return make


def with_weight(layer, value, activation=nn.Tanh):
    def make():
        model = mlp(6, 40, activation, nn.init.xavier_normal_)()
        nn.init.constant_(model[layer].weight, value)
        return model

    return make


def normal(std):
    return lambda weight: nn.init.normal_(weight, std=std)


def train(make, optimizer, scale=1.0, steps=300, accumulate=1, frozen=0, batch=32):
    def run(seed):
        torch.manual_seed(seed)
        x, y = (torch.tensor(part) for part in digits(seed))
        model = make()
        for parameter in list(model.parameters())[:frozen]:
            parameter.requires_grad_(False)
        stepper = optimizer([p for p in model.parameters() if p.requires_grad])
        with gw.watch.torch(model, stepper) as watch:
            for step in range(steps):
                stepper.zero_grad()
                for part in range(accumulate):
                    at = torch.arange(batch) + (step * accumulate + part) * batch
                    loss = nn.functional.cross_entropy(model(scale * x[at % len(x)]), y[at % len(x)]) / accumulate
                    loss.backward()
                stepper.step()
                watch.loss(loss * accumulate, y[at % len(x)])
        assert watch.faults == []
        return Watched(watch)

    return run


def sgd(rate, **settings):
    return lambda parameters: torch.optim.SGD(parameters, rate, **settings)


def adam(rate):
    return lambda parameters: torch.optim.Adam(parameters, rate)
