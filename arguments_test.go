// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"testing"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

func TestChecks(t *testing.T) {
	for _, m := range []mat.Matrix{new(mat.Dense), new(mat.VecDense), new(mat.SymDense), mat.Transpose{Matrix: new(mat.Dense)}, computed{0, 3}, computed{3, 0}} {
		if p := panicValue(func() { checkNotEmpty(m) }); p != mat.ErrZeroLength {
			t.Errorf("%T: panic %v", m, p)
		}
	}
	for _, m := range []mat.Matrix{computed{-1, 3}, computed{3, -1}, computed{0, -1}} {
		if p := panicValue(func() { checkNotEmpty(m) }); p != mat.ErrNegativeDimension {
			t.Errorf("%v: panic %v", m, p)
		}
	}
	if r, c := checkNotEmpty(computed{3, 5}); r != 3 || c != 5 {
		t.Errorf("%d×%d", r, c)
	}
	for dim, want := range map[int]int{0: 0, 1: 1, -1: 1, -2: 0} {
		if got := checkDim("F", dim); got != want {
			t.Errorf("dim %d stands for %d", dim, got)
		}
	}
	for _, dim := range []int{2, -3, math.MinInt, math.MaxInt} {
		if p := panicValue(func() { checkDim("F", dim) }); p != fmt.Sprintf("logsoftmax: F: dim is %d, want -2, -1, 0 or 1", dim) {
			t.Errorf("dim %d: panic %v", dim, p)
		}
	}
	if p := panicValue(func() { checkShape(computed{2, 3}, 2, 3) }); p != nil {
		t.Error(p)
	}
	for _, m := range []computed{{3, 2}, {2, 4}, {1, 3}} {
		if p := panicValue(func() { checkShape(m, 2, 3) }); p != mat.ErrShape {
			t.Errorf("%v: panic %v", m, p)
		}
	}
	for _, dst := range [][]float64{{}, {1}, {1, 2, 3}} {
		if p := panicValue(func() { checkSlice(dst, 2) }); p != mat.ErrShape {
			t.Errorf("%v: panic %v", dst, p)
		}
	}
	dst := []float64{1, 2}
	checkSlice(dst, 2)
	checkSlice(nil, 2)
	if got := prepareSlice(dst, 2); &got[0] != &dst[0] {
		t.Error("a slice that fits is replaced")
	}
	if got := prepareSlice(nil, 2); len(got) != 2 {
		t.Errorf("a slice of length %d", len(got))
	}
}

// A matrixFunction is an exported function of matrices, called with good
// arguments but for the matrices, which all have the same shape.
type matrixFunction struct {
	name   string
	dst    string   // the name of the dst that is a matrix, if it has one
	inputs []string // the names of its other matrices, in order
	call   func(dst *mat.Dense, inputs ...mat.Matrix)
}

// matrixFunctions returns all functions of rows×cols matrices, some with options
// that have them go another way. Of a linear layer there are as many classes as
// rows.
func matrixFunctions(rows, cols int) []matrixFunction {
	target := make([]int, rows)
	for i := range target {
		target[i] = i % cols
	}
	functions := []matrixFunction{
		{"NLL", "", []string{"logp"}, func(_ *mat.Dense, in ...mat.Matrix) { _, _ = NLL(in[0], target, nil) }},
		{"NLL", "", []string{"logp"}, func(_ *mat.Dense, in ...mat.Matrix) { _, _ = NLL(in[0], target, &Options{LabelSmoothing: 0.1}) }},
		{"NLLEach", "", []string{"logp"}, func(_ *mat.Dense, in ...mat.Matrix) { _, _ = NLLEach(nil, in[0], target, nil) }},
		{"NLLGrad", "dst", []string{"logp"}, func(dst *mat.Dense, in ...mat.Matrix) { _, _ = NLLGrad(dst, in[0], target, nil) }},
		{"CrossEntropy", "", []string{"logits"}, func(_ *mat.Dense, in ...mat.Matrix) { _, _ = CrossEntropy(in[0], target, nil) }},
		{"CrossEntropy", "", []string{"logits"}, func(_ *mat.Dense, in ...mat.Matrix) {
			_, _ = CrossEntropy(in[0], target, &Options{LabelSmoothing: 0.1})
		}},
		{"CrossEntropyEach", "", []string{"logits"}, func(_ *mat.Dense, in ...mat.Matrix) { _, _ = CrossEntropyEach(nil, in[0], target, nil) }},
		{"CrossEntropyGrad", "dst", []string{"logits"}, func(dst *mat.Dense, in ...mat.Matrix) { _, _ = CrossEntropyGrad(dst, in[0], target, nil) }},
		{"CrossEntropyGrad", "dst", []string{"logits"}, func(dst *mat.Dense, in ...mat.Matrix) {
			_, _ = CrossEntropyGrad(dst, in[0], target, &Options{LabelSmoothing: 0.1})
		}},
		{"SoftCrossEntropy", "", []string{"logits", "target"}, func(_ *mat.Dense, in ...mat.Matrix) { _, _ = SoftCrossEntropy(in[0], in[1], nil) }},
		{"SoftCrossEntropyEach", "", []string{"logits", "target"}, func(_ *mat.Dense, in ...mat.Matrix) {
			_, _ = SoftCrossEntropyEach(nil, in[0], in[1], nil)
		}},
		{"SoftCrossEntropyGrad", "dst", []string{"logits", "target"}, func(dst *mat.Dense, in ...mat.Matrix) {
			_, _ = SoftCrossEntropyGrad(dst, in[0], in[1], nil)
		}},
	}
	// With as many classes as rows.
	first := make([]int, rows)
	functions = append(functions,
		matrixFunction{"LinearCrossEntropy", "", []string{"x", "w"}, func(_ *mat.Dense, in ...mat.Matrix) {
			_, _ = LinearCrossEntropy(in[0], in[1], nil, first, nil)
		}},
		matrixFunction{"LinearCrossEntropyEach", "", []string{"x", "w"}, func(_ *mat.Dense, in ...mat.Matrix) {
			_, _ = LinearCrossEntropyEach(nil, in[0], in[1], nil, first, nil)
		}},
		matrixFunction{"LinearCrossEntropyGrad", "", []string{"x", "w"}, func(_ *mat.Dense, in ...mat.Matrix) {
			_, _ = LinearCrossEntropyGrad(LinearGrad{W: new(mat.Dense)}, in[0], in[1], nil, first, nil)
		}},
	)
	for _, dim := range []int{0, 1} {
		functions = append(functions,
			matrixFunction{"LogSoftmax", "dst", []string{"x"}, func(dst *mat.Dense, in ...mat.Matrix) { LogSoftmax(dst, in[0], dim) }},
			matrixFunction{"Softmax", "dst", []string{"x"}, func(dst *mat.Dense, in ...mat.Matrix) { Softmax(dst, in[0], dim) }},
			matrixFunction{"LogSumExp", "", []string{"x"}, func(_ *mat.Dense, in ...mat.Matrix) { LogSumExp(nil, in[0], dim) }},
			matrixFunction{"LogSoftmaxGrad", "dst", []string{"logp", "upstream"}, func(dst *mat.Dense, in ...mat.Matrix) {
				LogSoftmaxGrad(dst, in[0], in[1], dim)
			}},
			matrixFunction{"SoftmaxGrad", "dst", []string{"logp", "upstream"}, func(dst *mat.Dense, in ...mat.Matrix) {
				SoftmaxGrad(dst, in[0], in[1], dim)
			}},
			matrixFunction{"SoftmaxGrad", "dst", []string{"logp", "upstream"}, func(dst *mat.Dense, in ...mat.Matrix) {
				SoftmaxGrad(dst, in[0], in[1], dim)
			}},
		)
	}
	return functions
}

