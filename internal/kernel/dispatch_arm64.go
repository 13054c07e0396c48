// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build arm64 && !purego && !noasm && !safe

package kernel

import (
	"slices"
	"unsafe"
)

// Every arm64 has NEON.

// tiers returns the tiers that this machine and build have, tierGo first.
func Tiers() []tier { return []tier{tierGo, tierNEON} }

func MaxOf(x []float64) float64 {
	if active == tierGo {
		return maxOfGo(x)
	}
	raceReadSlice(x)
	m := maxOfNEON(unsafe.SliceData(x), len(x))
	if m != m {
		return NaN
	}
	return m
}

// A rowSums is the frame of a slice, each number twice, and the sums of its
// lanes.
type rowSums struct {
	shift, magic, lower, max [2]float64
	sum, rest                [Lanes]float64
	count                    int
}

func expSum(dst, x []float64, max float64) (count, hi, lo float64) {
	if active == tierGo || !IsFinite(max) {
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
	full := len(x) &^ (BlockLen - 1)
	if full > 0 {
		expSumNEON(&s, unsafe.SliceData(dst), unsafe.SliceData(x), full)
	}
	if tail := x[full:]; len(tail) > 0 {
		// The last block is filled up to whole vectors with the maximum,
		// which adds to the count only.
		var block [BlockLen]float64
		n := copy(block[:], tail)
		filled := (n + Lanes - 1) &^ (Lanes - 1)
		Fill(block[n:filled], max)
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

func LaneTotal(dst, x []float64, max float64) (count, hi, lo float64) {
	if active == tierGo || len(x) == 0 || !IsFinite(max) {
		return laneTotalGo(dst, x, max)
	}
	raceReadSlice(x)
	if dst != nil {
		dst = dst[:len(x)]
	}
	raceWriteSlice(dst)
	f := newFrame(max)
	n, hi, lo := laneTotalNEON(unsafe.SliceData(dst), &x[0], len(x), f.shift, f.magic, f.lower, max)
	return float64(n), hi, lo
}

func ShiftBy(dst, x []float64, max, negLogSum float64) {
	if active == tierGo || negLogSum != negLogSum {
		shiftByGo(dst, x, max, negLogSum)
		return
	}
	dst = dst[:len(x)]
	raceReadSlice(x)
	raceWriteSlice(dst)
	shiftByNEON(unsafe.SliceData(dst), unsafe.SliceData(x), len(x), max, negLogSum)
}

func scaleBy(x []float64, factor float64) {
	if active == tierGo || factor != factor {
		scaleByGo(x, factor)
		return
	}
	raceWriteSlice(x)
	scaleByNEON(unsafe.SliceData(x), unsafe.SliceData(x), len(x), factor)
}

// A columnKernel is a kernel for groups of slices side by side.
type columnKernel uint8

const (
	kernelRaiseMax columnKernel = iota
	kernelAddExp
	kernelTotal
	kernelShift
	kernelScale
)

// onColumns calls a kernel for n rows of so many columns: for the groups that they
// fill, and for a copy of those that are left, a block of rows after another. dst
// may be nil.
func (c *Panel) onColumns(kernel columnKernel, dst []float64, dstStride int, x []float64, stride, n, cols int) {
	first := cols / Group * Group
	if first > 0 {
		c.onGroups(kernel, unsafe.SliceData(dst), dstStride, unsafe.SliceData(x), stride, n, first/Group)
	}
	if first == cols {
		return
	}
	var part [BlockLen * Group]float64
	for i := 0; i < n; i += BlockLen {
		rows, to := min(BlockLen, n-i), (*float64)(nil)
		CopyRows(part[:], Group, x[i*stride+first:], stride, rows, cols-first)
		if dst != nil {
			to = &part[0]
		}
		c.from(first).onGroups(kernel, to, Group, &part[0], Group, rows, 1)
		if dst != nil {
			CopyRows(dst[i*dstStride+first:], dstStride, part[:], Group, rows, cols-first)
		}
	}
}

// from is what the kernels take for a panel whose slices are those from the first
// on.
//
//go:nocheckptr
func (c *Panel) from(first int) *Panel {
	return (*Panel)(unsafe.Pointer(&c.Max[first]))
}

func (c *Panel) onGroups(kernel columnKernel, dst *float64, dstStride int, x *float64, stride, n, groups int) {
	switch kernel {
	case kernelRaiseMax:
		panelRaiseMaxNEON(c, x, stride, n, groups)
	case kernelAddExp:
		panelAddExpNEON(c, dst, dstStride, x, stride, n, groups)
	case kernelTotal:
		panelTotalNEON(c, dst, dstStride, x, stride, n, groups)
	case kernelShift:
		panelShiftNEON(c, dst, dstStride, x, stride, n, groups)
	case kernelScale:
		panelScaleNEON(c, dst, dstStride, x, stride, n, groups)
	}
}

func (c *Panel) RaiseMax(x []float64, stride, n, cols int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.raiseMaxGo(x, stride, n, cols)
		return
	}
	checkStrip(x, stride, n, cols)
	raceReadRows(x, stride, n, cols)
	c.onColumns(kernelRaiseMax, nil, 0, x, stride, n, cols)
}

func (c *Panel) SetFrames(groups int) {
	if active == tierGo || groups <= 0 {
		c.setFramesGo(groups)
		return
	}
	panelSetFramesNEON(c, groups)
}

func (c *Panel) AddExp(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.addExpGo(dst, dstStride, x, stride, n, cols)
		return
	}
	checkStrip(x, stride, n, cols)
	raceReadRows(x, stride, n, cols)
	if dst != nil {
		checkStrip(dst, dstStride, n, cols)
		raceWriteRows(dst, dstStride, n, cols)
	}
	c.onColumns(kernelAddExp, dst, dstStride, x, stride, n, cols)
}

func (c *Panel) Total(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.totalGo(dst, dstStride, x, stride, n, cols)
		return
	}
	checkStrip(x, stride, n, cols)
	raceReadRows(x, stride, n, cols)
	if dst != nil {
		checkStrip(dst, dstStride, n, cols)
		raceWriteRows(dst, dstStride, n, cols)
	}
	panelSetFramesNEON(c, GroupsFor(cols))
	c.onColumns(kernelTotal, dst, dstStride, x, stride, n, cols)
}

