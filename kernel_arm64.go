// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build arm64 && !purego && !noasm && !safe

package logsoftmax

import "unsafe"

// Every arm64 has NEON. Its kernels are in kernels_arm64.s, which _neon
// writes.

// tiers returns the tiers that this machine and build have, tierGo first.
func tiers() []tier { return []tier{tierGo, tierNEON} }

//go:noescape
func maxNEON(x *float64, n int) (max float64)

func maxOf(x []float64) float64 {
	if active == tierGo {
		return maxOfGo(x)
	}
	raceReadSlice(x)
	m := maxNEON(unsafe.SliceData(x), len(x))
	if m != m {
		return nan
	}
	return m
}

// A rowSums is the frame of a slice, each number twice, and the sums of its
// lanes. The assembly knows its fields.
type rowSums struct {
	shift, magic, lower, max [2]float64
	sum, rest                [lanes]float64
	count                    int
}

//go:noescape
func expSumNEON(s *rowSums, dst, x *float64, n int)

func expSum(dst, x []float64, max float64) (count, hi, lo float64) {
	if active == tierGo || !isFinite(max) {
		return expSumGo(dst, x, max)
	}
	raceReadSlice(x)
	raceWriteSlice(dst)
	f := newFrame(max)
	s := rowSums{
		shift: [2]float64{f.shift, f.shift},
		magic: [2]float64{f.magic, f.magic},
		lower: [2]float64{f.lower, f.lower},
		max:   [2]float64{max, max},
	}
	full := len(x) &^ (blockLen - 1)
	if full > 0 {
		expSumNEON(&s, unsafe.SliceData(dst), unsafe.SliceData(x), full)
	}
	if tail := x[full:]; len(tail) > 0 {
		// The last block is filled up to whole vectors with the maximum,
		// which adds to the count only.
		var block [blockLen]float64
		n := copy(block[:], tail)
		filled := (n + lanes - 1) &^ (lanes - 1)
		fill(block[n:filled], max)
		if dst == nil {
			expSumNEON(&s, nil, &block[0], filled)
		} else {
			expSumNEON(&s, &block[0], &block[0], filled)
			copy(dst[full:], block[:n])
		}
		s.count -= filled - n
	}
	hi, lo = joinLanes(&s.sum, &s.rest)
	return float64(s.count), hi, lo
}

//go:noescape
func shiftNEON(dst, x *float64, n int, max, negLogSum float64)

func shiftBy(dst, x []float64, max, negLogSum float64) {
	if active == tierGo || negLogSum != negLogSum {
		shiftByGo(dst, x, max, negLogSum)
		return
	}
	dst = dst[:len(x)]
	raceReadSlice(x)
	raceWriteSlice(dst)
	shiftNEON(unsafe.SliceData(dst), unsafe.SliceData(x), len(x), max, negLogSum)
}

//go:noescape
func scaleNEON(dst, x *float64, n int, factor float64)

func scaleBy(x []float64, factor float64) {
	if active == tierGo || factor != factor {
		scaleByGo(x, factor)
		return
	}
	raceWriteSlice(x)
	scaleNEON(unsafe.SliceData(x), unsafe.SliceData(x), len(x), factor)
}

// checkStrip panics unless x holds n entries, at least 1, of each of the
// slices of groups that lie side by side.
func checkStrip(x []float64, stride, n, groups int) {
	_ = x[(n-1)*stride:][:groups*group]
}

//go:noescape
func columnsMaxNEON(c *columns, x *float64, stride, n, groups int)

func columnsMax(c *columns, x []float64, stride, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		columnsMaxGo(c, x, stride, n, groups)
		return
	}
	checkStrip(x, stride, n, groups)
	raceReadRows(x, stride, n, groups*group)
	columnsMaxNEON(c, unsafe.SliceData(x), stride, n, groups)
}

//go:noescape
func columnsFrameNEON(c *columns, groups int)

func columnsFrame(c *columns, groups int) {
	if active == tierGo || groups <= 0 {
		columnsFrameGo(c, groups)
		return
	}
	columnsFrameNEON(c, groups)
}

//go:noescape
func columnsExpSumNEON(c *columns, dst *float64, dstStride int, x *float64, stride, n, groups int)

