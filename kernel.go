// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "math"

// The kernels, in Go: what every tier of assembly does, bit for bit. Those of
// this file that are named …Go are reached through a function without that
// suffix, which picks the tier.
//
// The order of a sum of exponentials is the same for every tier and layout:
// entry j of a slice belongs to chunk j/chunkLen, there to block
// (j mod chunkLen)/blockLen, and to lane j mod 8. A lane adds up, in order,
// the parts s and s·q of its terms apart: the s by twoSum; the s·q and what
// twoSum lost by plain additions, which start anew with every block, for they
// are small but would all round the same way where all terms are equal. An
// entry equal to the chunk's maximum counts and is not added. In the end lane
// l is joined with l+4, l+2 and l+1, and the chunks in order by
// partial.merge. Lanes may so be vector lanes, rows or columns.
//
// A slice of at most blockLen entries, of which many are worked on at once, is
// a single lane, in which the low words start anew with every eight entries.
const (
	lanes    = 8
	blockLen = 64
	chunkLen = 2048
)

// maxOfGo returns the largest entry, NaN if there is a NaN, -Inf for none.
func maxOfGo(x []float64) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		if !(v <= m) {
			if v != v {
				return nan
			}
			m = v
		}
	}
	return m
}

// expSumGo returns how many of the entries of a chunk equal its maximum, and
// the sum hi+lo of the terms of the others in the maximum's frame; lo is up
// to 0.022 of hi. Where dst is not nil it receives the terms of all entries;
// it may be x.
func expSumGo(dst, x []float64, max float64) (count, hi, lo float64) {
	f := newFrame(max)
	var sum, rest [lanes]float64
	for len(x) > 0 {
		n := min(len(x), blockLen)
		var low [lanes]float64
		for j, xj := range x[:n] {
			l := j % lanes
			s, q := f.parts(clamp(xj-f.shift, f.lower))
			if dst != nil {
				dst[j] = math.FMA(s, q, s)
			}
			if xj == max {
				count++
				continue
			}
			sum[l], low[l] = addParts(sum[l], low[l], s, q)
		}
		for l := range lanes {
			rest[l] += low[l]
		}
		x = x[n:]
		if dst != nil {
			dst = dst[n:]
		}
	}
	hi, lo = joinLanes(&sum, &rest)
	return count, hi, lo
}

// clamp returns the larger of y and lower, and lower for NaN.
func clamp(y, lower float64) float64 {
	if !(y >= lower) {
		return lower
	}
	return y
}

// addParts adds the term s + s·q to a lane.
func addParts(sum, low, s, q float64) (newSum, newLow float64) {
	low = math.FMA(s, q, low)
	newSum, r := twoSum(sum, s)
	return newSum, low + r
}

// joinLanes adds up the lanes' sums.
func joinLanes(sum, rest *[lanes]float64) (hi, lo float64) {
	for half := lanes / 2; half > 0; half /= 2 {
		for l := range half {
			s, r := twoSum(sum[l], sum[l+half])
			sum[l], rest[l] = s, (rest[l]+rest[l+half])+r
		}
	}
	return sum[0], rest[0]
}

// shiftByGo sets dst[j] to x[j]-max+negLogSum: log-probabilities. dst may be x.
func shiftByGo(dst, x []float64, max, negLogSum float64) {
	if negLogSum != negLogSum {
		fill(dst, nan)
		return
	}
	for j, v := range x {
		dst[j] = negLogSum + (v - max)
	}
}

func fill(dst []float64, v float64) {
	for j := range dst {
		dst[j] = v
	}
}

// scaleByGo multiplies x by a factor, leaving no -0. The one NaN stays what it
// is, which not every processor's product does.
func scaleByGo(x []float64, factor float64) {
	if factor != factor {
		fill(x, nan)
		return
	}
	for j, v := range x {
		x[j] = canonical(float64(v * factor))
	}
}

// columnsWidth is how many slices side by side a columns holds.
const columnsWidth = 64

// columns is the state of up to columnsWidth slices that lie side by side,
// entry j of slice i at x[j*stride+i]: columns of a matrix, or rows of one
// that was packed. The kernels for it work on whole groups of eight slices.
// The order of its fields is known to the assembly.
type columns struct {
	max        [columnsWidth]float64
	count      [columnsWidth]float64
	shift      [columnsWidth]float64
	magic      [columnsWidth]float64
	lower      [columnsWidth]float64
	negLogSum  [columnsWidth]float64
	inverse    [columnsWidth]float64
	rest       [columnsWidth]float64
	factor     [columnsWidth]float64
	hi         [lanes][columnsWidth]float64
	lo         [lanes][columnsWidth]float64
	logSumLow  [columnsWidth]float64
	inverseLow [columnsWidth]float64
}

