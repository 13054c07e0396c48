// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"example.org/logsoftmax"
	"gonum.org/v1/gonum/mat"
)

// A linearProblem is the arguments of the functions of a linear layer.
type linearProblem struct {
	x, w   *mat.Dense
	b      []float64
	target []int
	opts   *logsoftmax.Options
}

// newLinearProblem draws a problem of the given size. The way the options and b
// are depends on seed.
func newLinearProblem(seed uint64, n, d, c int) linearProblem {
	r := rand.New(rand.NewPCG(seed, 61))
	matrix := func(rows, cols int, scale float64) *mat.Dense {
		m := mat.NewDense(rows, cols, nil)
		for i := range rows {
			for j := range cols {
				m.Set(i, j, scale*r.NormFloat64())
			}
		}
		return m
	}
	p := linearProblem{x: matrix(n, d, 1), w: matrix(c, d, 2/math.Sqrt(float64(d))), target: make([]int, n)}
	if seed%3 > 0 {
		p.b = make([]float64, c)
		for k := range p.b {
			p.b[k] = r.NormFloat64()
		}
	}
	for i := range p.target {
		p.target[i] = r.IntN(c)
	}
	if seed%5 == 0 {
		return p
	}
	p.opts = &logsoftmax.Options{Reduction: logsoftmax.Reduction(r.IntN(2))}
	if r.IntN(2) == 0 {
		p.opts.Weight = make([]float64, c)
		for k := range p.opts.Weight {
			p.opts.Weight[k] = float64(r.IntN(4)) / 3
		}
	}
	if r.IntN(2) == 0 {
		p.opts.SampleWeight = make([]float64, n)
		for i := range p.opts.SampleWeight {
			p.opts.SampleWeight[i] = float64(r.IntN(4)) / 7
		}
	}
	if r.IntN(2) == 0 {
		p.opts.LabelSmoothing = 0.1
	}
	if r.IntN(2) == 0 {
		for i := range p.target {
			if r.IntN(3) == 0 {
				p.target[i] = -100
			}
		}
	}
	return p
}

// counts reports whether row i of p counts.
func (p *linearProblem) counts(i int) bool {
	return p.target[i] >= 0 && (p.opts == nil || p.opts.SampleWeight == nil || p.opts.SampleWeight[i] != 0)
}

// A linearResult is what the functions of a linear layer return.
type linearResult struct {
	loss logsoftmax.Loss
	each []float64
	x, w mat.Dense
	b    []float64
}

// chain is the sum over k of a(k)·b(k) as the package defines it.
func chain(n int, a, b func(k int) float64) float64 {
	sum := 0.0
	for k := range n {
		sum = math.FMA(a(k), b(k), sum)
	}
	return sum
}

// written is v as it is written: without -0, and with the one NaN.
func written(v float64) float64 {
	if v != v {
		return math.NaN()
	}
	return v + 0
}

// expected is the result by the definition: the logits by their chains,
// CrossEntropyGrad of them, and the gradients by theirs.
func (p *linearProblem) expected(t *testing.T) *linearResult {
	t.Helper()
	n, d := p.x.Dims()
	c, _ := p.w.Dims()
	logits := mat.NewDense(n, c, nil)
	var rows []int
	for i := range n {
		if !p.counts(i) {
			continue
		}
		rows = append(rows, i)
		for k := range c {
			v := chain(d, func(j int) float64 { return p.x.At(i, j) }, func(j int) float64 { return p.w.At(k, j) })
			if p.b != nil {
				v += p.b[k]
			}
			logits.Set(i, k, v)
		}
	}
	var want linearResult
	var g mat.Dense
	var err error
	if want.loss, err = logsoftmax.CrossEntropyGrad(&g, logits, p.target, p.opts); err != nil {
		t.Fatal(err)
	}
	if want.each, err = logsoftmax.CrossEntropyEach(nil, logits, p.target, p.opts); err != nil {
		t.Fatal(err)
	}
	want.x.ReuseAs(n, d)
	for _, i := range rows {
		for j := range d {
			want.x.Set(i, j, written(chain(c, func(k int) float64 { return g.At(i, k) }, func(k int) float64 { return p.w.At(k, j) })))
		}
	}
	want.w.ReuseAs(c, d)
	want.b = make([]float64, c)
	for k := range c {
		of := func(r int) float64 { return g.At(rows[r], k) }
		for j := range d {
			want.w.Set(k, j, written(chain(len(rows), of, func(r int) float64 { return p.x.At(rows[r], j) })))
		}
		want.b[k] = written(chain(len(rows), of, func(int) float64 { return 1 }))
	}
	return &want
}