func (c *Panel) JoinLanes(groups int) {
	if active == tierGo || groups <= 0 {
		c.joinLanesGo(groups)
		return
	}
	panelJoinLanesNEON(c, groups)
}

func (c *Panel) concludeSums(groups int) {
	if active == tierGo || groups <= 0 {
		c.concludeSumsGo(groups)
		return
	}
	panelConcludeSumsNEON(c, groups)
}

func (c *Panel) concludeLogs(groups int) {
	if active == tierGo || groups <= 0 {
		c.concludeLogsGo(groups)
		return
	}
	panelConcludeLogsNEON(c, groups)
}

func (c *Panel) concludeProbabilities(groups int) {
	if active == tierGo || groups <= 0 {
		c.concludeProbabilitiesGo(groups)
		return
	}
	panelConcludeProbabilitiesNEON(c, groups)
}

func (c *Panel) Shift(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.shiftGo(dst, dstStride, x, stride, n, cols)
		return
	}
	checkStrip(x, stride, n, cols)
	checkStrip(dst, dstStride, n, cols)
	raceReadRows(x, stride, n, cols)
	raceWriteRows(dst, dstStride, n, cols)
	c.onColumns(kernelShift, dst, dstStride, x, stride, n, cols)
}

func (c *Panel) Scale(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	if active == tierGo || n <= 0 || cols <= 0 {
		c.scaleGo(dst, dstStride, x, stride, n, cols)
		return
	}
	checkStrip(x, stride, n, cols)
	checkStrip(dst, dstStride, n, cols)
	raceReadRows(x, stride, n, cols)
	raceWriteRows(dst, dstStride, n, cols)
	c.onColumns(kernelScale, dst, dstStride, x, stride, n, cols)
}

