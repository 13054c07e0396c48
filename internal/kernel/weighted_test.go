// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"example.org/logsoftmax/internal/testkit"
)

// sameSum reports whether two sums in two words are the same: infinite or NaN
// both, or of the same bits.
func sameSum(hi, lo, wantHi, wantLo float64) bool {
	a, b := Accumulator{hi, lo}, Accumulator{wantHi, wantLo}
	if !IsFinite(wantHi) || !IsFinite(wantLo) {
		return IsFinite(lo) == IsFinite(wantLo) && testkit.Identical(a.Value(), b.Value())
	}
	return testkit.Identical(hi, wantHi) && testkit.Identical(lo, wantLo)
}

// sameLanes reports whether the lanes of two sums are the same, in so many words.
func sameLanes(got, want []*[Lanes]float64) bool {
	for l := range Lanes {
		for w := range got {
			a, b := got[w][l], want[w][l]
			if !testkit.Identical(a, b) && (IsFinite(a) || IsFinite(b)) {
				return false
			}
		}
	}
	return true
}

func (s *LaneSum) words() []*[Lanes]float64        { return []*[Lanes]float64{&s.hi, &s.lo} }
func (s *CoefficientSum) words() []*[Lanes]float64 { return []*[Lanes]float64{&s.hi, &s.mid, &s.low} }

// weightedLengths are those that the tests below try.
func weightedLengths() []int {
	var n []int
	for i := 1; i <= 300; i++ {
		n = append(n, i)
	}
	return append(n, 1000, 2047, 2048, 2049, 5003)
}

// someSums are what a sum, a factor or an entry apart may be.
func someSums(r *rand.Rand) []float64 {
	return []float64{testkit.Uniform(r), 0, 1, -3 * testkit.Uniform(r), 0x1p-1060, math.MaxFloat64, math.Inf(1), math.Inf(-1), NaN}
}

