// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "math"

// The kernels of losses and gradients that have a coefficient for every entry,
// in Go, as kernel.go has the others: those named …Go are reached through a
// function without that suffix, which picks the tier. Their sums are in lanes
// too: entry j belongs to lane j mod 8, a lane adds up by twoSum in order, and
// the lanes are joined as in joinLanes.

// weightedLoss returns the sum of q[c] times minus the log-probability
// x[c]-max+negLogSum, leaving out the terms whose coefficient is 0. For x that
// are log-probabilities themselves, max and negLogSum are 0.
func weightedLoss(q, x []float64, max, negLogSum float64) float64 {
	hi, lo := weightedLossSum(q, x[:len(q)], max, negLogSum)
	return accumulator{hi, lo}.value()
}

// weightedLossAndSum returns what weightedLoss and sumOf do.
func weightedLossAndSum(q, x []float64, max, negLogSum float64) (float64, accumulator) {
	hi, lo, sumHi, sumLo := weightedLossSums(q, x[:len(q)], max, negLogSum)
	sumHi, sumLo = sumAndRest(sumHi, sumLo)
	return accumulator{hi, lo}.value(), accumulator{sumHi, sumLo}
}

// weightedLossSumsGo is weightedLossGo and laneSumGo of q.
func weightedLossSumsGo(q, x []float64, max, negLogSum float64) (hi, lo, sumHi, sumLo float64) {
	hi, lo = weightedLossGo(q, x, max, negLogSum)
	sumHi, sumLo = laneSumGo(q)
	return hi, lo, sumHi, sumLo
}

// weightedLossGo returns the sum of weightedLoss in two words; which NaN they
// are is open, and where a term is infinite what lo is. A term that is left
// out may as well be added as +0.
func weightedLossGo(q, x []float64, max, negLogSum float64) (hi, lo float64) {
	var sum, rest [lanes]float64
	for c, qc := range q {
		if qc == 0 {
			continue
		}
		addTwoSum(&sum[c%lanes], &rest[c%lanes], lossTerm(qc, x[c], max, negLogSum))
	}
	return joinLanes(&sum, &rest)
}

func lossTerm(q, x, max, negLogSum float64) float64 {
	return float64(q * -(negLogSum + (x - max)))
}

// addTwoSum adds v to the sum hi+lo.
func addTwoSum(hi, lo *float64, v float64) {
	sum, rest := twoSum(*hi, v)
	*hi = sum
	*lo += rest
}

// sumOf returns Σ x[j] and what rounding that lost.
func sumOf(x []float64) (sum, rest float64) { return sumAndRest(laneSum(x)) }

// laneSumGo returns Σ x[j] in two words; which NaN they are is open.
func laneSumGo(x []float64) (hi, lo float64) {
	var sum, rest [lanes]float64
	for j, v := range x {
		addTwoSum(&sum[j%lanes], &rest[j%lanes], v)
	}
	return joinLanes(&sum, &rest)
}

// sumAndRest returns hi+lo rounded and what that lost, nothing where the sum
// is not finite.
func sumAndRest(hi, lo float64) (sum, rest float64) {
	if !isFinite(hi) || !isFinite(lo) {
		return hi, 0
	}
	return fastTwoSum(hi, lo)
}

// weightedGradientGo sets dst[j] to weightedEntry for the probability of
// terms[j] and the coefficient q[j]. dst may be terms or q.
func weightedGradientGo(dst, terms, q []float64, f factors, sum accumulator, g float64) {
	for j, e := range terms {
		dst[j] = weightedEntry(weightedProbability(e, q[j], &f, sum), q[j], sum, g)
	}
}

