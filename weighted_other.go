// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build purego || noasm || safe || !amd64

package logsoftmax

func weightedLossSum(q, x []float64, max, negLogSum float64) (hi, lo float64) {
	return weightedLossGo(q, x, max, negLogSum)
}

func weightedLossSums(q, x []float64, max, negLogSum float64) (hi, lo, sumHi, sumLo float64) {
	return weightedLossSumsGo(q, x, max, negLogSum)
}

func laneSum(x []float64) (hi, lo float64) { return laneSumGo(x) }

func weightedGradient(dst, terms, q []float64, f factors, sum accumulator, g float64) {
	weightedGradientGo(dst, terms, q, f, sum, g)
}

func areSoftTargets(x []float64) bool { return areSoftTargetsGo(x) }

func indexOf(x []float64, v float64) int { return indexOfGo(x, v) }

func vectorJacobianOf(dst, logp, u []float64, hi, lo float64) { vectorJacobianGo(dst, logp, u, hi, lo) }

func columnsVectorJacobian(dst, logp, u, hi, lo []float64, _, _, _ int) {
	columnsVectorJacobianGo(dst, logp, u, hi, lo)
}

func columnsAdd(c *columns, x []float64, stride, n, width int) { columnsAddGo(c, x, stride, n, width) }

func columnsWeightedLoss(c *columns, q, x []float64, n, groups int) {
	columnsWeightedLossGo(c, q, x, n, groups)
}

func columnsWeightedGradient(c *columns, terms, q, x []float64, n, groups int) {
	columnsWeightedGradientGo(c, terms, q, x, n, groups)
}
