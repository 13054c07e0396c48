// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

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
	Unscale   = 0x1p-128

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
var NaN = math.NaN()

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
