// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"sync"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// CrossEntropy returns the cross-entropy of the logits, N rows by C classes,
// against the labels target. It is LogSoftmax along the rows followed by NLL,
// bit for bit, for all options, without storing the log-probabilities:
//
//	logp[i,c] = logits[i,c] - log Σ_k e^logits[i,k]
//	l[i] = -w[y]·s[i]·logp[i,y]    y = target[i]
//
// where w is opts.Weight and s is opts.SampleWeight, each 1 where it is nil.
// With a LabelSmoothing e the target is spread over the classes:
//
//	l[i] = s[i] · Σ_c q[c]·(-logp[i,c])
//	q[c] = w[c]·e/C,    q[y] = w[y]·((1-e) + e/C)
//
// A row whose label is in opts.Ignore, or whose sample weight is 0, does not
// count and is not read: its loss is 0. Of the result, Sum is Σ l[i] and
// Weight is Σ w[y]·s[i] over the rows that count, whatever the smoothing, so
// that Mean is the weighted mean that PyTorch's CrossEntropyLoss returns.
// Correct is the number of rows that count whose lowest-indexed largest logit
// is the target's.
//
// Before weights and smoothing every row's loss is within 2 ulp of its exact
// value, that of a confident row too, which other libraries round to 0.
//
// The loss of a row with a NaN or +Inf, or of -Inf only, is NaN. One whose
// target has the logit -Inf is +Inf. Where the coefficient, w·s or q, is 0,
// so is what it multiplies, whatever that is.
//
// CrossEntropy panics with mat.ErrZeroLength if logits is empty, and with
// mat.ErrShape if the length of target, or of a Weight or SampleWeight, does
// not fit. It returns a *ValueError for an option whose value is not allowed,
// and else a *TargetError for a label that is neither in [0, C) nor ignored;
// the Loss is then zero.
//
// See Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception
// Architecture for Computer Vision, CVPR 2016, for label smoothing.
func CrossEntropy(logits mat.Matrix, target []int, opts *Options) (Loss, error) {
	return crossEntropy("CrossEntropy", nil, nil, logits, target, opts)
}

// CrossEntropyEach sets dst[i] to the loss of row i, the l[i] of CrossEntropy,
// which is 0 for a row that does not count, and returns dst. A nil dst is
// allocated; any other must have length N, and must not overlap another
// argument.
//
// It panics and returns errors as CrossEntropy does, and panics with
// mat.ErrShape if the length of dst does not fit. On an error it returns nil,
// and dst is not written.
func CrossEntropyEach(dst []float64, logits mat.Matrix, target []int, opts *Options) ([]float64, error) {
	rows, _ := checkNotEmpty(logits)
	checkSlice(dst, rows)
	each := eachRow{dst: dst}
	_, err := crossEntropy("CrossEntropyEach", nil, &each, logits, target, opts)
	return each.dst, err
}

// CrossEntropyGrad sets dst to the gradient with respect to logits of the Mean
// of the losses, or with opts.Reduction Sum of their sum, and returns the Loss
// that CrossEntropy returns. Both come from one exponential for each logit.
// For a row that counts,
//
//	dst[i,c] = (p[c]·Q - q[c])·s[i]/Weight    of the mean
//	dst[i,c] = (p[c]·Q - q[c])·s[i]           of the sum
//
// where p is the softmax of the row, q is as for CrossEntropy (without
// smoothing: w[y] for the label and 0 for all others) and Q = Σ_c q[c]. It is
// computed as p·(Q-q) - q·(1-p), with 1-p as the sum of the other
// probabilities, so that the gradient of a confident row keeps its digits: for
// the sum without weights and smoothing it is within 4 ulp.
//
// The gradient is 0 in the rows that do not count, and everywhere if the mean
// is asked for and Weight is 0. It is NaN in a row whose log-probabilities are
// NaN, unless all its coefficients are 0. No element is -0.
//
// An empty dst is sized; any other must be N×C. dst may be logits itself, or
// any matrix on exactly its region; other overlap panics where it can be seen.
//
// CrossEntropyGrad panics and returns errors as CrossEntropy does. It also
// panics with mat.ErrShape if the shape of dst does not fit, with a string if
// dst partially overlaps logits or opts.Reduction is unknown, and returns a
// *ValueError for a negative sample weight with Mean, whose denominator would
// mean nothing. On an error dst is neither sized nor written.
func CrossEntropyGrad(dst *mat.Dense, logits mat.Matrix, target []int, opts *Options) (Loss, error) {
	return crossEntropy("CrossEntropyGrad", dst, nil, logits, target, opts)
}

