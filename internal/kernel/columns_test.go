// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"example.org/logsoftmax/internal/testkit"
)

// TestColumnMemoryKernels holds the kernels that prefetch to those that do not.
func TestColumnMemoryKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, n := range []int{1, 2, 7, 8, 9, 63, 64} {
			for groups := 1; groups <= Width/Group; groups++ {
				for _, stride := range []int{groups * Group, Width, Width + 3} {
					align := r.IntN(8)
					in := newStrip(stride, n, groups, align)
					testkit.FillWith(in.x, r.NormFloat64)
					name := fmt.Sprintf("%d rows of %d groups, stride %d", n, groups, stride)
					c, want := new(Panel), new(Panel)
					c.Reset()
					c.raiseMaxGo(in.x, stride, n, groups)
					c.setFramesGo(groups)
					*want = *c
					want.addExpGo(nil, 0, in.x, stride, n, groups)
					for _, ahead := range [][2][]float64{{nil, nil}, {in.x, nil}, {nil, in.x}, {in.x, in.x}} {
						got := *c
						got.AddExpAhead(in.x, stride, n, groups, ahead[0], ahead[1], stride)
						if got != *want {
							t.Errorf("%s: columnsExpSumAhead differs from columnsExpSumGo", name)
						}
					}
					total := *want
					total.totalGo(nil, 0, in.x, stride, n, groups)
					for _, ahead := range [][2][]float64{{nil, nil}, {in.x, nil}, {nil, in.x}, {in.x, in.x}} {
						got := *want
						got.TotalAhead(in.x, stride, n, groups, ahead[0], ahead[1], stride)
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
			for groups := 1; groups <= Width/Group; groups++ {
				for round := range 8 {
					width := groups * Group
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
					got := new(Panel)
					got.Reset()
					got.raiseMaxGo(x.x, width, n, groups)
					got.setFramesGo(groups)
					state := new(Strips)
					testkit.FillWith(state.Before.Max[:], func() float64 { return testkit.Uniform(r) })
					testkit.FillWith(state.Before.NegLogSum[:], func() float64 { return testkit.Uniform(r) })
					state.Before.NegLogSum[r.IntN(Width)] = NaN
					state.Next.Reset()
					state.Next.Max[r.IntN(Width)] = NaN

					want, wantState := new(Panel), new(Strips)
					*want, *wantState = *got, *state
					wantBuffer, wantOut := newStrip(width, n, groups, 0), newStrip(outStride, n, groups, 0)
					want.totalGo(nil, 0, x.x, width, n, groups)
					wantState.Before.shiftGo(wantOut.x, outStride, buffer.x, width, n, groups)
					CopyRows(wantBuffer.x, width, in.x, inStride, n, width)
					wantState.Next.raiseMaxGo(in.x, inStride, n, groups)

					out := newStrip(outStride, n, groups, outAlign)
					got.MoveStrips(x.x, n, groups, &Move{state, buffer.x, in.x, inStride, out.x, outStride})
					name := fmt.Sprintf("%d rows of %d groups", n, groups)
					if s := got.differs(want, groups, true, "max", "count", "sum"); s != "" {
						t.Errorf("%s: %s", name, s)
					}
					if s := state.Next.differs(&wantState.Next, groups, false, "max"); s != "" {
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
