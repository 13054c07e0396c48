// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
	"example.org/logsoftmax/bench/internal/plain"
)

// Op is an operation that peers perform and that is timed.
type Op string

const (
	LogSoftmaxRows    Op = "LogSoftmax, dim 1"
	LogSoftmaxColumns Op = "LogSoftmax, dim 0"
	CrossEntropy      Op = "CrossEntropy"
	CrossEntropyGrad  Op = "CrossEntropy with gradient"
	WeightedGrad      Op = "CrossEntropy with gradient, class weights"
	SmoothedGrad      Op = "CrossEntropy with gradient, smoothing 0.1"
	LinearGrad        Op = "LinearCrossEntropy with gradients of weights and bias"
)

// ops are all operations, in the order of the tables.
var ops = []Op{LogSoftmaxRows, LogSoftmaxColumns, CrossEntropy, CrossEntropyGrad, WeightedGrad, SmoothedGrad, LinearGrad}

const smoothing = 0.1

// Batch is the data that all peers work on: rows×cols logits, row by row, and a
// target class for each row; or, with features, rows×features inputs in place of
// the logits and the parameters that make logits of them. Dst is for whatever a
// peer in this process writes; they share it, so that none is favoured by where
// its output lies in memory.
type Batch struct {
	Shape
	X, Dst []float64 // inputs; logits' or, with features, W's gradient
	W, B   []float64 // with features: cols×features weights, and biases
	Target []int
	Weight []float64 // of each class, for WeightedGrad
}

// NewBatch returns a batch of zeros.
func NewBatch(s Shape) *Batch {
	b := &Batch{Shape: s, Target: make([]int, s.Rows), Weight: make([]float64, s.Cols)}
	for j := range b.Weight {
		b.Weight[j] = 0.5 + float64(j%7)/7
	}
	if s.Features == 0 {
		b.X, b.Dst = make([]float64, s.Rows*s.Cols), make([]float64, s.Rows*s.Cols)
		return b
	}
	b.X, b.W = make([]float64, s.Rows*s.Features), make([]float64, s.Cols*s.Features)
	b.Dst, b.B = make([]float64, s.Cols*s.Features), make([]float64, s.Cols)
	return b
}

// NormalBatch returns a batch of logits drawn from N(0, sigma²) and of targets
// drawn from all classes; with features, the inputs and logits have that variance.
func NormalBatch(rng *rand.Rand, s Shape, sigma float64) *Batch {
	b := NewBatch(s)
	for i := range b.X {
		b.X[i] = sigma * rng.NormFloat64()
	}
	for i := range b.W {
		b.W[i] = rng.NormFloat64() / math.Sqrt(float64(s.Features))
	}
	for i := range b.B {
		b.B[i] = sigma * rng.NormFloat64()
	}
	for i := range b.Target {
		b.Target[i] = rng.IntN(s.Cols)
	}
	return b
}

// each calls f for each row of logits, with its row of Dst and its target.
func (b *Batch) each(f func(dst, x []float64, target int)) {
	for i, t := range b.Target {
		lo, hi := i*b.Cols, (i+1)*b.Cols
		f(b.Dst[lo:hi:hi], b.X[lo:hi:hi], t)
	}
}

// Peer is a library, or a way of writing it by hand, that computes log-softmax.
type Peer struct {
	Name    string
	Version string `json:",omitempty"`
	Note    string `json:",omitempty"` // how it is called, where that is not obvious
	Absent  string `json:",omitempty"` // why it was not measured
	Floor   bool   `json:",omitempty"` // only moves the data, as a lower bound of time

	load     func(b *Batch) (Work, error) // of logits; nil where it has no operation on them
	linear   func(b *Batch) (Work, error) // of inputs and parameters; nil likewise
	process  bool                         // runs in a process of its own
	parallel bool                         // uses more than one thread when it may
	relative float64                      // accuracy that its documentation claims for exp, where that is below the usual
}

// Work is a peer with a batch loaded in the form it wants and its outputs allocated.
type Work interface {
	Has(op Op) bool
	// Time performs op the given number of times on so many threads.
	Time(op Op, calls, threads int) (time.Duration, error)
	// Result performs op once. It returns the mean loss, and the matrix that op
	// writes, row by row: valid until the next call, and nil for CrossEntropy.
	Result(op Op) (loss float64, out []float64, err error)
	Close()
}

// goWork is the Work of a peer that runs in this process.
type goWork struct {
	ops   map[Op]func() (loss float64, err error)
	out   func() []float64
	close func()
}

func (w *goWork) Has(op Op) bool { return w.ops[op] != nil }

