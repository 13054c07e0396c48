// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build !purego && !noasm && !safe

package kernel

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// tiers returns the tiers that this machine and build have, tierGo first.
func Tiers() []tier {
	all := []tier{tierGo}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 {
		all = append(all, tierAVX2)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
			all = append(all, tierAVX512)
		}
	}
	return all
}

// expState is what the kernels of expSum take and return.
type expState struct {
	max, magic, lower float64
	less              int // entries that are not max
	hi, lo            float64
	// Where memory is to be prefetched, in bytes from the entry in work: the
	// entries that are next, and what is going to be written.
	next, out int
}

func MaxOf(x []float64) float64 {
	if active == tierGo || len(x) == 0 {
		return maxOfGo(x)
	}
	raceReadSlice(x)
	switch active {
	case tierAVX512:
		return maxOfAVX512(&x[0], len(x))
	default:
		return maxOfAVX2(&x[0], len(x))
	}
}

func expSum(dst, x []float64, max float64) (count, hi, lo float64) {
	return ExpSumAhead(dst, x, max, nil, nil)
}

// ExpSumAhead is expSum, which prefetches next, the entries that come after
// x, and out, where something will be written from here on; nil is neither.
func ExpSumAhead(dst, x []float64, max float64, next, out []float64) (count, hi, lo float64) {
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
	var buffer [ChunkLen]float64
	shifted := dst
	if dst == nil {
		shifted = buffer[:len(x)]
	}
	ShiftBy(shifted, x, max, 0)
	f := newFrame(0)
	return expSumFrame(dst, shifted, 0, &f, 0, 0)
}

func expSumFrame(dst, x []float64, max float64, f *frame, next, out int) (count, hi, lo float64) {
	s := expState{max: max, magic: f.magic, lower: f.lower, next: next, out: out}
	raceReadSlice(x)
	if dst != nil {
		raceWriteSlice(dst[:len(x)])
	}
	if active == tierAVX512 {
		expSumAVX512(unsafe.SliceData(dst), &x[0], len(x), &s)
	} else {
		expSumAVX2(unsafe.SliceData(dst), &x[0], len(x), &s)
	}
	return float64(len(x) - s.less), s.hi, s.lo
}

// LaneTotal is laneTotalGo.
func LaneTotal(dst, x []float64, max float64) (count, hi, lo float64) {
	if active == tierGo || len(x) == 0 {
		return laneTotalGo(dst, x, max)
	}
	f := newFrame(max)
	if f.shift != 0 {
		return laneTotalGo(dst, x, max)
	}
	x = x[:min(len(x), BlockLen)]
	s := expState{max: max, magic: f.magic, lower: f.lower}
	raceReadSlice(x)
	if dst != nil {
		dst = dst[:len(x)]
		raceWriteSlice(dst)
	}
	if active == tierAVX512 {
		laneTotalAVX512(unsafe.SliceData(dst), &x[0], len(x), &s)
	} else {
		laneTotalAVX2(unsafe.SliceData(dst), &x[0], len(x), &s)
	}
	return float64(len(x) - s.less), s.hi, s.lo
}

func ShiftBy(dst, x []float64, max, negLogSum float64) {
	if active == tierGo || negLogSum != negLogSum || len(x) == 0 {
		shiftByGo(dst, x, max, negLogSum)
		return
	}
	raceReadSlice(x)
	raceWriteSlice(dst[:len(x)])
	switch active {
	case tierAVX512:
		shiftByAVX512(&dst[0], &x[0], len(x), max, negLogSum)
	default:
		shiftByAVX2(&dst[0], &x[0], len(x), max, negLogSum)
	}
}

func scaleBy(x []float64, factor float64) {
	if active == tierGo || factor != factor || len(x) == 0 {
		scaleByGo(x, factor)
		return
	}
	raceWriteSlice(x)
	switch active {
	case tierAVX512:
		scaleByAVX512(&x[0], &x[0], len(x), factor)
	default:
		scaleByAVX2(&x[0], &x[0], len(x), factor)
	}
}

func (c *Panel) RaiseMax(x []float64, stride, n, cols int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.raiseMaxGo(x, stride, n, cols)
		return
	}
	checkStrip(x, stride, n, cols)
	raceReadRows(x, stride, n, cols)
	switch active {
	case tierAVX512:
		panelRaiseMaxAVX512(c, &x[0], stride, n, cols)
	default:
		panelRaiseMaxAVX2(c, &x[0], stride, n, cols)
	}
}

func (c *Panel) SetFrames(groups int) {
	switch active {
	case tierGo:
		c.setFramesGo(groups)
	case tierAVX512:
		panelSetFramesAVX512(c, groups)
	default:
		panelSetFramesAVX2(c, groups)
	}
}

func (c *Panel) AddExp(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	c.AddExpAhead(dst, dstStride, x, stride, n, cols, nil, nil, 0)
}

// AddExpAhead is AddExp, which prefetches n rows of next, the entries that come
// after x, and of out, where something will be written. Both have rows of
// aheadStride; nil is neither.
func (c *Panel) AddExpAhead(dst []float64, dstStride int, x []float64, stride, n, cols int, next, out []float64, aheadStride int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.addExpGo(dst, dstStride, x, stride, n, cols)
		return
	}
	next, aheadStride, far := ahead(x, stride, next, out, aheadStride)
	checkStrip(x, stride, n, cols)
	raceReadRows(x, stride, n, cols)
	if dst != nil {
		checkStrip(dst, dstStride, n, cols)
		raceWriteRows(dst, dstStride, n, cols)
	}
	if active == tierAVX512 {
		panelAddExpAVX512(c, unsafe.SliceData(dst), dstStride, &x[0], stride, n, cols, &next[0], aheadStride, far)
	} else {
		panelAddExpAVX2(c, unsafe.SliceData(dst), dstStride, &x[0], stride, n, cols, &next[0], aheadStride, far)
	}
}

