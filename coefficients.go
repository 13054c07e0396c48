// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"

	"example.org/logsoftmax/internal/kernel"
)

// This file is the cross-entropy of rows in which every class has a coefficient
// in the loss: of distributions, and of labels with smoothing.

// coefficients are those of the losses of a group of rows: either the rows of
// soft, or those of smoothed labels.
type coefficients struct {
	soft     []float64
	stride   int
	smoothed smoothing
	// together is how many rows the buffer of smoothed has coefficients for, where
	// rows are done several to a call: they stay in the first cache.
	together int
	// once is that there are rows of few classes for one panel only, in which sums
	// of coefficients that are known are of no use later.
	once bool
}

// of returns the coefficients of row i of the group, whose label is y, if it
// has one. They hold until the next call of done or of.
func (q *coefficients) of(b *batch, i, y int) []float64 {
	if b.task.target != nil {
		return q.smoothed.target(y)
	}
	b.work.coefficients = grow(b.work.coefficients, b.task.logits.cols)
	return b.softCoefficients(b.work.coefficients, q.soft[i*q.stride:][:b.task.logits.cols], 0)
}

// done takes back what of returned for label y.
func (q *coefficients) done(b *batch, y int) {
	if b.task.target != nil {
		q.smoothed.restore(y)
	}
}

// weighted does the n rows of the group, with a coefficient for every
// log-probability.
func (b *batch) weighted(n int) {
	cols := b.task.logits.cols
	var q coefficients
	if b.task.target != nil {
		q.smoothed.set(&b.task.settings, &b.work.coefficients, cols, false)
	} else {
		q.soft, q.stride = b.task.panelOf(&b.task.soft, &b.work.softIn, b.begin, n)
	}
	if b.weightedAtOnce(0, n, &q) {
		return
	}
	if b.task.target != nil {
		if several(cols) {
			q.together = min(n, max(1, kernel.ChunkLen/cols))
			q.smoothed.repeat(q.together)
		}
		if b.task.sideBySide(n) {
			b.work.setClassWeights(b.task.settings.weight)
			b.work.labelSums.known = math.MaxUint64 << cols
			q.once = n <= kernel.Width
			q.smoothed.fill(&b.work.coefficientTile, min(n, kernel.Width))
		}
	}
	filled := true
	for i, rows := 0, 0; i < n; i += rows {
		rows = nextRows(n-i, cols)
		switch {
		case i > 0 && b.weightedAtOnce(i, rows, &q):
			filled = false
		case b.task.sideBySide(rows):
			if b.task.target != nil && !filled {
				q.smoothed.fill(&b.work.coefficientTile, rows)
			}
			b.weightedFew(i, rows, &q)
		case several(cols):
			b.weightedSeveral(i, rows, &q)
		default:
			b.weightedPanel(i, rows, &q)
		}
	}
}

// label returns the target of row i of the group, -1 if it has a distribution,
// and whether the row counts.
func (b *batch) label(i int) (y int, counts bool) {
	if b.task.target == nil {
		return -1, b.task.settings.countsSoft(b.begin + i)
	}
	y = b.task.target[b.begin+i]
	return y, b.task.settings.counts(b.begin+i, y)
}

// softCoefficients returns w[c]·((1-e)·t[c] + e/C), times 2^shift, in dst where it
// is not t, for targets t from class first on.
func (b *batch) softCoefficients(dst, t []float64, first int) []float64 {
	if b.task.settings.weight == nil && b.task.settings.smoothing == 0 {
		return t
	}
	keep, off := b.task.settings.spread(b.task.logits.cols)
	for c, v := range t {
		dst[c] = float64(b.task.settings.classWeightAt(first+c) * (float64(keep*v) + off))
	}
	return dst
}

// isDistribution reports whether the targets are distributions without
// smoothing. Smoothed ones are treated as smoothed labels are, whose losses are
// sums of log-probabilities as NLL gets them.
func (t *entropy) isDistribution() bool { return t.target == nil && t.settings.smoothing == 0 }

