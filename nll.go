// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"

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
func NLL(logp mat.Matrix, target []int, opts *Options) (loss Loss, err error) {
	if loss.setSmallNLL(logp, target, opts) {
		return loss, nil
	}
	w := workspaces.Get().(*workspace)
	t := &w.nll
	if !t.x.smallDense(logp) || len(target) != t.x.rows {
		checkLabelled("NLL", "logp", logp, target)
		t.x = newSource(logp)
	}
	err = t.settings.resolveLabels("NLL", opts, target, t.x.rows, t.x.cols, false)
	if err == nil {
		w.runNLL(&loss, nil, target)
	}
	w.endNLL()
	return loss, err
}

// setSmallNLL sets l to what NLL returns and reports true, for a call that is so
// small that to look at all of what it may be takes longer: of few rows that all
// count, with smoothing and no other option.
func (l *Loss) setSmallNLL(logp mat.Matrix, target []int, opts *Options) bool {
	if opts == nil || !(opts.LabelSmoothing >= leastUnscaled && opts.LabelSmoothing <= 1) ||
		opts.Weight != nil || opts.SampleWeight != nil || len(opts.Ignore) > 0 {
		return false
	}
	var x source
	var losses [32]float64
	if len(target) > len(losses) || !x.smallDense(logp) || x.rows != len(target) || x.cols > kernel.ChunkLen || !areClasses(target, x.cols) {
		return false
	}
	off := opts.LabelSmoothing / float64(x.cols)
	kernel.SmoothedLosses(losses[:x.rows], x.raw.Data, x.raw.Stride, x.cols, target, off, (1-opts.LabelSmoothing)+off)
	var sum kernel.ExactSum
	sum.AddAll(losses[:x.rows])
	l.Sum, l.sum = sum.Split()
	l.Weight, l.Rows, l.unjudged = float64(x.rows), x.rows, x.rows
	return true
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
	w := workspaces.Get().(*workspace)
	defer w.endNLL()
	w.nll.x = newSource(logp)
	if err := w.nll.settings.resolveLabels("NLLEach", opts, target, rows, cols, false); err != nil {
		return nil, err
	}
	dst = prepareSlice(dst, rows)
	w.runNLL(new(Loss), dst, target)
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
	w := workspaces.Get().(*workspace)
	defer w.endNLL()
	w.nll.x = newSource(logp)
	if err := w.nll.settings.resolveLabels("NLLGrad", opts, target, rows, cols, true); err != nil {
		return Loss{}, err
	}
	// All of the loss first: dst may be where logp is kept.
	var loss Loss
	w.runNLL(&loss, nil, target)
	w.nll.gradient(w, sizeDst(dst, rows, cols))
	return loss, nil
}

// An nllTask is the loss of a batch of log-probabilities. Its units, with
// smoothing, are groups of rows.
type nllTask struct {
	settings settings
	x        source
	target   []int
	each     []float64 // may be nil

	// The coefficients of smoothed targets: those of rows of more than a chunk, for
	// units to clone; of others with class weights, those of all classes but the
	// label, and of the label.
	coefficients smoothing
	off, on      []float64
	buffer       []float64 // of coefficients
	sums         []kernel.ExactSum
}

// runNLL sets loss to the Loss of w.nll, and each, if it is not nil, to the losses
// of the rows.
func (w *workspace) runNLL(loss *Loss, each []float64, target []int) {
	t := &w.nll
	t.target, t.each = target, each
	var weight kernel.ExactSum
	ignored := t.settings.addLossWeight(&weight, target)
	group := t.x.together(groupRows(t.x.cols))
	sum := new(kernel.ExactSum)
	switch units := (t.x.rows-1)/group + 1; {
	case t.settings.smoothing == 0:
		t.hard(w)
		sum = w.sum.Total()
	case units == 1:
		t.setCoefficients()
		t.rows(w, &t.coefficients, 0, t.x.rows)
		sum = w.sum.Total()
	default:
		t.setCoefficients()
		t.sums = grow(t.sums, units)
		if t.x.kind == sourceForeign {
			// At is for this goroutine alone.
			for u := range units {
				t.do(w, u)
			}
		} else {
			w.run(t, units, elements(t.x.rows, t.x.cols))
		}
		for u := range t.sums {
			sum.Merge(&t.sums[u])
		}
	}
	loss.set(sum, &weight, t.x.rows, ignored)
}

