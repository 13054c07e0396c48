// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// Width is how many slices side by side a Panel holds.
const Width = 64

// A Panel is the state of up to Width slices that lie side by side,
// entry j of slice i at x[j*stride+i]: columns of a matrix, or rows of one
// that was packed. The kernels for it work on whole groups of eight slices.
type Panel struct {
	Max        [Width]float64
	Count      [Width]float64
	shift      [Width]float64
	magic      [Width]float64
	lower      [Width]float64
	NegLogSum  [Width]float64
	Inverse    [Width]float64
	Complement [Width]float64
	Factor     [Width]float64
	// sum is Σ e^(x[j]-max), sumLow what rounding it lost.
	sum, sumLow [Width]float64
	Hi          [Lanes][Width]float64
	Lo          [Lanes][Width]float64
	LogSumLow   [Width]float64
	InverseLow  [Width]float64
	// ComplementLow is what rounding Complement lost.
	ComplementLow [Width]float64
	// Top bounds the coefficients of a slice: while it is less than their sum, none
	// of them is all of it.
	Top [Width]float64
}

const Group = 8

// reset prepares for the maxima of new slices.
func (c *Panel) Reset() {
	for i := range c.Max {
		c.Max[i] = math.Inf(-1)
	}
}

// GroupsFor is how many groups n slices fill.
func GroupsFor(n int) int { return (n + Group - 1) / Group }

// raiseMaxGo raises c.Max to the largest of n entries more of each slice; a
// NaN stays.
func (c *Panel) raiseMaxGo(x []float64, stride, n, cols int) {
	for j := range n {
		row := x[j*stride:][:cols]
		for i, v := range row {
			m := c.Max[i]
			switch {
			case v != v:
				c.Max[i] = NaN
			case v > m:
				c.Max[i] = v
			}
		}
	}
}

// setFramesGo sets the frames for c.Max and clears the sums.
func (c *Panel) setFramesGo(groups int) {
	for i := range groups * Group {
		f := newFrame(c.Max[i])
		c.shift[i], c.magic[i], c.lower[i] = f.shift, f.magic, f.lower
		c.Count[i] = 0
	}
	for l := range Lanes {
		clear(c.Hi[l][:groups*Group])
		clear(c.Lo[l][:groups*Group])
	}
}

// addExpGo adds a block of n entries of each slice to its lanes' sums
// and count. Where dst is not nil it receives the terms of all entries; it may
// be x.
func (c *Panel) addExpGo(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	for i := range cols {
		f := frame{shift: c.shift[i], magic: c.magic[i], lower: c.lower[i]}
		var low [Lanes]float64
		for j := range n {
			l := j % Lanes
			xj := x[j*stride+i]
			s, q := f.parts(clamp(xj-f.shift, f.lower))
			if dst != nil {
				dst[j*dstStride+i] = math.FMA(s, q, s)
			}
			if xj == c.Max[i] {
				c.Count[i]++
				continue
			}
			c.Hi[l][i], low[l] = addParts(c.Hi[l][i], low[l], s, q)
		}
		for l := range min(Lanes, n) {
			c.Lo[l][i] += low[l]
		}
	}
}

// joinLanesGo adds up the lanes' sums into lane 0.
func (c *Panel) joinLanesGo(groups int) {
	for i := range groups * Group {
		var sum, rest [Lanes]float64
		for l := range Lanes {
			sum[l], rest[l] = c.Hi[l][i], c.Lo[l][i]
		}
		c.Hi[0][i], c.Lo[0][i] = joinLanes(&sum, &rest)
	}
}

// totalGo sets the counts, and lane 0 to the sums, of slices that are
// a single lane of n > 0 entries. Where dst is not nil it receives the terms of
// all entries; it may be x. What it leaves in the frames and in other lanes is
// open.
func (c *Panel) totalGo(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	for i := range cols {
		f := newFrame(c.Max[i])
		var count, sum, rest, low float64
		for j := range n {
			if j%Lanes == 0 {
				rest, low = rest+low, 0
			}
			xj := x[j*stride+i]
			s, q := f.parts(clamp(xj-f.shift, f.lower))
			if dst != nil {
				dst[j*dstStride+i] = math.FMA(s, q, s)
			}
			if xj == c.Max[i] {
				count++
				continue
			}
			sum, low = addParts(sum, low, s, q)
		}
		c.Count[i], c.Hi[0][i], c.Lo[0][i] = count, sum, rest+low
	}
}

// concludeSumsGo sets sum and sumLow from the maximum, count and lane 0 of slices
// of one chunk, and Inverse and Complement, with their low words, to what
// concludeProbabilitiesGo makes them of.
func (c *Panel) concludeSumsGo(groups int) {
	for i := range groups * Group {
		p := newPartial(c.Max[i], c.Count[i], c.Hi[0][i], c.Lo[0][i])
		c.sum[i], c.sumLow[i] = p.Sum()
		c.Inverse[i], c.InverseLow[i] = p.scale, p.scaleLow
		c.Complement[i], c.ComplementLow[i] = p.tail()
	}
}

