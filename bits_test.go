// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/kernel"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// What a function returns for a slice depends on the values in it and on
// their number, and on nothing else: these tests ask for the same bits of the
// same slice in every company, layout and schedule.

// problem is the arguments of all functions.
type problem struct {
	logits   *mat.Dense
	upstream *mat.Dense
	target   []int
	dist     *mat.Dense
	opts     *logsoftmax.Options
}

func newProblem(seed uint64, rows, cols int) problem {
	d := drawing{rand.New(rand.NewPCG(seed, 30)), rows, cols}
	p := problem{
		logits:   d.normal(5),
		upstream: d.normal(1),
		target:   d.labels(),
		dist:     d.distribution(),
		opts: &logsoftmax.Options{
			Weight:       d.vector(cols, positiveOrZero),
			SampleWeight: d.vector(rows, anySign),
			Reduction:    logsoftmax.Sum,
		},
	}
	if seed%3 == 1 {
		p.opts.LabelSmoothing = 0.1
	}
	if seed%3 == 2 {
		p.opts = &logsoftmax.Options{Reduction: logsoftmax.Sum}
	}
	for i := range rows {
		row := p.logits.RawRowView(i)
		j := d.rnd.IntN(cols)
		switch d.rnd.IntN(24) {
		case 0:
			row[j] = math.NaN()
		case 1:
			row[j] = math.Inf(1)
		case 2:
			row[j] = math.Inf(-1)
		case 3:
			row[j] += 1e4 // a large maximum
		case 4:
			row[j] = row[d.rnd.IntN(cols)]
		case 5:
			for j := range row {
				row[j] = math.Inf(-1)
			}
		}
	}
	return p
}

// results is what all functions return, by name.
type results struct {
	names  []string
	values [][]float64
}

func (r *results) add(name string, values ...float64) {
	r.names = append(r.names, name)
	r.values = append(r.values, values)
}

func (r *results) addMatrix(name string, m *mat.Dense) {
	rows, cols := m.Dims()
	values := make([]float64, 0, rows*cols)
	for i := range rows {
		values = append(values, m.RawRowView(i)...)
	}
	r.add(name, values...)
}

func (r *results) addLoss(t *testing.T, name string, l logsoftmax.Loss, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	r.add(name, l.Sum, l.Weight, l.Mean(), float64(l.Rows), float64(l.Ignored), float64(l.Correct))
}

// all calls every function with the matrices in a layout.
func (p *problem) all(t *testing.T, in func(*mat.Dense) mat.Matrix) *results {
	t.Helper()
	r := new(results)
	x := in(p.logits)
	var logp mat.Dense // of the rows, for the functions that take them
	for _, dim := range []int{0, 1} {
		var out, soft, grad mat.Dense
		logsoftmax.LogSoftmax(&out, x, dim)
		r.addMatrix(fmt.Sprintf("LogSoftmax dim %d", dim), &out)
		logsoftmax.Softmax(&soft, x, dim)
		r.addMatrix(fmt.Sprintf("Softmax dim %d", dim), &soft)
		r.add(fmt.Sprintf("LogSumExp dim %d", dim), logsoftmax.LogSumExp(nil, x, dim)...)
		logsoftmax.LogSoftmaxGrad(&grad, in(&out), in(p.upstream), dim)
		r.addMatrix(fmt.Sprintf("LogSoftmaxGrad dim %d", dim), &grad)
		logsoftmax.SoftmaxGrad(&grad, in(&out), in(p.upstream), dim)
		r.addMatrix(fmt.Sprintf("SoftmaxGrad dim %d", dim), &grad)
		if dim == 1 {
			logp = out
		}
	}
	for _, k := range []struct {
		name  string
		x     mat.Matrix
		funcs lossFuncs
	}{
		{"NLL", in(&logp), nllFuncs(p.target)},
		{"CrossEntropy", x, crossEntropyFuncs(p.target)},
		{"SoftCrossEntropy", x, softCrossEntropyFuncs(in(p.dist))},
	} {
		l, err := k.funcs.loss(k.x, p.opts)
		r.addLoss(t, k.name, l, err)
		each, err := k.funcs.each(nil, k.x, p.opts)
		if err != nil {
			t.Error(err)
		}
		r.add(k.name+"Each", each...)
		var grad mat.Dense
		l, err = k.funcs.grad(&grad, k.x, p.opts)
		r.addLoss(t, k.name+"Grad's loss", l, err)
		r.addMatrix(k.name+"Grad", &grad)
	}
	return r
}

