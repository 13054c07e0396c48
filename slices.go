// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"runtime"
	"sync"
)

// fewCols is the largest number of classes for which rows are packed into
// columns and worked on side by side: one block.
const fewCols = blockLen

// A workspace is what one goroutine needs for slices that are in work.
type workspace struct {
	// columns is also the state of rows, one to a column, whatever way their
	// sums are formed.
	columns
	labels labels
	tile   tile
	// Where there are coefficients for every entry, they and the terms have
	// tiles of their own.
	coefficientTile, termTile tile
	// partials are those of the chunks of a long slice, or of the chunks of
	// up to columnsWidth of them, chunk by chunk.
	partials []partial
	// column holds a chunk of a column.
	column [chunkLen]float64
	// Rows of a matrix that is not stored by rows.
	rowsIn, softIn []float64
	// A row's coefficients in its loss, and its terms where those cannot be
	// kept in the result.
	coefficients, terms []float64
	// spread lets a long row be shared by several goroutines.
	spread bool
	// strip is the state of long columns that are worked on together.
	strip []columns
	// Of strips of columns one after the other: the entries of two of them, and
	// the maxima of the chunks of the one to come.
	strips [2][]float64
	maxima [][columnsWidth]float64
	stripState
}

// A tile holds up to columnsWidth slices of at most fewCols entries side by
// side.
type tile [fewCols * columnsWidth]float64

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// grow returns a slice of length n, s itself where it is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// panelRows is how many rows are worked on together: enough to share the cost
// of concluding, few enough to stay in the first cache.
func panelRows(cols int) int {
	if cols <= fewCols {
		return columnsWidth
	}
	return max(1, min(columnsWidth, panelEntries/cols))
}

const panelEntries = 2048

// groupsFor is how many groups n slices fill.
func groupsFor(n int) int { return (n + group - 1) / group }

// packRows packs n rows of x, at most columnsWidth, into the tile; what is
// left of the last group becomes 0.
func (t *tile) packRows(x []float64, stride, n, cols int) {
	if full := n / group; full > 0 {
		pack(t[:], x, stride, cols, full)
	}
	t.packRest(x, stride, n, cols)
}

// packRest packs those of n rows that fill no group, and zeros.
func (t *tile) packRest(x []float64, stride, n, cols int) {
	for i := n / group * group; i < groupsFor(n)*group; i++ {
		if i < n {
			for j, v := range x[i*stride:][:cols] {
				t[j*columnsWidth+i] = v
			}
			continue
		}
		for j := range cols {
			t[j*columnsWidth+i] = 0
		}
	}
}

// packLogits is packRows to w.tile, and sets w.max.
func (w *workspace) packLogits(x []float64, stride, n, cols int) {
	full := n / group
	if full > 0 {
		packMax(&w.columns, w.tile[:], x, stride, cols, full)
	}
	w.tile.packRest(x, stride, n, cols)
	for i := full * group; i < groupsFor(n)*group; i++ {
		w.max[i] = 0
		if i < n {
			w.max[i] = maxOfGo(x[i*stride:][:cols])
		}
	}
}

// unpackRows is the inverse of packRows.
func (t *tile) unpackRows(dst []float64, stride, n, cols int) {
	full := n / group
	if full > 0 {
		unpack(dst, stride, t[:], cols, full)
	}
	t.unpackRest(dst, stride, n, cols)
}

// unpackRest writes those of n rows that fill no group.
func (t *tile) unpackRest(dst []float64, stride, n, cols int) {
	for i := n / group * group; i < n; i++ {
		row := dst[i*stride:][:cols]
		for j := range row {
			row[j] = t[j*columnsWidth+i]
		}
	}
}

// unpackScaled writes the columns of the tile, times their factors, as n rows
// of dst.
func (w *workspace) unpackScaled(dst []float64, stride, n, cols int) {
	full := n / group
	if full > 0 {
		unpackScaled(&w.columns, dst, stride, w.tile[:], cols, full)
	}
	if rest := n - full*group; rest > 0 {
		columnsScale(&w.columns, w.tile[:], columnsWidth, cols, full+1)
		w.tile.unpackRest(dst, stride, n, cols)
	}
}

