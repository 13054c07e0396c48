// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build purego || noasm || safe || !(amd64 || arm64)

package logsoftmax

// tiers returns the tiers that this machine and build have, tierGo first.
func tiers() []tier { return []tier{tierGo} }

func maxOf(x []float64) float64 { return maxOfGo(x) }

func expSum(dst, x []float64, max float64) (count, hi, lo float64) { return expSumGo(dst, x, max) }

func shiftBy(dst, x []float64, max, negLogSum float64) { shiftByGo(dst, x, max, negLogSum) }

func scaleBy(x []float64, factor float64) { scaleByGo(x, factor) }

func columnsMax(c *columns, x []float64, stride, n, groups int) {
	columnsMaxGo(c, x, stride, n, groups)
}

func columnsFrame(c *columns, groups int) { columnsFrameGo(c, groups) }

func columnsExpSum(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	columnsExpSumGo(c, dst, dstStride, x, stride, n, groups)
}

func columnsTotal(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	columnsTotalGo(c, dst, dstStride, x, stride, n, groups)
}

func columnsLog(c *columns, groups int) { columnsLogGo(c, groups) }

func columnsJoin(c *columns, groups int) { columnsJoinGo(c, groups) }

func columnsConclude(c *columns, groups int) { columnsConcludeGo(c, groups) }

func columnsShift(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	columnsShiftGo(c, dst, dstStride, x, stride, n, groups)
}

func columnsScale(c *columns, x []float64, stride, n, groups int) {
	columnsScaleGo(c, x, stride, n, groups)
}

func pack(tile, x []float64, stride, cols, groups int) { packGo(tile, x, stride, cols, groups) }

func unpack(dst []float64, stride int, tile []float64, cols, groups int) {
	unpackGo(dst, stride, tile, cols, groups)
}
