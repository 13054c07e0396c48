// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build unix

package kernel

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"example.org/logsoftmax/internal/testkit"
)

// TestGuards proves that the guards of the other tests do guard.
func TestGuards(t *testing.T) {
	g := testkit.NewGuarded(t, 10)
	x := g.First(1)
	if testkit.Fault(func() { sink = x[0]; x[0] = 1 }) != nil {
		t.Fatal("the memory between the guards faults")
	}
	before := (*float64)(unsafe.Add(unsafe.Pointer(&x[0]), -8))
	y := g.Last(1)
	behind := (*float64)(unsafe.Add(unsafe.Pointer(&y[0]), 8))
	for name, p := range map[string]*float64{"before": before, "behind": behind} {
		if testkit.Fault(func() { sink = *p }) == nil {
			t.Errorf("reading %s the memory does not fault", name)
		}
		if testkit.Fault(func() { *p = 1 }) == nil {
			t.Errorf("writing %s the memory does not fault", name)
		}
	}
}

// TestGuardedRowKernels has the slices of the kernels begin right behind, and
// end right before, a page that faults.
func TestGuardedRowKernels(t *testing.T) {
	a, b := testkit.NewGuarded(t, ChunkLen), testkit.NewGuarded(t, ChunkLen)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(21, 22))
		for _, n := range kernelLengths() {
			for _, from := range testkit.Ends {
				for _, to := range testkit.Ends {
					x, dst := from.Take(&a, n), to.Take(&b, n)
					testkit.FillWith(x, func() float64 { return 10 * testkit.Uniform(r) })
					max := maxOfGo(x)
					for _, kernel := range []struct {
						name string
						call func()
					}{
						{"maxOf", func() { MaxOf(x) }},
						{"expSum without dst", func() { expSum(nil, x, max) }},
						{"expSum", func() { expSum(dst, x, max) }},
						{"scaleBy", func() { scaleBy(dst, 0x1p-130) }},
						{"shiftBy", func() { ShiftBy(dst, x, max, -1) }},
						{"expSumAhead", func() { ExpSumAhead(dst, x, max, x, dst) }},
						{"shiftBy in place", func() { ShiftBy(x, x, max, -1) }},
						{"expSum in place", func() { expSum(x, x, maxOfGo(x)) }},
					} {
						if v := testkit.Fault(kernel.call); v != nil {
							t.Fatalf("%s of %d entries, from the %s to the %s of their pages: %v", kernel.name, n, from.Name, to.Name, v)
						}
					}
				}
			}
		}
	})
}

// TestGuardedColumnKernels is the same for slices side by side.
func TestGuardedColumnKernels(t *testing.T) {
	const widest = Width + 5
	a, b := testkit.NewGuarded(t, BlockLen*widest), testkit.NewGuarded(t, BlockLen*widest)
	state := testkit.NewGuarded(t, int(unsafe.Sizeof(Panel{}))/8)
	strips := [2]testkit.Guarded{testkit.NewGuarded(t, BlockLen*Width), testkit.NewGuarded(t, BlockLen*Width)}
	moves := new(Strips)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(23, 24))
		for n := 1; n <= BlockLen; n++ {
			for groups := 1; groups <= Width/Group; groups++ {
				for k, stride := range []int{groups * Group, groups*Group + 5, Width} {
					for e, from := range testkit.Ends {
						to := testkit.Ends[(e+n+k)%2]
						size := (n-1)*stride + groups*Group
						x, dst := from.Take(&a, size), to.Take(&b, size)
						testkit.FillWith(x, func() float64 { return 10 * testkit.Uniform(r) })
						room := from.Take(&state, int(unsafe.Sizeof(Panel{}))/8)
						c := (*Panel)(unsafe.Pointer(&room[0]))
						*c = Panel{}
						c.Reset()
						for _, kernel := range []struct {
							name string
							call func()
						}{
							{"columnsMax", func() { c.RaiseMax(x, stride, n, groups) }},
							{"columnsFrame", func() { c.SetFrames(groups) }},
							{"columnsExpSum without dst", func() { c.AddExp(nil, 0, x, stride, n, groups) }},
							{"columnsExpSum", func() { c.AddExp(dst, stride, x, stride, n, groups) }},
							{"columnsJoin", func() { c.JoinLanes(groups) }},
							{"columnsLog", func() { c.concludeLogs(groups) }},
							{"columnsConclude", func() { c.concludeProbabilities(groups) }},
							{"columnsShift", func() { c.Shift(dst, stride, x, stride, n, groups) }},
							{"columnsTotal without dst", func() { c.Total(nil, 0, x, stride, n, groups) }},
							{"columnsTotal", func() { c.Total(dst, stride, x, stride, n, groups) }},
							{"columnsMove", func() {
								strip, buffer := from.Take(&strips[0], n*groups*Group), to.Take(&strips[1], n*groups*Group)
								c.MoveStrips(strip, n, groups, &Move{moves, buffer, x, stride, dst, stride})
							}},
							{"columnsScale", func() { c.Scale(dst, stride, n, groups) }},
							{"columnsShift in place", func() { c.Shift(x, stride, x, stride, n, groups) }},
							{"columnsExpSum in place", func() { c.AddExp(x, stride, x, stride, n, groups) }},
						} {
							if v := testkit.Fault(kernel.call); v != nil {
								t.Fatalf("%s of %d entries in %d groups, stride %d, from the %s to the %s of their pages: %v",
									kernel.name, n, groups, stride, from.Name, to.Name, v)
							}
						}
					}
				}
			}
		}
	})
}