func pack(dst []float64, dstStride int, x []float64, stride, cols, groups int) {
	if active == tierGo || cols <= 0 || groups <= 0 {
		packGo(dst, dstStride, x, stride, cols, groups)
		return
	}
	checkStrip(dst, dstStride, cols, groups*Group)
	checkRows(x, stride, cols, groups)
	raceReadRows(x, stride, groups*Group, cols)
	raceWriteRows(dst, dstStride, cols, groups*Group)
	packNEON(unsafe.SliceData(dst), unsafe.SliceData(x), stride, cols, groups, dstStride)
}

func unpack(dst []float64, stride int, x []float64, xStride, cols, groups int) {
	if active == tierGo || cols <= 0 || groups <= 0 {
		unpackGo(dst, stride, x, xStride, cols, groups)
		return
	}
	checkStrip(x, xStride, cols, groups*Group)
	checkRows(dst, stride, cols, groups)
	raceReadRows(x, xStride, cols, groups*Group)
	raceWriteRows(dst, stride, groups*Group, cols)
	unpackNEON(unsafe.SliceData(x), unsafe.SliceData(dst), stride, cols, groups, xStride)
}

func (c *Panel) unpackScaled(dst []float64, stride int, tile []float64, cols, groups int) {
	if active == tierGo || cols <= 0 || groups <= 0 {
		c.unpackScaledGo(dst, stride, tile, cols, groups)
		return
	}
	checkStrip(tile, Width, cols, groups*Group)
	checkRows(dst, stride, cols, groups)
	raceReadRows(tile, Width, cols, groups*Group)
	raceWriteRows(dst, stride, groups*Group, cols)
	panelUnpackScaledNEON(unsafe.SliceData(tile), unsafe.SliceData(dst), stride, cols, groups, c)
}

// Weigh is weighGo.
func (l *Labels) Weigh(weight *[FewCols]float64, sample []float64, n int, divisor float64) bool {
	if active == tierGo || n <= 0 {
		return l.weighGo(weight, sample, n, divisor)
	}
	n = len(l.Class[:n])
	if sample != nil {
		sample = sample[:n]
		raceReadSlice(sample)
	}
	return labelsWeighNEON(l, (*float64)(unsafe.Pointer(weight)), unsafe.SliceData(sample), n, divisor)
}

func (c *Panel) Label(l *Labels, terms *Tile, groups int) {
	if active == tierGo || groups <= 0 {
		c.labelGo(l, terms, groups)
		return
	}
	groups = len(l.Class[:groups*Group]) / Group
	if terms == nil {
		panelLabelNEON(c, l, groups)
	} else {
		panelLabelGradientNEON(c, l, groups, &terms[0])
	}
}

func (c *Panel) WeightedLabel(l *Labels, distributions bool, groups int) {
	if active == tierGo || groups <= 0 {
		c.weightedLabelGo(l, distributions, groups)
		return
	}
	groups = len(l.Class[:groups*Group]) / Group
	if distributions {
		panelDistributionLabelNEON(c, l, groups)
	} else {
		panelWeightedLabelNEON(c, l, groups)
	}
}

// VectorJacobianOf goes from one special entry to the next, each of which it
// leaves to Go together with those that follow it.
func VectorJacobianOf(dst, logp, u []float64, hi, lo float64) {
	logp, dst = logp[:len(u)], dst[:len(u)]
	raceReadSlice(logp)
	raceReadSlice(u)
	raceWriteSlice(dst)
	for len(u) > 0 {
		done := 0
		if active != tierGo {
			done = vectorJacobianNEON(&dst[0], &logp[0], &u[0], len(u), hi, lo)
		}
		next := specialEnd(done, len(u))
		vectorJacobianGo(dst[done:next], logp[done:next], u[done:next], hi, lo)
		dst, logp, u = dst[next:], logp[next:], u[next:]
	}
}

// VectorJacobianRows takes one row after the other.
func VectorJacobianRows(dst, logp, u Rows, rows, n int, hi, lo []float64) {
	for i := range rows {
		VectorJacobianOf(dst.row(i, n), logp.row(i, n), u.row(i, n), hi[i], lo[i])
	}
}

