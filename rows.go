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
	labelSums    labelSums
	// lowSums are the low words of the sums of columns of many blocks.
	lowSums  kernel.LowSums
	rowLanes kernel.RowLanes
	tile     kernel.Tile
	// entropy is the call that has this workspace, if it is one of entropy.
	entropy entropy
	// nll is the same of NLL, and losses are those of a panel of its rows.
	nll    nllTask
	losses [kernel.Width + kernel.Group]float64
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
	// columns holds columns that cannot be worked on where they are.
	columns []float64
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
// of concluding, few enough to stay in the caches, and whole groups where they
// are not less than one.
func panelRows(cols int) int {
	switch {
	case cols <= kernel.FewCols:
		return kernel.Width
	case cols > kernel.ChunkLen:
		return 1
	}
	n := min(2*kernel.Group, panelEntries/cols)
	if n > kernel.Group {
		n &^= kernel.Group - 1
	}
	return n
}

// panelEntries is what a panel has at most of more than FewCols columns.
const panelEntries = 8192

// sideBySide reports whether n rows, a panel, are worked on side by side: rows of
// few classes, unless they are so few that most lanes of a vector would be empty,
// and one after the other takes less.
func sideBySide(n, cols int) bool { return cols <= kernel.FewCols && n > max(1, cols/10) }

// atOnce reports whether n rows are done side by side in one kernel. One alone of
// more classes takes less by itself.
func atOnce(n, cols int) bool { return kernel.FewRows(n, cols) && (n > 1 || cols <= 10) }

// nextRows returns how many of n rows are done together: a panel at most, without
// those that fill no group, where these are done at once.
func nextRows(n, cols int) int {
	n = min(n, panelRows(cols))
	if rest := n % kernel.Group; n > kernel.Group && atOnce(rest, cols) {
		n -= rest
	}
	return n
}

// several reports whether rows are worked on several to a call of a kernel: those
// of one chunk that are not of few classes.
func several(cols int) bool { return cols > kernel.FewCols && cols <= kernel.ChunkLen }

// sumRow sets the count and sum of row i of a panel, of at most FewCols classes,
// whose maximum is set. Where terms is not nil it receives the row's terms; it
// may be x. Those of a row whose maximum is not finite are anything.
func (w *workspace) sumRow(i int, terms, x []float64) {
	w.panel.Count[i], w.panel.Hi[0][i], w.panel.Lo[0][i] = 0, 0, 0
	if m := w.panel.Max[i]; kernel.IsFinite(m) {
		w.panel.Count[i], w.panel.Hi[0][i], w.panel.Lo[0][i] = kernel.LaneTotal(terms, x, m)
	}
}

// eachRun calls f for every run of rows that count among n.
func eachRun(n int, counts func(k int) bool, f func(first, rows int)) {
	for k := 0; k < n; k++ {
		if !counts(k) {
			continue
		}
		first := k
		for k+1 < n && counts(k+1) {
			k++
		}
		f(first, k+1-first)
	}
}

