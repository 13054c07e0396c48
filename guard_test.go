// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build unix

package logsoftmax

import (
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// A guarded is memory with a page on either side that faults when touched.
type guarded struct {
	elements []float64
	mapping  []byte
}

// newGuarded returns room for at least n elements.
func newGuarded(t *testing.T, n int) guarded {
	t.Helper()
	page := unix.Getpagesize()
	size := (n*int(unsafe.Sizeof(float64(0))) + page - 1) / page * page
	mapping, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mapping); err != nil {
			t.Error(err)
		}
	})
	for _, guard := range [][]byte{mapping[:page], mapping[page+size:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	first := (*float64)(unsafe.Pointer(&mapping[page]))
	return guarded{unsafe.Slice(first, size/int(unsafe.Sizeof(*first))), mapping}
}

// first returns n elements of which the first is right behind a guard, last n
// elements of which the last is right before one.
func (g *guarded) first(n int) []float64 { return g.elements[:n:n] }
func (g *guarded) last(n int) []float64  { return g.elements[len(g.elements)-n:] }

// ends is both places.
var ends = []struct {
	name string
	take func(g *guarded, n int) []float64
}{
	{"first", (*guarded).first},
	{"last", (*guarded).last},
}

// fault returns what f panicked with, a fault of memory included, or nil.
func fault(f func()) (v any) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { v = recover() }()
	f()
	return nil
}

// TestGuards proves that the guards of the other tests do guard.
func TestGuards(t *testing.T) {
	g := newGuarded(t, 10)
	x := g.first(1)
	if fault(func() { sink = x[0]; x[0] = 1 }) != nil {
		t.Fatal("the memory between the guards faults")
	}
	before := (*float64)(unsafe.Add(unsafe.Pointer(&x[0]), -8))
	y := g.last(1)
	behind := (*float64)(unsafe.Add(unsafe.Pointer(&y[0]), 8))
	for name, p := range map[string]*float64{"before": before, "behind": behind} {
		if fault(func() { sink = *p }) == nil {
			t.Errorf("reading %s the memory does not fault", name)
		}
		if fault(func() { *p = 1 }) == nil {
			t.Errorf("writing %s the memory does not fault", name)
		}
	}
}

// TestGuardedRowKernels has the slices of the kernels begin right behind, and
// end right before, a page that faults.
func TestGuardedRowKernels(t *testing.T) {
	a, b := newGuarded(t, chunkLen), newGuarded(t, chunkLen)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(21, 22))
		for _, n := range kernelLengths() {
			for _, from := range ends {
				for _, to := range ends {
					x, dst := from.take(&a, n), to.take(&b, n)
					fillWith(x, func() float64 { return 10 * uniform(r) })
					max := maxOfGo(x)
					for _, kernel := range []struct {
						name string
						call func()
					}{
						{"maxOf", func() { maxOf(x) }},
						{"expSum without dst", func() { expSum(nil, x, max) }},
						{"expSum", func() { expSum(dst, x, max) }},
						{"scaleBy", func() { scaleBy(dst, 0x1p-130) }},
						{"shiftBy", func() { shiftBy(dst, x, max, -1) }},
						{"expSumAhead", func() { expSumAhead(dst, x, max, x, dst) }},
						{"shiftBy in place", func() { shiftBy(x, x, max, -1) }},
						{"expSum in place", func() { expSum(x, x, maxOfGo(x)) }},
					} {
						if v := fault(kernel.call); v != nil {
							t.Fatalf("%s of %d entries, from the %s to the %s of their pages: %v", kernel.name, n, from.name, to.name, v)
						}
					}
				}
			}
		}
	})
}

