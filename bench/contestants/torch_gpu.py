"""PyTorch on a GPU: eager, compiled, or with its whole step captured in one CUDA graph."""

import torch
from jobs import RATE

from contestants.torch_eager import Torch


class TorchGpu(Torch):
    def __init__(self, job, graphs=False, compiled=False):
        if job.peers_on == "cuda" and not torch.cuda.is_available():
            raise ImportError("PyTorch sees no GPU")
        if graphs and job.peers_on != "cuda":
            raise ImportError("CUDA graphs need a GPU")
        tf32 = job.precision == "tf32"
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        if job.time:
            self.job, self.stats, self.version = job, False, f"torch {torch.__version__}"
            self.net = Sequences(job)
            self.forward = self.net
            trained = [p for p in self.net.parameters() if p.requires_grad]
            self.optimizer = torch.optim.SGD(trained, RATE)
            self.x, self.y = (torch.from_numpy(a) for a in job.data())
        else:
            super().__init__(job)
        self.net.to(job.peers_on)
        self.x, self.y = self.x.to(job.peers_on), self.y.to(job.peers_on)
        if compiled:
            self.forward = torch.compile(self.net, mode="reduce-overhead")
        if graphs:
            self.capture()

    def capture(self):
        """Take a step down as a graph: the batch gathered by a counter on the device, both ways, the update."""
        device, parameters = self.job.peers_on, list(self.net.parameters())
        before = [p.detach().clone() for p in parameters]
        self.number = torch.zeros(1, dtype=torch.int64, device=device)
        self.places = torch.arange(self.job.batch, device=device)
        self.losses = torch.zeros(self.job.steps, device=device)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(aside)
        self.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.step()
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
            self.number.zero_()
        self.train = self.replay

    def step(self):
        rows = self.places + self.number * self.job.batch
        x, y = self.x.index_select(0, rows), self.y.index_select(0, rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(self.forward(x), y)
        loss.backward()
        self.optimizer.step()
        self.losses.index_copy_(0, self.number, loss.detach().reshape(1))
        self.number.add_(1).remainder_(self.job.steps)

    def replay(self):
        """Return the losses of every step of one round."""
        losses = []
        for _ in range(self.job.epochs):
            for _ in range(self.job.steps):
                self.graph.replay()
            losses.append(self.losses.clone())
        return torch.cat(losses).cpu().numpy()


class Sequences(torch.nn.Module):
    """An LSTM and a dense layer behind its last step; one bias, not two that would both be trained."""

    def __init__(self, job):
        super().__init__()
        inputs, hidden, classes = job.sizes
        self.lstm, self.dense = torch.nn.LSTM(inputs, hidden, batch_first=True), torch.nn.Linear(hidden, classes)
        weight, recurrent, out = (torch.from_numpy(w.T.copy()) for w in job.lstm())
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            self.lstm.weight_ih_l0.copy_(weight)
            self.lstm.weight_hh_l0.copy_(recurrent)
            self.dense.weight.copy_(out)
        self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, x):
        return self.dense(self.lstm(x)[0][:, -1])
