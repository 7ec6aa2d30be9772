"""PyTorch: eager, with torch.optim.SGD's fused update, compiled, or measuring the same statistics by its own calls."""

import torch
from jobs import RATE

ACTIVATIONS = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh}


class Torch:
    def __init__(self, job, fused=False, compiled=False, stats=False):
        torch.set_num_threads(job.threads)
        self.job, self.stats, self.fused = job, stats, fused
        self.version = f"torch {torch.__version__}"
        if job.kind != "step":
            return
        layers, self.linears, self.activations = [], [], []
        for weight, bias in job.weights():
            linear = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weight.T.copy()))
                linear.bias.copy_(torch.from_numpy(bias))
            layers += [linear, ACTIVATIONS[job.activation]()]
            self.linears.append(linear)
        self.net = torch.nn.Sequential(*layers[:-1])
        self.forward = torch.compile(self.net) if compiled else self.net
        self.optimizer = torch.optim.SGD(self.net.parameters(), RATE, fused=fused or None)
        self.x, self.y = (torch.from_numpy(a) for a in job.data())

    def train(self):
        """Return the losses; they are read once at the end, as a loop that cares for speed would."""
        losses = []
        for start in [*range(0, len(self.x), self.job.batch)] * self.job.epochs:
            x, y = self.x[start : start + self.job.batch], self.y[start : start + self.job.batch]
            self.optimizer.zero_grad()
            logits = self.recorded_forward(x) if self.stats else self.forward(x)
            loss = torch.nn.functional.cross_entropy(logits, y)
            loss.backward()
            if self.stats:
                self.measure_all()
            self.optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).cpu().numpy()

    def recorded_forward(self, x):
        """Keep what the record is about: z with its gradient, and the outputs."""
        self.z, self.outputs = [], []
        for layer in self.net:
            x = layer(x)
            if isinstance(layer, torch.nn.Linear):
                x.retain_grad()
                self.z.append(x)
            else:
                self.outputs.append(x.detach())
        self.outputs.append(x.detach())
        return x

    def measure_all(self):
        self.record = [measure(z.grad) for z in self.z] + [measure(y) for y in self.outputs]
        for p in self.net.parameters():
            self.record += [measure(p.grad), (torch.linalg.vector_norm(p.detach()), RATE)]

    def dense(self, x, w):
        x, w = torch.from_numpy(x), torch.from_numpy(w)
        return lambda: torch.mm(x, w)

    def both_ways(self, x, dy, layer):
        x, dy = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)

        def both():
            x.grad = None
            layer.zero_grad()
            y = layer(x)
            y.backward(dy)
            return y.detach(), x.grad

        return both

    def batchnorm(self, x, dy):
        return self.both_ways(x, dy, torch.nn.BatchNorm1d(x.shape[1]))

    def layernorm(self, x, dy):
        return self.both_ways(x, dy, torch.nn.LayerNorm(x.shape[1]))

    def boltzmann(self, x, weight):
        x, w = torch.from_numpy(x), torch.from_numpy(weight.copy())
        a, b = torch.zeros(w.shape[0]), torch.zeros(w.shape[1])

        @torch.no_grad()
        def epoch():
            for v0 in x.split(self.job.batch):
                h0 = torch.sigmoid(torch.addmm(b, v0, w))
                v1 = torch.bernoulli(torch.sigmoid(torch.addmm(a, torch.bernoulli(h0), w.T)))
                h1 = torch.sigmoid(torch.addmm(b, v1, w))
                rate = RATE / len(v0)
                w.addmm_(v0.T, h0, alpha=rate).addmm_(v1.T, h1, alpha=-rate)
                a.add_((v0 - v1).sum(0), alpha=rate)
                b.add_((h0 - h1).sum(0), alpha=rate)

        return epoch, lambda v: torch.sigmoid(torch.addmm(b, torch.from_numpy(v), w))

    def recurrent(self, x, weight, recurrent, bias, dy):
        kinds = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
        layer = kinds[self.job.activation](*self.job.sizes)  # time first, which is its fastest
        with torch.no_grad():
            for name, value in (("weight_ih_l0", weight.T), ("weight_hh_l0", recurrent.T)):
                getattr(layer, name).copy_(torch.from_numpy(value.copy()))
            layer.bias_ih_l0.zero_()
            layer.bias_hh_l0.zero_()
        x, dy = (torch.from_numpy(a.swapaxes(0, 1).copy()) for a in (x, dy))

        def both():
            layer.zero_grad()
            y, _ = layer(x)
            y.backward(dy)
            return y[-1].detach(), layer.weight_hh_l0.grad.T

        return both

    def adamw(self, p, g):
        parameter = torch.nn.Parameter(torch.from_numpy(p))
        parameter.grad = torch.from_numpy(g)
        optimizer = torch.optim.AdamW([parameter], lr=1e-3, weight_decay=0.01, fused=self.fused or None)

        def update():
            optimizer.step()
            return parameter.detach()

        return update

    def activation(self, x, dy):
        x, dy, ops = torch.from_numpy(x), torch.from_numpy(dy), torch.ops.aten

        def elu():
            y = ops.elu(x)
            return y, ops.elu_backward(dy, 1.0, 1.0, 1.0, True, y)

        def tanh():
            y = torch.tanh(x)
            return y, ops.tanh_backward(dy, y)

        def sigmoid():
            y = torch.sigmoid(x)
            return y, ops.sigmoid_backward(dy, y)

        return {"elu": elu, "tanh": tanh, "sigmoid": sigmoid}[self.job.activation]


def measure(x):
    """Return what gradwell's record holds of an array, left on the device as tensors."""
    x = x.detach()
    size = x.abs()
    present = size[size > 0]
    std, mean = torch.std_mean(x, correction=0)
    exponents = torch.frexp(present).exponent.to(torch.int64) + 160
    return (
        torch.linalg.vector_norm(x),
        mean,
        std,
        torch.aminmax(x),
        size.max(),
        present.min() if present.numel() else None,
        torch.count_nonzero(x),
        torch.isnan(x).sum(),
        torch.isinf(x).sum(),
        torch.bincount(exponents),
    )
