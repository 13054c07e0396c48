// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

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
