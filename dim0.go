// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
)

// This file does the operations along dim 0. Columns go eight and eight through
// the kernels for columns, which may leave a part of the last eight out.
//
// Memory is what counts: every row of a few columns is on another page, and
// where the stride is a power of two in the same few cache sets too. Columns of
// one chunk are done tile by tile, each of which stays close to the processor;
// the next one is prefetched while the exponentials of this one are formed.
// Columns of many chunks would not stay: the matrix is gone through three times,
// in pieces so wide that memory is read almost in its order. So are less than
// eight columns, which are transposed on the way.

// runColumns does the operation on every column of in.
func (t *normalization) runColumns() {
	rows, cols := t.in.Rows, t.in.Cols
	switch {
	case rows == 1:
		t.doSingleRow()
	case cols == 1 && t.in.Stride == 1 && (t.op == opLogSumExp || t.out.Stride == 1):
		// Storage that is a row's.
		t.in.Rows, t.in.Cols, t.in.Stride = 1, rows, rows
		t.out.Rows, t.out.Cols, t.out.Stride = 1, rows, rows
		t.run(1)
	case t.inTiles():
		t.part = partTiles
		run(t, (cols+tilesWidth(rows)-1)/tilesWidth(rows), elements(rows, cols))
	default:
		sums, result, units := partLongSums, partLongResult, t.longUnits()
		if cols < kernel.Group {
			sums, result = partFewSums, partFewResult
		}
		t.partials = grow(t.partials, kernel.Chunks(rows)*cols)
		t.part = sums
		run(t, units, elements(rows, cols))
		t.concludeLong()
		if t.op != opLogSumExp {
			t.part = result
			run(t, units, elements(rows, cols))
		}
	}
}

// longStrips is how many strips of columns of several chunks are worked on, one
// after the other. They are of about the same width.
func (t *normalization) longStrips() int { return (t.in.Cols + longWidth - 1) / longWidth }

// longUnits is how many units columns of several chunks are.
func (t *normalization) longUnits() int {
	return t.longStrips() * kernel.Chunks(t.in.Rows)
}

// termsTwice reports whether the terms of Softmax, down columns of several chunks,
// are formed a second time, and not kept in the result: where they would come back
// from memory, rows are wide enough that it is prefetched in its order, and vectors
// so wide that an exponential takes less than to wait for it.
func (t *normalization) termsTwice() bool {
	return kernel.Wide() && t.in.Cols >= 2*kernel.Width && elements(t.in.Rows, t.in.Cols) >= 1<<20
}

// doSingleRow does columns of one entry, whose probability is 1.
func (t *normalization) doSingleRow() {
	in := t.in.Data[:t.in.Cols]
	switch t.op {
	case opLogSumExp:
		for j, v := range in {
			t.values[j] = kernel.Canonical(v)
		}
	case opLogSoftmax:
		for j, v := range in {
			t.out.Data[j] = kernel.Canonical(v - v)
		}
	case opSoftmax:
		for j, v := range in {
			t.out.Data[j] = kernel.Canonical(v - v + 1)
		}
	}
}

// inTiles reports whether columns are done in tiles: those of one chunk, unless
// they fill little of a vector.
func (t *normalization) inTiles() bool {
	return t.in.Rows <= kernel.BlockLen || t.in.Rows <= kernel.ChunkLen && t.in.Cols >= kernel.Group
}

// tileWidth is the number of columns of a tile: some 2^14 entries, which stay in
// the second cache, but four lines of memory at least.
func tileWidth(rows int) int {
	return max(4*kernel.Group, min(kernel.Width, (1<<14)/rows/kernel.Group*kernel.Group))
}

// tilesWidth is the number of columns of the tiles in a unit.
func tilesWidth(rows int) int {
	width := tileWidth(rows)
	return width * max(1, parallelWork/(rows*width))
}

// doTiles does columns of one chunk, tile by tile.
func (t *normalization) doTiles(w *workspace, first, end int) {
	for width := tileWidth(t.in.Rows); first < end; first += width {
		t.doTile(w, first, min(width, end-first))
	}
}