// VectorJacobianColumns takes one row after the other.
func VectorJacobianColumns(dst, logp, u Rows, rows, n int, hi, lo []float64) {
	for i := range rows {
		columnsVectorJacobian(dst.row(i, n), logp.row(i, n), u.row(i, n), hi, lo)
	}
}

// columnsVectorJacobian is VectorJacobianOf with a sum for every entry.
func columnsVectorJacobian(dst, logp, u, hi, lo []float64) {
	logp, dst, hi, lo = logp[:len(u)], dst[:len(u)], hi[:len(u)], lo[:len(u)]
	raceReadSlice(logp)
	raceReadSlice(u)
	raceWriteSlice(dst)
	for len(u) > 0 {
		done := 0
		if active != tierGo {
			done = columnsVectorJacobianNEON(&dst[0], &logp[0], &u[0], &hi[0], &lo[0], len(u))
		}
		next := specialEnd(done, len(u))
		columnsVectorJacobianGo(dst[done:next], logp[done:next], u[done:next], hi[done:next], lo[done:next])
		dst, logp, u, hi, lo = dst[next:], logp[next:], u[next:], hi[next:], lo[next:]
	}
}

// momentTerms leaves special entries to Go.
func momentTerms(p, terms, logp, u []float64) {
	p, terms, u = p[:len(logp)], terms[:len(logp)], u[:len(logp)]
	raceReadSlice(logp)
	raceReadSlice(u)
	raceWriteSlice(p)
	raceWriteSlice(terms)
	for len(u) > 0 {
		done := 0
		if active != tierGo {
			done = momentTermsNEON(&p[0], &terms[0], &logp[0], &u[0], len(u))
		}
		next := specialEnd(done, len(u))
		momentTermsGo(p[done:next], terms[done:next], logp[done:next], u[done:next])
		p, terms, logp, u = p[next:], terms[next:], logp[next:], u[next:]
	}
}

func largeMoments(hi, lo, p, u []float64, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		largeMomentsGo(hi, lo, p, u, n, groups)
		return
	}
	checkStrip(p, Width, n, groups*Group)
	checkStrip(u, Width, n, groups*Group)
	_, _ = hi[:groups*Group], lo[:groups*Group]
	largeMomentsNEON(&hi[0], &lo[0], &p[0], &u[0], n, groups)
}

func softmaxGradRow(dst, logp, p, u []float64, small, large Accumulator) {
	dst, logp, u = dst[:len(p)], logp[:len(p)], u[:len(p)]
	if active == tierGo {
		softmaxGradRowGo(dst, logp, p, u, small, large)
		return
	}
	raceReadSlice(logp)
	raceReadSlice(p)
	raceReadSlice(u)
	raceWriteSlice(dst)
	for len(p) > 0 {
		n := min(len(p), Width)
		var d dominantGrads
		if !(MaxOf(p[:n]) <= dominant) {
			d.take(logp, p[:n], u, func(int) (_, _ Accumulator) { return small, large })
		}
		softmaxGradNEON(&dst[0], &p[0], &u[0], n, small.Hi, small.Lo, large.Hi)
		d.put(dst)
		dst, logp, p, u = dst[n:], logp[n:], p[n:], u[n:]
	}
}

// softmaxGradColumns is of rows of whole groups.
func softmaxGradColumns(dst, logp, p, u []float64, stride, rows, n int, hi, lo, large, largeLow []float64) {
	if active == tierGo || n <= 0 {
		softmaxGradColumnsGo(dst, logp, p, u, stride, rows, n, hi, lo, large, largeLow)
		return
	}
	_, _, _, _ = hi[:n], lo[:n], large[:n], largeLow[:n]
	for i := range rows {
		dst, logp, p, u := dst[i*stride:][:n], logp[i*stride:][:n], p[i*stride:][:n], u[i*stride:][:n]
		var d dominantGrads
		if !(MaxOf(p) <= dominant) {
			d.take(logp, p, u, func(j int) (_, _ Accumulator) { return Accumulator{hi[j], lo[j]}, Accumulator{large[j], largeLow[j]} })
		}
		columnsSoftmaxGradNEON(&dst[0], &p[0], &u[0], &hi[0], &lo[0], &large[0], n)
		d.put(dst)
	}
}

