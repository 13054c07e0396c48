// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build !purego && !noasm && !safe

package logsoftmax

func weightedLossSum(q, x []float64, max, negLogSum float64) (hi, lo float64) {
	raceReadSlice(q)
	raceReadSlice(x[:len(q)])
	switch {
	case active == tierGo || len(q) == 0:
		return weightedLossGo(q, x, max, negLogSum)
	case active == tierAVX512:
		return weightedLossAVX512(&q[0], &x[0], len(q), max, negLogSum)
	default:
		return weightedLossAVX2(&q[0], &x[0], len(q), max, negLogSum)
	}
}

func weightedLossSums(q, x []float64, max, negLogSum float64) (hi, lo, sumHi, sumLo float64) {
	raceReadSlice(q)
	raceReadSlice(x[:len(q)])
	switch {
	case active == tierGo || len(q) == 0:
		return weightedLossSumsGo(q, x, max, negLogSum)
	case active == tierAVX512:
		return weightedLossSumsAVX512(&q[0], &x[0], len(q), max, negLogSum)
	default:
		return weightedLossSumsAVX2(&q[0], &x[0], len(q), max, negLogSum)
	}
}

func laneSum(x []float64) (hi, lo float64) {
	raceReadSlice(x)
	switch {
	case active == tierGo || len(x) == 0:
		return laneSumGo(x)
	case active == tierAVX512:
		return sumAVX512(&x[0], len(x))
	default:
		return sumAVX2(&x[0], len(x))
	}
}

func weightedGradient(dst, terms, q []float64, f factors, sum accumulator, g float64) {
	raceReadSlice(terms)
	raceReadSlice(q)
	raceWriteSlice(dst)
	switch {
	case active == tierGo || len(q) == 0:
		weightedGradientGo(dst, terms, q, f, sum, g)
	case active == tierAVX512:
		weightedGradientAVX512(&dst[0], &terms[0], &q[0], len(q), f.first, f.firstLow, f.second, sum.hi, sum.lo, g)
	default:
		weightedGradientAVX2(&dst[0], &terms[0], &q[0], len(q), f.first, f.firstLow, f.second, sum.hi, sum.lo, g)
	}
}

func areSoftTargets(x []float64) bool {
	raceReadSlice(x)
	switch {
	case active == tierGo || len(x) == 0:
		return areSoftTargetsGo(x)
	case active == tierAVX512:
		return areSoftTargetsAVX512(&x[0], len(x))
	default:
		return areSoftTargetsAVX2(&x[0], len(x))
	}
}

func indexOf(x []float64, v float64) int {
	raceReadSlice(x)
	switch {
	case active == tierGo || len(x) == 0 || v != v:
		return indexOfGo(x, v)
	case active == tierAVX512:
		return indexAVX512(&x[0], len(x), v)
	default:
		return indexAVX2(&x[0], len(x), v)
	}
}

// vectorJacobianOf goes from one special entry to the next, each of which it
// leaves to Go together with those that follow it.
func vectorJacobianOf(dst, logp, u []float64, hi, lo float64) {
	raceReadSlice(logp)
	raceReadSlice(u)
	raceWriteSlice(dst)
	for len(u) > 0 {
		done := 0
		switch active {
		case tierAVX512:
			done = vectorJacobianAVX512(&dst[0], &logp[0], &u[0], len(u), hi, lo)
		case tierAVX2:
			done = vectorJacobianAVX2(&dst[0], &logp[0], &u[0], len(u), hi, lo)
		}
		next := specialEnd(done, len(u))
		vectorJacobianGo(dst[done:next], logp[done:next], u[done:next], hi, lo)
		dst, logp, u = dst[next:], logp[next:], u[next:]
	}
}

// columnsVectorJacobian is vectorJacobianOf with a sum for every entry.
//
// The next rows are prefetched, which lie so many entries ahead.
func columnsVectorJacobian(dst, logp, u, hi, lo []float64, nextDst, nextLogp, nextU int) {
	raceReadSlice(logp)
	raceReadSlice(u)
	raceWriteSlice(dst)
	for len(u) > 0 {
		done := 0
		switch active {
		case tierAVX512:
			done = columnsVectorJacobianAVX512(&dst[0], &logp[0], &u[0], &hi[0], &lo[0], len(u), 8*nextDst, 8*nextLogp, 8*nextU)
		case tierAVX2:
			done = columnsVectorJacobianAVX2(&dst[0], &logp[0], &u[0], &hi[0], &lo[0], len(u), 8*nextDst, 8*nextLogp, 8*nextU)
		}
		next := specialEnd(done, len(u))
		columnsVectorJacobianGo(dst[done:next], logp[done:next], u[done:next], hi[done:next], lo[done:next])
		dst, logp, u, hi, lo = dst[next:], logp[next:], u[next:], hi[next:], lo[next:]
	}
}

// specialEnd returns where Go ends that begins at a special entry.
func specialEnd(done, n int) int {
	if active == tierGo {
		return n
	}
	return min(done+lanes, n)
}

func columnsAdd(c *columns, x []float64, stride, n, width int) {
	raceReadRows(x, stride, n, width)
	switch {
	case active == tierGo || n == 0 || width == 0:
		columnsAddGo(c, x, stride, n, width)
	case active == tierAVX512:
		columnsAddAVX512(c.base(), &x[0], stride, n, width)
	default:
		columnsAddAVX2(c.base(), &x[0], stride, n, width)
	}
}

func columnsWeightedLoss(c *columns, q, x []float64, n, groups int) {
	switch {
	case active == tierGo || n == 0:
		columnsWeightedLossGo(c, q, x, n, groups)
	case active == tierAVX512:
		columnsWeightedLossAVX512(c.base(), &q[0], &x[0], n, groups)
	default:
		columnsWeightedLossAVX2(c.base(), &q[0], &x[0], n, groups)
	}
}

func columnsWeightedGradient(c *columns, terms, q, x []float64, n, groups int) {
	switch {
	case active == tierGo || n == 0:
		columnsWeightedGradientGo(c, terms, q, x, n, groups)
	case active == tierAVX512:
		columnsWeightedGradientAVX512(c.base(), &terms[0], &q[0], &x[0], n, groups)
	default:
		columnsWeightedGradientAVX2(c.base(), &terms[0], &q[0], &x[0], n, groups)
	}
}
