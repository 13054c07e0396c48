// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

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
		out, inPlace, ok := smallDst(dst, &s.raw)
		if !ok {
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