// sumFew concludes n rows of at most fewCols entries, which it packs. With
// keep the tile then holds their terms, else the rows themselves.
func (w *workspace) sumFew(x []float64, stride, n, cols int, keep bool) {
	w.packLogits(x, stride, n, cols)
	if keep {
		w.sumTile(w.tile[:], cols, groupsFor(n))
	} else {
		w.sumTile(nil, cols, groupsFor(n))
	}
}

// sumTile concludes the slices in the tile, of cols entries, whose maxima are
// set. Where terms is not nil it is a tile that receives the terms; it may be
// that one.
func (w *workspace) sumTile(terms []float64, cols, groups int) {
	c, tile := &w.columns, w.tile[:]
	columnsTotal(c, terms, columnsWidth, tile, columnsWidth, cols, groups)
	c.conclude(groups, terms != nil)
}

// conclude concludes the slices of the groups, with inverse and rest where
// probabilities are wanted.
func (c *columns) conclude(groups int, probabilities bool) {
	if probabilities {
		columnsConclude(c, groups)
	} else {
		columnsLog(c, groups)
	}
}

// sumRow sets the count and sum of row i of a panel, of one chunk, whose
// maximum is set. Where terms is not nil it receives the row's terms; it may
// be x. Those of a row whose maximum is not finite are anything. next and out
// are what expSumAhead prefetches.
func (w *workspace) sumRow(i int, terms, x, next, out []float64) {
	w.count[i], w.hi[0][i], w.lo[0][i] = 0, 0, 0
	if m := w.max[i]; isFinite(m) {
		w.count[i], w.hi[0][i], w.lo[0][i] = expSumAhead(terms, x, m, next, out)
	}
}

// rowAfter returns row i of a matrix of rows of cols entries, nil beyond the
// last.
func rowAfter(data []float64, stride, rows, cols, i int) []float64 {
	if i >= rows || data == nil {
		return nil
	}
	return data[i*stride:][:cols]
}

// chunks is how many chunks n entries are.
func chunks(n int) int { return (n + chunkLen - 1) / chunkLen }

// chunkOf returns the entries of a chunk.
func chunkOf(x []float64, chunk int) []float64 {
	return x[chunk*chunkLen : min(len(x), (chunk+1)*chunkLen)]
}

// chunkPartial returns the partial of a chunk of x, whose terms go to the
// same chunk of terms where that is not nil. out is where the row's result
// will be written, and next the row after it, to be prefetched if not nil.
func chunkPartial(terms, x, out, next []float64, chunk int) partial {
	if end := (chunk + 1) * chunkLen; end < len(x) {
		next = x[end:]
	}
	x = chunkOf(x, chunk)
	if terms != nil {
		terms = chunkOf(terms, chunk)
	}
	if out != nil {
		out = chunkOf(out, chunk)
	}
	m := maxOf(x)
	if !isFinite(m) {
		if terms != nil {
			fill(terms, 0)
		}
		return partial{max: m}
	}
	count, hi, lo := expSumAhead(terms, x, m, next, out)
	return newPartial(m, count, hi, lo)
}

// sumLong concludes one row of any length, as row 0 of a panel; w.partials
// are its chunks'. Where terms is not nil it receives the row's terms; it may
// be x. out is where the row's result will be written, and next the row after
// it, to be prefetched if not nil.
func (w *workspace) sumLong(terms, x, out, next []float64) {
	w.partials = grow(w.partials, chunks(len(x)))
	w.eachChunk(longRow{kind: longSum, dst: terms, x: x, out: out, next: next}, len(x))
	w.concludeLong()
}

// shiftRow sets dst to the log-probabilities of entries x of row i of a panel.
func (w *workspace) shiftRow(i int, dst, x []float64) {
	shiftBy(dst, x, w.max[i], w.negLogSum[i])
}

// shiftLong sets dst to the log-probabilities of the row x of sumLong.
func (w *workspace) shiftLong(dst, x []float64) {
	w.eachChunk(longRow{kind: longShift, dst: dst, x: x}, len(x))
}

// concludeLong merges w.partials and concludes, as row 0 of a panel.
func (w *workspace) concludeLong() {
	whole := w.wholePartial()
	s := whole.conclude()
	w.max[0], w.count[0] = whole.max, whole.count
	w.negLogSum[0], w.logSumLow[0], w.rest[0] = s.negLogSum, s.logSumLow, s.rest
}

// wholePartial merges w.partials in order.
func (w *workspace) wholePartial() partial {
	whole := w.partials[0]
	for i := range w.partials[1:] {
		whole.merge(w.partials[1+i])
	}
	return whole
}