// endNLL gives w back, without the caller's storage.
func (w *workspace) endNLL() {
	buffer, sums := kept(w.nll.buffer), kept(w.nll.sums)
	w.nll = nllTask{}
	w.nll.buffer, w.nll.sums = buffer, sums
	w.release()
}

// hard adds up the losses without smoothing.
func (t *nllTask) hard(w *workspace) {
	w.sum.Reset()
	s, losses := &t.settings, w.labels.Loss[:]
	for begin := 0; begin < len(t.target); begin += len(losses) {
		panel := t.target[begin:min(begin+len(losses), len(t.target))]
		for k, y := range panel {
			l := 0.0
			if s.counts(begin+k, y) {
				if c := s.coefficient(begin+k, y); c != 0 {
					l = hardLoss(c, t.x.at(begin+k, y))
				}
			}
			losses[k] = l
		}
		w.sum.AddPanel(losses[:len(panel)])
		if t.each != nil {
			copy(t.each[begin:], losses[:len(panel)])
		}
	}
}

// setCoefficients sets those of smoothed targets.
func (t *nllTask) setCoefficients() {
	s, cols := &t.settings, t.x.cols
	if cols > kernel.ChunkLen {
		t.coefficients.set(s, &t.buffer, cols, s.byChunks(&t.x))
		return
	}
	keep, off := s.spread(cols)
	t.coefficients = smoothing{off: off, on: keep + off}
	if s.weight == nil {
		return
	}
	n := kernel.GroupsFor(cols) * kernel.Group
	t.buffer = grow(t.buffer, 2*n)
	t.off, t.on = t.buffer[:n], t.buffer[n:]
	for _, q := range [][]float64{t.off, t.on} {
		clear(q[copy(q, s.weight):])
	}
	kernel.ScaleTermsBy(t.off, off, 1, 1)
	kernel.ScaleTermsBy(t.on, keep+off, 1, 1)
}

// do adds up a group of losses with smoothing.
func (t *nllTask) do(w *workspace, unit int) {
	q := t.coefficients
	if t.x.cols > kernel.ChunkLen {
		q = q.clone(&w.coefficients)
	}
	group := t.x.together(groupRows(t.x.cols))
	begin := unit * group
	t.rows(w, &q, begin, min(group, t.x.rows-begin))
	t.sums[unit] = *w.sum.Total()
}