// newPositive returns a matrix that is allowed for every argument.
func newPositive(rows, cols int) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	kernel.Fill(m.RawMatrix().Data, 0.25)
	return m
}

// eachBad calls f with calls of every function, each of which has one argument
// that bad returns in place of a good one, and with the function's name and
// that argument's. Every other matrix is as it should be, dst empty or full of
// canaries; both are looked at.
func eachBad(t *testing.T, what string, rows, cols int, bad func() mat.Matrix, want func(fn, name string) any) {
	t.Helper()
	for _, f := range matrixFunctions(rows, cols) {
		for k, name := range f.inputs {
			inputs := make([]mat.Matrix, len(f.inputs))
			for i := range inputs {
				inputs[i] = newPositive(rows, cols)
			}
			inputs[k] = bad()
			empty, full := new(mat.Dense), newPositive(rows, cols)
			for _, dst := range []*mat.Dense{empty, full} {
				if p := panicValue(func() { f.call(dst, inputs...) }); p != want(f.name, name) {
					t.Errorf("%s with %s %s: panic %v, want %v", f.name, name, what, p, want(f.name, name))
				}
			}
			if !empty.IsEmpty() || !mat.Equal(full, newPositive(rows, cols)) {
				t.Errorf("%s with %s %s: dst was sized or written", f.name, name, what)
			}
		}
		d, ok := bad().(*mat.Dense)
		if f.dst == "" || !ok {
			continue
		}
		inputs := make([]mat.Matrix, len(f.inputs))
		for i := range inputs {
			inputs[i] = newPositive(rows, cols)
		}
		if p := panicValue(func() { f.call(d, inputs...) }); p != want(f.name, f.dst) {
			t.Errorf("%s with %s %s: panic %v, want %v", f.name, f.dst, what, p, want(f.name, f.dst))
		}
	}
}

// pointed is a user's own type whose methods have a pointer.
type pointed struct{ computed }

func (p *pointed) T() mat.Matrix { return mat.Transpose{Matrix: p} }

// TestNil: no matrix may be nil, however that is wrapped, and the panic says
// which.
func TestNil(t *testing.T) {
	for what, m := range map[string]mat.Matrix{
		"nil":                           nil,
		"a nil Dense":                   (*mat.Dense)(nil),
		"a nil VecDense":                (*mat.VecDense)(nil),
		"a nil SymDense":                (*mat.SymDense)(nil),
		"a nil TriDense":                (*mat.TriDense)(nil),
		"a nil BandDense":               (*mat.BandDense)(nil),
		"a nil DiagDense":               (*mat.DiagDense)(nil),
		"a nil Tridiag":                 (*mat.Tridiag)(nil),
		"a nil pointer of a user's":     (*pointed)(nil),
		"the transpose of nil":          mat.Transpose{},
		"the transpose of a nil Dense":  mat.Transpose{Matrix: (*mat.Dense)(nil)},
		"the transpose of a nil vector": mat.TransposeVec{},
		"the transpose of a nil user's": mat.Transpose{Matrix: mat.Transpose{Matrix: (*pointed)(nil)}},
	} {
		eachBad(t, what, 3, 3, func() mat.Matrix { return m }, func(fn, name string) any {
			return "logsoftmax: " + fn + ": " + name + " is nil, want a matrix"
		})
	}
	for _, v := range []mat.Vector{nil, (*mat.VecDense)(nil)} {
		if p := panicValue(func() { _, _ = Labels(nil, v) }); p != "logsoftmax: Labels: v is nil, want a matrix" {
			t.Errorf("Labels of %T: panic %v", v, p)
		}
	}
}