func (c *Panel) Total(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	c.TotalAhead(dst, dstStride, x, stride, n, cols, nil, nil, 0)
}

// TotalAhead is Total, which prefetches as AddExpAhead does.
func (c *Panel) TotalAhead(dst []float64, dstStride int, x []float64, stride, n, cols int, next, out []float64, aheadStride int) {
	if active == tierGo {
		c.totalGo(dst, dstStride, x, stride, n, cols)
		return
	}
	next, aheadStride, far := ahead(x, stride, next, out, aheadStride)
	checkStrip(x, stride, n, cols)
	raceReadRows(x, stride, n, cols)
	if dst != nil {
		checkStrip(dst, dstStride, n, cols)
		raceWriteRows(dst, dstStride, n, cols)
	}
	if active == tierAVX512 {
		panelTotalAVX512(c, unsafe.SliceData(dst), dstStride, &x[0], stride, n, cols, &next[0], aheadStride, far)
	} else {
		panelTotalAVX2(c, unsafe.SliceData(dst), dstStride, &x[0], stride, n, cols, &next[0], aheadStride, far)
	}
}

// ahead returns what to prefetch where that is next and out, either of which
// may be empty: rows so many doubles apart, and so many bytes from those others.
// It is x itself where there is nothing.
func ahead(x []float64, stride int, next, out []float64, aheadStride int) (rows []float64, rowsStride, far int) {
	switch {
	case len(next) == 0 && len(out) == 0:
		return x, stride, 0
	case len(next) == 0:
		return out, aheadStride, 0
	}
	return next, aheadStride, distance(next, out)
}

func (c *Panel) JoinLanes(groups int) {
	switch active {
	case tierGo:
		c.joinLanesGo(groups)
	case tierAVX512:
		panelJoinLanesAVX512(c, groups)
	default:
		panelJoinLanesAVX2(c, groups)
	}
}

func (c *Panel) concludeSums(groups int) {
	switch active {
	case tierGo:
		c.concludeSumsGo(groups)
	case tierAVX512:
		panelConcludeSumsAVX512(c, groups)
	default:
		panelConcludeSumsAVX2(c, groups)
	}
}

func (c *Panel) concludeProbabilities(groups int) {
	switch active {
	case tierGo:
		c.concludeProbabilitiesGo(groups)
	case tierAVX512:
		panelConcludeProbabilitiesAVX512(c, groups)
	default:
		panelConcludeProbabilitiesAVX2(c, groups)
	}
}

func (c *Panel) concludeLogs(groups int) {
	switch active {
	case tierGo:
		c.concludeLogsGo(groups)
	case tierAVX512:
		panelConcludeLogsAVX512(c, groups)
	default:
		panelConcludeLogsAVX2(c, groups)
	}
}

// LogSumExps is logSumExpsGo of all.
func (c *Panel) LogSumExps(dst []float64) {
	full := 0
	if groups := len(c.Max[:len(dst)]) / Group; active != tierGo && groups > 0 {
		full = groups * Group
		raceWriteSlice(dst[:full])
		if active == tierAVX512 {
			panelLogSumExpsAVX512(c, &dst[0], groups)
		} else {
			panelLogSumExpsAVX2(c, &dst[0], groups)
		}
	}
	c.logSumExpsGo(dst, full)
}

func (c *Panel) Shift(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.shiftGo(dst, dstStride, x, stride, n, cols)
		return
	}
	checkStrip(x, stride, n, cols)
	raceReadRows(x, stride, n, cols)
	checkStrip(dst, dstStride, n, cols)
	raceWriteRows(dst, dstStride, n, cols)
	switch active {
	case tierAVX512:
		panelShiftAVX512(c, &dst[0], dstStride, &x[0], stride, n, cols)
	default:
		panelShiftAVX2(c, &dst[0], dstStride, &x[0], stride, n, cols)
	}
}

func (c *Panel) Scale(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.scaleGo(dst, dstStride, x, stride, n, cols)
		return
	}
	checkStrip(x, stride, n, cols)
	raceReadRows(x, stride, n, cols)
	checkStrip(dst, dstStride, n, cols)
	raceWriteRows(dst, dstStride, n, cols)
	switch active {
	case tierAVX512:
		panelScaleAVX512(c, &dst[0], dstStride, &x[0], stride, n, cols)
	default:
		panelScaleAVX2(c, &dst[0], dstStride, &x[0], stride, n, cols)
	}
}

func pack(dst []float64, dstStride int, x []float64, stride, cols, groups int) {
	if active == tierGo || cols < 2 || groups <= 0 {
		packGo(dst, dstStride, x, stride, cols, groups)
		return
	}
	checkRows(x, stride, cols, groups)
	checkStrip(dst, dstStride, cols, groups*Group)
	raceReadRows(x, stride, groups*Group, cols)
	raceWriteRows(dst, dstStride, cols, groups*Group)
	switch active {
	case tierAVX512:
		packAVX512(&dst[0], dstStride, &x[0], stride, cols, groups)
	default:
		packAVX2(&dst[0], dstStride, &x[0], stride, cols, groups)
	}
}

func (c *Panel) packMax(tile, x []float64, stride, cols, groups int) {
	if active == tierGo || cols < 2 || groups <= 0 {
		c.packMaxGo(tile, x, stride, cols, groups)
		return
	}
	checkRows(x, stride, cols, groups)
	checkStrip(tile, Width, cols, groups*Group)
	raceReadRows(x, stride, groups*Group, cols)
	switch active {
	case tierAVX512:
		panelPackMaxAVX512(c, &tile[0], &x[0], stride, cols, groups)
	default:
		panelPackMaxAVX2(c, &tile[0], &x[0], stride, cols, groups)
	}
}

