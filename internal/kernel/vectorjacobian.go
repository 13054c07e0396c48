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
	p, rest := expAndRest(logp)
	var own, others float64
	if u != 0 || logp != logp {
		own = float64(u * rest)
		if rest == 0 {
			own = 0
		}
	}
	if sum := (hi - u) + lo; p != 0 && sum != 0 {
		others = float64(p * sum)
	}
	return Canonical(own - others)
}

// seriesEnd is how far from 0 1 - e^y is formed by its power series.
const seriesEnd = 1.0 / 28

// expAndRest returns e^y and 1 - e^y, the latter through expm1: the one
// within 1.2 ulp, the other within 3.
func expAndRest(y float64) (p, rest float64) {
	switch {
	case y != y:
		return NaN, NaN
	case y > 710:
		return math.Inf(1), math.Inf(-1)
	case y < -farthest:
		return 0, 1
	}
	// Terms are formed times 2^128 for y ≤ 0, so that only the last product
	// rounds to a subnormal number, and halved for others, so that only that
	// overflows.
	f, back := frame{magic: magic - 16}, 2.0
	if y <= 0 {
		f, back = frame{magic: magic + 16*scaleBits}, Unscale
	}
	p = float64(f.term(y) * back)
	if math.Abs(y) > 50 {
		return p, 1 - p
	}
	f = frame{magic: magic}
	s, q := f.parts(y)
	if math.Abs(y) < seriesEnd {
		// Here what q's polynomial leaves of e^y would be too much.
		q = math.FMA(y, 1.0/40320, 1.0/5040)
		q = math.FMA(q, y, 1.0/720)
		q = math.FMA(q, y, 1.0/120)
		q = math.FMA(q, y, 1.0/24)
		q = math.FMA(q, y, 1.0/6)
		q = math.FMA(q, y, 0.5)
		return p, -math.FMA(q, float64(y*y), y)
	}
	// With s = 2^(n/16), 1 - e^y is (1 - s) - s·q; 1 - s is exact from ½ to 2.
	return p, math.FMA(-s, q, 1-s)
}