// TestShortStorage: no matrix may have storage that its shape or its stride
// would reach beyond, under transposes either.
func TestShortStorage(t *testing.T) {
	dense := func(rows, cols, stride, n int) *mat.Dense {
		m := new(mat.Dense)
		// There is room behind, which must not be touched.
		m.SetRawMatrix(blas64.General{Rows: rows, Cols: cols, Stride: stride, Data: make([]float64, n, 1<<12)})
		return m
	}
	says := func(part string) func(fn, name string) any {
		return func(fn, name string) any { return "logsoftmax: " + fn + ": " + name + " has " + part }
	}
	const rows, cols = 64, 16
	for _, test := range []struct {
		stride, n int
		part      string
	}{
		{16, 1023, "1023 elements of storage, want 63·16+16 for 64×16 with stride 16"},
		{16, 512, "512 elements of storage, want 63·16+16 for 64×16 with stride 16"},
		{16, 15, "15 elements of storage, want 63·16+16 for 64×16 with stride 16"},
		{16, 0, "0 elements of storage, want 63·16+16 for 64×16 with stride 16"},
		{17, 1086, "1086 elements of storage, want 63·17+16 for 64×16 with stride 17"},
		{math.MaxInt, 1024, fmt.Sprintf("1024 elements of storage, want 63·%d+16 for 64×16 with stride %[1]d", math.MaxInt)},
		{15, 1024, "stride 15, want at least 16 for 64×16"},
		{1, 1024, "stride 1, want at least 16 for 64×16"},
		{-16, 1024, "stride -16, want at least 16 for 64×16"},
	} {
		what := fmt.Sprintf("of stride %d over %d elements", test.stride, test.n)
		eachBad(t, what, rows, cols, func() mat.Matrix { return dense(rows, cols, test.stride, test.n) }, says(test.part))
		eachBad(t, "twice transposed, "+what, rows, cols, func() mat.Matrix {
			return mat.Transpose{Matrix: dense(rows, cols, test.stride, test.n).T()}
		}, says(test.part))
		eachBad(t, "transposed, "+what, cols, rows, func() mat.Matrix {
			return dense(rows, cols, test.stride, test.n).T()
		}, says(test.part))
	}
	// An input alone: a dst without a stride is empty.
	for _, stride := range []int{0} {
		m := dense(rows, cols, stride, 1024)
		if p := panicValue(func() { LogSumExp(nil, m, 1) }); p != "logsoftmax: LogSumExp: x has stride 0, want at least 16 for 64×16" {
			t.Errorf("stride %d: panic %v", stride, p)
		}
	}
	vector := func(n, inc, length int) *mat.VecDense {
		v := new(mat.VecDense)
		v.SetRawVector(blas64.Vector{N: n, Inc: inc, Data: make([]float64, length)})
		return v
	}
	for _, test := range []struct {
		inc, length int
		part        string
	}{
		{1, 8, "8 elements of storage, want 8·1+1 for 9×1 with stride 1"},
		{3, 24, "24 elements of storage, want 8·3+1 for 9×1 with stride 3"},
		{-1, 9, "stride -1, want at least 1 for 9×1"},
	} {
		eachBad(t, "a vector", 9, 1, func() mat.Matrix { return vector(9, test.inc, test.length) }, says(test.part))
		eachBad(t, "a transposed vector", 1, 9, func() mat.Matrix { return vector(9, test.inc, test.length).T() }, says(test.part))
		eachBad(t, "a vector transposed as one", 1, 9, func() mat.Matrix { return vector(9, test.inc, test.length).TVec() }, says(test.part))
		if p := panicValue(func() { _, _ = Labels(nil, vector(9, test.inc, test.length)) }); p != "logsoftmax: Labels: v has "+test.part {
			t.Errorf("Labels: panic %v", p)
		}
	}
	// What is read by At shows its storage too.
	symmetric := func() mat.Matrix {
		s := new(mat.SymDense)
		s.SetRawSymmetric(blas64.Symmetric{N: 4, Stride: 4, Data: make([]float64, 15), Uplo: blas.Upper})
		return s
	}
	eachBad(t, "symmetric", 4, 4, symmetric, says("15 elements of storage, want 3·4+4 for 4×4 with stride 4"))
	band := func() mat.Matrix {
		b := new(mat.BandDense)
		b.SetRawBand(blas64.Band{Rows: 4, Cols: 4, KL: 1, KU: 1, Stride: 3, Data: make([]float64, 11)})
		return b
	}
	eachBad(t, "a band", 4, 4, band, says("11 elements of storage, want 3·3+3 for 4×3 with stride 3"))
	eachBad(t, "a user's type", rows, cols, func() mat.Matrix { return doubled{dense(rows, cols, 16, 1023)} },
		says("1023 elements of storage, want 63·16+16 for 64×16 with stride 16"))

	// What just fits is good.
	for _, f := range matrixFunctions(rows, cols) {
		for _, stride := range []int{16, 17, 40} {
			fits := func() mat.Matrix { return dense(rows, cols, stride, (rows-1)*stride+cols) }
			if p := panicValue(func() { f.call(fits().(*mat.Dense), fits(), fits()) }); p != nil {
				t.Errorf("%s with matrices that just fit: panic %v", f.name, p)
			}
		}
	}
}

// reversed is a user's own type whose columns are those of a Dense, from the
// last to the first.
type reversed struct{ *mat.Dense }

func (r reversed) At(i, j int) float64 {
	_, cols := r.Dims()
	return r.Dense.At(i, cols-1-j)
}
func (r reversed) T() mat.Matrix { return mat.Transpose{Matrix: r} }

