// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// eachTier runs a test once for every tier of this machine and build.
func eachTier(t *testing.T, f func(t *testing.T)) {
	for _, it := range tiers() {
		t.Run(it.String(), func(t *testing.T) { onTier(it, func() { f(t) }) })
	}
}

// onTier calls f with the given tier in use.
func onTier(it tier, f func()) {
	defer func(before tier) { active = before }(active)
	active = it
	f()
}

// sink keeps alive what is read or computed for nothing.
var sink float64

// identical reports whether a and b have the same bits.
func identical(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// difference returns the first index at which a and b differ in a bit, or -1.
func difference(a, b []float64) int {
	for i, v := range a {
		if !identical(v, b[i]) {
			return i
		}
	}
	return -1
}

// canary is what lies around the slices that kernels get, a NaN that nothing
// computes.
var canary = math.Float64frombits(0x7ff4_c0de_0bad_f00d)

// margin is how many canaries lie on either side.
const margin = 24

// A fenced slice lies between canaries.
type fenced struct {
	x   []float64
	all []float64
}

// newFenced returns a fenced slice of n canaries whose first element lies
// align elements behind a boundary of 64 bytes.
func newFenced(n, align int) fenced {
	all := make([]float64, n+2*margin+8)
	for i := range all {
		all[i] = canary
	}
	word := int(uintptr(unsafe.Pointer(&all[margin])) / unsafe.Sizeof(all[0]) % 8)
	begin := margin + (align-word+8)%8
	return fenced{x: all[begin : begin+n : begin+n], all: all}
}

// intact reports whether all canaries are alive.
func (f *fenced) intact() bool {
	begin := int(uintptr(unsafe.Pointer(unsafe.SliceData(f.x)))-uintptr(unsafe.Pointer(&f.all[0]))) / int(unsafe.Sizeof(f.all[0]))
	for i, v := range f.all {
		if (i < begin || i >= begin+len(f.x)) && !identical(v, canary) {
			return false
		}
	}
	return true
}

// uniform returns a number in [-1, 1) with a full mantissa.
func uniform(r *rand.Rand) float64 { return float64(int64(r.Uint64())) * 0x1p-63 }

// nans are NaNs of either sign, quiet and signalling, with and without a
// payload.
var nans = []float64{
	math.NaN(),
	math.Float64frombits(0x7ff8000000000000),
	math.Float64frombits(0xfff8000000000000),
	math.Float64frombits(0x7ff0000000000001),
	math.Float64frombits(0xfff4000000000000),
	math.Float64frombits(0x7fffffffffffffff),
	math.Float64frombits(0xffffffffffffffff),
}

// fillings are the kinds of slices that kernels are tried on. Their numbers
// come from integers and single roundings, so that they are the same on every
// machine.
var fillings = []struct {
	name string
	fill func(r *rand.Rand, x []float64)
}{
	{"small", func(r *rand.Rand, x []float64) { fillWith(x, func() float64 { return 4 * uniform(r) }) }},
	{"spread", func(r *rand.Rand, x []float64) { fillWith(x, func() float64 { return 400 * uniform(r) }) }},
	{"far", func(r *rand.Rand, x []float64) {
		// About the gaps at which a term is clamped.
		fillWith(x, func() float64 { return -790 + 60*uniform(r) })
		x[r.IntN(len(x))] = 0
	}},
	{"ties", func(r *rand.Rand, x []float64) { fillWith(x, func() float64 { return float64(r.IntN(3)) }) }},
	{"equal", func(r *rand.Rand, x []float64) { fill(x, 300*uniform(r)) }},
	{"zeros", func(r *rand.Rand, x []float64) {
		fillWith(x, func() float64 { return math.Copysign(0, uniform(r)) })
	}},
	{"subnormal", func(r *rand.Rand, x []float64) {
		fillWith(x, func() float64 { return math.Copysign(math.Float64frombits(r.Uint64()>>12), uniform(r)) })
	}},
	{"shifted", func(r *rand.Rand, x []float64) {
		// About the magnitudes from which the maximum is subtracted.
		base := math.Copysign(shiftFrom, uniform(r))
		fillWith(x, func() float64 { return base + 2*uniform(r) })
	}},
	{"large", func(r *rand.Rand, x []float64) {
		base := math.Ldexp(uniform(r), 11+r.IntN(40))
		fillWith(x, func() float64 { return base + 100*uniform(r) })
	}},
	{"huge", func(r *rand.Rand, x []float64) {
		fillWith(x, func() float64 { return math.MaxFloat64 * uniform(r) })
	}},
	{"magnitudes", func(r *rand.Rand, x []float64) {
		fillWith(x, func() float64 { return math.Ldexp(uniform(r), r.IntN(2098)-1074) })
	}},
	{"infinities", func(r *rand.Rand, x []float64) {
		fillWith(x, func() float64 {
			if r.IntN(3) == 0 {
				return math.Inf(-1)
			}
			return 50 * uniform(r)
		})
	}},
	{"bits", func(r *rand.Rand, x []float64) {
		fillWith(x, func() float64 { return math.Float64frombits(r.Uint64()) })
	}},
	{"special", func(r *rand.Rand, x []float64) {
		some := append([]float64{0, math.Copysign(0, -1), 1, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64}, nans...)
		fillWith(x, func() float64 { return some[r.IntN(len(some))] })
	}},
}

func fillWith(x []float64, f func() float64) {
	for i := range x {
		x[i] = f()
	}
}

// makeFinite replaces what must not be in a slice whose maximum is finite.
func makeFinite(x []float64) {
	for i, v := range x {
		if v != v || v == math.Inf(1) {
			x[i] = float64(i % 7)
		}
	}
	if maxOfGo(x) == math.Inf(-1) {
		x[len(x)/2] = -3
	}
}

// kernelLengths are all lengths up to 300 and some more about the sizes that
// loops are unrolled by.
func kernelLengths() []int {
	var n []int
	for i := 1; i <= 300; i++ {
		n = append(n, i)
	}
	return append(n, 511, 512, 513, 767, 1000, 1023, 1024, 1025, 2040, 2047, 2048)
}

// sameMax reports whether two maxima are the same: of the two zeros either
// may stand for both.
func sameMax(a, b float64) bool { return identical(a, b) || a == 0 && b == 0 }

// TestRowKernels holds the kernels that work on one slice to the reference,
// for every length and alignment.
func TestRowKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range kernelLengths() {
			for align := range 8 {
				in, out := newFenced(n, align), newFenced(n, (align+3)%8)
				want := make([]float64, n)
				for k, f := range fillings {
					if testing.Short() && (n+align+k)%5 > 0 {
						continue
					}
					f.fill(r, in.x)
					testRowKernels(t, r, &in, &out, want)
					if t.Failed() {
						t.Fatalf("for %d entries, %s, at alignment %d", n, f.name, align)
					}
				}
			}
		}
	})
}

