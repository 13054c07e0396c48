// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestColumnMemoryKernels holds the kernels that prefetch, copy and write past
// the caches to those that do not.
func TestColumnMemoryKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, n := range []int{1, 2, 7, 8, 9, 63, 64} {
			for groups := 1; groups <= columnsWidth/group; groups++ {
				for _, stride := range []int{groups * group, columnsWidth, columnsWidth + 3} {
					align := r.IntN(8)
					in := newStrip(stride, n, groups, align)
					fillWith(in.x, r.NormFloat64)
					for _, outStride := range []int{columnsWidth, columnsWidth + 5} {
						name := fmt.Sprintf("%d rows of %d groups, strides %d and %d", n, groups, stride, outStride)
						c, want := new(columns), new(columns)
						c.reset()
						columnsMaxGo(c, in.x, stride, n, groups)
						columnsFrameGo(c, groups)
						*want = *c
						columnsExpSumGo(want, nil, 0, in.x, stride, n, groups)
						for _, ahead := range [][2][]float64{{nil, nil}, {in.x, nil}, {nil, in.x}, {in.x, in.x}} {
							got := *c
							columnsExpSumAhead(&got, in.x, stride, n, groups, ahead[0], ahead[1], stride)
							if got != *want {
								t.Errorf("%s: columnsExpSumAhead differs from columnsExpSumGo", name)
							}
						}
						total := *want
						columnsTotalGo(&total, nil, 0, in.x, stride, n, groups)
						for _, ahead := range [][2][]float64{{nil, nil}, {in.x, nil}, {nil, in.x}, {in.x, in.x}} {
							got := *want
							columnsTotalAhead(&got, in.x, stride, n, groups, ahead[0], ahead[1], stride)
							if s := got.differs(&total, groups, true, "max", "count", "sum"); s != "" {
								t.Errorf("%s: columnsTotalAhead: %s", name, s)
							}
						}
						columnsJoinGo(want, groups)
						columnsConcludeGo(want, groups)

						reference := newStrip(outStride, n, groups, 0)
						columnsCopyGo(reference.x, outStride, in.x, stride, n, groups)
						out := newStrip(outStride, n, groups, align)
						columnsCopy(out.x, outStride, in.x, stride, n, groups)
						everything := func(int) bool { return true }
						if s := out.differs(&reference, everything); s != "" {
							t.Errorf("%s: columnsCopy: %s", name, s)
						}
						columnsShiftGo(want, reference.x, outStride, in.x, stride, n, groups)
						for align := range 8 {
							out := newStrip(outStride, n, groups, align)
							columnsShiftAway(want, out.x, outStride, in.x, stride, n, groups)
							writeFence()
							if s := out.differs(&reference, everything); s != "" {
								t.Errorf("%s: columnsShiftAway: %s", name, s)
							}
						}
					}
				}
			}
		}
	})
}

// TestColumnRoutes compares matrices of all shapes for which columns are
// worked on differently with their columns one by one, which go as rows do.
func TestColumnRoutes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	r := rand.New(rand.NewPCG(13, 14))
	for _, shape := range [][2]int{
		{1, 100}, {2, 100}, {63, 1000}, {64, 2100}, {65, 513}, {100, 700}, {1000, 520}, {2048, 41},
		{2049, 1}, {2049, 8}, {2049, 31}, {4096, 64}, {4100, 1100}, {30000, 10},
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
			far := normalization{op: opLogSoftmax, in: x.RawMatrix(), away: true}
			away := mat.NewDense(rows, cols, nil)
			far.out = away.RawMatrix()
			far.run(0)
			for j := range cols {
				column := mat.NewDense(1, rows, mat.Col(nil, j, x))
				var wantLog, want mat.Dense
				LogSoftmax(&wantLog, column, 1)
				Softmax(&want, column, 1)
				wantValue := LogSumExp(nil, column, 1)[0]
				if !identical(values[j], wantValue) {
					t.Errorf("%d×%d+%d: LogSumExp of column %d is %v, want %v", rows, cols, extra, j, values[j], wantValue)
				}
				for i := range rows {
					for _, v := range []struct {
						op        string
						got, want float64
					}{
						{"LogSoftmax", logp.At(i, j), wantLog.At(0, i)},
						{"LogSoftmax past the caches", away.At(i, j), wantLog.At(0, i)},
						{"Softmax", p.At(i, j), want.At(0, i)},
					} {
						if !identical(v.got, v.want) {
							t.Fatalf("%d×%d+%d: %s at %d, %d is %v, want %v", rows, cols, extra, v.op, i, j, v.got, v.want)
						}
					}
				}
			}
		}
	}
}