// TestSharedWithAt: what is read by At, one element after the other while dst
// is written, shares no storage with it.
func TestSharedWithAt(t *testing.T) {
	for _, shape := range []struct{ rows, cols int }{{1, 3}, {3, 3}, {100, 3}, {3, 100}} {
		for _, f := range matrixFunctions(shape.rows, shape.cols) {
			if f.dst != "dst" {
				// None, or TestLinearMistakes has it.
				continue
			}
			for k, name := range f.inputs {
				dst := newPositive(shape.rows, shape.cols)
				inputs := []mat.Matrix{newPositive(shape.rows, shape.cols), newPositive(shape.rows, shape.cols)}
				inputs[k] = reversed{dst}
				want := "logsoftmax: " + f.name + ": dst shares storage with " + name + ", want none of what is read by At"
				if p := panicValue(func() { f.call(dst, inputs...) }); p != want {
					t.Errorf("%s of %d×%d: panic %v, want %v", f.name, shape.rows, shape.cols, p, want)
				}
				if !mat.Equal(dst, newPositive(shape.rows, shape.cols)) {
					t.Errorf("%s: dst was written", f.name)
				}
				inputs[k] = reversed{newPositive(shape.rows, shape.cols)}
				if p := panicValue(func() { f.call(dst, inputs...) }); p != nil {
					t.Errorf("%s with storage apart: panic %v", f.name, p)
				}
			}
		}
	}
	if !strings.Contains(fmt.Sprint(panicValue(func() {
		x := mat.NewDense(1, 3, []float64{1, 2, 4})
		LogSoftmax(x, reversed{x}, 1)
	})), "shares storage") {
		t.Error("a row is reversed in place")
	}
}

// TestMessages has the words of every string panic and of every error, from a
// function that gives it.
func TestMessages(t *testing.T) {
	x := newPositive(2, 3)
	part := newPositive(4, 3)
	target := []int{0, 1}
	dist := newPositive(2, 3)
	short := new(mat.Dense)
	short.SetRawMatrix(blas64.General{Rows: 2, Cols: 3, Stride: 3, Data: make([]float64, 5)})
	narrow := new(mat.Dense)
	narrow.SetRawMatrix(blas64.General{Rows: 2, Cols: 3, Stride: 2, Data: make([]float64, 6)})
	bad := mat.DenseCopyOf(dist)
	bad.Set(1, 2, math.NaN())
	second := func(_ any, err error) error { return err }
	loss := func(o Options) func() error {
		return func() error { return second(CrossEntropy(x, target, &o)) }
	}
	// What panics returns nothing.
	panics := func(f func()) func() error { return func() error { f(); return nil } }
	for _, test := range []struct {
		want string
		call func() error
	}{
		// Matrices by themselves; TestNil and TestShortStorage have every function.
		{"LogSoftmax: dst is nil, want a matrix", panics(func() { LogSoftmax(nil, x, 1) })},
		{"LogSumExp: x is nil, want a matrix", panics(func() { LogSumExp(nil, nil, 1) })},
		{"Labels: v is nil, want a matrix", func() error { return second(Labels(nil, nil)) }},
		{"NLL: logp has 5 elements of storage, want 1·3+3 for 2×3 with stride 3", func() error { return second(NLL(short, target, nil)) }},
		{"CrossEntropyEach: logits has stride 2, want at least 3 for 2×3", func() error { return second(CrossEntropyEach(nil, narrow, target, nil)) }},
		// The dim.
		{"LogSoftmax: dim is 2, want -2, -1, 0 or 1", panics(func() { LogSoftmax(new(mat.Dense), x, 2) })},
		{"Softmax: dim is -3, want -2, -1, 0 or 1", panics(func() { Softmax(new(mat.Dense), x, -3) })},
		{"LogSumExp: dim is 7, want -2, -1, 0 or 1", panics(func() { LogSumExp(nil, x, 7) })},
		{"LogSoftmaxGrad: dim is 2, want -2, -1, 0 or 1", panics(func() { LogSoftmaxGrad(new(mat.Dense), x, x, 2) })},
		// Overlap.
		{"Softmax: dst partially overlaps x, want its region or none of it", panics(func() { Softmax(part.Slice(1, 3, 0, 3).(*mat.Dense), part.Slice(0, 2, 0, 3), 1) })},
		{"LogSoftmaxGrad: dst partially overlaps upstream, want its region or none of it", panics(func() {
			LogSoftmaxGrad(part.Slice(1, 3, 0, 3).(*mat.Dense), x, part.Slice(0, 2, 0, 3), 1)
		})},
		{"SoftmaxGrad: dst partially overlaps logp, want its region or none of it", panics(func() {
			SoftmaxGrad(part.Slice(1, 3, 0, 3).(*mat.Dense), part.Slice(0, 2, 0, 3), x, 1)
		})},
		{"LinearCrossEntropyGrad: dst.X partially overlaps x, want its region or none of it", func() error {
			return second(LinearCrossEntropyGrad(LinearGrad{X: part.Slice(1, 3, 0, 3).(*mat.Dense)}, part.Slice(0, 2, 0, 3), x, nil, []int{0, 1}, nil))
		}},
		{"LinearCrossEntropyGrad: dst.W overlaps w, want none of it", func() error {
			return second(LinearCrossEntropyGrad(LinearGrad{W: dist}, x, dist, nil, []int{0, 1}, nil))
		}},
		{"LinearCrossEntropyGrad: dst.B overlaps dst.W, want none of it", func() error {
			return second(LinearCrossEntropyGrad(LinearGrad{W: dist, B: dist.RawRowView(1)[1:]}, x, x, nil, []int{0, 1}, nil))
		}},
		{"SoftCrossEntropyGrad: dst shares storage with target, want none of what is read by At", func() error {
			return second(SoftCrossEntropyGrad(dist, x, reversed{dist}, nil))
		}},
		{"LinearCrossEntropyGrad: dst.X partially overlaps x, want its region or none of it", func() error {
			grad := LinearGrad{X: part.Slice(1, 3, 0, 3).(*mat.Dense)}
			return second(LinearCrossEntropyGrad(grad, part.Slice(0, 2, 0, 3), dist, nil, target, nil))
		}},
		{"LinearCrossEntropyGrad: dst.W overlaps w, want none of it", func() error {
			return second(LinearCrossEntropyGrad(LinearGrad{W: dist}, x, dist, nil, target, nil))
		}},
		// Options and targets.
		{"CrossEntropyGrad: opts.Reduction is 7, want Mean or Sum", func() error {
			return second(CrossEntropyGrad(new(mat.Dense), x, target, &Options{Reduction: 7}))
		}},
		{"Options.Weight[1] = -1: a class weight must be finite and not negative", loss(Options{Weight: []float64{1, -1, 1}})},
		{"Options.SampleWeight[1] = +Inf: a sample weight must be finite", loss(Options{SampleWeight: []float64{1, math.Inf(1)}})},
		{"Options.SampleWeight[0] = -1: a negative sample weight needs Reduction Sum", func() error {
			return second(NLLGrad(new(mat.Dense), x, target, &Options{SampleWeight: []float64{-1, 1}}))
		}},
		{"Options.LabelSmoothing = 1.5: smoothing must be in [0, 1]", loss(Options{LabelSmoothing: 1.5})},
		{"target[1] = 3 is not in [0, 3) and not ignored", func() error { return second(CrossEntropy(x, []int{0, 3}, nil)) }},
		{"target[1, 2] = NaN: a target probability must be finite and not negative", func() error { return second(SoftCrossEntropy(x, bad, nil)) }},
		// Class weights and labels.
		{"counts[1] = 0: a count must be finite and positive; for classes that do not occur see OccurringWeights", func() error { return second(BalancedWeights([]float64{1, 0})) }},
		{"beta = 1: beta must be in [0, 1)", func() error { return second(EffectiveNumberWeights([]float64{1}, 1)) }},
		{"label[1] = 2.5: a label must be a whole number", func() error { return second(Labels(nil, mat.NewVecDense(2, []float64{1, 2.5}))) }},
		{"label[0] = 1e+30: a label must fit in an int", func() error { return second(Labels(nil, mat.NewVecDense(1, []float64{1e30}))) }},
		{"Options.Weight[1] = 1e-200: its product with a sample weight or a target is beyond the range of normal numbers", func() error {
			return second(CrossEntropy(mat.NewDense(1, 2, nil), []int{1}, &Options{Weight: []float64{1, 1e-200}, SampleWeight: []float64{1e-200}}))
		}},
		{"Options.LabelSmoothing = 1e-100: smoothing so small needs class weights that are smaller or less far apart", func() error {
			return second(CrossEntropy(mat.NewDense(1, 2, nil), []int{1}, &Options{Weight: []float64{1e-300, 1e300}, LabelSmoothing: 1e-100}))
		}},
		// A ValueError of no name that the package gives.
		{"other = 1", func() error { return &ValueError{"other", -1, -1, 1} }},
	} {
		var err error
		got := panicValue(func() { err = test.call() })
		if err != nil {
			got = err.Error()
		}
		if want := "logsoftmax: " + test.want; got != want {
			t.Errorf("got  %v\nwant %s", got, want)
		}
	}
}

