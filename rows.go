// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"runtime"
	"sync"
	"unsafe"

	"example.org/logsoftmax/internal/kernel"
)

// A workspace is what one goroutine needs for slices that are in work.
type workspace struct {
	// columns is also the state of rows, one to a column, whatever way their
	// sums are formed.
	panel  kernel.Panel
	labels kernel.Labels
	sum    kernel.LossSum
	// classWeights are those of at most FewCols classes.
	classWeights [kernel.FewCols]float64
	// lowSums are the low words of the sums of columns of many blocks.
	lowSums kernel.LowSums
	tile    kernel.Tile
	// Where there are coefficients for every entry, they and the terms have
	// tiles of their own.
	coefficientTile, termTile kernel.Tile
	// partials are those of the chunks of a long slice, or of the chunks of
	// up to Width of them, chunk by chunk.
	partials []kernel.Partial
	// column holds a chunk of a column.
	column [kernel.ChunkLen]float64
	// features holds rows of a linear layer's input, packed.
	features []float64
	// Rows of a matrix that is not stored by rows.
	rowsIn, softIn []float64
	// A row's coefficients in its loss, and its terms where those cannot be
	// kept in the result.
	coefficients, terms []float64
	// moments are the sums of columns, for SoftmaxGrad.
	moments []kernel.RowMoments
	// spread lets a long row be shared by several goroutines.
	spread bool
	// strip is the state of long columns that are worked on together.
	strip []kernel.Panel
	// Of strips of columns one after the other: the entries of two of them, and
	// the maxima of the chunks of the one to come.
	strips [2][]float64
	maxima [][kernel.Width]float64
	beside kernel.Strips
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// release gives w back for the next call.
func (w *workspace) release() {
	w.partials = kept(w.partials)
	workspaces.Put(w)
}

// mostKept is how many bytes of a slice that grows with the arguments are kept
// for the next call.
const mostKept = 4 << 20

// kept returns s, or nil if it is too large to keep.
func kept[T any](s []T) []T {
	if cap(s)*int(unsafe.Sizeof(*new(T))) > mostKept {
		return nil
	}
	return s
}

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
	if cols <= kernel.FewCols {
		return kernel.Width
	}
	return max(1, min(kernel.Width, panelEntries/cols))
}

const panelEntries = 2048

// sideBySide reports whether n rows, a panel, are worked on side by side: rows of
// few classes, unless they are so few that most lanes of a vector would be empty,
// and one after the other takes less.
func sideBySide(n, cols int) bool { return cols <= kernel.FewCols && n > max(1, cols/10) }

// sumRow sets the count and sum of row i of a panel, of one chunk, whose
// maximum is set. Where terms is not nil it receives the row's terms; it may
// be x. Those of a row whose maximum is not finite are anything. next and out
// are what ExpSumAhead prefetches.
func (w *workspace) sumRow(i int, terms, x, next, out []float64) {
	w.panel.Count[i], w.panel.Hi[0][i], w.panel.Lo[0][i] = 0, 0, 0
	switch m := w.panel.Max[i]; {
	case !kernel.IsFinite(m):
	case len(x) <= kernel.FewCols:
		w.panel.Count[i], w.panel.Hi[0][i], w.panel.Lo[0][i] = kernel.LaneTotal(terms, x, m)
	default:
		w.panel.Count[i], w.panel.Hi[0][i], w.panel.Lo[0][i] = kernel.ExpSumAhead(terms, x, m, next, out)
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

// sumLong concludes one row of any length, as row 0 of a panel; w.partials
// are its chunks'. Where terms is not nil it receives the row's terms; it may
// be x. out is where the row's result will be written, and next the row after
// it, to be prefetched if not nil.
func (w *workspace) sumLong(terms, x, out, next []float64) {
	w.partials = grow(w.partials, kernel.Chunks(len(x)))
	w.eachChunk(longRow{kind: longSum, dst: terms, x: x, out: out, next: next}, len(x))
	w.concludeLong()
}

// shiftRow sets dst to the log-probabilities of entries x of row i of a panel.
func (w *workspace) shiftRow(i int, dst, x []float64) {
	kernel.ShiftBy(dst, x, w.panel.Max[i], w.panel.NegLogSum[i])
}

// shiftLong sets dst to the log-probabilities of the row x of sumLong.
func (w *workspace) shiftLong(dst, x []float64) {
	w.eachChunk(longRow{kind: longShift, dst: dst, x: x}, len(x))
}

// concludeLong merges w.partials and concludes, as row 0 of a panel.
func (w *workspace) concludeLong() {
	whole := w.wholePartial()
	s := whole.Conclude()
	w.panel.Max[0], w.panel.Count[0] = whole.Max, whole.Count
	w.panel.NegLogSum[0], w.panel.LogSumLow[0] = s.NegLogSum, s.LogSumLow
	w.panel.Complement[0], w.panel.ComplementLow[0] = s.Complement, s.ComplementLow
}

// wholePartial merges w.partials in order.
func (w *workspace) wholePartial() kernel.Partial {
	whole := w.partials[0]
	for i := range w.partials[1:] {
		whole.Merge(w.partials[1+i])
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
	// src and row are where x is that is not stored as a row.
	src   source
	row   int
	w     *workspace
	whole kernel.Partial
	g     float64
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
		for u := range kernel.Chunks(n) {
			t.doChunk(w, u)
		}
		return
	}
	shared := longRows.Get().(*longRow)
	*shared = t
	run(shared, (kernel.Chunks(n)+hugeChunks-1)/hugeChunks, n)
	*shared = longRow{}
	longRows.Put(shared)
}

func (t *longRow) do(w *workspace, unit int) {
	for u := unit * hugeChunks; u < min((unit+1)*hugeChunks, len(t.w.partials)); u++ {
		t.doChunk(w, u)
	}
}

// doChunk does chunk u on the goroutine of w.
func (t *longRow) doChunk(w *workspace, u int) {
	switch t.kind {
	case longSum:
		if t.src.m == nil {
			t.w.partials[u] = kernel.ChunkPartial(t.dst, t.x, t.out, t.next, u)
			return
		}
		var terms []float64
		if t.dst != nil {
			terms = kernel.ChunkOf(t.dst, u)
		}
		t.w.partials[u] = kernel.ChunkPartial(terms, t.src.chunk(&w.rowsIn, t.row, u), nil, nil, 0)
	case longShift:
		t.w.shiftRow(0, kernel.ChunkOf(t.dst, u), kernel.ChunkOf(t.x, u))
	case longScale:
		f := t.w.partials[u].Factors(&t.whole)
		kernel.ScaleTermsBy(kernel.ChunkOf(t.x, u), f.First, f.Second, t.g)
	}
}

// scaleTerms turns the terms of row i of a panel into its probabilities times
// g.
func (w *workspace) scaleTerms(i int, terms []float64, g float64) {
	if len(terms) <= kernel.ChunkLen {
		kernel.ScaleTermsBy(terms, w.panel.Inverse[i], 1, g)
		return
	}
	w.eachChunk(longRow{kind: longScale, x: terms, whole: w.wholePartial(), g: g}, len(terms))
}

// probability returns entry j of row i of a panel, given its term.
func (w *workspace) probability(i, cols, j int, term float64) float64 {
	if cols <= kernel.ChunkLen {
		return float64(term * w.panel.Inverse[i])
	}
	whole := w.wholePartial()
	f := w.partials[j/kernel.ChunkLen].Factors(&whole)
	return f.Probability(term)
}
