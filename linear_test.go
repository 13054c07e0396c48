// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/testkit"
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
	if seed%4 == 1 {
		// With whole numbers many logits are equal.
		for _, m := range []*mat.Dense{p.x, p.w} {
			m.Apply(func(_, _ int, v float64) float64 { return math.Round(v) }, m)
		}
		for k, v := range p.b {
			p.b[k] = math.Round(v)
		}
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
		{1, 1, 1},
		{1, 1, 2},
		{2, 1, 3},
		{1, 70, 5},
		{64, 64, 64},
		{65, 63, 65},
		{129, 5, 10},
		{300, 3, 2},
		{70, 33, 70},
		{13, 7, 2049},
		{9, 1030, 12},
		{1700, 2, 10},
		{40, 17, 700},
		{3, 40, 5000},
		{130, 9, 300},
		{7, 3, 25000},
		{140, 1, 26000},
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
				if s[2] > 20000 && k%4 > 0 {
					continue
				}
				if diff := p.result(t, of.of(p.x), other.of(p.w)).difference(want); diff != "" {
					t.Fatalf("%d samples, %d features, %d classes, options %+v, x %s, w %s, GOMAXPROCS %d: %s",
						s[0], s[1], s[2], p.opts, of.name, other.name, procs, diff)
				}
			}
		}
	}
}

// TestLinearAlone does the rows one by one, and in two parts: what belongs to a
// row does not change.
func TestLinearAlone(t *testing.T) {
	for i, s := range [][3]int{{30, 20, 10}, {70, 65, 33}, {20, 70, 300}, {5, 9, 3000}} {
		p := newLinearProblem(uint64(i), s[0], s[1], s[2])
		p.opts = &logsoftmax.Options{Reduction: logsoftmax.Sum, LabelSmoothing: float64(i%2) / 4}
		whole := p.result(t, p.x, p.w)
		part := func(from, to int) {
			t.Helper()
			q := p
			q.x, q.target = p.x.Slice(from, to, 0, s[1]).(*mat.Dense), p.target[from:to]
			got := q.result(t, q.x, q.w)
			if !sameBits(got.each, whole.each[from:to]) || !sameMatrix(&got.x, whole.x.Slice(from, to, 0, s[1])) {
				t.Errorf("%v: rows %d to %d differ from those of the whole", s, from, to)
			}
		}
		for row := range s[0] {
			part(row, row+1)
		}
		part(0, s[0]/3)
		part(s[0]/3, s[0])
	}
}

// TestLinearDifferences compares the gradients with differences of the loss.
func TestLinearDifferences(t *testing.T) {
	for seed := range uint64(12) {
		p := newLinearProblem(seed, 9, 4, 5)
		if p.b == nil {
			p.b = make([]float64, 5)
		}
		got := p.result(t, p.x, p.w)
		loss := func() float64 {
			l, err := logsoftmax.LinearCrossEntropy(p.x, p.w, p.b, p.target, p.opts)
			if err != nil {
				t.Fatal(err)
			}
			if p.opts != nil && p.opts.Reduction == logsoftmax.Sum {
				return l.Sum
			}
			return l.Mean()
		}
		for _, of := range []struct {
			name     string
			at, grad []float64
		}{
			{"x", p.x.RawMatrix().Data, got.x.RawMatrix().Data},
			{"w", p.w.RawMatrix().Data, got.w.RawMatrix().Data},
			{"b", p.b, got.b},
		} {
			for k, v := range of.at {
				const h = 1e-5
				of.at[k] = v + h
				above := loss()
				of.at[k] = v - h
				below := loss()
				of.at[k] = v
				if want := (above - below) / (2 * h); !(math.Abs(of.grad[k]-want) <= 1e-8*(1+math.Abs(want))) {
					t.Fatalf("seed %d: the gradient of %s[%d] is %v, the difference %v", seed, of.name, k, of.grad[k], want)
				}
			}
		}
	}
}

// TestLinearInPlace writes the gradient of x over x.
func TestLinearInPlace(t *testing.T) {
	for i, s := range [][3]int{{1, 1, 1}, {30, 20, 10}, {70, 65, 33}, {20, 70, 300}, {200, 9, 3000}} {
		p := newLinearProblem(uint64(i), s[0], s[1], s[2])
		want := p.result(t, p.x, p.w)
		x, untouched := viewOf(p.x)
		w := mat.NewDense(s[2], s[1], nil)
		b := make([]float64, s[2])
		loss, err := logsoftmax.LinearCrossEntropyGrad(logsoftmax.LinearGrad{X: x, W: w, B: b}, x, p.w, p.b, p.target, p.opts)
		if err != nil {
			t.Fatal(err)
		}
		got := linearResult{loss, want.each, *x, *w, b}
		if diff := got.difference(want); diff != "" || !untouched() {
			t.Errorf("%v in place: %s; what is around it untouched: %v", s, diff, untouched())
		}
	}
}