// testRowKernels tries the kernels on in, with and without out; want is
// scratch of the same length.
func testRowKernels(t *testing.T, r *rand.Rand, in, out *fenced, want []float64) {
	t.Helper()
	before := append([]float64(nil), in.x...)
	check := func(kernel string, got []float64) {
		t.Helper()
		if j := difference(got, want); j >= 0 {
			t.Errorf("%s: entry %d of %d is %v (%#x), want %v (%#x)", kernel, j, len(want), got[j], math.Float64bits(got[j]), want[j], math.Float64bits(want[j]))
		}
		if !in.intact() || !out.intact() {
			t.Errorf("%s wrote outside of its slice", kernel)
		}
	}
	unchanged := func(kernel string) {
		t.Helper()
		if j := difference(in.x, before); j >= 0 {
			t.Errorf("%s changed entry %d of its input", kernel, j)
		}
	}

	if got, want := maxOf(in.x), maxOfGo(in.x); !sameMax(got, want) {
		t.Errorf("maxOf = %v (%#x), want %v", got, math.Float64bits(got), want)
	}
	unchanged("maxOf")

	makeFinite(in.x)
	copy(before, in.x)
	max := maxOfGo(in.x)
	count, hi, lo := expSumGo(want, in.x, max)
	checkSum := func(kernel string, gotCount, gotHi, gotLo float64) {
		t.Helper()
		if !identical(gotCount, count) || !identical(gotHi, hi) || !identical(gotLo, lo) {
			t.Errorf("%s = %v, %x, %x, want %v, %x, %x", kernel, gotCount, gotHi, gotLo, count, hi, lo)
		}
	}
	c, h, l := expSum(nil, in.x, max)
	checkSum("expSum without dst", c, h, l)
	unchanged("expSum without dst")
	c, h, l = expSum(out.x, in.x, max)
	checkSum("expSum", c, h, l)
	check("expSum", out.x)
	unchanged("expSum")
	c, h, l = expSumAhead(out.x, in.x, max, in.x, out.x)
	checkSum("expSumAhead", c, h, l)
	check("expSumAhead", out.x)
	c, h, l = expSum(in.x, in.x, max)
	checkSum("expSum in place", c, h, l)
	check("expSum in place", in.x)

	p := newPartial(max, count, hi, lo)
	concluded := p.conclude()
	for _, factor := range []float64{concluded.inverse, -concluded.inverse, uniform(r), 0, nan} {
		copy(in.x, out.x)
		if factor != factor {
			// The terms of a slice that is NaN are anything.
			in.x[r.IntN(len(in.x))] = nans[r.IntN(len(nans))]
		}
		copy(want, in.x)
		scaleByGo(want, factor)
		scaleBy(in.x, factor)
		check("scaleBy", in.x)
		expSumGo(out.x, before, max)
	}

	for _, negLogSum := range []float64{concluded.negLogSum, -10 * math.Abs(uniform(r)), nan} {
		copy(in.x, before)
		shiftByGo(want, in.x, max, negLogSum)
		shiftBy(out.x, in.x, max, negLogSum)
		check("shiftBy", out.x)
		unchanged("shiftBy")
		shiftBy(in.x, in.x, max, negLogSum)
		check("shiftBy in place", in.x)
	}
}