// doTile does columns of at most a chunk, at most Width of them from column first
// on.
func (t *normalization) doTile(w *workspace, first, cols int) {
	s := t.tile(first, cols)
	if t.op != opLogSumExp {
		s.dst, s.dstStride = t.out.Data[first:], t.out.Stride
		// Rows that crowd each other out of the first cache are read once and
		// written once. What is prefetched of dst would not stay either.
		apart := s.rows > crowdFrom && kernel.Crowds(s.stride)
		if apart {
			w.columns = grow(w.columns, s.rows*cols)
		}
		switch after := first + cols; {
		case apart && t.op == opSoftmax:
			s.terms, s.termsStride = w.columns, cols
		case apart:
			s.from, s.fromStride = s.x, s.stride
			s.x, s.stride = w.columns, cols
		case t.op == opLogSoftmax:
			s.out = s.dst
		default:
			s.terms, s.termsStride = s.dst, s.dstStride
			if after < t.in.Cols {
				s.out = t.out.Data[after:]
			}
		}
	}
	t.normalizeColumns(&w.panel, &s)
	if t.op == opLogSumExp {
		w.panel.LogSumExps(t.values[first:][:cols])
	}
}

// tile returns columns from column first on, to be summed where they are.
func (t *normalization) tile(first, cols int) columnTile {
	in := &t.in
	s := columnTile{rows: in.Rows, x: in.Data[first:], stride: in.Stride, cols: cols}
	if after := first + cols; after < in.Cols {
		s.next = in.Data[after:]
	}
	return s
}

// concludeColumns concludes n columns of x from column first on, at most a tile of
// them, as slices of the panel.
func (w *workspace) concludeColumns(x blas64.General, first, n int) {
	t := normalization{op: opLogSumExp, in: x}
	if x.Rows <= kernel.ChunkLen {
		s := t.tile(first, n)
		t.normalizeColumns(&w.panel, &s)
		return
	}
	t.in.Data, t.in.Cols = x.Data[first:], n
	w.partials = grow(w.partials, kernel.Chunks(x.Rows)*n)
	t.partials = w.partials
	for u := range kernel.Chunks(x.Rows) {
		t.sumLong(w, 0, n, u)
	}
	for k := range n {
		whole := t.wholePartial(k)
		w.panel.Max[k], w.panel.Count[k], w.panel.NegLogSum[k] = whole.Max, whole.Count, whole.Conclude().NegLogSum
	}
}

// A columnTile is some columns, or a chunk of them, and where their results go.
type columnTile struct {
	rows, cols int
	x          []float64
	stride     int
	// from is what x is to be a copy of, unless nil.
	from       []float64
	fromStride int
	// terms is where those for Softmax go, which may be dst.
	terms       []float64
	termsStride int
	dst         []float64
	dstStride   int
	// To be prefetched, unless nil: columns of the input, and what will be
	// written.
	next, out []float64
}

// eachBlock calls f for the rows, a block at a time: n from row i on.
func (s *columnTile) eachBlock(f func(i, n int)) {
	for i := 0; i < s.rows; i += kernel.BlockLen {
		f(i, min(kernel.BlockLen, s.rows-i))
	}
}

// sumColumns sums the columns of s, of which terms receives those for Softmax.
func (t *normalization) sumColumns(c *kernel.Panel, s *columnTile) {
	kernel.Fill(c.Max[:s.cols], math.Inf(-1))
	for i := 0; i < s.rows; i += maxStep {
		n := min(maxStep, s.rows-i)
		if s.from != nil {
			kernel.CopyRows(s.x[i*s.stride:], s.stride, s.from[i*s.fromStride:], s.fromStride, n, s.cols)
		}
		c.RaiseMax(s.x[i*s.stride:], s.stride, n, s.cols)
	}
	if t.in.Rows <= kernel.BlockLen {
		t.sumBlock(c, s, 0, s.rows)
		return
	}
	c.SetFrames(kernel.GroupsFor(s.cols))
	s.eachBlock(func(i, n int) { t.sumBlock(c, s, i, n) })
	c.JoinLanes(kernel.GroupsFor(s.cols))
}