// TestLinearSpecial holds rows with special values to the definition, and checks
// what it says of them.
func TestLinearSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, special := range []float64{nan, inf, -inf, math.MaxFloat64, 0x1p-1074, math.Copysign(0, -1)} {
		for seed := range uint64(10) {
			for _, in := range []string{"x", "w", "b"} {
				classes := 10
				if seed == 6 && in == "x" {
					classes = 26000
				}
				p := newLinearProblem(seed, 20, 6, classes)
				switch {
				case in == "x":
					for i := 0; i < 20; i += 3 {
						p.x.Set(i, i%6, special)
					}
				case in == "w":
					p.w.Set(3, 2, special)
				case p.b != nil:
					p.b[4] = special
				}
				got := p.result(t, p.x, p.w)
				if diff := got.difference(p.expected(t)); diff != "" {
					t.Errorf("%v in %s, seed %d: %s", special, in, seed, diff)
				}
				for i, l := range got.each {
					if !p.counts(i) && (l != 0 || mat.Max(got.x.RowView(i)) != 0 || mat.Min(got.x.RowView(i)) != 0) {
						t.Errorf("%v in %s: row %d, which does not count, has the loss %v", special, in, i, l)
					}
				}
				for name, x := range map[string][]float64{"x": got.x.RawMatrix().Data, "w": got.w.RawMatrix().Data, "b": got.b, "losses": got.each} {
					noMinusZero(t, "the gradient of "+name, x)
				}
			}
		}
	}
}

// TestLinearNothingCounts: gradients are 0 where no row counts, or where the
// weights are all 0.
func TestLinearNothingCounts(t *testing.T) {
	for name, opts := range map[string]*logsoftmax.Options{
		"ignored":        {Ignore: []int{-100, 0, 1, 2}},
		"sample weights": {SampleWeight: make([]float64, 5)},
		"class weights":  {Weight: make([]float64, 3)},
	} {
		p := newLinearProblem(1, 5, 4, 3)
		p.opts = opts
		got := p.result(t, p.x, p.w)
		if got.loss.Sum != 0 || got.loss.Weight != 0 || !math.IsNaN(got.loss.Mean()) {
			t.Errorf("%s: the loss is %+v", name, got.loss)
		}
		for _, grad := range [][]float64{got.x.RawMatrix().Data, got.w.RawMatrix().Data, got.b} {
			for _, g := range grad {
				if g != 0 {
					t.Errorf("%s: a gradient is %v", name, g)
				}
			}
		}
	}
}

// asked records the rows that At was asked for.
type asked struct {
	mat.Matrix
	rows map[int]bool
}

func (a asked) At(i, j int) float64 { a.rows[i] = true; return a.Matrix.At(i, j) }

// TestLinearReads: a row that does not count is not read.
func TestLinearReads(t *testing.T) {
	for seed := range uint64(10) {
		p := newLinearProblem(seed, 40, 3, 7)
		x := asked{p.x, map[int]bool{}}
		p.result(t, x, p.w)
		for i := range p.target {
			if x.rows[i] != p.counts(i) {
				t.Errorf("seed %d: row %d counts: %v; it was read: %v", seed, i, p.counts(i), x.rows[i])
			}
		}
	}
}

// TestLinearSomeGradients asks for some gradients only.
func TestLinearSomeGradients(t *testing.T) {
	p := newLinearProblem(2, 50, 8, 12)
	want := p.result(t, p.x, p.w)
	for which := range 8 {
		var got linearResult
		got.b = make([]float64, 12)
		var grad logsoftmax.LinearGrad
		if which&1 > 0 {
			grad.X = &got.x
		}
		if which&2 > 0 {
			grad.W = &got.w
		}
		if which&4 > 0 {
			grad.B = got.b
		}
		loss, err := logsoftmax.LinearCrossEntropyGrad(grad, p.x, p.w, p.b, p.target, p.opts)
		if err != nil || !sameLoss(loss, want.loss) {
			t.Errorf("gradients %03b: loss %+v, %v, want %+v", which, loss, err, want.loss)
		}
		if grad.X != nil && !sameMatrix(grad.X, &want.x) || grad.W != nil && !sameMatrix(grad.W, &want.w) || grad.B != nil && !sameBits(grad.B, want.b) {
			t.Errorf("gradients %03b differ from those of all", which)
		}
	}
}

