// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

// This file is the cross-entropy of labels without smoothing, whose coefficient
// in the loss is 0 but for one class.

// isFirstMax reports whether entry y of x is the lowest-indexed largest, for
// x with maximum max.
func isFirstMax(x []float64, y int, max float64) bool {
	return x[y] == max && (y == 0 || maxOf(x[:y]) < max)
}

// labelled does n rows from row i of the group, a panel, whose targets are
// labels without smoothing: of the log-probabilities only the label's is in
// the loss.
func (b *batch) labelled(i, n int) {
	w := b.workspace
	var label [columnsWidth]int // -1 for a row that does not count
	var logit [columnsWidth]float64
	for k := range n {
		y := b.target[b.begin+i+k]
		if !b.counts(b.begin+i+k, y) {
			label[k] = -1
			continue
		}
		label[k], logit[k] = y, b.row(i + k)[y]
	}
	if b.logits.cols <= fewCols {
		w.sumFew(b.x[i*b.stride:], b.stride, n, b.logits.cols, b.out.Data != nil)
		for k, y := range label[:n] {
			if y >= 0 && isFirstMax(b.row(i+k), y, w.max[k]) {
				b.correct++
			}
		}
	} else {
		b.sumLabelled(i, label[:n], logit[:n])
	}
	for k, y := range label[:n] {
		if y < 0 {
			b.add(i+k, 0)
			continue
		}
		b.add(i+k, hardLoss(b.coefficient(b.begin+i+k, y), w.negLogSum[k]+(logit[k]-w.max[k])))
	}
	if b.out.Data != nil {
		b.labelledGradient(i, label[:n], logit[:n])
	}
}

// labelledPlain is labelled for at most fewCols classes where every row
// counts with weight 1. A row is then so little work that a branch on its
// label that goes either way would take as long: there is none.
func (b *batch) labelledPlain(i, n int) {
	w, x, cols := b.workspace, b.x[i*b.stride:], b.logits.cols
	target := b.target[b.begin+i:][:n]
	var terms []float64
	g := 0.0
	if b.out.Data != nil {
		terms, g = w.tile[:], b.gradientFactor(1)
	}
	w.sumFew(x, b.stride, n, cols, terms != nil)
	l := &w.labels
	clear(l.single[:])
	clear(l.tied[:])
	l.sum = b.sum
	columnsLabel(&w.columns, x, b.stride, target, l, n, terms, g)

	tied := 0
	for k := range lanes {
		b.correct += l.single[k]
		tied += l.tied[k]
	}
	for k := 0; tied > 0 && k < n; k++ {
		if w.count[k] != 1 && isFirstMax(b.row(i+k), target[k], w.max[k]) {
			b.correct++
		}
	}
	b.sum = l.sum
	if b.each != nil {
		copy(b.each[b.begin+i:], l.loss[:n])
	}
	if terms == nil {
		return
	}
	dst := b.out.Data[(b.begin+i)*b.out.Stride:]
	w.unpackScaled(dst, b.out.Stride, n, cols)
	for k, y := range target {
		dst[k*b.out.Stride+y] = l.atLabel[k]
	}
}

// sumLabelled concludes the rows of a panel of more than fewCols classes that
// have a label, leaves their terms in the result if there is one, and counts
// the correct ones.
func (b *batch) sumLabelled(i int, label []int, logit []float64) {
	w, cols := b.workspace, b.logits.cols
	for k, y := range label {
		if y < 0 {
			w.max[k], w.count[k], w.hi[0][k], w.lo[0][k] = 0, 1, 0, 0
			continue
		}
		x, terms := b.row(i+k), b.result(i+k)
		// Terms that replace the row leave nothing to tell which of several
		// largest in a chunk is the first.
		replaced, firstInChunk := terms != nil && &terms[0] == &x[0], false
		if replaced {
			chunk := chunkOf(x, y/chunkLen)
			firstInChunk = isFirstMax(chunk, y%chunkLen, logit[k])
		}
		if cols <= chunkLen {
			w.max[k] = maxOf(x)
			w.sumRow(k, terms, x, b.rowAfter(i+k+1), b.resultAfter(i+k+1))
		} else {
			w.sumLong(terms, x, nil, b.rowAfter(i+k+1))
		}
		first := logit[k] == w.max[k]
		switch {
		case !first || w.count[k] == 1:
		case replaced:
			first = firstInChunk
			for u := range y / chunkLen {
				first = first && w.partials[u].max < w.max[k]
			}
		default:
			first = isFirstMax(x, y, w.max[k])
		}
		if first {
			b.correct++
		}
	}
	if cols <= chunkLen {
		w.conclude(groupsFor(len(label)), b.out.Data != nil)
	}
}

// labelledGradient sets the gradients of a panel, whose terms are in the
// result, or in the tile where there are at most fewCols classes.
func (b *batch) labelledGradient(i int, label []int, logit []float64) {
	w, cols := b.workspace, b.logits.cols
	few := cols <= fewCols
	var g, atLabel [columnsWidth]float64
	for k, y := range label {
		if y < 0 {
			continue
		}
		g[k] = b.gradientFactor(b.coefficient(b.begin+i+k, y))
		var p float64
		if few {
			p = w.probability(k, cols, y, w.tile[y*columnsWidth+k])
		} else {
			p = w.probability(k, cols, y, b.result(i + k)[y])
		}
		rest := 1 - p
		if logit[k] == w.max[k] && w.count[k] == 1 {
			rest = w.rest[k]
		}
		atLabel[k] = canonical(-float64(rest * g[k]))
	}
	if few {
		factors := g
		b.scaleTile(factors[:len(label)])
		w.tile.unpackRows(b.out.Data[(b.begin+i)*b.out.Stride:], b.out.Stride, len(label), cols)
	}
	for k, y := range label {
		row := b.result(i + k)
		if y < 0 || g[k] == 0 {
			clear(row)
			continue
		}
		if !few {
			w.scaleTerms(k, row, g[k])
		}
		row[y] = atLabel[k]
	}
}

// scaleTile turns the terms in the tile into probabilities times g, which it
// uses up.
func (b *batch) scaleTile(g []float64) {
	w, again := b.workspace, false
	for k := range g {
		w.factor[k] = w.inverse[k]
		if combines(g[k]) {
			w.factor[k], g[k] = float64(w.inverse[k]*g[k]), 1
		} else {
			again = true
		}
	}
	columnsScale(&w.columns, w.tile[:], columnsWidth, b.logits.cols, groupsFor(len(g)))
	if again {
		copy(w.factor[:], g)
		columnsScale(&w.columns, w.tile[:], columnsWidth, b.logits.cols, groupsFor(len(g)))
	}
}
