// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build !purego && !noasm && !safe

package logsoftmax

import (
	"math"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// tiers returns the tiers that this machine and build have, tierGo first.
func tiers() []tier {
	all := []tier{tierGo}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 {
		all = append(all, tierAVX2)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
			all = append(all, tierAVX512)
		}
	}
	return all
}

// kernelConstants are four times each constant that _asm/vector.go lists.
//
//lint:ignore U1000 the assembly reads it
var kernelConstants = func() (c [48 * 4]uint64) {
	for i, x := range []float64{
		sixteenthsPerLn2, sixteenthHi, sixteenthLo,
		exp2, exp3, exp4, exp5, exp6,
		log3, log5, log7, log9, log11, log13, log15,
		ln2Hi, ln2Lo,
		1, 2, unscale, math.Inf(1), math.Inf(-1), nan,
		shiftFrom, farthest, magic, 2*magic + 16*scaleBits, 0x1p52,
		math.Float64frombits(1<<63 - 1), math.Float64frombits(1 << 63), math.Float64frombits(15),
		sqrtHalf, math.Float64frombits(1), math.Float64frombits(1023), -1, 2 * scale,
		-farthest, magic + 16*scaleBits, -50,
		math.Float64frombits(15 * 16), -seriesEnd,
		0.5, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
	} {
		for k := range 4 {
			c[4*i+k] = math.Float64bits(x)
		}
	}
	return c
}()

// kernelTables are power and powerRest.
//
//lint:ignore U1000 the assembly reads it
var kernelTables = func() (t [2][16]uint64) {
	for i := range 16 {
		t[0][i], t[1][i] = power[i], math.Float64bits(powerRest[i])
	}
	return t
}()

// kernelPairs are power and powerRest entry by entry.
//
//lint:ignore U1000 the assembly reads it
var kernelPairs = func() (t [16][2]uint64) {
	for i := range t {
		t[i] = [2]uint64{power[i], math.Float64bits(powerRest[i])}
	}
	return t
}()

// laneMasks from entry 4-n on is a mask of n lanes, n ≤ 4.
//
//lint:ignore U1000 the assembly reads it
var laneMasks = [8]int64{-1, -1, -1, -1, 0, 0, 0, 0}

//lint:ignore U1000 the assembly reads it
var laneNumbers = [8]uint64{0, 1, 2, 3, 4, 5, 6, 7}

// expState is what the kernels of expSum take and return.
type expState struct {
	max, magic, lower float64
	less              int // entries that are not max
	hi, lo            float64
	// Where memory is to be prefetched, in bytes from the entry in work: the
	// entries that are next, and what is going to be written.
	next, out int
}

func maxOf(x []float64) float64 {
	if active == tierGo || len(x) == 0 {
		return maxOfGo(x)
	}
	raceReadSlice(x)
	switch active {
	case tierAVX512:
		return maxAVX512(&x[0], len(x))
	default:
		return maxAVX2(&x[0], len(x))
	}
}

func expSum(dst, x []float64, max float64) (count, hi, lo float64) {
	return expSumAhead(dst, x, max, nil, nil)
}

// expSumAhead is expSum, which prefetches next, the entries that come after
// x, and out, where something will be written from here on; nil is neither.
func expSumAhead(dst, x []float64, max float64, next, out []float64) (count, hi, lo float64) {
	if active == tierGo {
		return expSumGo(dst, x, max)
	}
	f := newFrame(max)
	if f.shift != 0 {
		return expSumShifted(dst, x, max)
	}
	return expSumFrame(dst, x, max, &f, distance(x, next), distance(x, out))
}

// distance returns how many bytes lie between the entries of a and b, 0 for
// an empty b.
func distance(a, b []float64) int {
	if len(b) == 0 {
		return 0
	}
	return int(uintptr(unsafe.Pointer(&b[0])) - uintptr(unsafe.Pointer(&a[0])))
}

// expSumShifted shifts the entries first; the kernels know frames without a
// shift only.
//
//go:noinline
func expSumShifted(dst, x []float64, max float64) (count, hi, lo float64) {
	var buffer [chunkLen]float64
	shifted := dst
	if dst == nil {
		shifted = buffer[:len(x)]
	}
	shiftBy(shifted, x, max, 0)
	f := newFrame(0)
	return expSumFrame(dst, shifted, 0, &f, 0, 0)
}