func (r *results) same(t *testing.T, what string, want *results) {
	t.Helper()
	for i, name := range r.names {
		got, want := r.values[i], want.values[i]
		if sameBits(got, want) {
			continue
		}
		for j := range want {
			if math.Float64bits(got[j]) != math.Float64bits(want[j]) {
				t.Errorf("%s: %s: value %d is %v (%#x), want %v (%#x)", what, name, j, got[j], math.Float64bits(got[j]), want[j], math.Float64bits(want[j]))
				break
			}
		}
	}
}

// bitShapes are shapes on both sides of every number that a kernel or a
// schedule may take as a threshold.
func bitShapes() [][2]int {
	var shapes [][2]int
	for cols := 1; cols <= 300; cols++ {
		shapes = append(shapes, [2]int{1 + cols*7%20, cols})
	}
	for rows := 1; rows <= 20; rows++ {
		for _, cols := range []int{1, 2, 3, 8, 10, 17} {
			shapes = append(shapes, [2]int{rows, cols})
		}
	}
	for _, cols := range []int{2047, 2048, 2049, 2050, 4096, 5000} {
		shapes = append(shapes, [2]int{1, cols}, [2]int{3, cols}, [2]int{cols, 3})
	}
	for _, cols := range []int{1, 2, 9, 10, 32, 33, 64, 65, 100} {
		shapes = append(shapes, [2]int{1000, cols})
	}
	shapes = append(shapes, [2]int{37, 2100}, [2]int{8, 4100})
	return shapes
}

func identity(m *mat.Dense) mat.Matrix { return m }

func TestSameBitsInEveryLayout(t *testing.T) {
	for n, shape := range bitShapes() {
		p := newProblem(uint64(n), shape[0], shape[1])
		want := p.all(t, identity)
		for _, l := range layouts {
			p.all(t, l.of).same(t, fmt.Sprintf("%v %s", shape, l.name), want)
		}
	}
}

