// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
)

// lossKind is one of NLL, CrossEntropy and SoftCrossEntropy, its target still
// to be given: labels, or a matrix.
type lossKind struct {
	name string
	soft bool
	loss func(x mat.Matrix, target any, o *logsoftmax.Options) (logsoftmax.Loss, error)
	each func(dst []float64, x mat.Matrix, target any, o *logsoftmax.Options) ([]float64, error)
	grad func(dst *mat.Dense, x mat.Matrix, target any, o *logsoftmax.Options) (logsoftmax.Loss, error)
}

func kindFrom(name string, soft bool, funcs func(target any) lossFuncs) lossKind {
	return lossKind{
		name, soft,
		func(x mat.Matrix, target any, o *logsoftmax.Options) (logsoftmax.Loss, error) {
			return funcs(target).loss(x, o)
		},
		func(dst []float64, x mat.Matrix, target any, o *logsoftmax.Options) ([]float64, error) {
			return funcs(target).each(dst, x, o)
		},
		func(dst *mat.Dense, x mat.Matrix, target any, o *logsoftmax.Options) (logsoftmax.Loss, error) {
			return funcs(target).grad(dst, x, o)
		},
	}
}

var lossKinds = []lossKind{
	kindFrom("NLL", false, func(target any) lossFuncs { return nllFuncs(target.([]int)) }),
	kindFrom("CrossEntropy", false, func(target any) lossFuncs { return crossEntropyFuncs(target.([]int)) }),
	kindFrom("SoftCrossEntropy", true, func(target any) lossFuncs { return softCrossEntropyFuncs(target.(mat.Matrix)) }),
}

// isStringWith reports whether a panic is a string with a part.
func isStringWith(p any, part string) bool {
	s, ok := p.(string)
	return ok && strings.Contains(s, part)
}