func expSumFrame(dst, x []float64, max float64, f *frame, next, out int) (count, hi, lo float64) {
	s := expState{max: max, magic: f.magic, lower: f.lower, next: next, out: out}
	at := (*float64)(unsafe.Pointer(&s))
	raceReadSlice(x)
	if dst != nil {
		raceWriteSlice(dst[:len(x)])
	}
	switch {
	case dst == nil && active == tierAVX512:
		expSumAVX512(&x[0], len(x), at)
	case dst == nil:
		expSumAVX2(&x[0], len(x), at)
	case active == tierAVX512:
		expTermsAVX512(&dst[0], &x[0], len(x), at)
	default:
		expTermsAVX2(&dst[0], &x[0], len(x), at)
	}
	return float64(len(x) - s.less), s.hi, s.lo
}

func shiftBy(dst, x []float64, max, negLogSum float64) {
	if active == tierGo || negLogSum != negLogSum || len(x) == 0 {
		shiftByGo(dst, x, max, negLogSum)
		return
	}
	raceReadSlice(x)
	raceWriteSlice(dst[:len(x)])
	switch {
	case active == tierAVX512:
		shiftAVX512(&dst[0], &x[0], len(x), max, negLogSum)
	default:
		shiftAVX2(&dst[0], &x[0], len(x), max, negLogSum)
	}
}

func scaleBy(x []float64, factor float64) {
	if active == tierGo || factor != factor || len(x) == 0 {
		scaleByGo(x, factor)
		return
	}
	raceWriteSlice(x)
	switch {
	case active == tierAVX512:
		scaleAVX512(&x[0], &x[0], len(x), factor)
	default:
		scaleAVX2(&x[0], &x[0], len(x), factor)
	}
}

// base is c as the kernels take it.
func (c *columns) base() *float64 { return &c.max[0] }

func columnsMax(c *columns, x []float64, stride, n, groups int) {
	if active == tierGo || n == 0 {
		columnsMaxGo(c, x, stride, n, groups)
		return
	}
	raceReadRows(x, stride, n, groups*group)
	switch {
	case active == tierAVX512:
		columnsMaxAVX512(c.base(), &x[0], stride, n, groups)
	default:
		columnsMaxAVX2(c.base(), &x[0], stride, n, groups)
	}
}

func columnsFrame(c *columns, groups int) {
	switch active {
	case tierGo:
		columnsFrameGo(c, groups)
	case tierAVX512:
		columnsFrameAVX512(c.base(), groups)
	default:
		columnsFrameAVX2(c.base(), groups)
	}
}

func columnsExpSum(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	if active == tierGo || n == 0 {
		columnsExpSumGo(c, dst, dstStride, x, stride, n, groups)
		return
	}
	raceReadRows(x, stride, n, groups*group)
	if dst != nil {
		raceWriteRows(dst, dstStride, n, groups*group)
	}
	switch {
	case dst == nil && active == tierAVX512:
		columnsExpSumAVX512(c.base(), &x[0], stride, n, groups, &x[0], 0, 0)
	case dst == nil:
		columnsExpSumAVX2(c.base(), &x[0], stride, n, groups, &x[0], 0, 0)
	case active == tierAVX512:
		columnsExpTermsAVX512(c.base(), &dst[0], dstStride, &x[0], stride, n, groups)
	default:
		columnsExpTermsAVX2(c.base(), &dst[0], dstStride, &x[0], stride, n, groups)
	}
}

func columnsTotal(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	if dst == nil {
		columnsTotalAhead(c, x, stride, n, groups, nil, nil, 0)
		return
	}
	if active == tierGo {
		columnsTotalGo(c, dst, dstStride, x, stride, n, groups)
		return
	}
	raceReadRows(x, stride, n, groups*group)
	raceWriteRows(dst, dstStride, n, groups*group)
	switch {
	case active == tierAVX512:
		columnsTotalTermsAVX512(c.base(), &dst[0], dstStride, &x[0], stride, n, groups)
	default:
		columnsTotalTermsAVX2(c.base(), &dst[0], dstStride, &x[0], stride, n, groups)
	}
}

// columnsTotalAhead is columnsTotal without dst, which prefetches as
// columnsExpSumAhead does.
func columnsTotalAhead(c *columns, x []float64, stride, n, groups int, next, out []float64, aheadStride int) {
	if active == tierGo {
		columnsTotalGo(c, nil, 0, x, stride, n, groups)
		return
	}
	next, aheadStride, far := ahead(x, stride, next, out, aheadStride)
	raceReadRows(x, stride, n, groups*group)
	switch {
	case active == tierAVX512:
		columnsTotalAVX512(c.base(), &x[0], stride, n, groups, &next[0], aheadStride, far)
	default:
		columnsTotalAVX2(c.base(), &x[0], stride, n, groups, &next[0], aheadStride, far)
	}
}