func TestSameBitsInPlace(t *testing.T) {
	for n, shape := range bitShapes() {
		p := newProblem(uint64(n), shape[0], shape[1])
		want := p.all(t, identity)
		compared := 0
		var logp mat.Dense
		logsoftmax.LogSoftmax(&logp, p.logits, 1)
		fresh := func(m *mat.Dense) *mat.Dense {
			if n%2 == 0 {
				return mat.DenseCopyOf(m)
			}
			v, _ := viewOf(m)
			return v
		}
		byName := func(name string, m *mat.Dense) {
			i := slices.Index(want.names, name)
			one := new(results)
			one.addMatrix(name, m)
			one.same(t, fmt.Sprintf("%v in place", shape), &results{[]string{name}, want.values[i : i+1]})
			compared++
		}
		for _, dim := range []int{0, 1} {
			x := fresh(p.logits)
			logsoftmax.LogSoftmax(x, x, dim)
			byName(fmt.Sprintf("LogSoftmax dim %d", dim), x)
			l, u := fresh(x), fresh(p.upstream)
			logsoftmax.LogSoftmaxGrad(l, l, u, dim)
			byName(fmt.Sprintf("LogSoftmaxGrad dim %d", dim), l)
			logsoftmax.LogSoftmaxGrad(u, x, u, dim)
			byName(fmt.Sprintf("LogSoftmaxGrad dim %d", dim), u)
			l, u = fresh(x), fresh(p.upstream)
			logsoftmax.SoftmaxGrad(l, l, u, dim)
			byName(fmt.Sprintf("SoftmaxGrad dim %d", dim), l)
			logsoftmax.SoftmaxGrad(u, x, u, dim)
			byName(fmt.Sprintf("SoftmaxGrad dim %d", dim), u)
			x = fresh(p.logits)
			logsoftmax.Softmax(x, x, dim)
			byName(fmt.Sprintf("Softmax dim %d", dim), x)
		}
		check := func(_ logsoftmax.Loss, err error) {
			if err != nil {
				t.Error(err)
			}
		}
		l := fresh(&logp)
		check(logsoftmax.NLLGrad(l, l, p.target, p.opts))
		byName("NLLGrad", l)
		x := fresh(p.logits)
		check(logsoftmax.CrossEntropyGrad(x, x, p.target, p.opts))
		byName("CrossEntropyGrad", x)
		x = fresh(p.logits)
		check(logsoftmax.SoftCrossEntropyGrad(x, x, p.dist, p.opts))
		byName("SoftCrossEntropyGrad", x)
		dist := fresh(p.dist)
		check(logsoftmax.SoftCrossEntropyGrad(dist, p.logits, dist, p.opts))
		byName("SoftCrossEntropyGrad", dist)
		if compared != 16 {
			t.Fatalf("%v: %d results compared", shape, compared)
		}
	}
}

// TestSameBitsForDims: a function along the columns is the function along the
// rows of the transpose.
func TestSameBitsForDims(t *testing.T) {
	for n, shape := range bitShapes() {
		p := newProblem(uint64(n), shape[0], shape[1])
		x, xT := p.logits, mat.DenseCopyOf(p.logits.T())
		u, uT := p.upstream, mat.DenseCopyOf(p.upstream.T())
		for _, dims := range [][2]int{{0, 1}, {1, 0}, {-2, -1}, {-1, -2}, {-1, 0}} {
			for _, f := range []struct {
				name string
				call func(dst *mat.Dense, x mat.Matrix, dim int)
			}{
				{"LogSoftmax", logsoftmax.LogSoftmax},
				{"Softmax", logsoftmax.Softmax},
			} {
				var a, b mat.Dense
				f.call(&a, x, dims[0])
				f.call(&b, xT, dims[1])
				if d := firstDifference(&a, b.T()); d != "" {
					t.Errorf("%v: %s dim %d and of the transpose dim %d: %s", shape, f.name, dims[0], dims[1], d)
				}
			}
			if !sameBits(logsoftmax.LogSumExp(nil, x, dims[0]), logsoftmax.LogSumExp(nil, xT, dims[1])) {
				t.Errorf("%v: LogSumExp dim %d and of the transpose dim %d differ", shape, dims[0], dims[1])
			}
			var l, a, b mat.Dense
			logsoftmax.LogSoftmax(&l, x, dims[0])
			logsoftmax.LogSoftmaxGrad(&a, &l, u, dims[0])
			logsoftmax.LogSoftmaxGrad(&b, mat.DenseCopyOf(l.T()), uT, dims[1])
			if d := firstDifference(&a, b.T()); d != "" {
				t.Errorf("%v: LogSoftmaxGrad dim %d and of the transpose dim %d: %s", shape, dims[0], dims[1], d)
			}
			logsoftmax.SoftmaxGrad(&a, &l, u, dims[0])
			logsoftmax.SoftmaxGrad(&b, mat.DenseCopyOf(l.T()), uT, dims[1])
			if d := firstDifference(&a, b.T()); d != "" {
				t.Errorf("%v: SoftmaxGrad dim %d and of the transpose dim %d: %s", shape, dims[0], dims[1], d)
			}
		}
	}
}