// TestShapesPanic: shapes and lengths that do not fit are the caller's
// mistakes, and mat.Maybe catches them. Nothing is written before.
func TestShapesPanic(t *testing.T) {
	x := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	empty := &mat.Dense{}
	want := func(what string, want mat.Error, f func(dst *mat.Dense)) {
		t.Helper()
		dst := &mat.Dense{}
		if p := panicOf(func() { f(dst) }); p != want {
			t.Errorf("%s: panic %v, want %v", what, p, want)
		}
		if !dst.IsEmpty() {
			t.Errorf("%s: dst was sized", what)
		}
		err := mat.Maybe(func() { f(&mat.Dense{}) })
		if stack := (mat.ErrorStack{}); !errors.As(err, &stack) || stack.Err != want {
			t.Errorf("%s: mat.Maybe returns %v", what, err)
		}
	}
	wantString := func(what, part string, f func(dst *mat.Dense)) {
		t.Helper()
		dst := &mat.Dense{}
		if p := panicOf(func() { f(dst) }); !isStringWith(p, part) {
			t.Errorf("%s: panic %v, want a string with %q", what, p, part)
		}
		if !dst.IsEmpty() {
			t.Errorf("%s: dst was sized", what)
		}
	}
	for _, f := range []struct {
		name string
		call func(dst *mat.Dense, x mat.Matrix, dim int)
	}{
		{"LogSoftmax", logsoftmax.LogSoftmax},
		{"Softmax", logsoftmax.Softmax},
		{"LogSumExp", func(_ *mat.Dense, x mat.Matrix, dim int) { logsoftmax.LogSumExp(nil, x, dim) }},
		{"LogSoftmaxGrad", func(dst *mat.Dense, x mat.Matrix, dim int) { logsoftmax.LogSoftmaxGrad(dst, x, x, dim) }},
		{"SoftmaxGrad", func(dst *mat.Dense, x mat.Matrix, dim int) { logsoftmax.SoftmaxGrad(dst, x, x, dim) }},
	} {
		want(f.name+" of an empty matrix", mat.ErrZeroLength, func(dst *mat.Dense) { f.call(dst, empty, 1) })
		want(f.name+" of an empty matrix, dim 7", mat.ErrZeroLength, func(dst *mat.Dense) { f.call(dst, empty, 7) })
		for _, dim := range []int{2, -3, 7, math.MaxInt, math.MinInt} {
			wantString(fmt.Sprintf("%s dim %d", f.name, dim), f.name, func(dst *mat.Dense) { f.call(dst, x, dim) })
		}
		if f.name == "LogSumExp" {
			continue
		}
		for _, dst := range []*mat.Dense{mat.NewDense(3, 2, nil), mat.NewDense(2, 2, nil), mat.NewDense(3, 3, nil)} {
			want(f.name+" into another shape", mat.ErrShape, func(*mat.Dense) { f.call(dst, x, 1) })
			wantString(f.name+" into another shape, dim 7", f.name, func(*mat.Dense) { f.call(dst, x, 7) })
		}
		storage := mat.NewDense(4, 5, nil)
		for _, at := range [][2]int{{0, 1}, {1, 0}, {1, 1}, {1, 2}} {
			wantString(f.name+" with partial overlap", f.name, func(*mat.Dense) {
				dst := storage.Slice(at[0], at[0]+2, at[1], at[1]+3).(*mat.Dense)
				f.call(dst, storage.Slice(0, 2, 0, 3), 1)
			})
		}
		square := mat.NewDense(3, 3, nil)
		wantString(f.name+" into its own transpose", f.name, func(*mat.Dense) { f.call(square, square.T(), 1) })
	}
	want("LogSoftmaxGrad with another shape", mat.ErrShape, func(dst *mat.Dense) { logsoftmax.LogSoftmaxGrad(dst, x, x.T(), 1) })
	want("LogSoftmaxGrad with an empty upstream", mat.ErrShape, func(dst *mat.Dense) { logsoftmax.LogSoftmaxGrad(dst, x, empty, 1) })
	for _, dim := range []int{0, 1} {
		n := []int{3, 2}[dim]
		for _, l := range []int{n - 1, n + 1, 0} {
			want("LogSumExp into another length", mat.ErrShape, func(*mat.Dense) { logsoftmax.LogSumExp(make([]float64, l), x, dim) })
		}
		dst := make([]float64, n)
		if got := logsoftmax.LogSumExp(dst, x, dim); &got[0] != &dst[0] {
			t.Error("LogSumExp does not return dst")
		}
	}

	for _, k := range lossKinds {
		var good any = []int{0, 1}
		bad := []any{[]int{0}, []int{0, 1, 2}, []int(nil)}
		if k.soft {
			good = mat.NewDense(2, 3, []float64{1, 0, 0, 0, 0.5, 0.5})
			bad = []any{mat.NewDense(3, 2, nil), mat.NewDense(2, 4, nil), mat.NewDense(1, 3, nil), &mat.Dense{}}
		}
		call := func(what string, check func(what string, f func(dst *mat.Dense)), x mat.Matrix, target any, o *logsoftmax.Options) {
			t.Helper()
			check(k.name+" "+what, func(*mat.Dense) { _, _ = k.loss(x, target, o) })
			check(k.name+"Each "+what, func(*mat.Dense) { _, _ = k.each(nil, x, target, o) })
			check(k.name+"Grad "+what, func(dst *mat.Dense) { _, _ = k.grad(dst, x, target, o) })
		}
		shape := func(what string, f func(dst *mat.Dense)) { t.Helper(); want(what, mat.ErrShape, f) }
		call("of nothing", func(what string, f func(dst *mat.Dense)) { t.Helper(); want(what, mat.ErrZeroLength, f) }, empty, good, nil)
		for _, target := range bad {
			call("with other targets", shape, x, target, nil)
		}
		for _, n := range []int{0, 2, 4} {
			call("with other class weights", shape, x, good, &logsoftmax.Options{Weight: make([]float64, n)})
		}
		for _, n := range []int{0, 1, 3} {
			call("with other sample weights", shape, x, good, &logsoftmax.Options{SampleWeight: make([]float64, n)})
		}
		for _, r := range []logsoftmax.Reduction{-1, 2, 99} {
			wantString(k.name+"Grad with an unknown reduction", k.name+"Grad", func(dst *mat.Dense) {
				_, _ = k.grad(dst, x, good, &logsoftmax.Options{Reduction: r})
			})
			// The other functions do not read it.
			o := &logsoftmax.Options{Reduction: r}
			if _, err := k.loss(x, good, o); err != nil {
				t.Errorf("%s: %v", k.name, err)
			}
			if _, err := k.each(nil, x, good, o); err != nil {
				t.Errorf("%s: %v", k.name, err)
			}
		}
		shape(k.name+"Each into another length", func(*mat.Dense) { _, _ = k.each(make([]float64, 3), x, good, nil) })
		shape(k.name+"Each into no length", func(*mat.Dense) { _, _ = k.each([]float64{}, x, good, nil) })
		shape(k.name+"Grad into another shape", func(*mat.Dense) { _, _ = k.grad(mat.NewDense(3, 2, nil), x, good, nil) })
		storage := mat.NewDense(4, 5, nil)
		wantString(k.name+"Grad with partial overlap", k.name+"Grad", func(*mat.Dense) {
			_, _ = k.grad(storage.Slice(1, 3, 1, 4).(*mat.Dense), storage.Slice(0, 2, 0, 3), good, nil)
		})
		if k.soft {
			wantString(k.name+"Grad with partial overlap of the target", k.name+"Grad", func(*mat.Dense) {
				_, _ = k.grad(storage.Slice(1, 3, 1, 4).(*mat.Dense), x, storage.Slice(0, 2, 0, 3), nil)
			})
		}
		dst := make([]float64, 2)
		if got, err := k.each(dst, x, good, nil); err != nil || &got[0] != &dst[0] {
			t.Errorf("%sEach does not return dst: %v", k.name, err)
		}
	}
}

