// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build purego || noasm || safe || !(amd64 || arm64)

package kernel

// tiers returns the tiers that this machine and build have, tierGo first.
func Tiers() []tier { return []tier{tierGo} }

func MaxOf(x []float64) float64 { return maxOfGo(x) }

func expSum(dst, x []float64, max float64) (count, hi, lo float64) { return expSumGo(dst, x, max) }

func ShiftBy(dst, x []float64, max, negLogSum float64) { shiftByGo(dst, x, max, negLogSum) }

func scaleBy(x []float64, factor float64) { scaleByGo(x, factor) }

func (c *Panel) RaiseMax(x []float64, stride, n, cols int) {
	c.raiseMaxGo(x, stride, n, cols)
}

func (c *Panel) SetFrames(groups int) { c.setFramesGo(groups) }

func (c *Panel) AddExp(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	c.addExpGo(dst, dstStride, x, stride, n, cols)
}

func (c *Panel) Total(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	c.totalGo(dst, dstStride, x, stride, n, cols)
}

func (c *Panel) concludeSums(groups int) { c.concludeSumsGo(groups) }

func (c *Panel) concludeLogs(groups int) { c.concludeLogsGo(groups) }

func (c *Panel) JoinLanes(groups int) { c.joinLanesGo(groups) }

func (c *Panel) concludeProbabilities(groups int) { c.concludeProbabilitiesGo(groups) }

func (c *Panel) Shift(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	c.shiftGo(dst, dstStride, x, stride, n, cols)
}

func (c *Panel) Scale(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	c.scaleGo(dst, dstStride, x, stride, n, cols)
}

func pack(dst []float64, dstStride int, x []float64, stride, cols, groups int) {
	packGo(dst, dstStride, x, stride, cols, groups)
}

func unpack(dst []float64, stride int, x []float64, xStride, cols, groups int) {
	unpackGo(dst, stride, x, xStride, cols, groups)
}

// LaneTotal is laneTotalGo.
func LaneTotal(dst, x []float64, max float64) (count, hi, lo float64) {
	return laneTotalGo(dst, x, max)
}

func (l *Labels) Weigh(weight *[FewCols]float64, sample []float64, n int, divisor float64) bool {
	return l.weighGo(weight, sample, n, divisor)
}

func (c *Panel) Label(l *Labels, terms *Tile, groups int) {
	c.labelGo(l, terms, groups)
}

func (c *Panel) WeightedLabel(l *Labels, distributions bool, groups int) {
	c.weightedLabelGo(l, distributions, groups)
}

func (c *Panel) unpackScaled(dst []float64, stride int, tile []float64, cols, groups int) {
	c.unpackScaledGo(dst, stride, tile, cols, groups)
}

func (s *LaneSum) addLoss(q, x []float64, max, negLogSum float64) (hi, lo float64) {
	s.addLossGo(q, x, max, negLogSum)
	return s.joined()
}

func (s *LossAndSum) add(q, x []float64, max, negLogSum float64) (hi, lo, sumHi, sumLo float64) {
	return s.addGo(q, x, max, negLogSum)
}

func (s *CoefficientSum) add(x []float64) (hi, lo float64) {
	s.addGo(x)
	return s.joined()
}

// WeightedLossRows is weightedLossRowsGo.
func (c *Panel) WeightedLossRows(first int, l *Labels, _ *RowLanes, q []float64, qStride int, x []float64, stride, n, rows int, negLogSum []float64, sums bool) {
	c.weightedLossRowsGo(first, l, q, qStride, x, stride, n, rows, negLogSum, sums)
}

// WeightedGradient sets dst to g·(p·Q - q) for the probabilities p of the given
// terms, by their factors, and coefficients q, whose sum is Q. dst may be terms
// or q.
func WeightedGradient(dst, terms, q []float64, f Factors, sum Accumulator, g float64) {
	weightedGradientGo(dst, terms, q, NewWeighting(f, sum, g))
}

// WeightedGradientRows is weightedGradientRowsGo.
func (c *Panel) WeightedGradientRows(first int, dst []float64, dstStride int, terms []float64, termsStride int, q []float64, qStride, n, rows int) {
	c.weightedGradientRowsGo(first, dst, dstStride, terms, termsStride, q, qStride, n, rows)
}