const group = 8

// reset prepares for the maxima of new slices.
func (c *columns) reset() {
	for i := range c.max {
		c.max[i] = math.Inf(-1)
	}
}

// columnsMaxGo raises c.max to the largest of n entries more of each slice; a
// NaN stays.
func columnsMaxGo(c *columns, x []float64, stride, n, groups int) {
	for j := range n {
		row := x[j*stride:][:groups*group]
		for i, v := range row {
			m := c.max[i]
			switch {
			case v != v:
				c.max[i] = nan
			case v > m:
				c.max[i] = v
			}
		}
	}
}

// columnsFrameGo sets the frames for c.max and clears the sums.
func columnsFrameGo(c *columns, groups int) {
	for i := range groups * group {
		f := newFrame(c.max[i])
		c.shift[i], c.magic[i], c.lower[i] = f.shift, f.magic, f.lower
		c.count[i] = 0
	}
	for l := range lanes {
		clear(c.hi[l][:groups*group])
		clear(c.lo[l][:groups*group])
	}
}

// columnsExpSumGo adds a block of n entries of each slice to its lanes' sums
// and count. Where dst is not nil it receives the terms of all entries; it may
// be x.
func columnsExpSumGo(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	for i := range groups * group {
		f := frame{shift: c.shift[i], magic: c.magic[i], lower: c.lower[i]}
		var low [lanes]float64
		for j := range n {
			l := j % lanes
			xj := x[j*stride+i]
			s, q := f.parts(clamp(xj-f.shift, f.lower))
			if dst != nil {
				dst[j*dstStride+i] = math.FMA(s, q, s)
			}
			if xj == c.max[i] {
				c.count[i]++
				continue
			}
			c.hi[l][i], low[l] = addParts(c.hi[l][i], low[l], s, q)
		}
		for l := range min(lanes, n) {
			c.lo[l][i] += low[l]
		}
	}
}

// columnsJoinGo adds up the lanes' sums into lane 0.
func columnsJoinGo(c *columns, groups int) {
	for i := range groups * group {
		var sum, rest [lanes]float64
		for l := range lanes {
			sum[l], rest[l] = c.hi[l][i], c.lo[l][i]
		}
		c.hi[0][i], c.lo[0][i] = joinLanes(&sum, &rest)
	}
}

// columnsTotalGo sets the counts, and lane 0 to the sums, of slices that are
// a single lane of n > 0 entries. Where dst is not nil it receives the terms of
// all entries; it may be x. What it leaves in the frames and in other lanes is
// open.
func columnsTotalGo(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	for i := range groups * group {
		f := newFrame(c.max[i])
		var count, sum, rest, low float64
		for j := range n {
			if j%lanes == 0 {
				rest, low = rest+low, 0
			}
			xj := x[j*stride+i]
			s, q := f.parts(clamp(xj-f.shift, f.lower))
			if dst != nil {
				dst[j*dstStride+i] = math.FMA(s, q, s)
			}
			if xj == c.max[i] {
				count++
				continue
			}
			sum, low = addParts(sum, low, s, q)
		}
		c.count[i], c.hi[0][i], c.lo[0][i] = count, sum, rest+low
	}
}

// columnsLogGo sets negLogSum and logSumLow from the maximum, count and lane 0
// of slices of one chunk.
func columnsLogGo(c *columns, groups int) {
	for i := range groups * group {
		p := newPartial(c.max[i], c.count[i], c.hi[0][i], c.lo[0][i])
		c.negLogSum[i], c.logSumLow[i] = p.negLogSum()
	}
}

// columnsConcludeGo is columnsLogGo, and also sets inverse, inverseLow and rest.
func columnsConcludeGo(c *columns, groups int) {
	for i := range groups * group {
		p := newPartial(c.max[i], c.count[i], c.hi[0][i], c.lo[0][i])
		s := p.conclude()
		c.negLogSum[i], c.logSumLow[i] = s.negLogSum, s.logSumLow
		c.inverse[i], c.inverseLow[i], c.rest[i] = s.inverse, s.inverseLow, s.rest
	}
}

// columnsShiftGo sets n entries of each slice of dst to x-max+negLogSum. dst
// may be x.
func columnsShiftGo(c *columns, dst []float64, dstStride int, x []float64, stride, n, groups int) {
	for j := range n {
		to, from := dst[j*dstStride:][:groups*group], x[j*stride:][:groups*group]
		for i, v := range from {
			if c.negLogSum[i] != c.negLogSum[i] {
				to[i] = nan
			} else {
				to[i] = c.negLogSum[i] + (v - c.max[i])
			}
		}
	}
}