// TestLongKernels is for kernels whose slices may be longer than a chunk.
func TestLongKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, n := range []int{2049, 4095, 4096, 5003, 12345} {
			for align := range 8 {
				in, out := newFenced(n, align), newFenced(n, (3*align+1)%8)
				want := make([]float64, n)
				fillWith(in.x, func() float64 { return 20 * uniform(r) })
				max := maxOfGo(in.x)
				if got := maxOf(in.x); got != max {
					t.Fatalf("maxOf %d entries = %v, want %v", n, got, max)
				}
				shiftByGo(want, in.x, max, -1.25)
				shiftBy(out.x, in.x, max, -1.25)
				if j := difference(out.x, want); j >= 0 {
					t.Fatalf("shiftBy %d entries: entry %d is %v, want %v", n, j, out.x[j], want[j])
				}
				copy(in.x, out.x)
				scaleByGo(want, 0x1.23456789p-130)
				scaleBy(out.x, 0x1.23456789p-130)
				if j := difference(out.x, want); j >= 0 {
					t.Fatalf("scaleBy %d entries: entry %d is %v, want %v", n, j, out.x[j], want[j])
				}
				if !in.intact() || !out.intact() {
					t.Fatalf("a kernel wrote outside of %d entries", n)
				}
			}
		}
	})
}

// TestMaxSpecial sweeps the special values through every position of every
// length.
func TestMaxSpecial(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for n := 1; n <= 300; n++ {
			in := newFenced(n, n)
			x := in.x
			fillWith(x, func() float64 { return 10 * uniform(r) })
			max := maxOf(x)
			for j, v := range x {
				x[j] = nans[(n+j)%len(nans)]
				if got := maxOf(x); !identical(got, nan) {
					t.Fatalf("maxOf %d entries with a NaN at %d = %v (%#x)", n, j, got, math.Float64bits(got))
				}
				// A NaN counts even beside the greatest entry.
				x[(j+n/2)%n] = math.Inf(1)
				want := nan
				if (j+n/2)%n == j {
					want = math.Inf(1)
				}
				if got := maxOf(x); !identical(got, want) {
					t.Fatalf("maxOf %d entries with a NaN at %d and +Inf = %v", n, j, got)
				}
				x[j], x[(j+n/2)%n] = v, -20
				x[j] = math.Inf(1)
				if got := maxOf(x); got != x[j] {
					t.Fatalf("maxOf %d entries with +Inf at %d = %v", n, j, got)
				}
				fillWith(x, func() float64 { return 10 * uniform(r) })
				x[j] = max + 100
				if got := maxOf(x); got != x[j] {
					t.Fatalf("maxOf %d entries, the largest at %d, = %v, want %v", n, j, got, x[j])
				}
				x[j] = math.Inf(-1)
				if got, want := maxOf(x), maxOfGo(x); got != want {
					t.Fatalf("maxOf %d entries with -Inf at %d = %v, want %v", n, j, got, want)
				}
			}
			fill(x, math.Inf(-1))
			if got := maxOf(x); got != math.Inf(-1) {
				t.Fatalf("maxOf %d times -Inf = %v", n, got)
			}
		}
		if got := maxOf(nil); got != math.Inf(-1) {
			t.Errorf("maxOf nothing = %v", got)
		}
	})
}

// TestExpSumTies has entries equal to the maximum, and -Inf, in every pair of
// positions.
func TestExpSumTies(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for n := 1; n <= 140; n++ {
			x := make([]float64, n)
			for j := range n {
				fillWith(x, func() float64 { return 30 * uniform(r) })
				max := 31.0
				if j%2 == 1 {
					max = 0x1.9p+20
				}
				x[j] = max
				x[(j*7+3)%n] = max
				if k := (j*5 + 1) % n; x[k] != max {
					x[k] = math.Inf(-1)
				}
				wantCount, wantHi, wantLo := expSumGo(nil, x, max)
				count, hi, lo := expSum(nil, x, max)
				if count != wantCount || !identical(hi, wantHi) || !identical(lo, wantLo) {
					t.Fatalf("expSum of %d entries, the largest at %d and %d, = %v, %x, %x, want %v, %x, %x",
						n, j, (j*7+3)%n, count, hi, lo, wantCount, wantHi, wantLo)
				}
			}
		}
	})
}

