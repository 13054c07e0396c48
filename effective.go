// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "math"

// This file has the elementary functions that are wanted to more than a
// double's digits, a few times a call: a pair is an unevaluated sum of two
// doubles of about 105 bits. As everywhere in the package, they are fixed
// sequences of IEEE operations, so that every machine returns the same bits.

// A pair is the number hi+lo, hi being that sum rounded.
type pair struct {
	hi, lo float64
}

// ln 2 to 107 bits.
var ln2 = pair{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}

// plus returns a+b.
func (a pair) plus(b pair) pair {
	s, e := twoSum(a.hi, b.hi)
	t, f := twoSum(a.lo, b.lo)
	s, e = fastTwoSum(s, e+t)
	return pairOf(s, e+f)
}

// times returns a·b.
func (a pair) times(b pair) pair {
	p := float64(a.hi * b.hi)
	e := math.FMA(a.hi, b.hi, -p)
	e += float64(a.hi*b.lo) + float64(a.lo*b.hi)
	return pairOf(p, e)
}

// over returns a/b.
func (a pair) over(b pair) pair {
	q := a.hi / b.hi
	// a - q·b, its leading part exactly.
	r := math.FMA(-q, b.hi, a.hi)
	r += a.lo - float64(q*b.lo)
	return pairOf(q, r/b.hi)
}

// negative returns -a.
func (a pair) negative() pair { return pair{-a.hi, -a.lo} }

// scaled returns a·2^k for a k that neither overflows nor underflows.
func (a pair) scaled(k int) pair {
	return pair{math.Ldexp(a.hi, k), math.Ldexp(a.lo, k)}
}

// pairOf returns the pair hi+lo for a lo small against hi.
func pairOf(hi, lo float64) pair {
	hi, lo = fastTwoSum(hi, lo)
	return pair{hi, lo}
}

// logPair returns log(x) for a finite positive x, to about 2^-98 of it.
//
// x = 2^k·m with m from √½ to √2, and log m = 2·atanh s = 2(s + s³/3 + …)
// with s = (m-1)/(m+1), |s| < 0.172. Where k is 0 all digits of m-1 are
// there, so that log x has its own down to x = 1.
func logPair(x float64) pair {
	m, k := math.Frexp(x)
	if m < sqrtHalf {
		m, k = 2*m, k-1
	}
	hi, lo := twoSum(m, 1)
	s := pair{hi: m - 1}.over(pair{hi, lo})
	square := s.times(s)
	const terms = 21 // 0.172^(2·21) < 2^-106
	sum := pair{}
	for j := terms; j >= 0; j-- {
		sum = sum.times(square).plus(pair{hi: 1}.over(pair{hi: float64(2*j + 1)}))
	}
	l := sum.times(s)
	l = pair{2 * l.hi, 2 * l.lo}
	if k == 0 {
		return l
	}
	return ln2.times(pair{hi: float64(k)}).plus(l)
}

// expm1Pair returns e^r - 1 for |r| ≤ 0.36, to about 2^-98 of it, by its
// power series.
func expm1Pair(r pair) pair {
	const terms = 24 // 0.36^23/24! < 2^-106
	sum := pair{}
	for j := terms; j >= 1; j-- {
		// sum = (1 + sum)·r/j, so that sum becomes r + r²/2 + r³/6 + …
		sum = sum.plus(pair{hi: 1}).times(r).over(pair{hi: float64(j)})
	}
	return sum
}

// reduce returns k and r such that t = k·ln 2 + r with |r| at most ½·ln 2 and
// a little. |t| is at most 2000.
func reduce(t pair) (k int, r pair) {
	n := math.RoundToEven(t.hi / ln2.hi)
	return int(n), t.plus(ln2.times(pair{hi: -n}))
}

// exponential returns e^x within 0.51 ulp, and its special cases: NaN of NaN,
// +Inf where e^x is too large for a double, 0 where it is too small.
func exponential(x float64) float64 {
	switch {
	case x != x:
		return nan
	case x > 710:
		return math.Inf(1)
	case x < -746:
		return 0
	}
	k, r := reduce(pair{hi: x})
	e := pair{hi: 1}.plus(expm1Pair(r))
	return math.Ldexp(e.hi, k)
}

// oneMinusPower returns 1 - beta^n as a pair times 2^exponent, for the log of
// a beta in (0, 1) and a finite n > 0. The exponent lets it go below the
// range of a double.
func oneMinusPower(logBeta pair, n float64) (u pair, exponent int) {
	m, e := math.Frexp(n)
	t := logBeta.times(pair{hi: m}) // n·log(beta) = t·2^e, ½·2^-54 < |t| < 746
	if e < -200 {
		// 1 - e^x = -x to all digits.
		return t.negative(), e
	}
	if e > 70 || math.Ldexp(t.hi, e) < -746 {
		return pair{hi: 1}, 0
	}
	k, r := reduce(t.scaled(e))
	em1 := expm1Pair(r)
	if k == 0 {
		return em1.negative(), 0
	}
	power := pair{hi: 1}.plus(em1).scaled(k)
	return pair{hi: 1}.plus(power.negative()), 0
}
