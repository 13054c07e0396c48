// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"sync"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// NLL returns the negative log-likelihood of the labels target under the
// log-probabilities logp, N rows by C classes, as LogSoftmax gives them:
//
//	l[i] = -w[y]·s[i]·logp[i,y]    y = target[i]
//
// where w is opts.Weight and s is opts.SampleWeight, each 1 where it is nil.
// With a LabelSmoothing e the target is spread over the classes:
//
//	l[i] = s[i] · Σ_c q[c]·(-logp[i,c])
//	q[c] = w[c]·e/C,    q[y] = w[y]·((1-e) + e/C)
//
// A row whose label is in opts.Ignore, or whose sample weight is 0, does not
// count: its loss is 0. Of the result, Sum is Σ l[i] and Weight is Σ w[y]·s[i]
// over the rows that count, whatever the smoothing, so that Mean is the
// weighted mean that PyTorch's NLLLoss returns. Correct is 0, and Accuracy
// NaN: log-probabilities are only read where the loss needs them, which without
// smoothing is one in each row.
//
// NLL does not normalise logp, nor check that it is normalised. It is the
// second half of CrossEntropy, to which this is equal, bit for bit:
//
//	LogSoftmax(&logp, logits, 1)
//	NLL(&logp, target, opts)
//
// A term whose coefficient is 0, by a zero class weight, is 0 whatever logp
// holds; otherwise a log-probability of -Inf costs +Inf, and NaN costs NaN.
//
// NLL panics, in this order: with a string if logp is nil or has less storage
// than its shape; with mat.ErrZeroLength if it is empty; and with mat.ErrShape
// if target has not one label for each row, a Weight not one number for each
// class, or a SampleWeight not one for each row. It then returns a *ValueError
// for the first option, in their order, whose value is not allowed, and else a
// *TargetError for the first label that is neither in [0, C) nor ignored; the
// Loss is then zero.
func NLL(logp mat.Matrix, target []int, opts *Options) (Loss, error) {
	var loss Loss
	var x source
	if !x.smallDense(logp) || len(target) != x.rows {
		checkLabelled("NLL", "logp", logp, target)
		x = newSource(logp)
	}
	var s settings
	if err := s.resolveLabels("NLL", opts, target, x.rows, x.cols, false); err != nil {
		return Loss{}, err
	}
	nll(&loss, nil, &x, target, &s)
	return loss, nil
}

// NLLEach sets dst[i] to the loss of row i, the l[i] of NLL, which is 0 for a
// row that does not count, and returns dst. A nil dst is allocated; any other
// must have length N, and must not overlap another argument.
//
// It panics and returns errors as NLL does, and panics with mat.ErrShape, after
// that for target, if dst is neither nil nor of length N. On an error it
// returns nil, and dst is not written.
func NLLEach(dst []float64, logp mat.Matrix, target []int, opts *Options) ([]float64, error) {
	rows, cols := checkLabelled("NLLEach", "logp", logp, target)
	checkSlice(dst, rows)
	var s settings
	if err := s.resolveLabels("NLLEach", opts, target, rows, cols, false); err != nil {
		return nil, err
	}
	dst = prepareSlice(dst, rows)
	x := newSource(logp)
	nll(new(Loss), dst, &x, target, &s)
	return dst, nil
}

// NLLGrad sets dst to the gradient with respect to logp of the Mean of the
// losses, or with opts.Reduction Sum of their sum, and returns the Loss that
// NLL returns. For a row that counts,
//
//	dst[i,c] = -q[c]·s[i]/Weight     of the mean
//	dst[i,c] = -q[c]·s[i]            of the sum
//
// with q as for NLL: without smoothing, w[y] in the column of the label and
// 0 in all others. The gradient is 0 in the rows that do not count, and
// everywhere if the mean is asked for and Weight is 0. It does not depend on
// logp.
//
// An empty dst is sized; any other must be N×C. dst may be logp itself, or
// any matrix on exactly its region; other overlap panics where it can be
// seen.
//
// NLLGrad panics and returns errors as NLL does. It also panics with a string
// if dst is nil or has less storage than its shape, before all else; with
// mat.ErrShape if dst is neither empty nor N×C, and with a string if it shares
// an element with logp and is not its region, both after the shape of target;
// and, after the lengths of the options, with a string if opts.Reduction is
// neither Mean nor Sum. It returns a *ValueError also for a negative sample
// weight with Mean, whose denominator would mean nothing. On an error dst is
// neither sized nor written.
func NLLGrad(dst *mat.Dense, logp mat.Matrix, target []int, opts *Options) (Loss, error) {
	checkDense("NLLGrad", "dst", dst)
	rows, cols := checkLabelled("NLLGrad", "logp", logp, target)
	checkDst("NLLGrad", "dst", dst, rows, cols, argument{"logp", logp})
	var s settings
	if err := s.resolveLabels("NLLGrad", opts, target, rows, cols, true); err != nil {
		return Loss{}, err
	}
	x := newSource(logp)
	// All of the loss first: dst may be where logp is kept.
	var loss Loss
	nll(&loss, nil, &x, target, &s)
	nllGrad(sizeDst(dst, rows, cols), target, &s)
	return loss, nil
}