// differs returns a description of the first field, of those up to the given
// group that are compared, in which got is not want. Where finite is set,
// slices whose maximum is not finite are left out.
func (c *columns) differs(want *columns, groups int, finite bool, fields ...string) string {
	compare := func(name string, got, want *[columnsWidth]float64) string {
		for i := range got {
			if i < groups*group && finite && !isFinite(c.max[i]) {
				continue
			}
			same := identical
			if name == "max" {
				same = sameMax
			}
			if !same(got[i], want[i]) {
				return fmt.Sprintf("%s of slice %d of %d is %v (%#x), want %v (%#x)", name, i, groups*group, got[i], math.Float64bits(got[i]), want[i], math.Float64bits(want[i]))
			}
		}
		return ""
	}
	for _, name := range fields {
		var s string
		switch name {
		case "max":
			s = compare(name, &c.max, &want.max)
		case "count":
			s = compare(name, &c.count, &want.count)
		case "shift":
			s = compare(name, &c.shift, &want.shift)
		case "magic":
			s = compare(name, &c.magic, &want.magic)
		case "lower":
			s = compare(name, &c.lower, &want.lower)
		case "negLogSum":
			s = compare(name, &c.negLogSum, &want.negLogSum)
		case "logSumLow":
			s = compare(name, &c.logSumLow, &want.logSumLow)
		case "inverse":
			s = compare(name, &c.inverse, &want.inverse)
		case "inverseLow":
			s = compare(name, &c.inverseLow, &want.inverseLow)
		case "rest":
			s = compare(name, &c.rest, &want.rest)
		case "factor":
			s = compare(name, &c.factor, &want.factor)
		case "sum":
			s = compare("hi", &c.hi[0], &want.hi[0])
			if s == "" {
				s = compare("lo", &c.lo[0], &want.lo[0])
			}
		case "sums":
			for l := range lanes {
				if s == "" {
					s = compare(fmt.Sprintf("hi[%d]", l), &c.hi[l], &want.hi[l])
				}
				if s == "" {
					s = compare(fmt.Sprintf("lo[%d]", l), &c.lo[l], &want.lo[l])
				}
			}
		default:
			panic("unknown field " + name)
		}
		if s != "" {
			return s
		}
	}
	return ""
}

// everything is the fields of columns.
var everything = []string{"max", "count", "shift", "magic", "lower", "negLogSum", "logSumLow", "inverse", "inverseLow", "rest", "factor", "sums"}

// canaries returns a columns of canaries.
func canaries() *columns {
	c := new(columns)
	for _, a := range []*[columnsWidth]float64{&c.max, &c.count, &c.shift, &c.magic, &c.lower, &c.negLogSum, &c.logSumLow, &c.inverse, &c.inverseLow, &c.rest, &c.factor} {
		fill(a[:], canary)
	}
	for l := range lanes {
		fill(c.hi[l][:], canary)
		fill(c.lo[l][:], canary)
	}
	return c
}

// beyond returns a with canaries in place of what belongs to the given groups.
func beyond(a [columnsWidth]float64, groups int) [columnsWidth]float64 {
	fill(a[:groups*group], canary)
	return a
}

// A strip is slices side by side, between canaries.
type strip struct {
	fenced
	stride, n, groups int
}

// newStrip returns a strip of canaries which ends with its last element.
func newStrip(stride, n, groups, align int) strip {
	return strip{newFenced((n-1)*stride+groups*group, align), stride, n, groups}
}

// at returns entry j of all slices.
func (s *strip) at(j int) []float64 { return s.x[j*s.stride:][:s.groups*group] }

// differs returns a description of the first difference from want, of slices
// which the given function asks for, canaries between the slices included.
func (s *strip) differs(want *strip, matters func(slice int) bool) string {
	if !s.intact() {
		return "wrote outside of the strip"
	}
	for p, v := range s.x {
		j, i := p/s.stride, p%s.stride
		if i < s.groups*group && j < s.n && !matters(i) {
			continue
		}
		if w := want.x[j*want.stride:]; i >= s.groups*group {
			if !identical(v, canary) {
				return fmt.Sprintf("wrote between the rows, behind entry %d", j)
			}
		} else if !identical(v, w[i]) {
			return fmt.Sprintf("entry %d of slice %d is %v (%#x), want %v (%#x)", j, i, v, math.Float64bits(v), w[i], math.Float64bits(w[i]))
		}
	}
	return ""
}

