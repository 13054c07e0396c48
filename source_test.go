// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// numberedData returns n distinct numbers.
func numberedData(n int) []float64 {
	data := make([]float64, n)
	for i := range data {
		data[i] = float64(i + 1)
	}
	return data
}

// numberedDense returns an r×c matrix of distinct numbers.
func numberedDense(r, c int) *mat.Dense { return mat.NewDense(r, c, numberedData(r*c)) }

// doubled is a user's own type: it has a RawMatrix, which At does not answer
// from.
type doubled struct{ *mat.Dense }

func (d doubled) At(i, j int) float64 { return 2 * d.Dense.At(i, j) }
func (d doubled) T() mat.Matrix       { return mat.Transpose{Matrix: d} }

// computed is a user's own type without storage.
type computed struct{ rows, cols int }

func (c computed) Dims() (int, int)    { return c.rows, c.cols }
func (c computed) At(i, j int) float64 { return float64(i*c.cols + j) }
func (c computed) T() mat.Matrix       { return mat.Transpose{Matrix: c} }

func TestSource(t *testing.T) {
	dense := numberedDense(13, 11)
	view := dense.Slice(2, 12, 1, 9)
	vector := mat.NewVecDense(9, numberedData(9))
	column := dense.ColView(3)
	row := dense.RowView(4)
	sym := mat.NewSymDense(10, numberedData(100))
	tri := mat.NewTriDense(10, mat.Upper, numberedData(100))
	band := mat.NewBandDense(9, 12, 1, 2, numberedData(36))
	for _, test := range []struct {
		name string
		m    mat.Matrix
		kind sourceKind
	}{
		{"Dense", dense, sourceDense},
		{"view", view, sourceDense},
		{"one row", dense.Slice(3, 4, 2, 10), sourceDense},
		{"one column", dense.Slice(3, 12, 2, 3), sourceDense},
		{"transpose", dense.T(), sourceTransposed},
		{"transposed view", view.T(), sourceTransposed},
		{"transposed column of a view", dense.Slice(3, 12, 2, 3).T(), sourceTransposed},
		{"transposed row of a view", dense.Slice(3, 4, 2, 10).T(), sourceDense},
		{"double transpose", mat.Transpose{Matrix: view.T()}, sourceDense},
		{"triple transpose", mat.Transpose{Matrix: mat.Transpose{Matrix: view.T()}}, sourceTransposed},
		{"vector", vector, sourceDense},
		{"transposed vector", vector.T(), sourceDense},
		{"vector transposed as a vector", vector.TVec(), sourceDense},
		{"column view", column, sourceDense},
		{"transposed column view", column.T(), sourceTransposed},
		{"row view", row, sourceDense},
		{"transposed row view", row.T(), sourceDense},
		{"element", mat.NewDense(1, 1, []float64{5}).T(), sourceDense},
		{"symmetric", sym, sourceForeign},
		{"triangular", tri, sourceForeign},
		{"transposed triangular", tri.T(), sourceForeign},
		{"band", band, sourceForeign},
		{"transposed band", band.T(), sourceForeign},
		{"diagonal", mat.NewDiagDense(9, numberedData(9)), sourceForeign},
		{"embedded Dense", doubled{dense}, sourceForeign},
		{"transposed embedded Dense", doubled{dense}.T(), sourceForeign},
		{"computed", computed{9, 5}, sourceForeign},
		{"transposed computed", computed{9, 5}.T(), sourceForeign},
	} {
		s := newSource(test.m)
		rows, cols := test.m.Dims()
		if s.kind != test.kind || s.rows != rows || s.cols != cols || s.needsBuffer() != (test.kind != sourceDense) {
			t.Errorf("%s: kind %d, %d×%d, want %d, %d×%d", test.name, s.kind, s.rows, s.cols, test.kind, rows, cols)
		}
		for i0 := range rows {
			for n := 1; i0+n <= rows; n++ {
				// Canaries behind the buffer, which a Dense does without.
				var buf []float64
				if s.needsBuffer() {
					buf = make([]float64, n*cols+3)
					for i := range buf {
						buf[i] = math.Pi
					}
				}
				data, stride := s.panel(buf, i0, n)
				if len(data) != (n-1)*stride+cols {
					t.Errorf("%s: panel of length %d", test.name, len(data))
				}
				for i := range n {
					for j := range cols {
						want := test.m.At(i0+i, j)
						if got := data[i*stride+j]; got != want {
							t.Fatalf("%s: panel %d+%d: (%d, %d) is %v, want %v", test.name, i0, n, i, j, got, want)
						}
						if got := s.at(i0+i, j); got != want {
							t.Fatalf("%s: at(%d, %d) = %v, want %v", test.name, i0+i, j, got, want)
						}
					}
				}
				for _, v := range buf[min(n*cols, len(buf)):] {
					if v != math.Pi {
						t.Fatalf("%s: panel %d+%d writes behind its buffer", test.name, i0, n)
					}
				}
			}
		}
	}
	s := newSource(dense)
	if data, _ := s.panel(nil, 0, s.rows); &data[0] != &dense.RawMatrix().Data[0] {
		t.Error("a Dense is copied")
	}
}

