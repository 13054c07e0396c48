// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

// This file is the cross-entropy of rows in which every class has a coefficient
// in the loss: of distributions, and of labels with smoothing.

// coefficients are those of the losses of a group of rows: either the rows of
// soft, or those of smoothed labels.
type coefficients struct {
	soft   []float64
	stride int
	smoothing
	sumOff accumulator // of the coefficients of no label
}

// of returns the coefficients of row i of the group, whose label is y, if it
// has one. They hold until the next call of done or of.
func (q *coefficients) of(b *batch, i, y int) []float64 {
	if b.target != nil {
		return q.target(y)
	}
	b.coefficients = grow(b.coefficients, b.logits.cols)
	return b.softCoefficients(b.coefficients, q.soft[i*q.stride:][:b.logits.cols])
}

// done takes back what of returned for label y.
func (q *coefficients) done(b *batch, y int) {
	if b.target != nil {
		q.restore(y)
	}
}

// sumWith returns the sum of the coefficients of label y.
func (q *coefficients) sumWith(b *batch, y int) accumulator {
	sum := q.sumOff
	sum.add(-float64(b.classWeightAt(y) * q.off))
	sum.add(float64(b.classWeightAt(y) * q.on))
	return sum
}

// weighted does the n rows of the group, with a coefficient for every
// log-probability.
func (b *batch) weighted(n int) {
	cols := b.logits.cols
	var q coefficients
	if b.target != nil {
		q.smoothing = b.newSmoothing(cols)
		defer q.release()
		hi, lo := sumOf(*q.buffer)
		q.sumOff = accumulator{hi, lo}
	} else {
		q.soft, q.stride = b.soft.panelOf(&b.softIn, b.begin, n)
	}
	step := panelRows(cols)
	for i := 0; i < n; i += step {
		if cols <= fewCols {
			b.weightedFew(i, min(step, n-i), &q)
		} else {
			b.weightedPanel(i, min(step, n-i), &q)
		}
	}
}

// label returns the target of row i of the group, -1 if it has a distribution,
// and whether the row counts.
func (b *batch) label(i int) (y int, counts bool) {
	if b.target == nil {
		return -1, b.countsSoft(b.begin + i)
	}
	y = b.target[b.begin+i]
	return y, b.counts(b.begin+i, y)
}

// softCoefficients returns w[c]·((1-e)·t[c] + e/C), in dst where it is not t.
func (b *batch) softCoefficients(dst, t []float64) []float64 {
	if b.weight == nil && b.smoothing == 0 {
		return t
	}
	off := b.smoothing / float64(len(t))
	for c, v := range t {
		dst[c] = float64(b.classWeightAt(c) * (float64((1-b.smoothing)*v) + off))
	}
	return dst
}

// weightedFew does n rows from row i of the group, a panel, of at most fewCols
// classes.
func (b *batch) weightedFew(i, n int, q *coefficients) {
	w, cols, groups := b.workspace, b.logits.cols, groupsFor(n)
	w.packLogits(b.x[i*b.stride:], b.stride, n, cols)
	if b.out.Data != nil {
		w.sumTile(w.termTile[:], cols, groups)
	} else {
		w.sumTile(nil, cols, groups)
	}
	var label [columnsWidth]int
	var counts [columnsWidth]bool
	for k := range n {
		label[k], counts[k] = b.label(i + k)
	}
	b.packCoefficients(i, n, q)
	columnsWeightedLoss(&w.columns, w.coefficientTile[:], w.tile[:], cols, groups)
	columnsJoin(&w.columns, groups)
	for k := range n {
		if !counts[k] {
			b.add(i+k, 0)
			continue
		}
		if y := label[k]; y >= 0 && w.tile[y*columnsWidth+k] == w.max[k] && (w.count[k] == 1 || isFirstMax(b.row(i+k), y, w.max[k])) {
			b.correct++
		}
		l := accumulator{w.hi[0][k], w.lo[0][k]}.value()
		b.add(i+k, canonical(float64(b.sampleWeightAt(b.begin+i+k)*l)))
	}
	if b.out.Data == nil {
		return
	}
	if b.target == nil {
		w.sumSlices(w.coefficientTile[:], cols, groups)
	}
	for k := range n {
		w.factor[k] = b.gradientFactor(b.sampleWeightAt(b.begin + i + k))
		if y := label[k]; y >= 0 && counts[k] {
			sum := q.sumWith(b, y)
			w.hi[0][k], w.lo[0][k] = sum.hi, sum.lo
		}
	}
	columnsWeightedGradient(&w.columns, w.termTile[:], w.coefficientTile[:], w.tile[:], cols, groups)
	w.termTile.unpackRows(b.out.Data[(b.begin+i)*b.out.Stride:], b.out.Stride, n, cols)
	for k := range n {
		switch {
		case !counts[k] || w.factor[k] == 0 || w.hi[0][k] == 0:
			clear(b.result(i + k))
		case w.negLogSum[k] != w.negLogSum[k]:
			fill(b.result(i+k), nan)
		}
	}
}