// TestGuardedColumnKernels is the same for slices side by side.
func TestGuardedColumnKernels(t *testing.T) {
	const widest = columnsWidth + 5
	a, b := newGuarded(t, blockLen*widest), newGuarded(t, blockLen*widest)
	state := newGuarded(t, int(unsafe.Sizeof(columns{}))/8)
	strips := [2]guarded{newGuarded(t, blockLen*columnsWidth), newGuarded(t, blockLen*columnsWidth)}
	moves := new(stripState)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(23, 24))
		for n := 1; n <= blockLen; n++ {
			for groups := 1; groups <= columnsWidth/group; groups++ {
				for k, stride := range []int{groups * group, groups*group + 5, columnsWidth} {
					for e, from := range ends {
						to := ends[(e+n+k)%2]
						size := (n-1)*stride + groups*group
						x, dst := from.take(&a, size), to.take(&b, size)
						fillWith(x, func() float64 { return 10 * uniform(r) })
						room := from.take(&state, int(unsafe.Sizeof(columns{}))/8)
						c := (*columns)(unsafe.Pointer(&room[0]))
						*c = columns{}
						c.reset()
						for _, kernel := range []struct {
							name string
							call func()
						}{
							{"columnsMax", func() { columnsMax(c, x, stride, n, groups) }},
							{"columnsFrame", func() { columnsFrame(c, groups) }},
							{"columnsExpSum without dst", func() { columnsExpSum(c, nil, 0, x, stride, n, groups) }},
							{"columnsExpSum", func() { columnsExpSum(c, dst, stride, x, stride, n, groups) }},
							{"columnsJoin", func() { columnsJoin(c, groups) }},
							{"columnsLog", func() { columnsLog(c, groups) }},
							{"columnsConclude", func() { columnsConclude(c, groups) }},
							{"columnsShift", func() { columnsShift(c, dst, stride, x, stride, n, groups) }},
							{"columnsTotal without dst", func() { columnsTotal(c, nil, 0, x, stride, n, groups) }},
							{"columnsTotal", func() { columnsTotal(c, dst, stride, x, stride, n, groups) }},
							{"columnsMove", func() {
								strip, buffer := from.take(&strips[0], n*groups*group), to.take(&strips[1], n*groups*group)
								columnsMove(c, strip, n, groups, &stripMove{moves, buffer, x, stride, dst, stride})
							}},
							{"columnsScale", func() { columnsScale(c, dst, stride, n, groups) }},
							{"columnsShift in place", func() { columnsShift(c, x, stride, x, stride, n, groups) }},
							{"columnsExpSum in place", func() { columnsExpSum(c, x, stride, x, stride, n, groups) }},
						} {
							if v := fault(kernel.call); v != nil {
								t.Fatalf("%s of %d entries in %d groups, stride %d, from the %s to the %s of their pages: %v",
									kernel.name, n, groups, stride, from.name, to.name, v)
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
	a, b := newGuarded(t, columnsWidth*(fewCols+5)), newGuarded(t, columnsWidth*(fewCols+5))
	tiles := newGuarded(t, columnsWidth*fewCols)
	states := newGuarded(t, int(unsafe.Sizeof(columns{})+unsafe.Sizeof(labels{}))/8)
	targets := newGuarded(t, columnsWidth)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(27, 28))
		for cols := 1; cols <= fewCols; cols++ {
			for rows := 1; rows <= columnsWidth; rows++ {
				for k, stride := range []int{cols, cols + 1, cols + 5} {
					if (cols+rows+k)%3 > 0 && rows%group > 0 {
						continue
					}
					from, to := ends[(cols+rows)%2], ends[(cols+rows/2+k)%2]
					size := (rows-1)*stride + cols
					x, dst := from.take(&a, size), to.take(&b, size)
					fillWith(x, func() float64 { return 10 * uniform(r) })
					// As much of a tile as whole groups of these columns fill.
					tile := to.take(&tiles, (cols-1)*columnsWidth+groupsFor(rows)*group)
					room := from.take(&states, int(unsafe.Sizeof(columns{})+unsafe.Sizeof(labels{}))/8)
					c, l := (*columns)(unsafe.Pointer(&room[0])), (*labels)(unsafe.Pointer(&room[unsafe.Sizeof(columns{})/8]))
					*c, *l = columns{}, labels{}
					target := unsafe.Slice((*int)(unsafe.Pointer(&from.take(&targets, rows)[0])), rows)
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
						{"pack", func() { pack(tile, x, stride, cols, rows/group) }},
						{"max and pack", func() { packMax(c, tile, x, stride, cols, rows/group) }},
						{"unpack", func() { unpack(dst, stride, tile, cols, rows/group) }},
						{"scaled unpack", func() { unpackScaled(c, dst, stride, tile, cols, rows/group) }},
						{"columnsLabel", func() { columnsLabel(c, x, stride, target, l, rows, nil, 0) }},
						{"rowsShift", func() { rowsShift(c, dst[:rows*cols], x[:rows*cols], cols, rows) }},
						{"rowsShift at the end", func() { rowsShift(c, dst[len(dst)-rows*cols:], x[len(x)-rows*cols:], cols, rows) }},
						{"columnsLabel with terms", func() { columnsLabel(c, x, stride, target, l, rows, tile, 0.5) }},
					} {
						if strings.HasSuffix(kernel.name, "pack") && rows%group > 0 {
							continue
						}
						if v := fault(kernel.call); v != nil {
							t.Fatalf("%s of %d×%d, stride %d, from the %s to the %s of their pages: %v", kernel.name, rows, cols, stride, from.name, to.name, v)
						}
					}
				}
			}
		}
	})
}

// TestGuardedMatrices calls the public functions with matrices that begin
// right behind, and end right before, a page that faults.
func TestGuardedMatrices(t *testing.T) {
	shapes := []struct{ rows, cols, stride int }{
		{1, 1, 1}, {1, 2, 2}, {2, 2, 2}, {3, 2, 5}, {7, 3, 3}, {8, 3, 4}, {9, 10, 10}, {64, 10, 10}, {65, 10, 13},
		{71, 17, 17}, {130, 5, 5}, {3, 63, 63}, {5, 64, 64}, {5, 65, 65}, {11, 100, 101}, {13, 127, 127}, {67, 129, 130},
		{2, 1000, 1000}, {3, 2047, 2047}, {2, 2048, 2051}, {2, 2049, 2049}, {2, 4099, 4099}, {2049, 9, 9}, {2100, 67, 70},
	}
	const most = 2100 * 70
	a, b, c := newGuarded(t, most), newGuarded(t, most), newGuarded(t, most)
	weights, each := newGuarded(t, 8192), newGuarded(t, 8192)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(25, 26))
		for _, s := range shapes {
			size := (s.rows-1)*s.stride + s.cols
			for e, from := range ends {
				take := func(g *guarded, place int) *mat.Dense {
					var m mat.Dense
					m.SetRawMatrix(blas64.General{Rows: s.rows, Cols: s.cols, Stride: s.stride, Data: ends[place%2].take(g, size)})
					return &m
				}
				x, dst, soft := take(&a, e), take(&b, e+1), take(&c, e)
				fillWith(x.RawMatrix().Data, func() float64 { return 20 * uniform(r) })
				fillWith(soft.RawMatrix().Data, func() float64 { return uniform(r) * uniform(r) })
				for i := range s.rows {
					for j := range s.cols {
						soft.Set(i, j, max(0, soft.At(i, j)))
					}
				}
				target := make([]int, s.rows)
				for i := range target {
					target[i] = r.IntN(s.cols)
				}
				classes := from.take(&weights, s.cols)
				fillWith(classes, func() float64 { return 1 + uniform(r) })
				rows, cols := from.take(&each, s.rows), from.take(&each, s.cols)
				weighted := &Options{Weight: classes}
				smoothed := &Options{Weight: classes, LabelSmoothing: 0.1}
				must := func(_ any, err error) {
					if err != nil {
						t.Fatal(err)
					}
				}
				for _, f := range []struct {
					name string
					call func()
				}{
					{"LogSoftmax dim 1", func() { LogSoftmax(dst, x, 1) }},
					{"LogSoftmaxGrad dim 1", func() { LogSoftmaxGrad(dst, dst, soft, 1) }},
					{"LogSoftmax dim 0", func() { LogSoftmax(dst, x, 0) }},
					{"LogSoftmaxGrad dim 0", func() { LogSoftmaxGrad(dst, dst, soft, 0) }},
					{"Softmax dim 1", func() { Softmax(dst, x, 1) }},
					{"Softmax dim 0", func() { Softmax(dst, x, 0) }},
					{"LogSumExp dim 1", func() { LogSumExp(rows, x, 1) }},
					{"LogSumExp dim 0", func() { LogSumExp(cols, x, 0) }},
					{"LogSumExp of a transpose", func() { LogSumExp(cols, x.T(), 1) }},
					{"CrossEntropy", func() { must(CrossEntropy(x, target, weighted)) }},
					{"CrossEntropyEach", func() { must(CrossEntropyEach(rows, x, target, nil)) }},
					{"CrossEntropyEach smoothed", func() { must(CrossEntropyEach(rows, x, target, smoothed)) }},
					{"CrossEntropyGrad", func() { must(CrossEntropyGrad(dst, x, target, weighted)) }},
					{"CrossEntropyGrad smoothed", func() { must(CrossEntropyGrad(dst, x, target, smoothed)) }},
					{"SoftCrossEntropy", func() { must(SoftCrossEntropy(x, soft, weighted)) }},
					{"SoftCrossEntropyEach", func() { must(SoftCrossEntropyEach(rows, x, soft, nil)) }},
					{"SoftCrossEntropyGrad", func() { must(SoftCrossEntropyGrad(dst, x, soft, smoothed)) }},
					{"NLL", func() { must(NLL(x, target, smoothed)) }},
					{"NLLEach", func() { must(NLLEach(rows, x, target, weighted)) }},
					{"NLLGrad", func() { must(NLLGrad(dst, x, target, smoothed)) }},
					{"CrossEntropyGrad in place", func() { must(CrossEntropyGrad(soft, soft, target, smoothed)) }},
					{"Softmax in place", func() { Softmax(x, x, 0) }},
					{"LogSoftmax in place", func() { LogSoftmax(x, x, 1) }},
				} {
					if v := fault(f.call); v != nil {
						t.Fatalf("%s of %d×%d, stride %d, from the %s of its pages: %v", f.name, s.rows, s.cols, s.stride, from.name, v)
					}
				}
			}
		}
	})
}
