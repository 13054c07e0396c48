// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"sync"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// sourceKind says how the elements of a matrix are reached.
type sourceKind uint8

const (
	// sourceDense is row-major storage, read where it lies.
	sourceDense sourceKind = iota
	// sourceTransposed is the transpose of row-major storage.
	sourceTransposed
	// sourceForeign is a matrix of which only At is known.
	sourceForeign
)

// A source reads a matrix by panels of whole rows.
type source struct {
	m          mat.Matrix
	rows, cols int
	// raw is the storage behind m: rows×cols when kind is sourceDense,
	// cols×rows when it is sourceTransposed.
	raw  blas64.General
	kind sourceKind
}

// newSource returns the source of the elements of m.
func newSource(m mat.Matrix) source {
	rows, cols := m.Dims()
	s := source{m: m, rows: rows, cols: cols, kind: sourceForeign}
	raw, transposed, ok := rawOf(m)
	switch {
	case !ok:
	case transposed:
		s.raw, s.kind = raw, sourceTransposed
	default:
		s.raw, s.kind = raw, sourceDense
	}
	return s
}

// rawOf returns the row-major storage behind m, and whether m is its
// transpose. Only gonum's own Dense and VecDense are known to keep every
// element there, under any number of transposes: another type that has a
// RawMatrix may still answer At differently, as one that embeds a Dense and
// overrides At does.
//
// A transposed vector whose elements are adjacent is returned as the
// row-major matrix that it is.
func rawOf(m mat.Matrix) (raw blas64.General, transposed, ok bool) {
	m, transposed = untranspose(m)
	switch m := m.(type) {
	case *mat.Dense:
		raw = m.RawMatrix()
	case *mat.VecDense:
		raw = generalFromVector(m.RawVector())
	default:
		return blas64.General{}, false, false
	}
	if transposed {
		switch n := raw.Rows * raw.Cols; {
		case raw.Rows == 1:
			return blas64.General{Rows: n, Cols: 1, Stride: 1, Data: raw.Data}, false, true
		case raw.Cols == 1 && raw.Stride == 1:
			return blas64.General{Rows: 1, Cols: n, Stride: n, Data: raw.Data}, false, true
		}
	}
	return raw, transposed, true
}

// untranspose takes gonum's implicit transposes off m and reports whether
// there was an odd number of them.
func untranspose(m mat.Matrix) (inner mat.Matrix, transposed bool) {
	for {
		switch t := m.(type) {
		case mat.Transpose:
			m = t.Matrix
		case mat.TransposeVec:
			m = t.Vector
		case mat.TransposeTri:
			m = t.Triangular
		case mat.TransposeBand:
			m = t.Banded
		case mat.TransposeTriBand:
			m = t.TriBanded
		default:
			return m, transposed
		}
		transposed = !transposed
	}
}

// generalFromVector returns v as a matrix of one column.
func generalFromVector(v blas64.Vector) blas64.General {
	return blas64.General{Rows: v.N, Cols: 1, Stride: v.Inc, Data: v.Data}
}

// needsBuffer reports whether panel copies into its buffer.
func (s *source) needsBuffer() bool { return s.kind != sourceDense }

// at returns the element at row i, column j.
func (s *source) at(i, j int) float64 {
	switch s.kind {
	case sourceDense:
		return s.raw.Data[i*s.raw.Stride+j]
	case sourceTransposed:
		return s.raw.Data[j*s.raw.Stride+i]
	default:
		return s.m.At(i, j)
	}
}

// panel returns rows i0 to i0+n in row-major order. Those of a sourceDense
// are the matrix itself and buf is not used; others are copied into buf,
// which must hold n rows of blockStride(cols) elements. At is called on this
// goroutine only.
func (s *source) panel(buf []float64, i0, n int) (data []float64, stride int) {
	switch s.kind {
	case sourceDense:
		stride = s.raw.Stride
		return s.raw.Data[i0*stride : (i0+n-1)*stride+s.cols], stride
	case sourceTransposed:
		stride = s.blockStride(s.cols)
		buf = buf[:(n-1)*stride+s.cols]
		transposeInto(blas64.General{Stride: stride, Data: buf}, s.behind(i0, 0, n, s.cols))
		return buf, stride
	default:
		buf = buf[:n*s.cols]
		for i := range n {
			row := buf[i*s.cols:][:s.cols]
			for j := range row {
				row[j] = s.m.At(i0+i, j)
			}
		}
	}
	return buf, s.cols
}