// TestSameBitsAlone: a row alone gives what it gives in a batch, and a batch
// in another order the same in that order.
func TestSameBitsAlone(t *testing.T) {
	for n, shape := range bitShapes() {
		rows, cols := shape[0], shape[1]
		p := newProblem(uint64(n), rows, cols)
		var out, soft, grad, softGrad mat.Dense
		logsoftmax.LogSoftmax(&out, p.logits, 1)
		logsoftmax.Softmax(&soft, p.logits, 1)
		lse := logsoftmax.LogSumExp(nil, p.logits, 1)
		each, err1 := logsoftmax.CrossEntropyEach(nil, p.logits, p.target, p.opts)
		softEach, err2 := logsoftmax.SoftCrossEntropyEach(nil, p.logits, p.dist, p.opts)
		_, err3 := logsoftmax.CrossEntropyGrad(&grad, p.logits, p.target, p.opts)
		_, err4 := logsoftmax.SoftCrossEntropyGrad(&softGrad, p.logits, p.dist, p.opts)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
			t.Fatal(err1, err2, err3, err4)
		}
		step := max(rows/25, 1)
		for i := 0; i < rows; i += step {
			x := mat.NewDense(1, cols, mat.Row(nil, i, p.logits))
			dist := mat.NewDense(1, cols, mat.Row(nil, i, p.dist))
			o := *p.opts
			if o.SampleWeight != nil {
				o.SampleWeight = o.SampleWeight[i : i+1]
			}
			var out1, soft1, grad1, softGrad1 mat.Dense
			logsoftmax.LogSoftmax(&out1, x, 1)
			logsoftmax.Softmax(&soft1, x, 1)
			lse1 := logsoftmax.LogSumExp(nil, x, 1)
			each1, _ := logsoftmax.CrossEntropyEach(nil, x, p.target[i:i+1], &o)
			softEach1, _ := logsoftmax.SoftCrossEntropyEach(nil, x, dist, &o)
			_, _ = logsoftmax.CrossEntropyGrad(&grad1, x, p.target[i:i+1], &o)
			_, _ = logsoftmax.SoftCrossEntropyGrad(&softGrad1, x, dist, &o)
			for _, c := range []struct {
				name      string
				got, want []float64
			}{
				{"LogSoftmax", out1.RawRowView(0), out.RawRowView(i)},
				{"Softmax", soft1.RawRowView(0), soft.RawRowView(i)},
				{"LogSumExp", lse1, lse[i : i+1]},
				{"CrossEntropyEach", each1, each[i : i+1]},
				{"SoftCrossEntropyEach", softEach1, softEach[i : i+1]},
				{"CrossEntropyGrad", grad1.RawRowView(0), grad.RawRowView(i)},
				{"SoftCrossEntropyGrad", softGrad1.RawRowView(0), softGrad.RawRowView(i)},
			} {
				if !sameBits(c.got, c.want) {
					t.Errorf("%v: %s of row %d alone is %v, in the batch %v", shape, c.name, i, c.got, c.want)
				}
			}
		}
	}
}