// weightedProbability returns the probability of a term as weightedEntry wants
// it: within 1.2 ulp but for the rounding by second. Only where all or nothing of
// the sum is in the coefficient it is what a label's gradient is made of; an
// error in it then counts once, and a distribution that is all in one class has
// the gradient of that label to the bit.
func weightedProbability(term, q float64, f *factors, sum accumulator) float64 {
	low := 0.0
	if q != 0 && q != sum.hi {
		low = float64(term * f.firstLow)
	}
	return float64(math.FMA(term, f.first, low) * f.second)
}

// weightedEntry returns g·(p·Q - q), Q being the sum of the coefficients.
func weightedEntry(p, q float64, sum accumulator, g float64) float64 {
	return canonical(float64(math.FMA(p, sum.lo, math.FMA(p, sum.hi, -q)) * g))
}

// weightedLargest is weightedEntry for the only largest entry, of which
// rest = 1-p is known better than by subtraction. Where that counts, above one
// half and where the coefficient is all of the sum, it returns
// g·(p·(Q-q) - q·rest).
func weightedLargest(p, rest, q float64, sum accumulator, g float64) float64 {
	if p <= 0.5 && q != sum.hi {
		return weightedEntry(p, q, sum, g)
	}
	others := (sum.hi - q) + sum.lo
	return canonical(float64(math.FMA(p, others, -float64(q*rest)) * g))
}

// areSoftTargetsGo reports whether all of x are finite and not negative.
func areSoftTargetsGo(x []float64) bool {
	for _, v := range x {
		if !isSoftTarget(v) {
			return false
		}
	}
	return true
}

func isSoftTarget(v float64) bool { return v >= 0 && v <= math.MaxFloat64 }

// indexOfGo returns the first index of v in x, -1 if there is none.
func indexOfGo(x []float64, v float64) int {
	for j, xj := range x {
		if xj == v {
			return j
		}
	}
	return -1
}

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

// clearSums empties the lanes of the slices of the groups.
func (c *columns) clearSums(groups int) {
	for l := range lanes {
		clear(c.hi[l][:groups*group])
		clear(c.lo[l][:groups*group])
	}
}

// columnsAddGo adds n entries of each of width slices to their lanes, the
// first of them to lane 0. Lanes of other slices of the last group may change.
func columnsAddGo(c *columns, x []float64, stride, n, width int) {
	for j := range n {
		hi, lo := &c.hi[j%lanes], &c.lo[j%lanes]
		for i, v := range x[j*stride:][:width] {
			addTwoSum(&hi[i], &lo[i], v)
		}
	}
}

// columnsWeightedLossGo sets the lanes of slices in a tile x to the terms of
// weightedLoss for coefficients in a tile q, each of n entries.
func columnsWeightedLossGo(c *columns, q, x []float64, n, groups int) {
	c.clearSums(groups)
	for j := range n {
		hi, lo := &c.hi[j%lanes], &c.lo[j%lanes]
		for i, qj := range q[j*columnsWidth:][:groups*group] {
			if qj != 0 {
				addTwoSum(&hi[i], &lo[i], lossTerm(qj, x[j*columnsWidth+i], c.max[i], c.negLogSum[i]))
			}
		}
	}
}

// columnsWeightedGradientGo turns the terms of slices in a tile into the
// gradient, for coefficients q and entries x in tiles too. The coefficients'
// sums are in lane 0, and factor is what the gradient is multiplied by.
func columnsWeightedGradientGo(c *columns, terms, q, x []float64, n, groups int) {
	for j := range n {
		at := j * columnsWidth
		for i, e := range terms[at:][:groups*group] {
			f := factors{c.inverse[i], c.inverseLow[i], 1}
			sum := accumulator{c.hi[0][i], c.lo[0][i]}
			p := weightedProbability(e, q[at+i], &f, sum)
			if x[at+i] == c.max[i] && c.count[i] == 1 {
				terms[at+i] = weightedLargest(p, c.rest[i], q[at+i], sum, c.factor[i])
			} else {
				terms[at+i] = weightedEntry(p, q[at+i], sum, c.factor[i])
			}
		}
	}
}