// sumBlock sums n rows from row i on: all of one lane, or a block.
func (t *normalization) sumBlock(c *kernel.Panel, s *columnTile, i, n int) {
	x, stride := s.x[i*s.stride:], s.stride
	next := s.next[min(i*t.in.Stride, len(s.next)):]
	var dst, out []float64
	if s.terms != nil {
		dst = s.terms[i*s.termsStride:]
	}
	if t.out.Stride == t.in.Stride {
		out = s.out[min(i*t.out.Stride, len(s.out)):]
	}
	if t.in.Rows <= kernel.BlockLen {
		c.TotalAhead(dst, s.termsStride, x, stride, n, s.cols, next, out, t.in.Stride)
	} else {
		c.AddExpAhead(dst, s.termsStride, x, stride, n, s.cols, next, out, t.in.Stride)
	}
}

// normalizeColumns does the columns of s, of at most a chunk.
func (t *normalization) normalizeColumns(c *kernel.Panel, s *columnTile) {
	t.sumColumns(c, s)
	t.conclude(c, kernel.GroupsFor(s.cols))
	switch t.op {
	case opLogSoftmax:
		s.eachBlock(func(i, n int) {
			c.Shift(s.dst[i*s.dstStride:], s.dstStride, s.x[i*s.stride:], s.stride, n, s.cols)
		})
	case opSoftmax:
		copy(c.Factor[:s.cols], c.Inverse[:])
		s.eachBlock(func(i, n int) {
			c.Scale(s.dst[i*s.dstStride:], s.dstStride, s.terms[i*s.termsStride:], s.termsStride, n, s.cols)
			c.SetCertainColumns(s.dst[i*s.dstStride:], s.dstStride, n, s.cols)
		})
	}
}

// doColumns does a unit of the part of the work in hand.
func (t *normalization) doColumns(w *workspace, unit int) {
	if t.part == partTiles {
		size := tilesWidth(t.in.Rows)
		t.doTiles(w, unit*size, min(t.in.Cols, (unit+1)*size))
		return
	}
	if t.part == partLongResult {
		// What was read last is nearest.
		unit = t.longUnits() - 1 - unit
	}
	width := kernel.GroupsFor((t.in.Cols+t.longStrips()-1)/t.longStrips()) * kernel.Group
	first, chunk := unit/kernel.Chunks(t.in.Rows)*width, unit%kernel.Chunks(t.in.Rows)
	switch t.part {
	case partLongSums:
		t.sumLong(w, first, min(width, t.in.Cols-first), chunk)
	case partLongResult:
		t.writeLong(w, first, min(width, t.in.Cols-first), chunk)
	case partFewSums:
		t.sumFew(w, unit)
	case partFewResult:
		t.writeFew(w, unit)
	}
}

// A columnsPart is a part of the work on columns.
type columnsPart uint8

const (
	partTiles      columnsPart = iota // columns of one chunk
	partLongSums                      // longer ones: partials,
	partLongResult                    // and what follows from them
	partFewSums                       // the same of less than a group
	partFewResult
)

const (
	// longWidth is how many columns of several chunks are worked on together at
	// most.
	longWidth = 16 * kernel.Width
	// longStep is how many rows of their results are written together, or half of
	// that.
	longStep = 32
	// maxStep is of how many rows the maxima are taken at once.
	maxStep = 16
	// crowdFrom is the number of rows beyond which those of the same place may not
	// all be in the first cache: it has as many ways, or some more.
	crowdFrom = 8
)

// longTile is how many of so many long columns are summed at a time: some four
// groups, as many as the others.
func longTile(cols int) int {
	parts := max(1, (cols+2*kernel.Group)/(4*kernel.Group))
	return kernel.GroupsFor((cols+parts-1)/parts) * kernel.Group
}

// sumLong sets the partials of a chunk of columns.
func (t *normalization) sumLong(w *workspace, first, cols, chunk int) {
	in, out, begin, tile := &t.in, &t.out, chunk*kernel.ChunkLen, longTile(cols)
	rows := min(kernel.ChunkLen, in.Rows-begin)
	for at, end := first, first+cols; at < end; at += tile {
		s := columnTile{rows: rows, x: in.Data[begin*in.Stride+at:], stride: in.Stride, termsStride: out.Stride, cols: min(tile, end-at)}
		row, column := begin, at+s.cols
		if column == end {
			row, column = begin+rows, first
		}
		if row < in.Rows {
			s.next = in.Data[row*in.Stride+column:]
		}
		if t.op == opSoftmax && !t.termsTwice() {
			s.terms = out.Data[begin*out.Stride+at:]
			if row < in.Rows {
				s.out = out.Data[row*out.Stride+column:]
			}
		}
		t.sumColumns(&w.panel, &s)
		for k := range s.cols {
			t.partials[chunk*in.Cols+at+k] = w.panel.Partial(k)
		}
	}
}