// A meddler is a matrix whose At, when it is first called, does something.
type meddler struct {
	*mat.Dense
	do func()
}

func (m *meddler) At(i, j int) float64 {
	m.do()
	return m.Dense.At(i, j)
}
func (m *meddler) T() mat.Matrix { return mat.Transpose{Matrix: m} }

// TestLabelsThatChange: labels that are no classes any more after they were
// checked, by a matrix's own At or by another goroutine, have nothing read or
// written outside their rows.
func TestLabelsThatChange(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for _, shape := range []struct{ rows, cols int }{{1, 2}, {40, 3}, {70, 10}, {9, 64}, {9, 65}, {3, 300}, {2, 5000}} {
		for _, bad := range []int{-1, shape.cols, 1 << 20, -1 << 20, math.MaxInt / 2, math.MinInt / 2, math.MaxInt, math.MinInt} {
			logits := newPositive(shape.rows, shape.cols)
			features, layer := newPositive(shape.rows, 3), newPositive(shape.cols, 3)
			good := make([]int, shape.rows)
			sample, weight := make([]float64, shape.rows), make([]float64, shape.cols)
			kernel.Fill(sample, 2)
			kernel.Fill(weight, 3)
			for _, opts := range []*Options{nil, {Ignore: []int{}}, {SampleWeight: sample}, {Weight: weight}, {LabelSmoothing: 0.1}} {
				target := make([]int, shape.rows)
				change := func() {
					for i := range target {
						target[i] = bad
					}
				}
				// One row above and one below dst.
				canary := newPositive(shape.rows+2, shape.cols)
				dst := canary.Slice(1, shape.rows+1, 0, shape.cols).(*mat.Dense)
				each := make([]float64, shape.rows)
				for name, call := range map[string]func(){
					"CrossEntropy":           func() { _, _ = CrossEntropy(&meddler{logits, change}, target, opts) },
					"CrossEntropyEach":       func() { _, _ = CrossEntropyEach(each, &meddler{logits, change}, target, opts) },
					"CrossEntropyGrad":       func() { _, _ = CrossEntropyGrad(dst, &meddler{logits, change}, target, opts) },
					"NLL":                    func() { _, _ = NLL(&meddler{logits, change}, target, opts) },
					"NLLEach":                func() { _, _ = NLLEach(each, &meddler{logits, change}, target, opts) },
					"NLLGrad":                func() { _, _ = NLLGrad(dst, &meddler{logits, change}, target, opts) },
					"LinearCrossEntropyEach": func() { _, _ = LinearCrossEntropyEach(each, &meddler{features, change}, layer, nil, target, opts) },
					"LinearCrossEntropyGrad": func() {
						_, _ = LinearCrossEntropyGrad(LinearGrad{X: new(mat.Dense), W: new(mat.Dense)}, &meddler{features, change}, layer, nil, target, opts)
					},
					"another goroutine": func() {
						// As crossEntropy does it, with labels that change in between.
						var s settings
						if err := s.resolveLabels("F", opts, good, shape.rows, shape.cols, true); err != nil {
							t.Fatal(err)
						}
						var weight kernel.ExactSum
						ignored := s.addLossWeight(&weight, good)
						change()
						w := workspaces.Get().(*workspace)
						w.entropy = entropy{settings: s, target: target, logits: newSource(logits), out: dst.RawMatrix(), each: each}
						w.runEntropy(new(Loss), &weight, ignored)
					},
				} {
					copy(target, good)
					if p := panicValue(call); p != nil {
						t.Errorf("%s of %d×%d, %+v, a label becomes %d: panic %v", name, shape.rows, shape.cols, opts, bad, p)
					}
				}
				for _, i := range []int{0, shape.rows + 1} {
					for _, v := range canary.RawRowView(i) {
						if v != 0.25 {
							t.Fatalf("%d×%d, %+v, a label becomes %d: row %d beside dst was written", shape.rows, shape.cols, opts, bad, i-1)
						}
					}
				}
			}
		}
	}
}