// testWeightedKernels holds the kernels that work on one slice to the
// reference, on three slices of the same length.
func testWeightedKernels(t *testing.T, r *rand.Rand, q, x, out *fenced) {
	t.Helper()
	n := len(x.x)
	want, qBefore, xBefore := make([]float64, n), append([]float64(nil), q.x...), append([]float64(nil), x.x...)
	sums := someSums(r)
	some := func() float64 {
		if r.IntN(4) > 0 {
			return sums[0]
		}
		return sums[r.IntN(len(sums))]
	}
	check := func(kernel string, got []float64) {
		t.Helper()
		if j := testkit.Difference(got, want); j >= 0 {
			t.Errorf("%s: entry %d of %d is %v (%#x), want %v (%#x)", kernel, j, n, got[j], math.Float64bits(got[j]), want[j], math.Float64bits(want[j]))
		}
	}
	eight := func() []float64 {
		return []float64{some(), some(), some(), some(), some(), some(), some(), some()}
	}
	lossOfSome := func() (s LaneSum) {
		for range 3 {
			s.addLossGo(eight(), eight(), some(), some())
		}
		return s
	}
	sumOfSome := func() (s CoefficientSum) {
		for range 3 {
			s.addGo(eight())
		}
		return s
	}
	unchanged := func(kernel string) {
		t.Helper()
		if testkit.Difference(q.x, qBefore) >= 0 || testkit.Difference(x.x, xBefore) >= 0 {
			t.Errorf("%s changed its input", kernel)
		}
		if !q.intact() || !x.intact() || !out.intact() {
			t.Errorf("%s wrote outside of its slice", kernel)
		}
		copy(q.x, qBefore)
		copy(x.x, xBefore)
	}

	for range 2 {
		max, negLogSum := maxOfGo(x.x), -math.Abs(some())
		if r.IntN(3) == 0 {
			max, negLogSum = 0, 0
		}
		// Of a row that begins here, and of one that goes on.
		for _, begun := range []LossAndSum{{}, {lossOfSome(), sumOfSome()}} {
			got, want := begun, begun
			hi, lo := got.loss.addLoss(q.x, x.x, max, negLogSum)
			want.loss.addLossGo(q.x, x.x, max, negLogSum)
			if wantHi, wantLo := want.loss.joined(); !sameSum(hi, lo, wantHi, wantLo) || !sameLanes(got.loss.words(), want.loss.words()) {
				t.Errorf("LaneSum.addLoss of %d entries = %x, %x, want %x, %x", n, hi, lo, wantHi, wantLo)
			}
			hi, lo = got.sum.add(x.x)
			want.sum.addGo(x.x)
			if wantHi, wantLo := want.sum.joined(); !sameSum(hi, lo, wantHi, wantLo) || !sameLanes(got.sum.words(), want.sum.words()) {
				t.Errorf("CoefficientSum.add of %d entries = %x, %x, want %x, %x", n, hi, lo, wantHi, wantLo)
			}
			got, want = begun, begun
			hi, lo, sumHi, sumLo := got.add(q.x, x.x, max, negLogSum)
			wantHi, wantLo, wantSumHi, wantSumLo := want.addGo(q.x, x.x, max, negLogSum)
			if !sameSum(hi, lo, wantHi, wantLo) || !sameSum(sumHi, sumLo, wantSumHi, wantSumLo) ||
				!sameLanes(got.loss.words(), want.loss.words()) || !sameLanes(got.sum.words(), want.sum.words()) {
				t.Errorf("LossAndSum.add of %d entries = %x, %x, %x, %x, want %x, %x, %x, %x", n, hi, lo, sumHi, sumLo, wantHi, wantLo, wantSumHi, wantSumLo)
			}
		}
	}
	for _, least := range []float64{0, 0x1p-1074, math.Abs(x.x[0]), 0x1p-100} {
		for _, most := range []float64{math.MaxFloat64, 2 * least, math.Abs(x.x[n-1]), 1} {
			if !IsFinite(most) || !(least <= most) {
				continue
			}
			if got, want := AreBetween(x.x, least, most), areBetweenGo(x.x, least, most); got != want {
				t.Errorf("areBetween %v and %v of %d entries = %v", least, most, n, got)
			}
		}
	}
	for _, v := range []float64{x.x[r.IntN(n)], maxOfGo(x.x), math.Pi, NaN} {
		if got, want := IndexOf(x.x, v), indexOfGo(x.x, v); got != want {
			t.Errorf("indexOf %v in %d entries = %d, want %d", v, n, got, want)
		}
	}
	unchanged("a sum")

	f, sum, g := Factors{math.Abs(testkit.Uniform(r)), 0x1p-54 * testkit.Uniform(r), some()}, Accumulator{some(), 0x1p-60 * some()}, some()
	if r.IntN(3) == 0 {
		// As of a label.
		sum = Accumulator{1, 0}
	}
	of := NewWeighting(f, sum, g)
	weightedGradientGo(want, x.x, q.x, of)
	WeightedGradient(out.x, x.x, q.x, f, sum, g)
	check("weightedGradient", out.x)
	unchanged("weightedGradient")
	WeightedGradient(x.x, x.x, q.x, f, sum, g)
	check("weightedGradient in place of the terms", x.x)
	copy(x.x, xBefore)
	WeightedGradient(q.x, x.x, q.x, f, sum, g)
	check("weightedGradient in place of the coefficients", q.x)
	copy(q.x, qBefore)

	// Log-probabilities, but for what x has that is special.
	for j, v := range x.x {
		if v > 0 && r.IntN(20) > 0 {
			x.x[j] = -v
		}
	}
	copy(xBefore, x.x)
	// A low word is finite.
	someLow := func() float64 {
		if v := some(); IsFinite(v) {
			return 0x1p-60 * v
		}
		return 0
	}
	hi, lo := some(), someLow()
	vectorJacobianGo(want, x.x, q.x, hi, lo)
	VectorJacobianOf(out.x, x.x, q.x, hi, lo)
	check("vectorJacobianOf", out.x)
	unchanged("vectorJacobianOf")
	VectorJacobianOf(x.x, x.x, q.x, hi, lo)
	check("vectorJacobianOf in place of the log-probabilities", x.x)
	copy(x.x, xBefore)
	VectorJacobianOf(q.x, x.x, q.x, hi, lo)
	check("vectorJacobianOf in place of upstream", q.x)
	copy(q.x, qBefore)

	// The same as rows of a few entries, whose gaps are not written.
	cols := 1 + r.IntN(n)
	rows, stride := n/cols, cols
	if rows > 1 {
		stride += r.IntN((n-cols)/(rows-1) - cols + 1)
	}
	his, los := make([]float64, n), make([]float64, n)
	testkit.FillWith(his, some)
	testkit.FillWith(los, someLow)
	rowsOf := func(x []float64) Rows { return Rows{x, stride} }
	for _, call := range []struct {
		name      string
		reference func(dst, logp, u Rows, rows, n int, hi, lo []float64)
		kernel    func(dst, logp, u Rows, rows, n int, hi, lo []float64)
	}{
		{"VectorJacobianRows", vectorJacobianRowsGo, VectorJacobianRows},
		{"VectorJacobianColumns", vectorJacobianColumnsGo, VectorJacobianColumns},
	} {
		copy(want, out.x)
		call.reference(rowsOf(want), rowsOf(x.x), rowsOf(q.x), rows, cols, his, los)
		call.kernel(rowsOf(out.x), rowsOf(x.x), rowsOf(q.x), rows, cols, his, los)
		check(call.name, out.x)
		unchanged(call.name)
		copy(want, x.x)
		call.reference(rowsOf(want), rowsOf(x.x), rowsOf(q.x), rows, cols, his, los)
		call.kernel(rowsOf(x.x), rowsOf(x.x), rowsOf(q.x), rows, cols, his, los)
		check(call.name+" in place", x.x)
		copy(x.x, xBefore)
	}
}