// SoftCrossEntropy returns the cross-entropy of the logits, N rows by C
// classes, against a distribution over the classes for each row, the rows of
// target:
//
//	logp[i,c] = logits[i,c] - log Σ_k e^logits[i,k]
//	l[i] = s[i] · Σ_c q[c]·(-logp[i,c])
//	q[c] = w[c]·((1-e)·target[i,c] + e/C)
//
// where w is opts.Weight and s is opts.SampleWeight, each 1 where it is nil,
// and e is opts.LabelSmoothing. The rows of target are used as they are; that
// they add up to 1 is not checked. opts.Ignore is not read, but a row whose
// sample weight is 0 does not count: neither its logits nor its target are
// read.
//
// Of the result, Sum is Σ l[i] and Weight is Σ s[i] over the rows that count.
// Class weights are not in it, as in PyTorch, where the mean over
// distributions divides by the number of rows. Correct is 0.
//
// A term whose coefficient q[c] is 0 is 0, whatever the logit. Otherwise the
// loss of a row with a NaN or +Inf, or of -Inf only, is NaN, and a logit of
// -Inf costs +Inf.
//
// SoftCrossEntropy panics with mat.ErrZeroLength if logits is empty, and with
// mat.ErrShape if the shape of target, or the length of a Weight or
// SampleWeight, does not fit. It returns a *ValueError for an option whose
// value is not allowed, and else for the first target, by rows, that is
// negative or not finite; the Loss is then zero.
func SoftCrossEntropy(logits, target mat.Matrix, opts *Options) (Loss, error) {
	return softCrossEntropy("SoftCrossEntropy", nil, nil, logits, target, opts)
}

// SoftCrossEntropyEach sets dst[i] to the loss of row i, the l[i] of
// SoftCrossEntropy, which is 0 for a row that does not count, and returns dst.
// A nil dst is allocated; any other must have length N, and must not overlap
// another argument.
//
// It panics and returns errors as SoftCrossEntropy does, and panics with
// mat.ErrShape if the length of dst does not fit. On an error it returns nil,
// and dst is not written.
func SoftCrossEntropyEach(dst []float64, logits, target mat.Matrix, opts *Options) ([]float64, error) {
	rows, _ := checkNotEmpty(logits)
	checkSlice(dst, rows)
	each := eachRow{dst: dst}
	_, err := softCrossEntropy("SoftCrossEntropyEach", nil, &each, logits, target, opts)
	return each.dst, err
}

// SoftCrossEntropyGrad sets dst to the gradient with respect to logits of the
// Mean of the losses, or with opts.Reduction Sum of their sum, and returns the
// Loss that SoftCrossEntropy returns. For a row that counts,
//
//	dst[i,c] = (p[c]·Q - q[c])·s[i]/Weight    of the mean
//	dst[i,c] = (p[c]·Q - q[c])·s[i]           of the sum
//
// where p is the softmax of the row, q is as for SoftCrossEntropy, and
// Q = Σ_c q[c], which is 1 only where target and weights make it so. It is
// computed as p·(Q-q) - q·(1-p), within 4 ulp of the larger of the two terms.
//
// The gradient is 0 in the rows that do not count, and everywhere if the mean
// is asked for and Weight is 0. It is NaN in a row whose log-probabilities are
// NaN, unless all its coefficients are 0. No element is -0. The gradient with
// respect to target is not computed.
//
// An empty dst is sized; any other must be N×C. dst may be logits or target
// itself, or any matrix on exactly the region of one of them; other overlap
// panics where it can be seen.
//
// SoftCrossEntropyGrad panics and returns errors as SoftCrossEntropy does. It
// also panics with mat.ErrShape if the shape of dst does not fit, with a
// string if dst partially overlaps logits or target or opts.Reduction is
// unknown, and returns a *ValueError for a negative sample weight with Mean,
// whose denominator would mean nothing. On an error dst is neither sized nor
// written.
func SoftCrossEntropyGrad(dst *mat.Dense, logits, target mat.Matrix, opts *Options) (Loss, error) {
	return softCrossEntropy("SoftCrossEntropyGrad", dst, nil, logits, target, opts)
}

// eachRow is the slice of an Each function, which becomes nil on an error and
// is allocated otherwise if it is nil.
type eachRow struct{ dst []float64 }