// nll sets loss to the Loss of arguments that have been checked, and each, if it
// is not nil, to the losses of the rows.
func nll(loss *Loss, each []float64, x *source, target []int, s *settings) {
	weight, ignored := s.lossWeight(target)
	var sum kernel.ExactSum
	if s.smoothing > 0 {
		sum = nllSmooth(each, x, target, s)
	} else {
		sum = nllHard(each, x, target, s)
	}
	loss.set(&sum, &weight, x.rows, ignored)
}

// nllHard adds up the losses without smoothing.
func nllHard(each []float64, x *source, target []int, s *settings) kernel.ExactSum {
	w := workspaces.Get().(*workspace)
	defer w.release()
	w.sum.Reset()
	losses := w.labels.Loss[:]
	for begin := 0; begin < len(target); begin += len(losses) {
		panel := target[begin:min(begin+len(losses), len(target))]
		for k, y := range panel {
			l := 0.0
			if s.counts(begin+k, y) {
				if c := s.coefficient(begin+k, y); c != 0 {
					l = hardLoss(c, x.at(begin+k, y))
				}
			}
			losses[k] = l
		}
		w.sum.AddPanel(losses[:len(panel)])
		if each != nil {
			copy(each[begin:], losses[:len(panel)])
		}
	}
	return *w.sum.Total()
}

// nllSmooth adds up the losses with smoothing.
func nllSmooth(each []float64, x *source, target []int, s *settings) kernel.ExactSum {
	t := smoothTasks.Get().(*smoothTask)
	t.settings, t.x, t.target, t.each = *s, *x, target, each
	t.coefficients = s.newSmoothing(x.cols, s.byChunks(x))
	group := x.together(groupRows(x.cols))
	units := (x.rows-1)/group + 1
	t.sums = grow(t.sums, units)
	if x.kind == sourceForeign {
		// At is for this goroutine alone.
		w := workspaces.Get().(*workspace)
		for u := range units {
			t.do(w, u)
		}
		w.release()
	} else {
		run(t, units, elements(x.rows, x.cols))
	}
	var sum kernel.ExactSum
	for u := range t.sums {
		sum.Merge(&t.sums[u])
	}
	t.coefficients.release()
	// Keep nothing that is the caller's.
	*t = smoothTask{sums: kept(t.sums)}
	smoothTasks.Put(t)
	return sum
}

// A smoothTask adds up losses with smoothing. A unit is a group of rows.
type smoothTask struct {
	settings settings
	x        source
	target   []int
	each     []float64 // may be nil

	coefficients smoothing         // for units to clone
	sums         []kernel.ExactSum // of the units
}

var smoothTasks = sync.Pool{New: func() any { return new(smoothTask) }}

func (t *smoothTask) do(w *workspace, unit int) {
	q := &t.coefficients
	if len(t.sums) > 1 {
		own := q.clone()
		defer own.release()
		q = &own
	}
	cols := t.x.cols
	group := t.x.together(groupRows(cols))
	begin := unit * group
	n := min(group, t.x.rows-begin)
	if t.settings.byChunks(&t.x) {
		w.sum.Reset()
		for i := range n {
			t.doLong(w, q, begin+i)
		}
		t.sums[unit] = *w.sum.Total()
		return
	}
	var data []float64
	var stride int
	switch t.x.kind {
	case sourceDense:
		data, stride = t.x.panel(nil, begin, n)
	case sourceTransposed:
		b := getBuffer(n * cols)
		defer putBuffer(b)
		data, stride = t.x.panel(*b, begin, n)
	case sourceForeign:
		// Row by row: one that does not count is not read.
		b := getBuffer(cols)
		defer putBuffer(b)
		data = *b
	}
	w.sum.Reset()
	if cols <= kernel.FewCols && n >= kernel.Group && t.x.kind != sourceForeign && t.settings.shift == 0 {
		w.setClassWeights(t.settings.weight)
		q.fill(&w.coefficientTile, min(n, kernel.Width))
		clear(w.panel.Max[:])
		clear(w.panel.NegLogSum[:])
		for i := 0; i < n; i += kernel.Width {
			t.doFew(w, q, data[i*stride:], stride, begin+i, min(kernel.Width, n-i))
		}
		t.sums[unit] = *w.sum.Total()
		return
	}
	for i := range n {
		l := 0.0
		if y := t.target[begin+i]; t.settings.counts(begin+i, y) {
			if t.x.kind == sourceForeign {
				t.x.panel(data, begin+i, 1)
			}
			l = q.loss(t.settings.sampleWeightAt(begin+i), kernel.WeightedLoss(q.target(y), data[i*stride:][:cols], 0, 0))
			q.restore(y)
		}
		w.sum.Add(l)
		if t.each != nil {
			t.each[begin+i] = l
		}
	}
	t.sums[unit] = *w.sum.Total()
}