func unpack(dst []float64, stride int, x []float64, xStride, cols, groups int) {
	if active == tierGo || cols < 2 || groups <= 0 {
		unpackGo(dst, stride, x, xStride, cols, groups)
		return
	}
	checkRows(dst, stride, cols, groups)
	checkStrip(x, xStride, cols, groups*Group)
	raceReadRows(x, xStride, cols, groups*Group)
	raceWriteRows(dst, stride, groups*Group, cols)
	switch active {
	case tierAVX512:
		unpackAVX512(&dst[0], stride, &x[0], xStride, cols, groups)
	default:
		unpackAVX2(&dst[0], stride, &x[0], xStride, cols, groups)
	}
}

// unpackScaled is unpackScaledGo, which may use tile up.
func (c *Panel) unpackScaled(dst []float64, stride int, tile []float64, cols, groups int) {
	if active == tierGo || cols < 2 || groups <= 0 {
		c.unpackScaledGo(dst, stride, tile, cols, groups)
		return
	}
	checkRows(dst, stride, cols, groups)
	checkStrip(tile, Width, cols, groups*Group)
	raceWriteRows(dst, stride, groups*Group, cols)
	switch active {
	case tierAVX512:
		panelUnpackScaledAVX512(c, &dst[0], stride, &tile[0], cols, groups)
	default:
		panelUnpackScaledAVX2(c, &dst[0], stride, &tile[0], cols, groups)
	}
}

func (c *Panel) unpackGradient(l *Labels, dst []float64, stride int, tile []float64, cols, groups int) {
	if active == tierGo || cols < 2 || groups <= 0 {
		c.unpackGradientGo(l, dst, stride, tile, cols, groups)
		return
	}
	checkRows(dst, stride, cols, groups)
	checkStrip(tile, Width, cols, groups*Group)
	raceWriteRows(dst, stride, groups*Group, cols)
	switch active {
	case tierAVX512:
		panelUnpackGradientAVX512(c, l, &dst[0], stride, &tile[0], cols, groups)
	default:
		panelUnpackGradientAVX2(c, l, &dst[0], stride, &tile[0], cols, groups)
	}
}

// rowsOf returns the part of x that rows of n entries are, stride apart.
func rowsOf(x []float64, stride, n, rows int) []float64 { return x[:(rows-1)*stride+n] }

// checkSlices panics if the groups of so many slices from first on are not in a
// panel.
func checkSlices(first, rows int) {
	if first < 0 || first+GroupsFor(rows)*Group > Width {
		panic("slices beyond the panel")
	}
}

// checkWhole panics if rows of n entries have less than a vector.
func checkWhole(n int) {
	if n < Lanes {
		panic("rows of few entries")
	}
}

func (c *Panel) MaxOfRows(first int, x []float64, stride, n, rows int) {
	checkSlices(first, rows)
	x = rowsOf(x, stride, n, rows)
	raceReadRows(x, stride, rows, n)
	switch active {
	case tierGo:
		c.maxOfRowsGo(first, x, stride, n, rows)
	case tierAVX512:
		panelMaxOfRowsAVX512(c, first, &x[0], stride, n, rows)
	default:
		panelMaxOfRowsAVX2(c, first, &x[0], stride, n, rows)
	}
}

// ExpSumRows is expSumRowsGo, which prefetches next, the rows that come after
// these, and out, where something will be written; nil is neither.
func (c *Panel) ExpSumRows(first int, dst []float64, dstStride int, x []float64, stride, n, rows int, next, out []float64) {
	checkSlices(first, rows)
	x = rowsOf(x, stride, n, rows)
	raceReadRows(x, stride, rows, n)
	nextAt, outAt := distance(x, next), distance(x, out)
	if dst != nil {
		dst = rowsOf(dst, dstStride, n, rows)
		raceWriteRows(dst, dstStride, rows, n)
	} else {
		dstStride = 0
	}
	switch active {
	case tierGo:
		c.expSumRowsGo(first, dst, dstStride, x, stride, n, rows)
	case tierAVX512:
		panelExpSumRowsAVX512(c, first, unsafe.SliceData(dst), dstStride, &x[0], stride, n, rows, nextAt, outAt)
	default:
		panelExpSumRowsAVX2(c, first, unsafe.SliceData(dst), dstStride, &x[0], stride, n, rows, nextAt, outAt)
	}
}

func (c *Panel) ShiftEachRow(first int, dst []float64, dstStride int, x []float64, stride, n, rows int) {
	checkSlices(first, rows)
	checkWhole(n)
	dst, x = rowsOf(dst, dstStride, n, rows), rowsOf(x, stride, n, rows)
	raceReadRows(x, stride, rows, n)
	raceWriteRows(dst, dstStride, rows, n)
	switch active {
	case tierGo:
		c.shiftEachRowGo(first, dst, dstStride, x, stride, n, rows)
	case tierAVX512:
		panelShiftEachRowAVX512(c, first, &dst[0], dstStride, &x[0], stride, n, rows)
	default:
		panelShiftEachRowAVX2(c, first, &dst[0], dstStride, &x[0], stride, n, rows)
	}
}

func (c *Panel) ScaleEachRow(first int, x []float64, stride, n, rows int) {
	checkSlices(first, rows)
	checkWhole(n)
	x = rowsOf(x, stride, n, rows)
	raceWriteRows(x, stride, rows, n)
	switch active {
	case tierGo:
		c.scaleEachRowGo(first, x, stride, n, rows)
	case tierAVX512:
		panelScaleEachRowAVX512(c, first, &x[0], stride, &x[0], stride, n, rows)
	default:
		panelScaleEachRowAVX2(c, first, &x[0], stride, &x[0], stride, n, rows)
	}
}