// together returns how many rows to take at once where n would do. Each line of
// a transposed matrix has entries of eight rows, and what is read at once of a
// line's page is cheap: those of eight lines are taken as long as they fit into
// the second cache, and those of four, of two if rows are few, or of one, as long as
// they stay below 4 MB.
func (s *source) together(n int) int {
	if s.kind != sourceTransposed || isLong(s.cols) {
		return n
	}
	far := 16
	if s.rows >= 128 {
		far = 32
	}
	return max(n, min(64, (1<<16)/s.cols/8*8), min(far, (1<<19)/s.cols/8*8))
}

// blockStride is the stride of a block of c elements a row. That of a transpose is
// written row beside row, for which all would not have room in the same places of a
// cache: each begins an odd number of lines after the one before, which takes them
// to all places in turn.
func (s *source) blockStride(c int) int {
	switch {
	case s.kind == sourceDense:
		return s.raw.Stride
	case s.kind == sourceTransposed && c > kernel.FewCols:
		return (c+kernel.Group-1)/kernel.Group*kernel.Group | kernel.Group
	}
	return c
}

// block returns r rows of c elements from row i, column j on. Those of a
// sourceDense are the matrix itself; others are copied into buf.
func (s *source) block(buf *[]float64, i, j, r, c int) (data []float64, stride int) {
	if s.kind == sourceDense {
		return s.raw.Data[i*s.raw.Stride+j:], s.raw.Stride
	}
	stride = s.blockStride(c)
	*buf = grow(*buf, (r-1)*stride+c)
	data = *buf
	if s.kind == sourceTransposed {
		transposeInto(blas64.General{Stride: stride, Data: data}, s.behind(i, j, r, c))
		return data, stride
	}
	for k := range r {
		for l := range c {
			data[k*c+l] = s.m.At(i+k, j+l)
		}
	}
	return data, c
}

// after returns what is stored from row i on, where it is read as it lies and
// there is such a row, else nil.
func (s *source) after(i int) []float64 {
	if s.kind != sourceDense || i >= s.rows {
		return nil
	}
	return s.raw.Data[i*s.raw.Stride:]
}

// behind returns the storage of r rows of c elements of a sourceTransposed, from
// row i, column j on.
func (s *source) behind(i, j, r, c int) blas64.General {
	return blas64.General{Rows: c, Cols: r, Stride: s.raw.Stride, Data: s.raw.Data[j*s.raw.Stride+i:]}
}

// transposeInto sets dst, which is src.Cols×src.Rows and does not overlap
// src, to the transpose of src.
func transposeInto(dst, src blas64.General) {
	const side = 64
	for i := 0; i < src.Rows; i += side {
		for j := 0; j < src.Cols; j += side {
			r, c := min(side, src.Rows-i), min(side, src.Cols-j)
			kernel.Transpose(dst.Data[j*dst.Stride+i:], dst.Stride, src.Data[i*src.Stride+j:], src.Stride, r, c)
		}
	}
}

// bufferPool holds the buffers that panels and coefficients live in while a
// call lasts.
var bufferPool = sync.Pool{New: func() any { return new([]float64) }}

// getBuffer returns a buffer of n elements of any value, to be given back to
// putBuffer.
func getBuffer(n int) *[]float64 {
	b := bufferPool.Get().(*[]float64)
	if cap(*b) < n {
		*b = make([]float64, n)
	}
	*b = (*b)[:n]
	return b
}

// putBuffer gives back a buffer from getBuffer.
func putBuffer(b *[]float64) { bufferPool.Put(b) }
