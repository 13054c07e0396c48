// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"runtime"

	"example.org/logsoftmax/internal/kernel"
)

// This file does the operations along dim 0. Columns go eight and eight through
// the kernels for columns; those that fill no group are copied to where they
// do.
//
// Memory is what counts: every row of a few columns is on another page, and
// where the stride is a power of two in the same few cache sets too. Columns of
// one chunk are therefore copied, in narrow strips, to where they stay close
// to the processor, unless the rows are short; the next strip is read, and the
// last one written, while the exponentials of this one are formed. Columns of
// many chunks would not stay: the matrix is gone through three times, in pieces
// so wide that memory is read almost in its order.

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
	case rows <= kernel.BlockLen && cols <= kernel.Width:
		w := workspaces.Get().(*workspace)
		t.doTile(w)
		workspaces.Put(w)
	case t.stripped():
		t.part = partStrips
		strips := countStrips(rows, cols)
		t.stripsInUnit = stripsInUnit(strips)
		run(t, (strips+t.stripsInUnit-1)/t.stripsInUnit, elements(rows, cols))
	default:
		t.partials = grow(t.partials, kernel.Chunks(rows)*cols)
		t.runLong(partLongSums, partFewSums)
		t.concludeLong()
		if t.op != opLogSumExp {
			t.runLong(partLongResult, partFewResult)
		}
	}
}