// hasSmoothedLabels reports whether the targets are labels with smoothing.
func (t *entropy) hasSmoothedLabels() bool { return t.target != nil && t.settings.smoothing != 0 }

// hasUniformSmoothing reports whether the targets are labels with smoothing and
// without class weights.
func (t *entropy) hasUniformSmoothing() bool { return t.target != nil && t.settings.weight == nil }

// weightedFew does n rows from row i of the group, a panel, of at most FewCols
// classes, as labelledFew does: without a branch on what a row is.
func (b *batch) weightedFew(i, n int, q *coefficients) {
	w, cols, groups := b.work, b.task.logits.cols, kernel.GroupsFor(n)
	l, out := &w.labels, &b.task.out
	w.panel.PackLogits(&w.tile, b.x[i*b.stride:], b.stride, n, cols)
	b.setWeightedLabels(i, n)
	if out.Data != nil {
		w.panel.SumTile(&w.tile, w.termTile[:], cols, groups, b.rowAfter(i+n), b.result(i))
	} else {
		w.panel.SumTile(&w.tile, nil, cols, groups, b.rowAfter(i+n), nil)
	}
	w.panel.Conclude(groups, out.Data != nil)
	b.packCoefficients(i, n, q)
	// The loss of a distribution is made of distances and of the sum of its
	// coefficients.
	distribution := b.task.isDistribution()
	width := groups * kernel.Group
	if distribution {
		copy(w.panel.Factor[:width], w.panel.NegLogSum[:])
		clear(w.panel.NegLogSum[:width])
	}
	w.panel.WeightedLoss(w.coefficientTile[:], w.tile[:], cols, groups)
	w.takeWeightedLoss(groups)
	if distribution {
		copy(w.panel.NegLogSum[:width], w.panel.Factor[:])
	}
	switch {
	case distribution || out.Data != nil && (b.task.target == nil || q.once && !b.task.hasUniformSmoothing()):
		w.panel.SumSlices(w.coefficientTile[:], cols, groups)
	case out.Data != nil && b.task.hasUniformSmoothing():
		w.panel.SetSums(q.smoothed.sum(), max(q.smoothed.on, q.smoothed.off), width)
	case out.Data != nil:
		w.labelSums.set(&w.panel, l.Class[:n], &q.smoothed)
	case b.task.target == nil && !(kernel.MaxOf(l.High[:n]) <= math.MaxFloat64):
		// A coefficient that overflowed may have made it so.
		w.panel.SumSlices(w.coefficientTile[:], cols, groups)
	}
	if b.task.target == nil && b.anyOverflows(i, n) {
		b.weightedPanel(i, n, q)
		return
	}
	clear(l.Single[:])
	clear(l.Tied[:])
	w.panel.WeightedLabel(l, distribution, groups)
	b.takeLabels(i, n)
	if out.Data != nil {
		copy(w.panel.Factor[:width], l.Gradient[:])
		w.panel.WeightedGradient(w.termTile[:], w.coefficientTile[:], w.tile[:], cols, groups)
		w.termTile.UnpackRows(out.Data[(b.begin+i)*out.Stride:], out.Stride, n, cols)
	}
	if b.task.target != nil {
		q.smoothed.unpack(&w.coefficientTile, l.Class[:n], &w.classWeights)
	}
}

