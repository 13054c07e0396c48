// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"math"

	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"
	"github.com/tphakala/simd/f64"
	"gorgonia.org/tensor"
)

// loadGorgonia calls gorgonia.org/tensor with outputs to reuse. It has no
// cross-entropy: the loss is picked out of the log-probabilities, and its
// gradient taken with LogSoftMaxB from a matrix of upstream gradients. WithReuse
// alone is passed over there, and a result allocated at each call; it takes
// UseUnsafe as well.
func loadGorgonia(b *Batch) (Work, error) {
	wrap := func(data []float64) *tensor.Dense {
		return tensor.New(tensor.WithShape(b.Rows, b.Cols), tensor.WithBacking(data))
	}
	reuse := func(t *tensor.Dense) []tensor.FuncOpt {
		return []tensor.FuncOpt{tensor.WithReuse(t), tensor.UseUnsafe()}
	}
	x, dst := wrap(b.X), wrap(b.Dst)
	var logp []float64
	var logpTensor, upstream *tensor.Dense // allocated when first used: they are as large as the batch
	n := float64(b.Rows)
	pick := func(logp []float64) (loss float64) {
		for i, t := range b.Target {
			loss -= logp[i*b.Cols+t]
		}
		return loss / n
	}
	return &goWork{
		out: func() []float64 { return b.Dst },
		ops: map[Op]func() (float64, error){
			LogSoftmaxRows: func() (float64, error) {
				_, err := tensor.LogSoftMax(x, 1, reuse(dst)...)
				return 0, err
			},
			LogSoftmaxColumns: func() (float64, error) {
				_, err := tensor.LogSoftMax(x, 0, reuse(dst)...)
				return 0, err
			},
			CrossEntropy: func() (float64, error) {
				_, err := tensor.LogSoftMax(x, 1, reuse(dst)...)
				return pick(b.Dst), err
			},
			CrossEntropyGrad: func() (float64, error) {
				if logp == nil {
					logp = make([]float64, len(b.X))
					up := make([]float64, len(b.X))
					for i, t := range b.Target {
						up[i*b.Cols+t] = -1 / n
					}
					logpTensor, upstream = wrap(logp), wrap(up)
				}
				if _, err := tensor.LogSoftMax(x, 1, reuse(logpTensor)...); err != nil {
					return 0, err
				}
				_, err := tensor.LogSoftMaxB(logpTensor, upstream, 1, reuse(dst)...)
				return pick(logp), err
			},
		},
	}, nil
}

// loadGomlx compiles one graph for each operation. Results come in tensors of
// gomlx's own, which are given back at once, so that the next call reuses them.
func loadGomlx(b *Batch) (Work, error) {
	backend := simplego.GetBackend()
	x := tensors.FromFlatDataAndDimensions(b.X, b.Rows, b.Cols)
	target := make([]int64, b.Rows)
	for i, t := range b.Target {
		target[i] = int64(t)
	}
	labels := tensors.FromFlatDataAndDimensions(target, b.Rows, 1)

	logSoftmax := func(dim int) *graph.Exec {
		return graph.MustNewExec(backend, func(x *graph.Node) *graph.Node { return graph.LogSoftmax(x, dim) })
	}
	loss := func(x, labels *graph.Node) *graph.Node {
		return losses.SparseCategoricalCrossEntropyLogits([]*graph.Node{labels}, []*graph.Node{x})
	}
	execs := map[Op]*graph.Exec{
		LogSoftmaxRows:    logSoftmax(1),
		LogSoftmaxColumns: logSoftmax(0),
		CrossEntropy:      graph.MustNewExec(backend, loss),
		CrossEntropyGrad: graph.MustNewExec(backend, func(x, labels *graph.Node) (*graph.Node, *graph.Node) {
			l := loss(x, labels)
			return l, graph.Gradient(l, x)[0]
		}),
	}
	var kept *tensors.Tensor // the matrix of the last call
	release := func() {
		if kept != nil {
			kept.MustFinalizeAll()
			kept = nil
		}
	}
	w := &goWork{ops: make(map[Op]func() (float64, error))}
	w.out = func() []float64 { return tensors.MustCopyFlatData[float64](kept) }
	w.close = func() {
		release()
		for _, e := range execs {
			e.Finalize()
		}
		x.MustFinalizeAll()
		labels.MustFinalizeAll()
	}
	for op, exec := range execs {
		w.ops[op] = func() (float64, error) {
			release()
			var outs []*tensors.Tensor
			var err error
			switch op {
			case CrossEntropy, CrossEntropyGrad:
				outs, err = exec.Exec(x, labels)
			default:
				outs, err = exec.Exec(x)
			}
			if err != nil {
				return 0, err
			}
			var l float64
			if op == CrossEntropy || op == CrossEntropyGrad {
				l = tensors.ToScalar[float64](outs[0])
				outs[0].MustFinalizeAll()
				outs = outs[1:]
			}
			if len(outs) > 0 {
				kept = outs[0]
			}
			return l, nil
		}
	}
	return w, nil
}

// loadSIMD composes the functions of github.com/tphakala/simd/f64. They work
// along slices; there is none for the largest of each column.
func loadSIMD(b *Batch) (Work, error) {
	buf := make([]float64, b.Cols)
	n := float64(b.Rows)
	return newGoWork(b, map[Op]func() float64{
		LogSoftmaxRows: func() float64 {
			b.each(func(dst, x []float64, _ int) {
				f64.AddScalar(dst, x, -f64.Max(x))
				f64.Exp(buf, dst)
				f64.AddScalar(dst, dst, -math.Log(f64.Sum(buf)))
			})
			return 0
		},
		CrossEntropy: func() (loss float64) {
			b.each(func(_, x []float64, target int) {
				m := f64.Max(x)
				f64.AddScalar(buf, x, -m)
				f64.Exp(buf, buf)
				loss -= x[target] - m - math.Log(f64.Sum(buf))
			})
			return loss / n
		},
		CrossEntropyGrad: func() (loss float64) {
			b.each(func(dst, x []float64, target int) {
				m := f64.Max(x)
				f64.AddScalar(dst, x, -m)
				f64.Exp(dst, dst)
				sum := f64.Sum(dst)
				loss -= x[target] - m - math.Log(sum)
				f64.Scale(dst, dst, 1/(sum*n))
				dst[target] -= 1 / n
			})
			return loss / n
		},
	}), nil
}
