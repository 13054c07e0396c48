// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "math"

// This file is the specification of the numbers: every function is a fixed
// sequence of IEEE 754 operations, each rounded once, with every fused
// multiply-add written as math.FMA and every product that must not be fused
// written as float64(x*y). The kernels in assembly follow it operation by
// operation and return the same bits.

const (
	// magic is added to a number below 2^51 to round it to an integer, which
	// the low bits of the sum then hold in two's complement.
	magic = 0x1.8p52

	// scaleBits: exponentials are summed times 2^128, so that the terms near
	// and below the smallest normal number lose no digits.
	scaleBits = 128
	scale     = 0x1p128
	unscale   = 0x1p-128

	// A logit further than farthest below the largest is clamped there. What
	// it then adds to the sum, e^-790 < 2^-1139, shows in no result: it would
	// take 2^64 of them.
	farthest = 790

	// From shiftFrom on, the largest logit is subtracted before the
	// exponential: exactly, by Sterbenz' lemma, wherever the difference is
	// not clamped. Below it nothing is subtracted, which is exact too.
	shiftFrom = 1600
)

// nan is the one NaN that the package writes.
var nan = math.NaN()

// A frame says how the exponentials of a slice with a given maximum are
// formed: term j is e^(x[j]-shift)·2^(128-exponent), where exponent is chosen
// so that the maximum's term lies in [2^128, 2^129), give or take a rounding.
type frame struct {
	shift float64 // the maximum if that is large, else 0
	top   float64 // the maximum less shift
	magic float64 // 1.5·2^52 + 16·(128-exponent)
	lower float64 // the least x-shift that is told from -Inf
}

// newFrame returns the frame for a finite maximum, and for any other the one
// for 0.
func newFrame(max float64) frame {
	if !(math.Abs(max) < math.Inf(1)) {
		max = 0
	}
	shift := 0.0
	if math.Abs(max) >= shiftFrom {
		shift = max
	}
	top := max - shift
	return frame{
		shift: shift,
		top:   top,
		magic: (2*magic + 16*scaleBits) - exponentMagic(top),
		lower: top - farthest,
	}
}

// exponentMagic returns 1.5·2^52 + 16·k for the exponent k of e^top.
func exponentMagic(top float64) float64 {
	n := math.FMA(top, sixteenthsPerLn2, magic)
	return math.Float64frombits(math.Float64bits(n) &^ 15)
}

// parts returns e^y·2^(128-exponent) as s + s·q for the frame's exponent, y
// from lower to the frame's largest y. s is a double with no rounding in it
// and |q| < 0.022, so that the sum holds some ten bits more than a double.
//
// e^y = 2^(n/16)·e^r: n is y·16/ln 2 rounded, r the difference, formed with
// ln2/16 in two parts, of which the first leaves no rounding. s is 2^(n/16)
// rounded; q is e^r - 1 and what s lost.
func (f *frame) parts(y float64) (s, q float64) {
	n := math.FMA(y, sixteenthsPerLn2, f.magic)
	k := n - f.magic
	r := math.FMA(k, -sixteenthHi, y)
	r = math.FMA(k, -sixteenthLo, r)
	bits := math.Float64bits(n)
	s = math.Float64frombits(power[bits&15] + bits<<48)
	q = math.FMA(math.FMA(expTail(r), r, 1), r, powerRest[bits&15])
	return s, q
}

// term returns the sum of parts, within 0.58 ulp of what it stands for.
func (f *frame) term(y float64) float64 {
	s, q := f.parts(y)
	return math.FMA(s, q, s)
}

// expTail returns (e^r - 1 - r)/r².
func expTail(r float64) float64 {
	q := math.FMA(exp6, r, exp5)
	q = math.FMA(q, r, exp4)
	q = math.FMA(q, r, exp3)
	return math.FMA(q, r, exp2)
}

// twoSum returns a+b rounded and what the rounding lost, exactly (Knuth). For
// infinities and NaN, sum is theirs and rest is NaN.
func twoSum(a, b float64) (sum, rest float64) {
	sum = a + b
	c := sum - a
	return sum, (a - (sum - c)) + (b - c)
}

// fastTwoSum is twoSum for |a| ≥ |b| or a = 0 (Dekker).
func fastTwoSum(a, b float64) (sum, rest float64) {
	sum = a + b
	return sum, b - (sum - a)
}