// doLong is do for one long row.
func (t *smoothTask) doLong(w *workspace, q *smoothing, i int) {
	l := 0.0
	if y := t.target[i]; t.settings.counts(i, y) {
		var s kernel.LaneSum
		for u := range kernel.Chunks(t.x.cols) {
			s.AddLoss(q.chunk(y, u), t.x.chunk(&w.rowsIn, i, u), 0, 0)
		}
		l = q.loss(t.settings.sampleWeightAt(i), s.Sum())
	}
	w.sum.Add(l)
	if t.each != nil {
		t.each[i] = l
	}
}

// doFew adds the losses of n rows from row i on, of at most FewCols classes,
// to w.sum. The rows' log-probabilities are x.
func (t *smoothTask) doFew(w *workspace, q *smoothing, x []float64, stride, i, n int) {
	l, cols, groups := &w.labels, t.x.cols, kernel.GroupsFor(n)
	w.tile.PackRows(x, stride, n, cols)
	t.settings.setLabels(l, &w.tile, t.target[i:][:n])
	t.settings.weigh(l, i, n, nil, 1)
	q.packOnto(&w.coefficientTile, l.Class[:n], &w.classWeights)
	w.panel.WeightedLoss(w.coefficientTile[:], w.tile[:], cols, groups)
	q.unpack(&w.coefficientTile, l.Class[:n], &w.classWeights)
	w.takeWeightedLoss(groups)
	w.panel.WeightedLabel(l, false, groups)
	w.sum.AddPanel(l.Loss[:n])
	if t.each != nil {
		copy(t.each[i:], l.Loss[:n])
	}
}

// nllGrad sets dst to the gradient.
func nllGrad(dst blas64.General, target []int, s *settings) {
	weight, _ := s.lossWeight(target)
	divisor := newDivisor(s.reduction, &weight)
	var q smoothing
	if s.smoothing > 0 {
		q = s.newSmoothing(dst.Cols, dst.Cols > kernel.ChunkLen)
		defer q.release()
	}
	for i, y := range target {
		row := dst.Data[i*dst.Stride:][:dst.Cols]
		if !s.counts(i, y) || divisor.value == 0 {
			clearRow(row)
			continue
		}
		if s.smoothing == 0 {
			clearRow(row)
			row[y] = 0 - divisor.over(s.coefficient(i, y))
			continue
		}
		sw := s.sampleWeightAt(i)
		entry := func(q float64) float64 {
			if s.shift != 0 {
				return 0 - scaledProduct(divisor.over(sw), q, -s.shift)
			}
			return 0 - divisor.over(float64(q*sw))
		}
		if dst.Cols > kernel.ChunkLen {
			for u := range kernel.Chunks(dst.Cols) {
				to := kernel.ChunkOf(row, u)
				for c, qc := range q.chunk(y, u) {
					to[c] = entry(qc)
				}
			}
			continue
		}
		for c, qc := range q.target(y) {
			row[c] = entry(qc)
		}
		q.restore(y)
	}
}

// coefficient returns what the loss of a row that counts is times its
// -logp[y], without smoothing.
func (s *settings) coefficient(row, y int) float64 {
	return float64(s.classWeightAt(y) * s.sampleWeightAt(row))
}

// hardLoss returns coef·(-logp), with 0 for a coef of 0, and never -0.
func hardLoss(coef, logp float64) float64 {
	if coef == 0 {
		return 0
	}
	return kernel.Canonical(float64(coef * -logp))
}

// A smoothing holds the coefficients of a smoothed target: those that every
// class has, and what a label adds.
type smoothing struct {
	classes int
	weight  []float64  // of the classes; nil: all 1
	buffer  *[]float64 // w[c]·(e/C) of every class, or room for a chunk
	shift   int        // all of them are times 2^shift
	off     float64    // e/C
	on      float64    // (1-e) + e/C
	// One more than where the label of the last chunk is, 0 if it has none.
	labelled int
}