// ShiftRows is Shift for n rows of dst and x that lie one behind the
// other, cols to a row, where there is a kernel for that; else it returns
// false.
func (c *Panel) ShiftRows(dst, x []float64, cols, n int) bool {
	if active != tierAVX512 {
		return false
	}
	groups := n / Group
	if groups > 0 {
		raceReadSlice(x[:groups*Group*cols])
		raceWriteSlice(dst[:groups*Group*cols])
		panelShiftRowsAVX512(c, &dst[0], &x[0], rowIndexOf(cols), cols, groups)
	}
	for i := groups * Group; i < n; i++ {
		ShiftBy(dst[i*cols:][:cols], x[i*cols:][:cols], c.Max[i], c.NegLogSum[i])
	}
	return true
}

// rowIndex holds, for every number of columns that was asked for, the rows of
// the elements of eight rows.
var rowIndex [FewCols + 1]atomic.Pointer[int64]

func rowIndexOf(cols int) *int64 {
	if p := rowIndex[cols].Load(); p != nil {
		return p
	}
	return makeRowIndex(cols)
}

func makeRowIndex(cols int) *int64 {
	rows := make([]int64, Group*cols)
	for e := range rows {
		rows[e] = int64(e / cols)
	}
	rowIndex[cols].Store(&rows[0])
	return &rows[0]
}

// Take is takeGo for all rows of target.
func (l *Labels) Take(t *Tile, target []int, classes uint64) {
	full := 0
	if groups := len(l.Class[:len(target)]) / Group; active != tierGo && groups > 0 {
		full = groups * Group
		raceReadSlice(unsafe.Slice((*float64)(unsafe.Pointer(&target[0])), full))
		if active == tierAVX512 {
			labelsTakeAVX512(l, &t[0], &target[0], classes, groups)
		} else {
			labelsTakeAVX2(l, &t[0], &target[0], classes, groups)
		}
	}
	l.takeGo(t, target, classes, full)
}

// Weigh is weighGo.
func (l *Labels) Weigh(weight *[FewCols]float64, sample []float64, n int, divisor float64) bool {
	if active == tierGo || n <= 0 {
		return l.weighGo(weight, sample, n, divisor)
	}
	n = len(l.Class[:n])
	var w, s *float64
	if weight != nil {
		w = &weight[0]
	}
	if sample != nil {
		sample = sample[:n]
		raceReadSlice(sample)
		s = &sample[0]
	}
	if active == tierAVX512 {
		return labelsWeighAVX512(l, w, s, n, divisor)
	}
	return labelsWeighAVX2(l, w, s, n, divisor)
}

// LogSoftmaxRows sets the rows of dst to the log-probabilities of at most Group rows
// of 2 to FewCols entries, in one kernel. It returns false, and has written nothing,
// where there is no such kernel, and where something about the rows is special: a
// maximum that is not finite or has a shift, or a NaN. dst may be x; what is left in
// t is open.
func (t *Tile) LogSoftmaxRows(dst Rows, x Rows, n, cols int) bool {
	if !FewRows(n, cols) {
		return false
	}
	raceReadRows(x.Data, x.Stride, n, cols)
	raceWriteRows(dst.Data, dst.Stride, n, cols)
	return normalizeFewRowsAVX512(&t[0], x.first(n, cols), x.Stride, n, cols, dst.first(n, cols), dst.Stride, 0, 0)
}

// SoftmaxRows is LogSoftmaxRows for probabilities, of which one next to 1 is special
// too.
func (t *Tile) SoftmaxRows(dst Rows, x Rows, n, cols int) bool {
	if !FewRows(n, cols) {
		return false
	}
	raceReadRows(x.Data, x.Stride, n, cols)
	raceWriteRows(dst.Data, dst.Stride, n, cols)
	return normalizeFewRowsAVX512(&t[0], x.first(n, cols), x.Stride, n, cols, dst.first(n, cols), dst.Stride, 1, 0)
}

// LogSumExpRows is LogSoftmaxRows for log-sum-exp, a number for each row.
func (t *Tile) LogSumExpRows(dst []float64, x Rows, cols int) bool {
	n := len(dst)
	if !FewRows(n, cols) {
		return false
	}
	raceReadRows(x.Data, x.Stride, n, cols)
	raceWriteSlice(dst)
	return normalizeFewRowsAVX512(&t[0], x.first(n, cols), x.Stride, n, cols, &dst[0], 1, 0, 1)
}

// FewRows reports whether there is a kernel for all of a call of these rows.
func FewRows(n, cols int) bool {
	return active == tierAVX512 && n > 0 && n <= Group && cols >= 2 && cols <= FewCols
}

// first is where rows begin, all of which are there.
func (r Rows) first(n, cols int) *float64 { return &rowsOf(r.Data, r.Stride, cols, n)[0] }

// LabelRows does for at most Group rows of x, of 2 to FewCols classes, in one
// kernel what it takes PackLogits, Take, Weigh, SumTile, Conclude, Label and, with
// dst, UnpackGradient for: it sets l.Loss, writes the gradients, and returns how
// many labels are right. It returns false, and has written nothing, where there is
// no such kernel, and where something about the rows is special: a maximum that is
// not finite or has a shift, a NaN, a label that is one of several largest, a
// gradient that does not combine. What is left in l and t is open.
func (l *Labels) LabelRows(t *Tile, x []float64, stride, cols int, target []int, classes uint64, weight, sample []float64, divisor float64, dst []float64, dstStride int) (correct int, ok bool) {
	n := len(target)
	if !FewRows(n, cols) {
		return 0, false
	}
	x = rowsOf(x, stride, cols, n)
	raceReadRows(x, stride, n, cols)
	raceReadSlice(unsafe.Slice((*float64)(unsafe.Pointer(&target[0])), n))
	var w, s, to *float64
	if weight != nil {
		weight = weight[:cols]
		raceReadSlice(weight)
		w = &weight[0]
	}
	if sample != nil {
		sample = sample[:n]
		raceReadSlice(sample)
		s = &sample[0]
	}
	if dst != nil {
		dst = rowsOf(dst, dstStride, cols, n)
		raceWriteRows(dst, dstStride, n, cols)
		to = &dst[0]
	}
	correct = labelFewRowsAVX512(l, &t[0], &x[0], stride, n, cols, &target[0], classes, w, s, divisor, to, dstStride)
	return correct, correct >= 0
}