// hugeRow is how many entries make a row worth more than one goroutine.
const hugeRow = 1 << 16

// spreads reports whether a matrix has too few rows to occupy the goroutines
// that its work is worth, unless they share each row.
func spreads(rows, cols int) bool {
	return cols >= hugeRow && rows < 2*runtime.GOMAXPROCS(0)
}

// A longRow is a task on the chunks of one row. A unit is hugeChunks of them.
type longRow struct {
	kind      longKind
	dst, x    []float64
	out, next []float64
	w         *workspace
	whole     partial
	g         float64
}

type longKind uint8

const (
	longSum longKind = iota
	longShift
	longScale
)

const hugeChunks = 8

var longRows = sync.Pool{New: func() any { return new(longRow) }}

// eachChunk does t on all chunks of a row of n entries, on several goroutines
// if w.spread allows it.
func (w *workspace) eachChunk(t longRow, n int) {
	t.w = w
	if !w.spread {
		for u := range chunks(n) {
			t.doChunk(u)
		}
		return
	}
	shared := longRows.Get().(*longRow)
	*shared = t
	run(shared, (chunks(n)+hugeChunks-1)/hugeChunks, n)
	*shared = longRow{}
	longRows.Put(shared)
}

func (t *longRow) do(_ *workspace, unit int) {
	for u := unit * hugeChunks; u < min((unit+1)*hugeChunks, len(t.w.partials)); u++ {
		t.doChunk(u)
	}
}

func (t *longRow) doChunk(u int) {
	switch t.kind {
	case longSum:
		t.w.partials[u] = chunkPartial(t.dst, t.x, t.out, t.next, u)
	case longShift:
		t.w.shiftRow(0, chunkOf(t.dst, u), chunkOf(t.x, u))
	case longScale:
		f := t.w.partials[u].factors(&t.whole)
		scaleTermsBy(chunkOf(t.x, u), f.first, f.second, t.g)
	}
}

// scaleTerms turns the terms of row i of a panel into its probabilities times
// g.
func (w *workspace) scaleTerms(i int, terms []float64, g float64) {
	if len(terms) <= chunkLen {
		scaleTermsBy(terms, w.inverse[i], 1, g)
		return
	}
	w.eachChunk(longRow{kind: longScale, x: terms, whole: w.wholePartial(), g: g}, len(terms))
}

// certain is what the sum of the other probabilities is less than where that of
// the only largest entry is next to 1. Its roundings would now and then make it
// more; it is 1 less that sum instead.
const certain = 0x1p-50

// setCertain sets the largest of the probabilities of row i of a panel if it is
// next to 1.
func (w *workspace) setCertain(i int, p []float64) {
	if w.rest[i] < certain && w.count[i] == 1 {
		for j, v := range p {
			if v > 0.5 {
				p[j] = 1 - w.rest[i]
			}
		}
	}
}

// setCertainColumns is the same for n entries of each slice.
func (c *columns) setCertainColumns(p []float64, stride, n, groups int) {
	for i, rest := range c.rest[:groups*group] {
		if !(rest < certain && c.count[i] == 1) {
			continue
		}
		for j := range n {
			if p[j*stride+i] > 0.5 {
				p[j*stride+i] = 1 - rest
			}
		}
	}
}

// probability returns entry j of row i of a panel, given its term.
func (w *workspace) probability(i, cols, j int, term float64) float64 {
	if cols <= chunkLen {
		return float64(term * w.inverse[i])
	}
	whole := w.wholePartial()
	f := w.partials[j/chunkLen].factors(&whole)
	return float64(float64(term*f.first) * f.second)
}

// scaleTermsBy multiplies terms by three factors, at once where no digits are
// lost by it.
func scaleTermsBy(terms []float64, first, second, g float64) {
	if second == 1 && combines(g) {
		first, g = float64(first*g), 1
	}
	scaleBy(terms, first)
	if second != 1 {
		scaleBy(terms, second)
	}
	if second != 1 || g != 1 {
		scaleBy(terms, g)
	}
}

// combines reports whether a factor that makes probabilities of terms, some
// 2^-128 down to 2^-700, may be multiplied by g before it is used.
func combines(g float64) bool {
	g = math.Abs(g)
	return g >= 0x1p-300 && g <= 0x1p64 || g == 0
}
