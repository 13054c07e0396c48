# Copyright ©2026 The logsoftmax Authors. All rights reserved.
# Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

"""Writes linear.json.gz: what PyTorch's linear_cross_entropy returns, on a CPU
in float64, with its gradients.

    python testdata/linear.py testdata/linear.json.gz

The inputs follow from a formula, so that a case need not hold them. Of large
gradients it has every stride-th element.
"""

import gzip
import json
import sys

import torch
from torch.nn.functional import linear_cross_entropy

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
MOST = 600


def numbers(seed, n, scale):
    k = torch.arange(n, dtype=torch.int64)
    return ((k * 2654435761 + seed * 40503) % (1 << 20)).double() / (1 << 19) * scale - scale


def labels(seed, n, classes):
    k = torch.arange(n, dtype=torch.int64)
    return (k * 7919 + seed * 31) % classes


def sampled(t):
    t = t.flatten()
    stride = (len(t) + MOST - 1) // MOST
    return [repr(v) for v in t[::stride].tolist()]


def case(seed, n, d, c, scale, bias, weight, smoothing, ignore, reduction, chunks=None):
    x = numbers(seed, n * d, 1.0).reshape(n, d).requires_grad_()
    w = numbers(seed + 1, c * d, scale).reshape(c, d).requires_grad_()
    b = numbers(seed + 2, c, 1.0).requires_grad_() if bias else None
    target = labels(seed, n, c)
    options = {}
    if ignore:
        target[::3] = -100
    if weight:
        options["weight"] = numbers(seed + 3, c, 0.5) + 0.5
    each = linear_cross_entropy(x, w, target, linear_bias=b, reduction="none", label_smoothing=smoothing, **options)
    if reduction == "none":
        # The upstream gradient is a weight for each row.
        upstream = numbers(seed + 4, n, 1.0)
        loss = (each * upstream).sum()
    else:
        loss = linear_cross_entropy(x, w, target, linear_bias=b, reduction=reduction, label_smoothing=smoothing, **options)
    loss.backward()
    return {
        "seed": seed, "rows": n, "features": d, "classes": c, "scale": scale, "bias": bias, "weight": weight,
        "smoothing": smoothing, "ignore": ignore, "reduction": reduction,
        "loss": repr(loss.item()), "each": sampled(each.detach()),
        "grad_x": sampled(x.grad), "grad_w": sampled(w.grad), "grad_b": sampled(b.grad) if bias else [],
    }


cases = []
sizes = [(1, 1, 1), (1, 3, 2), (2, 1, 5), (7, 5, 3), (8, 8, 8), (13, 24, 10), (33, 17, 65), (70, 70, 70), (64, 64, 100), (5, 30, 2100)]
for i, (n, d, c) in enumerate(sizes):
    for k in range(6):
        seed = 10 * i + k
        reduction = ("mean", "sum", "none")[k % 3]
        cases.append(case(seed, n, d, c, (0.25, 1.0, 4.0)[(i + k) % 3], bias=k % 2 == 0, weight=k in (1, 4, 5),
                          smoothing=(0.0, 0.1)[k // 3], ignore=n > 1 and k in (2, 3, 4), reduction=reduction))
cases.append(case(901, 9, 16, 50257, 1.0, bias=True, weight=False, smoothing=0.0, ignore=True, reduction="mean"))
cases.append(case(902, 9, 16, 50257, 1.0, bias=False, weight=True, smoothing=0.1, ignore=False, reduction="sum"))
cases.append(case(903, 11, 768, 50257, 0.125, bias=True, weight=False, smoothing=0.0, ignore=False, reduction="mean"))

with gzip.GzipFile(sys.argv[1], "wb", mtime=0) as f:
    f.write(("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n").encode())
print(len(cases), "cases from PyTorch", torch.__version__)