// newSmoothing returns the coefficients for smoothed targets of the given
// number of classes, for target and the like or, if they are to be had by chunks,
// for chunk. They serve one goroutine at a time, and are to be released.
func (s *settings) newSmoothing(classes int, byChunks bool) smoothing {
	keep, off := s.spread(classes)
	q := smoothing{classes: classes, weight: s.weight, shift: s.shift, off: off, on: keep + off}
	if byChunks {
		q.buffer = getBuffer(kernel.ChunkLen)
		if q.weight == nil {
			kernel.Fill(*q.buffer, q.off)
		}
		return q
	}
	q.buffer = getBuffer(classes)
	if s.weight == nil {
		kernel.Fill(*q.buffer, off)
		return q
	}
	copy(*q.buffer, s.weight)
	for u := range kernel.Chunks(classes) {
		kernel.ScaleTermsBy(kernel.ChunkOf(*q.buffer, u), off, 1, 1)
	}
	return q
}

// repeat makes the buffer one of so many rows of coefficients, all the same.
func (q *smoothing) repeat(rows int) {
	one := q.buffer
	q.buffer = getBuffer(rows * q.classes)
	for k := range rows {
		copy((*q.buffer)[k*q.classes:], *one)
	}
	putBuffer(one)
}

// clone returns coefficients for another goroutine, to be released.
func (q *smoothing) clone() smoothing {
	c := *q
	c.buffer = getBuffer(len(*q.buffer))
	copy(*c.buffer, *q.buffer)
	return c
}

// target returns the coefficients of label y, which hold until restore(y).
func (q *smoothing) target(y int) []float64 {
	base := (*q.buffer)[:q.classes]
	base[y] = q.weightAt(y, q.on)
	return base
}

// chunk returns the coefficients of label y for the classes of chunk u. They hold
// until the next call.
func (q *smoothing) chunk(y, u int) []float64 {
	first := u * kernel.ChunkLen
	base := *q.buffer
	switch {
	case q.weight != nil:
		base = base[:copy(base, q.weight[first:])]
		kernel.ScaleTermsBy(base, q.off, 1, 1)
	case q.labelled > 0:
		base[q.labelled-1] = q.off
		q.labelled = 0
	}
	base = base[:min(kernel.ChunkLen, q.classes-first)]
	if k := y - first; k >= 0 && k < len(base) {
		base[k] = q.weightAt(y, q.on)
		q.labelled = k + 1
	}
	return base
}

// weightAt returns v times the weight of class y.
func (q *smoothing) weightAt(y int, v float64) float64 {
	if q.weight == nil {
		return v
	}
	return float64(q.weight[y] * v)
}

// loss returns the loss of a row with a sample weight that is not 0, for the sum
// of its log-probabilities times these coefficients.
func (q *smoothing) loss(sampleWeight float64, sum kernel.Accumulator) float64 {
	return scaledProduct(sampleWeight, sum.Value(), -q.shift)
}

// sum returns the sum of the coefficients of any label, for weights that are
// all 1: on and all others off.
func (q *smoothing) sum() kernel.Accumulator { return kernel.SumOfEqual(q.on, q.off, q.classes-1) }

// fill sets n slices of a tile, and those left of the last group, to the
// coefficients of no label.
func (q *smoothing) fill(t *kernel.Tile, n int) {
	for c, v := range *q.buffer {
		kernel.Fill(t[c*kernel.Width:][:kernel.GroupsFor(n)*kernel.Group], v)
	}
}

// packOnto sets the slices of a tile that fill has set to the coefficients of
// classes, of which -1 is none, for weights of classes that are 1 where there are
// none.
func (q *smoothing) packOnto(t *kernel.Tile, classes []int64, weights *[kernel.FewCols]float64) {
	for k, y := range classes {
		// Whatever is in the place of -1, nothing comes of it.
		y &= kernel.FewCols - 1
		t[int(y)*kernel.Width+k] = float64(weights[y] * q.on)
	}
}

// unpack undoes packOnto.
func (q *smoothing) unpack(t *kernel.Tile, classes []int64, weights *[kernel.FewCols]float64) {
	for k, y := range classes {
		y &= kernel.FewCols - 1
		t[int(y)*kernel.Width+k] = float64(weights[y] * q.off)
	}
}

// restore undoes target(y).
func (q *smoothing) restore(y int) {
	(*q.buffer)[y] = q.weightAt(y, q.off)
}

// release gives the coefficients back.
func (q *smoothing) release() { putBuffer(q.buffer) }