// coefficientFillings are the kinds of coefficients that are tried.
var coefficientFillings = []func(r *rand.Rand, x []float64){
	func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 { return math.Abs(testkit.Uniform(r)) })
	},
	func(r *rand.Rand, x []float64) {
		// Most of them 0, as in one-hot targets.
		testkit.FillWith(x, func() float64 { return float64(max(0, r.IntN(6)-4)) })
	},
	func(r *rand.Rand, x []float64) {
		testkit.FillWith(x, func() float64 { return math.Ldexp(testkit.Uniform(r), r.IntN(2098)-1074) })
	},
	func(r *rand.Rand, x []float64) {
		some := append([]float64{0, math.Copysign(0, -1), 1, 0.5, math.Inf(1), math.Inf(-1), math.MaxFloat64, 0x1p-1074}, testkit.NaNs...)
		testkit.FillWith(x, func() float64 { return some[min(r.IntN(200), r.IntN(200))%len(some)] })
	},
}

// TestWeightedKernels goes through lengths, places and kinds of numbers.
func TestWeightedKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(71, 72))
		for _, n := range weightedLengths() {
			for k, f := range fillings {
				if testkit.Long() == 0 && (n+k)%5 > 0 {
					continue
				}
				q, x, out := newFenced(n, (n+k)%8), newFenced(n, (n+3*k)%8), newFenced(n, r.IntN(8))
				f.fill(r, x.x)
				coefficientFillings[(n/2+k)%len(coefficientFillings)](r, q.x)
				testWeightedKernels(t, r, &q, &x, &out)
				if t.Failed() {
					t.Fatalf("for %d entries, %s", n, f.name)
				}
			}
		}
	})
}

// TestVectorJacobianSpecial has each special value at each place of each
// length, among entries that are not special.
func TestVectorJacobianSpecial(t *testing.T) {
	special := append([]float64{
		0, math.Copysign(0, -1), 1e-300, 0.5, 800, math.Inf(1), math.Inf(-1), -790, -790.5, -745, -709, -50,
		math.Nextafter(-50, 0), -0x1p-1074, -1e-200, -ln2.Hi / 32,
	}, testkit.NaNs...)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(73, 74))
		for n := 1; n <= 40; n++ {
			logp, u, got, want := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
			testkit.FillWith(logp, func() float64 { return -8 * math.Abs(testkit.Uniform(r)) })
			testkit.FillWith(u, func() float64 { return testkit.Uniform(r) })
			for j := range n {
				for _, s := range special {
					for _, v := range []float64{u[j], 0, math.Inf(1), NaN, math.MaxFloat64} {
						y, before := logp[j], u[j]
						logp[j], u[j] = s, v
						vectorJacobianGo(want, logp, u, 0.75, 0x1p-60)
						VectorJacobianOf(got, logp, u, 0.75, 0x1p-60)
						if k := testkit.Difference(got, want); k >= 0 {
							t.Fatalf("log-probability %v and upstream %v at %d of %d: entry %d is %v, want %v", s, v, j, n, k, got[k], want[k])
						}
						logp[j], u[j] = y, before
					}
				}
			}
		}
	})
}