// ahead returns what to prefetch where that is next and out, either of which
// may be nil: rows so many doubles apart, and so many bytes from those others.
// It is x itself where there is nothing.
func ahead(x []float64, stride int, next, out []float64, aheadStride int) (rows []float64, rowsStride, far int) {
	switch {
	case next == nil && out == nil:
		return x, stride, 0
	case next == nil:
		return out, aheadStride, 0
	}
	return next, aheadStride, distance(next, out)
}

func columnsJoin(c *columns, groups int) {
	switch active {
	case tierGo:
		columnsJoinGo(c, groups)
	case tierAVX512:
		columnsJoinAVX512(c.base(), groups)
	default:
		columnsJoinAVX2(c.base(), groups)
	}
}

func columnsConclude(c *columns, groups int) {
	switch active {
	case tierGo:
		columnsConcludeGo(c, groups)
	case tierAVX512:
		columnsConcludeAVX512(c.base(), groups)
	default:
		columnsConcludeAVX2(c.base(), groups)
	}
}

func columnsLog(c *columns, groups int) {
	switch active {
	case tierGo:
		columnsLogGo(c, groups)
	case tierAVX512:
		columnsLogAVX512(c.base(), groups)
	default:
		columnsLogAVX2(c.base(), groups)
	}
}

func columnsShift(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	if active == tierGo || n == 0 {
		columnsShiftGo(c, dst, dstStride, x, stride, n, groups)
		return
	}
	raceReadRows(x, stride, n, groups*group)
	raceWriteRows(dst, dstStride, n, groups*group)
	switch {
	case active == tierAVX512:
		columnsShiftAVX512(c.base(), &dst[0], dstStride, &x[0], stride, n, groups)
	default:
		columnsShiftAVX2(c.base(), &dst[0], dstStride, &x[0], stride, n, groups)
	}
}

func columnsScale(c *columns, x []float64, stride, n, groups int) {
	if active == tierGo || n == 0 {
		columnsScaleGo(c, x, stride, n, groups)
		return
	}
	raceWriteRows(x, stride, n, groups*group)
	switch {
	case active == tierAVX512:
		columnsScaleAVX512(c.base(), &x[0], stride, &x[0], stride, n, groups)
	default:
		columnsScaleAVX2(c.base(), &x[0], stride, &x[0], stride, n, groups)
	}
}

func pack(tile, x []float64, stride, cols, groups int) {
	if active == tierGo || cols < 2 {
		packGo(tile, x, stride, cols, groups)
		return
	}
	raceReadRows(x, stride, groups*group, cols)
	switch {
	case active == tierAVX512:
		packAVX512(&tile[0], &x[0], stride, cols, groups)
	default:
		packAVX2(&tile[0], &x[0], stride, cols, groups)
	}
}

func packMax(c *columns, tile, x []float64, stride, cols, groups int) {
	if active == tierGo || cols < 2 {
		packMaxGo(c, tile, x, stride, cols, groups)
		return
	}
	raceReadRows(x, stride, groups*group, cols)
	switch {
	case active == tierAVX512:
		packMaxAVX512(c.base(), &tile[0], &x[0], stride, cols, groups)
	default:
		packMaxAVX2(c.base(), &tile[0], &x[0], stride, cols, groups)
	}
}

func unpack(dst []float64, stride int, tile []float64, cols, groups int) {
	if active == tierGo || cols < 2 {
		unpackGo(dst, stride, tile, cols, groups)
		return
	}
	raceWriteRows(dst, stride, groups*group, cols)
	switch {
	case active == tierAVX512:
		unpackAVX512(&dst[0], stride, &tile[0], cols, groups)
	default:
		unpackAVX2(&dst[0], stride, &tile[0], cols, groups)
	}
}

// unpackScaled is unpackScaledGo, which may use tile up.
func unpackScaled(c *columns, dst []float64, stride int, tile []float64, cols, groups int) {
	if active == tierGo || cols < 2 {
		unpackScaledGo(c, dst, stride, tile, cols, groups)
		return
	}
	raceWriteRows(dst, stride, groups*group, cols)
	switch {
	case active == tierAVX512:
		unpackScaledAVX512(c.base(), &dst[0], stride, &tile[0], cols, groups)
	default:
		unpackScaledAVX2(c.base(), &dst[0], stride, &tile[0], cols, groups)
	}
}