// TestColumnKernels holds the kernels that work on slices side by side to the
// reference, through all steps from the maxima to the results, for every
// number of groups and of entries in a block.
func TestColumnKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		lengths := []int{65, 100, 127, 128, 129, 192, 300}
		for n := 1; n <= blockLen; n++ {
			lengths = append(lengths, n)
		}
		for _, n := range lengths {
			for groups := 1; groups <= columnsWidth/group; groups++ {
				for k, stride := range []int{groups * group, columnsWidth, groups*group + 1, groups*group + 3, columnsWidth + 13} {
					if testing.Short() && (n+groups+k)%5 > 0 {
						continue
					}
					align := (n + k + groups) % 8
					f := fillings[(n+groups*3+k*5)%len(fillings)]
					in := newStrip(stride, n, groups, align)
					for i := range groups * group {
						// Slices of several kinds beside each other.
						g := f
						if i%3 == 2 {
							g = fillings[r.IntN(len(fillings))]
						}
						slice := make([]float64, n)
						g.fill(r, slice)
						for j, v := range slice {
							in.at(j)[i] = v
						}
					}
					outStride := []int{stride, groups*group + 5, columnsWidth}[(n+k)%3]
					testColumnKernels(t, &in, outStride, (align+5)%8)
					if t.Failed() {
						t.Fatalf("for %d entries in %d groups, %s, stride %d to %d, at alignment %d", n, groups, f.name, stride, outStride, align)
					}
				}
			}
		}
	})
}

