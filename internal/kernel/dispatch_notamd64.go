// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build !amd64 || purego || noasm || safe

package kernel

import "math"

// This file is what is done by other kernels, or not at once, where those for amd64
// are not: on arm64 and where there is no assembly.

// ExpSumAhead is expSum.
func ExpSumAhead(dst, x []float64, max float64, _, _ []float64) (count, hi, lo float64) {
	return expSum(dst, x, max)
}

// TotalAhead is Total.
func (c *Panel) TotalAhead(dst []float64, dstStride int, x []float64, stride, n, cols int, _, _ []float64, _ int) {
	c.Total(dst, dstStride, x, stride, n, cols)
}

func (c *Panel) packMax(tile, x []float64, stride, cols, groups int) {
	pack(tile, Width, x, stride, cols, groups)
	Fill(c.Max[:groups*Group], math.Inf(-1))
	c.RaiseMax(tile, Width, cols, groups*Group)
}

func (*Panel) ShiftRows(_, _ []float64, _, _ int) bool { return false }

// AddExpAhead is AddExp.
func (c *Panel) AddExpAhead(dst []float64, dstStride int, x []float64, stride, n, cols int, _, _ []float64, _ int) {
	c.AddExp(dst, dstStride, x, stride, n, cols)
}

// coefficientSum is CoefficientSum.add to an empty sum.
func coefficientSum(x []float64) (hi, lo float64) { return new(CoefficientSum).add(x) }

// Take is takeGo for all rows of target.
func (l *Labels) Take(t *Tile, target []int, classes uint64) { l.takeGo(t, target, classes, 0) }

// LogSumExps is logSumExpsGo of all.
func (c *Panel) LogSumExps(dst []float64) { c.logSumExpsGo(dst, 0) }

// FewRows is for those that have kernels for all of a call.
func FewRows(n, cols int) bool { return false }

func (l *Labels) LabelRows(t *Tile, x []float64, stride, cols int, target []int, classes uint64, weight, sample []float64, divisor float64, dst []float64, dstStride int) (correct int, ok bool) {
	return 0, false
}

func (c *Panel) WeightedRows(l *Labels, x, q, terms *Tile, r *WeightedRows) (correct int, ok bool) {
	return 0, false
}

func (t *Tile) LogSoftmaxRows(dst Rows, x Rows, n, cols int) bool { return false }

func (t *Tile) SoftmaxRows(dst Rows, x Rows, n, cols int) bool { return false }

func (t *Tile) LogSumExpRows(dst []float64, x Rows, cols int) bool { return false }

func VectorJacobianTile(logp, u *Tile, cols, n int, hi, lo, _, _, _ []float64) {
	to := Rows{logp[:], Width}
	VectorJacobianColumns(to, to, Rows{u[:], Width}, cols, n, hi, lo)
}
