// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"example.org/logsoftmax/internal/kernel"
)

// This file is the cross-entropy of labels without smoothing, whose coefficient
// in the loss is 0 but for one class.

// isFirstMax reports whether entry y of x is the lowest-indexed largest, for
// x with maximum max.
func isFirstMax(x []float64, y int, max float64) bool {
	return x[y] == max && (y == 0 || kernel.MaxOf(x[:y]) < max)
}

// isFirst reports whether y is the lowest index of a largest entry of x, row k
// of a panel whose sums are known, if it is one at all.
func (w *workspace) isFirst(k int, x []float64, y int) bool {
	return w.panel.Count[k] == 1 || w.isFirstChunk(k, y) &&
		isFirstMax(kernel.ChunkOf(x, y/kernel.ChunkLen), y%kernel.ChunkLen, w.panel.Max[k])
}

// isFirstChunk reports that no chunk before that of entry y of row k of a panel
// has its maximum.
func (w *workspace) isFirstChunk(k, y int) bool {
	for u := range y / kernel.ChunkLen {
		if w.partials[u].Max == w.panel.Max[k] {
			return false
		}
	}
	return true
}

// labelledFew does n rows from row i of the group, a panel of at most FewCols
// classes, whose targets are labels without smoothing: of the log-probabilities
// only the label's is in the loss.
//
// A row is so little work that a branch on its label that goes either way would
// take as long: there is none. What a row counts is a coefficient in the kernel.
func (b *batch) labelledFew(i, n int) {
	w, x, cols, groups := b.work, b.x[i*b.stride:], b.task.logits.cols, kernel.GroupsFor(n)
	l, out, s := &w.labels, &b.task.out, &b.task.settings
	w.panel.PackLogits(&w.tile, x, b.stride, n, cols)
	s.setLabels(l, &w.tile, b.task.target[b.begin+i:][:n])
	var weight *[kernel.FewCols]float64
	if s.weight != nil {
		weight = &w.classWeights
	}
	combine := s.weigh(l, b.begin+i, n, weight, b.task.divisor.value)
	var terms *kernel.Tile
	if out.Data != nil {
		terms = &w.tile
		w.panel.SumTile(&w.tile, terms[:], cols, groups, b.rowAfter(i+n), b.result(i))
	} else {
		w.panel.SumTile(&w.tile, nil, cols, groups, b.rowAfter(i+n), nil)
	}
	w.panel.Conclude(groups, terms != nil)
	clear(l.Single[:])
	clear(l.Tied[:])
	w.panel.Label(l, terms, groups)

	b.takeLabels(i, n)
	if terms == nil {
		return
	}
	if !combine {
		w.panel.ScaleApart(l, terms, n, cols)
	}
	w.panel.UnpackGradient(l, terms, out.Data[(b.begin+i)*out.Stride:], out.Stride, n, cols)
}

// labelAtOnce does n rows from row i of the group, if they are so few of so few
// classes that one kernel for all of it takes less, and nothing about them is special;
// else it returns false.
func (b *batch) labelAtOnce(i, n int) bool {
	t, w, s, cols, row := b.task, b.work, &b.task.settings, b.task.logits.cols, b.begin+i
	if !atOnce(n, cols) || t.divisor.scaled != 0 {
		return false
	}
	sample, dst := s.sampleWeight, t.out.Data
	if sample != nil {
		sample = sample[row:]
	}
	if dst != nil {
		dst = dst[row*t.out.Stride:]
	}
	correct, ok := w.labels.LabelRows(&w.tile, b.x[i*b.stride:], b.stride, cols, t.target[row:][:n], ^s.ignored.first, s.weight, sample, t.divisor.value, dst, t.out.Stride)
	if ok {
		b.takeRows(i, n, correct)
	}
	return ok
}

// takeRows takes in the losses of n rows from row i of the group, of which so many
// are correct.
func (b *batch) takeRows(i, n, correct int) {
	b.correct += correct
	losses := b.work.labels.Loss[:n]
	b.work.sum.AddPanel(losses)
	if b.task.each != nil {
		copy(b.task.each[b.begin+i:], losses)
	}
}

// takeLabels takes in what the labels of n rows from row i of the group have made
// of them.
func (b *batch) takeLabels(i, n int) {
	w := b.work
	l := &w.labels
	tied := 0
	for k := range kernel.Lanes {
		b.correct += l.Single[k]
		tied += l.Tied[k]
	}
	for k := 0; tied > 0 && k < n; k++ {
		if y := int(l.Class[k]); y >= 0 && w.panel.Count[k] != 1 && isFirstMax(b.row(i+k), y, w.panel.Max[k]) {
			b.correct++
		}
	}
	w.sum.AddPanel(l.Loss[:n])
	if b.task.each != nil {
		copy(b.task.each[b.begin+i:], l.Loss[:n])
	}
}

