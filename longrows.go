// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "example.org/logsoftmax/internal/kernel"

// This file is what is different about rows so long that nothing of their length
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
		q = b.task.settings.newSmoothing(b.task.logits.cols)
		defer q.release()
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
	maximum, negLogSum := w.panel.Max[0], w.panel.NegLogSum[0]
	// As in weightedRow.
	distribution := t.isDistribution()
	withSum := distribution || result != nil && !t.hasUniformSmoothing()
	minusLog := negLogSum
	if distribution {
		minusLog = 0
	}
	var sums kernel.LossAndSum
	var lossAlone kernel.LaneSum
	for u := range w.partials {
		c, x := b.coefficientsOf(i, u, y, q), t.logits.chunk(&w.rowsIn, row, u)
		if withSum {
			sums.Add(c, x, maximum, minusLog)
		} else {
			lossAlone.AddLoss(c, x, maximum, minusLog)
		}
	}
	loss, sum := lossAlone.Sum(), kernel.Accumulator{}
	if withSum {
		loss, sum = sums.Sums()
	}
	if distribution {
		loss = kernel.DistributionLoss(loss, sum, negLogSum)
	}
	if t.hasUniformSmoothing() {
		sum = q.sum()
	}
	sampleWeight, shift := t.settings.sampleWeightAt(row), t.settings.shift
	if y < 0 && t.overflows(loss, sum, sampleWeight) {
		b.scaledDown = true
		defer func() { b.scaledDown = false }()
		sums = kernel.LossAndSum{}
		for u := range w.partials {
			sums.Add(b.coefficientsOf(i, u, y, q), t.logits.chunk(&w.rowsIn, row, u), maximum, negLogSum)
		}
		scaledLoss, scaledSum := sums.Sums()
		if kernel.IsFinite(sum.Hi) && !kernel.IsFinite(scaledLoss.Hi) {
			// The loss is infinite.
			b.scaledDown = false
		} else {
			shift += distributionShift
			loss, sum = scaledLoss, scaledSum
		}
	}
	b.add(i, scaledProduct(sampleWeight, loss.Value(), -shift))
	if y >= 0 && w.isFirstLargest(&t.logits, row, y) {
		b.correct++
	}
	if result == nil {
		return
	}
	switch g := b.task.divisor.over(sampleWeight); {
	case g == 0 || sum.Hi == 0:
		clearRow(result)
	case negLogSum != negLogSum:
		kernel.Fill(result, kernel.NaN)
	case shift != 0:
		b.weightedLongGradient(i, y, q, sum, 1)
		scaleRow(result, g, -shift)
	default:
		b.weightedLongGradient(i, y, q, sum, g)
	}
}

// weightedLongGradient is weightedGradient of row i of the group.
func (b *batch) weightedLongGradient(i, y int, q *smoothing, sum kernel.Accumulator, g float64) {
	t, w, row, result := b.task, b.work, b.begin+i, b.result(i)
	whole := w.wholePartial()
	// The chunk of the only largest entry, whose 1-p is known.
	special := -1
	if w.panel.Count[0] == 1 {
		special = 0
		for w.partials[special].Max != w.panel.Max[0] {
			special++
		}
	}
	for u := range w.partials {
		to, terms := kernel.ChunkOf(result, u), kernel.ChunkOf(result, u)
		var x []float64
		if t.inPlace || u == special {
			x = t.logits.chunk(&w.rowsIn, row, u)
		}
		if t.inPlace {
			w.terms = grow(w.terms, kernel.ChunkLen)
			terms = w.terms[:len(to)]
			kernel.ChunkPartial(terms, x, nil, nil, 0)
		}
		c, f := b.coefficientsOf(i, u, y, q), w.partials[u].Factors(&whole)
		if u != special {
			kernel.WeightedGradient(to, terms, c, f, sum, g)
			continue
		}
		largest := kernel.IndexOf(x, w.panel.Max[0])
		atLargest := kernel.WeightedLargest(terms[largest], c[largest], f, sum, w.panel.Complement[0], w.panel.ComplementLow[0], g)
		kernel.WeightedGradient(to, terms, c, f, sum, g)
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
