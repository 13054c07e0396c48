// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// vectorJacobianGo sets dst to the entries of a vector-Jacobian product, for
// upstream u whose sum is hi+lo. dst may be logp or u.
func vectorJacobianGo(dst, logp, u []float64, hi, lo float64) {
	for j, uj := range u {
		dst[j] = vectorJacobianEntry(logp[j], uj, hi, lo)
	}
}

// columnsVectorJacobianGo is vectorJacobianGo with a sum for every entry.
func columnsVectorJacobianGo(dst, logp, u, hi, lo []float64) {
	for j, uj := range u {
		dst[j] = vectorJacobianEntry(logp[j], uj, hi[j], lo[j])
	}
}

// vectorJacobianEntry returns u·(1-p) - p·(sum - u) for p = e^logp and the
// sum hi+lo of the slice's u: so written, what nearly cancels in u - p·sum
// keeps its digits. 0 times anything is 0.
func vectorJacobianEntry(logp, u, hi, lo float64) float64 {
	e := newExponential(logp)
	v := e.vectorJacobian(u, hi, lo)
	if !IsFinite(v) && IsFinite(u) && IsFinite(hi) {
		// Products that overflow need not have a difference that does.
		const down, up = 0x1p-200, 0x1p200
		v = float64(e.vectorJacobian(float64(u*down), float64(hi*down), float64(lo*down)) * up)
	}
	return Canonical(v)
}

// An exponential is p = e^y, times 2^128 for y ≤ 0 and halved for others, so
// that only a result that is below the normal numbers, or beyond all, is rounded
// as such. complement is 1-p. Both are in two words.
type exponential struct {
	p, pLow                   float64
	unscale                   float64
	complement, complementLow float64
}

// seriesEnd is how far from 0 no power of two is taken out of e^y, so that 1-p
// is made of the power series alone.
const seriesEnd = 1.0 / 28

func newExponential(y float64) exponential {
	switch {
	case y != y:
		return exponential{NaN, NaN, 1, NaN, NaN}
	case y > 710:
		return exponential{math.Inf(1), 0, 1, math.Inf(-1), 0}
	case y < -farthest:
		return exponential{0, 0, 1, 1, 0}
	}
	base, unscale := magic-16, 2.0
	if y <= 0 {
		base, unscale = magic+16*scaleBits, Unscale
	}
	n := base
	if math.Abs(y) >= seriesEnd {
		n = math.FMA(y, sixteenthsPerLn2, base)
	}
	k := n - base
	r := math.FMA(k, -sixteenthHi, y)
	low := float64(k * -sixteenthLo)
	bits := math.Float64bits(n)
	s := math.Float64frombits(power[bits&15] + bits<<48)

	// e^y is s + s·q, q = e^(r+low) - 1 with what s lost.
	z := r + low
	tail := math.FMA(z, 1.0/40320, 1.0/5040)
	tail = math.FMA(tail, z, 1.0/720)
	tail = math.FMA(tail, z, 1.0/120)
	tail = math.FMA(tail, z, 1.0/24)
	tail = math.FMA(tail, z, 1.0/6)
	tail = math.FMA(tail, z, 0.5)
	q, qLow := fastTwoSum(r, math.FMA(tail, float64(z*z), low+powerRest[bits&15]))
	part := float64(s * q)
	partLow := math.FMA(s, qLow, math.FMA(s, q, -part))
	p, pLow := fastTwoSum(s, part)

	s, part, partScaled := float64(s*unscale), float64(part*unscale), float64(partLow*unscale)
	rest, ofOne := TwoSum(1, -s)
	complement, ofRest := TwoSum(rest, -part)
	return exponential{p, pLow + partLow, unscale, complement, (ofOne + ofRest) - partScaled}
}

// vectorJacobian is vectorJacobianEntry, not canonical.
func (e *exponential) vectorJacobian(u, hi, lo float64) float64 {
	var own, ownLow, others, othersLow float64
	if (u != 0 || e.complement != e.complement) && e.complement != 0 {
		own = float64(u * e.complement)
		ownLow = math.FMA(u, e.complementLow, math.FMA(u, e.complement, -own))
	}
	if sum := (hi - u) + lo; e.p != 0 && sum != 0 {
		others = float64(e.p * sum)
		othersLow = float64(math.FMA(e.pLow, sum, math.FMA(e.p, sum, -others)) * e.unscale)
		others = float64(others * e.unscale)
	}
	v := own - others
	if low := ownLow - othersLow; IsFinite(low) {
		v += low
	}
	return v
}