// dominantGrads are the gradients of the dominant ones of at most Width entries,
// which the kernels do not form.
type dominantGrads struct {
	count  int
	places [Width]int
	of     [Width]float64
}

func (d *dominantGrads) take(logp, p, u []float64, sums func(j int) (small, large Accumulator)) {
	var y [Width]float64
	for j, pj := range p {
		if pj > dominant {
			d.places[d.count], y[d.count] = j, logp[j]
			d.count++
		}
	}
	// The complement is what LogSoftmaxGrad gives for an upstream gradient of 1
	// where there is no other.
	var ones [Width]float64
	Fill(ones[:d.count], 1)
	VectorJacobianOf(d.of[:d.count], y[:d.count], ones[:d.count], 1, 0)
	for k, j := range d.places[:d.count] {
		small, large := sums(j)
		d.of[k] = dominantGrad(p[j], d.of[k], u[j], small, large)
	}
}

func (d *dominantGrads) put(dst []float64) {
	for k, j := range d.places[:d.count] {
		dst[j] = d.of[k]
	}
}

// What follows has no kernels of its own yet: the reference, or the kernels above one after the other.

func (s *LaneSum) addLoss(q, x []float64, max, negLogSum float64) (hi, lo float64) {
	raceReadSlice(q)
	raceReadSlice(x[:len(q)])
	if active == tierGo || len(q) == 0 {
		s.addLossGo(q, x, max, negLogSum)
		return s.joined()
	}
	return weightedLossNEON(s, &q[0], &x[0], len(q), max, negLogSum)
}

func (s *LossAndSum) add(q, x []float64, max, negLogSum float64) (hi, lo, sumHi, sumLo float64) {
	raceReadSlice(q)
	raceReadSlice(x[:len(q)])
	if active == tierGo || len(q) == 0 {
		return s.addGo(q, x, max, negLogSum)
	}
	return weightedLossSumsNEON(s, &q[0], &x[0], len(q), max, negLogSum)
}

func (s *CoefficientSum) add(x []float64) (hi, lo float64) {
	raceReadSlice(x)
	if active == tierGo || len(x) == 0 {
		s.addGo(x)
		return s.joined()
	}
	return coefficientSumNEON(s, &x[0], len(x))
}

// WeightedLossRows is weightedLossRowsGo.
func (c *Panel) WeightedLossRows(first int, l *Labels, _ *RowLanes, q []float64, qStride int, x []float64, stride, n, rows int, negLogSum []float64, sums bool) {
	if active == tierGo {
		c.weightedLossRowsGo(first, l, q, qStride, x, stride, n, rows, negLogSum, sums)
		return
	}
	for i := range rows {
		q, x, k := q[i*qStride:][:n], x[i*stride:][:n], first+i
		if !sums {
			var s LaneSum
			l.High[k], l.Low[k] = s.addLoss(q, x, c.Max[k], negLogSum[i])
			continue
		}
		var s LossAndSum
		hi, lo, sumHi, sumLo := s.add(q, x, c.Max[k], negLogSum[i])
		l.High[k], l.Low[k] = hi, lo
		c.Top[k] = slices.Max(s.sum.hi[:])
		c.setSum(k, sumAndRest(sumHi, sumLo))
	}
}

// WeightedGradient sets dst to g·(p·Q - q) for the probabilities p of the given
// terms, by their factors, and coefficients q, whose sum is Q. dst may be terms
// or q.
func WeightedGradient(dst, terms, q []float64, f Factors, sum Accumulator, g float64) {
	n, w := len(q), NewWeighting(f, sum, g)
	dst, terms = dst[:n], terms[:n]
	if active == tierGo || n == 0 {
		weightedGradientGo(dst, terms, q, w)
		return
	}
	raceReadSlice(q)
	raceReadSlice(terms)
	raceWriteSlice(dst)
	weightedGradientNEON(&dst[0], &terms[0], &q[0], n, w.first, w.firstLow, w.hi, w.lo, w.one, w.g)
}