// concludeLong merges the chunks' partials of every column.
func (t *normalization) concludeLong() {
	t.wholes = grow(t.wholes, t.in.Cols)
	for k := range t.wholes {
		whole := &t.wholes[k]
		*whole = t.wholePartial(k)
		if t.op == opLogSumExp {
			s := whole.Conclude()
			c := kernel.Panel{}
			c.Max[0], c.NegLogSum[0], c.LogSumLow[0] = whole.Max, s.NegLogSum, s.LogSumLow
			t.values[k] = c.LogSumExp(0)
		}
	}
}

// wholePartial merges the chunks' partials of column k in order.
func (t *normalization) wholePartial(k int) kernel.Partial {
	whole := t.partials[k]
	for p := k + t.in.Cols; p < len(t.partials); p += t.in.Cols {
		whole.Merge(t.partials[p])
	}
	return whole
}

// setLong sets what the results of n columns from column first follow from, in
// a chunk: for Softmax the maxima that the terms are relative to and two factors,
// in Factor and Inverse, of which it returns whether any second is not 1.
func (t *normalization) setLong(c *kernel.Panel, first, n, chunk int) (again bool) {
	for i := range n {
		whole := &t.wholes[first+i]
		if t.op == opLogSoftmax {
			c.Max[i], c.NegLogSum[i] = whole.Max, whole.Conclude().NegLogSum
			continue
		}
		part := &t.partials[chunk*t.in.Cols+first+i]
		f := part.Factors(whole)
		c.Max[i] = part.Max
		c.Factor[i], c.Inverse[i] = f.First, f.Second
		again = again || f.Second != 1
		c.Count[i], c.Complement[i] = whole.Count, 1
		if float64(whole.Hi*kernel.Unscale) < 2*kernel.Certain {
			c.Complement[i] = whole.Conclude().Complement
		}
	}
	return again
}

// panelAt returns where panel p of so many columns begins and ends. The last two
// share what they have, so that each prefetches the next one.
func panelAt(cols, p int) (at, after int) {
	at, after = p*kernel.Width, (p+1)*kernel.Width
	if left := cols - at; left <= kernel.Width {
		if p > 0 {
			at -= kernel.Width - half(left+kernel.Width)
		}
		return at, cols
	} else if left < 2*kernel.Width {
		return at, at + half(left)
	}
	return at, after
}

// half is half of so many columns, or what makes it whole groups.
func half(cols int) int { return kernel.GroupsFor((cols+1)/2) * kernel.Group }

// writeLong writes the result of a chunk of columns.
func (t *normalization) writeLong(w *workspace, first, cols, chunk int) {
	w.strip = grow(w.strip, (cols+kernel.Width-1)/kernel.Width)
	again := false
	for p := range w.strip {
		at, after := panelAt(cols, p)
		again = t.setLong(&w.strip[p], first+at, after-at, chunk) || again
	}
	// Memory that is written is best written in its order.
	step := max(longStep, kernel.Width*kernel.Group/cols)
	if kernel.Crowds(t.in.Stride) {
		step /= 2
	}
	for i, end := chunk*kernel.ChunkLen, min(t.in.Rows, (chunk+1)*kernel.ChunkLen); i < end; i += step {
		n := min(step, end-i)
		for p := range w.strip {
			c := &w.strip[p]
			at, after := panelAt(cols, p)
			s := columnTile{rows: n, cols: after - at}
			s.x, s.stride = t.in.Data[i*t.in.Stride+first+at:], t.in.Stride
			switch {
			case t.op == opLogSoftmax:
			case t.termsTwice():
				s.terms, s.termsStride = w.tile[:], kernel.Width
				row, column := i, first+after
				if after == cols {
					row, column = i+n, first
				}
				t.formTerms(c, &s, row, column)
			default:
				s.terms, s.termsStride = t.out.Data[i*t.out.Stride+first+at:], t.out.Stride
			}
			s.dst, s.dstStride = t.out.Data[i*t.out.Stride+first+at:], t.out.Stride
			t.writeColumns(c, &s, again)
		}
	}
}

