"""Remedies by name: what each changes, and the line to paste.

A change says what a trial does: "layers" names a rebuilding of the network, "init" draws its weights anew, "fit"
changes arguments of `fit`, "data" the samples.
"""

from __future__ import annotations

from typing import Final

from gradwell.doctor.finding import Remedy

REMEDIES: Final = {
    "lsuv": Remedy(
        "scale every layer's weights on data (LSUV)",
        "makes every layer's output variance 1 (Mishkin and Matas, 2016)",
        'gw.initialize(net, "lsuv", data=x[:1000])',
        {"init": "lsuv"},
        torch_code="m.weight.data /= m(x).std(); x = act(m(x))  # layer by layer",
    ),
    "matching init": Remedy(
        "initial weights that suit the activation",
        "keeps variances from layer to layer (Glorot and Bengio, 2010; He et al., 2015)",
        'gw.Dense(n, init="he")  # relu; "glorot" for tanh',
        {"init": "matching"},
        torch_code='nn.init.kaiming_normal_(m.weight, nonlinearity="relu")  # tanh: nn.init.xavier_normal_(m.weight)',
    ),
    "tanh": Remedy(
        "tanh for the logistic function",
        "its derivative reaches 1, not 1/4, and its outputs are centred (LeCun et al., 1998)",
        'gw.mlp(sizes, activation="tanh", init="glorot")',
        {"layers": "tanh", "init": "matching"},
        torch_code="nn.Tanh() for nn.Sigmoid(), nn.init.xavier_normal_(m.weight)",
    ),
    "relu": Remedy(
        "relu units with He's initial weights",
        "half of the derivatives are exactly 1 (Glorot, Bordes and Bengio, 2011; He et al., 2015)",
        'gw.mlp(sizes, activation="relu", init="he")',
        {"layers": "relu", "init": "matching"},
        torch_code='nn.ReLU() for nn.Sigmoid(), nn.init.kaiming_normal_(m.weight, nonlinearity="relu")',
    ),
    "leaky relu": Remedy(
        "leaky relu for relu",
        "a unit that is off still has a gradient (Maas, Hannun and Ng, 2013)",
        'gw.mlp(sizes, activation="leaky_relu")',
        {"layers": "leaky_relu"},
        torch_code="nn.LeakyReLU(0.01) for nn.ReLU()",
    ),
    "batchnorm": Remedy(
        "batch normalisation before every activation",
        "keeps pre-activations in range whatever the weights (Ioffe and Szegedy, 2015)",
        "gw.Dense(n), gw.BatchNorm(), gw.ReLU()",
        {"layers": "batchnorm"},
        torch_code="nn.Linear(n, n), nn.BatchNorm1d(n), nn.ReLU()",
    ),
    "layernorm": Remedy(
        "layer normalisation before every activation",
        "as batch normalisation, but free of the batch (Ba, Kiros and Hinton, 2016)",
        "gw.Dense(n), gw.LayerNorm(), gw.ReLU()",
        {"layers": "layernorm"},
        torch_code="nn.Linear(n, n), nn.LayerNorm(n), nn.ReLU()",
    ),
    "residual": Remedy(
        "residual connections around the hidden layers",
        "the gradient has a path that nothing multiplies (He et al., 2016)",
        "gw.Residual(gw.Dense(n), gw.ReLU())",
        {"layers": "residual"},
        torch_code="x = x + torch.relu(self.linear(x))",
    ),
    "fewer layers": Remedy(
        "half as many hidden layers",
        "what is lost a layer is lost half as often",
        "gw.mlp([n_in, *[n] * (depth // 2), n_out])",
        {"layers": "half"},
        torch_code="layers = layers[: len(layers) // 2]",
    ),
    "clip": Remedy(
        "clip the gradient's norm",
        "bounds every step (Pascanu, Mikolov and Bengio, 2013)",
        "gw.fit(..., clip=gw.clip_by_norm(1.0))",
        {"fit": {"clip": 1.0}},
        torch_code="nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # before optimizer.step()",
    ),
    "no clip": Remedy(
        "a wider limit, or none",
        "the limit decides the length of nearly every step",
        "gw.fit(..., clip=gw.clip_by_norm(history.clipping.suggest(0.9)))",
        {"fit": {"clip": None}},
        torch_code="nn.utils.clip_grad_norm_(model.parameters(), 10 * limit)  # or none",
    ),
    "lower rate": Remedy(
        "a tenth of the learning rate",
        "steps are too long for the curvature (LeCun et al., 1998)",
        "optimizer=gw.SGD(rate / 10)",
        {"fit": {"rate": 0.1}},
        torch_code='optimizer.param_groups[0]["lr"] /= 10',
    ),
    "higher rate": Remedy(
        "ten times the learning rate",
        "weights hardly move",
        "optimizer=gw.SGD(10 * rate)",
        {"fit": {"rate": 10.0}},
        torch_code='optimizer.param_groups[0]["lr"] *= 10',
    ),
    "adam": Remedy(
        "Adam, whose steps do not depend on the gradient's scale",
        "divides every gradient by its own recent size (Kingma and Ba, 2015)",
        "optimizer=gw.Adam(1e-3)",
        {"fit": {"optimizer": "adam", "rate": 1e-3}},
        torch_code="optimizer = torch.optim.Adam(model.parameters(), 1e-3)",
    ),
    "standardise": Remedy(
        "inputs of mean 0 and variance 1",
        "one learning rate suits all weights (LeCun et al., 1998)",
        "x = (x - x.mean(0)) / (x.std(0) + 1e-8)",
        {"data": "standardise"},
        torch_code="x = (x - x.mean(0)) / (x.std(0) + 1e-8)",
    ),
    "standardise targets": Remedy(
        "targets of mean 0 and variance 1",
        "errors, and with them gradients, are as large as the targets (LeCun et al., 1998)",
        "y = (y - y.mean(0)) / y.std(0)  # and back for predictions",
        torch_code="y = (y - y.mean(0)) / y.std(0)  # and back for predictions",
    ),
    "lstm": Remedy(
        "an LSTM with a forget bias of 1 or more",
        "its cell hands the gradient on nearly whole (Hochreiter and Schmidhuber, 1997; Gers et al., 2000)",
        "gw.LSTM(n, forget_bias=1.0)",
        {"layers": "lstm"},
        torch_code="lstm.bias_hh_l0.data[n : 2 * n] = 1.0  # of nn.LSTM(inputs, n); gates lie i, f, g, o",
    ),
    "orthogonal": Remedy(
        "an orthogonal or identity recurrent weight",
        "all its singular values are 1 (Saxe et al., 2014; Le, Jaitly and Hinton, 2015)",
        'gw.RNN(n, activation="relu", recurrent_init="identity")',
        {"layers": "irnn"},
        torch_code='nn.init.orthogonal_(rnn.weight_hh_l0)  # or nn.init.eye_ with nonlinearity="relu"',
    ),
    "random init": Remedy(
        "random initial weights",
        "units that start equal stay equal",
        'gw.Dense(n, init="glorot")',
        {"init": "matching"},
        torch_code="nn.init.xavier_normal_(m.weight)",
    ),
    "amplify": Remedy(
        "Adam or gradients scaled up, or float64",
        "numbers below the format's range are lost",
        'gw.Network(layers, shape, dtype="float64")',
        {"fit": {"optimizer": "adam", "rate": 1e-3}},
        torch_code="model.double()  # or torch.optim.Adam(model.parameters(), 1e-3)",
    ),
    "orthogonal layers": Remedy(
        "orthogonal initial weights",
        "all singular values of a layer are 1 (Saxe et al., 2014)",
        'gw.mlp(sizes, activation="tanh", init="orthogonal")',
        {"init": "orthogonal"},
        torch_code='nn.init.orthogonal_(m.weight, nn.init.calculate_gain("tanh"))',
    ),
    "larger batch": Remedy(
        "a larger batch",
        "noise falls with the root of the batch (McCandlish et al., 2018)",
        "gw.fit(..., batch_size=8 * batch_size)",
        torch_code="DataLoader(data, batch_size=8 * batch_size)",
    ),
    "decay": Remedy(
        "weight decay",
        "holds the weights' norm (Loshchilov and Hutter, 2019)",
        "optimizer=gw.AdamW(1e-3, weight_decay=1e-2)",
        {"fit": {"weight_decay": 1e-2}},
        torch_code="optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-2)",
    ),
}


def remedies(*names: str) -> tuple[Remedy, ...]:
    """Return remedies by name.

    Examples
    --------
    >>> [remedy.code for remedy in remedies("clip")]
    ['gw.fit(..., clip=gw.clip_by_norm(1.0))']
    """
    return tuple(REMEDIES[name] for name in names)
