// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// TestColumnRoutes compares matrices of all shapes for which columns are
// worked on differently with their columns one by one, which go as rows do.
func TestColumnRoutes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	r := rand.New(rand.NewPCG(13, 14))
	for _, shape := range [][2]int{
		{1, 100},
		{2, 100},
		{63, 1000},
		{64, 2100},
		{65, 513},
		{8, 512},
		{9, 512},
		{64, 1023},
		{300, 1025},
		{700, 1024},
		{100, 700},
		{1000, 520},
		{2048, 41},
		{64, 1000},
		{300, 600},
		{1024, 200},
		{1, 3},
		{2, 3},
		{7, 64},
		{64, 63},
		{64, 64},
		{65, 3},
		{70, 135},
		{2048, 7},
		{2049, 1},
		{2049, 7},
		{2049, 8},
		{2049, 31},
		{5000, 15},
		{2049, 200},
		{4096, 64},
		{4096, 133},
		{4097, 70},
		{2100, 1030},
		{4100, 1100},
		{30000, 10},
	} {
		rows, cols := shape[0], shape[1]
		for _, extra := range []int{0, 5} {
			x := mat.NewDense(rows, cols+extra, nil).Slice(0, rows, 0, cols).(*mat.Dense)
			for i := range rows {
				for j := range x.RawRowView(i) {
					x.Set(i, j, 3*r.NormFloat64())
				}
			}
			for range 5 {
				special := []float64{math.Inf(1), math.Inf(-1), math.NaN(), 1e300, 2000, -1000}
				x.Set(r.IntN(rows), r.IntN(cols), special[r.IntN(len(special))])
			}
			var logp, p mat.Dense
			LogSoftmax(&logp, x, 0)
			Softmax(&p, x, 0)
			values := LogSumExp(nil, x, 0)
			for j := range cols {
				column := mat.NewDense(1, rows, mat.Col(nil, j, x))
				var wantLog, want mat.Dense
				LogSoftmax(&wantLog, column, 1)
				Softmax(&want, column, 1)
				wantValue := LogSumExp(nil, column, 1)[0]
				if !testkit.Identical(values[j], wantValue) {
					t.Errorf("%d×%d+%d: LogSumExp of column %d is %v, want %v", rows, cols, extra, j, values[j], wantValue)
				}
				for i := range rows {
					for _, v := range []struct {
						op        string
						got, want float64
					}{
						{"LogSoftmax", logp.At(i, j), wantLog.At(0, i)},
						{"Softmax", p.At(i, j), want.At(0, i)},
					} {
						if !testkit.Identical(v.got, v.want) {
							t.Fatalf("%d×%d+%d: %s at %d, %d is %v, want %v", rows, cols, extra, v.op, i, j, v.got, v.want)
						}
					}
				}
			}
		}
	}
}

// TestLongColumnGradients compares columns so long that goroutines share their
// rows with the same as rows, also in place, with gaps and from transposes.
func TestLongColumnGradients(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	r := rand.New(rand.NewPCG(15, 16))
	for _, cols := range []int{1, 3, 8, 20, 64, 70} {
		rows := 2*rowsApart + 100
		logp, u := mat.NewDense(rows, cols, nil), mat.NewDense(rows, cols, nil)
		testkit.FillWith(logp.RawMatrix().Data, func() float64 { return -9 * math.Abs(testkit.Uniform(r)) })
		testkit.FillWith(u.RawMatrix().Data, r.NormFloat64)
		var want, got mat.Dense
		logpRows, uRows := mat.DenseCopyOf(logp.T()), mat.DenseCopyOf(u.T())
		LogSoftmaxGrad(&want, logpRows, uRows, 1)
		check := func(how string, got *mat.Dense) {
			for i := range rows {
				for j := range cols {
					if !testkit.Identical(got.At(i, j), want.At(j, i)) {
						t.Fatalf("%d×%d %s: at %d, %d it is %v, want %v", rows, cols, how, i, j, got.At(i, j), want.At(j, i))
					}
				}
			}
		}
		LogSoftmaxGrad(&got, logp, u, 0)
		check("", &got)
		gaps := mat.NewDense(rows, cols+3, nil).Slice(0, rows, 1, cols+1).(*mat.Dense)
		LogSoftmaxGrad(gaps, logpRows.T(), u, 0)
		check("with gaps, of a transpose", gaps)
		LogSoftmaxGrad(u, logp, u, 0)
		check("in place", u)
	}
}
