// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "runtime"

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
	full := cols / group * group
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
		units := (full + longWidth - 1) / longWidth * chunks(rows)
		t.partials = grow(t.partials, chunks(rows)*full)
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
		if rows <= fewCols {
			units = 1
		}
		run(t, units, elements(rows, cols-full))
	}
}

// doSingleRow does columns of one entry, whose probability is 1.
func (t *normalization) doSingleRow() {
	for j, v := range t.in.Data[:t.in.Cols] {
		if t.op == opLogSumExp {
			t.values[j] = canonical(v)
		} else {
			t.out.Data[j] = canonical(v - v)
		}
	}
}

// doColumns does a unit of the part of the work in hand.
func (t *normalization) doColumns(w *workspace, unit int) {
	full := t.in.Cols / group * group
	switch t.part {
	case partStrips:
		size := t.stripsInUnit
		t.doStrips(w, unit*size, min(countStrips(t.in.Rows, full), (unit+1)*size))
	case partSingle:
		if t.in.Rows <= fewCols {
			t.doGroup(w, full)
		} else {
			t.doColumn(w, full+unit)
		}
	default:
		first, chunk := unit/chunks(t.in.Rows)*longWidth, unit%chunks(t.in.Rows)
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
	return rows <= chunkLen || rows <= 2*chunkLen && cols >= 128*group && t.op != opSoftmax
}

// stripWidth is the number of columns of a strip: some 2^15 entries, of which
// the second cache holds two, and four lines of memory at least, but no more
// than a small part of the matrix.
func stripWidth(rows, cols int) int {
	width := max(4*group, min(columnsWidth, (1<<15)/rows/group*group))
	return max(2*group, min(width, cols/32/group*group))
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

// A stripState is what is known of the strips before and after the one in work:
// the results of the last one and the maxima of the next. The kernels know where
// it has them.
type stripState struct{ before, next columns }

// A columnStrip is some columns and their entries, or a copy of them.
type columnStrip struct {
	first, groups int
	x             []float64
	stride        int
	copied        bool
}

func (t *normalization) strip(w *workspace, i int) columnStrip {
	full := t.in.Cols / group * group
	width := stripWidth(t.in.Rows, full)
	s := columnStrip{first: i * width, groups: min(width, full-i*width) / group}
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
	rows, width := t.in.Rows, stripWidth(t.in.Rows, t.in.Cols/group*group)
	for i := range w.strips {
		w.strips[i] = grow(w.strips[i], rows*width)
	}
	w.maxima = grow(w.maxima, chunks(rows))
	w.partials = grow(w.partials, chunks(rows)*columnsWidth)
	last, next := columnStrip{}, t.strip(w, begin)
	for u := range w.maxima {
		w.next.reset()
		for i := u * chunkLen; i < min(rows, (u+1)*chunkLen); i += blockLen {
			t.readStrip(w, &next, i)
		}
		w.maxima[u] = w.next.max
	}
	c := &w.columns
	for k := begin; k < end; k++ {
		s := next
		next = columnStrip{}
		if k+1 < end {
			next = t.strip(w, k+1)
		}
		for u := range w.maxima {
			t.sumStrip(w, &last, &s, &next, u)
		}
		if chunks(rows) == 1 {
			c.conclude(s.groups, t.op == opSoftmax)
		} else {
			w.concludeStrip(s.groups)
		}
		if t.op == opLogSumExp {
			for i := range s.groups * group {
				t.values[s.first+i] = c.logSumExp(i)
			}
			continue
		}
		w.before.max, w.before.negLogSum = c.max, c.negLogSum
		w.before.factor, w.before.rest, w.before.count = c.inverse, c.rest, c.count
		last = s
	}
	for i := 0; i < rows; i += blockLen {
		t.writeStrip(w, &last, i)
	}
}

// sumStrip sums a chunk of s, and meanwhile writes that of the last strip and
// reads that of the next.
func (t *normalization) sumStrip(w *workspace, last, s, next *columnStrip, chunk int) {
	c, rows := &w.columns, min(t.in.Rows, (chunk+1)*chunkLen)
	oneLane := t.in.Rows <= blockLen
	c.max = w.maxima[chunk]
	w.next.reset()
	if !oneLane {
		columnsFrame(c, s.groups)
	}
	for i := chunk * chunkLen; i < rows; i += blockLen {
		n, x := min(blockLen, rows-i), s.x[i*s.stride:]
		var in, out []float64
		if next.groups > 0 {
			in = t.in.Data[i*t.in.Stride+next.first:]
		}
		if last.groups > 0 {
			out = t.out.Data[i*t.out.Stride+last.first:]
		}
		switch {
		case t.op == opSoftmax && oneLane:
			columnsTotal(c, x, s.stride, x, s.stride, n, s.groups)
		case t.op == opSoftmax:
			columnsExpSum(c, x, s.stride, x, s.stride, n, s.groups)
		default:
			if oneLane && s.copied && last.groups == s.groups && next.groups == s.groups {
				columnsMove(c, x, n, s.groups, &stripMove{&w.stripState, next.x, in, t.in.Stride, out, t.out.Stride})
				continue
			}
			if t.out.Stride != t.in.Stride {
				out = nil
			}
			if oneLane {
				columnsTotalAhead(c, x, s.stride, n, s.groups, in, out, t.in.Stride)
			} else {
				columnsExpSumAhead(c, x, s.stride, n, s.groups, in, out, t.in.Stride)
			}
		}
		t.writeStrip(w, last, i)
		t.readStrip(w, next, i)
	}
	w.maxima[chunk] = w.next.max
	if !oneLane {
		columnsJoin(c, s.groups)
	}
	if t.in.Rows > chunkLen {
		for i := range s.groups * group {
			w.partials[chunk*columnsWidth+i] = c.partial(i)
		}
	}
}

// partial returns the partial of slice i, whose lanes are joined.
func (c *columns) partial(i int) partial {
	if !isFinite(c.max[i]) {
		return partial{max: c.max[i]}
	}
	return newPartial(c.max[i], c.count[i], c.hi[0][i], c.lo[0][i])
}

// concludeStrip merges the partials of every column of several chunks, and
// concludes but for probabilities.
func (w *workspace) concludeStrip(groups int) {
	for i := range groups * group {
		whole := w.partials[i]
		for u := 1; u < len(w.maxima); u++ {
			whole.merge(w.partials[u*columnsWidth+i])
		}
		w.max[i] = whole.max
		w.negLogSum[i], w.logSumLow[i] = whole.negLogSum()
	}
}

// readStrip copies a block of s, from row i, for w.next.
func (t *normalization) readStrip(w *workspace, s *columnStrip, i int) {
	if s.groups == 0 {
		return
	}
	n, x := min(blockLen, t.in.Rows-i), s.x[i*s.stride:]
	if s.copied {
		copyRows(x, s.stride, t.in.Data[i*t.in.Stride+s.first:], t.in.Stride, n, s.groups*group)
	}
	columnsMax(&w.next, x, s.stride, n, s.groups)
}

// writeStrip writes the result of a block of s, from row i, by w.before.
func (t *normalization) writeStrip(w *workspace, s *columnStrip, i int) {
	if s.groups == 0 {
		return
	}
	n, x, dst := min(blockLen, t.in.Rows-i), s.x[i*s.stride:], t.out.Data[i*t.out.Stride+s.first:]
	if t.op == opSoftmax {
		columnsScale(&w.before, x, s.stride, n, s.groups)
		w.before.setCertainColumns(x, s.stride, n, s.groups)
		copyRows(dst, t.out.Stride, x, s.stride, n, s.groups*group)
	} else {
		columnsShift(&w.before, dst, t.out.Stride, x, s.stride, n, s.groups)
	}
}

const (
	// longWidth is how many columns of several chunks are worked on together.
	longWidth = 16 * columnsWidth
	// longStep is how many of their rows.
	longStep = 16
	// pageStride is a distance of rows on different pages.
	pageStride = 512
)

// sweep calls f for a chunk of cols columns from column first: for n rows from
// row i of groups from column j, with the state of those columns.
func (t *normalization) sweep(w *workspace, first, cols, chunk, step int, f func(c *columns, i, n, j, groups int)) {
	end := min(t.in.Rows, (chunk+1)*chunkLen)
	for i := chunk * chunkLen; i < end; i += step {
		for p := range w.strip {
			done := p * columnsWidth
			f(&w.strip[p], i, min(step, end-i), first+done, min(columnsWidth, cols-done)/group)
		}
	}
}

// sumLong sets the partials of a chunk of columns.
func (t *normalization) sumLong(w *workspace, first, cols, chunk int) {
	w.strip = grow(w.strip, (cols+columnsWidth-1)/columnsWidth)
	for p := range w.strip {
		w.strip[p].reset()
	}
	x, stride := t.in.Data, t.in.Stride
	t.sweep(w, first, cols, chunk, longStep, func(c *columns, i, n, j, groups int) {
		columnsMax(c, x[i*stride+j:], stride, n, groups)
	})
	for p := range w.strip {
		columnsFrame(&w.strip[p], columnsWidth/group)
	}
	t.sweep(w, first, cols, chunk, blockLen, func(c *columns, i, n, j, groups int) {
		at, atStride := x[i*stride+j:], stride
		var next []float64
		if stride >= pageStride {
			copyRows(w.tile[:], columnsWidth, at, stride, n, groups*group)
			if len(at) > columnsWidth {
				next = at[columnsWidth:]
			}
			at, atStride = w.tile[:], columnsWidth
		}
		if t.op == opSoftmax {
			columnsExpSum(c, t.out.Data[i*t.out.Stride+j:], t.out.Stride, at, atStride, n, groups)
		} else {
			columnsExpSumAhead(c, at, atStride, n, groups, next, nil, stride)
		}
	})
	for p := range w.strip {
		columnsJoin(&w.strip[p], columnsWidth/group)
	}
	full := t.in.Cols / group * group
	for k := range cols {
		t.partials[chunk*full+first+k] = w.strip[k/columnsWidth].partial(k % columnsWidth)
	}
}

// concludeLong merges the chunks' partials of every column.
func (t *normalization) concludeLong(full int) {
	t.wholes = append(t.wholes[:0], t.partials[:full]...)
	for k := range t.wholes {
		whole := &t.wholes[k]
		for p := k + full; p < len(t.partials); p += full {
			whole.merge(t.partials[p])
		}
		if t.op == opLogSumExp {
			s := whole.conclude()
			c := columns{}
			c.max[0], c.negLogSum[0], c.logSumLow[0] = whole.max, s.negLogSum, s.logSumLow
			t.values[k] = c.logSumExp(0)
		}
	}
}

// writeLong writes the result of a chunk of columns.
func (t *normalization) writeLong(w *workspace, first, cols, chunk int) {
	full := t.in.Cols / group * group
	w.strip = grow(w.strip, (cols+columnsWidth-1)/columnsWidth)
	again := false
	for k := range cols {
		c, i, whole := &w.strip[k/columnsWidth], k%columnsWidth, &t.wholes[first+k]
		if t.op == opLogSoftmax {
			c.max[i], c.negLogSum[i] = whole.max, whole.conclude().negLogSum
		} else {
			f := t.partials[chunk*full+first+k].factors(whole)
			c.factor[i], c.inverse[i] = f.first, f.second
			again = again || f.second != 1
			c.count[i], c.rest[i] = whole.count, 1
			if float64(whole.hi*unscale) < 2*certain {
				c.rest[i] = whole.conclude().rest
			}
		}
	}
	if t.op == opLogSoftmax {
		t.sweep(w, first, cols, chunk, longStep, func(c *columns, i, n, j, groups int) {
			columnsShift(c, t.out.Data[i*t.out.Stride+j:], t.out.Stride, t.in.Data[i*t.in.Stride+j:], t.in.Stride, n, groups)
		})
		return
	}
	t.sweep(w, first, cols, chunk, longStep, func(c *columns, i, n, j, groups int) {
		data := t.out.Data[i*t.out.Stride+j:]
		columnsScale(c, data, t.out.Stride, n, groups)
		if again {
			c.factor, c.inverse = c.inverse, c.factor
			columnsScale(c, data, t.out.Stride, n, groups)
			c.factor, c.inverse = c.inverse, c.factor
		}
		c.setCertainColumns(data, t.out.Stride, n, groups)
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
		to := w.tile[i*columnsWidth:][:group]
		clear(to[copy(to, t.in.Data[i*t.in.Stride+first:][:n]):])
	}
	w.reset()
	columnsMax(&w.columns, w.tile[:], columnsWidth, rows, 1)
	w.sumTile(terms, rows, 1)
	switch t.op {
	case opLogSumExp:
		for k := range n {
			t.values[first+k] = w.logSumExp(k)
		}
		return
	case opLogSoftmax:
		columnsShift(&w.columns, w.tile[:], columnsWidth, w.tile[:], columnsWidth, rows, 1)
	case opSoftmax:
		w.factor = w.inverse
		columnsScale(&w.columns, w.tile[:], columnsWidth, rows, 1)
		w.setCertainColumns(w.tile[:], columnsWidth, rows, 1)
	}
	for i := range rows {
		copy(t.out.Data[i*t.out.Stride+first:][:n], w.tile[i*columnsWidth:])
	}
}

// doColumn does one column, which it copies chunk by chunk.
func (t *normalization) doColumn(w *workspace, col int) {
	n := t.in.Rows
	w.partials = grow(w.partials, chunks(n))
	for u := range chunks(n) {
		x := w.column[:min(chunkLen, n-u*chunkLen)]
		from := t.in.Data[u*chunkLen*t.in.Stride+col:]
		for i := range x {
			x[i] = from[i*t.in.Stride]
		}
		var terms []float64
		if t.op == opSoftmax {
			terms = x
		}
		w.partials[u] = chunkPartial(terms, x, nil, nil, 0)
		if t.op == opSoftmax {
			to := t.out.Data[u*chunkLen*t.out.Stride+col:]
			for i, e := range x {
				to[i*t.out.Stride] = e
			}
		}
	}
	w.concludeLong()
	switch t.op {
	case opLogSumExp:
		t.values[col] = w.logSumExp(0)
	case opLogSoftmax:
		m, s := w.max[0], w.negLogSum[0]
		for i := range n {
			v := s + (t.in.Data[i*t.in.Stride+col] - m)
			if s != s {
				v = nan
			}
			t.out.Data[i*t.out.Stride+col] = v
		}
	case opSoftmax:
		whole := w.wholePartial()
		for u := range chunks(n) {
			x := w.column[:min(chunkLen, n-u*chunkLen)]
			data := t.out.Data[u*chunkLen*t.out.Stride+col:]
			for i := range x {
				x[i] = data[i*t.out.Stride]
			}
			f := w.partials[u].factors(&whole)
			scaleTermsBy(x, f.first, f.second, 1)
			w.setCertain(0, x)
			for i, p := range x {
				data[i*t.out.Stride] = p
			}
		}
	}
}