// formTerms forms the terms of s and prefetches as many entries, of the input and
// of the result, at a row and column.
func (t *normalization) formTerms(c *kernel.Panel, s *columnTile, row, column int) {
	var next, out []float64
	if row < t.in.Rows {
		next = t.in.Data[row*t.in.Stride+column:]
		if t.out.Stride == t.in.Stride {
			out = t.out.Data[row*t.out.Stride+column:]
		}
	}
	count := c.Count
	c.TotalAhead(s.terms, s.termsStride, s.x, s.stride, s.rows, s.cols, next, out, t.in.Stride)
	c.Count = count
}

// writeColumns writes the results of s: for Softmax with one factor or two.
func (t *normalization) writeColumns(c *kernel.Panel, s *columnTile, again bool) {
	if t.op == opLogSoftmax {
		c.Shift(s.dst, s.dstStride, s.x, s.stride, s.rows, s.cols)
		return
	}
	c.Scale(s.dst, s.dstStride, s.terms, s.termsStride, s.rows, s.cols)
	if again {
		c.Factor, c.Inverse = c.Inverse, c.Factor
		c.Scale(s.dst, s.dstStride, s.dst, s.dstStride, s.rows, s.cols)
		c.Factor, c.Inverse = c.Inverse, c.Factor
	}
	c.SetCertainColumns(s.dst, s.dstStride, s.rows, s.cols)
}

// sumFew sets the partials of a chunk of columns that fill no group. They are
// transposed, block by block, and summed as rows are.
func (t *normalization) sumFew(w *workspace, chunk int) {
	cols, begin := t.in.Cols, chunk*kernel.ChunkLen
	n := min(kernel.ChunkLen, t.in.Rows-begin)
	w.columns = grow(w.columns, cols*n)
	for i := 0; i < n; i += kernel.BlockLen {
		m := min(kernel.BlockLen, n-i)
		w.tile.PackRows(t.in.Data[(begin+i)*t.in.Stride:], t.in.Stride, m, cols)
		for k := range cols {
			copy(w.columns[k*n+i:][:m], w.tile[k*kernel.Width:])
		}
	}
	for k := range cols {
		x, terms := w.columns[k*n:][:n], []float64(nil)
		if t.op == opSoftmax {
			terms = x
		}
		t.partials[chunk*cols+k] = kernel.ChunkPartial(terms, x, nil, nil, 0)
	}
	for i := 0; i < n && t.op == opSoftmax; i += kernel.BlockLen {
		m := min(kernel.BlockLen, n-i)
		for k := range cols {
			copy(w.tile[k*kernel.Width:][:m], w.columns[k*n+i:])
		}
		w.tile.UnpackRows(t.out.Data[(begin+i)*t.out.Stride:], t.out.Stride, m, cols)
	}
}

// writeFew writes the result of a chunk of the columns of sumFew.
func (t *normalization) writeFew(w *workspace, chunk int) {
	cols, begin := t.in.Cols, chunk*kernel.ChunkLen
	n := min(kernel.ChunkLen, t.in.Rows-begin)
	w.strip = grow(w.strip, 1)
	c := &w.strip[0]
	t.setLong(c, 0, cols, chunk)
	from := t.in
	if t.op == opSoftmax {
		from = t.out // the terms
	}
	for i := 0; i < n; i += kernel.BlockLen {
		m := min(kernel.BlockLen, n-i)
		w.tile.PackRows(from.Data[(begin+i)*from.Stride:], from.Stride, m, cols)
		for k := range cols {
			x := w.tile[k*kernel.Width:][:m]
			if t.op == opLogSoftmax {
				kernel.ShiftBy(x, x, c.Max[k], c.NegLogSum[k])
				continue
			}
			kernel.ScaleTermsBy(x, c.Factor[k], c.Inverse[k], 1)
			c.SetCertain(k, x)
		}
		w.tile.UnpackRows(t.out.Data[(begin+i)*t.out.Stride:], t.out.Stride, m, cols)
	}
}