func testColumnKernels(t *testing.T, in *strip, outStride, outAlign int) {
	t.Helper()
	n, groups := in.n, in.groups
	all := func(int) bool { return true }
	before := *in
	before.fenced = newFenced(len(in.x), 0)
	copy(before.x, in.x)
	unchanged := func(kernel string) {
		t.Helper()
		if s := in.differs(&before, all); s != "" {
			t.Errorf("%s changed its input: %s", kernel, s)
		}
	}

	got, want := canaries(), canaries()
	got.reset()
	want.reset()
	// In two parts, as chunks come.
	columnsMax(got, in.x, in.stride, (n+1)/2, groups)
	columnsMaxGo(want, in.x, in.stride, (n+1)/2, groups)
	if n > 1 {
		columnsMax(got, in.x[(n+1)/2*in.stride:], in.stride, n/2, groups)
		columnsMaxGo(want, in.x[(n+1)/2*in.stride:], in.stride, n/2, groups)
	}
	unchanged("columnsMax")
	if s := got.differs(want, groups, false, everything...); s != "" {
		t.Errorf("columnsMax: %s", s)
		return
	}
	got.max = want.max
	// Those whose maximum is not finite have terms and sums of any value.
	finite := func(i int) bool { return isFinite(want.max[i]) }

	columnsFrame(got, groups)
	columnsFrameGo(want, groups)
	if s := got.differs(want, groups, true, everything...); s != "" {
		t.Errorf("columnsFrame: %s", s)
		return
	}

	silent, inPlace := *got, *got
	out, terms := newStrip(outStride, n, groups, outAlign), newStrip(outStride, n, groups, 0)
	own := newStrip(in.stride, n, groups, outAlign)
	copy(own.x, in.x)
	for j := 0; j < n; j += blockLen {
		m := min(blockLen, n-j)
		columnsExpSumGo(want, terms.x[j*outStride:], outStride, in.x[j*in.stride:], in.stride, m, groups)
		columnsExpSum(got, out.x[j*outStride:], outStride, in.x[j*in.stride:], in.stride, m, groups)
		columnsExpSum(&silent, nil, 0, in.x[j*in.stride:], in.stride, m, groups)
		columnsExpSum(&inPlace, own.x[j*in.stride:], in.stride, own.x[j*in.stride:], in.stride, m, groups)
	}
	unchanged("columnsExpSum")
	for _, c := range []struct {
		name string
		c    *columns
	}{{"columnsExpSum", got}, {"columnsExpSum without dst", &silent}, {"columnsExpSum in place", &inPlace}} {
		if s := c.c.differs(want, groups, true, everything...); s != "" {
			t.Errorf("%s: %s", c.name, s)
		}
	}
	if s := out.differs(&terms, finite); s != "" {
		t.Errorf("columnsExpSum: %s", s)
	}
	if s := own.differs(&terms, finite); s != "" {
		t.Errorf("columnsExpSum in place: %s", s)
	}

	got.hi, got.lo = want.hi, want.lo
	columnsJoin(got, groups)
	columnsJoinGo(want, groups)
	if s := got.differs(want, groups, true, "sum", "max", "count", "shift", "magic", "lower", "negLogSum", "logSumLow", "inverse", "inverseLow", "rest", "factor"); s != "" {
		t.Errorf("columnsJoin: %s", s)
	}

	if n <= blockLen {
		wantTotal := canaries()
		wantTotal.max = want.max
		columnsTotalGo(wantTotal, nil, 0, in.x, in.stride, n, groups)
		for _, kind := range []string{"columnsTotal without dst", "columnsTotal", "columnsTotal in place"} {
			total := canaries()
			total.max = want.max
			copy(own.x, in.x)
			switch kind {
			case "columnsTotal":
				fill(out.x, canary)
				columnsTotal(total, out.x, outStride, in.x, in.stride, n, groups)
				if s := out.differs(&terms, finite); s != "" {
					t.Errorf("%s: %s", kind, s)
				}
			case "columnsTotal in place":
				columnsTotal(total, own.x, in.stride, own.x, in.stride, n, groups)
				if s := own.differs(&terms, finite); s != "" {
					t.Errorf("%s: %s", kind, s)
				}
			default:
				columnsTotal(total, nil, 0, in.x, in.stride, n, groups)
			}
			unchanged(kind)
			if s := total.differs(wantTotal, groups, true, "sum", "count", "max", "negLogSum", "logSumLow", "inverse", "inverseLow", "rest", "factor"); s != "" {
				t.Errorf("%s: %s", kind, s)
			}
			// What it leaves undefined it leaves so for these slices alone.
			total.shift, total.magic, total.lower = beyond(total.shift, groups), beyond(total.magic, groups), beyond(total.lower, groups)
			for l := range lanes {
				total.hi[l], total.lo[l] = beyond(total.hi[l], groups), beyond(total.lo[l], groups)
			}
			if s := total.differs(canaries(), 0, false, "shift", "magic", "lower", "sums"); s != "" {
				t.Errorf("%s: %s", kind, s)
			}
		}
	}

	columnsLog(got, groups)
	columnsLogGo(want, groups)
	if s := got.differs(want, groups, false, "negLogSum", "logSumLow", "inverse", "inverseLow", "rest", "factor", "max"); s != "" {
		t.Errorf("columnsLog: %s", s)
	}
	columnsConclude(got, groups)
	columnsConcludeGo(want, groups)
	if s := got.differs(want, groups, false, "negLogSum", "logSumLow", "inverse", "inverseLow", "rest", "factor", "max"); s != "" {
		t.Errorf("columnsConclude: %s", s)
	}

	got.factor, want.factor = want.inverse, want.inverse
	terms.fenced = newFenced(len(terms.x), 0)
	columnsShiftGo(want, terms.x, outStride, in.x, in.stride, n, groups)
	columnsShift(got, out.x, outStride, in.x, in.stride, n, groups)
	unchanged("columnsShift")
	if s := out.differs(&terms, all); s != "" {
		t.Errorf("columnsShift: %s", s)
	}
	columnsShift(got, in.x, in.stride, in.x, in.stride, n, groups)
	if s := in.differs(&terms, all); s != "" {
		t.Errorf("columnsShift in place: %s", s)
	}

	// Numbers as terms are, and factors as gradients have.
	r := rand.New(rand.NewPCG(uint64(n), uint64(groups)))
	for j := range n {
		fillWith(out.at(j), func() float64 { return math.Ldexp(uniform(r), 129-r.IntN(1240)) })
		copy(terms.at(j), out.at(j))
	}
	for i := range groups * group {
		switch i % 5 {
		case 1:
			got.factor[i] = -uniform(r)
		case 2:
			got.factor[i] = 0
		case 3:
			// The terms of a slice that is NaN are anything.
			got.factor[i] = nan
			for j := range n {
				out.at(j)[i] = nans[(i+j)%len(nans)]
				terms.at(j)[i] = out.at(j)[i]
			}
		}
	}
	*want = *got
	columnsScale(got, out.x, outStride, n, groups)
	columnsScaleGo(want, terms.x, outStride, n, groups)
	if s := out.differs(&terms, all); s != "" {
		t.Errorf("columnsScale: %s", s)
	}
	if s := got.differs(want, groups, false, everything...); s != "" {
		t.Errorf("columnsScale: %s", s)
	}
}

// TestColumnsJoin has sums in the lanes as far apart as they come.
func TestColumnsJoin(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for round := range 4000 {
			groups := 1 + round%(columnsWidth/group)
			got := canaries()
			for l := range lanes {
				for i := range groups * group {
					hi := math.Ldexp(1+math.Abs(uniform(r)), 140-r.IntN([]int{1, 10, 60, 1200}[round%4]))
					got.hi[l][i] = hi
					got.lo[l][i] = math.Ldexp(hi, -53) * uniform(r)
				}
			}
			want := *got
			columnsJoin(got, groups)
			columnsJoinGo(&want, groups)
			if s := got.differs(&want, groups, false, "sum"); s != "" {
				t.Fatalf("columnsJoin of %d groups: %s", groups, s)
			}
		}
	})
}

