// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build unix

package logsoftmax

import (
	"math/rand/v2"
	"strings"
	"testing"

	"example.org/logsoftmax/internal/kernel"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// TestGuardedMatrices calls the public functions with matrices that begin
// right behind, and end right before, a page that faults.
func TestGuardedMatrices(t *testing.T) {
	shapes := []struct{ rows, cols, stride int }{
		{1, 1, 1},
		{1, 2, 2},
		{2, 2, 2},
		{3, 2, 5},
		{7, 3, 3},
		{8, 3, 4},
		{9, 10, 10},
		{64, 10, 10},
		{65, 10, 13},
		{71, 17, 17},
		{130, 5, 5},
		{3, 63, 63},
		{5, 64, 64},
		{5, 65, 65},
		{11, 100, 101},
		{13, 127, 127},
		{67, 129, 130},
		{2, 1000, 1000},
		{3, 2047, 2047},
		{2, 2048, 2051},
		{2, 2049, 2049},
		{2, 4099, 4099},
		{2049, 9, 9},
		{2100, 67, 70},
	}
	const most = 2100 * 70
	a, b, c := testkit.NewGuarded(t, most), testkit.NewGuarded(t, most), testkit.NewGuarded(t, most)
	weights, each := testkit.NewGuarded(t, 8192), testkit.NewGuarded(t, 8192)
	for _, tier := range kernel.Tiers() {
		t.Run(tier.String(), func(t *testing.T) {
			defer kernel.Use(tier)()
			r := rand.New(rand.NewPCG(25, 26))
			for _, s := range shapes {
				size := (s.rows-1)*s.stride + s.cols
				for e, from := range testkit.Ends {
					take := func(g *testkit.Guarded, place int) *mat.Dense {
						var m mat.Dense
						m.SetRawMatrix(blas64.General{Rows: s.rows, Cols: s.cols, Stride: s.stride, Data: testkit.Ends[place%2].Take(g, size)})
						return &m
					}
					x, dst, soft := take(&a, e), take(&b, e+1), take(&c, e)
					testkit.FillWith(x.RawMatrix().Data, func() float64 { return 20 * testkit.Uniform(r) })
					testkit.FillWith(soft.RawMatrix().Data, func() float64 { return testkit.Uniform(r) * testkit.Uniform(r) })
					for i := range s.rows {
						for j := range s.cols {
							soft.Set(i, j, max(0, soft.At(i, j)))
						}
					}
					target := make([]int, s.rows)
					for i := range target {
						target[i] = r.IntN(s.cols)
					}
					classes := from.Take(&weights, s.cols)
					testkit.FillWith(classes, func() float64 { return 1 + testkit.Uniform(r) })
					rows, cols := from.Take(&each, s.rows), from.Take(&each, s.cols)
					weighted := &Options{Weight: classes}
					smoothed := &Options{Weight: classes, LabelSmoothing: 0.1}
					must := func(_ any, err error) {
						if err != nil {
							t.Fatal(err)
						}
					}
					for _, f := range []struct {
						name string
						call func()
					}{
						{"LogSoftmax dim 1", func() { LogSoftmax(dst, x, 1) }},
						{"LogSoftmaxGrad dim 1", func() { LogSoftmaxGrad(dst, dst, soft, 1) }},
						{"SoftmaxGrad dim 1", func() { SoftmaxGrad(dst, dst, soft, 1) }},
						{"LogSoftmax dim 0", func() { LogSoftmax(dst, x, 0) }},
						{"LogSoftmaxGrad dim 0", func() { LogSoftmaxGrad(dst, dst, soft, 0) }},
						{"SoftmaxGrad dim 0", func() { SoftmaxGrad(dst, dst, soft, 0) }},
						{"Softmax dim 1", func() { Softmax(dst, x, 1) }},
						{"Softmax dim 0", func() { Softmax(dst, x, 0) }},
						{"LogSumExp dim 1", func() { LogSumExp(rows, x, 1) }},
						{"LogSumExp dim 0", func() { LogSumExp(cols, x, 0) }},
						{"LogSumExp of a transpose", func() { LogSumExp(cols, x.T(), 1) }},
						{"CrossEntropy", func() { must(CrossEntropy(x, target, weighted)) }},
						{"CrossEntropyEach", func() { must(CrossEntropyEach(rows, x, target, nil)) }},
						{"CrossEntropyEach smoothed", func() { must(CrossEntropyEach(rows, x, target, smoothed)) }},
						{"CrossEntropyGrad", func() { must(CrossEntropyGrad(dst, x, target, weighted)) }},
						{"CrossEntropyGrad smoothed", func() { must(CrossEntropyGrad(dst, x, target, smoothed)) }},
						{"SoftCrossEntropy", func() { must(SoftCrossEntropy(x, soft, weighted)) }},
						{"SoftCrossEntropyEach", func() { must(SoftCrossEntropyEach(rows, x, soft, nil)) }},
						{"SoftCrossEntropyGrad", func() { must(SoftCrossEntropyGrad(dst, x, soft, smoothed)) }},
						{"NLL", func() { must(NLL(x, target, smoothed)) }},
						{"NLLEach", func() { must(NLLEach(rows, x, target, weighted)) }},
						{"NLLGrad", func() { must(NLLGrad(dst, x, target, smoothed)) }},
						{"CrossEntropyGrad in place", func() { must(CrossEntropyGrad(soft, soft, target, smoothed)) }},
						{"Softmax in place", func() { Softmax(x, x, 0) }},
						{"LogSoftmax in place", func() { LogSoftmax(x, x, 1) }},
					} {
						if v := testkit.Fault(f.call); v != nil {
							t.Fatalf("%s of %d×%d, stride %d, from the %s of its pages: %v", f.name, s.rows, s.cols, s.stride, from.Name, v)
						}
					}
				}
			}
		})
	}
}

// TestGuardedLinear is the same for the functions of a linear layer.
func TestGuardedLinear(t *testing.T) {
	const most = 600 * 80
	var guarded [6]testkit.Guarded
	for i := range guarded {
		guarded[i] = testkit.NewGuarded(t, most)
	}
	for _, it := range kernel.Tiers() {
		t.Run(it.String(), func(t *testing.T) {
			defer kernel.Use(it)()
			r := rand.New(rand.NewPCG(29, 30))
			for _, s := range []struct{ rows, features, classes, gap int }{
				{1, 1, 1, 0},
				{2, 3, 2, 0},
				{3, 2, 5, 1},
				{9, 7, 10, 0},
				{65, 13, 33, 2},
				{70, 24, 64, 0},
				{17, 25, 65, 3},
				{130, 8, 70, 0},
				{33, 70, 300, 5},
				{5, 9, 2100, 0},
			} {
				for e, from := range testkit.Ends {
					to := testkit.Ends[1-e]
					matrix := func(end int, g *testkit.Guarded, rows, cols int) *mat.Dense {
						var m mat.Dense
						stride := cols + s.gap
						m.SetRawMatrix(blas64.General{Rows: rows, Cols: cols, Stride: stride, Data: testkit.Ends[end].Take(g, (rows-1)*stride+cols)})
						testkit.FillWith(m.RawMatrix().Data, func() float64 { return testkit.Uniform(r) })
						return &m
					}
					x, w := matrix(e, &guarded[0], s.rows, s.features), matrix(1-e, &guarded[1], s.classes, s.features)
					dx, dw := matrix(1-e, &guarded[2], s.rows, s.features), matrix(e, &guarded[3], s.classes, s.features)
					b, db := from.Take(&guarded[4], s.classes), to.Take(&guarded[5], s.classes)
					clear(b)
					target := make([]int, s.rows)
					for i := range target {
						target[i] = r.IntN(s.classes+1) - 1
					}
					opts := &Options{Ignore: []int{-1}}
					for name, call := range map[string]func(){
						"of a Dense": func() { _, _ = LinearCrossEntropyGrad(LinearGrad{X: dx, W: dw, B: db}, x, w, b, target, opts) },
						"of a transpose": func() {
							_, _ = LinearCrossEntropyGrad(LinearGrad{W: dw, B: db}, mat.DenseCopyOf(x.T()).T(), w, b, target, opts)
						},
						"in place": func() { _, _ = LinearCrossEntropyGrad(LinearGrad{X: x, W: dw, B: db}, x, w, b, target, opts) },
					} {
						if v := testkit.Fault(call); v != nil {
							t.Fatalf("LinearCrossEntropyGrad %s, %+v, from the %s of their pages: %v", name, s, from.Name, v)
						}
					}
				}
			}
		})
	}
}

// TestGuardedShortStorage: a matrix whose shape reaches beyond its storage, which
// ends right before a page that faults, is refused by every function before
// anything is read or written there.
func TestGuardedShortStorage(t *testing.T) {
	for _, s := range []struct{ rows, cols, stride int }{{64, 16, 16}, {2, 3, 3}, {1, 40, 40}, {3, 70, 71}, {2, 3000, 3000}, {300, 9, 9}, {9, 300, 300}} {
		whole := (s.rows-1)*s.stride + s.cols
		for _, n := range []int{whole - 1, whole / 2, 1} {
			page := testkit.NewGuarded(t, whole)
			short := func() *mat.Dense {
				m := new(mat.Dense)
				data := page.Last(n)
				kernel.Fill(data, 0.25)
				m.SetRawMatrix(blas64.General{Rows: s.rows, Cols: s.cols, Stride: s.stride, Data: data})
				return m
			}
			try := func(what string, f matrixFunction, rows, cols, k int, m mat.Matrix) {
				t.Helper()
				inputs := []mat.Matrix{newPositive(rows, cols), newPositive(rows, cols)}
				dst := newPositive(rows, cols)
				if k < 0 {
					dst = m.(*mat.Dense)
				} else {
					inputs[k] = m
				}
				p := testkit.Fault(func() { f.call(dst, inputs...) })
				if text, ok := p.(string); !ok || !strings.Contains(text, "elements of storage, want ") {
					t.Errorf("%s of %d×%d, %d elements, %s: panic %v", f.name, rows, cols, n, what, p)
				}
				for _, v := range page.Last(n) {
					if v != 0.25 {
						t.Fatalf("%s of %d×%d, %d elements, %s: written", f.name, rows, cols, n, what)
					}
				}
			}
			for _, f := range matrixFunctions(s.rows, s.cols) {
				if f.dst != "" {
					try("dst", f, s.rows, s.cols, -1, short())
				}
				for k := range f.inputs {
					try(f.inputs[k], f, s.rows, s.cols, k, short())
					try(f.inputs[k]+" transposed twice", f, s.rows, s.cols, k, mat.Transpose{Matrix: short().T()})
				}
			}
			for _, f := range matrixFunctions(s.cols, s.rows) {
				for k := range f.inputs {
					try(f.inputs[k]+" transposed", f, s.cols, s.rows, k, short().T())
				}
			}
		}
	}
}
