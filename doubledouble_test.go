// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"example.org/logsoftmax/internal/exact"
)

// The exact functions again, in pairs of doubles: some 100 bits, a hundred
// times as fast as math/big, for long rows and for searches.
// TestDoubleDouble holds them to the exact functions, and so does every worst
// error that the accuracy tests report.

// dd is the sum of hi and lo, which do not overlap.
type dd struct{ hi, lo float64 }

func ddTwoSum(a, b float64) dd {
	s := a + b
	v := s - a
	e := (a - (s - v)) + (b - v)
	if math.IsInf(v, 0) {
		// Next to the end of the range, where b is all of v.
		e = a - (s - b)
	}
	return dd{s, e}
}

func ddFastTwoSum(a, b float64) dd {
	s := a + b
	return dd{s, b - (s - a)}
}

func (a dd) add(b dd) dd {
	s := ddTwoSum(a.hi, b.hi)
	t := ddTwoSum(a.lo, b.lo)
	s = ddFastTwoSum(s.hi, s.lo+t.hi)
	return ddFastTwoSum(s.hi, s.lo+t.lo)
}

func (a dd) neg() dd { return dd{-a.hi, -a.lo} }

func (a dd) mul(b dd) dd {
	p := float64(a.hi * b.hi)
	e := math.FMA(a.hi, b.hi, -p)
	e = math.FMA(a.hi, b.lo, e)
	e = math.FMA(a.lo, b.hi, e)
	return ddFastTwoSum(p, e)
}

// scale multiplies by a power of two.
func (a dd) scale(f float64) dd { return dd{float64(a.hi * f), float64(a.lo * f)} }

func (a dd) quo(b dd) dd {
	q1 := a.hi / b.hi
	r := a.add(b.mul(dd{-q1, 0}))
	q2 := r.hi / b.hi
	r = r.add(b.mul(dd{-q2, 0}))
	q := ddFastTwoSum(q1, q2)
	return q.add(dd{r.hi / b.hi, 0})
}

func ddOf(x float64) dd { return dd{x, 0} }

var (
	ddLn2 [3]float64 // log 2 in three pieces, the first of 32 bits
	// ddInverseFactorial holds 1/n!.
	ddInverseFactorial [10]dd
)

func init() {
	rest := exact.New().Set(exact.Ln2)
	for i := range ddLn2 {
		piece, _ := rest.Float64()
		if i == 0 {
			piece = math.Float64frombits(math.Float64bits(piece) &^ (1<<21 - 1))
		}
		ddLn2[i] = piece
		rest.Sub(rest, exact.Float(piece))
	}
	f := exact.Float(1)
	for n := range ddInverseFactorial {
		if n > 0 {
			f.Quo(f, exact.Float(float64(n)))
		}
		hi, _ := f.Float64()
		lo, _ := exact.New().Sub(f, exact.Float(hi)).Float64()
		ddInverseFactorial[n] = dd{hi, lo}
	}
}

// ddExp returns m and k with e^x = m·2^k, for |x| < 2^20.
func ddExp(x dd) (m dd, k int) {
	n := math.RoundToEven(x.hi / math.Ln2)
	r := x.add(ddOf(-float64(n * ddLn2[0]))) // the product is exact
	p := float64(n * ddLn2[1])
	r = r.add(dd{-p, -math.FMA(n, ddLn2[1], -p)})
	r = r.add(ddOf(-float64(n * ddLn2[2])))
	return ddExpm1(r).add(ddOf(1)), int(n)
}

// ddExpm1 returns e^r - 1 for |r| < 0.4.
func ddExpm1(r dd) dd {
	const halvings = 9
	r = r.scale(1. / (1 << halvings))
	// e^r - 1, and then e^(2r) - 1 = 2(e^r - 1) + (e^r - 1)²
	m := ddInverseFactorial[9]
	for i := 8; i >= 1; i-- {
		m = m.mul(r).add(ddInverseFactorial[i])
	}
	m = m.mul(r)
	for range halvings {
		m = m.scale(2).add(m.mul(m))
	}
	return m
}

// ddLog1p returns log(1+t) for 0 <= t < 2^100.
func ddLog1p(t dd) dd {
	if t.hi < 0x1p-20 {
		// t - t²/2 + t³/3 - …
		sum := dd{}
		for n := 7; n >= 1; n-- {
			sum = ddOf(1).quo(ddOf(float64(n))).add(sum.mul(t).neg())
		}
		return sum.mul(t)
	}
	near := math.Log1p(t.hi)
	m, k := ddExp(ddOf(-near))
	d := t.add(ddOf(1)).mul(m.scale(math.Ldexp(1, k))).add(ddOf(-1))
	return ddOf(near).add(d.add(d.mul(d).scale(-0.5)))
}

// ddScale is a power of two so large that what is multiplied by it has all
// its digits where it would be subnormal.
const (
	ddScale     = 0x1p600
	ddScaleBits = 600
)

// scaled is the number v/ddScale if small is set, and v otherwise.
type scaled struct {
	v     dd
	small bool
}

func (s scaled) neg() scaled { return scaled{s.v.neg(), s.small} }

// ulpsFrom returns |got-s| in units of the distance of the doubles next to
// unit, which has the scale of s.
func (s scaled) ulpsFrom(got, unit float64) float64 {
	if math.IsNaN(got) {
		return math.Inf(1)
	}
	scale, bits := 1.0, 0
	if s.small {
		scale, bits = ddScale, ddScaleBits
	}
	e := -1074
	if unit != 0 {
		e = max(math.Ilogb(unit)-bits-52, e)
	}
	d := math.Abs((float64(got*scale) - s.v.hi) - s.v.lo)
	// In two steps: 2^(-e-bits) alone may be out of range.
	up := -e - bits
	return d * math.Ldexp(1, up/2) * math.Ldexp(1, up-up/2)
}