// TestPanicInAt: what the At of a matrix panics with comes out of the function,
// and calls that follow are none the worse for it.
func TestPanicInAt(t *testing.T) {
	for _, shape := range []struct{ rows, cols int }{{3, 2}, {70, 10}, {5, 100}, {3, 3000}, {2, 70_000}} {
		for _, f := range matrixFunctions(shape.rows, shape.cols) {
			inputs := func() []mat.Matrix {
				return []mat.Matrix{newPositive(shape.rows, shape.cols), newPositive(shape.rows, shape.cols)}
			}
			before, after := newPositive(shape.rows, shape.cols), newPositive(shape.rows, shape.cols)
			f.call(before, inputs()...)
			for k := range f.inputs {
				calls := 0
				count := func() { calls++ }
				in := inputs()
				in[k] = &meddler{newPositive(shape.rows, shape.cols), count}
				f.call(newPositive(shape.rows, shape.cols), in...)
				for _, at := range []int{1, calls/2 + 1, calls} {
					if calls == 0 {
						// NLLGrad does not read what has no weight.
						break
					}
					calls := 0
					in[k] = &meddler{newPositive(shape.rows, shape.cols), func() {
						if calls++; calls == at {
							panic("no more")
						}
					}}
					if p := panicValue(func() { f.call(newPositive(shape.rows, shape.cols), in...) }); p != "no more" {
						t.Errorf("%s of %d×%d: panic %v in call %d of At", f.name, shape.rows, shape.cols, p, at)
					}
				}
			}
			if f.call(after, inputs()...); !mat.Equal(before, after) {
				t.Errorf("%s of %d×%d gives something else after panics in At", f.name, shape.rows, shape.cols)
			}
		}
	}
}

// TestShortWay: whatever the short way lets in passes the general checks, and is
// in place where they say so. Matrices are random views of one array, now and
// then of storage that is too short.
func TestShortWay(t *testing.T) {
	r := rand.New(rand.NewPCG(81, 82))
	data := make([]float64, 400)
	view := func() *mat.Dense {
		rows, cols := r.IntN(4), r.IntN(4)
		g := blas64.General{Rows: rows, Cols: cols, Stride: cols + r.IntN(3), Data: data[r.IntN(40):]}
		switch r.IntN(8) {
		case 0:
			g.Data = g.Data[:min(len(g.Data), r.IntN(12))]
		case 1:
			g.Stride = max(1, cols-1)
		case 2:
			g.Stride = math.MaxInt - r.IntN(2)
		}
		m := new(mat.Dense)
		m.SetRawMatrix(g)
		return m
	}
	let, inside := 0, 0
	for range 200000 {
		dst, in := view(), view()
		if r.IntN(4) == 0 {
			in = dst
		}
		var s source
		if !s.smallDense(in) {
			continue
		}
		var out blas64.General
		inPlace, ok := smallDst(&out, dst, &s.raw)
		if !ok {
			if out.Data != nil {
				t.Fatalf("dst %+v, input %+v: storage", dst.RawMatrix(), in.RawMatrix())
			}
			continue
		}
		let++
		rows, cols := in.Dims()
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Fatalf("%v: dst %+v, input %+v", p, dst.RawMatrix(), in.RawMatrix())
				}
			}()
			checkDense("f", "dst", dst)
			checkMatrix("f", "x", in)
			checkNotEmpty(in)
			checkDst("f", "dst", dst, rows, cols, argument{"x", in})
		}()
		want := newSource(in)
		if s.m != want.m || s.rows != want.rows || s.cols != want.cols || s.kind != want.kind || s.raw.Stride != want.raw.Stride {
			t.Fatalf("source %+v, want %+v", s, want)
		}
		if d := dst.RawMatrix(); out.Stride != d.Stride || out.Rows != d.Rows || out.Cols != d.Cols || inPlace != sameRegion(dst, in) {
			t.Fatalf("dst %+v, input %+v: %+v, in place %v", d, in.RawMatrix(), out, inPlace)
		}
		if inPlace {
			inside++
		}
	}
	if let < 1000 || inside < 100 || inside == let {
		t.Errorf("%d calls were let in, %d of them in place", let, inside)
	}
}