// WeightedRows is LabelRows for rows with coefficients for all classes, by tiles for
// the rows, their coefficients and their terms. It leaves it to others, too, where
// the sum of a distribution or of its losses is not finite.
func (c *Panel) WeightedRows(l *Labels, x, q, terms *Tile, r *WeightedRows) (correct int, ok bool) {
	n, cols := r.N, r.Cols
	if !FewRows(n, cols) {
		return 0, false
	}
	_ = rowsOf(r.X.Data, r.X.Stride, cols, n)
	raceReadRows(r.X.Data, r.X.Stride, n, cols)
	if r.Target != nil {
		_, _ = r.Target[:n], r.Base[:cols]
		raceReadSlice(unsafe.Slice((*float64)(unsafe.Pointer(&r.Target[0])), n))
		if r.Weight != nil {
			raceReadSlice(r.Weight[:cols])
		}
	} else {
		_ = rowsOf(r.Soft.Data, r.Soft.Stride, cols, n)
		raceReadRows(r.Soft.Data, r.Soft.Stride, n, cols)
	}
	if r.Sample != nil {
		raceReadSlice(r.Sample[:n])
	}
	if r.Dst.Data != nil {
		_ = rowsOf(r.Dst.Data, r.Dst.Stride, cols, n)
		raceWriteRows(r.Dst.Data, r.Dst.Stride, n, cols)
	}
	correct = weightedFewRowsAVX512(c, l, x, q, terms, r)
	return correct, correct >= 0
}

// Label is labelGo, for l.Single and l.Tied that are clear.
func (c *Panel) Label(l *Labels, terms *Tile, groups int) {
	if active == tierGo || groups <= 0 {
		c.labelGo(l, terms, groups)
		return
	}
	groups = len(l.Class[:groups*Group]) / Group
	switch {
	case terms == nil && active == tierAVX512:
		panelLabelAVX512(c, l, groups)
	case terms == nil:
		panelLabelAVX2(c, l, groups)
	case active == tierAVX512:
		panelLabelGradientAVX512(c, l, groups, &terms[0])
	default:
		panelLabelGradientAVX2(c, l, groups, &terms[0])
	}
}

// WeightedLabel is weightedLabelGo, for l.Single and l.Tied that are clear.
func (c *Panel) WeightedLabel(l *Labels, distributions bool, groups int) {
	if active == tierGo || groups <= 0 {
		c.weightedLabelGo(l, distributions, groups)
		return
	}
	groups = len(l.Class[:groups*Group]) / Group
	switch {
	case distributions && active == tierAVX512:
		panelDistributionLabelAVX512(c, l, groups)
	case distributions:
		panelDistributionLabelAVX2(c, l, groups)
	case active == tierAVX512:
		panelWeightedLabelAVX512(c, l, groups)
	default:
		panelWeightedLabelAVX2(c, l, groups)
	}
}

func (s *LaneSum) addLoss(q, x []float64, max, negLogSum float64) (hi, lo float64) {
	raceReadSlice(q)
	raceReadSlice(x[:len(q)])
	switch {
	case active == tierGo || len(q) == 0:
		s.addLossGo(q, x, max, negLogSum)
		return s.joined()
	case active == tierAVX512:
		return weightedLossAVX512(s, &q[0], &x[0], len(q), max, negLogSum)
	default:
		return weightedLossAVX2(s, &q[0], &x[0], len(q), max, negLogSum)
	}
}

func (s *LossAndSum) add(q, x []float64, max, negLogSum float64) (hi, lo, sumHi, sumLo float64) {
	raceReadSlice(q)
	raceReadSlice(x[:len(q)])
	switch {
	case active == tierGo || len(q) == 0:
		return s.addGo(q, x, max, negLogSum)
	case active == tierAVX512:
		return weightedLossSumsAVX512(s, &q[0], &x[0], len(q), max, negLogSum)
	default:
		return weightedLossSumsAVX2(s, &q[0], &x[0], len(q), max, negLogSum)
	}
}

// WeightedLossRows is weightedLossRowsGo.
func (c *Panel) WeightedLossRows(first int, l *Labels, s *RowLanes, q []float64, qStride int, x []float64, stride, n, rows int, negLogSum []float64, sums bool) {
	checkSlices(first, rows)
	q, x = rowsOf(q, qStride, n, rows), rowsOf(x, stride, n, rows)
	raceReadRows(q, qStride, rows, n)
	raceReadRows(x, stride, rows, n)
	_ = negLogSum[:rows]
	switch {
	case active == tierGo:
		c.weightedLossRowsGo(first, l, q, qStride, x, stride, n, rows, negLogSum, sums)
	case sums && active == tierAVX512:
		panelWeightedLossSumsRowsAVX512(c, first, l, s, &q[0], qStride, &x[0], stride, n, rows, &negLogSum[0])
	case sums:
		panelWeightedLossSumsRowsAVX2(c, first, l, s, &q[0], qStride, &x[0], stride, n, rows, &negLogSum[0])
	case active == tierAVX512:
		panelWeightedLossRowsAVX512(c, first, l, s, &q[0], qStride, &x[0], stride, n, rows, &negLogSum[0])
	default:
		panelWeightedLossRowsAVX2(c, first, l, s, &q[0], qStride, &x[0], stride, n, rows, &negLogSum[0])
	}
}

