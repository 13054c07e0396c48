// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"runtime"

	"example.org/logsoftmax/internal/kernel"
)

// This file does the operations along dim 0. Columns go eight and eight through
// the kernels for columns; those that fill no group go alone, as rows do.
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
	full := cols / kernel.Group * kernel.Group
	switch {
	case rows == 1 && t.op != opSoftmax:
		t.doSingleRow()
		return
	case full == 0:
	case t.stripped():
		t.part = partStrips
		strips := countStrips(rows, full)
		t.stripsInUnit = stripsInUnit(strips)
		run(t, (strips+t.stripsInUnit-1)/t.stripsInUnit, elements(rows, full))
	default:
		units := (full + longWidth - 1) / longWidth * kernel.Chunks(rows)
		t.partials = grow(t.partials, kernel.Chunks(rows)*full)
		t.part = partLongSums
		run(t, units, elements(rows, full))
		t.concludeLong(full)
		if t.op != opLogSumExp {
			t.part = partLongResult
			run(t, units, elements(rows, full))
		}
	}
	if full < cols {
		t.part = partSingle
		units := cols - full
		if rows <= kernel.FewCols {
			units = 1
		}
		run(t, units, elements(rows, cols-full))
	}
}

// doSingleRow does columns of one entry, whose probability is 1.
func (t *normalization) doSingleRow() {
	for j, v := range t.in.Data[:t.in.Cols] {
		if t.op == opLogSumExp {
			t.values[j] = kernel.Canonical(v)
		} else {
			t.out.Data[j] = kernel.Canonical(v - v)
		}
	}
}

// doColumns does a unit of the part of the work in hand.
func (t *normalization) doColumns(w *workspace, unit int) {
	full := t.in.Cols / kernel.Group * kernel.Group
	switch t.part {
	case partStrips:
		size := t.stripsInUnit
		t.doStrips(w, unit*size, min(countStrips(t.in.Rows, full), (unit+1)*size))
	case partSingle:
		if t.in.Rows <= kernel.FewCols {
			t.doGroup(w, full)
		} else {
			t.doColumn(w, full+unit)
		}
	default:
		first, chunk := unit/kernel.Chunks(t.in.Rows)*longWidth, unit%kernel.Chunks(t.in.Rows)
		if t.part == partLongSums {
			t.sumLong(w, first, min(longWidth, full-first), chunk)
		} else {
			t.writeLong(w, first, min(longWidth, full-first), chunk)
		}
	}
}

// A columnsPart is a part of the work on columns.
type columnsPart uint8