// ddRow holds the exact functions of one row of finite logits or -Inf; its
// slices are used again from row to row.
type ddRow struct {
	x        []float64
	max      float64
	argmax   int
	count    int  // of the entries equal to max
	gap      []dd // x - max, hi = -Inf beyond the range
	e        []dd // exp(gap)·ddScale
	others   dd   // the sum of e but for entry argmax
	logSum   scaled
	sum      dd // 1 + others/ddScale
	logSumDD dd // logSum without its scale
}

func (r *ddRow) set(x []float64) {
	r.x = x
	r.argmax = 0
	for j, v := range x {
		if v > x[r.argmax] {
			r.argmax = j
		}
	}
	r.max = x[r.argmax]
	r.gap = r.gap[:0]
	r.e = r.e[:0]
	r.others = dd{}
	r.count = 0
	for j, v := range x {
		if v == r.max {
			r.count++
		}
		gap := dd{hi: v - r.max}
		var e dd
		if !math.IsInf(gap.hi, -1) {
			gap = ddTwoSum(v, -r.max)
		}
		if gap.hi > -1000 {
			m, k := ddExp(gap)
			f := math.Float64frombits(uint64(k+ddScaleBits+1023) << 52)
			if k < -1500 {
				f = 0
			}
			e = m.scale(f)
		}
		r.gap = append(r.gap, gap)
		r.e = append(r.e, e)
		if j != r.argmax {
			r.others = r.others.add(e)
		}
	}
	plain := r.others.scale(1 / ddScale)
	r.sum = plain.add(ddOf(1))
	if r.others.hi < ddScale*0x1p-200 {
		// log1p(t) is t, but for less than the last of these digits.
		r.logSum = scaled{r.others, true}
		r.logSumDD = plain
	} else {
		r.logSumDD = ddLog1p(plain)
		r.logSum = scaled{r.logSumDD, false}
	}
}

// logProb is -Inf (in v.hi) where x - max is beyond the range of a double.
func (r *ddRow) logProb(j int) scaled {
	g := r.gap[j]
	if g.hi == 0 {
		return r.logSum.neg()
	}
	if math.IsInf(g.hi, -1) {
		return scaled{g, false}
	}
	return scaled{g.add(r.logSumDD.neg()), false}
}

func (r *ddRow) prob(j int) scaled {
	if j == r.argmax && r.e[j].hi == ddScale {
		return scaled{ddOf(1).quo(r.sum), false}
	}
	return scaled{r.e[j].quo(r.sum), true}
}

// complement returns 1 - prob.
func (r *ddRow) complement(j int) scaled {
	if j == r.argmax {
		return scaled{r.others.quo(r.sum), true}
	}
	p := r.e[j].quo(r.sum)
	return scaled{p.scale(1 / ddScale).neg().add(ddOf(1)), false}
}

// logSumExp is +Inf where it is beyond the range of a double.
func (r *ddRow) logSumExp() scaled {
	if r.logSum.small && math.Abs(r.max) < 0x1p400 {
		return scaled{ddOf(float64(r.max * ddScale)).add(r.logSum.v), true}
	}
	s := ddTwoSum(r.max, r.logSumDD.hi)
	if s.hi == 0 {
		return scaled{dd{r.logSumDD.lo, 0}, false}
	}
	return scaled{ddFastTwoSum(s.hi, s.lo+r.logSumDD.lo), false}
}

func TestDoubleDouble(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	worst := 0.0
	check := func(x []float64) {
		t.Helper()
		var r ddRow
		r.set(x)
		e := exact.NewRow(x)
		one := func(what string, j int, s scaled, want *big.Float) {
			t.Helper()
			b := exact.Float(s.v.hi)
			b.Add(b, exact.Float(s.v.lo))
			if s.small {
				b.SetMantExp(b, -ddScaleBits)
			}
			d := exact.New().Sub(b, want)
			d.Quo(d, exact.Ulp(want))
			ulps, _ := d.Float64()
			ulps = math.Abs(ulps)
			worst = max(worst, ulps)
			if ulps > ddError {
				t.Errorf("%s %d of %v is off by %g ulp", what, j, x, ulps)
			}
		}
		one("log-sum-exp", 0, r.logSumExp(), e.LogSumExp)
		for j := range x {
			one("probability", j, r.prob(j), e.Prob[j])
			one("complement", j, r.complement(j), e.Complement[j])
			if lp := r.logProb(j); !math.IsInf(lp.v.hi, 0) {
				one("log-probability", j, lp, e.LogProb[j])
			}
		}
	}
	for _, sd := range []float64{1e-300, 1e-18, 1e-9, 1e-3, 1, 10, 100, 300} {
		for range 60 {
			x := make([]float64, 2+rnd.IntN(6))
			for j := range x {
				x[j] = rnd.NormFloat64() * sd
			}
			check(x)
			x[0] = 0
			for j := range x {
				x[j] = -math.Abs(x[j])
			}
			check(x)
		}
	}
	for _, tiny := range []float64{5e-324, 1e-322, 1e-310, 1e-300} {
		check([]float64{-tiny, -687.7, -687.8})
		check([]float64{tiny, -740, -3 * tiny})
	}
	for _, offset := range []float64{1e3, 1e6, 1e15, 1e300} {
		check([]float64{offset, math.Nextafter(offset, 0), -offset, 0.1})
	}
	for gap := 0.0; gap < 800; gap += 3.3 {
		check([]float64{gap, 0, 0})
		check([]float64{0, -gap})
	}
	t.Logf("within %.2g ulp of the exact functions", worst)
}

// ddError is what the functions of pairs may be off, in ulp.
const ddError = 1e-9
