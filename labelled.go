// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "example.org/logsoftmax/internal/kernel"

// This file is the cross-entropy of labels without smoothing, whose coefficient
// in the loss is 0 but for one class.

// isFirstMax reports whether entry y of x is the lowest-indexed largest, for
// x with maximum max.
func isFirstMax(x []float64, y int, max float64) bool {
	return x[y] == max && (y == 0 || kernel.MaxOf(x[:y]) < max)
}

// labelled does n rows from row i of the group, a panel, whose targets are
// labels without smoothing: of the log-probabilities only the label's is in
// the loss.
func (b *batch) labelled(i, n int) {
	w := b.work
	var label [kernel.Width]int // -1 for a row that does not count
	var logit [kernel.Width]float64
	for k := range n {
		y := b.task.target[b.begin+i+k]
		if !b.task.settings.counts(b.begin+i+k, y) {
			label[k] = -1
			continue
		}
		label[k], logit[k] = y, b.row(i + k)[y]
	}
	if b.task.logits.cols <= kernel.FewCols {
		w.panel.SumRows(&w.tile, b.x[i*b.stride:], b.stride, n, b.task.logits.cols, b.task.out.Data != nil)
		for k, y := range label[:n] {
			if y >= 0 && isFirstMax(b.row(i+k), y, w.panel.Max[k]) {
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
		b.add(i+k, hardLoss(b.task.settings.coefficient(b.begin+i+k, y), w.panel.NegLogSum[k]+(logit[k]-w.panel.Max[k])))
	}
	if b.task.out.Data != nil {
		b.labelledGradient(i, label[:n], logit[:n])
	}
}

// labelledPlain is labelled for at most FewCols classes where every row
// counts with weight 1. A row is then so little work that a branch on its
// label that goes either way would take as long: there is none.
func (b *batch) labelledPlain(i, n int) {
	w, x, cols := b.work, b.x[i*b.stride:], b.task.logits.cols
	// The kernel reads where a label says. All are classes, but they are the
	// caller's: a matrix's At or another goroutine may have changed them since
	// that was checked. What it reads is a copy, and in the row.
	target := w.classes[:n]
	for k, y := range b.task.target[b.begin+i:][:n] {
		target[k] = int(min(uint(y), uint(cols-1)))
	}
	var terms []float64
	g := 0.0
	if b.task.out.Data != nil {
		terms, g = w.tile[:], b.gradientFactor(1)
	}
	w.panel.SumRows(&w.tile, x, b.stride, n, cols, terms != nil)
	l := &w.labels
	clear(l.Single[:])
	clear(l.Tied[:])
	w.panel.Label(x, b.stride, target, l, n, terms, g)

	tied := 0
	for k := range kernel.Lanes {
		b.correct += l.Single[k]
		tied += l.Tied[k]
	}
	for k := 0; tied > 0 && k < n; k++ {
		if w.panel.Count[k] != 1 && isFirstMax(b.row(i+k), target[k], w.panel.Max[k]) {
			b.correct++
		}
	}
	w.sum.AddPanel(l.Loss[:n])
	if b.task.each != nil {
		copy(b.task.each[b.begin+i:], l.Loss[:n])
	}
	if terms == nil {
		return
	}
	dst := b.task.out.Data[(b.begin+i)*b.task.out.Stride:]
	w.panel.UnpackRowsScaled(&w.tile, dst, b.task.out.Stride, n, cols)
	for k, y := range target {
		dst[k*b.task.out.Stride+y] = l.AtLabel[k]
	}
}

// sumLabelled concludes the rows of a panel of more than FewCols classes that
// have a label, leaves their terms in the result if there is one, and counts
// the correct ones.
func (b *batch) sumLabelled(i int, label []int, logit []float64) {
	w, cols := b.work, b.task.logits.cols
	for k, y := range label {
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
			firstInChunk = isFirstMax(chunk, y%kernel.ChunkLen, logit[k])
		}
		if cols <= kernel.ChunkLen {
			w.panel.Max[k] = kernel.MaxOf(x)
			w.sumRow(k, terms, x, b.rowAfter(i+k+1), b.resultAfter(i+k+1))
		} else {
			w.sumLong(terms, x, nil, b.rowAfter(i+k+1))
		}
		first := logit[k] == w.panel.Max[k]
		switch {
		case !first || w.panel.Count[k] == 1:
		case replaced:
			first = firstInChunk
			for u := range y / kernel.ChunkLen {
				first = first && w.partials[u].Max < w.panel.Max[k]
			}
		default:
			first = isFirstMax(x, y, w.panel.Max[k])
		}
		if first {
			b.correct++
		}
	}
	if cols <= kernel.ChunkLen {
		w.panel.Conclude(kernel.GroupsFor(len(label)), b.task.out.Data != nil)
	}
}

// labelledGradient sets the gradients of a panel, whose terms are in the
// result, or in the tile where there are at most FewCols classes.
func (b *batch) labelledGradient(i int, label []int, logit []float64) {
	w, cols := b.work, b.task.logits.cols
	few := cols <= kernel.FewCols
	var g, atLabel [kernel.Width]float64
	for k, y := range label {
		if y < 0 {
			continue
		}
		g[k] = b.gradientFactor(b.task.settings.coefficient(b.begin+i+k, y))
		var p float64
		if few {
			p = w.probability(k, cols, y, w.tile[y*kernel.Width+k])
		} else {
			p = w.probability(k, cols, y, b.result(i + k)[y])
		}
		rest := 1 - p
		if logit[k] == w.panel.Max[k] && w.panel.Count[k] == 1 {
			rest = w.panel.Complement[k]
		}
		atLabel[k] = kernel.Canonical(-float64(rest * g[k]))
	}
	if few {
		factors := g
		b.scaleTile(factors[:len(label)])
		w.tile.UnpackRows(b.task.out.Data[(b.begin+i)*b.task.out.Stride:], b.task.out.Stride, len(label), cols)
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
	w, again := b.work, false
	for k := range g {
		w.panel.Factor[k] = w.panel.Inverse[k]
		if kernel.Combines(g[k]) {
			w.panel.Factor[k], g[k] = float64(w.panel.Inverse[k]*g[k]), 1
		} else {
			again = true
		}
	}
	w.panel.Scale(w.tile[:], kernel.Width, b.task.logits.cols, kernel.GroupsFor(len(g)))
	if again {
		copy(w.panel.Factor[:], g)
		w.panel.Scale(w.tile[:], kernel.Width, b.task.logits.cols, kernel.GroupsFor(len(g)))
	}
}