// expPair returns e^(z+zLow) as hi+lo times 2^k, where base is 1.5·2^52 + 16·k,
// to about 2^-63 of it besides the polynomial's 2^-56. z is at most 2400 in
// magnitude, zLow at most an ulp of it.
func expPair(z, zLow, base float64) (hi, lo float64) {
	n := math.FMA(z, sixteenthsPerLn2, base)
	k := n - base
	r := math.FMA(k, -sixteenthHi, z)
	low := math.FMA(k, -sixteenthLo, zLow)
	bits := math.Float64bits(n)
	s := math.Float64frombits(power[bits&15] + bits<<48)
	sum := r + low
	low = math.FMA(expTail(sum), float64(sum*sum), low+powerRest[bits&15])
	q, qLow := fastTwoSum(r, low)
	p := float64(s * q)
	pLow := math.FMA(s, q, -p)
	pLow = math.FMA(s, qLow, pLow)
	hi, lo = fastTwoSum(s, p)
	return hi, lo + pLow
}

// A logarithm is log(1+u+uLow) for 0 ≤ u < 2^52, half done: 1+u+uLow is
// 2^k·(1+f), with 1+f from √½ to √2.
type logarithm struct {
	k, f, fLow float64
	d, dLow    float64 // 2+f
}

func newLogarithm(u, uLow float64) logarithm {
	sum, rest := twoSum(1, u)
	rest = rest + uLow
	// The bits of sum less those of √½ have k in place of the exponent.
	exponent := (math.Float64bits(sum) - math.Float64bits(sqrtHalf)) >> 52
	k := math.Float64frombits(exponent+math.Float64bits(0x1p52)) - 0x1p52
	power := math.Float64frombits((1023 - exponent) << 52)
	f := math.FMA(sum, power, -1)
	fLow := float64(rest * power)
	if exponent == 0 {
		f, fLow = u, uLow
	}
	d := f + 2
	return logarithm{k, f, fLow, d, (f - (d - 2)) + fLow}
}

// value returns the logarithm as hi+lo, hi being that rounded, within 0.53
// ulp.
//
// log(1+f) = w + w³·p(w²) with w = 2f/(2+f), which is formed in two parts.
func (l *logarithm) value() (hi, lo float64) {
	reciprocal := 1 / l.d
	f2 := l.f + l.f
	w := float64(f2 * reciprocal)
	wLow := math.FMA(-w, l.d, f2)
	wLow = wLow + math.FMA(-w, l.dLow, l.fLow+l.fLow)
	wLow = float64(wLow * reciprocal)

	t := float64(w * w)
	p := math.FMA(log15, t, log13)
	p = math.FMA(p, t, log11)
	p = math.FMA(p, t, log9)
	p = math.FMA(p, t, log7)
	p = math.FMA(p, t, log5)
	p = math.FMA(p, t, log3)
	low := math.FMA(float64(t*w), p, wLow)

	hi, lo = fastTwoSum(float64(l.k*ln2Hi), w)
	low = math.FMA(l.k, ln2Lo, low)
	return fastTwoSum(hi, lo+low)
}

const sqrtHalf = 0x1.6a09e667f3bcdp-01

// sums is what conclude makes of a slice.
type sums struct {
	// negLogSum is -log(Σ e^(x[j]-max)): a log-probability is x[j]-max plus
	// it. NaN where every log-probability is.
	negLogSum float64
	// logSumLow is what rounding log(Σ e^(x[j]-max)) lost.
	logSumLow float64
	// inverse times a term is a probability; inverseLow is what rounding it
	// lost.
	inverse, inverseLow float64
	// rest is 1 - p for the probability p of a largest entry that is the
	// only one: the sum of the others.
	rest float64
}

// A partial is the sum of the exponentials of some entries, relative to the
// largest of them: 1 for that one, count-1 for those equal to it, and
// 2^-128·(hi+lo) for the rest.
type partial struct {
	max, count, hi, lo float64
	// The entries' terms times scale+scaleLow are relative to max, times 2^128.
	scale, scaleLow float64
}

// newPartial returns the partial of entries whose maximum is max, count of
// them, with hi+lo the sum of the terms of the others in max's frame.
func newPartial(max, count, hi, lo float64) partial {
	top := newFrame(max).top
	g, gLow := expPair(-top, 0, exponentMagic(top))
	u := float64(hi * g)
	uLow := math.FMA(hi, g, -u)
	uLow = uLow + math.FMA(hi, gLow, float64(lo*g))
	u, uLow = fastTwoSum(u, uLow)
	return partial{max, count, u, uLow, g, gLow}
}