func (e *eachRow) resolve(rows int, err error) []float64 {
	if e == nil {
		return nil
	}
	if err != nil {
		e.dst = nil
	} else {
		e.dst = prepareSlice(e.dst, rows)
	}
	return e.dst
}

// crossEntropy is the functions with labels; dst and each may be nil.
func crossEntropy(fn string, dst *mat.Dense, each *eachRow, logits mat.Matrix, target []int, opts *Options) (Loss, error) {
	rows, cols := checkNotEmpty(logits)
	if len(target) != rows {
		panic(mat.ErrShape)
	}
	if dst != nil {
		checkDst(fn, dst, rows, cols, logits)
	}
	s, err := resolve(fn, opts, rows, cols, dst != nil)
	if err == nil {
		err = s.checkTargets(target, cols)
	}
	values := each.resolve(rows, err)
	if err != nil {
		return Loss{}, err
	}
	t := entropies.Get().(*entropy)
	t.settings, t.target, t.each = s, target, values
	t.logits = newSource(logits)
	if dst != nil {
		t.inPlace = sameRegion(dst, logits)
		t.out = sizeDst(dst, rows, cols)
	}
	weight, ignored := s.lossWeight(target)
	loss := t.run(weight, ignored)
	t.release()
	return loss, nil
}

// softCrossEntropy is the functions with distributions; dst and each may be
// nil.
func softCrossEntropy(fn string, dst *mat.Dense, each *eachRow, logits, target mat.Matrix, opts *Options) (Loss, error) {
	rows, cols := checkNotEmpty(logits)
	checkShape(target, rows, cols)
	if dst != nil {
		checkDst(fn, dst, rows, cols, logits, target)
	}
	s, err := resolve(fn, opts, rows, cols, dst != nil)
	soft := newSource(target)
	if err == nil {
		err = s.checkSoftTargets(&soft)
	}
	values := each.resolve(rows, err)
	if err != nil {
		return Loss{}, err
	}
	t := entropies.Get().(*entropy)
	t.settings, t.soft, t.each = s, soft, values
	t.logits = newSource(logits)
	if dst != nil {
		t.inPlace = sameRegion(dst, logits) || sameRegion(dst, target)
		t.out = sizeDst(dst, rows, cols)
	}
	weight, ignored := s.softLossWeight(rows)
	loss := t.run(weight, ignored)
	t.release()
	return loss, nil
}

// checkSoftTargets returns a *ValueError for the first target probability, of
// a row that counts, that is negative or not finite.
func (s *settings) checkSoftTargets(soft *source) error {
	const rows, cols = 16, 256
	switch soft.kind {
	case sourceDense:
		if s.sampleWeight == nil && soft.raw.Stride == soft.cols {
			if areSoftTargets(soft.raw.Data[:soft.rows*soft.cols]) {
				return nil
			}
			return s.findSoftTarget(soft, 0)
		}
		for i := range soft.rows {
			if s.countsSoft(i) && !areSoftTargets(soft.raw.Data[i*soft.raw.Stride:][:soft.cols]) {
				return s.findSoftTarget(soft, i)
			}
		}
		return nil
	case sourceTransposed:
		buf := getBuffer(rows * cols)
		defer putBuffer(buf)
		for i := 0; i < soft.rows; i += rows {
			n := min(rows, soft.rows-i)
			for j := 0; j < soft.cols; j += cols {
				data, stride := soft.block(buf, i, j, n, min(cols, soft.cols-j))
				for k := range n {
					if s.countsSoft(i+k) && !areSoftTargets(data[k*stride:][:stride]) {
						// There may be others, in rows above.
						return s.findSoftTarget(soft, i)
					}
				}
			}
		}
		return nil
	default:
		return s.findSoftTarget(soft, 0)
	}
}

// findSoftTarget is checkSoftTargets from row i on, entry by entry.
func (s *settings) findSoftTarget(soft *source, i int) error {
	for ; i < soft.rows; i++ {
		if !s.countsSoft(i) {
			continue
		}
		for j := range soft.cols {
			if v := soft.at(i, j); !isSoftTarget(v) {
				return &ValueError{Name: "target", Row: i, Col: j, Value: v}
			}
		}
	}
	return nil
}