// runLong does a part of the work on long columns: of whole groups, and of the
// few that fill none.
func (t *normalization) runLong(groups, few columnsPart) {
	rows, chunks, rest := t.in.Rows, kernel.Chunks(t.in.Rows), t.in.Cols%kernel.Group
	if full := t.in.Cols - rest; full > 0 {
		t.part = groups
		run(t, (full+longWidth-1)/longWidth*chunks, elements(rows, full))
	}
	if rest > 0 {
		t.part = few
		run(t, chunks, elements(rows, rest))
	}
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

// doTile does at most Width columns of at most a block.
func (t *normalization) doTile(w *workspace) {
	rows, cols := t.in.Rows, t.in.Cols
	c, groups := &w.panel, kernel.GroupsFor(cols)
	x, stride := w.padded(t.in.Data, t.in.Stride, rows, cols)
	kernel.Fill(c.Max[:groups*kernel.Group], math.Inf(-1))
	c.RaiseMax(x, stride, rows, groups)
	dst, dstStride := t.out.Data, t.out.Stride
	if cols%kernel.Group != 0 {
		dst, dstStride = x, stride
	}
	switch t.op {
	case opLogSumExp:
		c.Total(nil, 0, x, stride, rows, groups)
		c.Conclude(groups, false)
		for k := range cols {
			t.values[k] = c.LogSumExp(k)
		}
		return
	case opLogSoftmax:
		c.Total(nil, 0, x, stride, rows, groups)
		c.Conclude(groups, false)
		c.Shift(dst, dstStride, x, stride, rows, groups)
	case opSoftmax:
		c.Total(dst, dstStride, x, stride, rows, groups)
		c.Conclude(groups, true)
		c.Factor = c.Inverse
		c.Scale(dst, dstStride, rows, groups)
		c.SetCertainColumns(dst, dstStride, rows, groups)
	}
	if cols%kernel.Group != 0 {
		kernel.CopyRows(t.out.Data, t.out.Stride, dst, dstStride, rows, cols)
	}
}

// padded returns n rows of cols entries as whole groups: where they are if they
// fill those, else copied to the tile, beside anything.
func (w *workspace) padded(x []float64, stride, n, cols int) ([]float64, int) {
	if cols%kernel.Group == 0 {
		return x, stride
	}
	kernel.CopyRows(w.tile[:], kernel.Width, x, stride, n, cols)
	return w.tile[:], kernel.Width
}

// doColumns does a unit of the part of the work in hand.
func (t *normalization) doColumns(w *workspace, unit int) {
	if t.part == partStrips {
		size := t.stripsInUnit
		t.doStrips(w, unit*size, min(countStrips(t.in.Rows, t.in.Cols), (unit+1)*size))
		return
	}
	full := t.in.Cols / kernel.Group * kernel.Group
	first, chunk := unit/kernel.Chunks(t.in.Rows)*longWidth, unit%kernel.Chunks(t.in.Rows)
	switch t.part {
	case partLongSums:
		t.sumLong(w, first, min(longWidth, full-first), chunk)
	case partLongResult:
		t.writeLong(w, first, min(longWidth, full-first), chunk)
	case partFewSums:
		t.sumFew(w, full, unit)
	case partFewResult:
		t.writeFew(w, full, unit)
	}
}

// A columnsPart is a part of the work on columns.
type columnsPart uint8

const (
	partStrips     columnsPart = iota // columns of one chunk, or two
	partLongSums                      // whole groups of longer ones: partials,
	partLongResult                    // and what follows from them
	partFewSums                       // those that fill no group: the same
	partFewResult
)

// stripped reports whether columns are worked on in strips: those of one chunk,
// and those of two of a matrix so wide that strips are small beside it.
func (t *normalization) stripped() bool {
	rows, cols := t.in.Rows, t.in.Cols
	return rows <= kernel.ChunkLen || rows <= 2*kernel.ChunkLen && cols >= 128*kernel.Group && t.op != opSoftmax
}

// stripWidth is the number of columns of a strip: some 2^15 entries, of which
// the second cache holds two, and four lines of memory at least, but no more
// than a small part of the matrix.
func stripWidth(rows, cols int) int {
	width := max(4*kernel.Group, min(kernel.Width, (1<<15)/rows/kernel.Group*kernel.Group))
	return max(2*kernel.Group, min(width, cols/32/kernel.Group*kernel.Group))
}

func countStrips(rows, cols int) int {
	return (cols + stripWidth(rows, cols) - 1) / stripWidth(rows, cols)
}

// stripsInUnit is as many of some strips as leave units for every goroutine,
// of which there may be another number at the next call.
func stripsInUnit(strips int) int {
	procs := runtime.GOMAXPROCS(0)
	if procs == 1 {
		return strips
	}
	return max(1, strips/(4*procs))
}

// A columnStrip is some columns and their entries, or a copy of them, which is
// as wide as whole groups.
type columnStrip struct {
	first, cols int
	x           []float64
	stride      int
	copied      bool
}

func (s *columnStrip) groups() int { return kernel.GroupsFor(s.cols) }

func (t *normalization) strip(w *workspace, i int) columnStrip {
	width := stripWidth(t.in.Rows, t.in.Cols)
	s := columnStrip{first: i * width, cols: min(width, t.in.Cols-i*width)}
	if t.op != opSoftmax && t.in.Stride < pageStride && s.cols%kernel.Group == 0 {
		s.x, s.stride = t.in.Data[s.first:], t.in.Stride
	} else {
		s.x, s.stride, s.copied = w.strips[i%2], width, true
	}
	return s
}

// doStrips does strips from begin to end. Block by block, the place in memory
// of the strip that was done is written and then takes the one to come.
func (t *normalization) doStrips(w *workspace, begin, end int) {
	rows, width := t.in.Rows, stripWidth(t.in.Rows, t.in.Cols)
	for i := range w.strips {
		w.strips[i] = grow(w.strips[i], rows*width)
	}
	w.maxima = grow(w.maxima, kernel.Chunks(rows))
	w.partials = grow(w.partials, kernel.Chunks(rows)*kernel.Width)
	last, next := columnStrip{}, t.strip(w, begin)
	for u := range w.maxima {
		w.beside.Next.Reset()
		for i := u * kernel.ChunkLen; i < min(rows, (u+1)*kernel.ChunkLen); i += kernel.BlockLen {
			t.readStrip(w, &next, i)
		}
		w.maxima[u] = w.beside.Next.Max
	}
	c := &w.panel
	for k := begin; k < end; k++ {
		s := next
		next = columnStrip{}
		if k+1 < end {
			next = t.strip(w, k+1)
		}
		for u := range w.maxima {
			t.sumStrip(w, &last, &s, &next, u)
		}
		if kernel.Chunks(rows) == 1 {
			c.Conclude(s.groups(), t.op == opSoftmax)
		} else {
			w.concludeStrip(s.cols)
		}
		if t.op == opLogSumExp {
			for i := range s.cols {
				t.values[s.first+i] = c.LogSumExp(i)
			}
			continue
		}
		w.beside.Before.Max, w.beside.Before.NegLogSum = c.Max, c.NegLogSum
		w.beside.Before.Factor, w.beside.Before.Complement, w.beside.Before.Count = c.Inverse, c.Complement, c.Count
		last = s
	}
	for i := 0; i < rows; i += kernel.BlockLen {
		t.writeStrip(w, &last, i)
	}
}

// sumStrip sums a chunk of s, and meanwhile writes that of the last strip and
// reads that of the next.
func (t *normalization) sumStrip(w *workspace, last, s, next *columnStrip, chunk int) {
	c, rows, groups := &w.panel, min(t.in.Rows, (chunk+1)*kernel.ChunkLen), s.groups()
	oneLane := t.in.Rows <= kernel.BlockLen
	moves := t.op == opLogSoftmax && oneLane && s.copied && last.cols == s.cols && next.cols == s.cols && s.cols%kernel.Group == 0
	c.Max = w.maxima[chunk]
	w.beside.Next.Reset()
	if !oneLane {
		c.SetFrames(groups)
	}
	for i := chunk * kernel.ChunkLen; i < rows; i += kernel.BlockLen {
		n, x := min(kernel.BlockLen, rows-i), s.x[i*s.stride:]
		var in, out []float64 // what comes next, to be prefetched
		if next.cols > 0 {
			in = t.in.Data[i*t.in.Stride+next.first:]
		}
		if last.cols > 0 && (moves || t.out.Stride == t.in.Stride) {
			out = t.out.Data[i*t.out.Stride+last.first:]
		}
		switch {
		case moves:
			c.MoveStrips(x, n, groups, &kernel.Move{Strips: &w.beside, Buffer: next.x, In: in, InStride: t.in.Stride, Out: out, OutStride: t.out.Stride})
			continue
		case t.op == opSoftmax && oneLane:
			c.Total(x, s.stride, x, s.stride, n, groups)
		case t.op == opSoftmax:
			c.AddExp(x, s.stride, x, s.stride, n, groups)
		case oneLane:
			c.TotalAhead(x, s.stride, n, groups, in, out, t.in.Stride)
		default:
			c.AddExpAhead(x, s.stride, n, groups, in, out, t.in.Stride)
		}
		t.writeStrip(w, last, i)
		t.readStrip(w, next, i)
	}
	w.maxima[chunk] = w.beside.Next.Max
	if !oneLane {
		c.JoinLanes(groups)
	}
	if t.in.Rows > kernel.ChunkLen {
		for i := range s.cols {
			w.partials[chunk*kernel.Width+i] = c.Partial(i)
		}
	}
}

// concludeStrip merges the partials of every column of several chunks, and
// concludes but for probabilities.
func (w *workspace) concludeStrip(cols int) {
	for i := range cols {
		whole := w.partials[i]
		for u := 1; u < len(w.maxima); u++ {
			whole.Merge(w.partials[u*kernel.Width+i])
		}
		w.panel.Max[i] = whole.Max
		w.panel.NegLogSum[i], w.panel.LogSumLow[i] = whole.NegLogSum()
	}
}

// readStrip copies a block of s, from row i, for w.beside.Next.
func (t *normalization) readStrip(w *workspace, s *columnStrip, i int) {
	if s.cols == 0 {
		return
	}
	n, x := min(kernel.BlockLen, t.in.Rows-i), s.x[i*s.stride:]
	if s.copied {
		kernel.CopyRows(x, s.stride, t.in.Data[i*t.in.Stride+s.first:], t.in.Stride, n, s.cols)
	}
	w.beside.Next.RaiseMax(x, s.stride, n, s.groups())
}

// writeStrip writes the result of a block of s, from row i, by w.beside.Before.
func (t *normalization) writeStrip(w *workspace, s *columnStrip, i int) {
	if s.cols == 0 {
		return
	}
	n, x, dst := min(kernel.BlockLen, t.in.Rows-i), s.x[i*s.stride:], t.out.Data[i*t.out.Stride+s.first:]
	switch {
	case t.op == opSoftmax:
		w.beside.Before.Scale(x, s.stride, n, s.groups())
		w.beside.Before.SetCertainColumns(x, s.stride, n, s.groups())
	case s.cols%kernel.Group != 0:
		w.beside.Before.Shift(x, s.stride, x, s.stride, n, s.groups())
	default:
		w.beside.Before.Shift(dst, t.out.Stride, x, s.stride, n, s.groups())
		return
	}
	kernel.CopyRows(dst, t.out.Stride, x, s.stride, n, s.cols)
}

const (
	// longWidth is how many columns of several chunks are worked on together.
	longWidth = 16 * kernel.Width
	// longStep is how many of their rows.
	longStep = 16
	// pageStride is a distance of rows on different pages.
	pageStride = 512
)

// sweep calls f for a chunk of cols columns from column first: for n rows from
// row i of groups from column j, with the state of those columns.
func (t *normalization) sweep(w *workspace, first, cols, chunk, step int, f func(c *kernel.Panel, i, n, j, groups int)) {
	end := min(t.in.Rows, (chunk+1)*kernel.ChunkLen)
	for i := chunk * kernel.ChunkLen; i < end; i += step {
		for p := range w.strip {
			done := p * kernel.Width
			f(&w.strip[p], i, min(step, end-i), first+done, min(kernel.Width, cols-done)/kernel.Group)
		}
	}
}

// sumLong sets the partials of a chunk of columns.
func (t *normalization) sumLong(w *workspace, first, cols, chunk int) {
	w.strip = grow(w.strip, (cols+kernel.Width-1)/kernel.Width)
	for p := range w.strip {
		w.strip[p].Reset()
	}
	x, stride := t.in.Data, t.in.Stride
	t.sweep(w, first, cols, chunk, longStep, func(c *kernel.Panel, i, n, j, groups int) {
		c.RaiseMax(x[i*stride+j:], stride, n, groups)
	})
	for p := range w.strip {
		w.strip[p].SetFrames(kernel.Width / kernel.Group)
	}
	t.sweep(w, first, cols, chunk, kernel.BlockLen, func(c *kernel.Panel, i, n, j, groups int) {
		at, atStride := x[i*stride+j:], stride
		var next []float64
		if stride >= pageStride {
			kernel.CopyRows(w.tile[:], kernel.Width, at, stride, n, groups*kernel.Group)
			if len(at) > kernel.Width {
				next = at[kernel.Width:]
			}
			at, atStride = w.tile[:], kernel.Width
		}
		if t.op == opSoftmax {
			c.AddExp(t.out.Data[i*t.out.Stride+j:], t.out.Stride, at, atStride, n, groups)
		} else {
			c.AddExpAhead(at, atStride, n, groups, next, nil, stride)
		}
	})
	for p := range w.strip {
		w.strip[p].JoinLanes(kernel.Width / kernel.Group)
	}
	for k := range cols {
		t.partials[chunk*t.in.Cols+first+k] = w.strip[k/kernel.Width].Partial(k % kernel.Width)
	}
}

// concludeLong merges the chunks' partials of every column.
func (t *normalization) concludeLong() {
	cols := t.in.Cols
	t.wholes = append(t.wholes[:0], t.partials[:cols]...)
	for k := range t.wholes {
		whole := &t.wholes[k]
		for p := k + cols; p < len(t.partials); p += cols {
			whole.Merge(t.partials[p])
		}
		if t.op == opLogSumExp {
			s := whole.Conclude()
			c := kernel.Panel{}
			c.Max[0], c.NegLogSum[0], c.LogSumLow[0] = whole.Max, s.NegLogSum, s.LogSumLow
			t.values[k] = c.LogSumExp(0)
		}
	}
}

// setLong sets what the results of n columns from column first follow from, in
// a chunk: for Softmax two factors, in Factor and Inverse, of which it returns
// whether any second is not 1.
func (t *normalization) setLong(strip []kernel.Panel, first, n, chunk int) (again bool) {
	for k := range n {
		c, i, whole := &strip[k/kernel.Width], k%kernel.Width, &t.wholes[first+k]
		if t.op == opLogSoftmax {
			c.Max[i], c.NegLogSum[i] = whole.Max, whole.Conclude().NegLogSum
			continue
		}
		f := t.partials[chunk*t.in.Cols+first+k].Factors(whole)
		c.Factor[i], c.Inverse[i] = f.First, f.Second
		again = again || f.Second != 1
		c.Count[i], c.Complement[i] = whole.Count, 1
		if float64(whole.Hi*kernel.Unscale) < 2*kernel.Certain {
			c.Complement[i] = whole.Conclude().Complement
		}
	}
	return again
}

// writeLong writes the result of a chunk of columns.
func (t *normalization) writeLong(w *workspace, first, cols, chunk int) {
	w.strip = grow(w.strip, (cols+kernel.Width-1)/kernel.Width)
	again := t.setLong(w.strip, first, cols, chunk)
	t.sweep(w, first, cols, chunk, longStep, func(c *kernel.Panel, i, n, j, groups int) {
		data := t.out.Data[i*t.out.Stride+j:]
		if t.op == opLogSoftmax {
			c.Shift(data, t.out.Stride, t.in.Data[i*t.in.Stride+j:], t.in.Stride, n, groups)
			return
		}
		c.Scale(data, t.out.Stride, n, groups)
		if again {
			c.Factor, c.Inverse = c.Inverse, c.Factor
			c.Scale(data, t.out.Stride, n, groups)
			c.Factor, c.Inverse = c.Inverse, c.Factor
		}
		c.SetCertainColumns(data, t.out.Stride, n, groups)
	})
}

// sumFew sets the partials of a chunk of the columns from column first on, which
// fill no group. They are transposed, block by block, and summed as rows are.
func (t *normalization) sumFew(w *workspace, first, chunk int) {
	cols, begin := t.in.Cols-first, chunk*kernel.ChunkLen
	n := min(kernel.ChunkLen, t.in.Rows-begin)
	w.strips[0] = grow(w.strips[0], cols*n)
	for i := 0; i < n; i += kernel.BlockLen {
		m := min(kernel.BlockLen, n-i)
		w.tile.PackRows(t.in.Data[(begin+i)*t.in.Stride+first:], t.in.Stride, m, cols)
		for k := range cols {
			copy(w.strips[0][k*n+i:][:m], w.tile[k*kernel.Width:])
		}
	}
	for k := range cols {
		x, terms := w.strips[0][k*n:][:n], []float64(nil)
		if t.op == opSoftmax {
			terms = x
		}
		t.partials[chunk*t.in.Cols+first+k] = kernel.ChunkPartial(terms, x, nil, nil, 0)
	}
	for i := 0; i < n && t.op == opSoftmax; i += kernel.BlockLen {
		m := min(kernel.BlockLen, n-i)
		for k := range cols {
			copy(w.tile[k*kernel.Width:][:m], w.strips[0][k*n+i:])
		}
		w.tile.UnpackRows(t.out.Data[(begin+i)*t.out.Stride+first:], t.out.Stride, m, cols)
	}
}

// writeFew writes the result of a chunk of the columns of sumFew.
func (t *normalization) writeFew(w *workspace, first, chunk int) {
	cols, begin := t.in.Cols-first, chunk*kernel.ChunkLen
	n := min(kernel.ChunkLen, t.in.Rows-begin)
	w.strip = grow(w.strip, 1)
	c := &w.strip[0]
	t.setLong(w.strip, first, cols, chunk)
	from := t.in
	if t.op == opSoftmax {
		from = t.out // the terms
	}
	for i := 0; i < n; i += kernel.BlockLen {
		m := min(kernel.BlockLen, n-i)
		w.tile.PackRows(from.Data[(begin+i)*from.Stride+first:], from.Stride, m, cols)
		for k := range cols {
			x := w.tile[k*kernel.Width:][:m]
			if t.op == opLogSoftmax {
				kernel.ShiftBy(x, x, c.Max[k], c.NegLogSum[k])
				continue
			}
			kernel.ScaleTermsBy(x, c.Factor[k], c.Inverse[k], 1)
			c.SetCertain(k, x)
		}
		w.tile.UnpackRows(t.out.Data[(begin+i)*t.out.Stride+first:], t.out.Stride, m, cols)
	}
}
