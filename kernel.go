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
// (j mod chunkLen)/blockLen, there to lane j mod 8. In a block the entries of
// a lane, v0 to v7, add up as ((v0+v1)+(v2+v3))+((v4+v5)+(v6+v7)), where an
// entry beyond the end or equal to the chunk's maximum is +0. A lane's blocks
// are joined in order by twoSum, then lane l with l+4, l+2 and l+1, then the
// chunks in order by partial.merge. Eight equal roundings in a lane cancel as
// they would in no running sum, and lanes may be vector lanes, rows or columns.
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
// the sum hi+lo of the terms of the others in the maximum's frame. Where dst
// is not nil it receives the terms of all entries; it may be x.
func expSumGo(dst, x []float64, max float64) (count, hi, lo float64) {
	f := newFrame(max)
	var sum, rest [lanes]float64
	for len(x) > 0 {
		n := min(len(x), blockLen)
		var v [blockLen]float64
		for j, xj := range x[:n] {
			y := xj - f.shift
			if !(y >= f.lower) {
				y = f.lower
			}
			e := f.term(y)
			if xj == max {
				count++
			} else {
				v[j] = e
			}
			if dst != nil {
				dst[j] = e
			}
		}
		for l := range lanes {
			b := ((v[l] + v[l+8]) + (v[l+16] + v[l+24])) + ((v[l+32] + v[l+40]) + (v[l+48] + v[l+56]))
			var r float64
			sum[l], r = twoSum(sum[l], b)
			rest[l] += r
		}
		x = x[n:]
		if dst != nil {
			dst = dst[n:]
		}
	}
	hi, lo = joinLanes(&sum, &rest)
	return count, hi, lo
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

// scaleByGo multiplies x by a factor, leaving no -0.
func scaleByGo(x []float64, factor float64) {
	if factor != factor {
		fill(x, nan)
		return
	}
	for j, v := range x {
		x[j] = float64(v*factor) + 0
	}
}

// columnsWidth is how many slices side by side a columns holds.
const columnsWidth = 64

// columns is the state of up to columnsWidth slices that lie side by side,
// entry j of slice i at x[j*stride+i]: columns of a matrix, or rows of one
// that was packed. The kernels for it work on whole groups of eight slices.
// The order of its fields is known to the assembly.
type columns struct {
	max       [columnsWidth]float64
	count     [columnsWidth]float64
	shift     [columnsWidth]float64
	magic     [columnsWidth]float64
	lower     [columnsWidth]float64
	negLogSum [columnsWidth]float64
	inverse   [columnsWidth]float64
	rest      [columnsWidth]float64
	factor    [columnsWidth]float64
	hi        [lanes][columnsWidth]float64
	lo        [lanes][columnsWidth]float64
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
		var v [blockLen]float64
		for j := range n {
			xj := x[j*stride+i]
			y := xj - f.shift
			if !(y >= f.lower) {
				y = f.lower
			}
			e := f.term(y)
			if xj == c.max[i] {
				c.count[i]++
			} else {
				v[j] = e
			}
			if dst != nil {
				dst[j*dstStride+i] = e
			}
		}
		for l := range lanes {
			b := ((v[l] + v[l+8]) + (v[l+16] + v[l+24])) + ((v[l+32] + v[l+40]) + (v[l+48] + v[l+56]))
			s, r := twoSum(c.hi[l][i], b)
			c.hi[l][i], c.lo[l][i] = s, c.lo[l][i]+r
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

// columnsConcludeGo sets negLogSum, inverse and rest from the maximum, count
// and lane 0 of slices of one chunk.
func columnsConcludeGo(c *columns, groups int) {
	for i := range groups * group {
		p := newPartial(c.max[i], c.count[i], c.hi[0][i], c.lo[0][i])
		s := p.conclude()
		c.negLogSum[i], c.inverse[i], c.rest[i] = s.negLogSum, s.inverse, s.rest
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
				row[i] = float64(v*c.factor[i]) + 0
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

// unpackGo writes the columns of tile back as rows of dst.
func unpackGo(dst []float64, stride int, tile []float64, cols, groups int) {
	for i := range groups * group {
		row := dst[i*stride:][:cols]
		for j := range row {
			row[j] = tile[j*columnsWidth+i]
		}
	}
}