// setClassWeights sets the weights of at most FewCols classes; nil stands for 1.
func (w *workspace) setClassWeights(weight []float64) {
	if weight == nil {
		kernel.Fill(w.classWeights[:], 1)
	} else {
		copy(w.classWeights[:], weight)
	}
}

// setLabels sets the classes of rows that are in the tile, and their logits. All
// labels are classes or ignored, but they are the caller's: a matrix's At or
// another goroutine may have changed them since that was checked. What has become
// no class is ignored.
func (s *settings) setLabels(l *kernel.Labels, t *kernel.Tile, target []int) {
	l.Take(t, target, ^s.ignored.first)
}

// weigh sets what the losses and gradients of n rows from row i on are multiplied
// by, and reports whether all of the latter combine.
func (s *settings) weigh(l *kernel.Labels, i, n int, weight *[kernel.FewCols]float64, divisor float64) (combine bool) {
	sample := s.sampleWeight
	if sample != nil {
		sample = sample[i:][:n]
	}
	return l.Weigh(weight, sample, n, divisor)
}

// labelled is labelledFew for few rows, or for one of more than a chunk.
func (b *batch) labelled(i, n int) {
	w, l := b.work, &b.work.labels
	for k, y := range b.task.target[b.begin+i:][:n] {
		if !b.task.settings.counts(b.begin+i+k, y) {
			l.Class[k] = -1
			continue
		}
		l.Class[k], l.Logit[k] = int64(y), b.row(i + k)[y]
	}
	b.sumLabelled(i, n)
	for k, class := range l.Class[:n] {
		if class < 0 {
			b.add(i+k, 0)
			continue
		}
		logp := w.panel.NegLogSum[k] + (l.Logit[k] - w.panel.Max[k])
		b.add(i+k, hardLoss(b.task.settings.coefficient(b.begin+i+k, int(class)), logp))
	}
	if b.task.out.Data != nil {
		b.labelledGradient(i, n)
	}
}

// sumLabelled concludes those of n rows of a panel, one after the other, that have
// a label, leaves their terms in the result if there is one, and counts
// the correct ones.
func (b *batch) sumLabelled(i, n int) {
	w, cols := b.work, b.task.logits.cols
	for k, class := range w.labels.Class[:n] {
		y, logit := int(class), w.labels.Logit[k]
		if y < 0 {
			w.panel.Max[k], w.panel.Count[k], w.panel.Hi[0][k], w.panel.Lo[0][k] = 0, 1, 0, 0
			continue
		}
		x, terms := b.row(i+k), b.result(i+k)
		// Terms that replace the row leave nothing to tell which of several
		// largest in a chunk is the first.
		replaced, firstInChunk := terms != nil && &terms[0] == &x[0], false
		if replaced {
			chunk := kernel.ChunkOf(x, y/kernel.ChunkLen)
			firstInChunk = isFirstMax(chunk, y%kernel.ChunkLen, logit)
		}
		if cols <= kernel.FewCols {
			w.panel.Max[k] = kernel.MaxOf(x)
			w.sumRow(k, terms, x)
		} else {
			w.sumLong(terms, x, nil, b.rowAfter(i+k+1))
		}
		first := logit == w.panel.Max[k]
		switch {
		case !first:
		case replaced:
			first = firstInChunk && w.isFirstChunk(k, y)
		default:
			first = w.isFirst(k, x, y)
		}
		if first {
			b.correct++
		}
	}
	if cols <= kernel.ChunkLen {
		w.panel.Conclude(kernel.GroupsFor(n), b.task.out.Data != nil)
	}
}

// labelledGradient sets the gradients of n rows, a panel, whose terms are in the
// result.
func (b *batch) labelledGradient(i, n int) {
	w, cols := b.work, b.task.logits.cols
	for k, class := range w.labels.Class[:n] {
		row, y := b.result(i+k), int(class)
		g := 0.0
		if y >= 0 {
			g = b.task.divisor.over(b.task.settings.coefficient(b.begin+i+k, y))
		}
		if g == 0 {
			clearRow(row)
			continue
		}
		rest := 1 - w.probability(k, cols, y, row[y])
		if w.labels.Logit[k] == w.panel.Max[k] && w.panel.Count[k] == 1 {
			rest = w.panel.Complement[k]
		}
		w.scaleTerms(k, row, g)
		row[y] = kernel.Canonical(-float64(rest * g))
	}
}

