// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "slices"

// This file is rows of more than FewCols entries of one chunk, several to a
// call: row i is slice first+i of a panel, its entry j is x[i*stride+j]. Alone, a
// row takes longer to begin and to end than for a hundred entries. What is left
// of the group of the last row, its slices beyond, is open.

// maxOfRowsGo sets the maxima and frames of rows of n > 0 entries.
func (c *Panel) maxOfRowsGo(first int, x []float64, stride, n, rows int) {
	for i := range rows {
		c.Max[first+i] = maxOfGo(x[i*stride:][:n])
		f := newFrame(c.Max[first+i])
		c.shift[first+i], c.magic[first+i], c.lower[first+i] = f.shift, f.magic, f.lower
	}
}

// expSumRowsGo sets the counts, and lane 0 to the sums, of rows of n > 0
// entries whose maxima and frames are set. Where dst is not nil it receives the
// terms of all entries, and may be x. What is left in other lanes is open, and
// so are all these of a row whose maximum is not finite.
func (c *Panel) expSumRowsGo(first int, dst []float64, dstStride int, x []float64, stride, n, rows int) {
	for i := range rows {
		var terms []float64
		if dst != nil {
			terms = dst[i*dstStride:][:n]
		}
		c.Count[first+i], c.Hi[0][first+i], c.Lo[0][first+i] = expSumGo(terms, x[i*stride:][:n], c.Max[first+i])
	}
}

// shiftEachRowGo sets rows of dst to x-max+negLogSum. dst may be x.
func (c *Panel) shiftEachRowGo(first int, dst []float64, dstStride int, x []float64, stride, n, rows int) {
	for i := range rows {
		shiftByGo(dst[i*dstStride:][:n], x[i*stride:][:n], c.Max[first+i], c.NegLogSum[first+i])
	}
}

// scaleEachRowGo multiplies rows by their factors, leaving no -0.
func (c *Panel) scaleEachRowGo(first int, x []float64, stride, n, rows int) {
	for i := range rows {
		scaleByGo(x[i*stride:][:n], c.Factor[first+i])
	}
}

// RowLanes are the lanes of the sums of the coefficients of rows, in three words,
// as long as a call takes.
// With AVX2, whose first step joins halves, Top is the larger of two lanes.
type RowLanes struct{ Hi, Mid, Low, Top [Group][Lanes]float64 }

// weightedLossRowsGo sets l.High and l.Low to what WeightedLoss returns for rows
// of n > 0 entries, with the coefficients q, which are not negative, and
// negLogSum by row. With sums lane 0 gets what SumOf does, and Top is set,
// else it and the other lanes are open.
func (c *Panel) weightedLossRowsGo(first int, l *Labels, q []float64, qStride int, x []float64, stride, n, rows int, negLogSum []float64, sums bool) {
	for i := range rows {
		var s LossAndSum
		q, x, k := q[i*qStride:][:n], x[i*stride:][:n], first+i
		s.loss.addLossGo(q, x, c.Max[k], negLogSum[i])
		l.High[k], l.Low[k] = s.loss.joined()
		if sums {
			s.sum.addGo(q)
			c.Top[k] = slices.Max(s.sum.hi[:])
			c.setSum(k, s.sum.Sum())
		}
	}
}

// weightedGradientRowsGo sets rows of dst to the gradient for the terms of rows
// and their coefficients q, whose sums are in lane 0: c.Factor is what it is
// multiplied by. The only largest entry is made as the others are. dst may be
// terms or q.
func (c *Panel) weightedGradientRowsGo(first int, dst []float64, dstStride int, terms []float64, termsStride int, q []float64, qStride, n, rows int) {
	for i := range rows {
		k := first + i
		weightedGradientGo(dst[i*dstStride:][:n], terms[i*termsStride:][:n], q[i*qStride:][:n], NewWeighting(c.Factors(k), c.Sum(k), c.Factor[k]))
	}
}
