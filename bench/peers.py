# Copyright ©2026 The logsoftmax Authors. All rights reserved.
# Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

"""PyTorch, SciPy or scikit-learn behind a pipe: a line of JSON in, a line of JSON out.

The matrices come and go as files of raw float64, the targets as raw int64.
"""

import ctypes
import gc
import json
import sys
import time

LOG_SOFTMAX_ROWS = "LogSoftmax, dim 1"
LOG_SOFTMAX_COLUMNS = "LogSoftmax, dim 0"
CROSS_ENTROPY = "CrossEntropy"
GRAD = "CrossEntropy with gradient"
WEIGHTED_GRAD = "CrossEntropy with gradient, class weights"
SMOOTHED_GRAD = "CrossEntropy with gradient, smoothing 0.1"
LINEAR_GRAD = "LinearCrossEntropy with gradients of weights and bias"

SMOOTHING = 0.1


def resident(name):
    """Returns a size out of this process's status, and 0 where there is none."""
    try:
        with open("/proc/self/status") as f:
            return sum(1024 * int(line.split()[1]) for line in f if line.startswith(name))
    except OSError:
        return 0


def begin_peak():
    """Lets the peak of memory begin anew, and returns what is in use."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed is not in use
    except AttributeError:
        pass
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass
    return resident("VmRSS")


class TorchBase:
    def __init__(self):
        import torch

        self.torch, self.aten = torch, torch.ops.aten
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        self.version = torch.__version__.split("+")[0]

    def load(self, rows, cols, features, x, w, b, weight, target):
        torch = self.torch
        self.cols = cols

        def tensor(path, *shape):
            size = 1
            for n in shape:
                size *= n
            return torch.from_file(path, size=size, dtype=torch.float64).reshape(shape).clone()

        self.t = torch.from_file(target, size=rows, dtype=torch.int64).clone()
        self.weight = tensor(weight, cols)
        self.one = torch.ones((), dtype=torch.float64)
        if features:
            self.x, self.w, self.b = tensor(x, rows, features), tensor(w, cols, features), tensor(b, cols)
        else:
            self.x = tensor(x, rows, cols)
        self.before = begin_peak()
        self.allocate(rows, cols, features)

    def threads(self, n):
        self.torch.set_num_threads(n)

    def save(self, path):
        self.torch.from_file(path, shared=True, size=self.out.numel(), dtype=self.torch.float64).copy_(self.out.reshape(-1))


class Torch(TorchBase):
    """The operators that torch.nn.functional calls, with outputs allocated once."""

    def __init__(self):
        super().__init__()
        capability = self.torch.backends.cpu.get_cpu_capability()
        self.note = "the operators of torch.nn.functional, outputs allocated once, called from Python; CPU capability " + capability
        self.ops = {
            LOG_SOFTMAX_ROWS: self.log_softmax_rows,
            LOG_SOFTMAX_COLUMNS: self.log_softmax_columns,
            CROSS_ENTROPY: self.cross_entropy,
            GRAD: self.cross_entropy_grad,
            WEIGHTED_GRAD: lambda: self.cross_entropy_grad(self.weight),
            SMOOTHED_GRAD: self.smoothed_grad,
            LINEAR_GRAD: self.linear_grad,
        }

    def allocate(self, rows, cols, features):
        torch = self.torch
        empty = lambda *shape: torch.empty(shape, dtype=torch.float64)
        self.logits = empty(rows, cols) if features else self.x
        self.logp, self.tmp = empty(rows, cols), empty(rows, cols)
        self.grad = empty(rows, cols)
        if features:
            self.out, self.db = empty(cols, features), empty(cols)
        else:
            self.out = self.grad

    def log_softmax_rows(self):
        self.torch._log_softmax(self.x, 1, False, out=self.out)

    def log_softmax_columns(self):
        self.torch._log_softmax(self.x, 0, False, out=self.out)

    def cross_entropy(self):
        self.torch._log_softmax(self.logits, 1, False, out=self.logp)
        return float(self.aten.nll_loss_forward(self.logp, self.t, None, 1, -100)[0])

    def cross_entropy_grad(self, weight=None):
        self.torch._log_softmax(self.logits, 1, False, out=self.logp)
        loss, total = self.aten.nll_loss_forward(self.logp, self.t, weight, 1, -100)
        self.aten.nll_loss_backward.grad_input(
            self.one, self.logp, self.t, weight, 1, -100, total, grad_input=self.tmp)
        self.aten._log_softmax_backward_data.out(self.tmp, self.logp, 1, self.torch.float64, out=self.grad)
        return float(loss)

    def smoothed_grad(self):
        self.torch._log_softmax(self.logits, 1, False, out=self.logp)
        loss, total = self.aten.nll_loss_forward(self.logp, self.t, None, 1, -100)
        share = SMOOTHING / self.logp.numel()
        smooth = -float(self.logp.sum()) * share
        self.aten.nll_loss_backward.grad_input(
            self.one * (1 - SMOOTHING), self.logp, self.t, None, 1, -100, total, grad_input=self.tmp)
        self.tmp.sub_(share)
        self.aten._log_softmax_backward_data.out(self.tmp, self.logp, 1, self.torch.float64, out=self.grad)
        return (1 - SMOOTHING) * float(loss) + smooth

    def linear_grad(self):
        self.torch.addmm(self.b, self.x, self.w.t(), out=self.logits)
        loss = self.cross_entropy_grad()
        self.torch.mm(self.grad.t(), self.x, out=self.out)
        self.torch.sum(self.grad, 0, out=self.db)
        return loss


class TorchChunked(TorchBase):
    """torch.nn.functional.linear_cross_entropy, which makes no matrix of all logits."""

    def __init__(self):
        super().__init__()
        self.options = self.torch.nn.LinearCrossEntropyOptions()
        self.note = "torch.nn.functional.linear_cross_entropy with LinearCrossEntropyOptions(), and backward"
        self.ops = {LINEAR_GRAD: self.linear_grad}
        # The first call loads modules, which take memory.
        double = dict(dtype=self.torch.float64)
        self.x, self.w, self.b = self.torch.ones(2, 3, **double), self.torch.ones(4, 3, **double), self.torch.ones(4, **double)
        self.t = self.torch.zeros(2, dtype=self.torch.int64)
        self.allocate(2, 4, 3)
        self.linear_grad()

    def allocate(self, rows, cols, features):
        self.w.requires_grad_()
        self.b.requires_grad_()
        self.out = None

    def linear_grad(self):
        self.w.grad = self.b.grad = self.out = None
        with self.torch.enable_grad():
            loss = self.torch.nn.functional.linear_cross_entropy(
                self.x, self.w, self.t, linear_bias=self.b, options=self.options)
            loss.backward()
        self.out = self.w.grad
        return float(loss)


class NumpyBase:
    def load(self, rows, cols, features, x, w, b, weight, target):
        np = self.np
        self.x = np.fromfile(x, dtype="=f8").reshape(rows, features or cols)
        self.w = np.fromfile(w, dtype="=f8").reshape(cols, features)
        self.b = np.fromfile(b, dtype="=f8")
        self.weight = np.fromfile(weight, dtype="=f8")
        self.t = np.fromfile(target, dtype="=i8")
        self.out = None
        self.before = begin_peak()
        self.allocate(rows, cols, features)

    def save(self, path):
        self.np.ascontiguousarray(self.out).tofile(path)


class Scipy(NumpyBase):
    """scipy.special.log_softmax, which takes no output argument, and NumPy."""

    def __init__(self):
        import numpy
        import scipy
        import scipy.special

        self.np, self.f = numpy, scipy.special.log_softmax
        self.version = scipy.__version__
        self.note = "scipy.special.log_softmax, NumPy " + numpy.__version__
        self.ops = {
            LOG_SOFTMAX_ROWS: self.log_softmax_rows,
            LOG_SOFTMAX_COLUMNS: self.log_softmax_columns,
            CROSS_ENTROPY: self.cross_entropy,
            GRAD: self.cross_entropy_grad,
        }

    def allocate(self, rows, cols, features):
        self.rows = self.np.arange(rows)

    def threads(self, n):
        pass

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


class Sklearn(NumpyBase):
    """The loss that LogisticRegression minimises."""

    def __init__(self):
        import numpy
        import sklearn
        import threadpoolctl
        from sklearn._loss.loss import HalfMultinomialLoss
        from sklearn.linear_model._linear_loss import LinearModelLoss

        self.np, self.Loss, self.Linear = numpy, HalfMultinomialLoss, LinearModelLoss
        self.limit = threadpoolctl.threadpool_limits
        self.version = sklearn.__version__
        self.note = "HalfMultinomialLoss and LinearModelLoss, which LogisticRegression is made of"
        self.ops = {
            CROSS_ENTROPY: self.cross_entropy,
            GRAD: lambda: self.cross_entropy_grad(self.mean),
            WEIGHTED_GRAD: lambda: self.cross_entropy_grad(self.weighted),
            LINEAR_GRAD: self.linear_grad,
        }

    def allocate(self, rows, cols, features):
        np = self.np
        self.y = self.t.astype(float)
        self.loss = self.Loss(n_classes=cols)
        if features:
            self.linear = self.Linear(self.loss, fit_intercept=True)
            self.coef = np.asfortranarray(np.hstack([self.w, self.b[:, None]]))
            self.w = None
            return
        self.mean = np.full(rows, 1 / rows)
        self.weighted = self.weight[self.t]
        self.weighted /= self.weighted.sum()
        self.losses, self.grad = np.empty(rows), np.empty((rows, cols))

    def threads(self, n):
        self.n = n
        self.limit(limits=n, user_api="blas")

    n = 1

    def cross_entropy(self):
        self.loss.loss(self.y, self.x, self.mean, self.losses, self.n)
        return float(self.losses.sum())

    def cross_entropy_grad(self, weights):
        self.loss.loss_gradient(self.y, self.x, weights, self.losses, self.grad, self.n)
        self.out = self.grad
        return float(self.losses.sum())

    def linear_grad(self):
        loss, grad = self.linear.loss_gradient(self.coef, self.x, self.y, n_threads=self.n)
        self.out = grad[:, :-1]
        return loss


def answer(peer, request):
    do = request.pop("do")
    if do == "load":
        for name in set(vars(peer)) - peer.kept:  # the last batch, and what was made of it
            delattr(peer, name)
        peer.load(**request)
        return {}
    op = peer.ops[request["op"]]
    if do == "peak":
        peer.threads(1)
        op()
        return {"bytes": resident("VmHWM") - peer.before}
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
    peer = {"Torch": Torch, "TorchChunked": TorchChunked, "Scipy": Scipy, "Sklearn": Sklearn}[sys.argv[1]]()
    peer.kept = set(vars(peer)) | {"kept"}
    reply = {"version": peer.version, "note": peer.note, "ops": list(peer.ops)}
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