// concludeLogsGo sets NegLogSum and LogSumLow, after concludeSumsGo.
func (c *Panel) concludeLogsGo(groups int) {
	for i := range groups * Group {
		c.NegLogSum[i], c.LogSumLow[i] = NaN, NaN
		if IsFinite(c.Max[i]) {
			// The sum's excess over 1 is wanted where there is one largest entry.
			l := newLogarithm(c.sum[i], c.sumLow[i], c.Complement[i], c.ComplementLow[i])
			logSum, low := l.value()
			c.NegLogSum[i], c.LogSumLow[i] = -logSum, low
		}
	}
}

// concludeProbabilitiesGo sets Inverse, Complement and their low words, after
// concludeSumsGo, which set them to what is divided here by the sum.
func (c *Panel) concludeProbabilitiesGo(groups int) {
	for i := range groups * Group {
		p := probabilities(Pair{c.Inverse[i], c.InverseLow[i]}, Pair{c.Complement[i], c.ComplementLow[i]}, Pair{c.sum[i], c.sumLow[i]})
		if !IsFinite(c.Max[i]) {
			p = Conclusion{Inverse: NaN, InverseLow: NaN, Complement: NaN, ComplementLow: NaN}
		}
		c.Inverse[i], c.InverseLow[i] = p.Inverse, p.InverseLow
		c.Complement[i], c.ComplementLow[i] = p.Complement, p.ComplementLow
	}
}

// shiftGo sets n entries of each slice of dst to x-max+negLogSum. dst
// may be x.
func (c *Panel) shiftGo(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	for j := range n {
		to, from := dst[j*dstStride:][:cols], x[j*stride:][:cols]
		for i, v := range from {
			if c.NegLogSum[i] != c.NegLogSum[i] {
				to[i] = NaN
			} else {
				to[i] = c.NegLogSum[i] + (v - c.Max[i])
			}
		}
	}
}

// scaleGo sets n entries of each slice of dst to those of x times its factor,
// leaving no -0. dst may be x.
func (c *Panel) scaleGo(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	for j := range n {
		to, from := dst[j*dstStride:][:cols], x[j*stride:][:cols]
		for i, v := range from {
			if c.Factor[i] != c.Factor[i] {
				to[i] = NaN
			} else {
				to[i] = Canonical(float64(v * c.Factor[i]))
			}
		}
	}
}

// Conclude concludes the slices of the groups, with Inverse and Complement where
// probabilities are wanted.
func (c *Panel) Conclude(groups int, probabilities bool) {
	c.concludeSums(groups)
	c.concludeLogs(groups)
	if probabilities {
		c.concludeProbabilities(groups)
	}
}

// ConcludeSoftmax is Conclude with probabilities and without logarithms.
func (c *Panel) ConcludeSoftmax(groups int) {
	c.concludeSums(groups)
	c.concludeProbabilities(groups)
}

// partial returns the partial of slice i, whose lanes are joined.
func (c *Panel) Partial(i int) Partial {
	if !IsFinite(c.Max[i]) {
		return Partial{Max: c.Max[i]}
	}
	return newPartial(c.Max[i], c.Count[i], c.Hi[0][i], c.Lo[0][i])
}

// logSumExp returns log Σ e^x of slice i.
func (c *Panel) LogSumExp(i int) float64 {
	if m := c.Max[i]; !IsFinite(m) {
		return m
	}
	sum, rest := TwoSum(c.Max[i], -c.NegLogSum[i])
	return sum + (rest + c.LogSumLow[i])
}

// logSumExpsGo sets dst to those of as many slices, from the first on.
func (c *Panel) logSumExpsGo(dst []float64, first int) {
	for i := first; i < len(dst); i++ {
		dst[i] = c.LogSumExp(i)
	}
}

// SetCertain sets the largest of the probabilities of slice i if it is next to
// 1.
func (c *Panel) SetCertain(i int, p []float64) {
	if c.Complement[i] < Certain && c.Count[i] == 1 {
		for j, v := range p {
			if v > 0.5 {
				p[j] = 1 - c.Complement[i]
			}
		}
	}
}

// SetCertainColumns is the same for n entries of each slice.
func (c *Panel) SetCertainColumns(p []float64, stride, n, cols int) {
	for i, rest := range c.Complement[:cols] {
		if !(rest < Certain && c.Count[i] == 1) {
			continue
		}
		for j := range n {
			if p[j*stride+i] > 0.5 {
				p[j*stride+i] = 1 - rest
			}
		}
	}
}

// Sum returns lane 0 of slice i.
func (c *Panel) Sum(i int) Accumulator { return Accumulator{c.Hi[0][i], c.Lo[0][i]} }

// setSum sets lane 0 of slice i.
func (c *Panel) setSum(i int, sum Accumulator) { c.Hi[0][i], c.Lo[0][i] = sum.Hi, sum.Lo }

// Factors returns what makes probabilities of the terms of slice i, of one
// chunk.
func (c *Panel) Factors(i int) Factors { return Factors{c.Inverse[i], c.InverseLow[i], 1} }