// TestRegionsOverlap compares with the sets of elements.
func TestRegionsOverlap(t *testing.T) {
	data := make([]float64, 400)
	rng := rand.New(rand.NewPCG(17, 18))
	region := func() (g blas64.General, elements map[int]bool) {
		stride := 1 + rng.IntN(12)
		g = blas64.General{Rows: 1 + rng.IntN(6), Cols: 1 + rng.IntN(stride), Stride: stride}
		first := rng.IntN(80)
		g.Data = data[first : first+(g.Rows-1)*stride+g.Cols]
		elements = make(map[int]bool)
		for i := range g.Rows {
			for j := range g.Cols {
				elements[first+i*stride+j] = true
			}
		}
		return g, elements
	}
	var overlapping, apart, interleaved int
	for range 200000 {
		a, inA := region()
		b, inB := region()
		if rng.IntN(2) == 0 && b.Cols <= a.Stride {
			// The same stride.
			b.Stride = a.Stride
			first := int(offset(data, b.Data))
			b.Data = data[first : first+(b.Rows-1)*b.Stride+b.Cols]
			inB = make(map[int]bool)
			for i := range b.Rows {
				for j := range b.Cols {
					inB[first+i*b.Stride+j] = true
				}
			}
		}
		want := false
		for k := range inB {
			want = want || inA[k]
		}
		if got := regionsOverlap(a, b); got != want {
			t.Fatalf("%d×%d by %d and, %d behind, %d×%d by %d: %v", a.Rows, a.Cols, a.Stride,
				offset(a.Data, b.Data), b.Rows, b.Cols, b.Stride, got)
		}
		off := offset(a.Data, b.Data)
		switch {
		case want:
			overlapping++
		case off >= int64(len(a.Data)) || -off >= int64(len(b.Data)):
			apart++
		default:
			interleaved++
		}
	}
	if min(overlapping, apart, interleaved) < 1000 {
		t.Errorf("%d overlapping, %d apart, %d interleaved", overlapping, apart, interleaved)
	}
	a := mat.NewDense(3, 3, nil).RawMatrix()
	b := mat.NewDense(3, 3, nil).RawMatrix()
	if regionsOverlap(a, b) || regionsOverlap(a, blas64.General{}) || regionsOverlap(blas64.General{}, a) {
		t.Error("overlap of what is apart or empty")
	}
}

func TestCheckDst(t *testing.T) {
	const (
		overlap = "logsoftmax: F: to partially overlaps x, want its region or none of it"
		shared  = "logsoftmax: F: to shares storage with x, want none of what is read by At"
	)
	check := func(dst *mat.Dense, r, c int, inputs ...mat.Matrix) any {
		var arguments []argument
		for _, m := range inputs {
			arguments = append(arguments, argument{"x", m})
		}
		return panicValue(func() { checkDst("F", "to", dst, r, c, arguments...) })
	}
	whole := numberedDense(8, 10)
	slice := func(i, k, j, l int) *mat.Dense { return whole.Slice(i, k, j, l).(*mat.Dense) }
	raw := func(m *mat.Dense) *mat.Dense {
		d := new(mat.Dense)
		d.SetRawMatrix(m.RawMatrix())
		return d
	}
	other := numberedDense(4, 4)
	symmetric := new(mat.SymDense)
	symmetric.SetRawSymmetric(blas64.Symmetric{N: 4, Stride: 10, Data: whole.RawMatrix().Data, Uplo: blas.Upper})
	square := slice(0, 4, 0, 4)
	column := mat.NewDense(4, 1, whole.RawMatrix().Data[:4])
	row := mat.NewDense(1, 4, whole.RawMatrix().Data[:4])
	for _, test := range []struct {
		name   string
		dst    *mat.Dense
		r, c   int
		inputs []mat.Matrix
		panic  any
	}{
		{"empty", new(mat.Dense), 4, 4, []mat.Matrix{square}, nil},
		{"fits", other, 4, 4, []mat.Matrix{square, slice(4, 8, 0, 4)}, nil},
		{"rows", other, 3, 4, []mat.Matrix{square}, mat.ErrShape},
		{"cols", other, 4, 5, []mat.Matrix{square}, mat.ErrShape},
		{"shape before overlap", square, 4, 5, []mat.Matrix{slice(1, 5, 0, 5)}, mat.ErrShape},
		{"same header", square, 4, 4, []mat.Matrix{square}, nil},
		{"same region", square, 4, 4, []mat.Matrix{slice(0, 4, 0, 4)}, nil},
		{"same raw region", square, 4, 4, []mat.Matrix{raw(square)}, nil},
		{"same region twice", square, 4, 4, []mat.Matrix{square, slice(0, 4, 0, 4)}, nil},
		{"same region, transposed twice", square, 4, 4, []mat.Matrix{mat.Transpose{Matrix: square.T()}}, nil},
		{"same region, user's type", square, 4, 4, []mat.Matrix{doubled{square}}, shared},
		{"same region, user's type, transposed", square, 4, 4, []mat.Matrix{doubled{square}.T()}, shared},
		{"part of it, user's type", square, 4, 4, []mat.Matrix{doubled{slice(3, 7, 3, 7)}}, shared},
		{"beside it, user's type", square, 4, 4, []mat.Matrix{doubled{slice(4, 8, 3, 7)}}, nil},
		{"same region, symmetric", square, 4, 4, []mat.Matrix{symmetric}, shared},
		{"same region, transposed", square, 4, 4, []mat.Matrix{square.T()}, overlap},
		{"one row down", square, 4, 4, []mat.Matrix{slice(1, 5, 0, 4)}, overlap},
		{"one row up", slice(1, 5, 0, 4), 4, 4, []mat.Matrix{square}, overlap},
		{"one column right", square, 4, 4, []mat.Matrix{slice(0, 4, 1, 5)}, overlap},
		{"one column left", slice(0, 4, 1, 5), 4, 4, []mat.Matrix{square}, overlap},
		{"corner", square, 4, 4, []mat.Matrix{slice(3, 7, 3, 7)}, overlap},
		{"corner, transposed", square, 4, 4, []mat.Matrix{slice(3, 7, 3, 7).T()}, overlap},
		{"corner of the second input", square, 4, 4, []mat.Matrix{other, slice(3, 7, 3, 7)}, overlap},
		{"side by side", square, 4, 4, []mat.Matrix{slice(0, 4, 4, 8)}, nil},
		{"side by side, transposed", square, 4, 4, []mat.Matrix{slice(0, 4, 4, 8).T()}, nil},
		{"one below the other", square, 4, 4, []mat.Matrix{slice(4, 8, 0, 4)}, nil},
		{"other stride", square, 4, 4, []mat.Matrix{mat.NewDense(4, 4, whole.RawMatrix().Data[:16])}, overlap},
		{"other stride, in a gap", square, 4, 4, []mat.Matrix{mat.NewDense(1, 4, whole.RawMatrix().Data[4:8])}, nil},
		{"transposed row", column, 4, 1, []mat.Matrix{row.T()}, nil},
		{"transposed column", row, 1, 4, []mat.Matrix{column.T()}, nil},
		{"vector", column, 4, 1, []mat.Matrix{mat.NewVecDense(4, whole.RawMatrix().Data[:4])}, nil},
		{"column view", slice(0, 8, 2, 3), 8, 1, []mat.Matrix{whole.ColView(2)}, nil},
		{"column view, shifted", slice(1, 8, 2, 3), 7, 1, []mat.Matrix{slice(0, 7, 0, 10).ColView(2)}, overlap},
		{"other column view", slice(0, 8, 2, 3), 8, 1, []mat.Matrix{whole.ColView(3)}, nil},
		{"no storage", square, 4, 4, []mat.Matrix{computed{4, 4}}, nil},
	} {
		if p := check(test.dst, test.r, test.c, test.inputs...); p != test.panic {
			t.Errorf("%s: panic %v, want %v", test.name, p, test.panic)
		}
	}

	// A dst that lies on the first element of a matrix of any type, and one
	// that ends before it.
	data := numberedData(40)
	for name, m := range rawTypes(data, 10) {
		for _, m := range []mat.Matrix{m, m.T()} {
			want := shared
			if _, _, ok := rawOf(m); ok {
				want = overlap
			}
			if p := check(mat.NewDense(1, 11, data[:11]), 1, 11, m); p != want {
				t.Errorf("%s: panic %v, want %v", name, p, want)
			}
			if p := check(mat.NewDense(1, 10, data[:10]), 1, 10, m); p != nil {
				t.Errorf("%s: panic %v", name, p)
			}
		}
	}

	// An emptied dst would be sized in the storage that it still has.
	emptied := mat.NewDense(4, 4, whole.RawMatrix().Data[:16])
	emptied.Reset()
	if p := check(emptied, 4, 4, square); p != overlap {
		t.Errorf("emptied: panic %v", p)
	}
	if p := check(emptied, 4, 4, slice(4, 8, 0, 4)); p != nil {
		t.Errorf("emptied, apart: panic %v", p)
	}
	if p := check(emptied, 8, 10, other); p != nil {
		t.Errorf("emptied, too small: panic %v", p)
	}
	if p := check(new(mat.Dense), math.MaxInt/2, 3, computed{math.MaxInt / 2, 3}); p != mat.ErrShape {
		t.Errorf("beyond an int: panic %v", p)
	}
}