// columnsScaleGo multiplies n entries of each slice by its factor, leaving no
// -0.
func columnsScaleGo(c *columns, x []float64, stride, n, groups int) {
	for j := range n {
		row := x[j*stride:][:groups*group]
		for i, v := range row {
			if c.factor[i] != c.factor[i] {
				row[i] = nan
			} else {
				row[i] = canonical(float64(v * c.factor[i]))
			}
		}
	}
}

// packGo writes the rows of x, cols entries each, as columns of tile:
// tile[j*columnsWidth+i] is x[i*stride+j], for 8·groups rows.
func packGo(tile []float64, x []float64, stride, cols, groups int) {
	for i := range groups * group {
		for j, v := range x[i*stride:][:cols] {
			tile[j*columnsWidth+i] = v
		}
	}
}

// packMaxGo is packGo, and sets c.max for these rows.
func packMaxGo(c *columns, tile []float64, x []float64, stride, cols, groups int) {
	packGo(tile, x, stride, cols, groups)
	fill(c.max[:groups*group], math.Inf(-1))
	columnsMaxGo(c, tile, columnsWidth, cols, groups)
}

// unpackGo writes the columns of tile back as rows of dst.
func unpackGo(dst []float64, stride int, tile []float64, cols, groups int) {
	for i := range groups * group {
		row := dst[i*stride:][:cols]
		for j := range row {
			row[j] = tile[j*columnsWidth+i]
		}
	}
}

// unpackScaledGo is unpackGo of the columns times their factors, leaving no -0.
func unpackScaledGo(c *columns, dst []float64, stride int, tile []float64, cols, groups int) {
	for i := range groups * group {
		row, factor := dst[i*stride:][:cols], c.factor[i]
		for j := range row {
			if factor != factor {
				row[j] = nan
			} else {
				row[j] = canonical(float64(tile[j*columnsWidth+i] * factor))
			}
		}
	}
}

// labels is what columnsLabel finds out about the labels of rows side by side.
// The order of its fields is known to the assembly.
type labels struct {
	loss    [columnsWidth]float64 // of each row
	atLabel [columnsWidth]float64 // the gradient there
	// How many labels are the only largest entry, and how many one of
	// several, by vector lane.
	single, tied [lanes]int
	// The sum of the losses, to which those of the rows are added.
	sum rowSum
}

// columnsLabelGo finds, for n rows of x from row first on, whose sums are in c,
// what their labels make of them. Where terms, a tile, is not nil it also sets
// the gradients at the labels and c.factor, to multiply the terms by, both
// times g, a positive number.
func columnsLabelGo(c *columns, x []float64, stride int, target []int, l *labels, first, n int, terms []float64, g float64) {
	for k := first; k < first+n; k++ {
		y := target[k]
		logit := x[k*stride+y]
		l.loss[k] = canonical(0 - (c.negLogSum[k] + (logit - c.max[k])))
		l.sum.add(k, l.loss[k])
		single := logit == c.max[k] && c.count[k] == 1
		switch {
		case single:
			l.single[k%lanes]++
		case logit == c.max[k]:
			l.tied[k%lanes]++
		}
		if terms == nil {
			continue
		}
		rest := c.rest[k]
		if !single {
			rest = 1 - float64(terms[y*columnsWidth+k]*c.inverse[k])
		}
		l.atLabel[k] = canonical(0 - float64(rest*g))
		if c.negLogSum[k] != c.negLogSum[k] {
			l.atLabel[k] = nan
		}
		c.factor[k] = float64(c.inverse[k] * g)
	}
}

// A stripMove is what columnsMove does, beside summing a strip of some columns,
// for the strips before and after it, which are as wide: it writes the result
// of the one and reads the other.
type stripMove struct {
	*stripState
	// buffer holds the entries of the strip before, and then those of the
	// strip after, in rows without gaps.
	buffer    []float64
	in        []float64 // the strip after, where it lies
	inStride  int
	out       []float64 // the result of the strip before
	outStride int
}

// columnsMoveApart is columnsTotal without dst for a strip x, whose rows have
// no gaps; columnsShift by m.before of m.buffer to m.out; then m.in is copied to
// m.buffer and raises the maxima m.next. columnsMove does all that at once.
func columnsMoveApart(c *columns, x []float64, n, groups int, m *stripMove) {
	width := groups * group
	columnsTotal(c, nil, 0, x, width, n, groups)
	columnsShift(&m.before, m.out, m.outStride, m.buffer, width, n, groups)
	copyRows(m.buffer, width, m.in, m.inStride, n, width)
	columnsMax(&m.next, m.buffer, width, n, groups)
}

// copyRows copies n rows of the given width.
func copyRows(dst []float64, dstStride int, x []float64, stride, n, width int) {
	for i := range n {
		copy(dst[i*dstStride:][:width], x[i*stride:])
	}
}