// An entropy is the loss of a batch of logits, and its gradient where out has
// storage. Its units are groups of rows, each with a sum of its own, which
// depend on the number of classes alone.
type entropy struct {
	settings
	logits  source
	target  []int  // labels,
	soft    source // or where they are nil, distributions
	out     blas64.General
	inPlace bool // out is where logits or soft are
	each    []float64
	// The gradient is divided by divisor; 0 makes it zero.
	divisor float64
	// plain is that every row counts, with weight 1.
	plain bool

	sums    []accumulator
	correct []int
}

var entropies = sync.Pool{New: func() any { return new(entropy) }}

// release gives t back, without the caller's storage.
func (t *entropy) release() {
	*t = entropy{sums: t.sums, correct: t.correct}
	entropies.Put(t)
}

// run computes the loss, of the given weight and number of rows that do not
// count, and whatever else t asks for.
func (t *entropy) run(weight accumulator, ignored int) Loss {
	rows, cols := t.logits.rows, t.logits.cols
	t.divisor = 1
	if t.reduction == Mean {
		t.divisor = weight.value()
	}
	t.plain = t.settings.weight == nil && t.sampleWeight == nil && ignored == 0
	units := (rows + groupRows(cols) - 1) / groupRows(cols)
	t.sums, t.correct = grow(t.sums, units), grow(t.correct, units)
	switch {
	case t.logits.kind == sourceForeign || t.soft.m != nil && t.soft.kind == sourceForeign:
		// At is for this goroutine alone.
		w := workspaces.Get().(*workspace)
		for u := range units {
			t.do(w, u)
		}
		workspaces.Put(w)
	case spreads(rows, cols):
		w := workspaces.Get().(*workspace)
		w.spread = true
		for u := range units {
			t.do(w, u)
		}
		w.spread = false
		workspaces.Put(w)
	default:
		run(t, units, elements(rows, cols))
	}
	var sum accumulator
	correct := 0
	for u := range units {
		sum.merge(t.sums[u])
		correct += t.correct[u]
	}
	loss := newLoss(sum, weight, rows, ignored)
	loss.Correct = correct
	return loss
}

// do computes a group of rows.
func (t *entropy) do(w *workspace, unit int) {
	size := groupRows(t.logits.cols)
	begin := unit * size
	n := min(size, t.logits.rows-begin)
	b := batch{entropy: t, workspace: w, begin: begin}
	w.away = !t.inPlace && t.out.Data != nil && isFar(t.out.Rows, t.out.Cols)
	b.x, b.stride = t.logits.panelOf(&w.rowsIn, begin, n)
	if t.target != nil && t.smoothing == 0 {
		step := panelRows(t.logits.cols)
		for i := 0; i < n; i += step {
			if t.plain && t.logits.cols <= fewCols {
				b.labelledPlain(i, min(step, n-i))
			} else {
				b.labelled(i, min(step, n-i))
			}
		}
	} else {
		b.weighted(n)
	}
	t.sums[unit], t.correct[unit] = b.sum, b.correct
}

// panelOf is panel with a buffer that it grows.
func (s *source) panelOf(buf *[]float64, i0, n int) (data []float64, stride int) {
	if s.needsBuffer() {
		*buf = grow(*buf, n*s.cols)
	}
	return s.panel(*buf, i0, n)
}

// A batch is a group of rows in work.
type batch struct {
	*entropy
	*workspace
	begin   int // the first row
	x       []float64
	stride  int
	sum     accumulator
	correct int
}

// row returns row i of the group.
func (b *batch) row(i int) []float64 { return b.x[i*b.stride:][:b.logits.cols] }

// rowAfter and resultAfter are row and result, which may be of the next
// group, or nil where there is none.
func (b *batch) rowAfter(i int) []float64 {
	if b.logits.kind != sourceDense {
		return nil
	}
	return rowAfter(b.logits.raw.Data, b.logits.raw.Stride, b.logits.rows, b.logits.cols, b.begin+i)
}

func (b *batch) resultAfter(i int) []float64 {
	if b.begin+i >= b.logits.rows {
		return nil
	}
	return b.result(i)
}

// result returns row i of the gradient, nil where none is asked for.
func (b *batch) result(i int) []float64 {
	if b.out.Data == nil {
		return nil
	}
	return b.out.Data[(b.begin+i)*b.out.Stride:][:b.out.Cols]
}

// add takes in the loss of row i.
func (b *batch) add(i int, l float64) {
	b.sum.add(l)
	if b.each != nil {
		b.each[b.begin+i] = l
	}
}