// TestColumnsConclude has every maximum with sums from nothing to as much as
// a chunk holds.
func TestColumnsConclude(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for round := range 20000 {
			groups := 1 + round%(columnsWidth/group)
			got := canaries()
			for i := range groups * group {
				one := [1]float64{}
				fillings[r.IntN(len(fillings))].fill(r, one[:])
				got.max[i] = one[0]
				got.count[i] = float64(1 + r.IntN(1+r.IntN(chunkLen)))
				rest := chunkLen - int(got.count[i])
				switch r.IntN(3) {
				case 0:
					rest = 0
				case 1:
					rest = min(rest, r.IntN(3))
				}
				hi := math.Ldexp(float64(rest)*(1+math.Abs(uniform(r))), 128-r.IntN(1+r.IntN(1150)))
				got.hi[0][i] = hi
				got.lo[0][i] = math.Ldexp(hi, -53) * uniform(r)
			}
			want := *got
			columnsLog(got, groups)
			columnsLogGo(&want, groups)
			if s := got.differs(&want, groups, false, everything...); s != "" {
				t.Fatalf("columnsLog of %d groups: %s", groups, s)
			}
			columnsConclude(got, groups)
			columnsConcludeGo(&want, groups)
			if s := got.differs(&want, groups, false, "max", "count", "sum", "negLogSum", "logSumLow", "inverse", "inverseLow", "rest", "factor"); s != "" {
				t.Fatalf("columnsConclude of %d groups: %s", groups, s)
			}
		}
	})
}

// TestPack moves raw bits into a tile and back.
func TestPack(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 16))
		for cols := 1; cols <= fewCols; cols++ {
			for groups := 1; groups <= columnsWidth/group; groups++ {
				for k, stride := range []int{cols, cols + 1, cols + 7, 2*cols + 3} {
					rows := groups * group
					in := newFenced((rows-1)*stride+cols, (cols+k)%8)
					fillWith(in.x, func() float64 { return math.Float64frombits(r.Uint64()) })
					got, want := newFenced(fewCols*columnsWidth, (3*cols+k)%8), newFenced(fewCols*columnsWidth, 0)
					pack(got.x, in.x, stride, cols, groups)
					packGo(want.x, in.x, stride, cols, groups)
					if p := difference(got.x, want.x); p >= 0 {
						t.Fatalf("pack of %d groups of %d columns, stride %d: entry %d of row %d is %#x, want %#x", groups, cols, stride,
							p/columnsWidth, p%columnsWidth, math.Float64bits(got.x[p]), math.Float64bits(want.x[p]))
					}
					back, wantBack := newFenced(len(in.x), (5*cols+k)%8), newFenced(len(in.x), 0)
					unpack(back.x, stride, got.x, cols, groups)
					unpackGo(wantBack.x, stride, got.x, cols, groups)
					if p := difference(back.x, wantBack.x); p >= 0 {
						t.Fatalf("unpack of %d groups of %d columns, stride %d: entry %d of row %d is %#x, want %#x", groups, cols, stride,
							p%stride, p/stride, math.Float64bits(back.x[p]), math.Float64bits(wantBack.x[p]))
					}
					c, wantC := new(columns), new(columns)
					packMax(c, got.x, in.x, stride, cols, groups)
					packMaxGo(wantC, want.x, in.x, stride, cols, groups)
					if s := c.differs(wantC, groups, false, everything...); s != "" || difference(got.x, want.x) >= 0 {
						t.Fatalf("packMax of %d groups of %d columns, stride %d, is wrong: %s", groups, cols, stride, s)
					}
					fillWith(c.factor[:], func() float64 { return uniform(r) })
					c.factor[r.IntN(columnsWidth)] = nan
					// Zeros, of which negative factors must not make -0.
					for range len(got.x) / 50 {
						got.x[r.IntN(len(got.x))] = 0
					}
					fill(back.x, canary)
					fill(wantBack.x, canary)
					unpackScaledGo(c, wantBack.x, stride, got.x, cols, groups)
					unpackScaled(c, back.x, stride, got.x, cols, groups)
					for p, v := range back.x {
						if w := wantBack.x[p]; !identical(v, w) && (v == v || w == w || !isFinite(c.factor[p/stride])) {
							t.Fatalf("unpackScaled of %d groups of %d columns, stride %d: entry %d of row %d is %#x, want %#x", groups, cols, stride,
								p%stride, p/stride, math.Float64bits(v), math.Float64bits(w))
						}
					}
					if !in.intact() || !got.intact() || !back.intact() {
						t.Fatalf("a kernel wrote outside of %d groups of %d columns, stride %d", groups, cols, stride)
					}
				}
			}
		}
	})
}