// TestLinearMistakes has every size wrong in turn, and errors leave everything
// as it was.
func TestLinearMistakes(t *testing.T) {
	fresh := func() (linearProblem, logsoftmax.LinearGrad) {
		p := newLinearProblem(10, 4, 3, 5)
		p.b = make([]float64, 5)
		return p, logsoftmax.LinearGrad{X: mat.NewDense(4, 3, nil), W: mat.NewDense(5, 3, nil), B: make([]float64, 5)}
	}
	for _, test := range []struct {
		name   string
		spoil  func(p *linearProblem, g *logsoftmax.LinearGrad)
		want   any
		always bool // not of the gradients alone
	}{
		{"no samples", func(p *linearProblem, _ *logsoftmax.LinearGrad) { p.x = new(mat.Dense) }, mat.ErrZeroLength, true},
		{"no classes", func(p *linearProblem, _ *logsoftmax.LinearGrad) { p.w = new(mat.Dense) }, mat.ErrZeroLength, true},
		{"other features", func(p *linearProblem, _ *logsoftmax.LinearGrad) { p.w = mat.NewDense(5, 4, nil) }, mat.ErrShape, true},
		{"a short b", func(p *linearProblem, _ *logsoftmax.LinearGrad) { p.b = p.b[1:] }, mat.ErrShape, true},
		{"an empty b", func(p *linearProblem, _ *logsoftmax.LinearGrad) { p.b = []float64{} }, mat.ErrShape, true},
		{"a short target", func(p *linearProblem, _ *logsoftmax.LinearGrad) { p.target = p.target[1:] }, mat.ErrShape, true},
		{"a short Weight", func(p *linearProblem, _ *logsoftmax.LinearGrad) {
			p.opts = &logsoftmax.Options{Weight: make([]float64, 4)}
		}, mat.ErrShape, true},
		{"a long SampleWeight", func(p *linearProblem, _ *logsoftmax.LinearGrad) {
			p.opts = &logsoftmax.Options{SampleWeight: make([]float64, 5)}
		}, mat.ErrShape, true},
		{"dst.X of another shape", func(_ *linearProblem, g *logsoftmax.LinearGrad) { g.X = mat.NewDense(3, 4, nil) }, mat.ErrShape, false},
		{"dst.W of another shape", func(_ *linearProblem, g *logsoftmax.LinearGrad) { g.W = mat.NewDense(3, 5, nil) }, mat.ErrShape, false},
		{"dst.B of another length", func(_ *linearProblem, g *logsoftmax.LinearGrad) { g.B = g.B[:4] }, mat.ErrShape, false},
		{"an empty dst.B", func(_ *linearProblem, g *logsoftmax.LinearGrad) { g.B = []float64{} }, mat.ErrShape, false},
		{"dst.X in dst.W", func(_ *linearProblem, g *logsoftmax.LinearGrad) { g.X = g.W.Slice(1, 5, 0, 3).(*mat.Dense) }, "dst.W overlaps dst.X", false},
		{"dst.X in w", func(p *linearProblem, g *logsoftmax.LinearGrad) { g.X = p.w.Slice(0, 4, 0, 3).(*mat.Dense) }, "dst.X overlaps w", false},
		{"dst.B is b", func(p *linearProblem, g *logsoftmax.LinearGrad) { g.B = p.b }, "dst.B overlaps b", false},
		{"dst.W is w", func(p *linearProblem, g *logsoftmax.LinearGrad) { g.W = p.w }, "dst.W overlaps w", false},
		{"dst.W over x", func(p *linearProblem, g *logsoftmax.LinearGrad) {
			big := mat.NewDense(9, 3, nil)
			p.x, g.W = big.Slice(0, 4, 0, 3).(*mat.Dense), big.Slice(3, 8, 0, 3).(*mat.Dense)
		}, "dst.W overlaps x", false},
		{"an unknown Reduction", func(p *linearProblem, _ *logsoftmax.LinearGrad) { p.opts = &logsoftmax.Options{Reduction: 5} }, "opts.Reduction", false},
	} {
		p, g := fresh()
		test.spoil(&p, &g)
		calls := map[string]func(){
			"LinearCrossEntropy":     func() { _, _ = logsoftmax.LinearCrossEntropy(p.x, p.w, p.b, p.target, p.opts) },
			"LinearCrossEntropyEach": func() { _, _ = logsoftmax.LinearCrossEntropyEach(nil, p.x, p.w, p.b, p.target, p.opts) },
		}
		if !test.always {
			clear(calls)
		}
		calls["LinearCrossEntropyGrad"] = func() { _, _ = logsoftmax.LinearCrossEntropyGrad(g, p.x, p.w, p.b, p.target, p.opts) }
		for fn, call := range calls {
			got := panicOf(call)
			if part, ok := test.want.(string); ok {
				if !isStringWith(got, part) {
					t.Errorf("%s with %s panics with %v, want %q", fn, test.name, got, part)
				}
			} else if got != test.want {
				t.Errorf("%s with %s panics with %v, want %v", fn, test.name, got, test.want)
			}
		}
	}
	if got := panicOf(func() {
		p, _ := fresh()
		_, _ = logsoftmax.LinearCrossEntropyEach(make([]float64, 3), p.x, p.w, p.b, p.target, nil)
	}); got != mat.ErrShape {
		t.Errorf("LinearCrossEntropyEach into another length panics with %v", got)
	}

	for _, test := range []struct {
		name  string
		spoil func(p *linearProblem)
		want  error
	}{
		{"a label too large", func(p *linearProblem) { p.target[2] = 5 }, &logsoftmax.TargetError{Row: 2, Target: 5, Classes: 5}},
		{"a negative label", func(p *linearProblem) { p.target[1] = -1 }, &logsoftmax.TargetError{Row: 1, Target: -1, Classes: 5}},
		{
			"a smoothing above 1", func(p *linearProblem) { p.opts = &logsoftmax.Options{LabelSmoothing: 2} },
			&logsoftmax.ValueError{Name: "LabelSmoothing", Row: -1, Col: -1, Value: 2},
		},
		{
			"a negative class weight", func(p *linearProblem) { p.opts = &logsoftmax.Options{Weight: []float64{1, 1, -1, 1, 1}} },
			&logsoftmax.ValueError{Name: "Weight", Row: -1, Col: 2, Value: -1},
		},
	} {
		p, _ := fresh()
		test.spoil(&p)
		each, x, w, b := []float64{7, 7, 7, 7}, new(mat.Dense), mat.NewDense(5, 3, []float64{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}), []float64{7, 7, 7, 7, 7}
		loss, err := logsoftmax.LinearCrossEntropyGrad(logsoftmax.LinearGrad{X: x, W: w, B: b}, p.x, p.w, p.b, p.target, p.opts)
		losses, eachErr := logsoftmax.LinearCrossEntropyEach(each, p.x, p.w, p.b, p.target, p.opts)
		_, lossErr := logsoftmax.LinearCrossEntropy(p.x, p.w, p.b, p.target, p.opts)
		for _, err := range []error{err, eachErr, lossErr} {
			if !reflect.DeepEqual(err, test.want) {
				t.Errorf("%s: error %v, want %v", test.name, err, test.want)
			}
		}
		written := !x.IsEmpty() || mat.Min(w) != 7 || mat.Max(w) != 7 || slices.Min(b) != 7 || slices.Max(b) != 7 || slices.Min(each) != 7 || slices.Max(each) != 7
		if loss != (logsoftmax.Loss{}) || losses != nil || written {
			t.Errorf("%s: the loss is %+v, the losses %v; something was written: %v", test.name, loss, losses, written)
		}
	}
	p, g := fresh()
	p.opts = &logsoftmax.Options{SampleWeight: []float64{1, -1, 1, 1}}
	if _, err := logsoftmax.LinearCrossEntropyGrad(g, p.x, p.w, p.b, p.target, p.opts); !reflect.DeepEqual(err, &logsoftmax.ValueError{Name: "SampleWeight", Row: 1, Col: -1, Value: -1}) {
		t.Errorf("a negative sample weight with Mean: error %v", err)
	}
}