// WeightedGradientRows is weightedGradientRowsGo.
func (c *Panel) WeightedGradientRows(first int, dst []float64, dstStride int, terms []float64, termsStride int, q []float64, qStride, n, rows int) {
	if active == tierGo {
		c.weightedGradientRowsGo(first, dst, dstStride, terms, termsStride, q, qStride, n, rows)
		return
	}
	for i := range rows {
		k := first + i
		WeightedGradient(dst[i*dstStride:][:n], terms[i*termsStride:][:n], q[i*qStride:][:n], c.Factors(k), c.Sum(k), c.Factor[k])
	}
}

func addLanes(s *laneSums, x, rest []float64) bool {
	if active == tierGo || len(x) == 0 {
		return addLanesGo(s, x, rest)
	}
	raceReadSlice(x)
	raceWriteSlice(rest[:len(x)])
	return !addLanesNEON(s, &x[0], &rest[0], len(x)/Lanes)
}

// RowsAreBetween is rowsAreBetweenGo.
func RowsAreBetween(x []float64, stride, rows, n int, least, most float64) bool {
	raceReadRows(x, stride, rows, n)
	if active == tierGo {
		return rowsAreBetweenGo(x, stride, rows, n, least, most)
	}
	for i := range rows {
		if row := x[i*stride:][:n]; !areBetweenNEON(&row[0], n, least, most) {
			return false
		}
	}
	return true
}

// SmoothedLosses is smoothedLossesGo.
func SmoothedLosses(to, x []float64, stride, n int, target []int, off, on float64) {
	if active == tierGo {
		smoothedLossesGo(to, x, stride, n, target, off, on)
		return
	}
	var q [4 * BlockLen]float64
	Fill(q[:min(n, len(q))], off)
	for i := range to {
		var sum Accumulator
		var s LaneSum
		for j := 0; j < n; j += len(q) {
			part := q[:min(n-j, len(q))]
			y := target[i] - j
			if uint(y) < uint(len(part)) {
				part[y] = on
			}
			sum.Hi, sum.Lo = s.addLoss(part, x[i*stride+j:], 0, 0)
			if uint(y) < uint(len(part)) {
				part[y] = off
			}
		}
		to[i] = sum.Value()
	}
}

// WeightedSmoothedLosses is weightedSmoothedLossesGo.
func WeightedSmoothedLosses(to, x []float64, stride, n int, target []int, off, on []float64) {
	if active == tierGo {
		weightedSmoothedLossesGo(to, x, stride, n, target, off, on)
		return
	}
	var q [4 * BlockLen]float64
	for i := range to {
		var sum Accumulator
		var s LaneSum
		for j := 0; j < n; j += len(q) {
			part := off[j:min(n, j+len(q))]
			if y := target[i] - j; uint(y) < uint(len(part)) {
				part = q[:copy(q[:], part)]
				part[y] = on[y+j]
			}
			sum.Hi, sum.Lo = s.addLoss(part, x[i*stride+j:], 0, 0)
		}
		to[i] = sum.Value()
	}
}

func IndexOf(x []float64, v float64) int {
	raceReadSlice(x)
	before := 0
	if active != tierGo && len(x) > 0 {
		before = indexOfNEON(&x[0], len(x), v)
	}
	if i := indexOfGo(x[before:], v); i >= 0 {
		return before + i
	}
	return -1
}

func (c *Panel) Add(x []float64, stride, n, width int) {
	raceReadRows(x, stride, n, width)
	if active == tierGo || n <= 0 || width <= 0 {
		c.addGo(x, stride, n, width)
		return
	}
	_ = x[(n-1)*stride:][:width]
	panelAddNEON(c, &x[0], stride, n, width)
}

func (c *Panel) SumSlices(x []float64, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		c.sumSlicesGo(x, n, groups)
		return
	}
	checkStrip(x, Width, n, groups*Group)
	panelSumSlicesNEON(c, &x[0], n, groups)
}

func (c *Panel) TakeLow(s *LowSums, groups int) {
	if active == tierGo || groups <= 0 {
		c.takeLowGo(s, groups)
		return
	}
	panelTakeLowNEON(c, s, groups)
}

func (c *Panel) JoinLow(s *LowSums, groups int) {
	if active == tierGo || groups <= 0 {
		c.joinLowGo(s, groups)
		return
	}
	panelJoinLowNEON(c, s, groups)
}

