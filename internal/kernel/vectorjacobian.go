// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// vectorJacobianRowsGo sets rows of n entries to those of a vector-Jacobian
// product, for upstream u whose row i adds up to hi[i]+lo[i]. dst may be logp or u.
func vectorJacobianRowsGo(dst, logp, u Rows, rows, n int, hi, lo []float64) {
	for i := range rows {
		vectorJacobianGo(dst.row(i, n), logp.row(i, n), u.row(i, n), hi[i], lo[i])
	}
}

// vectorJacobianColumnsGo is the same for upstream whose column j adds up to
// hi[j]+lo[j].
func vectorJacobianColumnsGo(dst, logp, u Rows, rows, n int, hi, lo []float64) {
	for i := range rows {
		columnsVectorJacobianGo(dst.row(i, n), logp.row(i, n), u.row(i, n), hi, lo)
	}
}

// vectorJacobianGo is vectorJacobianRowsGo of one row.
func vectorJacobianGo(dst, logp, u []float64, hi, lo float64) {
	for j, uj := range u {
		dst[j] = vectorJacobianEntry(logp[j], uj, hi, lo)
	}
}

// columnsVectorJacobianGo is vectorJacobianColumnsGo of one row.
func columnsVectorJacobianGo(dst, logp, u, hi, lo []float64) {
	for j, uj := range u {
		dst[j] = vectorJacobianEntry(logp[j], uj, hi[j], lo[j])
	}
}

// vectorJacobianEntry returns u·(1-p) - p·(sum - u) for p = e^logp and the
// sum hi+lo of the slice's u: so written, what nearly cancels in u - p·sum
// keeps its digits. 0 times anything is 0.
func vectorJacobianEntry(logp, u, hi, lo float64) float64 {
	if logp != logp {
		return NaN
	}
	e := newExponential(logp)
	v, low := e.vectorJacobian(u, hi, lo)
	if IsFinite(low) {
		return Canonical(v + low)
	}
	if IsFinite(u) && IsFinite(hi) {
		// Products that overflow need not have a difference that does.
		v, low = e.vectorJacobian(float64(u*jacobianDown), float64(hi*jacobianDown), float64(lo*jacobianDown))
		if IsFinite(low) {
			v += low
		}
		v = float64(v * jacobianUp)
	}
	return Canonical(v)
}

// jacobianDown is what products that overflow are scaled by, and jacobianUp takes
// that back.
const jacobianDown, jacobianUp = 0x1p-200, 0x1p200

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

// mostExponent is the y above which e^y is taken to be infinite.
const mostExponent = 710

// newExponential is of a y that is not NaN.
func newExponential(y float64) exponential {
	switch {
	case y > mostExponent:
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
	r = math.FMA(k, -sixteenthLo, r)
	bits := math.Float64bits(n)
	s := math.Float64frombits(power[bits&15] + bits<<48)

	// e^y is s + s·q, q = e^r - 1 with what s lost.
	tail := math.FMA(r, 1.0/40320, 1.0/5040)
	tail = math.FMA(tail, r, 1.0/720)
	tail = math.FMA(tail, r, 1.0/120)
	tail = math.FMA(tail, r, 1.0/24)
	tail = math.FMA(tail, r, 1.0/6)
	tail = math.FMA(tail, r, 0.5)
	part := float64(s * (r + math.FMA(tail, float64(r*r), powerRest[bits&15])))
	p, pLow := fastTwoSum(s, part)
	// 1-s is exact from ½ to 2, and not less than part anywhere.
	s, part = float64(s*unscale), float64(part*unscale)
	left := 1 - s
	complement, complementLow := fastTwoSum(left, -part)
	return exponential{p, pLow, unscale, complement, complementLow}
}

// vectorJacobian returns a vectorJacobianEntry in two words, of which the second
// is not finite where a product is not.
func (e *exponential) vectorJacobian(u, hi, lo float64) (v, low float64) {
	var product, productLow float64
	if others := hi - u; e.p != 0 && (others != 0 || lo != 0) {
		product = float64(e.p * others)
		productLow = math.FMA(e.p, lo, math.FMA(e.pLow, others, math.FMA(e.p, others, -product)))
	}
	complement, complementLow := e.complement, e.complementLow
	if complement == 0 || u == 0 {
		// Also of an infinity.
		u, complement, complementLow = 0, 0, 0
	}
	v = math.FMA(u, complement, -float64(product*e.unscale))
	return v, math.FMA(u, complementLow, -float64(productLow*e.unscale))
}