// coefficientSum is CoefficientSum.add to an empty sum.
func coefficientSum(x []float64) (hi, lo float64) {
	raceReadSlice(x)
	switch {
	case active == tierGo || len(x) == 0:
		return new(CoefficientSum).add(x)
	case active == tierAVX512:
		return coefficientSumAVX512(nil, &x[0], len(x))
	default:
		return coefficientSumAVX2(nil, &x[0], len(x))
	}
}

func (s *CoefficientSum) add(x []float64) (hi, lo float64) {
	raceReadSlice(x)
	switch {
	case active == tierGo || len(x) == 0:
		s.addGo(x)
		return s.joined()
	case active == tierAVX512:
		return coefficientSumAVX512(s, &x[0], len(x))
	default:
		return coefficientSumAVX2(s, &x[0], len(x))
	}
}

// WeightedGradient sets dst to g·(p·Q - q) for the probabilities p of the given
// terms, by their factors, and coefficients q, whose sum is Q. dst may be terms
// or q.
func WeightedGradient(dst, terms, q []float64, f Factors, sum Accumulator, g float64) {
	n := len(q)
	dst, terms = dst[:n], terms[:n]
	if active == tierGo || n == 0 {
		weightedGradientGo(dst, terms, q, NewWeighting(f, sum, g))
		return
	}
	raceReadSlice(q)
	raceReadSlice(terms)
	raceWriteSlice(dst)
	if active == tierAVX512 {
		weightedGradientAVX512(&dst[0], n, &terms[0], n, &q[0], n, n, 1, &f.First, &f.FirstLow, &sum.Hi, &sum.Lo, &g, f.Second)
	} else {
		weightedGradientAVX2(&dst[0], n, &terms[0], n, &q[0], n, n, 1, &f.First, &f.FirstLow, &sum.Hi, &sum.Lo, &g, f.Second)
	}
}

// WeightedGradientRows is weightedGradientRowsGo.
func (c *Panel) WeightedGradientRows(first int, dst []float64, dstStride int, terms []float64, termsStride int, q []float64, qStride, n, rows int) {
	checkSlices(first, rows)
	dst, terms, q = rowsOf(dst, dstStride, n, rows), rowsOf(terms, termsStride, n, rows), rowsOf(q, qStride, n, rows)
	raceReadRows(q, qStride, rows, n)
	raceReadRows(terms, termsStride, rows, n)
	raceWriteRows(dst, dstStride, rows, n)
	switch active {
	case tierGo:
		c.weightedGradientRowsGo(first, dst, dstStride, terms, termsStride, q, qStride, n, rows)
	case tierAVX512:
		weightedGradientAVX512(&dst[0], dstStride, &terms[0], termsStride, &q[0], qStride, n, rows, &c.Inverse[first], &c.InverseLow[first], &c.Hi[0][first], &c.Lo[0][first], &c.Factor[first], 1)
	default:
		weightedGradientAVX2(&dst[0], dstStride, &terms[0], termsStride, &q[0], qStride, n, rows, &c.Inverse[first], &c.InverseLow[first], &c.Hi[0][first], &c.Lo[0][first], &c.Factor[first], 1)
	}
}

func addLanes(s *laneSums, x, rest []float64) bool {
	if active == tierGo || len(x) == 0 {
		return addLanesGo(s, x, rest)
	}
	raceReadSlice(x)
	raceWriteSlice(rest[:len(x)])
	if active == tierAVX512 {
		return addLanesAVX512(s, &x[0], &rest[0], len(x)/Lanes)
	}
	return addLanesAVX2(s, &x[0], &rest[0], len(x)/Lanes)
}

// atLabel has all bits in the entry labelled, and none in any other: as many
// entries are before it, and behind, as a row has at most. From y entries before that
// on it tells where the label of a row is that is y.
var atLabel = [labelled + 1 + ChunkLen + Lanes]uint64{labelled: 1<<64 - 1}

const labelled = ChunkLen

// SmoothedLosses is smoothedLossesGo. Up to a multiple of Lanes, what to has room for
// is open.
func SmoothedLosses(to, x []float64, stride, n int, target []int, off, on float64) {
	if active == tierGo || len(to) == 0 || n == 0 {
		smoothedLossesGo(to, x, stride, n, target, off, on)
		return
	}
	x, target = rowsOf(x, stride, n, len(to)), target[:len(to)]
	_ = atLabel[:labelled+n]
	_ = to[:GroupsFor(len(to))*Group]
	raceReadRows(x, stride, len(to), n)
	if active == tierAVX512 {
		smoothedLossesAVX512(&to[0], &x[0], stride, n, len(to), &target[0], off, on, &atLabel[labelled])
	} else {
		smoothedLossesAVX2(&to[0], &x[0], stride, n, len(to), &target[0], off, on, &atLabel[labelled])
	}
}

// WeightedSmoothedLosses is weightedSmoothedLossesGo, for coefficients up to a
// multiple of Lanes, and with to as for SmoothedLosses.
func WeightedSmoothedLosses(to, x []float64, stride, n int, target []int, off, on []float64) {
	if active == tierGo || len(to) == 0 || n == 0 {
		weightedSmoothedLossesGo(to, x, stride, n, target, off, on)
		return
	}
	x, target = rowsOf(x, stride, n, len(to)), target[:len(to)]
	_ = atLabel[:labelled+n]
	last := (n - 1) | (Lanes - 1)
	_, _ = off[last], on[last]
	_ = to[:GroupsFor(len(to))*Group]
	raceReadRows(x, stride, len(to), n)
	if active == tierAVX512 {
		weightedSmoothedLossesAVX512(&to[0], &x[0], stride, n, len(to), &target[0], &off[0], &on[0], &atLabel[labelled])
	} else {
		weightedSmoothedLossesAVX2(&to[0], &x[0], stride, n, len(to), &target[0], &off[0], &on[0], &atLabel[labelled])
	}
}