// TestValuesAreErrors: numbers that are not allowed come back as errors of two
// types, with their place, and nothing else happens.
func TestValuesAreErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	x := mat.NewDense(3, 2, []float64{1, 2, 3, 4, 5, 6})
	value := func(row, col int, v float64) *logsoftmax.ValueError {
		return &logsoftmax.ValueError{Row: row, Col: col, Value: v}
	}
	type refusal struct {
		what     string
		target   []int      // nil: good labels
		dist     *mat.Dense // nil: good distributions
		opts     *logsoftmax.Options
		want     error
		gradOnly bool
		softOnly bool
		hardOnly bool
	}
	var cases []refusal
	for _, v := range []float64{-1, -5e-324, nan, inf, -inf} {
		cases = append(cases,
			refusal{what: "class weight", opts: &logsoftmax.Options{Weight: []float64{1, v}}, want: value(-1, 1, v)},
			refusal{what: "class weight of no row", target: []int{0, 0, 0}, opts: &logsoftmax.Options{Weight: []float64{1, v}}, want: value(-1, 1, v)},
			refusal{what: "first of two class weights", opts: &logsoftmax.Options{Weight: []float64{v, -7}}, want: value(-1, 0, v)},
			refusal{what: "target probability", dist: mat.NewDense(3, 2, []float64{1, 0, 0.5, v, nan, -1}), want: value(1, 1, v), softOnly: true},
		)
	}
	for _, v := range []float64{nan, inf, -inf} {
		cases = append(cases,
			refusal{what: "sample weight", opts: &logsoftmax.Options{SampleWeight: []float64{1, 2, v}}, want: value(2, -1, v)},
			refusal{what: "sample weight of an ignored row", target: []int{0, -100, 1}, opts: &logsoftmax.Options{SampleWeight: []float64{1, v, 1}}, want: value(1, -1, v)},
		)
	}
	for _, v := range []float64{-1, -5e-324} {
		cases = append(cases, refusal{
			what: "negative sample weight with Mean", opts: &logsoftmax.Options{SampleWeight: []float64{1, v, -2}},
			want: value(1, -1, v), gradOnly: true,
		})
	}
	for _, v := range []float64{-0.1, 1.1, nan, inf, -inf, math.Nextafter(1, 2), -5e-324} {
		cases = append(cases, refusal{what: "smoothing", opts: &logsoftmax.Options{LabelSmoothing: v}, want: value(-1, -1, v)})
	}
	hard := func(what string, target []int, o *logsoftmax.Options, row int) {
		cases = append(cases, refusal{
			what: what, target: target, opts: o, hardOnly: true,
			want: &logsoftmax.TargetError{Row: row, Target: target[row], Classes: 2},
		})
	}
	hard("label too high", []int{0, 2, 1}, nil, 1)
	hard("label negative", []int{0, 1, -1}, nil, 2)
	hard("lowest of three labels", []int{-7, 9, -1}, nil, 0)
	hard("label after an ignored one", []int{-100, 1, math.MaxInt}, nil, 2)
	hard("label that is not ignored any more", []int{0, -100, 2}, &logsoftmax.Options{Ignore: []int{-1}}, 1)
	hard("label with nothing ignored", []int{0, 1, -100}, &logsoftmax.Options{Ignore: []int{}}, 2)
	hard("label of a row with sample weight 0", []int{0, 5, 1}, &logsoftmax.Options{SampleWeight: []float64{1, 0, 1}}, 1)
	// Options come before rows, and in the order of the struct.
	cases = append(cases,
		refusal{what: "class weight before label", target: []int{9, 0, 0}, opts: &logsoftmax.Options{Weight: []float64{-1, 1}}, want: value(-1, 0, -1)},
		refusal{what: "class weight before the others", opts: &logsoftmax.Options{Weight: []float64{-1, 1}, SampleWeight: []float64{1, nan, 1}, LabelSmoothing: 2}, want: value(-1, 0, -1)},
		refusal{what: "sample weight before smoothing", opts: &logsoftmax.Options{SampleWeight: []float64{1, nan, 1}, LabelSmoothing: 2}, want: value(1, -1, nan)},
		refusal{what: "smoothing before label", target: []int{9, 0, 0}, opts: &logsoftmax.Options{LabelSmoothing: 2}, want: value(-1, -1, 2)},
		refusal{what: "smoothing before probability", dist: mat.NewDense(3, 2, []float64{-1, 0, 0, 0, 0, 0}), opts: &logsoftmax.Options{LabelSmoothing: 2}, want: value(-1, -1, 2), softOnly: true},
	)
	check := func(what string, err, want error) {
		t.Helper()
		var v *logsoftmax.ValueError
		var l *logsoftmax.TargetError
		switch want := want.(type) {
		case *logsoftmax.ValueError:
			if !errors.As(err, &v) || v.Row != want.Row || v.Col != want.Col || math.Float64bits(v.Value) != math.Float64bits(want.Value) || v.Name == "" {
				t.Errorf("%s: %#v, want %#v", what, err, want)
			}
		case *logsoftmax.TargetError:
			if !errors.As(err, &l) || *l != *want {
				t.Errorf("%s: %#v, want %#v", what, err, want)
			}
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "logsoftmax: ") || strings.Contains(err.Error(), "-1]") || strings.Contains(err.Error(), "[-1")) {
			t.Errorf("%s: message %q", what, err)
		}
	}
	for _, c := range cases {
		for _, k := range lossKinds {
			if k.soft && c.hardOnly || !k.soft && c.softOnly {
				continue
			}
			var target any = []int{0, 1, 0}
			if c.target != nil {
				target = c.target
			}
			if k.soft {
				target = mat.NewDense(3, 2, []float64{1, 0, 0.5, 0.5, 0, 1})
				if c.dist != nil {
					target = c.dist
				}
			}
			for _, in := range []mat.Matrix{x, foreign{x}, mat.DenseCopyOf(x.T()).T()} {
				what := k.name + ": " + c.what
				if !c.gradOnly {
					l, err := k.loss(in, target, c.opts)
					check(what, err, c.want)
					if l != (logsoftmax.Loss{}) {
						t.Errorf("%s: loss %+v", what, l)
					}
					dst := []float64{7, 7, 7}
					each, err := k.each(dst, in, target, c.opts)
					check(what+", each", err, c.want)
					if each != nil || dst[0] != 7 || dst[1] != 7 || dst[2] != 7 {
						t.Errorf("%s: each %v, dst %v", what, each, dst)
					}
				} else {
					if _, err := k.loss(in, target, c.opts); err != nil {
						t.Errorf("%s: %v without a gradient", what, err)
					}
					if _, err := k.each(nil, in, target, c.opts); err != nil {
						t.Errorf("%s: %v without a gradient", what, err)
					}
					sum := *c.opts
					sum.Reduction = logsoftmax.Sum
					if _, err := k.grad(&mat.Dense{}, in, target, &sum); err != nil {
						t.Errorf("%s: %v with Sum", what, err)
					}
				}
				dst := &mat.Dense{}
				l, err := k.grad(dst, in, target, c.opts)
				check(what+", gradient", err, c.want)
				if l != (logsoftmax.Loss{}) || !dst.IsEmpty() {
					t.Errorf("%s: loss %+v, dst %v", what, l, dst)
				}
				dst = mat.NewDense(3, 2, []float64{7, 7, 7, 7, 7, 7})
				_, _ = k.grad(dst, in, target, c.opts)
				for _, v := range dst.RawMatrix().Data {
					if v != 7 {
						t.Errorf("%s: dst was written: %v", what, dst.RawMatrix().Data)
						break
					}
				}
			}
		}
	}
}