// TestSameBitsOfFewRows is TestSameBitsAlone for rows that fill no group, by themselves
// and behind one: with a label that is one of several largest or a large maximum, and
// without anything that is special.
func TestSameBitsOfFewRows(t *testing.T) {
	for seed := range uint64(3 * 48) {
		rows, cols := 1+int(seed/3), 2+int(5*seed%31)
		if rows > 24 {
			// A panel, and what is left in two parts, of which the last is not done
			// at once.
			rows += 48
		}
		p := newProblem(seed, rows, cols)
		d := drawing{rand.New(rand.NewPCG(seed, 31)), rows, cols}
		p.logits = d.normal(3)
		if row, y := p.logits.RawRowView(rows-1), p.target[rows-1]; seed%2 == 0 && y >= 0 {
			row[y] = slices.Max(row)
			row[(y+1)%cols] = row[y]
		}
		if seed%5 == 0 {
			p.logits.Set(rows/2, 0, 1e4)
		}
		if rows > 24 {
			p.logits.Set(rows-1, 0, math.NaN())
			p.opts.LabelSmoothing = 0.1
		}
		var grad, softGrad mat.Dense
		each, err1 := logsoftmax.CrossEntropyEach(nil, p.logits, p.target, p.opts)
		_, err2 := logsoftmax.CrossEntropyGrad(&grad, p.logits, p.target, p.opts)
		_, err3 := logsoftmax.SoftCrossEntropyGrad(&softGrad, p.logits, p.dist, p.opts)
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		correct := 0
		for i := range rows {
			x, dist := p.logits.Slice(i, i+1, 0, cols), p.dist.Slice(i, i+1, 0, cols)
			o := *p.opts
			if o.SampleWeight != nil {
				o.SampleWeight = o.SampleWeight[i : i+1]
			}
			var grad1, softGrad1 mat.Dense
			each1, _ := logsoftmax.CrossEntropyEach(nil, x, p.target[i:i+1], &o)
			loss1, _ := logsoftmax.CrossEntropyGrad(&grad1, x, p.target[i:i+1], &o)
			_, _ = logsoftmax.SoftCrossEntropyGrad(&softGrad1, x, dist, &o)
			correct += loss1.Correct
			if !sameBits(each1, each[i:i+1]) || !sameBits(grad1.RawRowView(0), grad.RawRowView(i)) || !sameBits(softGrad1.RawRowView(0), softGrad.RawRowView(i)) {
				t.Errorf("%d×%d: row %d alone has the loss %v and the gradients %v and %v, in the batch %v, %v and %v", rows, cols, i,
					each1, grad1.RawRowView(0), softGrad1.RawRowView(0), each[i:i+1], grad.RawRowView(i), softGrad.RawRowView(i))
			}
		}
		if loss, _ := logsoftmax.CrossEntropy(p.logits, p.target, p.opts); loss.Correct != correct {
			t.Errorf("%d×%d: %d correct in the batch, %d alone", rows, cols, loss.Correct, correct)
		}
	}
}

// TestSameBitsForProcs: the number of goroutines changes nothing, nor does
// the length of a row that is split over them.
func TestSameBitsForProcs(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	shapes := [][2]int{{1, 10}, {40, 100}, {10_000, 3}, {3, 10_000}, {400, 200}, {200, 400}, {1, 150_000}, {150_000, 1}, {2, 70_000}}
	for n, shape := range shapes {
		p := newProblem(uint64(n), shape[0], shape[1])
		var want *results
		for _, procs := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(procs)
			for _, l := range []layout{{"plain", identity}, layouts[2]} {
				got := p.all(t, l.of)
				if want == nil {
					want = got
				}
				got.same(t, fmt.Sprintf("%v %s, GOMAXPROCS %d", shape, l.name, procs), want)
			}
		}
	}
}

// foreign is a matrix that offers nothing but the interface.
type foreign struct{ m mat.Matrix }

func (f foreign) Dims() (r, c int)    { return f.m.Dims() }
func (f foreign) At(i, j int) float64 { return f.m.At(i, j) }
func (f foreign) T() mat.Matrix       { return mat.Transpose{Matrix: f} }

// margin is what surrounds the views of viewOf, as bits: a NaN that no
// computation makes.
const margin = 0x7ff8_dead_beef_cafe

// viewOf returns a copy of m that is the middle of a larger matrix, and a
// function that reports whether what lies around it is as it was.
func viewOf(m mat.Matrix) (view *mat.Dense, untouched func() bool) {
	const top, left, bottom, right = 1, 3, 1, 2
	r, c := m.Dims()
	big := mat.NewDense(top+r+bottom, left+c+right, nil)
	raw := big.RawMatrix()
	for i := range raw.Data {
		raw.Data[i] = math.Float64frombits(margin)
	}
	view = big.Slice(top, top+r, left, left+c).(*mat.Dense)
	view.Copy(m)
	return view, func() bool {
		for i := range top + r + bottom {
			for j := range left + c + right {
				inside := i >= top && i < top+r && j >= left && j < left+c
				if !inside && math.Float64bits(raw.Data[i*raw.Stride+j]) != margin {
					return false
				}
			}
		}
		return true
	}
}

