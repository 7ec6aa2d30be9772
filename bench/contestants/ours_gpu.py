"""gradwell on a GPU, through `fit`."""

import gradwell as gw
from contestants.ours import Gradwell


class GradwellGpu(Gradwell):
    def __init__(self, job, stats=False):
        found = gw.cuda_info()
        if not found["available"]:
            raise ImportError(found["reason"])
        gw.set_cuda_precision(job.precision)
        if job.time:
            self.job, self.stats, self.data = job, stats, job.data()
            self.version = f"gradwell {gw.__version__}"
            self.net = self.recurrent_net()
        else:
            super().__init__(job, stats)
        self.version = f"gradwell {gw.__version__} ({found['name']})"
        self.net.to("cuda")

    def recurrent_net(self):
        time, (inputs, hidden, classes) = self.job.time, self.job.sizes
        net = gw.Network([gw.LSTM(hidden), gw.Dense(classes)], input_shape=(time, inputs), seed=0)
        values = dict(zip(("0.weight", "0.recurrent_weight", "1.weight"), self.job.lstm(), strict=True))
        for name, view in net.parameters.items():
            view[:] = values.get(name, 0)
        return net
