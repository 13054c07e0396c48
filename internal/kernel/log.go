// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// A logarithm is log(sum+rest) for sum+rest = 1+u+uLow and 0 ≤ u < 2^52, half
// done: that is 2^k·(1+f), with 1+f from √½ to √2. u and uLow are read where k
// is 0.
type logarithm struct {
	k, f, fLow float64
	d, dLow    float64 // 2+f
}

func newLogarithm(sum, rest, u, uLow float64) logarithm {
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