// layout is a way to hold a matrix in memory. With of, the matrix itself can
// be written over its input.
type layout struct {
	name string
	of   func(m *mat.Dense) mat.Matrix
}

var layouts = []layout{
	{"copy", func(m *mat.Dense) mat.Matrix { return mat.DenseCopyOf(m) }},
	{"view", func(m *mat.Dense) mat.Matrix { v, _ := viewOf(m); return v }},
	{"transpose", func(m *mat.Dense) mat.Matrix { return mat.DenseCopyOf(m.T()).T() }},
	{"transposed view", func(m *mat.Dense) mat.Matrix { v, _ := viewOf(m.T()); return v.T() }},
	{"foreign", func(m *mat.Dense) mat.Matrix { return foreign{mat.DenseCopyOf(m)} }},
	{"foreign transpose", func(m *mat.Dense) mat.Matrix { return foreign{mat.DenseCopyOf(m.T())}.T() }},
}

// eachLayout calls f with x in each layout and into destinations of each kind,
// in place included, and asks for the same bits each time: in dst those of
// want, and in the returned slice those of the first call. A nil want is for
// functions without a destination.
func eachLayout(t *testing.T, x, want *mat.Dense, f func(dst *mat.Dense, x mat.Matrix) []float64) {
	t.Helper()
	var first []float64
	one := func(name string, dst *mat.Dense, x mat.Matrix) {
		t.Helper()
		values := f(dst, x)
		if first == nil {
			first = values
		}
		if !sameBits(values, first) {
			t.Errorf("%s: %v, want %v", name, values, first)
		}
		if want != nil && !sameMatrix(dst, want) {
			t.Errorf("%s: other bits at %s", name, firstDifference(dst, want))
		}
	}
	before := mat.DenseCopyOf(x)
	for _, l := range layouts {
		in := l.of(x)
		one(l.name, new(mat.Dense), in)
		if !sameMatrix(in, before) {
			t.Errorf("%s: the input was changed", l.name)
		}
		if want == nil {
			continue
		}
		r, c := want.Dims()
		filled := mat.NewDense(r, c, nil)
		for i := range filled.RawMatrix().Data {
			filled.RawMatrix().Data[i] = math.NaN()
		}
		dst, untouched := viewOf(filled)
		one(l.name+" into a view", dst, in)
		if !untouched() {
			t.Errorf("%s: written outside of a view", l.name)
		}
	}
	if want == nil {
		return
	}
	whole := mat.DenseCopyOf(x)
	one("in place", whole, whole)
	view, untouched := viewOf(x)
	one("in place in a view", view, view)
	if !untouched() {
		t.Errorf("in place: written outside of a view")
	}
	// Another header of the same region.
	whole = mat.DenseCopyOf(x)
	r, c := whole.Dims()
	one("in place by another header", mat.NewDense(r, c, whole.RawMatrix().Data), whole)
}

func sameBits(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) {
			return false
		}
	}
	return true
}

func sameMatrix(a, b mat.Matrix) bool {
	return firstDifference(a, b) == ""
}

func noMinusZero(t *testing.T, what string, x []float64) {
	t.Helper()
	for i, v := range x {
		if v == 0 && math.Signbit(v) {
			t.Errorf("%s: value %d is -0", what, i)
			return
		}
	}
}

// panicOf returns what f panics with, or nil.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func testRunPattern() string {
	return flag.Lookup("test.run").Value.String()
}