func TestSameRegion(t *testing.T) {
	m := numberedDense(6, 5)
	view := m.Slice(1, 4, 1, 4).(*mat.Dense)
	for _, test := range []struct {
		name string
		dst  *mat.Dense
		m    mat.Matrix
		want bool
	}{
		{"itself", m, m, true},
		{"view", view, m.Slice(1, 4, 1, 4), true},
		{"double transpose", view, mat.Transpose{Matrix: view.T()}, true},
		{"transpose", view, view.T(), false},
		{"part", view, m.Slice(1, 3, 1, 4), false},
		{"first element", m, m.Slice(0, 6, 0, 4), false},
		{"elsewhere", view, m.Slice(2, 5, 1, 4), false},
		{"copy", m, mat.DenseCopyOf(m), false},
		{"row of another stride", m.Slice(0, 1, 0, 5).(*mat.Dense), mat.NewDense(1, 5, m.RawMatrix().Data[:5]), true},
		{"row view", m.Slice(2, 3, 0, 5).(*mat.Dense), m.RowView(2).T(), true},
		{"column view", m.Slice(0, 6, 2, 3).(*mat.Dense), m.ColView(2), true},
		{"user's type", m, doubled{m}, false},
		{"no storage", m, computed{6, 5}, false},
		{"empty", new(mat.Dense), new(mat.Dense), false},
	} {
		if got := sameRegion(test.dst, test.m); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestSizeDst(t *testing.T) {
	var dst mat.Dense
	g := sizeDst(&dst, 3, 4)
	if r, c := dst.Dims(); r != 3 || c != 4 || g.Rows != 3 || g.Cols != 4 || &g.Data[0] != &dst.RawMatrix().Data[0] {
		t.Errorf("%d×%d, %+v", r, c, g)
	}
	if again := sizeDst(&dst, 3, 4); &again.Data[0] != &g.Data[0] {
		t.Error("a dst that fits is replaced")
	}
}

func TestShadowAllocations(t *testing.T) {
	m := numberedDense(20, 30)
	dst := mat.NewDense(20, 30, nil)
	column := m.ColView(3)
	transposed := m.T().T()
	if n := testing.AllocsPerRun(100, func() {
		checkDst("F", "dst", dst, 20, 30, argument{"x", m}, argument{"x", column}, argument{"x", transposed})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { checkDst("F", "dst", m, 20, 30, argument{"x", m}) }); n != 0 {
		t.Errorf("%v allocations in place", n)
	}
}