func columnsExpSum(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		columnsExpSumGo(c, dst, dstStride, x, stride, n, groups)
		return
	}
	checkStrip(x, stride, n, groups)
	raceReadRows(x, stride, n, groups*group)
	if dst != nil {
		checkStrip(dst, dstStride, n, groups)
		raceWriteRows(dst, dstStride, n, groups*group)
	}
	columnsExpSumNEON(c, unsafe.SliceData(dst), dstStride, unsafe.SliceData(x), stride, n, groups)
}

//go:noescape
func columnsTotalNEON(c *columns, dst *float64, dstStride int, x *float64, stride, n, groups int)

func columnsTotal(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		columnsTotalGo(c, dst, dstStride, x, stride, n, groups)
		return
	}
	checkStrip(x, stride, n, groups)
	raceReadRows(x, stride, n, groups*group)
	if dst != nil {
		checkStrip(dst, dstStride, n, groups)
		raceWriteRows(dst, dstStride, n, groups*group)
	}
	columnsFrameNEON(c, groups)
	columnsTotalNEON(c, unsafe.SliceData(dst), dstStride, unsafe.SliceData(x), stride, n, groups)
}

//go:noescape
func columnsJoinNEON(c *columns, groups int)

func columnsJoin(c *columns, groups int) {
	if active == tierGo || groups <= 0 {
		columnsJoinGo(c, groups)
		return
	}
	columnsJoinNEON(c, groups)
}

//go:noescape
func columnsLogNEON(c *columns, groups int)

func columnsLog(c *columns, groups int) {
	if active == tierGo || groups <= 0 {
		columnsLogGo(c, groups)
		return
	}
	columnsLogNEON(c, groups)
}

//go:noescape
func columnsConcludeNEON(c *columns, groups int)

func columnsConclude(c *columns, groups int) {
	if active == tierGo || groups <= 0 {
		columnsConcludeGo(c, groups)
		return
	}
	columnsConcludeNEON(c, groups)
}

//go:noescape
func columnsShiftNEON(c *columns, dst *float64, dstStride int, x *float64, stride, n, groups int)

func columnsShift(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		columnsShiftGo(c, dst, dstStride, x, stride, n, groups)
		return
	}
	checkStrip(x, stride, n, groups)
	checkStrip(dst, dstStride, n, groups)
	raceReadRows(x, stride, n, groups*group)
	raceWriteRows(dst, dstStride, n, groups*group)
	columnsShiftNEON(c, unsafe.SliceData(dst), dstStride, unsafe.SliceData(x), stride, n, groups)
}

//go:noescape
func columnsScaleNEON(c *columns, dst *float64, dstStride int, x *float64, stride, n, groups int)

func columnsScale(c *columns, x []float64, stride, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		columnsScaleGo(c, x, stride, n, groups)
		return
	}
	checkStrip(x, stride, n, groups)
	raceWriteRows(x, stride, n, groups*group)
	columnsScaleNEON(c, unsafe.SliceData(x), stride, unsafe.SliceData(x), stride, n, groups)
}

//go:noescape
func packNEON(tile, x *float64, stride, cols, groups int)

func pack(tile, x []float64, stride, cols, groups int) {
	if active == tierGo || cols <= 0 || groups <= 0 {
		packGo(tile, x, stride, cols, groups)
		return
	}
	checkStrip(tile, columnsWidth, cols, groups)
	_ = x[(groups*group-1)*stride:][:cols]
	raceReadRows(x, stride, groups*group, cols)
	raceWriteRows(tile, columnsWidth, cols, groups*group)
	packNEON(unsafe.SliceData(tile), unsafe.SliceData(x), stride, cols, groups)
}

//go:noescape
func unpackNEON(tile, dst *float64, stride, cols, groups int)

func unpack(dst []float64, stride int, tile []float64, cols, groups int) {
	if active == tierGo || cols <= 0 || groups <= 0 {
		unpackGo(dst, stride, tile, cols, groups)
		return
	}
	checkStrip(tile, columnsWidth, cols, groups)
	_ = dst[(groups*group-1)*stride:][:cols]
	raceReadRows(tile, columnsWidth, cols, groups*group)
	raceWriteRows(dst, stride, groups*group, cols)
	unpackNEON(unsafe.SliceData(tile), unsafe.SliceData(dst), stride, cols, groups)
}