// TestSoftTargetsSpecial has each bad value at each place of each length.
func TestSoftTargetsSpecial(t *testing.T) {
	good := []float64{0, math.Copysign(0, -1), math.MaxFloat64, 0x1p-1074}
	bad := append([]float64{-0x1p-1074, -1, math.Inf(1), math.Inf(-1)}, testkit.NaNs...)
	eachTier(t, func(t *testing.T) {
		for n := 1; n <= 100; n++ {
			x := newFenced(n, n%8)
			Fill(x.x, 0.25)
			for j := range n {
				for k, v := range append(good, bad...) {
					x.x[j] = v
					if got := AreBetween(x.x, 0, math.MaxFloat64); got != (k < len(good)) {
						t.Fatalf("AreBetween of %d entries with %v at %d: %v", n, v, j, got)
					}
				}
				x.x[j] = 0.25
			}
		}
	})
}

// TestIndexOf finds each entry of each length, the first of two, and none.
func TestIndexOf(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		for n := 1; n <= 100; n++ {
			x := newFenced(n, n%8)
			for j := range n {
				Fill(x.x, -1)
				if got := IndexOf(x.x, 2); got != -1 {
					t.Fatalf("found at %d of %d what is not there", got, n)
				}
				x.x[n-1-j/2], x.x[j] = 2, 2
				if got, want := IndexOf(x.x, 2), min(j, n-1-j/2); got != want {
					t.Fatalf("found at %d of %d, not at %d", got, n, want)
				}
			}
		}
	})
}

