// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"example.org/logsoftmax/internal/testkit"
)

// eachTier runs a test once for every tier of this machine and build.
func eachTier(t *testing.T, f func(t *testing.T)) {
	for _, it := range Tiers() {
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
		if (i < begin || i >= begin+len(f.x)) && !testkit.Identical(v, canary) {
			return false
		}
	}
	return true
}

// fillings are the kinds of slices that kernels are tried on. Their numbers
// come from integers and single roundings, so that they are the same on every
// machine.
var fillings = []struct {
	name string
	fill func(r *rand.Rand, x []float64)
}{
	{"small", func(r *rand.Rand, x []float64) { testkit.FillWith(x, func() float64 { return 4 * testkit.Uniform(r) }) }},
	{"spread", func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 { return 400 * testkit.Uniform(r) })
	}},
	{"far", func(r *rand.Rand, x []float64) {
		// About the gaps at which a term is clamped.
		testkit.FillWith(x, func() float64 { return -790 + 60*testkit.Uniform(r) })
		x[r.IntN(len(x))] = 0
	}},
	{"ties", func(r *rand.Rand, x []float64) { testkit.FillWith(x, func() float64 { return float64(r.IntN(3)) }) }},
	{"equal", func(r *rand.Rand, x []float64) { Fill(x, 300*testkit.Uniform(r)) }},
	{"zeros", func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 { return math.Copysign(0, testkit.Uniform(r)) })
	}},
	{"subnormal", func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 { return math.Copysign(math.Float64frombits(r.Uint64()>>12), testkit.Uniform(r)) })
	}},
	{"shifted", func(r *rand.Rand, x []float64) {
		// About the magnitudes from which the maximum is subtracted.
		base := math.Copysign(shiftFrom, testkit.Uniform(r))
		testkit.FillWith(x, func() float64 { return base + 2*testkit.Uniform(r) })
	}},
	{"large", func(r *rand.Rand, x []float64) {
		base := math.Ldexp(testkit.Uniform(r), 11+r.IntN(40))
		testkit.FillWith(x, func() float64 { return base + 100*testkit.Uniform(r) })
	}},
	{"huge", func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 { return math.MaxFloat64 * testkit.Uniform(r) })
	}},
	{"magnitudes", func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 { return math.Ldexp(testkit.Uniform(r), r.IntN(2098)-1074) })
	}},
	{"infinities", func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 {
			if r.IntN(3) == 0 {
				return math.Inf(-1)
			}
			return 50 * testkit.Uniform(r)
		})
	}},
	{"bits", func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 { return math.Float64frombits(r.Uint64()) })
	}},
	{"special", func(r *rand.Rand, x []float64) {
		some := append([]float64{0, math.Copysign(0, -1), 1, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64}, testkit.NaNs...)
		testkit.FillWith(x, func() float64 { return some[r.IntN(len(some))] })
	}},
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
func sameMax(a, b float64) bool { return testkit.Identical(a, b) || a == 0 && b == 0 }

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
					if testkit.Long() == 0 && (n+align+k)%5 > 0 {
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
		if j := testkit.Difference(got, want); j >= 0 {
			t.Errorf("%s: entry %d of %d is %v (%#x), want %v (%#x)", kernel, j, len(want), got[j], math.Float64bits(got[j]), want[j], math.Float64bits(want[j]))
		}
		if !in.intact() || !out.intact() {
			t.Errorf("%s wrote outside of its slice", kernel)
		}
	}
	unchanged := func(kernel string) {
		t.Helper()
		if j := testkit.Difference(in.x, before); j >= 0 {
			t.Errorf("%s changed entry %d of its input", kernel, j)
		}
	}

	if got, want := MaxOf(in.x), maxOfGo(in.x); !sameMax(got, want) {
		t.Errorf("maxOf = %v (%#x), want %v", got, math.Float64bits(got), want)
	}
	unchanged("maxOf")

	makeFinite(in.x)
	copy(before, in.x)
	max := maxOfGo(in.x)
	count, hi, lo := expSumGo(want, in.x, max)
	checkSum := func(kernel string, gotCount, gotHi, gotLo float64) {
		t.Helper()
		if !testkit.Identical(gotCount, count) || !testkit.Identical(gotHi, hi) || !testkit.Identical(gotLo, lo) {
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
	c, h, l = ExpSumAhead(out.x, in.x, max, in.x, out.x)
	checkSum("expSumAhead", c, h, l)
	check("expSumAhead", out.x)
	c, h, l = expSum(in.x, in.x, max)
	checkSum("expSum in place", c, h, l)
	check("expSum in place", in.x)

	p := newPartial(max, count, hi, lo)
	concluded := p.Conclude()
	for _, factor := range []float64{concluded.Inverse, -concluded.Inverse, testkit.Uniform(r), 0, NaN} {
		copy(in.x, out.x)
		if factor != factor {
			// The terms of a slice that is NaN are anything.
			in.x[r.IntN(len(in.x))] = testkit.NaNs[r.IntN(len(testkit.NaNs))]
		}
		copy(want, in.x)
		scaleByGo(want, factor)
		scaleBy(in.x, factor)
		check("scaleBy", in.x)
		expSumGo(out.x, before, max)
	}

	for _, negLogSum := range []float64{concluded.NegLogSum, -10 * math.Abs(testkit.Uniform(r)), NaN} {
		copy(in.x, before)
		shiftByGo(want, in.x, max, negLogSum)
		ShiftBy(out.x, in.x, max, negLogSum)
		check("shiftBy", out.x)
		unchanged("shiftBy")
		ShiftBy(in.x, in.x, max, negLogSum)
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
				testkit.FillWith(in.x, func() float64 { return 20 * testkit.Uniform(r) })
				max := maxOfGo(in.x)
				if got := MaxOf(in.x); got != max {
					t.Fatalf("maxOf %d entries = %v, want %v", n, got, max)
				}
				shiftByGo(want, in.x, max, -1.25)
				ShiftBy(out.x, in.x, max, -1.25)
				if j := testkit.Difference(out.x, want); j >= 0 {
					t.Fatalf("shiftBy %d entries: entry %d is %v, want %v", n, j, out.x[j], want[j])
				}
				copy(in.x, out.x)
				scaleByGo(want, 0x1.23456789p-130)
				scaleBy(out.x, 0x1.23456789p-130)
				if j := testkit.Difference(out.x, want); j >= 0 {
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
			testkit.FillWith(x, func() float64 { return 10 * testkit.Uniform(r) })
			max := MaxOf(x)
			for j, v := range x {
				x[j] = testkit.NaNs[(n+j)%len(testkit.NaNs)]
				if got := MaxOf(x); !testkit.Identical(got, NaN) {
					t.Fatalf("maxOf %d entries with a NaN at %d = %v (%#x)", n, j, got, math.Float64bits(got))
				}
				// A NaN counts even beside the greatest entry.
				x[(j+n/2)%n] = math.Inf(1)
				want := NaN
				if (j+n/2)%n == j {
					want = math.Inf(1)
				}
				if got := MaxOf(x); !testkit.Identical(got, want) {
					t.Fatalf("maxOf %d entries with a NaN at %d and +Inf = %v", n, j, got)
				}
				x[j], x[(j+n/2)%n] = v, -20
				x[j] = math.Inf(1)
				if got := MaxOf(x); got != x[j] {
					t.Fatalf("maxOf %d entries with +Inf at %d = %v", n, j, got)
				}
				testkit.FillWith(x, func() float64 { return 10 * testkit.Uniform(r) })
				x[j] = max + 100
				if got := MaxOf(x); got != x[j] {
					t.Fatalf("maxOf %d entries, the largest at %d, = %v, want %v", n, j, got, x[j])
				}
				x[j] = math.Inf(-1)
				if got, want := MaxOf(x), maxOfGo(x); got != want {
					t.Fatalf("maxOf %d entries with -Inf at %d = %v, want %v", n, j, got, want)
				}
			}
			Fill(x, math.Inf(-1))
			if got := MaxOf(x); got != math.Inf(-1) {
				t.Fatalf("maxOf %d times -Inf = %v", n, got)
			}
		}
		if got := MaxOf(nil); got != math.Inf(-1) {
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
				testkit.FillWith(x, func() float64 { return 30 * testkit.Uniform(r) })
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
				if count != wantCount || !testkit.Identical(hi, wantHi) || !testkit.Identical(lo, wantLo) {
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
func (c *Panel) differs(want *Panel, groups int, finite bool, fields ...string) string {
	compare := func(name string, got, want *[Width]float64) string {
		for i := range got {
			if i < groups*Group && finite && !IsFinite(c.Max[i]) {
				continue
			}
			same := testkit.Identical
			if name == "max" {
				same = sameMax
			}
			if !same(got[i], want[i]) {
				return fmt.Sprintf("%s of slice %d of %d is %v (%#x), want %v (%#x)", name, i, groups*Group, got[i], math.Float64bits(got[i]), want[i], math.Float64bits(want[i]))
			}
		}
		return ""
	}
	for _, name := range fields {
		var s string
		switch name {
		case "max":
			s = compare(name, &c.Max, &want.Max)
		case "count":
			s = compare(name, &c.Count, &want.Count)
		case "shift":
			s = compare(name, &c.shift, &want.shift)
		case "magic":
			s = compare(name, &c.magic, &want.magic)
		case "lower":
			s = compare(name, &c.lower, &want.lower)
		case "negLogSum":
			s = compare(name, &c.NegLogSum, &want.NegLogSum)
		case "logSumLow":
			s = compare(name, &c.LogSumLow, &want.LogSumLow)
		case "inverse":
			s = compare(name, &c.Inverse, &want.Inverse)
		case "inverseLow":
			s = compare(name, &c.InverseLow, &want.InverseLow)
		case "complement":
			s = compare(name, &c.Complement, &want.Complement)
		case "complementLow":
			s = compare(name, &c.ComplementLow, &want.ComplementLow)
		case "total":
			s = compare(name, &c.sum, &want.sum)
			if s == "" {
				s = compare(name+" low", &c.sumLow, &want.sumLow)
			}
		case "factor":
			s = compare(name, &c.Factor, &want.Factor)
		case "sum":
			s = compare("hi", &c.Hi[0], &want.Hi[0])
			if s == "" {
				s = compare("lo", &c.Lo[0], &want.Lo[0])
			}
		case "sums":
			for l := range Lanes {
				if s == "" {
					s = compare(fmt.Sprintf("hi[%d]", l), &c.Hi[l], &want.Hi[l])
				}
				if s == "" {
					s = compare(fmt.Sprintf("lo[%d]", l), &c.Lo[l], &want.Lo[l])
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
var everything = []string{"max", "count", "shift", "magic", "lower", "negLogSum", "logSumLow", "inverse", "inverseLow", "complement", "complementLow", "total", "factor", "sums"}

// canaries returns a columns of canaries.
func canaries() *Panel {
	c := new(Panel)
	for _, a := range []*[Width]float64{&c.Max, &c.Count, &c.shift, &c.magic, &c.lower, &c.NegLogSum, &c.LogSumLow, &c.Inverse, &c.InverseLow, &c.Complement, &c.ComplementLow, &c.sum, &c.sumLow, &c.Factor} {
		Fill(a[:], canary)
	}
	for l := range Lanes {
		Fill(c.Hi[l][:], canary)
		Fill(c.Lo[l][:], canary)
	}
	return c
}

// beyond returns a with canaries in place of what belongs to the given groups.
func beyond(a [Width]float64, groups int) [Width]float64 {
	Fill(a[:groups*Group], canary)
	return a
}

// A strip is slices side by side, between canaries.
type strip struct {
	fenced
	stride, n, groups int
}

// newStrip returns a strip of canaries which ends with its last element.
func newStrip(stride, n, groups, align int) strip {
	return strip{newFenced((n-1)*stride+groups*Group, align), stride, n, groups}
}

// at returns entry j of all slices.
func (s *strip) at(j int) []float64 { return s.x[j*s.stride:][:s.groups*Group] }

// differs returns a description of the first difference from want, of slices
// which the given function asks for, canaries between the slices included.
func (s *strip) differs(want *strip, matters func(slice int) bool) string {
	if !s.intact() {
		return "wrote outside of the strip"
	}
	for p, v := range s.x {
		j, i := p/s.stride, p%s.stride
		if i < s.groups*Group && j < s.n && !matters(i) {
			continue
		}
		if w := want.x[j*want.stride:]; i >= s.groups*Group {
			if !testkit.Identical(v, canary) {
				return fmt.Sprintf("wrote between the rows, behind entry %d", j)
			}
		} else if !testkit.Identical(v, w[i]) {
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
		for n := 1; n <= BlockLen; n++ {
			lengths = append(lengths, n)
		}
		for _, n := range lengths {
			for groups := 1; groups <= Width/Group; groups++ {
				for k, stride := range []int{groups * Group, Width, groups*Group + 1, groups*Group + 3, Width + 13} {
					if testkit.Long() == 0 && (n+groups+k)%5 > 0 {
						continue
					}
					align := (n + k + groups) % 8
					f := fillings[(n+groups*3+k*5)%len(fillings)]
					in := newStrip(stride, n, groups, align)
					for i := range groups * Group {
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
					outStride := []int{stride, groups*Group + 5, Width}[(n+k)%3]
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
	got.Reset()
	want.Reset()
	// In two parts, as chunks come.
	got.RaiseMax(in.x, in.stride, (n+1)/2, groups*Group)
	want.raiseMaxGo(in.x, in.stride, (n+1)/2, groups*Group)
	if n > 1 {
		got.RaiseMax(in.x[(n+1)/2*in.stride:], in.stride, n/2, groups*Group)
		want.raiseMaxGo(in.x[(n+1)/2*in.stride:], in.stride, n/2, groups*Group)
	}
	unchanged("columnsMax")
	if s := got.differs(want, groups, false, everything...); s != "" {
		t.Errorf("columnsMax: %s", s)
		return
	}
	got.Max = want.Max
	// Those whose maximum is not finite have terms and sums of any value.
	finite := func(i int) bool { return IsFinite(want.Max[i]) }

	got.SetFrames(groups)
	want.setFramesGo(groups)
	if s := got.differs(want, groups, true, everything...); s != "" {
		t.Errorf("columnsFrame: %s", s)
		return
	}

	silent, inPlace := *got, *got
	out, terms := newStrip(outStride, n, groups, outAlign), newStrip(outStride, n, groups, 0)
	own := newStrip(in.stride, n, groups, outAlign)
	copy(own.x, in.x)
	for j := 0; j < n; j += BlockLen {
		m := min(BlockLen, n-j)
		want.addExpGo(terms.x[j*outStride:], outStride, in.x[j*in.stride:], in.stride, m, groups*Group)
		got.AddExp(out.x[j*outStride:], outStride, in.x[j*in.stride:], in.stride, m, groups*Group)
		silent.AddExp(nil, 0, in.x[j*in.stride:], in.stride, m, groups*Group)
		inPlace.AddExp(own.x[j*in.stride:], in.stride, own.x[j*in.stride:], in.stride, m, groups*Group)
	}
	unchanged("columnsExpSum")
	for _, c := range []struct {
		name string
		c    *Panel
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

	got.Hi, got.Lo = want.Hi, want.Lo
	got.JoinLanes(groups)
	want.joinLanesGo(groups)
	if s := got.differs(want, groups, true, "sum", "max", "count", "shift", "magic", "lower", "negLogSum", "logSumLow", "inverse", "inverseLow", "complement", "complementLow", "factor"); s != "" {
		t.Errorf("columnsJoin: %s", s)
	}

	if n <= BlockLen {
		wantTotal := canaries()
		wantTotal.Max = want.Max
		wantTotal.totalGo(nil, 0, in.x, in.stride, n, groups*Group)
		for _, kind := range []string{"columnsTotal without dst", "columnsTotal", "columnsTotal in place"} {
			total := canaries()
			total.Max = want.Max
			copy(own.x, in.x)
			switch kind {
			case "columnsTotal":
				Fill(out.x, canary)
				total.Total(out.x, outStride, in.x, in.stride, n, groups*Group)
				if s := out.differs(&terms, finite); s != "" {
					t.Errorf("%s: %s", kind, s)
				}
			case "columnsTotal in place":
				total.Total(own.x, in.stride, own.x, in.stride, n, groups*Group)
				if s := own.differs(&terms, finite); s != "" {
					t.Errorf("%s: %s", kind, s)
				}
			default:
				total.Total(nil, 0, in.x, in.stride, n, groups*Group)
			}
			unchanged(kind)
			if s := total.differs(wantTotal, groups, true, "sum", "count", "max", "negLogSum", "logSumLow", "inverse", "inverseLow", "complement", "complementLow", "factor"); s != "" {
				t.Errorf("%s: %s", kind, s)
			}
			// What it leaves undefined it leaves so for these slices alone.
			total.shift, total.magic, total.lower = beyond(total.shift, groups), beyond(total.magic, groups), beyond(total.lower, groups)
			for l := range Lanes {
				total.Hi[l], total.Lo[l] = beyond(total.Hi[l], groups), beyond(total.Lo[l], groups)
			}
			if s := total.differs(canaries(), 0, false, "shift", "magic", "lower", "sums"); s != "" {
				t.Errorf("%s: %s", kind, s)
			}
		}
	}

	got.concludeSums(groups)
	want.concludeSumsGo(groups)
	if s := got.differs(want, groups, true, "total", "inverse", "inverseLow", "complement", "complementLow", "factor", "max"); s != "" {
		t.Errorf("columnsSum: %s", s)
	}
	got.concludeLogs(groups)
	want.concludeLogsGo(groups)
	if s := got.differs(want, groups, false, "negLogSum", "logSumLow", "factor", "max"); s != "" {
		t.Errorf("columnsLog: %s", s)
	}
	got.concludeProbabilities(groups)
	want.concludeProbabilitiesGo(groups)
	if s := got.differs(want, groups, false, "negLogSum", "logSumLow", "inverse", "inverseLow", "complement", "complementLow", "factor", "max"); s != "" {
		t.Errorf("columnsConclude: %s", s)
	}

	got.Factor, want.Factor = want.Inverse, want.Inverse
	terms.fenced = newFenced(len(terms.x), 0)
	want.shiftGo(terms.x, outStride, in.x, in.stride, n, groups*Group)
	got.Shift(out.x, outStride, in.x, in.stride, n, groups*Group)
	unchanged("columnsShift")
	if s := out.differs(&terms, all); s != "" {
		t.Errorf("columnsShift: %s", s)
	}
	got.Shift(in.x, in.stride, in.x, in.stride, n, groups*Group)
	if s := in.differs(&terms, all); s != "" {
		t.Errorf("columnsShift in place: %s", s)
	}

	// Numbers as terms are, and factors as gradients have.
	r := rand.New(rand.NewPCG(uint64(n), uint64(groups)))
	for j := range n {
		testkit.FillWith(out.at(j), func() float64 { return math.Ldexp(testkit.Uniform(r), 129-r.IntN(1240)) })
		copy(terms.at(j), out.at(j))
	}
	for i := range groups * Group {
		switch i % 5 {
		case 1:
			got.Factor[i] = -testkit.Uniform(r)
		case 2:
			got.Factor[i] = 0
		case 3:
			// The terms of a slice that is NaN are anything.
			got.Factor[i] = NaN
			for j := range n {
				out.at(j)[i] = testkit.NaNs[(i+j)%len(testkit.NaNs)]
				terms.at(j)[i] = out.at(j)[i]
			}
		}
	}
	*want = *got
	got.Scale(out.x, outStride, out.x, outStride, n, groups*Group)
	want.scaleGo(terms.x, outStride, terms.x, outStride, n, groups*Group)
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
			groups := 1 + round%(Width/Group)
			got := canaries()
			for l := range Lanes {
				for i := range groups * Group {
					hi := math.Ldexp(1+math.Abs(testkit.Uniform(r)), 140-r.IntN([]int{1, 10, 60, 1200}[round%4]))
					got.Hi[l][i] = hi
					got.Lo[l][i] = math.Ldexp(hi, -53) * testkit.Uniform(r)
				}
			}
			want := *got
			got.JoinLanes(groups)
			want.joinLanesGo(groups)
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
		for round := range 2000 + 18000*min(1, testkit.Long()) {
			groups := 1 + round%(Width/Group)
			got := canaries()
			for i := range groups * Group {
				one := [1]float64{}
				fillings[r.IntN(len(fillings))].fill(r, one[:])
				got.Max[i] = one[0]
				got.Count[i] = float64(1 + r.IntN(1+r.IntN(ChunkLen)))
				rest := ChunkLen - int(got.Count[i])
				switch r.IntN(3) {
				case 0:
					rest = 0
				case 1:
					rest = min(rest, r.IntN(3))
				}
				hi := math.Ldexp(float64(rest)*(1+math.Abs(testkit.Uniform(r))), 128-r.IntN(1+r.IntN(1150)))
				got.Hi[0][i] = hi
				got.Lo[0][i] = math.Ldexp(hi, -53) * testkit.Uniform(r)
			}
			want := *got
			got.concludeSums(groups)
			want.concludeSumsGo(groups)
			if s := got.differs(&want, groups, true, everything...); s != "" {
				t.Fatalf("columnsSum of %d groups: %s", groups, s)
			}
			got.concludeLogs(groups)
			want.concludeLogsGo(groups)
			if s := got.differs(&want, groups, true, everything...); s != "" {
				t.Fatalf("columnsLog of %d groups: %s", groups, s)
			}
			got.concludeProbabilities(groups)
			want.concludeProbabilitiesGo(groups)
			if s := got.differs(&want, groups, false, "max", "count", "sum", "negLogSum", "logSumLow", "inverse", "inverseLow", "complement", "complementLow", "factor"); s != "" {
				t.Fatalf("columnsConclude of %d groups: %s", groups, s)
			}
		}
	})
}

// TestPack moves raw bits into a tile and back.
func TestPack(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 16))
		for cols := 1; cols <= FewCols; cols++ {
			for groups := 1; groups <= Width/Group; groups++ {
				for k, stride := range []int{cols, cols + 1, cols + 7, 2*cols + 3} {
					rows := groups * Group
					in := newFenced((rows-1)*stride+cols, (cols+k)%8)
					testkit.FillWith(in.x, func() float64 { return math.Float64frombits(r.Uint64()) })
					got, want := newFenced(FewCols*Width, (3*cols+k)%8), newFenced(FewCols*Width, 0)
					// A tile, columns without gaps, and those with.
					apart := []int{Width, groups * Group, (groups*Group + Width) / 2}[(cols+groups+k)%3]
					pack(got.x, apart, in.x, stride, cols, groups)
					packGo(want.x, apart, in.x, stride, cols, groups)
					if p := testkit.Difference(got.x, want.x); p >= 0 {
						t.Fatalf("pack of %d groups of %d columns, stride %d: entry %d of row %d is %#x, want %#x", groups, cols, stride,
							p/apart, p%apart, math.Float64bits(got.x[p]), math.Float64bits(want.x[p]))
					}
					back, wantBack := newFenced(len(in.x), (5*cols+k)%8), newFenced(len(in.x), 0)
					unpack(back.x, stride, got.x, apart, cols, groups)
					unpackGo(wantBack.x, stride, got.x, apart, cols, groups)
					if p := testkit.Difference(back.x, wantBack.x); p >= 0 {
						t.Fatalf("unpack of %d groups of %d columns, stride %d: entry %d of row %d is %#x, want %#x", groups, cols, stride,
							p%stride, p/stride, math.Float64bits(back.x[p]), math.Float64bits(wantBack.x[p]))
					}
					c, wantC := new(Panel), new(Panel)
					c.packMax(got.x, in.x, stride, cols, groups)
					wantC.packMaxGo(want.x, in.x, stride, cols, groups)
					if s := c.differs(wantC, groups, false, everything...); s != "" || testkit.Difference(got.x, want.x) >= 0 {
						t.Fatalf("packMax of %d groups of %d columns, stride %d, is wrong: %s", groups, cols, stride, s)
					}
					testkit.FillWith(c.Factor[:], func() float64 { return testkit.Uniform(r) })
					c.Factor[r.IntN(Width)] = NaN
					// Zeros, of which negative factors must not make -0.
					for range len(got.x) / 50 {
						got.x[r.IntN(len(got.x))] = 0
					}
					Fill(back.x, canary)
					Fill(wantBack.x, canary)
					c.unpackScaledGo(wantBack.x, stride, got.x, cols, groups)
					c.unpackScaled(back.x, stride, got.x, cols, groups)
					for p, v := range back.x {
						if w := wantBack.x[p]; !testkit.Identical(v, w) && (v == v || w == w || !IsFinite(c.Factor[p/stride])) {
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
func fewClasses(x []float64, stride, cols, rows int) (c *Panel, terms []float64) {
	c, terms = new(Panel), make([]float64, FewCols*Width)
	for i := range rows {
		for j, v := range x[i*stride:][:cols] {
			terms[j*Width+i] = v
		}
	}
	groups := GroupsFor(rows)
	c.Reset()
	c.raiseMaxGo(terms, Width, cols, groups*Group)
	c.totalGo(terms, Width, terms, Width, cols, groups*Group)
	c.concludeSumsGo(groups)
	c.concludeLogsGo(groups)
	c.concludeProbabilitiesGo(groups)
	return c, terms
}

func total(counts [Lanes]int) (sum float64) {
	for _, n := range counts {
		sum += float64(n)
	}
	return sum
}

// TestRowsShift holds the log-probabilities of rows one behind the other to
// those of rows alone.
func TestRowsShift(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for cols := 1; cols <= FewCols; cols++ {
			for rows := 1; rows <= Width; rows++ {
				in, out := newFenced(rows*cols, (rows+cols)%8), newFenced(rows*cols, rows*3%8)
				for i := range rows {
					fillings[(rows+cols+i%3)%len(fillings)].fill(r, in.x[i*cols:][:cols])
				}
				c, _ := fewClasses(in.x, cols, cols, rows)
				want := make([]float64, len(in.x))
				for i := range rows {
					shiftByGo(want[i*cols:][:cols], in.x[i*cols:][:cols], c.Max[i], c.NegLogSum[i])
				}
				before := *c
				if !c.ShiftRows(out.x, in.x, cols, rows) {
					continue
				}
				if p := testkit.Difference(out.x, want); p >= 0 {
					t.Fatalf("rowsShift of %d×%d: entry %d of row %d is %v, want %v", rows, cols, p%cols, p/cols, out.x[p], want[p])
				}
				c.ShiftRows(in.x, in.x, cols, rows)
				if p := testkit.Difference(in.x, want); p >= 0 {
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
		for cols := 1; cols <= FewCols; cols++ {
			for rows := 1; rows <= Width; rows++ {
				groups := GroupsFor(rows)
				x := make([]float64, rows*cols)
				for i := range rows {
					fillings[(rows+cols+i%3)%len(fillings)].fill(r, x[i*cols:][:cols])
				}
				c, terms := fewClasses(x, cols, cols, rows)
				labels := randomLabels(r, x, cols, cols, rows)
				for _, some := range []*Tile{nil, (*Tile)(terms)} {
					got, want := *c, *c
					Fill(got.Factor[groups*Group:], canary)
					Fill(want.Factor[groups*Group:], canary)
					l, wantL := labels, labels
					for _, l := range []*Labels{&l, &wantL} {
						Fill(l.Loss[groups*Group:], canary)
						Fill(l.AtLabel[groups*Group:], canary)
					}
					got.Label(&l, some, groups)
					want.labelGo(&wantL, some, groups)
					if i := testkit.Difference(l.Loss[:], wantL.Loss[:]); i >= 0 {
						t.Fatalf("columnsLabel of %d×%d: the loss of row %d is %v, want %v", rows, cols, i, l.Loss[i], wantL.Loss[i])
					}
					if i := testkit.Difference(l.AtLabel[:], wantL.AtLabel[:]); i >= 0 {
						t.Fatalf("columnsLabel of %d×%d: the gradient of row %d is %v, want %v", rows, cols, i, l.AtLabel[i], wantL.AtLabel[i])
					}
					// A tier counts by its own vectors' lanes.
					if total(l.Single) != total(wantL.Single) || total(l.Tied) != total(wantL.Tied) {
						t.Fatalf("columnsLabel of %d×%d: largest labels %v and %v, want %v and %v", rows, cols, l.Single, l.Tied, wantL.Single, wantL.Tied)
					}
					if l.Class != labels.Class || l.Logit != wantL.Logit && testkit.Difference(l.Logit[:], wantL.Logit[:]) >= 0 ||
						l.Coefficient != labels.Coefficient || l.Gradient != labels.Gradient {
						t.Fatalf("columnsLabel of %d×%d changed the labels", rows, cols)
					}
					if s := got.differs(&want, 0, false, everything...); s != "" {
						t.Fatalf("columnsLabel of %d×%d: %s", rows, cols, s)
					}
				}
			}
		}
	})
}

// TestLaneTotal holds the sum of a row alone to that of the row among others.
func TestLaneTotal(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(33, 34))
		for n := 1; n <= BlockLen; n++ {
			for k, filling := range fillings {
				x, terms := newFenced(n, (n+k)%8), newFenced(n, (3*n+k)%8)
				filling.fill(r, x.x)
				max := maxOfGo(x.x)
				if !IsFinite(max) {
					continue
				}
				var c Panel
				tile := make([]float64, n*Width)
				for j, v := range x.x {
					tile[j*Width] = v
				}
				c.Max[0] = max
				c.totalGo(tile, Width, tile, Width, n, 1)
				for _, dst := range [][]float64{nil, terms.x} {
					count, hi, lo := LaneTotal(dst, x.x, max)
					if count != c.Count[0] || hi != c.Hi[0][0] || lo != c.Lo[0][0] {
						t.Fatalf("%d entries, filling %d: %v, %v, %v, want %v, %v, %v", n, k, count, hi, lo, c.Count[0], c.Hi[0][0], c.Lo[0][0])
					}
				}
				for j, v := range terms.x {
					if math.Float64bits(v) != math.Float64bits(tile[j*Width]) {
						t.Fatalf("%d entries, filling %d: term %d is %v, want %v", n, k, j, v, tile[j*Width])
					}
				}
				if !x.intact() || !terms.intact() {
					t.Fatalf("%d entries: wrote outside", n)
				}
			}
		}
	})
}