const (
	partStrips     columnsPart = iota // whole groups of columns of one chunk, or few
	partLongSums                      // whole groups of longer ones: partials,
	partLongResult                    // and what follows from them
	partSingle                        // what fills no group: column by column, or short ones at once
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

func countStrips(rows, full int) int {
	return (full + stripWidth(rows, full) - 1) / stripWidth(rows, full)
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

// A columnStrip is some columns and their entries, or a copy of them.
type columnStrip struct {
	first, groups int
	x             []float64
	stride        int
	copied        bool
}

func (t *normalization) strip(w *workspace, i int) columnStrip {
	full := t.in.Cols / kernel.Group * kernel.Group
	width := stripWidth(t.in.Rows, full)
	s := columnStrip{first: i * width, groups: min(width, full-i*width) / kernel.Group}
	if t.op != opSoftmax && t.in.Stride < pageStride {
		s.x, s.stride = t.in.Data[s.first:], t.in.Stride
	} else {
		s.x, s.stride, s.copied = w.strips[i%2], width, true
	}
	return s
}

// doStrips does strips from begin to end. Block by block, the place in memory
// of the strip that was done is written and then takes the one to come.
func (t *normalization) doStrips(w *workspace, begin, end int) {
	rows, width := t.in.Rows, stripWidth(t.in.Rows, t.in.Cols/kernel.Group*kernel.Group)
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
			c.Conclude(s.groups, t.op == opSoftmax)
		} else {
			w.concludeStrip(s.groups)
		}
		if t.op == opLogSumExp {
			for i := range s.groups * kernel.Group {
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
	c, rows := &w.panel, min(t.in.Rows, (chunk+1)*kernel.ChunkLen)
	oneLane := t.in.Rows <= kernel.BlockLen
	c.Max = w.maxima[chunk]
	w.beside.Next.Reset()
	if !oneLane {
		c.SetFrames(s.groups)
	}
	for i := chunk * kernel.ChunkLen; i < rows; i += kernel.BlockLen {
		n, x := min(kernel.BlockLen, rows-i), s.x[i*s.stride:]
		var in, out []float64
		if next.groups > 0 {
			in = t.in.Data[i*t.in.Stride+next.first:]
		}
		if last.groups > 0 {
			out = t.out.Data[i*t.out.Stride+last.first:]
		}
		switch {
		case t.op == opSoftmax && oneLane:
			c.Total(x, s.stride, x, s.stride, n, s.groups)
		case t.op == opSoftmax:
			c.AddExp(x, s.stride, x, s.stride, n, s.groups)
		default:
			if oneLane && s.copied && last.groups == s.groups && next.groups == s.groups {
				c.MoveStrips(x, n, s.groups, &kernel.Move{Strips: &w.beside, Buffer: next.x, In: in, InStride: t.in.Stride, Out: out, OutStride: t.out.Stride})
				continue
			}
			if t.out.Stride != t.in.Stride {
				out = nil
			}
			if oneLane {
				c.TotalAhead(x, s.stride, n, s.groups, in, out, t.in.Stride)
			} else {
				c.AddExpAhead(x, s.stride, n, s.groups, in, out, t.in.Stride)
			}
		}
		t.writeStrip(w, last, i)
		t.readStrip(w, next, i)
	}
	w.maxima[chunk] = w.beside.Next.Max
	if !oneLane {
		c.JoinLanes(s.groups)
	}
	if t.in.Rows > kernel.ChunkLen {
		for i := range s.groups * kernel.Group {
			w.partials[chunk*kernel.Width+i] = c.Partial(i)
		}
	}
}

// concludeStrip merges the partials of every column of several chunks, and
// concludes but for probabilities.
func (w *workspace) concludeStrip(groups int) {
	for i := range groups * kernel.Group {
		whole := w.partials[i]
		for u := 1; u < len(w.maxima); u++ {
			whole.Merge(w.partials[u*kernel.Width+i])
		}
		w.panel.Max[i] = whole.Max
		w.panel.NegLogSum[i], w.panel.LogSumLow[i] = whole.NegLogSum()
	}
}

// readStrip copies a block of s, from row i, for w.next.
func (t *normalization) readStrip(w *workspace, s *columnStrip, i int) {
	if s.groups == 0 {
		return
	}
	n, x := min(kernel.BlockLen, t.in.Rows-i), s.x[i*s.stride:]
	if s.copied {
		kernel.CopyRows(x, s.stride, t.in.Data[i*t.in.Stride+s.first:], t.in.Stride, n, s.groups*kernel.Group)
	}
	w.beside.Next.RaiseMax(x, s.stride, n, s.groups)
}

// writeStrip writes the result of a block of s, from row i, by w.before.
func (t *normalization) writeStrip(w *workspace, s *columnStrip, i int) {
	if s.groups == 0 {
		return
	}
	n, x, dst := min(kernel.BlockLen, t.in.Rows-i), s.x[i*s.stride:], t.out.Data[i*t.out.Stride+s.first:]
	if t.op == opSoftmax {
		w.beside.Before.Scale(x, s.stride, n, s.groups)
		w.beside.Before.SetCertainColumns(x, s.stride, n, s.groups)
		kernel.CopyRows(dst, t.out.Stride, x, s.stride, n, s.groups*kernel.Group)
	} else {
		w.beside.Before.Shift(dst, t.out.Stride, x, s.stride, n, s.groups)
	}
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
	full := t.in.Cols / kernel.Group * kernel.Group
	for k := range cols {
		t.partials[chunk*full+first+k] = w.strip[k/kernel.Width].Partial(k % kernel.Width)
	}
}

// concludeLong merges the chunks' partials of every column.
func (t *normalization) concludeLong(full int) {
	t.wholes = append(t.wholes[:0], t.partials[:full]...)
	for k := range t.wholes {
		whole := &t.wholes[k]
		for p := k + full; p < len(t.partials); p += full {
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

// writeLong writes the result of a chunk of columns.
func (t *normalization) writeLong(w *workspace, first, cols, chunk int) {
	full := t.in.Cols / kernel.Group * kernel.Group
	w.strip = grow(w.strip, (cols+kernel.Width-1)/kernel.Width)
	again := false
	for k := range cols {
		c, i, whole := &w.strip[k/kernel.Width], k%kernel.Width, &t.wholes[first+k]
		if t.op == opLogSoftmax {
			c.Max[i], c.NegLogSum[i] = whole.Max, whole.Conclude().NegLogSum
		} else {
			f := t.partials[chunk*full+first+k].Factors(whole)
			c.Factor[i], c.Inverse[i] = f.First, f.Second
			again = again || f.Second != 1
			c.Count[i], c.Complement[i] = whole.Count, 1
			if float64(whole.Hi*kernel.Unscale) < 2*kernel.Certain {
				c.Complement[i] = whole.Conclude().Complement
			}
		}
	}
	if t.op == opLogSoftmax {
		t.sweep(w, first, cols, chunk, longStep, func(c *kernel.Panel, i, n, j, groups int) {
			c.Shift(t.out.Data[i*t.out.Stride+j:], t.out.Stride, t.in.Data[i*t.in.Stride+j:], t.in.Stride, n, groups)
		})
		return
	}
	t.sweep(w, first, cols, chunk, longStep, func(c *kernel.Panel, i, n, j, groups int) {
		data := t.out.Data[i*t.out.Stride+j:]
		c.Scale(data, t.out.Stride, n, groups)
		if again {
			c.Factor, c.Inverse = c.Inverse, c.Factor
			c.Scale(data, t.out.Stride, n, groups)
			c.Factor, c.Inverse = c.Inverse, c.Factor
		}
		c.SetCertainColumns(data, t.out.Stride, n, groups)
	})
}

// doGroup does the columns from first on, which fill no group and are short.
func (t *normalization) doGroup(w *workspace, first int) {
	rows, n := t.in.Rows, t.in.Cols-first
	var terms []float64
	if t.op == opSoftmax {
		terms = w.tile[:]
	}
	for i := range rows {
		to := w.tile[i*kernel.Width:][:kernel.Group]
		clear(to[copy(to, t.in.Data[i*t.in.Stride+first:][:n]):])
	}
	w.panel.Reset()
	w.panel.RaiseMax(w.tile[:], kernel.Width, rows, 1)
	w.panel.SumTile(&w.tile, terms, rows, 1)
	switch t.op {
	case opLogSumExp:
		for k := range n {
			t.values[first+k] = w.panel.LogSumExp(k)
		}
		return
	case opLogSoftmax:
		w.panel.Shift(w.tile[:], kernel.Width, w.tile[:], kernel.Width, rows, 1)
	case opSoftmax:
		w.panel.Factor = w.panel.Inverse
		w.panel.Scale(w.tile[:], kernel.Width, rows, 1)
		w.panel.SetCertainColumns(w.tile[:], kernel.Width, rows, 1)
	}
	for i := range rows {
		copy(t.out.Data[i*t.out.Stride+first:][:n], w.tile[i*kernel.Width:])
	}
}

// doColumn does one column, which it copies chunk by chunk.
func (t *normalization) doColumn(w *workspace, col int) {
	n := t.in.Rows
	w.partials = grow(w.partials, kernel.Chunks(n))
	for u := range kernel.Chunks(n) {
		x := w.column[:min(kernel.ChunkLen, n-u*kernel.ChunkLen)]
		from := t.in.Data[u*kernel.ChunkLen*t.in.Stride+col:]
		for i := range x {
			x[i] = from[i*t.in.Stride]
		}
		var terms []float64
		if t.op == opSoftmax {
			terms = x
		}
		w.partials[u] = kernel.ChunkPartial(terms, x, nil, nil, 0)
		if t.op == opSoftmax {
			to := t.out.Data[u*kernel.ChunkLen*t.out.Stride+col:]
			for i, e := range x {
				to[i*t.out.Stride] = e
			}
		}
	}
	w.concludeLong()
	switch t.op {
	case opLogSumExp:
		t.values[col] = w.panel.LogSumExp(0)
	case opLogSoftmax:
		m, s := w.panel.Max[0], w.panel.NegLogSum[0]
		for i := range n {
			v := s + (t.in.Data[i*t.in.Stride+col] - m)
			if s != s {
				v = kernel.NaN
			}
			t.out.Data[i*t.out.Stride+col] = v
		}
	case opSoftmax:
		whole := w.wholePartial()
		for u := range kernel.Chunks(n) {
			x := w.column[:min(kernel.ChunkLen, n-u*kernel.ChunkLen)]
			data := t.out.Data[u*kernel.ChunkLen*t.out.Stride+col:]
			for i := range x {
				x[i] = data[i*t.out.Stride]
			}
			f := w.partials[u].Factors(&whole)
			kernel.ScaleTermsBy(x, f.First, f.Second, 1)
			w.setCertain(0, x)
			for i, p := range x {
				data[i*t.out.Stride] = p
			}
		}
	}
}