// SmoothedLosses is smoothedLossesGo.
func SmoothedLosses(to, x []float64, stride, n int, target []int, off, on float64) {
	smoothedLossesGo(to, x, stride, n, target, off, on)
}

// WeightedSmoothedLosses is weightedSmoothedLossesGo.
func WeightedSmoothedLosses(to, x []float64, stride, n int, target []int, off, on []float64) {
	weightedSmoothedLossesGo(to, x, stride, n, target, off, on)
}

func addLanes(s *laneSums, x, rest []float64) bool { return addLanesGo(s, x, rest) }

// RowsAreBetween is rowsAreBetweenGo.
func RowsAreBetween(x []float64, stride, rows, n int, least, most float64) bool {
	return rowsAreBetweenGo(x, stride, rows, n, least, most)
}

func IndexOf(x []float64, v float64) int { return indexOfGo(x, v) }

func VectorJacobianOf(dst, logp, u []float64, hi, lo float64) { vectorJacobianGo(dst, logp, u, hi, lo) }

func VectorJacobianRows(dst, logp, u Rows, rows, n int, hi, lo []float64) {
	vectorJacobianRowsGo(dst, logp, u, rows, n, hi, lo)
}

func VectorJacobianColumns(dst, logp, u Rows, rows, n int, hi, lo []float64) {
	vectorJacobianColumnsGo(dst, logp, u, rows, n, hi, lo)
}

func (c *Panel) Add(x []float64, stride, n, width int) { c.addGo(x, stride, n, width) }

func (c *Panel) SumSlices(x []float64, n, groups int) { c.sumSlicesGo(x, n, groups) }

func (c *Panel) TakeLow(s *LowSums, groups int) { c.takeLowGo(s, groups) }

func (c *Panel) JoinLow(s *LowSums, groups int) { c.joinLowGo(s, groups) }

func (c *Panel) WeightedLoss(q, x []float64, n, groups int) {
	c.weightedLossGo(q, x, n, groups)
}

func (c *Panel) WeightedGradient(terms, q, x []float64, n, groups int) {
	c.weightedGradientGo(terms, q, x, n, groups)
}

func productSteps(dst Rows, rows, cols int, a Factor, b Rows, n int, plus []float64, onto bool) {
	productGo(dst, rows, cols, a, b, n, plus, onto)
}

func momentTerms(p, terms, logp, u []float64) { momentTermsGo(p, terms, logp, u) }

func largeMoments(hi, lo, p, u []float64, n, groups int) { largeMomentsGo(hi, lo, p, u, n, groups) }

func softmaxGradRow(dst, logp, p, u []float64, small, large Accumulator) {
	softmaxGradRowGo(dst, logp, p, u, small, large)
}

func softmaxGradColumns(dst, logp, p, u []float64, stride, rows, n int, hi, lo, large, largeLow []float64) {
	softmaxGradColumnsGo(dst, logp, p, u, stride, rows, n, hi, lo, large, largeLow)
}

func (c *Panel) MaxOfRows(first int, x []float64, stride, n, rows int) {
	c.maxOfRowsGo(first, x, stride, n, rows)
}

// ExpSumRows is expSumRowsGo.
func (c *Panel) ExpSumRows(first int, dst []float64, dstStride int, x []float64, stride, n, rows int, _, _ []float64) {
	c.expSumRowsGo(first, dst, dstStride, x, stride, n, rows)
}

func (c *Panel) ShiftEachRow(first int, dst []float64, dstStride int, x []float64, stride, n, rows int) {
	c.shiftEachRowGo(first, dst, dstStride, x, stride, n, rows)
}

func (c *Panel) ScaleEachRow(first int, x []float64, stride, n, rows int) {
	c.scaleEachRowGo(first, x, stride, n, rows)
}

func (c *Panel) unpackGradient(l *Labels, dst []float64, stride int, tile []float64, cols, groups int) {
	c.unpackGradientGo(l, dst, stride, tile, cols, groups)
}