// weightedAtOnce is labelAtOnce for rows with a coefficient for every class. The tile
// of the coefficients, which was filled with those of no label, has those of the rows'
// labels afterwards; where it returns false, these are what packOnto is going to set.
func (b *batch) weightedAtOnce(i, n int, q *coefficients) bool {
	t, w, s, cols, row := b.task, b.work, &b.task.settings, b.task.logits.cols, b.begin+i
	if !atOnce(n, cols) || s.shift != 0 || t.divisor.scaled != 0 || t.target == nil && (s.weight != nil || s.smoothing != 0) {
		return false
	}
	r := kernel.WeightedRows{N: n, Cols: cols, X: kernel.Rows{Data: b.x[i*b.stride:], Stride: b.stride}, Divisor: t.divisor.value}
	if t.target == nil {
		r.Soft = kernel.Rows{Data: q.soft[i*q.stride:], Stride: q.stride}
	} else {
		r.Target, r.Classes = t.target[row:][:n], ^s.ignored.first
		r.Base, r.On, r.Weight = w.coefficients, q.smoothed.on, s.weight
		if t.out.Data == nil {
			r.SumKnown = true
		} else if t.hasUniformSmoothing() {
			r.Sum, r.SumKnown = q.smoothed.sum(), true
		}
	}
	if s.sampleWeight != nil {
		r.Sample = s.sampleWeight[row:][:n]
	}
	if t.out.Data != nil {
		r.Dst = kernel.Rows{Data: t.out.Data[row*t.out.Stride:], Stride: t.out.Stride}
	}
	correct, ok := w.panel.WeightedRows(&w.labels, &w.tile, &w.coefficientTile, &w.termTile, &r)
	if ok {
		b.takeRows(i, n, correct)
	}
	return ok
}

// labelSums are the sums of the coefficients of labels of few classes, as far as
// they are known: rows of the same label have the same.
type labelSums struct {
	known uint64 // a bit for each class, and set for what is none
	of    [kernel.FewCols]kernel.Accumulator
	top   [kernel.FewCols]float64 // of Panel.Top
}

// set sets the sums of slices of the panel whose labels are classes, of which -1
// is none and gets any.
func (s *labelSums) set(p *kernel.Panel, classes []int64, q *smoothing) {
	for k, class := range classes {
		y := int(class & (kernel.FewCols - 1))
		if s.known>>y&1 == 0 {
			target := q.target(y)
			s.of[y], s.top[y] = kernel.SumOf(target), kernel.MaxOf(target)
			q.restore(y)
			s.known |= 1 << y
		}
		p.Hi[0][k], p.Lo[0][k], p.Top[k] = s.of[y].Hi, s.of[y].Lo, s.top[y]
	}
}

// anyOverflows is overflows for any of n rows from row i of the group, of at most a
// chunk, whose sums are in the panel.
func (b *batch) anyOverflows(i, n int) bool {
	// Of what is at most that large, the logarithm of the sum of a chunk's exponentials
	// being below 8, no loss is made that is not finite.
	const most = 0x1p1018
	l := &b.work.labels
	if kernel.MaxOf(b.work.panel.Hi[0][:n]) <= most && kernel.MaxOf(l.High[:n]) <= most {
		return false
	}
	for k, class := range l.Class[:n] {
		if class >= 0 && b.rowOverflows(i, k) {
			return true
		}
	}
	return false
}

// rowOverflows is overflows for row k of the panel from row i of the group on.
func (b *batch) rowOverflows(i, k int) bool {
	p, l := &b.work.panel, &b.work.labels
	loss := kernel.Accumulator{Hi: l.High[k], Lo: l.Low[k]}
	if b.task.isDistribution() {
		loss = kernel.DistributionLoss(loss, p.Sum(k), p.NegLogSum[k])
	}
	return b.task.overflows(loss, p.Sum(k), b.task.settings.sampleWeightAt(b.begin+i+k))
}

// takeWeightedLoss takes from the panel what WeightedLoss made.
func (w *workspace) takeWeightedLoss(groups int) {
	copy(w.labels.High[:], w.panel.Hi[0][:groups*kernel.Group])
	copy(w.labels.Low[:], w.panel.Lo[0][:groups*kernel.Group])
}