// labelledSeveral is labelledFew for rows of one chunk that are not of few
// classes: their terms, where a gradient is wanted, are kept in the result.
func (b *batch) labelledSeveral(i, n int) {
	w, cols, out := b.work, b.task.logits.cols, &b.task.out
	var label [2 * kernel.Group]int // -1 for a row that does not count
	var logit, coefficient [2 * kernel.Group]float64
	for k, y := range b.task.target[b.begin+i:][:n] {
		label[k] = -1
		if b.task.settings.counts(b.begin+i+k, y) {
			label[k], logit[k] = y, b.row(i + k)[y]
			coefficient[k] = b.task.settings.coefficient(b.begin+i+k, y)
		}
	}
	w.eachRun(n, func(k int) bool { return label[k] >= 0 }, func(first, rows int) {
		b.sumSeveral(i+first, first, label[first:][:rows], logit[first:][:rows])
	})
	w.panel.Conclude(kernel.GroupsFor(n), out.Data != nil)
	for k, y := range label[:n] {
		l := 0.0
		if y >= 0 {
			l = hardLoss(coefficient[k], w.panel.NegLogSum[k]+(logit[k]-w.panel.Max[k]))
		}
		b.add(i+k, l)
	}
	if out.Data == nil {
		return
	}
	var g, atLabel [2 * kernel.Group]float64
	for k, y := range label[:n] {
		w.panel.Factor[k] = 0
		if y < 0 {
			continue
		}
		g[k] = b.task.divisor.over(coefficient[k])
		rest := 1 - float64(b.result(i + k)[y]*w.panel.Inverse[k])
		if logit[k] == w.panel.Max[k] && w.panel.Count[k] == 1 {
			rest = w.panel.Complement[k]
		}
		atLabel[k] = kernel.Canonical(-float64(rest * g[k]))
		w.panel.Factor[k] = w.panel.Inverse[k]
		if kernel.Combines(g[k]) {
			w.panel.Factor[k] = float64(w.panel.Inverse[k] * g[k])
		}
	}
	w.panel.ScaleEachRow(0, out.Data[(b.begin+i)*out.Stride:], out.Stride, cols, n)
	for k, y := range label[:n] {
		row := b.result(i + k)
		switch {
		case g[k] == 0:
			clear(row)
			continue
		case !kernel.Combines(g[k]):
			kernel.ScaleTermsBy(row, g[k], 1, 1)
		}
		row[y] = atLabel[k]
	}
}

// sumSeveral sums up rows from row i of the group, slice first of the panel, that
// count, and counts those whose labels, with these logits, are correct.
func (b *batch) sumSeveral(i, first int, label []int, logit []float64) {
	w, rows, cols, out := b.work, len(label), b.task.logits.cols, &b.task.out
	x, row := b.x[i*b.stride:], b.result(i)
	w.panel.MaxOfRows(first, x, b.stride, cols, rows)
	// Terms that replace a row leave nothing to tell which of several largest is
	// the first.
	replaced := row != nil && &row[0] == &x[0]
	var correct [2 * kernel.Group]bool
	for k, y := range label {
		correct[k] = logit[k] == w.panel.Max[first+k]
		if correct[k] && replaced {
			correct[k] = isFirstMax(b.row(i+k), y, w.panel.Max[first+k])
		}
	}
	next := i + panelRows(cols)
	if row != nil {
		w.panel.ExpSumRows(first, out.Data[(b.begin+i)*out.Stride:], out.Stride, x, b.stride, cols, rows, b.rowAfter(next), b.resultAfter(next))
	} else {
		w.panel.ExpSumRows(first, nil, 0, x, b.stride, cols, rows, b.rowAfter(next), nil)
	}
	for k, y := range label {
		if correct[k] && (replaced || w.isFirst(first+k, b.row(i+k), y)) {
			b.correct++
		}
	}
}

// labelledColumns does the n rows of the group, which are columns of the storage of
// the logits, without a gradient.
func (b *batch) labelledColumns(n int) {
	t, w, l := b.task, b.work, &b.work.labels
	step := tileWidth(t.logits.cols)
	for i := 0; i < n; i += step {
		first, rows := b.begin+i, min(step, n-i)
		w.concludeColumns(t.logits.raw, first, rows)
		for k, y := range t.target[first:][:rows] {
			l.Loss[k] = 0
			if !t.settings.counts(first+k, y) {
				continue
			}
			logit := t.logits.at(first+k, y)
			l.Loss[k] = hardLoss(t.settings.coefficient(first+k, y), w.panel.NegLogSum[k]+(logit-w.panel.Max[k]))
			if logit == w.panel.Max[k] && (w.panel.Count[k] == 1 || t.logits.isFirst(first+k, y)) {
				b.correct++
			}
		}
		w.sum.AddPanel(l.Loss[:rows])
		if t.each != nil {
			copy(t.each[first:], l.Loss[:rows])
		}
	}
}

// isFirst reports whether no entry of row i before entry y, one of the largest, is
// as large.
func (s *source) isFirst(i, y int) bool {
	for j := range y {
		if s.at(i, j) == s.at(i, y) {
			return false
		}
	}
	return true
}