// rowsShift is columnsShift for n rows of dst and x that lie one behind the
// other, cols to a row, where there is a kernel for that; else it returns
// false.
func rowsShift(c *columns, dst, x []float64, cols, n int) bool {
	if active != tierAVX512 {
		return false
	}
	groups := n / group
	if groups > 0 {
		raceReadSlice(x[:groups*group*cols])
		raceWriteSlice(dst[:groups*group*cols])
		rowsShiftAVX512(c.base(), &dst[0], &x[0], &rowIndex[cols][0], cols, groups)
	}
	for i := groups * group; i < n; i++ {
		shiftBy(dst[i*cols:][:cols], x[i*cols:][:cols], c.max[i], c.negLogSum[i])
	}
	return true
}

// rowIndex holds, for every number of columns, the rows of the elements of
// eight rows.
var rowIndex = func() (index [fewCols + 1][]int64) {
	for cols := 1; cols <= fewCols; cols++ {
		index[cols] = make([]int64, group*cols)
		for e := range index[cols] {
			index[cols][e] = int64(e / cols)
		}
	}
	return index
}()

// farStride is a distance of rows that the kernels of columnsLabel do not reach.
const farStride = 1 << 28

// columnsLabel is columnsLabelGo for the first n rows, which sets l.single and
// l.tied.
func columnsLabel(c *columns, x []float64, stride int, target []int, l *labels, n int, terms []float64, g float64) {
	groups := n / group
	if active == tierGo || groups == 0 || stride >= farStride {
		columnsLabelGo(c, x, stride, target, l, 0, n, terms, g)
		return
	}
	at := &l.loss[0]
	switch {
	case terms == nil && active == tierAVX512:
		columnsLabelAVX512(c.base(), &x[0], stride, &target[0], at, groups)
	case terms == nil:
		columnsLabelAVX2(c.base(), &x[0], stride, &target[0], at, groups)
	case active == tierAVX512:
		columnsLabelGradAVX512(c.base(), &x[0], stride, &target[0], at, groups, &terms[0], g)
	default:
		columnsLabelGradAVX2(c.base(), &x[0], stride, &target[0], at, groups, &terms[0], g)
	}
	columnsLabelGo(c, x, stride, target, l, groups*group, n-groups*group, terms, g)
}

// columnsExpSumAhead is columnsExpSum without dst, which prefetches n rows of
// next, the entries that come after x, and of out, where something will be
// written. Both have rows of aheadStride; nil is neither.
func columnsExpSumAhead(c *columns, x []float64, stride, n, groups int, next, out []float64, aheadStride int) {
	if active == tierGo || n == 0 {
		columnsExpSumGo(c, nil, 0, x, stride, n, groups)
		return
	}
	next, aheadStride, far := ahead(x, stride, next, out, aheadStride)
	raceReadRows(x, stride, n, groups*group)
	switch {
	case active == tierAVX512:
		columnsExpSumAVX512(c.base(), &x[0], stride, n, groups, &next[0], aheadStride, far)
	default:
		columnsExpSumAVX2(c.base(), &x[0], stride, n, groups, &next[0], aheadStride, far)
	}
}

func columnsMove(c *columns, x []float64, n, groups int, m *stripMove) {
	if active != tierAVX512 || c.shifts(groups) {
		columnsMoveApart(c, x, n, groups, m)
		return
	}
	width := groups * group
	x, buffer := x[:n*width], m.buffer[:n*width]
	in, out := m.in[:(n-1)*m.inStride+width], m.out[:(n-1)*m.outStride+width]
	raceReadRows(x, width, n, width)
	raceReadRows(in, m.inStride, n, width)
	raceWriteRows(buffer, width, n, width)
	raceWriteRows(out, m.outStride, n, width)
	// As far ahead as memory takes to answer, and not so many rows that, a
	// power of two apart, they push each other out of the caches.
	ahead := max(4, min(8, 32/groups))
	turn := max(1, n-ahead)
	columnsTotalMoveAVX512(c.base(), &x[0], n, groups, m.before.base(), &buffer[0], &in[0], m.inStride, &out[0], m.outStride, ahead, turn, n)
}

// shifts reports whether a maximum of the groups is one whose frame shifts.
func (c *columns) shifts(groups int) bool {
	for _, m := range c.max[:groups*group] {
		if a := math.Abs(m); a >= shiftFrom && a < math.Inf(1) {
			return true
		}
	}
	return false
}