// TestGuardedFewClasses is the same for the kernels of rows that are packed.
func TestGuardedFewClasses(t *testing.T) {
	a, b := testkit.NewGuarded(t, Width*(FewCols+5)), testkit.NewGuarded(t, Width*(FewCols+5))
	tiles := testkit.NewGuarded(t, Width*FewCols)
	states := testkit.NewGuarded(t, int(unsafe.Sizeof(Panel{})+unsafe.Sizeof(Labels{}))/8)
	targets := testkit.NewGuarded(t, Width)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(27, 28))
		for cols := 1; cols <= FewCols; cols++ {
			for rows := 1; rows <= Width; rows++ {
				for k, stride := range []int{cols, cols + 1, cols + 5} {
					if (cols+rows+k)%3 > 0 && rows%Group > 0 {
						continue
					}
					from, to := testkit.Ends[(cols+rows)%2], testkit.Ends[(cols+rows/2+k)%2]
					size := (rows-1)*stride + cols
					x, dst := from.Take(&a, size), to.Take(&b, size)
					testkit.FillWith(x, func() float64 { return 10 * testkit.Uniform(r) })
					// As much of a tile as whole groups of these columns fill.
					tile := to.Take(&tiles, (cols-1)*Width+GroupsFor(rows)*Group)
					room := from.Take(&states, int(unsafe.Sizeof(Panel{})+unsafe.Sizeof(Labels{}))/8)
					c, l := (*Panel)(unsafe.Pointer(&room[0])), (*Labels)(unsafe.Pointer(&room[unsafe.Sizeof(Panel{})/8]))
					*c, *l = Panel{}, Labels{}
					target := unsafe.Slice((*int)(unsafe.Pointer(&from.Take(&targets, rows)[0])), rows)
					if unsafe.Sizeof(int(0)) < 8 {
						target = make([]int, rows)
					}
					for i := range target {
						target[i] = r.IntN(cols)
					}
					for _, kernel := range []struct {
						name string
						call func()
					}{
						{"pack", func() { pack(tile, x, stride, cols, rows/Group) }},
						{"max and pack", func() { c.packMax(tile, x, stride, cols, rows/Group) }},
						{"unpack", func() { unpack(dst, stride, tile, cols, rows/Group) }},
						{"scaled unpack", func() { c.unpackScaled(dst, stride, tile, cols, rows/Group) }},
						{"columnsLabel", func() { c.Label(x, stride, target, l, rows, nil, 0) }},
						{"rowsShift", func() { c.ShiftRows(dst[:rows*cols], x[:rows*cols], cols, rows) }},
						{"rowsShift at the end", func() { c.ShiftRows(dst[len(dst)-rows*cols:], x[len(x)-rows*cols:], cols, rows) }},
						{"columnsLabel with terms", func() { c.Label(x, stride, target, l, rows, tile, 0.5) }},
					} {
						if strings.HasSuffix(kernel.name, "pack") && rows%Group > 0 {
							continue
						}
						if v := testkit.Fault(kernel.call); v != nil {
							t.Fatalf("%s of %d×%d, stride %d, from the %s to the %s of their pages: %v", kernel.name, rows, cols, stride, from.Name, to.Name, v)
						}
					}
				}
			}
		}
	})
}

// TestGuardedProduct is the same for matrix products.
func TestGuardedProduct(t *testing.T) {
	const most = 1 << 17
	a, b, dst, plus := testkit.NewGuarded(t, most), testkit.NewGuarded(t, most), testkit.NewGuarded(t, most), testkit.NewGuarded(t, 64)
	eachTier(t, func(t *testing.T) {
		eachProduct(func(p *productCase) {
			for e, end := range testkit.Ends {
				other := testkit.Ends[1-e]
				copyTo := func(g *testkit.Guarded, x []float64) []float64 {
					to := end.Take(g, len(x))
					copy(to, x)
					return to
				}
				guarded := *p
				guarded.a.Data, guarded.b.Data = copyTo(&a, p.a.Data), copyTo(&b, p.b.Data)
				if p.plus != nil {
					guarded.plus = copyTo(&plus, p.plus)
				}
				if v := testkit.Fault(func() { guarded.into(other.Take(&dst, p.size())) }); v != nil {
					t.Fatalf("%d×%d by %d×%d, from the %s to the %s of their pages: %v", p.rows, p.n, p.n, p.cols, end.Name, other.Name, v)
				}
			}
		})
	})
}