// eachRun calls f for every run of rows that count among n of a panel. The others
// get a sum of 1.
func (w *workspace) eachRun(n int, counts func(k int) bool, f func(first, rows int)) {
	for k := range n {
		if !counts(k) {
			w.panel.Max[k], w.panel.Count[k], w.panel.Hi[0][k], w.panel.Lo[0][k] = 0, 1, 0, 0
		}
	}
	eachRun(n, counts, f)
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

// From here on is what is different about rows so long that nothing of their length
// is to be allocated. They are worked on chunk by chunk: a chunk that is not
// stored by rows, its coefficients, and its terms where the result has no room
// for them, are copied or computed anew whenever they are wanted.

// mostBuffered is how many entries of a row are copied at most: 512 KB, as many
// of its coefficients and of its terms, and of a transpose, which is copied
// several rows at once, up to 4 MB (source.together). Tests set it to a chunk or
// more.
var mostBuffered = 1 << 16

// isLong reports whether rows of cols entries are worked on chunk by chunk.
func isLong(cols int) bool { return cols > mostBuffered }

// byChunks reports whether rows of x with smoothed labels are worked on chunk by
// chunk: those of more than one that lie as they are wanted are too, if all
// coefficients but the label's are the same. A chunk of them stays in the first
// cache.
func (s *settings) byChunks(x *source) bool {
	return isLong(x.cols) || s.weight == nil && x.kind == sourceDense && x.cols > kernel.ChunkLen
}

// chunk returns chunk u of row i: where it lies, or copied into buf.
func (s *source) chunk(buf *[]float64, i, u int) []float64 {
	j := u * kernel.ChunkLen
	n := min(kernel.ChunkLen, s.cols-j)
	data, _ := s.block(buf, i, j, 1, n)
	return data[:n]
}

// sumSource is sumLong for row i of src.
func (w *workspace) sumSource(src *source, i int, terms []float64) {
	w.partials = grow(w.partials, kernel.Chunks(src.cols))
	t := longRow{kind: longSum, dst: terms}
	if src.kind == sourceDense {
		t.x = src.raw.Data[i*src.raw.Stride:][:src.cols]
		t.next = rowAfter(src.raw.Data, src.raw.Stride, src.rows, src.cols, i+1)
	} else {
		t.src, t.row = *src, i
	}
	w.eachChunk(t, src.cols)
	w.concludeLong()
}

// sumForeignColumn is sumSource for column j of a matrix of which only At is
// known.
func (w *workspace) sumForeignColumn(src *source, j int) {
	w.partials = grow(w.partials, kernel.Chunks(src.rows))
	for u := range w.partials {
		first := u * kernel.ChunkLen
		x := w.column[:min(kernel.ChunkLen, src.rows-first)]
		for i := range x {
			x[i] = src.m.At(first+i, j)
		}
		w.partials[u] = kernel.ChunkPartial(nil, x, nil, nil, 0)
	}
	w.concludeLong()
}

// isFirstLargest reports whether entry y of row i of src, which sumSource has
// been through, is the lowest-indexed largest.
func (w *workspace) isFirstLargest(src *source, i, y int) bool {
	if src.at(i, y) != w.panel.Max[0] {
		return false
	}
	return w.panel.Count[0] == 1 || w.isFirstChunk(0, y) &&
		isFirstMax(src.chunk(&w.rowsIn, i, y/kernel.ChunkLen), y%kernel.ChunkLen, w.panel.Max[0])
}

// long does the n rows of the group.
func (b *batch) long(n int) {
	t := b.task
	if t.target == nil || t.settings.smoothing != 0 {
		b.weightedLong(n)
		return
	}
	if t.logits.kind == sourceDense {
		b.x, b.stride = t.logits.panel(nil, b.begin, n)
	} else if t.out.Data != nil {
		// Copied into the result.
		b.x, b.stride = t.out.Data[b.begin*t.out.Stride:], t.out.Stride
	}
	for i := range n {
		if b.x == nil {
			b.labelledLong(i)
			continue
		}
		if t.logits.kind != sourceDense && t.settings.counts(b.begin+i, t.target[b.begin+i]) {
			for u := range kernel.Chunks(t.logits.cols) {
				to := kernel.ChunkOf(b.row(i), u)
				t.logits.chunk(&to, b.begin+i, u)
			}
		}
		b.labelled(i, 1)
	}
}

// labelledLong is labelled for row i of the group where the row is neither
// stored as one nor has a result that it could be copied to.
func (b *batch) labelledLong(i int) {
	t, w, row := b.task, b.work, b.begin+i
	y := t.target[row]
	if !t.settings.counts(row, y) {
		b.add(i, 0)
		return
	}
	w.sumSource(&t.logits, row, nil)
	if w.isFirstLargest(&t.logits, row, y) {
		b.correct++
	}
	logp := w.panel.NegLogSum[0] + (t.logits.at(row, y) - w.panel.Max[0])
	b.add(i, hardLoss(t.settings.coefficient(row, y), logp))
}

// weightedLong is weighted for the n rows of the group.
func (b *batch) weightedLong(n int) {
	var q smoothing
	if b.task.target != nil {
		q.set(&b.task.settings, &b.work.coefficients, b.task.logits.cols, true)
	}
	for i := range n {
		y, counts := b.label(i)
		if !counts {
			b.add(i, 0)
			clearRow(b.result(i))
			continue
		}
		b.weightedLongRow(i, y, &q)
	}
}

// coefficientsOf returns those of chunk u of row i, whose label is y, if it has
// one, in a buffer or where they lie.
func (b *batch) coefficientsOf(i, u, y int, q *smoothing) []float64 {
	if y >= 0 {
		return q.chunk(y, u)
	}
	t := b.task.soft.chunk(&b.work.softIn, b.begin+i, u)
	if b.scaledDown {
		return b.softScaledDown(t, u*kernel.ChunkLen)
	}
	b.work.coefficients = grow(b.work.coefficients, kernel.ChunkLen)
	return b.softCoefficients(b.work.coefficients[:len(t)], t, u*kernel.ChunkLen)
}

// weightedLongRow does row i of the group, which counts.
func (b *batch) weightedLongRow(i, y int, q *smoothing) {
	t, w, row, result := b.task, b.work, b.begin+i, b.result(i)
	terms := result
	if t.inPlace {
		// What they would replace is still wanted.
		terms = nil
	}
	w.sumSource(&t.logits, row, terms)
	if y >= 0 && w.isFirstLargest(&t.logits, row, y) {
		b.correct++
	}
	// As in weightedRow.
	r := longWeighted{b: *b, i: i, y: y, max: w.panel.Max[0], negLogSum: w.panel.NegLogSum[0]}
	distribution := t.isDistribution()
	if distribution {
		r.negLogSum = 0
	}
	sampleWeight, shift := t.settings.sampleWeightAt(row), t.settings.shift
	g := t.divisor.over(sampleWeight)
	isNumber := w.panel.NegLogSum[0] == w.panel.NegLogSum[0]
	r.withLoss, r.withSum = true, distribution || result != nil && !t.hasUniformSmoothing()
	if t.hasUniformSmoothing() {
		r.sum = q.sum()
		// The sum of the coefficients is known: the gradient need not wait for
		// the loss, if that does not read what it replaces.
		r.withGradient = w.spread && result != nil && !t.inPlace && shift == 0 && g != 0 && r.sum.Hi != 0 && isNumber
	}
	r.g = g
	r.run(q)
	if y < 0 && !r.withSum && !kernel.IsFinite(r.loss.Hi) {
		r.withSum = true
		r.run(q)
	}
	loss, sum, done := r.loss, r.sum, r.withGradient
	if distribution {
		loss = kernel.DistributionLoss(loss, sum, w.panel.NegLogSum[0])
	}
	lossShift := shift
	if y < 0 && t.overflows(loss, sum, sampleWeight) {
		b.scaledDown = true
		defer func() { b.scaledDown = false }()
		scaled := longWeighted{b: *b, i: i, y: y, max: w.panel.Max[0], negLogSum: w.panel.NegLogSum[0], withLoss: true, withSum: true}
		scaled.run(q)
		if kernel.IsFinite(scaled.loss.Hi) || loss.Hi != loss.Hi {
			loss = scaled.loss
			lossShift += distributionShift
		}
		if kernel.IsFinite(sum.Hi) {
			b.scaledDown = false
		} else {
			sum = scaled.sum
			shift += distributionShift
		}
	}
	b.add(i, scaledProduct(sampleWeight, loss.Value(), -lossShift))
	if result == nil || done {
		return
	}
	r = longWeighted{b: *b, i: i, y: y, withGradient: true, sum: sum, g: g}
	switch {
	case g == 0 || sum.Hi == 0:
		clearRow(result)
	case !isNumber:
		kernel.Fill(result, kernel.NaN)
	case shift != 0:
		r.g = 1
		r.run(q)
		scaleRow(result, g, -shift)
	default:
		r.run(q)
	}
}

// A longWeighted is a task on a long row with a coefficient for every class, whose
// exponentials are summed up. A unit is the loss, or the sum of the coefficients,
// both of which go through the row in its order, or the gradient of hugeChunks.
type longWeighted struct {
	b              batch
	i, y           int // the row of the group, and its label, if it has one
	q              smoothing
	max, negLogSum float64
	whole          kernel.Partial
	special        int // the chunk of the only largest entry, whose 1-p is known
	g              float64

	withLoss, withSum, withGradient bool

	loss, sum kernel.Accumulator // sum is given where it is not asked for
}

var longWeightedRows = sync.Pool{New: func() any { return new(longWeighted) }}

// run does what is asked for, on several goroutines if the workspace allows it.
func (t *longWeighted) run(q *smoothing) {
	w := t.b.work
	units := 0
	if t.withGradient {
		t.whole = w.wholePartial()
		t.special = -1
		if w.panel.Count[0] == 1 {
			t.special = 0
			for w.partials[t.special].Max != w.panel.Max[0] {
				t.special++
			}
		}
		units = (len(w.partials) + hugeChunks - 1) / hugeChunks
	}
	if !w.spread {
		switch {
		case t.withLoss && t.withSum:
			t.lossAndSum(q)
		case t.withLoss:
			t.loss = t.lossOf(&t.b, q)
		}
		if t.withGradient {
			t.gradient(&t.b, q, 0, len(w.partials))
		}
		return
	}
	units += t.heads()
	shared := longWeightedRows.Get().(*longWeighted)
	*shared = *t
	shared.q = *q
	run(shared, units, t.b.task.logits.cols)
	t.loss, t.sum = shared.loss, shared.sum
	*shared = longWeighted{}
	longWeightedRows.Put(shared)
}

// heads returns how many units the loss and the sum are.
func (t *longWeighted) heads() int {
	n := 0
	for _, with := range []bool{t.withLoss, t.withSum} {
		if with {
			n++
		}
	}
	return n
}

func (t *longWeighted) do(w *workspace, unit int) {
	// With buffers of this goroutine.
	b, q := t.b, t.q
	b.work = w
	if t.y >= 0 {
		q = t.q.clone(&w.coefficients)
	}
	if t.withLoss {
		if unit == 0 {
			t.loss = t.lossOf(&b, &q)
			return
		}
		unit--
	}
	if t.withSum {
		if unit == 0 {
			t.sum = t.sumOf(&b, &q)
			return
		}
		unit--
	}
	first := unit * hugeChunks
	t.gradient(&b, &q, first, min(first+hugeChunks, len(t.b.work.partials)))
}

func (t *longWeighted) chunks() int { return kernel.Chunks(t.b.task.logits.cols) }

// chunk returns chunk u of the row.
func (t *longWeighted) chunk(b *batch, u int) []float64 {
	return b.task.logits.chunk(&b.work.rowsIn, b.begin+t.i, u)
}

// lossAndSum is lossOf and sumOf at once.
func (t *longWeighted) lossAndSum(q *smoothing) {
	var s kernel.LossAndSum
	for u := range t.chunks() {
		s.Add(t.b.coefficientsOf(t.i, u, t.y, q), t.chunk(&t.b, u), t.max, t.negLogSum)
	}
	t.loss, t.sum = s.Sums()
}

func (t *longWeighted) lossOf(b *batch, q *smoothing) kernel.Accumulator {
	var s kernel.LaneSum
	for u := range t.chunks() {
		s.AddLoss(b.coefficientsOf(t.i, u, t.y, q), t.chunk(b, u), t.max, t.negLogSum)
	}
	return s.Sum()
}

func (t *longWeighted) sumOf(b *batch, q *smoothing) kernel.Accumulator {
	var s kernel.CoefficientSum
	for u := range t.chunks() {
		s.Add(b.coefficientsOf(t.i, u, t.y, q))
	}
	return s.Sum()
}

// gradient is weightedGradient of the chunks from first to end.
func (t *longWeighted) gradient(b *batch, q *smoothing, first, end int) {
	result, of := b.result(t.i), t.b.work
	for u := first; u < end; u++ {
		to, terms := kernel.ChunkOf(result, u), kernel.ChunkOf(result, u)
		var x []float64
		if b.task.inPlace || u == t.special {
			x = t.chunk(b, u)
		}
		if b.task.inPlace {
			b.work.terms = grow(b.work.terms, kernel.ChunkLen)
			terms = b.work.terms[:len(to)]
			kernel.ChunkPartial(terms, x, nil, nil, 0)
		}
		c, f := b.coefficientsOf(t.i, u, t.y, q), of.partials[u].Factors(&t.whole)
		if u != t.special {
			kernel.WeightedGradient(to, terms, c, f, t.sum, t.g)
			continue
		}
		largest := kernel.IndexOf(x, of.panel.Max[0])
		atLargest := kernel.WeightedLargest(terms[largest], c[largest], f, t.sum, of.panel.Complement[0], of.panel.ComplementLow[0], t.g)
		kernel.WeightedGradient(to, terms, c, f, t.sum, t.g)
		to[largest] = atLargest
	}
}

// clearRow sets a row to 0, in pieces between which a goroutine can be stopped.
func clearRow(row []float64) {
	for len(row) > kernel.PieceLen {
		clear(row[:kernel.PieceLen])
		row = row[kernel.PieceLen:]
	}
	clear(row)
}

// fillRow sets a row to v, in such pieces.
func fillRow(row []float64, v float64) {
	for len(row) > kernel.PieceLen {
		kernel.Fill(row[:kernel.PieceLen], v)
		row = row[kernel.PieceLen:]
	}
	kernel.Fill(row, v)
}