// result is what the functions return for x and w as matrices of any kind.
func (p *linearProblem) result(t *testing.T, x, w mat.Matrix) *linearResult {
	t.Helper()
	c, _ := w.Dims()
	got := linearResult{b: make([]float64, c)}
	for i := range got.b {
		got.b[i] = math.Inf(-1)
	}
	var err error
	got.loss, err = logsoftmax.LinearCrossEntropyGrad(logsoftmax.LinearGrad{X: &got.x, W: &got.w, B: got.b}, x, w, p.b, p.target, p.opts)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := logsoftmax.LinearCrossEntropy(x, w, p.b, p.target, p.opts)
	if err != nil || !sameLoss(loss, got.loss) {
		t.Fatalf("LinearCrossEntropy returns %v, %v, with gradients %v", loss, err, got.loss)
	}
	if got.each, err = logsoftmax.LinearCrossEntropyEach(nil, x, w, p.b, p.target, p.opts); err != nil {
		t.Fatal(err)
	}
	return &got
}

func sameLoss(a, b logsoftmax.Loss) bool {
	return sameBits([]float64{a.Sum, a.Weight, a.Mean()}, []float64{b.Sum, b.Weight, b.Mean()}) &&
		a.Rows == b.Rows && a.Ignored == b.Ignored && a.Correct == b.Correct
}

// difference says how a result differs from what is wanted, if it does.
func (r *linearResult) difference(want *linearResult) string {
	switch {
	case !sameLoss(r.loss, want.loss):
		return fmt.Sprintf("the loss is %+v, want %+v", r.loss, want.loss)
	case !sameBits(r.each, want.each):
		return fmt.Sprintf("the losses are %v, want %v", r.each, want.each)
	case !sameMatrix(&r.x, &want.x):
		return "the gradient of x: " + firstDifference(&r.x, &want.x)
	case !sameMatrix(&r.w, &want.w):
		return "the gradient of w: " + firstDifference(&r.w, &want.w)
	case !sameBits(r.b, want.b):
		return fmt.Sprintf("the gradient of b is %v, want %v", r.b, want.b)
	}
	return ""
}

// linearShapes are samples, features and classes: few of each, and on both
// sides of what tells the ways apart in which they are worked on.
func linearShapes() [][3]int {
	shapes := [][3]int{
		{1, 1, 1}, {1, 1, 2}, {2, 1, 3}, {1, 70, 5}, {64, 64, 64}, {65, 63, 65}, {129, 5, 10}, {300, 3, 2},
		{70, 33, 70}, {13, 7, 2049}, {9, 1030, 12}, {1700, 2, 10}, {40, 17, 700}, {3, 40, 5000}, {130, 9, 300},
	}
	r := rand.New(rand.NewPCG(62, 63))
	for range 60 {
		shapes = append(shapes, [3]int{1 + r.IntN(70), 1 + r.IntN(70), 1 + r.IntN(70)})
	}
	return shapes
}

// TestLinearDefinition holds the functions to the definition, bit for bit,
// for every option, kind of matrix and number of goroutines.
func TestLinearDefinition(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for i, s := range linearShapes() {
		p := newLinearProblem(uint64(i), s[0], s[1], s[2])
		want := p.expected(t)
		for _, procs := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(procs)
			for k, of := range layouts {
				other := layouts[(k+i)%len(layouts)]
				if diff := p.result(t, of.of(p.x), other.of(p.w)).difference(want); diff != "" {
					t.Fatalf("%d samples, %d features, %d classes, options %+v, x %s, w %s, GOMAXPROCS %d: %s",
						s[0], s[1], s[2], p.opts, of.name, other.name, procs, diff)
				}
			}
		}
	}
}