// TestLinearVocabulary has the classes of a language model: few rows against the
// definition, and with LOGSOFTMAX_LONG the width of one too.
func TestLinearVocabulary(t *testing.T) {
	features := 5
	if testkit.Long() > 0 {
		features = 768
	}
	for seed := range uint64(3) {
		p := newLinearProblem(seed, 11, features, 50257)
		if diff := p.result(t, p.x, p.w).difference(p.expected(t)); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
	}
}

// FuzzLinear holds the functions to the definition, whatever the numbers are.
func FuzzLinear(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		n, d, c := 1+r.below(30), 1+r.below(20), 1+r.below(90)
		p := newLinearProblem(uint64(r.byte()), n, d, c)
		if b := r.byte(); b%4 > 0 {
			p.x, p.w = r.matrix(n, d), r.matrix(c, d)
		}
		if p.b != nil && r.byte()%2 == 0 {
			r.logits(p.b)
		}
		if diff := p.result(t, r.in(p.x), r.in(p.w)).difference(p.expected(t)); diff != "" {
			t.Fatalf("%d samples, %d features, %d classes, options %+v: %s", n, d, c, p.opts, diff)
		}
	})
}

// A linearCase is a call of PyTorch's linear_cross_entropy and what it returned.
// testdata/linear.py, which wrote the cases, says what the fields mean.
type linearCase struct {
	Seed, Rows, Features, Classes int
	Scale, Smoothing              float64
	Bias, Weight, Ignore          bool
	Reduction                     string
	Loss                          number
	Each                          []number
	GradX                         []number `json:"grad_x"`
	GradW                         []number `json:"grad_w"`
	GradB                         []number `json:"grad_b"`
}