// rows sets w.sum to the losses, with smoothing, of n rows from row begin.
func (t *nllTask) rows(w *workspace, q *smoothing, begin, n int) {
	cols := t.x.cols
	w.sum.Reset()
	if t.settings.byChunks(&t.x) {
		for i := range n {
			t.doLong(w, q, begin+i)
		}
		return
	}
	var data []float64
	var stride int
	switch t.x.kind {
	case sourceDense:
		data, stride = t.x.panel(nil, begin, n)
	case sourceTransposed:
		w.rowsIn = grow(w.rowsIn, n*t.x.blockStride(cols))
		data, stride = t.x.panel(w.rowsIn, begin, n)
	case sourceForeign:
		// Row by row: one that does not count is not read.
		w.rowsIn = grow(w.rowsIn, cols)
		data = w.rowsIn
	}
	if cols <= kernel.ChunkLen {
		t.several(w, data, stride, begin, n)
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
}

// doLong is do for one long row.
func (t *nllTask) doLong(w *workspace, q *smoothing, i int) {
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

// several adds up the losses of n rows from row begin, of one chunk. They are data,
// but of a matrix that is foreign, whose rows are copied there one by one.
func (t *nllTask) several(w *workspace, data []float64, stride, begin, n int) {
	s, cols := &t.settings, t.x.cols
	all := s.sampleWeight == nil && s.ignored.none()
	counts := func(i int) bool { return s.counts(i, t.target[i]) }
	step := min(kernel.Width, kernel.PieceLen/cols&^(kernel.Group-1))
	for i := 0; i < n; i += step {
		losses := w.losses[:min(step, n-i)]
		first := begin + i
		switch {
		case t.x.kind == sourceForeign:
			for k := range losses {
				if counts(first + k) {
					t.x.panel(data, first+k, 1)
					t.smoothed(losses[k:][:1], data, cols, first+k)
				}
			}
		case all || cols <= kernel.FewCols:
			// A row of few classes takes no longer than to find out whether it counts.
			t.smoothed(losses, data[i*stride:], stride, first)
		default:
			eachRun(len(losses), func(k int) bool { return counts(first + k) }, func(k, rows int) {
				t.smoothed(losses[k:][:rows], data[(i+k)*stride:], stride, first+k)
			})
		}
		if !all || s.shift != 0 {
			s.countLosses(losses, t.target[first:], first)
		}
		w.sum.AddPanel(losses)
		if t.each != nil {
			copy(t.each[first:], losses)
		}
	}
}

// smoothed sets losses to those of rows from row i on, which are x, as if they
// counted, with a sample weight of 1, and times 2^shift.
func (t *nllTask) smoothed(losses, x []float64, stride, i int) {
	if t.off != nil {
		kernel.WeightedSmoothedLosses(losses, x, stride, t.x.cols, t.target[i:], t.off, t.on)
	} else {
		kernel.SmoothedLosses(losses, x, stride, t.x.cols, t.target[i:], t.coefficients.off, t.coefficients.on)
	}
}

// countLosses turns what smoothed made of rows from row i on, with these targets,
// into their losses.
func (s *settings) countLosses(losses []float64, target []int, i int) {
	for k, y := range target[:len(losses)] {
		l, out := losses[k], s.ignored.one(y)
		if s.sampleWeight != nil || s.shift != 0 {
			v := s.sampleWeightAt(i + k)
			if v == 0 {
				out = 1
			}
			if s.shift == 0 {
				l = kernel.Canonical(float64(v * l))
			} else {
				l = scaledProduct(v, l, -s.shift)
			}
		}
		losses[k] = unless(out, l)
	}
}

// gradient sets dst to the gradient.
func (t *nllTask) gradient(w *workspace, dst blas64.General) {
	s := &t.settings
	var weight kernel.ExactSum
	s.addLossWeight(&weight, t.target)
	divisor := newDivisor(s.reduction, &weight)
	var q smoothing
	if s.smoothing > 0 {
		q.set(s, &w.coefficients, dst.Cols, dst.Cols > kernel.ChunkLen)
	}
	for i, y := range t.target {
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
			p := float64(q * sw)
			if size := math.Abs(p); q != 0 && !(size >= 0x1p-1022 && size <= math.MaxFloat64) {
				// What leaves the range before it is divided need not do so after.
				return 0 - float64(q*divisor.over(sw))
			}
			return 0 - divisor.over(p)
		}
		if s.weight == nil {
			// All classes but the label have the same.
			fillRow(row, entry(q.off))
			row[y] = entry(q.on)
			continue
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

// set sets q to the coefficients for smoothed targets of the given number of
// classes, for target and the like or, if they are to be had by chunks, for chunk.
// They are kept in buffer, and serve one goroutine at a time.
func (q *smoothing) set(s *settings, buffer *[]float64, classes int, byChunks bool) {
	keep, off := s.spread(classes)
	*q = smoothing{classes: classes, weight: s.weight, buffer: buffer, shift: s.shift, off: off, on: keep + off}
	if byChunks {
		*buffer = grow(*buffer, kernel.ChunkLen)
		if q.weight == nil {
			kernel.Fill(*buffer, q.off)
		}
		return
	}
	*buffer = grow(*buffer, classes)
	if s.weight == nil {
		kernel.Fill(*buffer, off)
		return
	}
	copy(*buffer, s.weight)
	for u := range kernel.Chunks(classes) {
		kernel.ScaleTermsBy(kernel.ChunkOf(*buffer, u), off, 1, 1)
	}
}

// repeat makes the buffer one of so many rows of coefficients, all the same.
func (q *smoothing) repeat(rows int) {
	one := *q.buffer
	*q.buffer = grow(one, rows*q.classes)
	for k := range rows {
		copy((*q.buffer)[k*q.classes:], one)
	}
}

// clone returns coefficients for another goroutine, in another buffer.
func (q *smoothing) clone(buffer *[]float64) smoothing {
	c := *q
	*buffer = append((*buffer)[:0], *q.buffer...)
	c.buffer = buffer
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