func (w *goWork) Time(op Op, calls, _ int) (time.Duration, error) {
	f := w.ops[op]
	start := time.Now()
	for range calls {
		if _, err := f(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func (w *goWork) Result(op Op) (float64, []float64, error) {
	loss, err := w.ops[op]()
	if err != nil || op == CrossEntropy {
		return loss, nil, err
	}
	return loss, w.out(), nil
}

func (w *goWork) Close() {
	if w.close != nil {
		w.close()
	}
}

// newGoWork returns the work of a peer that writes to b.Dst and does not fail.
func newGoWork(b *Batch, ops map[Op]func() float64) *goWork {
	w := &goWork{ops: make(map[Op]func() (float64, error)), out: func() []float64 { return b.Dst }}
	for op, f := range ops {
		w.ops[op] = func() (float64, error) { return f(), nil }
	}
	return w
}

const ownName = "this package"

// goPeers returns the peers that run in this process, this package first.
func goPeers() []Peer {
	gonum := version("gonum.org/v1/gonum")
	return []Peer{
		{Name: ownName, parallel: true, load: loadPackage, linear: loadPackageLinear},
		{Name: "copy", Note: "Go's copy of the matrix: no result, the time to beat", Floor: true, load: loadCopy},
		{Name: "naive", Note: "math.Exp, divide by the sum, math.Log", load: loadNaive},
		{Name: "stable loop", Note: "maximum, sum of math.Exp, math.Log, subtract", load: loadStable},
		{Name: "floats.LogSumExp", Version: gonum, Note: "and subtract", load: loadFloats},
		{Name: "gonum Mul", Version: gonum, Note: "mat.Dense.Mul, this package's CrossEntropyGrad, Mul", parallel: true, linear: loadGonumLinear},
		{Name: "gorgonia", Version: version("gorgonia.org/tensor"), Note: "tensor.LogSoftMax, LogSoftMaxB", parallel: true, load: loadGorgonia},
		{Name: "gomlx", Version: version("github.com/gomlx/gomlx"), Note: "graph.LogSoftmax and losses on the Go backend (simplego)", load: loadGomlx},
		{Name: "simd", Version: version("github.com/tphakala/simd"), Note: "composed of f64.Max, AddScalar, Exp, Sum; Exp is documented to err by 3e-6", relative: 3e-6, load: loadSIMD},
	}
}

func loadPackage(b *Batch) (Work, error) {
	x, dst := mat.NewDense(b.Rows, b.Cols, b.X), mat.NewDense(b.Rows, b.Cols, b.Dst)
	w := newGoWork(b, map[Op]func() float64{
		LogSoftmaxRows:    func() float64 { logsoftmax.LogSoftmax(dst, x, 1); return 0 },
		LogSoftmaxColumns: func() float64 { logsoftmax.LogSoftmax(dst, x, 0); return 0 },
	})
	w.ops[CrossEntropy] = func() (float64, error) {
		loss, err := logsoftmax.CrossEntropy(x, b.Target, nil)
		return loss.Mean(), err
	}
	for op, opts := range map[Op]*logsoftmax.Options{
		CrossEntropyGrad: nil,
		WeightedGrad:     {Weight: b.Weight},
		SmoothedGrad:     {LabelSmoothing: smoothing},
	} {
		w.ops[op] = func() (float64, error) {
			loss, err := logsoftmax.CrossEntropyGrad(dst, x, b.Target, opts)
			return loss.Mean(), err
		}
	}
	return w, nil
}

func loadPackageLinear(b *Batch) (Work, error) {
	x, w := mat.NewDense(b.Rows, b.Features, b.X), mat.NewDense(b.Cols, b.Features, b.W)
	grad := logsoftmax.LinearGrad{W: mat.NewDense(b.Cols, b.Features, b.Dst), B: make([]float64, b.Cols)}
	work := newGoWork(b, nil)
	work.ops[LinearGrad] = func() (float64, error) {
		loss, err := logsoftmax.LinearCrossEntropyGrad(grad, x, w, b.B, b.Target, nil)
		return loss.Mean(), err
	}
	return work, nil
}

// loadGonumLinear makes the matrix of logits, and multiplies by its gradient.
func loadGonumLinear(b *Batch) (Work, error) {
	x, w := mat.NewDense(b.Rows, b.Features, b.X), mat.NewDense(b.Cols, b.Features, b.W)
	dw, db := mat.NewDense(b.Cols, b.Features, b.Dst), make([]float64, b.Cols)
	logits := mat.NewDense(b.Rows, b.Cols, nil)
	work := newGoWork(b, nil)
	work.ops[LinearGrad] = func() (float64, error) {
		logits.Mul(x, w.T())
		for i := range b.Rows {
			floats.Add(logits.RawRowView(i), b.B)
		}
		loss, err := logsoftmax.CrossEntropyGrad(logits, logits, b.Target, nil)
		dw.Mul(logits.T(), x)
		clear(db)
		for i := range b.Rows {
			floats.Add(db, logits.RawRowView(i))
		}
		return loss.Mean(), err
	}
	return work, nil
}

func loadCopy(b *Batch) (Work, error) {
	return newGoWork(b, map[Op]func() float64{
		LogSoftmaxRows: func() float64 { copy(b.Dst, b.X); return 0 },
	}), nil
}

// loadNaive is the textbook formula: softmax, then its logarithm.
func loadNaive(b *Batch) (Work, error) {
	softmax := func(dst, x []float64) {
		var sum float64
		for j, v := range x {
			dst[j] = math.Exp(v)
			sum += dst[j]
		}
		for j := range dst {
			dst[j] /= sum
		}
	}
	sums := make([]float64, b.Cols)
	n := float64(b.Rows)
	return newGoWork(b, map[Op]func() float64{
		LogSoftmaxRows: func() float64 {
			b.each(func(dst, x []float64, _ int) {
				softmax(dst, x)
				for j, p := range dst {
					dst[j] = math.Log(p)
				}
			})
			return 0
		},
		LogSoftmaxColumns: func() float64 {
			clear(sums)
			b.each(func(dst, x []float64, _ int) {
				for j, v := range x {
					dst[j] = math.Exp(v)
					sums[j] += dst[j]
				}
			})
			b.each(func(dst, _ []float64, _ int) {
				for j, e := range dst {
					dst[j] = math.Log(e / sums[j])
				}
			})
			return 0
		},
		CrossEntropy: func() (loss float64) {
			b.each(func(_, x []float64, target int) {
				var sum float64
				for _, v := range x {
					sum += math.Exp(v)
				}
				loss -= math.Log(math.Exp(x[target]) / sum)
			})
			return loss / n
		},
		CrossEntropyGrad: func() (loss float64) {
			b.each(func(dst, x []float64, target int) {
				softmax(dst, x)
				loss -= math.Log(dst[target])
				dst[target]--
				for j := range dst {
					dst[j] /= n
				}
			})
			return loss / n
		},
	}), nil
}

// loadStable is the loop that people write who know that exp overflows. It
// subtracts the maximum first, which keeps more digits than subtracting
// max + log(sum), and goes down columns in the order of memory.
func loadStable(b *Batch) (Work, error) {
	x, dst := mat.NewDense(b.Rows, b.Cols, b.X), mat.NewDense(b.Rows, b.Cols, b.Dst)
	sums := plain.NewColumnSums(b.Cols)
	loss := func(dst *mat.Dense, o plain.Options) func() float64 {
		o.Ignore = -100
		return func() float64 { return plain.CrossEntropy(dst, x, b.Target, &o) }
	}
	return newGoWork(b, map[Op]func() float64{
		LogSoftmaxRows:    func() float64 { plain.LogSoftmax(dst, x); return 0 },
		LogSoftmaxColumns: func() float64 { plain.LogSoftmaxColumns(dst, x, sums); return 0 },
		CrossEntropy:      loss(nil, plain.Options{}),
		CrossEntropyGrad:  loss(dst, plain.Options{}),
		WeightedGrad:      loss(dst, plain.Options{Weight: b.Weight}),
		SmoothedGrad:      loss(dst, plain.Options{Smoothing: smoothing}),
	}), nil
}

// loadFloats is gonum's own log-sum-exp. It works on slices, so that columns
// are copied out and back.
func loadFloats(b *Batch) (Work, error) {
	x, dst := mat.NewDense(b.Rows, b.Cols, b.X), mat.NewDense(b.Rows, b.Cols, b.Dst)
	column := make([]float64, b.Rows)
	n := float64(b.Rows)
	return newGoWork(b, map[Op]func() float64{
		LogSoftmaxRows: func() float64 {
			b.each(func(dst, x []float64, _ int) {
				copy(dst, x)
				floats.AddConst(-floats.LogSumExp(x), dst)
			})
			return 0
		},
		LogSoftmaxColumns: func() float64 {
			for j := range b.Cols {
				mat.Col(column, j, x)
				floats.AddConst(-floats.LogSumExp(column), column)
				dst.SetCol(j, column)
			}
			return 0
		},
		CrossEntropy: func() (loss float64) {
			b.each(func(_, x []float64, target int) {
				loss += floats.LogSumExp(x) - x[target]
			})
			return loss / n
		},
		CrossEntropyGrad: func() (loss float64) {
			b.each(func(dst, x []float64, target int) {
				lse := floats.LogSumExp(x)
				loss += lse - x[target]
				for j, v := range x {
					dst[j] = math.Exp(v-lse) / n
				}
				dst[target] -= 1 / n
			})
			return loss / n
		},
	}), nil
}