func (c *Panel) WeightedLoss(q, x []float64, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		c.weightedLossGo(q, x, n, groups)
		return
	}
	checkStrip(q, Width, n, groups*Group)
	checkStrip(x, Width, n, groups*Group)
	panelWeightedLossNEON(c, &q[0], &x[0], n, groups)
}

func (c *Panel) WeightedGradient(terms, q, x []float64, n, groups int) {
	if active == tierGo || n <= 0 || groups <= 0 {
		c.weightedGradientGo(terms, q, x, n, groups)
		return
	}
	checkStrip(terms, Width, n, groups*Group)
	checkStrip(q, Width, n, groups*Group)
	checkStrip(x, Width, n, groups*Group)
	panelWeightedGradientNEON(c, &terms[0], &q[0], &x[0], n, groups)
}

// tileSize returns the size of the tile that a product of rows by cols begins
// with.
func tileSize(rows, cols int) (height, width int) {
	height, width = 1, 1
	if rows >= 4 {
		height = 4
	}
	switch {
	case cols >= 8:
		width = 8
	case cols >= 2:
		width = 2
	}
	return height, width
}

// productTile is productGo for a tile of a size that tileSize returns, n > 0,
// and onto 1 for true.
func productTile(rows, cols int, dst *float64, dstStride int, a *float64, aRow, aStep int, b *float64, bStep, n int, plus *float64, onto int) {
	switch 16*cols + rows {
	case 16*8 + 4:
		product4x8NEON(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 16*2 + 4:
		product4x2NEON(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 16*1 + 4:
		product4x1NEON(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 16*8 + 1:
		product1x8NEON(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 16*2 + 1:
		product1x2NEON(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	case 16*1 + 1:
		product1x1NEON(dst, dstStride, a, aRow, aStep, b, bStep, n, plus, onto)
	}
}

// Of several rows to a call, each is a call of its own.

func (c *Panel) MaxOfRows(first int, x []float64, stride, n, rows int) {
	if active == tierGo {
		c.maxOfRowsGo(first, x, stride, n, rows)
		return
	}
	for i := range rows {
		c.Max[first+i] = MaxOf(x[i*stride:][:n])
	}
}

// ExpSumRows is expSumRowsGo.
func (c *Panel) ExpSumRows(first int, dst []float64, dstStride int, x []float64, stride, n, rows int, _, _ []float64) {
	if active == tierGo {
		c.expSumRowsGo(first, dst, dstStride, x, stride, n, rows)
		return
	}
	for i := range rows {
		var terms []float64
		if dst != nil {
			terms = dst[i*dstStride:][:n]
		}
		c.Count[first+i], c.Hi[0][first+i], c.Lo[0][first+i] = expSum(terms, x[i*stride:][:n], c.Max[first+i])
	}
}

func (c *Panel) ShiftEachRow(first int, dst []float64, dstStride int, x []float64, stride, n, rows int) {
	if active == tierGo {
		c.shiftEachRowGo(first, dst, dstStride, x, stride, n, rows)
		return
	}
	for i := range rows {
		ShiftBy(dst[i*dstStride:][:n], x[i*stride:][:n], c.Max[first+i], c.NegLogSum[first+i])
	}
}

func (c *Panel) ScaleEachRow(first int, x []float64, stride, n, rows int) {
	if active == tierGo {
		c.scaleEachRowGo(first, x, stride, n, rows)
		return
	}
	for i := range rows {
		scaleBy(x[i*stride:][:n], c.Factor[first+i])
	}
}

func (c *Panel) unpackGradient(l *Labels, dst []float64, stride int, tile []float64, cols, groups int) {
	if active == tierGo {
		c.unpackGradientGo(l, dst, stride, tile, cols, groups)
		return
	}
	c.unpackScaled(dst, stride, tile, cols, groups)
	l.setAtLabels(dst, stride, 0, groups*Group)
}

// specialEnd returns where Go ends that begins at a special entry.
func specialEnd(done, n int) int {
	if active == tierGo {
		return n
	}
	return min(done+Lanes, n)
}
