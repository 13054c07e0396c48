// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"flag"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

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
