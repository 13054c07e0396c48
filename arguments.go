// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"reflect"
	"unsafe"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// This file checks the arguments of the exported functions. All of them check
// in one order: every matrix by itself (checkMatrix, checkDense), that there
// are elements (checkNotEmpty), the dim, shapes and lengths, that dst overlaps
// no input (checkDst), the options, and the targets by rows.
//
// What is wrong with a size panics with the mat.Error that fits, for mat.Maybe
// to catch. Other mistakes panic with a string that mistake makes.

// mistake returns what a panic says about an argument of the function named fn:
// what is wrong with it, and what was expected.
func mistake(fn, argument, has, want string) string {
	return "logsoftmax: " + fn + ": " + argument + " " + has + ", want " + want
}

// checkMatrix checks the matrix m by itself: the argument with the given name
// of the function named fn. It panics with a string if m is nil, a nil pointer
// or a transpose of one, or if it shows storage, by a Raw method of gonum's,
// that is too short for its shape. Assembly does not check what it indexes, and
// what is only found out by an index out of range is found out too late.
//
// It is for every matrix that an exported function takes, before anything else
// is done with it.
func checkMatrix(fn, name string, m mat.Matrix) {
	inner, _ := untranspose(m)
	switch inner := inner.(type) {
	case *mat.Dense:
		if inner != nil {
			checkStorage(fn, name, inner.RawMatrix())
			return
		}
	case *mat.VecDense:
		if inner != nil {
			checkStorage(fn, name, generalFromVector(inner.RawVector()))
			return
		}
	default:
		if v := reflect.ValueOf(inner); inner != nil && (v.Kind() != reflect.Pointer || !v.IsNil()) {
			for _, raw := range regionsOf(inner) {
				checkStorage(fn, name, raw)
			}
			return
		}
	}
	panic(mistake(fn, name, "is nil", "a matrix"))
}

// checkDense is checkMatrix of a destination, which may be empty.
func checkDense(fn, name string, dst *mat.Dense) {
	if dst == nil {
		panic(mistake(fn, name, "is nil", "a matrix"))
	}
	if !dst.IsEmpty() {
		checkStorage(fn, name, dst.RawMatrix())
	}
}

// checkStorage panics if the elements of m would not be in its data.
func checkStorage(fn, name string, m blas64.General) {
	if m.Rows <= 0 || m.Cols <= 0 {
		// A matter of the shape.
		return
	}
	if m.Stride < m.Cols {
		panic(mistake(fn, name, fmt.Sprintf("has stride %d", m.Stride), fmt.Sprintf("at least %d for %d×%d", m.Cols, m.Rows, m.Cols)))
	}
	if len(m.Data) < m.Cols || m.Rows-1 > (len(m.Data)-m.Cols)/m.Stride {
		panic(mistake(fn, name, fmt.Sprintf("has %d elements of storage", len(m.Data)),
			fmt.Sprintf("%d·%d+%d for %d×%d with stride %d", m.Rows-1, m.Stride, m.Cols, m.Rows, m.Cols, m.Stride)))
	}
}

// checkNotEmpty returns the size of m and panics with mat.ErrZeroLength when
// it has no elements.
func checkNotEmpty(m mat.Matrix) (rows, cols int) {
	rows, cols = m.Dims()
	if rows < 0 || cols < 0 {
		panic(mat.ErrNegativeDimension)
	}
	if rows == 0 || cols == 0 {
		panic(mat.ErrZeroLength)
	}
	return rows, cols
}

// checkDim returns the dim that dim stands for in the function named fn, 0
// or 1, and panics when it stands for none.
func checkDim(fn string, dim int) int {
	switch dim {
	case 0, -2:
		return 0
	case 1, -1:
		return 1
	}
	panic(mistake(fn, "dim", fmt.Sprintf("is %d", dim), "-2, -1, 0 or 1"))
}

// checkShape panics with mat.ErrShape unless m is rows×cols.
func checkShape(m mat.Matrix, rows, cols int) {
	if r, c := m.Dims(); r != rows || c != cols {
		panic(mat.ErrShape)
	}
}

// checkLabelled checks the first two arguments of a function with labels, a
// matrix of the given name and a label for each of its rows, and returns the
// size of the matrix.
func checkLabelled(fn, name string, m mat.Matrix, target []int) (rows, cols int) {
	checkMatrix(fn, name, m)
	rows, cols = checkNotEmpty(m)
	if len(target) != rows {
		panic(mat.ErrShape)
	}
	return rows, cols
}

// checkSlice panics with mat.ErrShape unless dst is nil or has length n.
func checkSlice(dst []float64, n int) {
	if dst != nil && len(dst) != n {
		panic(mat.ErrShape)
	}
}

// prepareSlice returns dst, or a new slice of length n when it is nil.
func prepareSlice(dst []float64, n int) []float64 {
	if dst == nil {
		return make([]float64, n)
	}
	return dst
}

// From here on is the short way in. A call of a few rows is so little work that to
// look at its arguments from all sides takes longer. Where they are what they
// nearly always are, matrices of type *mat.Dense of one shape, a few comparisons
// tell that nothing is wrong with any, nor with dst and an input together. Of
// all else nothing is said here: the general checks are to follow, which say
// what is wrong in their order, if anything is.

// smallWork is how many elements a small call has at most: one goroutine's work,
// in one unit.
const smallWork = 1 << 13

// smallDense sets s to the source of m and reports true, if m has few elements,
// none of them outside of its storage.
func (s *source) smallDense(m mat.Matrix) bool {
	d, ok := m.(*mat.Dense)
	if !ok || d == nil {
		return false
	}
	s.m, s.raw, s.kind = m, d.RawMatrix(), sourceDense
	raw := &s.raw
	s.rows, s.cols = raw.Rows, raw.Cols
	const farthest = 1 << 16
	// Each factor is small, so no product overflows.
	return uint(raw.Rows-1) < smallWork && uint(raw.Cols-1) < smallWork && raw.Rows*raw.Cols <= smallWork &&
		raw.Stride >= raw.Cols && raw.Stride < farthest && len(raw.Data) >= extent(raw)
}

// extent is how many elements of storage m takes.
func extent(m *blas64.General) int { return (m.Rows-1)*m.Stride + m.Cols }

// smallDst sets out to the storage of dst and reports true if dst has the shape of
// the input in, and is seen at once to be its region or to share nothing with it;
// else out is left empty.
func smallDst(out *blas64.General, dst *mat.Dense, in *blas64.General) (inPlace, ok bool) {
	if dst == nil {
		return false, false
	}
	*out = dst.RawMatrix()
	if out.Rows == in.Rows && out.Cols == in.Cols && out.Stride == in.Stride && len(out.Data) >= extent(in) {
		a, b := uintptr(unsafe.Pointer(unsafe.SliceData(out.Data))), uintptr(unsafe.Pointer(unsafe.SliceData(in.Data)))
		end := uintptr(extent(in)) * unsafe.Sizeof(out.Data[0])
		if a == b || a+end <= b || b+end <= a {
			return a == b, true
		}
	}
	*out = blas64.General{}
	return false, false
}