// TestWeightedColumnKernels holds the kernels for slices side by side to the
// reference.
func TestWeightedColumnKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(75, 76))
		for n := 1; n <= FewCols; n++ {
			for k, f := range fillings {
				if testkit.Long() == 0 && (n+k)%3 > 0 {
					continue
				}
				groups := 1 + (n+k)%(Width/Group)
				width := groups * Group
				x, q := newFenced(n*Width, k%8), newFenced(n*Width, (k+n)%8)
				f.fill(r, x.x)
				coefficientFillings[(n+k)%len(coefficientFillings)](r, q.x)
				var got, want Panel
				sums := someSums(r)
				some := func() float64 { return sums[max(0, r.IntN(40)-30)%len(sums)] }
				for i := range Width {
					want.Max[i], want.Count[i] = x.x[r.IntN(n)*Width+i], 0
					for j := range n {
						if x.x[j*Width+i] == want.Max[i] {
							want.Count[i]++
						}
					}
					want.NegLogSum[i], want.Inverse[i], want.Complement[i], want.Factor[i] = some(), some(), some(), some()
				}
				compare := func(kernel string) {
					t.Helper()
					for i := range width {
						for l := range Lanes {
							if !sameSum(got.Hi[l][i], got.Lo[l][i], want.Hi[l][i], want.Lo[l][i]) {
								t.Fatalf("%s of %d entries, %s: lane %d of slice %d is %v+%v, want %v+%v", kernel, n, f.name, l, i,
									got.Hi[l][i], got.Lo[l][i], want.Hi[l][i], want.Lo[l][i])
							}
						}
					}
					if !x.intact() || !q.intact() {
						t.Fatalf("%s of %d entries wrote outside", kernel, n)
					}
				}
				got = want
				want.weightedLossGo(q.x, x.x, n, groups)
				got.WeightedLoss(q.x, x.x, n, groups)
				for i := range width {
					if !sameSum(got.Hi[0][i], got.Lo[0][i], want.Hi[0][i], want.Lo[0][i]) {
						t.Fatalf("panelWeightedLoss of %d entries, %s: slice %d is %v, want %v", n, f.name, i, got.Sum(i), want.Sum(i))
					}
				}
				got = want

				// Any number of slices and any stride.
				stride := 1 + r.IntN(Width)
				some1, rows := 1+r.IntN(stride), (len(x.x)-1)/stride
				want.ClearSums(Width / Group)
				got.ClearSums(Width / Group)
				want.addGo(x.x, stride, rows, some1)
				got.Add(x.x, stride, rows, some1)
				width = some1
				compare("columnsAdd")
				width = groups * Group

				var low, wantLow LowSums
				for range 2 {
					for l := range Lanes {
						testkit.FillWith(want.Hi[l][:], some)
						testkit.FillWith(want.Lo[l][:], func() float64 { return 0x1p-54 * some() })
					}
					got = want
					want.takeLowGo(&wantLow, groups)
					got.TakeLow(&low, groups)
					compare("columnsTakeLow")
					for l := range Lanes {
						for i := range width {
							if !sameSum(low.mid[l][i], low.low[l][i], wantLow.mid[l][i], wantLow.low[l][i]) {
								t.Fatalf("columnsTakeLow, %s: lane %d of slice %d is %v+%v, want %v+%v", f.name, l, i,
									low.mid[l][i], low.low[l][i], wantLow.mid[l][i], wantLow.low[l][i])
							}
						}
					}
				}
				sumsOf := func(kernel string) {
					t.Helper()
					for i := range width {
						if a, b := got.Sum(i), want.Sum(i); !testkit.Identical(a.Value(), b.Value()) || !testkit.Identical(a.Lo, b.Lo) {
							t.Fatalf("%s, %s: sum of slice %d is %v, want %v", kernel, f.name, i, a, b)
						}
					}
				}
				want.joinLowGo(&wantLow, groups)
				got.JoinLow(&low, groups)
				sumsOf("columnsJoinLow")
				want.sumSlicesGo(x.x, n, groups)
				got.SumSlices(x.x, n, groups)
				sumsOf("panelSumSlices")

				for i := range Width {
					want.Hi[0][i], want.Lo[0][i] = some(), 0x1p-60*some()
					if r.IntN(3) == 0 {
						want.Hi[0][i], want.Lo[0][i] = 1, 0
					}
					// The terms here are anything. Beside a complement above one half
					// those of a row are below it, which a kernel may rely on.
					want.Complement[i] = min(want.Complement[i], 0.5)
					want.ComplementLow[i] = 0x1p-54 * want.Complement[i]
					want.Top[i] = 0
					for j := range n {
						want.Top[i] = max(want.Top[i], q.x[j*Width+i])
					}
				}
				got = want
				a, b := newFenced(len(x.x), 0), newFenced(len(x.x), 5)
				testkit.FillWith(a.x, func() float64 { return 0x1p128 * some() })
				copy(b.x, a.x)
				want.weightedGradientGo(a.x, q.x, x.x, n, groups)
				got.WeightedGradient(b.x, q.x, x.x, n, groups)
				compare("columnsWeightedGradient")
				if j := testkit.Difference(b.x, a.x); j >= 0 {
					t.Fatalf("columnsWeightedGradient of %d entries, %s: entry %d of slice %d is %v, want %v", n, f.name,
						j/Width, j%Width, b.x[j], a.x[j])
				}
				if !b.intact() {
					t.Fatalf("columnsWeightedGradient of %d entries wrote outside", n)
				}
			}
		}
	})
}

// TestPieces: what comes in pieces has the bits of what comes at once.
func TestPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(71, 72))
	for _, n := range []int{PieceLen - 1, PieceLen, PieceLen + 1, 2 * PieceLen, 3*PieceLen + 7} {
		q, x := make([]float64, n), make([]float64, n)
		testkit.FillWith(q, func() float64 { return math.Abs(testkit.Uniform(r)) })
		testkit.FillWith(x, func() float64 { return 100 * testkit.Uniform(r) })
		var loss LaneSum
		var sum CoefficientSum
		loss.addLossGo(q, x, 3, -1)
		sum.addGo(q)
		eachTier(t, func(t *testing.T) {
			if got := WeightedLoss(q, x, 3, -1); got != loss.Sum() {
				t.Errorf("WeightedLoss of %d entries = %x, want %x", n, got, loss.Sum())
			}
			if got := SumOf(q); got != sum.Sum() {
				t.Errorf("SumOf %d entries = %x, want %x", n, got, sum.Sum())
			}
			if l, both := WeightedLossAndSum(q, x, 3, -1); l != loss.Sum() || both != sum.Sum() {
				t.Errorf("WeightedLossAndSum of %d entries = %x, %x, want %x, %x", n, l, both, loss.Sum(), sum.Sum())
			}
		})
	}
}