func TestSourceAllocations(t *testing.T) {
	m := numberedDense(20, 30)
	for _, x := range []mat.Matrix{m, m.T(), m.Slice(1, 9, 2, 8), computed{20, 30}} {
		allocs := leastAllocs(func() {
			s := newSource(x)
			buf := getBuffer(s.rows * s.cols)
			s.panel(*buf, 0, s.rows)
			putBuffer(buf)
		})
		if allocs != 0 {
			t.Errorf("%T: %v allocations", x, allocs)
		}
	}
}

func TestTransposeInto(t *testing.T) {
	sizes := []int{1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 72, 130}
	for _, r := range sizes {
		for _, c := range sizes {
			for _, extra := range []int{0, 3, 511 - r, 512 - r, 513 - r} {
				src := blas64.General{Rows: r, Cols: c, Stride: c + extra}
				src.Data = numberedData((r-1)*src.Stride + c)
				dst := blas64.General{Rows: c, Cols: r, Stride: r + extra}
				dst.Data = make([]float64, (c-1)*dst.Stride+r)
				transposeInto(dst, src)
				for k, v := range dst.Data {
					j, i := k/dst.Stride, k%dst.Stride
					want := 0.0
					if i < r {
						want = src.Data[i*src.Stride+j]
					}
					if v != want {
						t.Fatalf("%d×%d, stride +%d: (%d, %d) is %v, want %v", r, c, extra, j, i, v, want)
					}
				}
			}
		}
	}
}

func BenchmarkTransposeInto(b *testing.B) {
	for _, size := range []struct {
		name       string
		rows, cols int
	}{{"rows=4096/cols=10", 4096, 10}, {"rows=1024/cols=1000", 1024, 1000}, {"rows=4096/cols=4096", 4096, 4096}} {
		b.Run(size.name, func(b *testing.B) {
			n := size.rows * size.cols
			src := blas64.General{Rows: size.rows, Cols: size.cols, Stride: size.cols, Data: make([]float64, n)}
			dst := blas64.General{Rows: size.cols, Cols: size.rows, Stride: size.rows, Data: make([]float64, n)}
			b.ReportAllocs()
			b.SetBytes(int64(16 * n))
			for b.Loop() {
				transposeInto(dst, src)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/elem")
		})
	}
}

// rawTypes returns a matrix of each of gonum's types with storage of its own,
// all of which have an element at data[at].
func rawTypes(data []float64, at int) map[string]mat.Matrix {
	d := data[at:]
	return map[string]mat.Matrix{
		"Dense":        mat.NewDense(2, 2, d[:4]),
		"VecDense":     mat.NewVecDense(4, d[:4]),
		"SymDense":     mat.NewSymDense(2, d[:4]),
		"TriDense":     mat.NewTriDense(2, mat.Upper, d[:4]),
		"BandDense":    mat.NewBandDense(3, 3, 1, 0, d[:6]),
		"SymBandDense": mat.NewSymBandDense(3, 1, d[:6]),
		"TriBandDense": mat.NewTriBandDense(3, 1, mat.Upper, d[:6]),
		"DiagDense":    mat.NewDiagDense(3, d[:3]),
		"Tridiag":      mat.NewTridiag(3, make([]float64, 2), d[:3], make([]float64, 2)),
		"user's":       doubled{mat.NewDense(2, 2, d[:4])},
		"raw triangle": rawTriangle{blas64.Triangular{N: 2, Stride: 2, Data: d[:4], Uplo: blas.Upper}},
	}
}

// rawTriangle is a user's own type that shows its storage.
type rawTriangle struct{ t blas64.Triangular }

func (r rawTriangle) Dims() (int, int)                 { return r.t.N, r.t.N }
func (r rawTriangle) At(i, j int) float64              { return r.t.Data[i*r.t.Stride+j] }
func (r rawTriangle) T() mat.Matrix                    { return mat.Transpose{Matrix: r} }
func (r rawTriangle) RawTriangular() blas64.Triangular { return r.t }
