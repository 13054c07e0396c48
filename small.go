// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"unsafe"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// This file is the short way in. A call of a few rows is so little work that to
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

// smallDst is smallDense of a destination which has the shape of the input in,
// and is seen at once to be its region or to share nothing with it.
func smallDst(dst *mat.Dense, in *blas64.General) (out blas64.General, inPlace, ok bool) {
	if dst == nil {
		return out, false, false
	}
	out = dst.RawMatrix()
	if out.Rows != in.Rows || out.Cols != in.Cols || out.Stride < out.Cols {
		return out, false, false
	}
	a, b := uintptr(unsafe.Pointer(unsafe.SliceData(out.Data))), uintptr(unsafe.Pointer(unsafe.SliceData(in.Data)))
	if out.Stride == in.Stride && len(out.Data) >= extent(in) {
		end := uintptr(extent(in)) * unsafe.Sizeof(out.Data[0])
		return out, a == b, a == b || a+end <= b || b+end <= a
	}
	return out, false, false
}