// packCoefficients sets the tile of the coefficients of n rows from row i.
func (b *batch) packCoefficients(i, n int, q *coefficients) {
	t, cols, width := &b.coefficientTile, b.logits.cols, groupsFor(n)*group
	if b.target == nil {
		t.packRows(q.soft[i*q.stride:], q.stride, n, cols)
		if b.weight == nil && b.smoothing == 0 {
			return
		}
		off := b.smoothing / float64(cols)
		for c := range cols {
			weight, row := b.classWeightAt(c), t[c*columnsWidth:][:width]
			for k, v := range row {
				row[k] = float64(weight * (float64((1-b.smoothing)*v) + off))
			}
		}
		return
	}
	q.pack(t, b.target[b.begin+i:][:n])
}

// sumSlices sets lane 0 of the slices in a tile to what sumOf returns for each.
func (c *columns) sumSlices(x []float64, n, groups int) {
	c.clearSums(groups)
	columnsAdd(c, x, columnsWidth, n, groups*group)
	c.joinSums(groups * group)
}

// joinSums joins the lanes of n slices as sumOf does.
func (c *columns) joinSums(n int) {
	columnsJoin(c, groupsFor(n))
	for k := range n {
		c.hi[0][k], c.lo[0][k] = sumAndRest(c.hi[0][k], c.lo[0][k])
	}
}

// weightedPanel does n rows from row i of the group, a panel, of more than
// fewCols classes.
func (b *batch) weightedPanel(i, n int, q *coefficients) {
	w, cols := b.workspace, b.logits.cols
	for k := range n {
		if _, counts := b.label(i + k); !counts {
			w.max[k], w.count[k], w.hi[0][k], w.lo[0][k] = 0, 1, 0, 0
			continue
		}
		x, terms := b.row(i+k), b.weightedTerms(k, i+k)
		if cols > chunkLen {
			w.sumLong(terms, x, nil, b.rowAfter(i+k+1))
			continue
		}
		w.max[k] = maxOf(x)
		w.sumRow(k, terms, x, b.rowAfter(i+k+1), b.resultAfter(i+k+1))
	}
	if cols <= chunkLen {
		w.conclude(groupsFor(n), b.out.Data != nil)
	}
	for k := range n {
		y, counts := b.label(i + k)
		if !counts {
			b.add(i+k, 0)
			clear(b.result(i + k))
			continue
		}
		b.weightedRow(k, i+k, y, q)
		q.done(b, y)
	}
}

// weightedTerms returns where the terms of row i of the group, row k of a
// panel, are kept: not where what they come from is still wanted.
func (b *batch) weightedTerms(k, i int) []float64 {
	cols := b.logits.cols
	if b.out.Data == nil || !b.inPlace {
		return b.result(i)
	}
	b.workspace.terms = grow(b.workspace.terms, max(cols, panelEntries))
	return b.workspace.terms[k*cols:][:cols]
}

// weightedRow does row i of the group, row k of a panel that is concluded,
// which counts and has the label y, if any.
func (b *batch) weightedRow(k, i, y int, c *coefficients) {
	w, x, q := b.workspace, b.row(i), c.of(b, i, y)
	if y >= 0 && isFirstMax(x, y, w.max[k]) {
		b.correct++
	}
	sampleWeight := b.sampleWeightAt(b.begin + i)
	var l float64
	var sum accumulator
	if y < 0 && b.out.Data != nil {
		l, sum = weightedLossAndSum(q, x, w.max[k], w.negLogSum[k])
	} else {
		l = weightedLoss(q, x, w.max[k], w.negLogSum[k])
	}
	b.add(i, canonical(float64(sampleWeight*l)))
	if b.out.Data == nil {
		return
	}
	if y >= 0 {
		sum = c.sumWith(b, y)
	}
	row, g := b.result(i), b.gradientFactor(sampleWeight)
	switch {
	case g == 0 || sum.hi == 0:
		clear(row)
	case w.negLogSum[k] != w.negLogSum[k]:
		fill(row, nan)
	default:
		b.weightedGradient(k, row, b.weightedTerms(k, i), x, q, sum, g)
	}
}

// weightedGradient sets row, which is row k of a panel, to g·(p·Q - q), for the
// probabilities p of the given terms, coefficients q and their sum Q.
func (b *batch) weightedGradient(k int, row, terms, x, q []float64, sum accumulator, g float64) {
	w := b.workspace
	factorsOf := func(int) factors { return factors{w.inverse[k], w.inverseLow[k], 1} }
	if len(x) > chunkLen {
		whole := w.wholePartial()
		factorsOf = func(u int) factors { return w.partials[u].factors(&whole) }
	}
	// What is special about a single largest entry: 1-p.
	largest, pLargest, qLargest := -1, 0.0, 0.0
	if w.count[k] == 1 {
		largest = w.indexOfMax(k, x)
		f := factorsOf(largest / chunkLen)
		qLargest = q[largest]
		pLargest = weightedProbability(terms[largest], qLargest, &f, sum)
	}
	for u := range chunks(len(x)) {
		weightedGradient(chunkOf(row, u), chunkOf(terms, u), chunkOf(q, u), factorsOf(u), sum, g)
	}
	if largest >= 0 {
		row[largest] = weightedLargest(pLargest, w.rest[k], qLargest, sum, g)
	}
}

// indexOfMax returns the first index of the maximum of x, row k of a panel.
func (w *workspace) indexOfMax(k int, x []float64) int {
	if len(x) <= chunkLen {
		return indexOf(x, w.max[k])
	}
	u := 0
	for w.partials[u].max != w.max[k] {
		u++
	}
	return u*chunkLen + indexOf(chunkOf(x, u), w.max[k])
}
