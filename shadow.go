// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"unsafe"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// An argument is a matrix and its name in a function's signature.
type argument struct {
	name string
	m    mat.Matrix
}

// checkDst checks that the function named fn may write an r×c result to its
// argument dst, of the given name, while it reads the inputs. All have been
// through checkDense and checkMatrix. It panics with mat.ErrShape when dst is
// neither empty nor r×c, and with a string when it shares an element with an
// input without being exactly its region: the same first element, shape and
// stride. The transpose of a region is not that region, and neither is what is
// read by At, which may give any element of it at any place. An empty dst may
// still hold storage that it would be sized in; nothing may share that.
//
// Overlap is seen where the input shows its storage, through the Raw methods
// of gonum's types or under a transpose.
func checkDst(fn, name string, dst *mat.Dense, r, c int, inputs ...argument) {
	region := regionOf(dst, r, c)
	for _, input := range inputs {
		if !dst.IsEmpty() && sameRegion(dst, input.m) || !overlaps(region, input.m) {
			continue
		}
		if _, _, ok := rawOf(input.m); ok {
			panic(mistake(fn, name, "partially overlaps "+input.name, "its region or none of it"))
		}
		panic(mistake(fn, name, "shares storage with "+input.name, "none of what is read by At"))
	}
}

// regionOf returns the storage of an r×c result in dst, none where that will be
// allocated. It panics with mat.ErrShape when dst is neither empty nor r×c.
func regionOf(dst *mat.Dense, r, c int) blas64.General {
	region := dst.RawMatrix()
	switch {
	case !dst.IsEmpty():
		if region.Rows != r || region.Cols != c {
			panic(mat.ErrShape)
		}
	case r > math.MaxInt/c:
		panic(mat.ErrShape)
	case cap(region.Data) < r*c:
		return blas64.General{}
	default:
		region = blas64.General{Rows: r, Cols: c, Stride: c, Data: region.Data[:r*c]}
	}
	return region
}

// sizeDst sizes dst if it is empty and returns its storage. It comes after
// checkDst.
func sizeDst(dst *mat.Dense, r, c int) blas64.General {
	if dst.IsEmpty() {
		dst.ReuseAs(r, c)
	}
	return dst.RawMatrix()
}

// sameRegion reports whether every element of m is read from the same place as
// that of dst.
func sameRegion(dst *mat.Dense, m mat.Matrix) bool {
	raw, transposed, ok := rawOf(m)
	if !ok || transposed {
		return false
	}
	d := dst.RawMatrix()
	if raw.Rows != d.Rows || raw.Cols != d.Cols || len(d.Data) == 0 || len(raw.Data) == 0 {
		return false
	}
	// A single row has no stride.
	if raw.Stride != d.Stride && d.Rows != 1 {
		return false
	}
	return unsafe.SliceData(raw.Data) == unsafe.SliceData(d.Data)
}

// overlaps reports whether m is seen to share an element with region.
func overlaps(region blas64.General, m mat.Matrix) bool {
	if raw, _, ok := rawOf(m); ok {
		return regionsOverlap(region, raw)
	}
	m, _ = untranspose(m)
	for _, raw := range regionsOf(m) {
		if regionsOverlap(region, raw) {
			return true
		}
	}
	return false
}

// regionsOf returns the storage that m, which is no transpose, shows through
// the Raw methods of gonum's types; what is left of the array is empty.
func regionsOf(m mat.Matrix) (regions [3]blas64.General) {
	switch m := m.(type) {
	case mat.RawMatrixer:
		regions[0] = m.RawMatrix()
	case mat.RawVectorer:
		regions[0] = generalFromVector(m.RawVector())
	case mat.RawSymmetricer:
		a := m.RawSymmetric()
		regions[0] = blas64.General{Rows: a.N, Cols: a.N, Stride: a.Stride, Data: a.Data}
	case mat.RawTriangular:
		a := m.RawTriangular()
		regions[0] = blas64.General{Rows: a.N, Cols: a.N, Stride: a.Stride, Data: a.Data}
	case mat.RawSymBander:
		a := m.RawSymBand()
		regions[0] = blas64.General{Rows: a.N, Cols: a.K + 1, Stride: a.Stride, Data: a.Data}
	case mat.RawTriBander:
		a := m.RawTriBand()
		regions[0] = blas64.General{Rows: a.N, Cols: a.K + 1, Stride: a.Stride, Data: a.Data}
	case mat.RawBander:
		a := m.RawBand()
		regions[0] = blas64.General{Rows: min(a.Rows, a.Cols+a.KL), Cols: a.KL + 1 + a.KU, Stride: a.Stride, Data: a.Data}
	case mat.RawTridiagonaler:
		a := m.RawTridiagonal()
		regions = [3]blas64.General{rowOf(a.DL, a.N-1), rowOf(a.D, a.N), rowOf(a.DU, a.N-1)}
	}
	return regions
}

// rowOf returns the first n elements of x as a matrix of one row.
func rowOf(x []float64, n int) blas64.General {
	return blas64.General{Rows: 1, Cols: n, Stride: n, Data: x}
}

// regionsOverlap reports whether a and b share an element. Regions of one
// array that interleave need not.
func regionsOverlap(a, b blas64.General) bool {
	if a.Rows == 0 || a.Cols == 0 || len(a.Data) == 0 || b.Rows == 0 || b.Cols == 0 || len(b.Data) == 0 {
		return false
	}
	off := offset(a.Data, b.Data)
	if off < 0 {
		a, b, off = b, a, -off
	}
	if off >= int64(a.Rows-1)*int64(a.Stride)+int64(a.Cols) {
		// b begins behind the end of a.
		return false
	}
	// Here off, and every index into a or b, fits in an int.
	d := int(off)
	if a.Stride == b.Stride {
		// Lay the array out as rows of one stride, from the first element of
		// a: a fills the first columns, and b those from d%stride, beginning
		// in row d/stride and going on from the start of the next row where
		// it reaches beyond the stride.
		row, col := d/a.Stride, d%a.Stride
		if col < a.Cols && row < a.Rows {
			return true
		}
		return col+b.Cols > a.Stride && row+1 < a.Rows
	}
	// Look for every row of the one with fewer rows in the other.
	if b.Rows <= a.Rows {
		for i := range b.Rows {
			if rowOverlaps(d+i*b.Stride, b.Cols, a) {
				return true
			}
		}
		return false
	}
	for i := range a.Rows {
		if rowOverlaps(i*a.Stride-d, a.Cols, b) {
			return true
		}
	}
	return false
}

// rowOverlaps reports whether any of the n elements from index p, counted
// from the first element of a, is an element of a.
func rowOverlaps(p, n int, a blas64.General) bool {
	// The first row of a that ends behind p.
	row := 0
	if p >= a.Cols {
		row = (p-a.Cols)/a.Stride + 1
	}
	return row < a.Rows && row*a.Stride < p+n
}

// offset returns how many elements b begins after a; it means something only
// where they share an array.
func offset(a, b []float64) int64 {
	pa := uintptr(unsafe.Pointer(unsafe.SliceData(a)))
	pb := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return (int64(pb) - int64(pa)) / int64(unsafe.Sizeof(float64(0)))
}
