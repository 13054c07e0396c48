// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build purego || noasm || safe || !amd64

package logsoftmax

import "math"

// What only amd64 has kernels of its own for.

// expSumAhead is expSum.
func expSumAhead(dst, x []float64, max float64, _, _ []float64) (count, hi, lo float64) {
	return expSum(dst, x, max)
}

// columnsTotalAhead is columnsTotal without dst.
func columnsTotalAhead(c *columns, x []float64, stride, n, groups int, _, _ []float64, _ int) {
	columnsTotal(c, nil, 0, x, stride, n, groups)
}

func columnsLabel(c *columns, x []float64, stride int, target []int, l *labels, n int, terms []float64, g float64) {
	columnsLabelGo(c, x, stride, target, l, 0, n, terms, g)
}

func packMax(c *columns, tile, x []float64, stride, cols, groups int) {
	pack(tile, x, stride, cols, groups)
	fill(c.max[:groups*group], math.Inf(-1))
	columnsMax(c, tile, columnsWidth, cols, groups)
}

// unpackScaled uses tile up.
func unpackScaled(c *columns, dst []float64, stride int, tile []float64, cols, groups int) {
	columnsScale(c, tile, columnsWidth, cols, groups)
	unpack(dst, stride, tile, cols, groups)
}

func rowsShift(*columns, []float64, []float64, int, int) bool { return false }

// columnsExpSumAhead is columnsExpSum without dst.
func columnsExpSumAhead(c *columns, x []float64, stride, n, groups int, _, _ []float64, _ int) {
	columnsExpSum(c, nil, 0, x, stride, n, groups)
}

func columnsMove(c *columns, x []float64, n, groups int, m *stripMove) {
	columnsMoveApart(c, x, n, groups, m)
}
