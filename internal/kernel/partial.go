// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// sums is what conclude makes of a slice.
type Conclusion struct {
	// negLogSum is -log(Σ e^(x[j]-max)): a log-probability is x[j]-max plus
	// it. NaN where every log-probability is.
	NegLogSum float64
	// LogSumLow is what rounding log(Σ e^(x[j]-max)) lost.
	LogSumLow float64
	// inverse times a term is a probability; InverseLow is what rounding it
	// lost.
	Inverse, InverseLow float64
	// Complement is 1 - p for the probability p of a largest entry that is the
	// only one: the sum of the others. ComplementLow is what rounding it lost.
	Complement, ComplementLow float64
}

// A partial is the sum of the exponentials of some entries, relative to the
// largest of them: 1 for that one, count-1 for those equal to it, and
// 2^-128·(hi+lo) for the rest.
type Partial struct {
	Max, Count, Hi, Lo float64
	// The entries' terms times scale+scaleLow are relative to max, times 2^128.
	scale, scaleLow float64
}

// newPartial returns the partial of entries whose maximum is max, count of
// them, with hi+lo the sum of the terms of the others in max's frame.
func newPartial(max, count, hi, lo float64) Partial {
	top := newFrame(max).top
	g, gLow := expPair(-top, 0, exponentMagic(top))
	u := float64(hi * g)
	uLow := math.FMA(hi, g, -u)
	uLow = uLow + math.FMA(hi, gLow, float64(lo*g))
	u, uLow = fastTwoSum(u, uLow)
	return Partial{max, count, u, uLow, g, gLow}
}

// Conclude returns what follows from the partial of a whole slice.
func (p *Partial) Conclude() Conclusion {
	if !(math.Abs(p.Max) < math.Inf(1)) {
		return Conclusion{NaN, NaN, NaN, NaN, NaN, NaN}
	}
	u, uLow := p.others()
	s, sLow := sumWith(u, uLow)
	tail, tailLow := p.tail()
	c := probabilities(Pair{p.scale, p.scaleLow}, Pair{tail, tailLow}, Pair{s, sLow})
	l := newLogarithm(s, sLow, u, uLow)
	logSum, logSumLow := l.value()
	c.NegLogSum, c.LogSumLow = -logSum, logSumLow
	return c
}

// probabilities returns the fields of a Conclusion that probabilities need, of a
// slice with a partial of this scale, tail and sum.
func probabilities(scale, tail, sum Pair) (c Conclusion) {
	reciprocal := 1 / sum.Hi
	inverse, inverseLow := quotient(scale.Hi, scale.Lo, sum.Hi, sum.Lo, reciprocal)
	c.Inverse, c.InverseLow = float64(inverse*Unscale), float64(inverseLow*Unscale)
	c.Complement, c.ComplementLow = quotient(tail.Hi, tail.Lo, sum.Hi, sum.Lo, reciprocal)
	return c
}

// quotient returns (a+aLow)/(b+bLow) in two words, where reciprocal is 1/b.
func quotient(a, aLow, b, bLow, reciprocal float64) (hi, lo float64) {
	q := float64(a * reciprocal)
	r := math.FMA(-q, b, a)
	r = r + math.FMA(-q, bLow, aLow)
	hi = math.FMA(r, reciprocal, q)
	return hi, math.FMA(r, reciprocal, q-hi)
}

// tail returns Σ e^(x[j]-max) of the partial's entries that are not largest.
func (p *Partial) tail() (u, uLow float64) {
	return float64(p.Hi * Unscale), float64(p.Lo * Unscale)
}

// others returns Σ e^(x[j]-max) of the partial's entries but one largest.
func (p *Partial) others() (u, uLow float64) {
	tail, tailLow := p.tail()
	u, uLow = TwoSum(p.Count-1, tail)
	return u, uLow + tailLow
}

// Sum returns Σ e^(x[j]-max) of the partial's entries.
func (p *Partial) Sum() (s, sLow float64) { return sumWith(p.others()) }

// sumWith returns 1+u+uLow.
func sumWith(u, uLow float64) (s, sLow float64) {
	s, sLow = TwoSum(1, u)
	return s, sLow + uLow
}

// merge adds the partial of other entries of the same slice. What it leaves
// in p.scale belongs to the entries that have the largest maximum.
func (p *Partial) Merge(q Partial) {
	if p.Max != p.Max {
		return
	}
	if q.Max != q.Max || q.Max > p.Max {
		*p, q = q, *p
	}
	if p.Max != p.Max || math.IsInf(p.Max, 1) || math.IsInf(q.Max, -1) {
		return
	}
	hi, lo := q.Hi, q.Lo
	if q.Max == p.Max {
		p.Count = p.Count + q.Count
	} else {
		s, sLow := q.Sum()
		f, fLow := scaledExpDifference(q.Max, p.Max, scaleBits)
		hi = float64(s * f)
		lo = math.FMA(s, f, -hi)
		lo = lo + math.FMA(s, fLow, float64(sLow*f))
	}
	sum, rest := TwoSum(p.Hi, hi)
	p.Hi, p.Lo = sum, (p.Lo+lo)+rest
}

// scaledExpDifference returns e^(a-b)·2^bits for finite a < b, and 0 from a
// difference of farthest on.
func scaledExpDifference(a, b float64, bits int) (f, fLow float64) {
	d, dLow := TwoSum(a, -b)
	if !(d > -farthest) {
		return 0, 0
	}
	return expPair(d, dLow, magic+float64(16*bits))
}

// Factors are the numbers that multiply, one after the other, the terms of a
// partial to make them probabilities: First, which has a low word, and Second, a
// power of two. They are two so that the first is not below the normal numbers
// while a probability need not be. All are NaN where the probabilities are.
type Factors struct{ First, FirstLow, Second float64 }

const (
	// From a difference of farFrom on, two maxima are told apart by Second,
	// which is 2^-farBits.
	farFrom = 500
	farBits = 600
	far     = 0x1p-600
)

// Probability returns that of a term.
func (f *Factors) Probability(term float64) float64 {
	return float64(float64(term*f.First) * f.Second)
}

// Factors returns the factors of p's terms in a slice of which whole is the
// partial.
func (p *Partial) Factors(whole *Partial) Factors {
	if !(math.Abs(whole.Max) < math.Inf(1)) {
		return Factors{NaN, NaN, NaN}
	}
	if math.IsInf(p.Max, -1) {
		return Factors{0, 0, 1}
	}
	s, sLow := whole.Sum()
	reciprocal := 1 / s
	if p.Max == whole.Max {
		hi, lo := quotient(p.scale, p.scaleLow, s, sLow, reciprocal)
		return Factors{float64(hi * Unscale), float64(lo * Unscale), 1}
	}
	bits, second := scaleBits, 1.0
	if whole.Max-p.Max >= farFrom {
		bits, second = scaleBits+farBits, far
	}
	f, fLow := scaledExpDifference(p.Max, whole.Max, bits)
	g := float64(p.scale * f)
	gLow := math.FMA(p.scale, f, -g)
	gLow = gLow + math.FMA(p.scale, fLow, float64(p.scaleLow*f))
	hi, lo := quotient(g, gLow, s, sLow, reciprocal)
	return Factors{float64(float64(hi*Unscale) * Unscale), float64(float64(lo*Unscale) * Unscale), second}
}
