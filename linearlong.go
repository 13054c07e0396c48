// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "example.org/logsoftmax/internal/kernel"

// This file is the cross-entropy of a linear layer of so many classes that the
// logits of a few rows fill the working memory. For few rows at a time all of w,
// and of its gradient, would go through memory too often. Here many rows are
// done for some classes after others, a chunk of their sums of exponentials at a
// time: once for the losses, and once more, the logits being computed again, for
// the gradients. The targets are labels without smoothing, of whose logits the
// loss needs only one.

// A longLogits is what is known of a row of logits that are not kept.
type longLogits struct {
	label int
	logit float64 // the label's
	first bool    // it is the first of the largest of its chunk
	// Of the whole row, when all of its chunks have been seen:
	whole      kernel.Partial
	complement float64 // 1-p of its only largest entry
	gradient   float64 // what its gradient is multiplied by
}

// isLong reports whether the chunk of a batch is worked on in this way, given
// how many rows it had otherwise.
func (t *linear) isLong(chunkRows int) bool {
	const enough = 24
	return t.w.rows > kernel.ChunkLen && t.settings.smoothing == 0 &&
		(!t.grad || chunkRows < enough*t.goroutines())
}

// longChunkRows returns how many rows a chunk has, each of so many logits at a time.
func (t *linear) longChunkRows(stride int) int {
	const rows = 2 * linearRows
	partial := 8 // not less than the elements that a partial takes
	row := stride + t.copiedFeatures() + partial*kernel.Chunks(t.w.rows)
	n := min(rows, max(0, linearMost-linearOther(t.x.cols))/row)
	return t.goroutines() * max(1, n/kernel.Lanes*kernel.Lanes)
}

// doLong does the steps for a chunk of n rows.
func (t *linear) doLong(n int) {
	chunks := kernel.Chunks(t.w.rows)
	t.rows, t.partials = grow(t.rows, t.counted), grow(t.partials, t.counted*chunks)
	clear(t.chunk.each)
	for k, y := range t.labels {
		t.rows[k] = longLogits{label: y}
	}
	for u := range chunks {
		t.setLongLogits(u)
		t.share(linearPartials, t.counted, 1, 1, t.held)
	}
	t.correct = t.correct[:0]
	for k, i := range t.counting {
		if t.concludeLong(k, i) {
			t.correct = append(t.correct, 1)
		}
	}
	if t.grad {
		for u := range chunks {
			t.setLongLogits(u)
			t.share(linearGradient, t.counted, 1, 1, t.held)
			t.addGradients()
		}
	}
	t.spreadX(n)
}

// setLongLogits sets the logits of a chunk of the classes.
func (t *linear) setLongLogits(chunk int) {
	t.first = chunk * kernel.ChunkLen
	t.held = min(kernel.ChunkLen, t.w.rows-t.first)
	t.shareLogits()
}

// logitsOf returns the logits in hand of row k of those that count.
func (t *linear) logitsOf(k int) []float64 {
	return t.logits[k*t.chunk.logits.raw.Stride:][:t.held]
}

// chunkOfLogits returns which chunk of the classes is in hand.
func (t *linear) chunkOfLogits() int { return t.first / kernel.ChunkLen }

// doPartial takes in the logits in hand of row k.
func (t *linear) doPartial(k int) {
	x, row := t.logitsOf(k), &t.rows[k]
	p := kernel.ChunkPartial(nil, x, nil, nil, 0)
	t.partials[k*kernel.Chunks(t.w.rows)+t.chunkOfLogits()] = p
	if y := row.label - t.first; y >= 0 && y < len(x) {
		row.logit = x[y]
		row.first = isFirstMax(x, y, p.Max)
	}
}

// concludeLong sets the loss of row k of those that count, row i of the chunk,
// and reports whether it is correct.
func (t *linear) concludeLong(k, i int) bool {
	row, chunks := &t.rows[k], kernel.Chunks(t.w.rows)
	partials := t.partials[k*chunks:][:chunks]
	row.whole = partials[0]
	for _, p := range partials[1:] {
		row.whole.Merge(p)
	}
	sums := row.whole.Conclude()
	row.complement = sums.Complement
	coefficient := t.chunk.settings.coefficient(i, row.label)
	t.chunk.each[i] = hardLoss(coefficient, sums.NegLogSum+(row.logit-row.whole.Max))
	if t.grad {
		row.gradient = t.chunk.divisor.over(coefficient)
	}
	correct := row.first && row.logit == row.whole.Max
	for _, p := range partials[:row.label/kernel.ChunkLen] {
		correct = correct && p.Max < row.whole.Max
	}
	return correct
}

// doGradient turns the logits in hand of row k into their gradient.
func (t *linear) doGradient(k int) {
	x, row := t.logitsOf(k), &t.rows[k]
	if row.gradient == 0 {
		clear(x)
		return
	}
	p := kernel.ChunkPartial(x, x, nil, nil, 0)
	f := p.Factors(&row.whole)
	y := row.label - t.first
	atLabel := 0.0
	if y >= 0 && y < len(x) {
		complement := 1 - f.Probability(x[y])
		if row.logit == row.whole.Max && row.whole.Count == 1 {
			complement = row.complement
		}
		atLabel = kernel.Canonical(-float64(complement * row.gradient))
	}
	kernel.ScaleTermsBy(x, f.First, f.Second, row.gradient)
	if y >= 0 && y < len(x) {
		x[y] = atLabel
	}
}