// RowsAreBetween is rowsAreBetweenGo.
func RowsAreBetween(x []float64, stride, rows, n int, least, most float64) bool {
	x = rowsOf(x, stride, n, rows)
	raceReadRows(x, stride, rows, n)
	switch active {
	case tierGo:
		return rowsAreBetweenGo(x, stride, rows, n, least, most)
	case tierAVX512:
		return areBetweenAVX512(&x[0], stride, n, rows, least, most)
	default:
		return areBetweenAVX2(&x[0], stride, n, rows, least, most)
	}
}

func IndexOf(x []float64, v float64) int {
	raceReadSlice(x)
	switch {
	case active == tierGo || len(x) == 0 || v != v:
		return indexOfGo(x, v)
	case active == tierAVX512:
		return indexOfAVX512(&x[0], len(x), v)
	default:
		return indexOfAVX2(&x[0], len(x), v)
	}
}

// VectorJacobianOf is vectorJacobianGo.
func VectorJacobianOf(dst, logp, u []float64, hi, lo float64) {
	if len(u) > 0 {
		his, los := [1]float64{hi}, [1]float64{lo}
		VectorJacobianRows(Rows{dst, 0}, Rows{logp, 0}, Rows{u, 0}, 1, len(u), his[:], los[:])
	}
}

func VectorJacobianRows(dst, logp, u Rows, rows, n int, hi, lo []float64) {
	vectorJacobian(dst, logp, u, rows, n, hi[:rows], lo[:rows], 0, nil)
}

func VectorJacobianColumns(dst, logp, u Rows, rows, n int, hi, lo []float64) {
	vectorJacobian(dst, logp, u, rows, n, hi[:n], lo[:n], 1, nil)
}

// VectorJacobianTile is VectorJacobianColumns of tiles, of which logp receives the
// result. It prefetches as many entries of out, where that goes, and of those that
// are packed next; nil is none.
func VectorJacobianTile(logp, u *Tile, cols, n int, hi, lo, out, nextLogp, nextU []float64) {
	bytes := func(to []float64, from *Tile) int {
		if to == nil {
			return 0 // what is at hand
		}
		return int(uintptr(unsafe.Pointer(unsafe.SliceData(to))) - uintptr(unsafe.Pointer(from)))
	}
	ahead := [3]int{bytes(out, logp), bytes(nextLogp, logp), bytes(nextU, u)}
	to := Rows{logp[:], Width}
	vectorJacobian(to, to, Rows{u[:], Width}, cols, n, hi[:n], lo[:n], 1, &ahead)
}

// vectorJacobian is of rows, or of columns if step is 1.
func vectorJacobian(dst, logp, u Rows, rows, n int, hi, lo []float64, step int, ahead *[3]int) {
	raceReadRows(logp.Data, logp.Stride, rows, n)
	raceReadRows(u.Data, u.Stride, rows, n)
	raceWriteRows(dst.Data, dst.Stride, rows, n)
	// Beyond the last row nothing is looked at.
	_, _, _ = dst.row(rows-1, n), logp.row(rows-1, n), u.row(rows-1, n)
	switch {
	case active == tierAVX512:
		vectorJacobianAVX512(&dst.Data[0], &logp.Data[0], &u.Data[0], dst.Stride, logp.Stride, u.Stride, rows, n, &hi[0], &lo[0], step, ahead)
	case active == tierAVX2:
		vectorJacobianAVX2(&dst.Data[0], &logp.Data[0], &u.Data[0], dst.Stride, logp.Stride, u.Stride, rows, n, &hi[0], &lo[0], step, ahead)
	case step == 0:
		vectorJacobianRowsGo(dst, logp, u, rows, n, hi, lo)
	default:
		vectorJacobianColumnsGo(dst, logp, u, rows, n, hi, lo)
	}
}

func (c *Panel) Add(x []float64, stride, n, width int) {
	raceReadRows(x, stride, n, width)
	switch {
	case active == tierGo || n <= 0 || width <= 0:
		c.addGo(x, stride, n, width)
	case active == tierAVX512:
		panelAddAVX512(c, &x[0], stride, n, width)
	default:
		panelAddAVX2(c, &x[0], stride, n, width)
	}
}

func (c *Panel) SumSlices(x []float64, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		c.sumSlicesGo(x, n, groups)
		return
	}
	checkStrip(x, Width, n, groups*Group)
	switch active {
	case tierAVX512:
		panelSumSlicesAVX512(c, &x[0], n, groups)
	default:
		panelSumSlicesAVX2(c, &x[0], n, groups)
	}
}

func (c *Panel) TakeLow(s *LowSums, groups int) {
	switch active {
	case tierGo:
		c.takeLowGo(s, groups)
	case tierAVX512:
		panelTakeLowAVX512(c, s, groups)
	default:
		panelTakeLowAVX2(c, s, groups)
	}
}

func (c *Panel) JoinLow(s *LowSums, groups int) {
	switch active {
	case tierGo:
		c.joinLowGo(s, groups)
	case tierAVX512:
		panelJoinLowAVX512(c, s, groups)
	default:
		panelJoinLowAVX2(c, s, groups)
	}
}

func (c *Panel) WeightedLoss(q, x []float64, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		c.weightedLossGo(q, x, n, groups)
		return
	}
	checkStrip(q, Width, n, groups*Group)
	checkStrip(x, Width, n, groups*Group)
	switch active {
	case tierAVX512:
		panelWeightedLossAVX512(c, &q[0], &x[0], n, groups)
	default:
		panelWeightedLossAVX2(c, &q[0], &x[0], n, groups)
	}
}

func (c *Panel) WeightedGradient(terms, q, x []float64, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		c.weightedGradientGo(terms, q, x, n, groups)
		return
	}
	checkStrip(terms, Width, n, groups*Group)
	checkStrip(q, Width, n, groups*Group)
	checkStrip(x, Width, n, groups*Group)
	switch active {
	case tierAVX512:
		panelWeightedGradientAVX512(c, &terms[0], &q[0], &x[0], n, groups)
	default:
		panelWeightedGradientAVX2(c, &terms[0], &q[0], &x[0], n, groups)
	}
}

