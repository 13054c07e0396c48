# Copyright ©2026 The logsoftmax Authors. All rights reserved.
# Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

"""PyTorch or SciPy behind a pipe: a line of JSON in, a line of JSON out.

The matrices come and go as files of raw float64, the targets as raw int64.
"""

import json
import sys
import time


class Torch:
    """The operators that torch.nn.functional calls, with outputs allocated once."""

    def __init__(self):
        import torch

        self.torch, self.aten = torch, torch.ops.aten
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        capability = [s for s in torch.__config__.show().splitlines() if "CPU capability usage" in s]
        self.version = torch.__version__
        self.note = "outputs allocated once; CPU capability " + capability[0].split(":")[1].strip() if capability else ""

    def load(self, rows, cols, x, target):
        torch = self.torch
        self.x = torch.from_file(x, size=rows * cols, dtype=torch.float64).reshape(rows, cols).clone()
        self.t = torch.from_file(target, size=rows, dtype=torch.int64).clone()
        self.out, self.logp, self.tmp = (torch.empty_like(self.x) for _ in range(3))
        self.one = torch.ones((), dtype=torch.float64)

    def threads(self, n):
        self.torch.set_num_threads(n)

    def save(self, path):
        self.torch.from_file(path, shared=True, size=self.out.numel(), dtype=self.torch.float64).copy_(self.out.reshape(-1))

    def log_softmax_rows(self):
        self.torch._log_softmax(self.x, 1, False, out=self.out)

    def log_softmax_columns(self):
        self.torch._log_softmax(self.x, 0, False, out=self.out)

    def cross_entropy(self):
        self.torch._log_softmax(self.x, 1, False, out=self.logp)
        return float(self.aten.nll_loss_forward(self.logp, self.t, None, 1, -100)[0])

    def cross_entropy_grad(self):
        self.torch._log_softmax(self.x, 1, False, out=self.logp)
        loss, weight = self.aten.nll_loss_forward(self.logp, self.t, None, 1, -100)
        self.aten.nll_loss_backward.grad_input(
            self.one, self.logp, self.t, None, 1, -100, weight, grad_input=self.tmp)
        self.aten._log_softmax_backward_data.out(self.tmp, self.logp, 1, self.torch.float64, out=self.out)
        return float(loss)


class Scipy:
    """scipy.special.log_softmax, which takes no output argument, and NumPy."""

    def __init__(self):
        import numpy
        import scipy
        import scipy.special

        self.np, self.f = numpy, scipy.special.log_softmax
        self.version = scipy.__version__
        self.note = "scipy.special.log_softmax, NumPy " + numpy.__version__

    def load(self, rows, cols, x, target):
        self.x = self.np.fromfile(x, dtype="=f8").reshape(rows, cols)
        self.t = self.np.fromfile(target, dtype="=i8")
        self.rows = self.np.arange(rows)
        self.out = None

    def threads(self, n):
        pass

    def save(self, path):
        self.out.tofile(path)

    def log_softmax_rows(self):
        self.out = self.f(self.x, axis=1)

    def log_softmax_columns(self):
        self.out = self.f(self.x, axis=0)

    def cross_entropy(self):
        return -float(self.f(self.x, axis=1)[self.rows, self.t].mean())

    def cross_entropy_grad(self):
        self.out = self.f(self.x, axis=1)
        loss = -float(self.out[self.rows, self.t].mean())
        self.np.exp(self.out, out=self.out)
        self.out[self.rows, self.t] -= 1
        self.out /= len(self.t)
        return loss


def answer(peer, request):
    do = request.pop("do")
    if do == "load":
        peer.load(**request)
        return {}
    op = {
        "LogSoftmax, dim 1": peer.log_softmax_rows,
        "LogSoftmax, dim 0": peer.log_softmax_columns,
        "CrossEntropy": peer.cross_entropy,
        "CrossEntropy with gradient": peer.cross_entropy_grad,
    }[request["op"]]
    if do == "time":
        peer.threads(request["threads"])
        start = time.perf_counter()
        for _ in range(request["calls"]):
            op()
        return {"seconds": time.perf_counter() - start}
    loss = op()
    if "out" in request:
        peer.save(request["out"])
    return {"loss": loss or 0}


def main():
    peer = {"torch": Torch, "scipy": Scipy}[sys.argv[1]]()
    reply = {"version": peer.version, "note": peer.note}
    while True:
        print(json.dumps(reply), flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        try:
            reply = answer(peer, json.loads(line))
        except Exception as e:
            reply = {"error": repr(e)}


main()