// setWeightedLabels sets the labels of n rows from row i of the group, if they
// have any, and what their losses and gradients are multiplied by.
func (b *batch) setWeightedLabels(i, n int) {
	l := &b.work.labels
	switch {
	case b.task.target != nil && several(b.task.logits.cols):
		for k, y := range b.task.target[b.begin+i:][:n] {
			l.Class[k] = -1
			if !b.task.settings.ignored.has(y) {
				l.Class[k], l.Logit[k] = int64(y), b.row(i + k)[y]
			}
		}
	case b.task.target != nil:
		b.task.settings.setLabels(l, &b.work.tile, b.task.target[b.begin+i:][:n])
	case b.task.settings.sampleWeight == nil && i > 0 && n == panelRows(b.task.logits.cols):
		// They are those of the panel before.
		return
	default:
		for k := range n {
			// All count, and none is equal to a logit.
			l.Class[k], l.Logit[k] = 0, kernel.NaN
		}
	}
	b.task.settings.weigh(l, b.begin+i, n, nil, b.task.divisor.value)
}

// packCoefficients sets the tile of the coefficients of n rows from row i.
func (b *batch) packCoefficients(i, n int, q *coefficients) {
	t, cols, width := &b.work.coefficientTile, b.task.logits.cols, kernel.GroupsFor(n)*kernel.Group
	if b.task.target == nil {
		t.PackRows(q.soft[i*q.stride:], q.stride, n, cols)
		if b.task.settings.weight == nil && b.task.settings.smoothing == 0 {
			return
		}
		keep, off := b.task.settings.spread(cols)
		for c := range cols {
			weight, row := b.task.settings.classWeightAt(c), t[c*kernel.Width:][:width]
			for k, v := range row {
				row[k] = float64(weight * (float64(keep*v) + off))
			}
		}
		return
	}
	q.smoothed.packOnto(t, b.work.labels.Class[:n], &b.work.classWeights)
}

// weightedPanel does n rows from row i of the group, a panel, one after the other:
// of more than a chunk, or so few of FewCols classes that they are not done side
// by side.
func (b *batch) weightedPanel(i, n int, q *coefficients) {
	w, cols := b.work, b.task.logits.cols
	counts := func(k int) bool {
		_, counts := b.label(i + k)
		return counts
	}
	w.eachRun(n, counts, func(first, rows int) {
		for k := first; k < first+rows; k++ {
			x, terms := b.row(i+k), b.weightedTerms(k, i+k)
			if cols > kernel.ChunkLen {
				w.sumLong(terms, x, nil, b.rowAfter(i+k+1))
				continue
			}
			w.panel.Max[k] = kernel.MaxOf(x)
			w.sumRow(k, terms, x)
		}
	})
	if cols <= kernel.ChunkLen {
		w.panel.Conclude(kernel.GroupsFor(n), b.task.out.Data != nil)
	}
	b.weightedRows(i, n, q)
}