// gradientFactor returns what the gradient of a row whose loss has the given
// coefficient is multiplied by.
func (b *batch) gradientFactor(coefficient float64) float64 {
	if b.divisor == 0 {
		return 0
	}
	return coefficient / b.divisor
}

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
		b.sumLabelled(i, label[:n])
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
	hi, lo := b.sum.hi, b.sum.lo
	for _, v := range l.loss[:n] {
		var e float64
		hi, e = twoSum(hi, v)
		lo += e
	}
	b.sum = accumulator{hi, lo}
	if b.each != nil {
		copy(b.each[b.begin+i:], l.loss[:n])
	}
	if terms == nil {
		return
	}
	columnsScale(&w.columns, w.tile[:], columnsWidth, cols, groupsFor(n))
	for k, y := range target {
		w.tile[y*columnsWidth+k] = l.atLabel[k]
	}
	w.tile.unpackRows(b.out.Data[(b.begin+i)*b.out.Stride:], b.out.Stride, n, cols)
}

// sumLabelled concludes the rows of a panel of more than fewCols classes that
// have a label, leaves their terms in the result if there is one, and counts
// the correct ones.
func (b *batch) sumLabelled(i int, label []int) {
	w, cols := b.workspace, b.logits.cols
	for k, y := range label {
		if y < 0 {
			w.max[k], w.count[k], w.hi[0][k], w.lo[0][k] = 0, 1, 0, 0
			continue
		}
		x := b.row(i + k)
		if cols <= chunkLen {
			w.max[k] = maxOf(x)
			if isFirstMax(x, y, w.max[k]) {
				b.correct++
			}
			w.sumRow(k, b.terms(k, i+k), x, b.rowAfter(i+k+1), b.nearby(b.resultAfter(i+k+1)))
			continue
		}
		// Such a panel is one row, whose terms may replace it.
		chunk := chunkOf(x, y/chunkLen)
		first := isFirstMax(chunk, y%chunkLen, maxOf(chunk))
		w.sumLong(b.terms(k, i+k), x, nil, b.rowAfter(i+k+1))
		for u := range y / chunkLen {
			first = first && w.partials[u].max < w.max[k]
		}
		if first && w.partials[y/chunkLen].max == w.max[k] {
			b.correct++
		}
	}
	if cols <= chunkLen {
		columnsConclude(&w.columns, groupsFor(len(label)))
	}
}

// labelledGradient sets the gradients of a panel, whose terms are where
// b.terms says, or in the tile where there are at most fewCols classes.
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
			p = w.probability(k, cols, y, b.terms(k, i+k)[y])
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
			w.scaleTerms(k, row, b.terms(k, i+k), g[k])
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

// terms returns where the terms of row i of the group, row k of a panel, are
// kept; nil where no gradient is asked for.
func (b *batch) terms(k, i int) []float64 { return b.termsOf(k, b.result(i)) }

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
	w.tile.packRows(b.x[i*b.stride:], b.stride, n, cols)
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
		w.sumRow(k, terms, x, b.rowAfter(i+k+1), b.nearby(b.resultAfter(i+k+1)))
	}
	if cols <= chunkLen {
		columnsConclude(&w.columns, groupsFor(n))
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
	if b.out.Data == nil || !b.inPlace && !b.away {
		return b.result(i)
	}
	cols := b.logits.cols
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

// weightedGradient sets row, which is row k of a panel, to g·(p·(Q-q) -
// q·(1-p)), for the probabilities p of the given terms, coefficients q and
// their sum Q.
func (b *batch) weightedGradient(k int, row, terms, x, q []float64, sum accumulator, g float64) {
	w := b.workspace
	// What is special about a single largest entry: 1-p.
	largest, pLargest, qLargest := -1, 0.0, 0.0
	if w.count[k] == 1 {
		largest = w.indexOfMax(k, x)
		pLargest, qLargest = w.probability(k, len(x), largest, terms[largest]), q[largest]
	}
	set := weightedGradient
	if b.away {
		set = weightedGradientAway
	}
	if len(x) <= chunkLen {
		set(row, terms, q, w.inverse[k], 1, sum, g)
	} else {
		whole := w.wholePartial()
		for u := range w.partials {
			first, second := w.partials[u].factors(&whole)
			set(chunkOf(row, u), chunkOf(terms, u), chunkOf(q, u), first, second, sum, g)
		}
	}
	if largest >= 0 {
		row[largest] = weightedEntry(pLargest, w.rest[k], qLargest, sum, g)
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
