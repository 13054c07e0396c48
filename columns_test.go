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

// TestColumnMemoryKernels holds the kernels that prefetch to those that do not.
func TestColumnMemoryKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, n := range []int{1, 2, 7, 8, 9, 63, 64} {
			for groups := 1; groups <= columnsWidth/group; groups++ {
				for _, stride := range []int{groups * group, columnsWidth, columnsWidth + 3} {
					align := r.IntN(8)
					in := newStrip(stride, n, groups, align)
					fillWith(in.x, r.NormFloat64)
					name := fmt.Sprintf("%d rows of %d groups, stride %d", n, groups, stride)
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
				}
			}
		}
	})
}

// TestColumnsMove holds the kernels that sum a strip and meanwhile write the
// last one and read the next to those that do one thing after another.
func TestColumnsMove(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(43, 44))
		for _, n := range []int{1, 2, 7, 8, 9, 16, 40, 63, 64} {
			for groups := 1; groups <= columnsWidth/group; groups++ {
				for round := range 8 {
					width := groups * group
					inStride, outStride := width+r.IntN(20), width+r.IntN(20)
					outAlign := r.IntN(8)
					fillings := fillings[:7] // without large numbers
					if round == 7 {
						fillings = fillings[6:]
					}
					filled := func(stride, align int) strip {
						s := newStrip(stride, n, groups, align)
						for j := range n {
							fillings[r.IntN(len(fillings))].fill(r, s.at(j))
						}
						return s
					}
					x, buffer, in := filled(width, r.IntN(8)), filled(width, r.IntN(8)), filled(inStride, r.IntN(8))
					special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -500}
					for range r.IntN(3) {
						in.x[r.IntN(n)*inStride+r.IntN(width)] = special[r.IntN(4)]
						x.at(r.IntN(n))[r.IntN(width)] = special[r.IntN(4)]
					}
					got := new(columns)
					got.reset()
					columnsMaxGo(got, x.x, width, n, groups)
					columnsFrameGo(got, groups)
					state := new(stripState)
					fillWith(state.before.max[:], func() float64 { return uniform(r) })
					fillWith(state.before.negLogSum[:], func() float64 { return uniform(r) })
					state.before.negLogSum[r.IntN(columnsWidth)] = nan
					state.next.reset()
					state.next.max[r.IntN(columnsWidth)] = nan

					want, wantState := new(columns), new(stripState)
					*want, *wantState = *got, *state
					wantBuffer, wantOut := newStrip(width, n, groups, 0), newStrip(outStride, n, groups, 0)
					columnsTotalGo(want, nil, 0, x.x, width, n, groups)
					columnsShiftGo(&wantState.before, wantOut.x, outStride, buffer.x, width, n, groups)
					copyRows(wantBuffer.x, width, in.x, inStride, n, width)
					columnsMaxGo(&wantState.next, in.x, inStride, n, groups)

					out := newStrip(outStride, n, groups, outAlign)
					columnsMove(got, x.x, n, groups, &stripMove{state, buffer.x, in.x, inStride, out.x, outStride})
					name := fmt.Sprintf("%d rows of %d groups", n, groups)
					if s := got.differs(want, groups, true, "max", "count", "sum"); s != "" {
						t.Errorf("%s: %s", name, s)
					}
					if s := state.next.differs(&wantState.next, groups, false, "max"); s != "" {
						t.Errorf("%s: of the next strip %s", name, s)
					}
					every := func(int) bool { return true }
					if s := out.differs(&wantOut, every); s != "" {
						t.Errorf("%s: of the last strip %s", name, s)
					}
					if s := buffer.differs(&wantBuffer, every); s != "" {
						t.Errorf("%s: of the copy %s", name, s)
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
		{64, 1000}, {300, 600}, {1024, 200},
		{2049, 1}, {2049, 8}, {2049, 31}, {2049, 200}, {4096, 64}, {4096, 133}, {4097, 70}, {4100, 1100}, {30000, 10},
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
				if !identical(values[j], wantValue) {
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
						if !identical(v.got, v.want) {
							t.Fatalf("%d×%d+%d: %s at %d, %d is %v, want %v", rows, cols, extra, v.op, i, j, v.got, v.want)
						}
					}
				}
			}
		}
	}
}
