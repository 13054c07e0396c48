// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// This file has the elementary functions that are wanted to more than a
// double's digits, a few times a call: a pair is an unevaluated sum of two
// doubles of about 105 bits. As everywhere in the package, they are fixed
// sequences of IEEE operations, so that every machine returns the same bits.

// A pair is the number hi+lo, hi being that sum rounded.
type Pair struct {
	Hi, Lo float64
}

// ln 2 to 107 bits.
var ln2 = Pair{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}

// plus returns a+b.
func (a Pair) Plus(b Pair) Pair {
	s, e := TwoSum(a.Hi, b.Hi)
	t, f := TwoSum(a.Lo, b.Lo)
	s, e = fastTwoSum(s, e+t)
	return pairOf(s, e+f)
}

// times returns a·b.
func (a Pair) Times(b Pair) Pair {
	p := float64(a.Hi * b.Hi)
	e := math.FMA(a.Hi, b.Hi, -p)
	e += float64(a.Hi*b.Lo) + float64(a.Lo*b.Hi)
	return pairOf(p, e)
}

// over returns a/b.
func (a Pair) Over(b Pair) Pair {
	q := a.Hi / b.Hi
	// a - q·b, its leading part exactly.
	r := math.FMA(-q, b.Hi, a.Hi)
	r += a.Lo - float64(q*b.Lo)
	return pairOf(q, r/b.Hi)
}

// negative returns -a.
func (a Pair) negative() Pair { return Pair{-a.Hi, -a.Lo} }

// scaled returns a·2^k for a k that neither overflows nor underflows.
func (a Pair) Scaled(k int) Pair {
	return Pair{math.Ldexp(a.Hi, k), math.Ldexp(a.Lo, k)}
}

// Ldexp returns a·2^k as a double, rounded once. a is not negative, and 0 or
// not far from 1.
func (a Pair) Ldexp(k int) float64 {
	const least, precision = -1074, 53
	_, e := math.Frexp(a.Hi)
	switch e += k; {
	case e >= least+precision:
		return math.Ldexp(a.Hi, k)
	case e < least:
		return 0
	}
	// Against so large a number only whole units of the subnormals are left.
	large := math.Ldexp(0x1p52, least-k)
	s, rest := TwoSum(large, a.Hi)
	return math.Ldexp((s+(rest+a.Lo))-large, k)
}

// pairOf returns the pair hi+lo for a lo small against hi.
func pairOf(hi, lo float64) Pair {
	hi, lo = fastTwoSum(hi, lo)
	return Pair{hi, lo}
}

// LogPair returns log(x) for a finite positive x, to about 2^-98 of it.
//
// x = 2^k·m with m from √½ to √2, and log m = 2·atanh s = 2(s + s³/3 + …)
// with s = (m-1)/(m+1), |s| < 0.172. Where k is 0 all digits of m-1 are
// there, so that log x has its own down to x = 1.
func LogPair(x float64) Pair {
	m, k := math.Frexp(x)
	if m < sqrtHalf {
		m, k = 2*m, k-1
	}
	hi, lo := TwoSum(m, 1)
	s := Pair{Hi: m - 1}.Over(Pair{hi, lo})
	square := s.Times(s)
	const terms = 21 // 0.172^(2·21) < 2^-106
	sum := Pair{}
	for j := terms; j >= 0; j-- {
		sum = sum.Times(square).Plus(Pair{Hi: 1}.Over(Pair{Hi: float64(2*j + 1)}))
	}
	l := sum.Times(s)
	l = Pair{2 * l.Hi, 2 * l.Lo}
	if k == 0 {
		return l
	}
	return ln2.Times(Pair{Hi: float64(k)}).Plus(l)
}

// expm1Pair returns e^r - 1 for |r| ≤ 0.36, to about 2^-98 of it, by its
// power series.
func expm1Pair(r Pair) Pair {
	const terms = 24 // 0.36^23/24! < 2^-106
	sum := Pair{}
	for j := terms; j >= 1; j-- {
		// sum = (1 + sum)·r/j, so that sum becomes r + r²/2 + r³/6 + …
		sum = sum.Plus(Pair{Hi: 1}).Times(r).Over(Pair{Hi: float64(j)})
	}
	return sum
}

// reduce returns k and r such that t = k·ln 2 + r with |r| at most ½·ln 2 and
// a little. |t| is at most 2000.
func reduce(t Pair) (k int, r Pair) {
	n := math.RoundToEven(t.Hi / ln2.Hi)
	return int(n), t.Plus(ln2.Times(Pair{Hi: -n}))
}

// Exponential returns e^x within 0.501 ulp, and its special cases: NaN of NaN,
// +Inf where e^x is too large for a double, 0 where it is too small.
func Exponential(x float64) float64 {
	switch {
	case x != x:
		return NaN
	case x > 710:
		return math.Inf(1)
	case x < -746:
		return 0
	}
	k, r := reduce(Pair{Hi: x})
	return Pair{Hi: 1}.Plus(expm1Pair(r)).Ldexp(k)
}

// OneMinusPower returns 1 - beta^n as a pair times 2^exponent, for the log of
// a beta in (0, 1) and a finite n > 0. The exponent lets it go below the
// range of a double.
func OneMinusPower(logBeta Pair, n float64) (u Pair, exponent int) {
	m, e := math.Frexp(n)
	t := logBeta.Times(Pair{Hi: m}) // n·log(beta) = t·2^e, ½·2^-54 < |t| < 746
	if e < -200 {
		// 1 - e^x = -x to all digits.
		return t.negative(), e
	}
	if e > 70 || math.Ldexp(t.Hi, e) < -746 {
		return Pair{Hi: 1}, 0
	}
	k, r := reduce(t.Scaled(e))
	em1 := expm1Pair(r)
	if k == 0 {
		return em1.negative(), 0
	}
	power := Pair{Hi: 1}.Plus(em1).Scaled(k)
	return Pair{Hi: 1}.Plus(power.negative()), 0
}