// TestOptionsThatAreNotRead: Ignore with distributions.
func TestOptionsThatAreNotRead(t *testing.T) {
	x := mat.NewDense(2, 2, []float64{1, 2, 3, 4})
	dist := mat.NewDense(2, 2, []float64{1, 0, 0.5, 0.5})
	want, err1 := logsoftmax.SoftCrossEntropy(x, dist, nil)
	got, err2 := logsoftmax.SoftCrossEntropy(x, dist, &logsoftmax.Options{Ignore: []int{0, 1}})
	if err1 != nil || err2 != nil || got != want {
		t.Errorf("%+v, %v, want %+v, %v", got, err2, want, err1)
	}
	// A label that is ignored may be a class, and is where it is listed.
	l, err := logsoftmax.CrossEntropy(x, []int{1, 7}, &logsoftmax.Options{Ignore: []int{3, 7, 7}})
	if err != nil || l.Rows != 2 || l.Ignored != 1 || l.Correct != 1 || l.Accuracy() != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	l, err = logsoftmax.CrossEntropy(x, []int{1, 0}, &logsoftmax.Options{Ignore: []int{0}})
	if err != nil || l.Ignored != 1 || l.Weight != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestWeightsAndLabelsErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, v := range []float64{0, -1, nan, inf, -inf, math.Copysign(0, -1)} {
		for name, f := range map[string]func([]float64) ([]float64, error){
			"BalancedWeights": logsoftmax.BalancedWeights,
			"EffectiveNumberWeights": func(c []float64) ([]float64, error) {
				return logsoftmax.EffectiveNumberWeights(c, 0.9)
			},
		} {
			w, err := f([]float64{3, v, 5})
			var e *logsoftmax.ValueError
			if w != nil || !errors.As(err, &e) || math.Float64bits(e.Value) != math.Float64bits(v) || max(e.Row, e.Col) != 1 {
				t.Errorf("%s with count %v: %v, %#v", name, v, w, err)
			}
		}
	}
	for _, beta := range []float64{-0.1, 1, 1.5, nan, inf, -inf, -5e-324} {
		w, err := logsoftmax.EffectiveNumberWeights([]float64{1, 2}, beta)
		var e *logsoftmax.ValueError
		if w != nil || !errors.As(err, &e) || e.Row != -1 || e.Col != -1 || math.Float64bits(e.Value) != math.Float64bits(beta) {
			t.Errorf("beta %v: %v, %#v", beta, w, err)
		}
	}
	for _, v := range []float64{0.5, nan, inf, -inf, 1e300, -1e300, 0x1p63, 5e-324} {
		dst := []int{7, 7, 7}
		l, err := logsoftmax.Labels(dst, mat.NewVecDense(3, []float64{1, v, nan}))
		var e *logsoftmax.ValueError
		if l != nil || !errors.As(err, &e) || e.Row != 1 || math.Float64bits(e.Value) != math.Float64bits(v) {
			t.Errorf("label %v: %v, %#v", v, l, err)
		}
		if dst[0] != 7 || dst[1] != 7 {
			t.Errorf("label %v: dst was written: %v", v, dst)
		}
	}
	l, err := logsoftmax.Labels(nil, mat.NewVecDense(4, []float64{3, math.Copysign(0, -1), -100, 1 << 30}))
	if err != nil || fmt.Sprint(l) != "[3 0 -100 1073741824]" {
		t.Errorf("Labels: %v, %v", l, err)
	}
	if p := panicOf(func() { _, _ = logsoftmax.Labels(make([]int, 2), mat.NewVecDense(3, nil)) }); p != mat.ErrShape {
		t.Errorf("Labels into another length: panic %v", p)
	}
	counts, err := logsoftmax.ClassCounts([]int{1, 1, -100, 2, 0}, 3, &logsoftmax.Options{SampleWeight: []float64{1, 0.5, 9, 0, 2}})
	if err != nil || fmt.Sprint(counts) != "[2 1.5 0]" {
		t.Errorf("ClassCounts: %v, %v", counts, err)
	}
	var e *logsoftmax.TargetError
	if counts, err = logsoftmax.ClassCounts([]int{1, 3, 4}, 3, nil); counts != nil || !errors.As(err, &e) || *e != (logsoftmax.TargetError{Row: 1, Target: 3, Classes: 3}) {
		t.Errorf("ClassCounts: %v, %v", counts, err)
	}
}