// conclude returns what follows from the partial of a whole slice.
func (p *partial) conclude() sums {
	if !(math.Abs(p.max) < math.Inf(1)) {
		return sums{nan, nan, nan, nan, nan}
	}
	s, sLow := p.sum()
	reciprocal := 1 / s
	negLogSum, logSumLow := p.negLogSum()
	inverse, inverseLow := quotient(p.scale, p.scaleLow, s, sLow, reciprocal)
	rest, _ := quotient(float64(p.hi*unscale), float64(p.lo*unscale), s, sLow, reciprocal)
	return sums{
		negLogSum:  negLogSum,
		logSumLow:  logSumLow,
		inverse:    float64(inverse * unscale),
		inverseLow: float64(inverseLow * unscale),
		rest:       rest,
	}
}

// negLogSum returns the fields of sums that LogSoftmax and losses need.
func (p *partial) negLogSum() (negLogSum, logSumLow float64) {
	if !(math.Abs(p.max) < math.Inf(1)) {
		return nan, nan
	}
	u, uLow := p.others()
	l := newLogarithm(u, uLow)
	logSum, logSumLow := l.value()
	return -logSum, logSumLow
}

// quotient returns (a+aLow)/(b+bLow) in two words, where reciprocal is 1/b.
func quotient(a, aLow, b, bLow, reciprocal float64) (hi, lo float64) {
	q := float64(a * reciprocal)
	r := math.FMA(-q, b, a)
	r = r + math.FMA(-q, bLow, aLow)
	hi = math.FMA(r, reciprocal, q)
	return hi, math.FMA(r, reciprocal, q-hi)
}

// others returns Σ e^(x[j]-max) of the partial's entries but one largest.
func (p *partial) others() (u, uLow float64) {
	u, uLow = twoSum(p.count-1, float64(p.hi*unscale))
	return u, uLow + float64(p.lo*unscale)
}

// sum returns Σ e^(x[j]-max) of the partial's entries.
func (p *partial) sum() (s, sLow float64) {
	u, uLow := p.others()
	s, sLow = twoSum(1, u)
	return s, sLow + uLow
}

// merge adds the partial of other entries of the same slice. What it leaves
// in p.scale belongs to the entries that have the largest maximum.
func (p *partial) merge(q partial) {
	if p.max != p.max {
		return
	}
	if q.max != q.max || q.max > p.max {
		*p, q = q, *p
	}
	if p.max != p.max || math.IsInf(p.max, 1) || math.IsInf(q.max, -1) {
		return
	}
	hi, lo := q.hi, q.lo
	if q.max == p.max {
		p.count = p.count + q.count
	} else {
		s, sLow := q.sum()
		f, fLow := scaledExpDifference(q.max, p.max)
		hi = float64(s * f)
		lo = math.FMA(s, f, -hi)
		lo = lo + math.FMA(s, fLow, float64(sLow*f))
	}
	sum, rest := twoSum(p.hi, hi)
	p.hi, p.lo = sum, (p.lo+lo)+rest
}

// scaledExpDifference returns e^(a-b)·2^128 for finite a < b, and 0 from a
// difference of farthest on.
func scaledExpDifference(a, b float64) (f, fLow float64) {
	d, dLow := twoSum(a, -b)
	if !(d > -farthest) {
		return 0, 0
	}
	return expPair(d, dLow, magic+16*scaleBits)
}

// factors are the numbers that multiply, one after the other, the terms of a
// partial to make them probabilities: first, which has a low word, and second.
// They are two so that neither is below the normal numbers while a probability
// need not be. All are NaN where the probabilities are.
type factors struct{ first, firstLow, second float64 }

// factors returns the factors of p's terms in a slice of which whole is the
// partial.
func (p *partial) factors(whole *partial) factors {
	if !(math.Abs(whole.max) < math.Inf(1)) {
		return factors{nan, nan, nan}
	}
	s, sLow := whole.sum()
	reciprocal := 1 / s
	scaled := func(a, aLow, by float64) factors {
		hi, lo := quotient(a, aLow, s, sLow, reciprocal)
		return factors{float64(float64(hi*unscale) * by), float64(float64(lo*unscale) * by), 1}
	}
	if p.max == whole.max {
		return scaled(p.scale, p.scaleLow, 1)
	}
	if math.IsInf(p.max, -1) {
		return factors{0, 0, 1}
	}
	f, fLow := scaledExpDifference(p.max, whole.max)
	if f < 0x1p-600 {
		c := scaled(p.scale, p.scaleLow, 1)
		c.second = float64(f * unscale)
		return c
	}
	g := float64(p.scale * f)
	gLow := math.FMA(p.scale, f, -g)
	gLow = gLow + math.FMA(p.scale, fLow, float64(p.scaleLow*f))
	return scaled(g, gLow, unscale)
}
