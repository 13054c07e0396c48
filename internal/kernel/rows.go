// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

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