// fewClasses returns the state of the rows of x, with their terms in a tile.
func fewClasses(x []float64, stride, cols, rows int) (c *columns, terms []float64) {
	c, terms = new(columns), make([]float64, fewCols*columnsWidth)
	for i := range rows {
		for j, v := range x[i*stride:][:cols] {
			terms[j*columnsWidth+i] = v
		}
	}
	groups := groupsFor(rows)
	c.reset()
	columnsMaxGo(c, terms, columnsWidth, cols, groups)
	columnsTotalGo(c, terms, columnsWidth, terms, columnsWidth, cols, groups)
	columnsConcludeGo(c, groups)
	return c, terms
}

func total(counts [lanes]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// TestRowsShift holds the log-probabilities of rows one behind the other to
// those of rows alone.
func TestRowsShift(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for cols := 1; cols <= fewCols; cols++ {
			for rows := 1; rows <= columnsWidth; rows++ {
				in, out := newFenced(rows*cols, (rows+cols)%8), newFenced(rows*cols, rows*3%8)
				for i := range rows {
					fillings[(rows+cols+i%3)%len(fillings)].fill(r, in.x[i*cols:][:cols])
				}
				c, _ := fewClasses(in.x, cols, cols, rows)
				want := make([]float64, len(in.x))
				for i := range rows {
					shiftByGo(want[i*cols:][:cols], in.x[i*cols:][:cols], c.max[i], c.negLogSum[i])
				}
				before := *c
				if !rowsShift(c, out.x, in.x, cols, rows) {
					continue
				}
				if p := difference(out.x, want); p >= 0 {
					t.Fatalf("rowsShift of %d×%d: entry %d of row %d is %v, want %v", rows, cols, p%cols, p/cols, out.x[p], want[p])
				}
				rowsShift(c, in.x, in.x, cols, rows)
				if p := difference(in.x, want); p >= 0 {
					t.Fatalf("rowsShift of %d×%d in place: entry %d of row %d is %v, want %v", rows, cols, p%cols, p/cols, in.x[p], want[p])
				}
				if s := c.differs(&before, 0, false, everything...); s != "" || !in.intact() || !out.intact() {
					t.Fatalf("rowsShift of %d×%d wrote outside of its result %s", rows, cols, s)
				}
			}
		}
	})
}

// TestColumnsLabel holds what labels make of rows to the reference.
func TestColumnsLabel(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(19, 20))
		for cols := 1; cols <= fewCols; cols++ {
			for rows := 1; rows <= columnsWidth; rows++ {
				stride := cols + (rows+cols)%3
				in := newFenced((rows-1)*stride+cols, (rows+cols)%8)
				target := make([]int, rows)
				for i := range rows {
					row := in.x[i*stride:][:cols]
					fillings[(rows+cols+i%3)%len(fillings)].fill(r, row)
					target[i] = r.IntN(cols)
					if i%4 == 0 {
						// Labels that are right.
						for j, v := range row {
							if v > row[target[i]] {
								target[i] = j
							}
						}
					}
				}
				c, terms := fewClasses(in.x, stride, cols, rows)
				for _, g := range []float64{0, 1, 1. / 64, 0x1p60} {
					var some []float64 // for the gradient
					if g != 0 {
						some = terms
					}
					got, want := *c, *c
					fill(got.factor[rows:], canary)
					fill(want.factor[rows:], canary)
					var l, wantL labels
					for _, l := range []*labels{&l, &wantL} {
						fill(l.loss[rows:], canary)
						fill(l.atLabel[rows:], canary)
					}
					columnsLabel(&got, in.x, stride, target, &l, rows, some, g)
					columnsLabelGo(&want, in.x, stride, target, &wantL, 0, rows, some, g)
					if i := difference(l.loss[:], wantL.loss[:]); i >= 0 {
						t.Fatalf("columnsLabel of %d×%d: the loss of row %d is %v, want %v", rows, cols, i, l.loss[i], wantL.loss[i])
					}
					if i := difference(l.atLabel[:], wantL.atLabel[:]); i >= 0 && some != nil {
						t.Fatalf("columnsLabel of %d×%d: the gradient of row %d is %v, want %v", rows, cols, i, l.atLabel[i], wantL.atLabel[i])
					}
					if l.sum != wantL.sum && isFinite(wantL.sum.total().hi) {
						t.Fatalf("columnsLabel of %d×%d: the sum of the losses is %v, want %v", rows, cols, l.sum, wantL.sum)
					}
					// A tier counts by its own vectors' lanes.
					if total(l.single) != total(wantL.single) || total(l.tied) != total(wantL.tied) {
						t.Fatalf("columnsLabel of %d×%d: largest labels %v and %v, want %v and %v", rows, cols, l.single, l.tied, wantL.single, wantL.tied)
					}
					if s := got.differs(&want, 0, false, everything...); s != "" {
						t.Fatalf("columnsLabel of %d×%d: %s", rows, cols, s)
					}
				}
			}
		}
	})
}