// firstDifference describes the first entry whose bits differ, or is empty.
func firstDifference(a, b mat.Matrix) string {
	r, c := a.Dims()
	if r1, c1 := b.Dims(); r != r1 || c != c1 {
		return fmt.Sprintf("dims %d×%d and %d×%d", r, c, r1, c1)
	}
	for i := range r {
		for j := range c {
			v, w := a.At(i, j), b.At(i, j)
			if math.Float64bits(v) != math.Float64bits(w) {
				return fmt.Sprintf("(%d, %d): %v (%#x) and %v (%#x)", i, j, v, math.Float64bits(v), w, math.Float64bits(w))
			}
		}
	}
	return ""
}

// TestConcurrent calls every function from many goroutines on shared inputs,
// with GOMAXPROCS changing, and asks for the bits that one goroutine gets.
func TestConcurrent(t *testing.T) {
	shapes := [][2]int{{1, 3}, {100, 10}, {33, 65}, {7, 300}, {700, 90}, {3, 5000}, {2500, 20}, {1, 140_000}}
	goroutines, rounds := 12, 3
	if testkit.Long() == 0 {
		goroutines, rounds = 6, 1
	}

	procs := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(procs)
	problems, wants := make([]problem, len(shapes)), make([]*results, len(shapes))
	for n, shape := range shapes {
		problems[n] = newProblem(uint64(n), shape[0], shape[1])
		wants[n] = problems[n].all(t, identity)
	}

	var workers sync.WaitGroup
	for g := range goroutines {
		workers.Go(func() {
			for k := range rounds * len(shapes) {
				n := (g + k) % len(shapes)
				layout := layouts[(g+k/len(shapes))%4]
				got := problems[n].all(t, layout.of)
				got.same(t, fmt.Sprintf("%v %s", shapes[n], layout.name), wants[n])
			}
		})
	}
	done := make(chan bool)
	go func() {
		workers.Wait()
		close(done)
	}()
	for p := 0; ; p++ {
		select {
		case <-done:
			return
		default:
			runtime.GOMAXPROCS(1 + p*5%9)
			runtime.Gosched()
		}
	}
}

// TestSameBitsOfLongColumns has columns of several chunks in matrices so large that Softmax
// forms its terms twice, with every tier, against rows of the same entries.
func TestSameBitsOfLongColumns(t *testing.T) {
	for _, shape := range [][2]int{{4100, 300}, {2050, 513}, {2050, 1025}} {
		rows, cols := shape[0], shape[1]
		rnd := rand.New(rand.NewPCG(20, uint64(cols)))
		data := make([]float64, rows*(cols+3))
		view := func(data []float64) *mat.Dense {
			return mat.NewDense(rows, cols+3, data).Slice(0, rows, 0, cols).(*mat.Dense)
		}
		x := view(data)
		for i := range rows {
			for j := range cols {
				v, chunk := 5*rnd.NormFloat64(), float64(i/kernel.ChunkLen%2)
				switch {
				case j%7 == 1:
					v += 800 * chunk
				case j%7 == 2:
					v -= 800 * chunk
				case j%7 == 3 && i == 17+j:
					v = 60
				case j%7 == 4 && i == rows-1-j:
					v = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[j%3]
				case j%7 == 5:
					v = math.Inf(-1)
				}
				x.Set(i, j, v)
			}
		}
		want := mat.DenseCopyOf(x.T())
		logsoftmax.Softmax(want, want, 1)
		for _, tier := range kernel.Tiers() {
			restore := kernel.Use(tier)
			var apart mat.Dense
			logsoftmax.Softmax(&apart, x, 0)
			inPlace := view(slices.Clone(data))
			logsoftmax.Softmax(inPlace, inPlace, 0)
			restore()
			for name, got := range map[string]*mat.Dense{"apart": &apart, "in place": inPlace} {
				if d := firstDifference(got.T(), want); d != "" {
					t.Errorf("%d×%d, %v, %s: %s", rows, cols, tier, name, d)
				}
			}
		}
	}
}