// weightedRows does n rows from row i of the group, a panel that is concluded.
func (b *batch) weightedRows(i, n int, q *coefficients) {
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

// eachPart calls f for parts of rows from slice first of the panel, which is row i
// of the group, with their coefficients and the stride of these.
func (q *coefficients) eachPart(b *batch, i, first, rows int, f func(k, rows int, q []float64, stride int)) {
	cols, s := b.task.logits.cols, &b.task.settings
	switch {
	case b.task.target == nil && s.weight == nil && s.smoothing == 0:
		f(first, rows, q.soft[(i+first)*q.stride:], q.stride)
		return
	case b.task.target == nil:
		f(first, rows, b.work.coefficients[first*cols:], cols)
		return
	}
	buffer := *q.smoothed.buffer
	for k := first; k < first+rows; k += q.together {
		part := b.work.labels.Class[k:min(k+q.together, first+rows)]
		for r, y := range part {
			buffer[r*cols+int(y)] = q.smoothed.weightAt(int(y), q.smoothed.on)
		}
		f(k, len(part), buffer, cols)
		for r, y := range part {
			buffer[r*cols+int(y)] = q.smoothed.weightAt(int(y), q.smoothed.off)
		}
	}
}

// weightedSeveral does n rows from row i of the group, a panel, of one chunk that
// are not of few classes.
func (b *batch) weightedSeveral(i, n int, q *coefficients) {
	w, t, cols, groups := b.work, b.task, b.task.logits.cols, kernel.GroupsFor(n)
	l, width := &w.labels, groups*kernel.Group
	b.setWeightedLabels(i, n)
	counts := func(k int) bool { return l.Class[k] >= 0 }
	w.eachRun(n, counts, func(first, rows int) { b.sumSeveralWeighted(i+first, first, rows) })
	w.panel.Conclude(groups, t.out.Data != nil)
	if t.settings.shift != 0 || t.divisor.scaled != 0 {
		b.weightedRows(i, n, q)
		return
	}
	if t.target == nil && (t.settings.weight != nil || t.settings.smoothing != 0) {
		w.coefficients = grow(w.coefficients, panelEntries)
		for k := range n {
			if counts(k) {
				b.softCoefficients(w.coefficients[k*cols:][:cols], q.soft[(i+k)*q.stride:][:cols], 0)
			}
		}
	}

	distribution := t.isDistribution()
	sums := distribution || t.out.Data != nil && !t.hasUniformSmoothing()
	negLogSum := w.panel.NegLogSum[:]
	if distribution {
		var none [2 * kernel.Group]float64
		negLogSum = none[:]
	}
	eachRun(n, counts, func(first, rows int) {
		q.eachPart(b, i, first, rows, func(k, rows int, q []float64, stride int) {
			w.panel.WeightedLossRows(k, l, &w.rowLanes, q, stride, b.x[(i+k)*b.stride:], b.stride, cols, rows, negLogSum[k:], sums)
		})
	})
	if t.target == nil && !sums {
		for k, loss := range l.High[:n] {
			var sum kernel.Accumulator
			if counts(k) && !kernel.IsFinite(loss) {
				// A coefficient that overflowed may have made it so.
				sum = kernel.SumOf(w.coefficients[k*cols:][:cols])
			}
			w.panel.Hi[0][k], w.panel.Lo[0][k] = sum.Hi, sum.Lo
		}
	}
	if t.target == nil && b.anyOverflows(i, n) {
		b.weightedRows(i, n, q)
		return
	}
	clear(l.Single[:])
	clear(l.Tied[:])
	w.panel.WeightedLabel(l, distribution, groups)
	b.takeLabels(i, n)
	if t.out.Data == nil {
		return
	}
	if t.hasUniformSmoothing() {
		w.panel.SetSums(q.smoothed.sum(), max(q.smoothed.on, q.smoothed.off), width)
	}
	copy(w.panel.Factor[:width], l.Gradient[:])
	b.severalGradients(i, n, q)
}

// severalGradients sets the gradients of n rows from row i of the group, of which
// all sums are known.
func (b *batch) severalGradients(i, n int, q *coefficients) {
	w, t, cols := b.work, b.task, b.task.logits.cols
	p := &w.panel
	terms, stride := t.out.Data[(b.begin+i)*t.out.Stride:], t.out.Stride
	if t.inPlace {
		terms, stride = w.terms, cols
	}
	// The only largest entries that are not made as the others are: one more than
	// where they are, and what they get.
	var largest [2 * kernel.Group]int
	var atLargest [2 * kernel.Group]float64
	wanted := func(k int) bool { return w.labels.Class[k] >= 0 && p.Factor[k] != 0 && p.Hi[0][k] != 0 }
	// Few are: of most largest entries the probability is not above one half, and no
	// coefficient is all of the sum.
	special := func(k int) bool {
		return p.Count[k] == 1 && kernel.IsFinite(p.Max[k]) && !(p.Complement[k] > 0.51 && p.Top[k] < p.Hi[0][k])
	}
	eachRun(n, wanted, func(first, rows int) {
		q.eachPart(b, i, first, rows, func(first, rows int, q []float64, qStride int) {
			for k := first; k < first+rows; k++ {
				if !special(k) {
					continue
				}
				j := kernel.IndexOf(b.row(i+k), p.Max[k])
				of := kernel.NewWeighting(p.Factors(k), p.Sum(k), p.Factor[k])
				largest[k] = j + 1
				atLargest[k] = of.Largest(terms[k*stride+j], q[(k-first)*qStride+j], p.Complement[k], p.ComplementLow[k])
			}
			to := t.out.Data[(b.begin+i+first)*t.out.Stride:]
			p.WeightedGradientRows(first, to, t.out.Stride, terms[first*stride:], stride, q, qStride, cols, rows)
		})
	})
	for k := range n {
		row := b.result(i + k)
		switch {
		case !wanted(k):
			clear(row)
		case p.NegLogSum[k] != p.NegLogSum[k]:
			kernel.Fill(row, kernel.NaN)
		case largest[k] > 0:
			row[largest[k]-1] = atLargest[k]
		}
	}
}

// sumSeveralWeighted sums up rows from row i of the group, slice first of the
// panel, that count.
func (b *batch) sumSeveralWeighted(i, first, rows int) {
	w, cols, out := b.work, b.task.logits.cols, &b.task.out
	x, next := b.x[i*b.stride:], i+panelRows(cols)
	var terms []float64
	stride := cols
	switch {
	case out.Data == nil:
	case b.task.inPlace:
		b.weightedTerms(0, i)
		terms = b.work.terms[first*cols:]
	default:
		terms, stride = out.Data[(b.begin+i)*out.Stride:], out.Stride
	}
	w.panel.MaxOfRows(first, x, b.stride, cols, rows)
	w.panel.ExpSumRows(first, terms, stride, x, b.stride, cols, rows, b.rowAfter(next), b.resultAfter(next))
}

// weightedTerms returns where the terms of row i of the group, row k of a
// panel, are kept: not where what they come from is still wanted.
func (b *batch) weightedTerms(k, i int) []float64 {
	cols := b.task.logits.cols
	if b.task.out.Data == nil || !b.task.inPlace {
		return b.result(i)
	}
	b.work.terms = grow(b.work.terms, max(cols, panelEntries, kernel.Width*kernel.FewCols))
	return b.work.terms[k*cols:][:cols]
}

// weightedRow does row i of the group, row k of a panel that is concluded,
// which counts and has the label y, if any.
func (b *batch) weightedRow(k, i, y int, c *coefficients) {
	w, x, q := b.work, b.row(i), c.of(b, i, y)
	if y >= 0 && x[y] == w.panel.Max[k] && w.isFirst(k, x, y) {
		b.correct++
	}
	sampleWeight := b.task.settings.sampleWeightAt(b.begin + i)
	var loss, sum kernel.Accumulator
	switch {
	case b.task.isDistribution():
		loss, sum = kernel.WeightedLossAndSum(q, x, w.panel.Max[k], 0)
		loss = kernel.DistributionLoss(loss, sum, w.panel.NegLogSum[k])
	case b.task.out.Data == nil:
		loss = kernel.WeightedLoss(q, x, w.panel.Max[k], w.panel.NegLogSum[k])
		if y < 0 && !kernel.IsFinite(loss.Hi) {
			// A coefficient that overflowed may have made it so.
			sum = kernel.SumOf(q)
		}
	case b.task.hasUniformSmoothing():
		loss = kernel.WeightedLoss(q, x, w.panel.Max[k], w.panel.NegLogSum[k])
		sum = c.smoothed.sum()
	default:
		loss, sum = kernel.WeightedLossAndSum(q, x, w.panel.Max[k], w.panel.NegLogSum[k])
	}
	shift := b.task.settings.shift
	lossShift := shift
	if y < 0 && b.task.overflows(loss, sum, sampleWeight) {
		scaled := b.softScaledDown(c.soft[i*c.stride:][:b.task.logits.cols], 0)
		scaledLoss, scaledSum := kernel.WeightedLossAndSum(scaled, x, w.panel.Max[k], w.panel.NegLogSum[k])
		if kernel.IsFinite(scaledLoss.Hi) || loss.Hi != loss.Hi {
			loss = scaledLoss
			lossShift += distributionShift
		}
		if kernel.IsFinite(sum.Hi) {
			q = c.of(b, i, y)
		} else {
			q, sum = scaled, scaledSum
			shift += distributionShift
		}
	}
	b.add(i, scaledProduct(sampleWeight, loss.Value(), -lossShift))
	if b.task.out.Data == nil {
		return
	}
	row, g := b.result(i), b.task.divisor.over(sampleWeight)
	switch {
	case g == 0 || sum.Hi == 0:
		clear(row)
	case w.panel.NegLogSum[k] != w.panel.NegLogSum[k]:
		kernel.Fill(row, kernel.NaN)
	case shift != 0:
		b.weightedGradient(k, row, b.weightedTerms(k, i), x, q, sum, 1)
		scaleRow(row, g, -shift)
	default:
		b.weightedGradient(k, row, b.weightedTerms(k, i), x, q, sum, g)
	}
}

// overflows reports whether the sum of the coefficients of a distribution does,
// or its loss before a sample weight below 1 is applied.
func (t *entropy) overflows(loss, sum kernel.Accumulator, sampleWeight float64) bool {
	return math.IsInf(sum.Hi, 1) || math.Abs(sampleWeight) < 1 && math.IsInf(loss.Value(), 1)
}

// softScaledDown is softCoefficients times 2^distributionShift, in a buffer.
func (b *batch) softScaledDown(t []float64, first int) []float64 {
	b.work.coefficients = grow(b.work.coefficients, len(t))
	keep, off := b.task.settings.spread(b.task.logits.cols)
	// They may be so large themselves that their product with a target overflows.
	keepDown, offDown := math.Ldexp(keep, distributionShift), math.Ldexp(off, distributionShift)
	for c, v := range t {
		weight := b.task.settings.classWeightAt(first + c)
		q := float64(weight * (float64(keepDown*v) + offDown))
		if q == 0 && float64(keep*v)+off != 0 && weight != 0 {
			// It still makes a loss infinite that is.
			q = math.SmallestNonzeroFloat64
		}
		b.work.coefficients[c] = q
	}
	return b.work.coefficients
}

// WeightedGradient sets row, which is row k of a panel, to g·(p·Q - q), for the
// probabilities p of the given terms, coefficients q and their sum Q.
func (b *batch) weightedGradient(k int, row, terms, x, q []float64, sum kernel.Accumulator, g float64) {
	w := b.work
	factorsOf := func(int) kernel.Factors { return w.panel.Factors(k) }
	if len(x) > kernel.ChunkLen {
		whole := w.wholePartial()
		factorsOf = func(u int) kernel.Factors { return w.partials[u].Factors(&whole) }
	}
	// What is special about a single largest entry: 1-p.
	largest, atLargest := -1, 0.0
	if w.panel.Count[k] == 1 {
		largest = w.indexOfMax(k, x)
		f := factorsOf(largest / kernel.ChunkLen)
		atLargest = kernel.WeightedLargest(terms[largest], q[largest], f, sum, w.panel.Complement[k], w.panel.ComplementLow[k], g)
	}
	for u := range kernel.Chunks(len(x)) {
		kernel.WeightedGradient(kernel.ChunkOf(row, u), kernel.ChunkOf(terms, u), kernel.ChunkOf(q, u), factorsOf(u), sum, g)
	}
	if largest >= 0 {
		row[largest] = atLargest
	}
}

// indexOfMax returns the first index of the maximum of x, row k of a panel.
func (w *workspace) indexOfMax(k int, x []float64) int {
	if len(x) <= kernel.ChunkLen {
		return kernel.IndexOf(x, w.panel.Max[k])
	}
	u := 0
	for w.partials[u].Max != w.panel.Max[k] {
		u++
	}
	return u*kernel.ChunkLen + kernel.IndexOf(kernel.ChunkOf(x, u), w.panel.Max[k])
}