func momentTerms(p, terms, logp, u []float64) {
	p, terms, u = p[:len(logp)], terms[:len(logp)], u[:len(logp)]
	raceReadSlice(logp)
	raceReadSlice(u)
	raceWriteSlice(p)
	raceWriteSlice(terms)
	switch {
	case active == tierGo || len(u) == 0:
		momentTermsGo(p, terms, logp, u)
	case active == tierAVX512:
		momentTermsAVX512(&p[0], &terms[0], &logp[0], &u[0], len(u))
	default:
		momentTermsAVX2(&p[0], &terms[0], &logp[0], &u[0], len(u))
	}
}

func largeMoments(hi, lo, p, u []float64, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		largeMomentsGo(hi, lo, p, u, n, groups)
		return
	}
	_, _ = hi[:groups*Group], lo[:groups*Group]
	checkStrip(p, Width, n, groups*Group)
	checkStrip(u, Width, n, groups*Group)
	if active == tierAVX512 {
		largeMomentsAVX512(&hi[0], &lo[0], &p[0], &u[0], n, groups)
	} else {
		largeMomentsAVX2(&hi[0], &lo[0], &p[0], &u[0], n, groups)
	}
}

func softmaxGradRow(dst, logp, p, u []float64, small, large Accumulator) {
	dst, logp, u = dst[:len(p)], logp[:len(p)], u[:len(p)]
	raceReadSlice(logp)
	raceReadSlice(p)
	raceReadSlice(u)
	raceWriteSlice(dst)
	switch {
	case active == tierGo || len(p) == 0:
		softmaxGradRowGo(dst, logp, p, u, small, large)
	case active == tierAVX512:
		softmaxGradAVX512(&dst[0], &logp[0], &p[0], &u[0], 0, 1, len(p), &small.Hi, &small.Lo, &large.Hi, &large.Lo, 0)
	default:
		softmaxGradAVX2(&dst[0], &logp[0], &p[0], &u[0], 0, 1, len(p), &small.Hi, &small.Lo, &large.Hi, &large.Lo, 0)
	}
}

// softmaxGradColumns is of rows of whole groups.
func softmaxGradColumns(dst, logp, p, u []float64, stride, rows, n int, hi, lo, large, largeLow []float64) {
	if active == tierGo || rows <= 0 || n <= 0 {
		softmaxGradColumnsGo(dst, logp, p, u, stride, rows, n, hi, lo, large, largeLow)
		return
	}
	for _, x := range [][]float64{dst, logp, p, u} {
		checkStrip(x, stride, rows, n/Group*Group)
	}
	_, _, _, _ = hi[:n], lo[:n], large[:n], largeLow[:n]
	if active == tierAVX512 {
		softmaxGradAVX512(&dst[0], &logp[0], &p[0], &u[0], stride, rows, n, &hi[0], &lo[0], &large[0], &largeLow[0], 1)
	} else {
		softmaxGradAVX2(&dst[0], &logp[0], &p[0], &u[0], stride, rows, n, &hi[0], &lo[0], &large[0], &largeLow[0], 1)
	}
}

// tileSize returns the size of the tile that a product of rows by cols begins
// with.
func tileSize(rows, cols int) (height, width int) {
	height, lanes := 8, 8
	if active == tierAVX2 {
		height, lanes = 4, 4
	}
	for height > rows {
		height /= 2
	}
	if cols < lanes {
		return height, cols
	}
	return height, min(3, cols/lanes) * lanes
}

// productTile is productGo for a tile of a size that tileSize returns, n > 0,
// and onto 1 for true.
func productTile(rows, cols int, dst *float64, dstStride int, a *float64, aRow, aStep int, b *float64, bStep, n int, plus *float64, onto int) {
	if active == tierAVX512 {
		productAVX512(rows, cols, dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	} else {
		productAVX2(rows, cols, dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	}
}

func productAVX512(rows, cols int, dst *float64, dstStride int, a *float64, aRow, aStep int, b *float64, bStep, n int, plus *float64, onto int) {
	const vector = 16 * 8
	switch 16*cols + rows {
	case 3*vector + 8:
		product8x24AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 2*vector + 8:
		product8x16AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case vector + 8:
		product8x8AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 3*vector + 4:
		product4x24AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 2*vector + 4:
		product4x16AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case vector + 4:
		product4x8AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 3*vector + 2:
		product2x24AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 2*vector + 2:
		product2x16AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case vector + 2:
		product2x8AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 3*vector + 1:
		product1x24AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 2*vector + 1:
		product1x16AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case vector + 1:
		product1x8AVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	default:
		switch rows {
		case 8:
			product8xPartAVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto, cols)
		case 4:
			product4xPartAVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto, cols)
		case 2:
			product2xPartAVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto, cols)
		case 1:
			product1xPartAVX512(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto, cols)
		}
	}
}

func productAVX2(rows, cols int, dst *float64, dstStride int, a *float64, aRow, aStep int, b *float64, bStep, n int, plus *float64, onto int) {
	const vector = 16 * 4
	switch 16*cols + rows {
	case 3*vector + 4:
		product4x12AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 2*vector + 4:
		product4x8AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case vector + 4:
		product4x4AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 3*vector + 2:
		product2x12AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 2*vector + 2:
		product2x8AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case vector + 2:
		product2x4AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 3*vector + 1:
		product1x12AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 2*vector + 1:
		product1x8AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case vector + 1:
		product1x4AVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	default:
		switch rows {
		case 4:
			product4xPartAVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto, cols)
		case 2:
			product2xPartAVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto, cols)
		case 1:
			product1xPartAVX2(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto, cols)
		}
	}
}