// numbers are the inputs of the cases.
func (c *linearCase) numbers(seed, n int, scale float64) []float64 {
	x := make([]float64, n)
	for k := range x {
		v := (int64(k)*2654435761 + int64(c.Seed+seed)*40503) % (1 << 20)
		x[k] = float64(v)/(1<<19)*scale - scale
	}
	return x
}

// TestLinearConformance holds the functions to PyTorch's.
func TestLinearConformance(t *testing.T) {
	f, err := os.Open("testdata/linear.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []linearCase
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 63 {
		t.Errorf("%d cases", len(cases))
	}
	for _, c := range cases {
		if c.Features > 700 && testkit.Long() == 0 {
			continue
		}
		t.Run(fmt.Sprintf("%d-%dx%dx%d", c.Seed, c.Rows, c.Features, c.Classes), c.run)
	}
}

func (c *linearCase) run(t *testing.T) {
	x := mat.NewDense(c.Rows, c.Features, c.numbers(0, c.Rows*c.Features, 1))
	w := mat.NewDense(c.Classes, c.Features, c.numbers(1, c.Classes*c.Features, c.Scale))
	var b []float64
	if c.Bias {
		b = c.numbers(2, c.Classes, 1)
	}
	target := make([]int, c.Rows)
	for i := range target {
		target[i] = (i*7919 + c.Seed*31) % c.Classes
		if c.Ignore && i%3 == 0 {
			target[i] = -100
		}
	}
	opts := &logsoftmax.Options{LabelSmoothing: c.Smoothing}
	if c.Weight {
		opts.Weight = c.numbers(3, c.Classes, 0.5)
		for k := range opts.Weight {
			opts.Weight[k] += 0.5
		}
	}
	each, err := logsoftmax.LinearCrossEntropyEach(nil, x, w, b, target, opts)
	if err != nil {
		t.Fatal(err)
	}
	if c.Reduction != "mean" {
		opts.Reduction = logsoftmax.Sum
	}
	if c.Reduction == "none" {
		opts.SampleWeight = c.numbers(4, c.Rows, 1)
	}
	var dx, dw mat.Dense
	db := make([]float64, c.Classes)
	loss, err := logsoftmax.LinearCrossEntropyGrad(logsoftmax.LinearGrad{X: &dx, W: &dw, B: db}, x, w, b, target, opts)
	if err != nil {
		t.Fatal(err)
	}
	value := loss.Sum
	if c.Reduction == "mean" {
		value = loss.Mean()
	}
	c.compare(t, "the loss", []float64{value}, []number{c.Loss})
	c.compare(t, "the losses", each, c.Each)
	c.compare(t, "the gradient of x", dx.RawMatrix().Data, c.GradX)
	c.compare(t, "the gradient of w", dw.RawMatrix().Data, c.GradW)
	if c.Bias {
		c.compare(t, "the gradient of b", db, c.GradB)
	}
}

// compare compares the elements of got that a case has with it. PyTorch's
// roundings are those of sums of so many terms.
func (c *linearCase) compare(t *testing.T, what string, got []float64, want []number) {
	t.Helper()
	stride := (len(got) + 599) / 600
	if n := (len(got) + stride - 1) / stride; n != len(want) {
		t.Fatalf("%s has %d numbers, want %d", what, n, len(want))
	}
	const tolerance = 2e-14
	worst := 0.0
	for k, v := range want {
		v, g := float64(v), got[k*stride]
		if diff := math.Abs(g - v); !(diff <= tolerance*max(1, math.Abs(v))) {
			t.Errorf("%s: element %d is %v, want %v", what, k*stride, g, v)
			return
		} else {
			worst = max(worst, diff/max(1, math.Abs(v)))
		}
	}
	t.Logf("%s: off by %.1e", what, worst)
}
