// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"runtime"

	"example.org/logsoftmax/internal/kernel"
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
// CrossEntropy panics, in this order: with a string if logits is nil or has
// less storage than its shape; with mat.ErrZeroLength if it is empty; and with
// mat.ErrShape if target has not one label for each row, a Weight not one
// number for each class, or a SampleWeight not one for each row. It then
// returns a *ValueError for the first option, in their order, whose value is
// not allowed, and else a *TargetError for the first label that is neither in
// [0, C) nor ignored; the Loss is then zero.
//
// See Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception
// Architecture for Computer Vision, CVPR 2016, for label smoothing.
func CrossEntropy(logits mat.Matrix, target []int, opts *Options) (loss Loss, err error) {
	_, err = crossEntropy(&loss, "CrossEntropy", output{}, logits, target, opts)
	return loss, err
}

// CrossEntropyEach sets dst[i] to the loss of row i, the l[i] of CrossEntropy,
// which is 0 for a row that does not count, and returns dst. A nil dst is
// allocated; any other must have length N, and must not overlap another
// argument.
//
// It panics and returns errors as CrossEntropy does, and panics with
// mat.ErrShape, after that for target, if dst is neither nil nor of length N.
// On an error it returns nil, and dst is not written.
func CrossEntropyEach(dst []float64, logits mat.Matrix, target []int, opts *Options) ([]float64, error) {
	return crossEntropy(new(Loss), "CrossEntropyEach", output{each: dst, wantsEach: true}, logits, target, opts)
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
// smoothing: w[y] for the label and 0 for all others) and Q = Σ_c q[c]. Where p
// is close to 1 it is computed as p·(Q-q) - q·(1-p), with 1-p as the sum of the
// other probabilities, so that the gradient of a confident row keeps its
// digits: for the sum without weights and smoothing it is within 4 ulp.
//
// The gradient is 0 in the rows that do not count, and everywhere if the mean
// is asked for and Weight is 0. It is NaN in a row whose log-probabilities are
// NaN, unless all its coefficients are 0. No element is -0.
//
// An empty dst is sized; any other must be N×C. dst may be logits itself, or
// any matrix on exactly its region; other overlap panics where it can be seen.
//
// CrossEntropyGrad panics and returns errors as CrossEntropy does. It also
// panics with a string if dst is nil or has less storage than its shape, before
// all else; with mat.ErrShape if dst is neither empty nor N×C, and with a
// string if it shares an element with logits and is not its region, both after
// the shape of target; and, after the lengths of the options, with a string if
// opts.Reduction is neither Mean nor Sum. It returns a *ValueError also for a
// negative sample weight with Mean, whose denominator would mean nothing. On an
// error dst is neither sized nor written.
func CrossEntropyGrad(dst *mat.Dense, logits mat.Matrix, target []int, opts *Options) (loss Loss, err error) {
	_, err = crossEntropy(&loss, "CrossEntropyGrad", output{grad: dst, wantsGrad: true}, logits, target, opts)
	return loss, err
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
// distributions divides by the number of rows. Correct is 0, and Accuracy NaN:
// which class would be right is not for a distribution to say, where two have
// the same share, or where it is a mixture of the labels of two rows.
//
// A term whose coefficient q[c] is 0 is 0, whatever the logit. Otherwise the
// loss of a row with a NaN or +Inf, or of -Inf only, is NaN, and a logit of
// -Inf costs +Inf.
//
// SoftCrossEntropy panics, in this order: with a string if logits or target is
// nil or has less storage than its shape; with mat.ErrZeroLength if logits is
// empty; and with mat.ErrShape if target is not of the shape of logits, a
// Weight has not one number for each class, or a SampleWeight not one for each
// row. It then returns a *ValueError for the first option, in their order,
// whose value is not allowed, and else for the first target, by rows, that is
// negative or not finite; the Loss is then zero.
func SoftCrossEntropy(logits, target mat.Matrix, opts *Options) (loss Loss, err error) {
	_, err = softCrossEntropy(&loss, "SoftCrossEntropy", output{}, logits, target, opts)
	return loss, err
}

// SoftCrossEntropyEach sets dst[i] to the loss of row i, the l[i] of
// SoftCrossEntropy, which is 0 for a row that does not count, and returns dst.
// A nil dst is allocated; any other must have length N, and must not overlap
// another argument.
//
// It panics and returns errors as SoftCrossEntropy does, and panics with
// mat.ErrShape, after that for target, if dst is neither nil nor of length N.
// On an error it returns nil, and dst is not written.
func SoftCrossEntropyEach(dst []float64, logits, target mat.Matrix, opts *Options) ([]float64, error) {
	return softCrossEntropy(new(Loss), "SoftCrossEntropyEach", output{each: dst, wantsEach: true}, logits, target, opts)
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
// within 4 ulp of the larger of p·(Q-q) and q·(1-p), whose difference it is,
// and with smoothing, which rounds the coefficients, within 8.
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
// also panics with a string if dst is nil or has less storage than its shape,
// before all else; with mat.ErrShape if dst is neither empty nor N×C, and with
// a string if it shares an element with logits or target and is not the region
// of that one, both after the shape of target; and, after the lengths of the
// options, with a string if opts.Reduction is neither Mean nor Sum. It returns
// a *ValueError also for a negative sample weight with Mean, whose denominator
// would mean nothing. On an error dst is neither sized nor written.
func SoftCrossEntropyGrad(dst *mat.Dense, logits, target mat.Matrix, opts *Options) (loss Loss, err error) {
	_, err = softCrossEntropy(&loss, "SoftCrossEntropyGrad", output{grad: dst, wantsGrad: true}, logits, target, opts)
	return loss, err
}

// An output is what a function gives beside the Loss.
type output struct {
	grad      *mat.Dense // of the Grad functions, else nil
	wantsGrad bool
	each      []float64 // of the Each functions, where nil is to be allocated
	wantsEach bool
}

// checkGrad is checkDense of the gradient.
func (o *output) checkGrad(fn string) {
	if o.wantsGrad {
		checkDense(fn, "dst", o.grad)
	}
}

// check checks the output of the function named fn against its inputs, matrices
// of rows and cols.
func (o *output) check(fn string, rows, cols int, inputs ...argument) {
	if o.wantsEach {
		checkSlice(o.each, rows)
	}
	if o.grad != nil {
		checkDst(fn, "dst", o.grad, rows, cols, inputs...)
	}
}

// small is the short way in: it sets x to the source of an input of which there
// is nothing more to check, nor of the output beside it, whose storage it sets
// dst to, and reports whether that is so, and whether the output is in place of
// the input.
func (o *output) small(x *source, input mat.Matrix, dst *blas64.General) (inPlace, ok bool) {
	ok = x.smallDense(input)
	if ok && o.wantsGrad {
		inPlace, ok = smallDst(dst, o.grad, &x.raw)
	}
	return inPlace, ok && (o.each == nil || len(o.each) == x.rows)
}

// crossEntropy is the functions with labels. It sets loss, which is zero: the
// result of its caller, for to copy a Loss takes as long as some rows do.
func crossEntropy(loss *Loss, fn string, out output, logits mat.Matrix, target []int, opts *Options) (each []float64, err error) {
	w := workspaces.Get().(*workspace)
	t := &w.entropy
	inPlace, small := out.small(&t.logits, logits, &t.out)
	if !small || len(target) != t.logits.rows {
		out.checkGrad(fn)
		rows, cols := checkLabelled(fn, "logits", logits, target)
		out.check(fn, rows, cols, argument{"logits", logits})
		t.logits = newSource(logits)
		inPlace = out.grad != nil && sameRegion(out.grad, logits)
	}
	if err := t.settings.resolveLabels(fn, opts, target, t.logits.rows, t.logits.cols, out.grad != nil); err != nil {
		w.endEntropy()
		return nil, err
	}
	t.target, t.inPlace = target, inPlace
	t.setOutput(&out)
	var weight kernel.ExactSum
	ignored := t.settings.addLossWeight(&weight, target)
	return w.runEntropy(loss, &weight, ignored), nil
}

// softCrossEntropy is the functions with distributions.
func softCrossEntropy(loss *Loss, fn string, out output, logits, target mat.Matrix, opts *Options) (each []float64, err error) {
	w := workspaces.Get().(*workspace)
	t := &w.entropy
	x, soft := &t.logits, &t.soft
	inPlace, small := out.small(x, logits, &t.out)
	softInPlace, softSmall := out.small(soft, target, &t.out)
	if !small || !softSmall || soft.rows != x.rows || soft.cols != x.cols {
		out.checkGrad(fn)
		checkMatrix(fn, "logits", logits)
		checkMatrix(fn, "target", target)
		rows, cols := checkNotEmpty(logits)
		checkShape(target, rows, cols)
		out.check(fn, rows, cols, argument{"logits", logits}, argument{"target", target})
		*x, *soft = newSource(logits), newSource(target)
		inPlace = out.grad != nil && sameRegion(out.grad, logits)
		softInPlace = out.grad != nil && sameRegion(out.grad, target)
	}
	err = t.settings.resolve(fn, opts, x.rows, x.cols, out.grad != nil)
	if err == nil {
		err = t.settings.checkSoftTargets(soft)
	}
	if err == nil {
		err = t.settings.checkSoftProducts(soft)
	}
	if err != nil {
		w.endEntropy()
		return nil, err
	}
	t.inPlace = inPlace || softInPlace
	t.setOutput(&out)
	var weight kernel.ExactSum
	ignored := t.settings.addSoftLossWeight(&weight, x.rows)
	return w.runEntropy(loss, &weight, ignored), nil
}

// An entropy is the loss of a batch of logits, and its gradient where out has
// storage. Its units are groups of rows, each with a sum of its own, which
// depend on the number of classes alone.
type entropy struct {
	settings settings
	logits   source
	target   []int  // labels,
	soft     source // or where they are nil, distributions
	out      blas64.General
	inPlace  bool // out is where logits or soft are
	each     []float64
	// The gradient is divided by divisor; 0 makes it zero.
	divisor divisor
	// plain is that every row counts, with weight 1.
	plain bool

	sums    []kernel.ExactSum
	correct []int
}

// endEntropy gives w back, without the caller's storage.
func (w *workspace) endEntropy() {
	sums, correct := kept(w.entropy.sums), kept(w.entropy.correct)
	w.entropy = entropy{}
	w.entropy.sums, w.entropy.correct = sums, correct
	w.release()
}

// setOutput sizes or allocates the output, now that nothing more can go wrong,
// unless its storage is known.
func (t *entropy) setOutput(out *output) {
	if out.wantsEach {
		t.each = prepareSlice(out.each, t.logits.rows)
	}
	if out.grad != nil && t.out.Data == nil {
		t.out = sizeDst(out.grad, t.logits.rows, t.logits.cols)
	}
}

// runEntropy sets loss, of the given weight and number of rows that do not count,
// computes whatever else w.entropy asks for, and ends it. It returns the losses
// of the rows where these are wanted.
func (w *workspace) runEntropy(loss *Loss, weight *kernel.ExactSum, ignored int) (each []float64) {
	t := &w.entropy
	rows := t.logits.rows
	t.divisor = newDivisor(t.settings.reduction, weight)
	t.plain = t.settings.weight == nil && t.settings.sampleWeight == nil && ignored == 0
	correct := 0
	if ignored == rows {
		// Nothing is to be read.
		t.clear()
		loss.set(new(kernel.ExactSum), weight, rows, ignored)
	} else if t.isOneUnit() {
		correct = t.rows(w, 0, rows)
		loss.set(w.sum.Total(), weight, rows, ignored)
	} else {
		size := t.unitRows()
		t.runUnits(w, (rows+size-1)/size)
		var sum kernel.ExactSum
		for u := range t.sums {
			sum.Merge(&t.sums[u])
			correct += t.correct[u]
		}
		loss.set(&sum, weight, rows, ignored)
	}
	if t.target != nil {
		loss.judge(correct)
	}
	each = t.each
	w.endEntropy()
	return each
}

// clear sets what is asked for to what rows have that do not count.
func (t *entropy) clear() {
	clear(t.each)
	for i := 0; t.out.Data != nil && i < t.out.Rows; i++ {
		clearRow(t.out.Data[i*t.out.Stride:][:t.out.Cols])
	}
}

// runUnits does so many units.
func (t *entropy) runUnits(w *workspace, units int) {
	rows, cols := t.logits.rows, t.logits.cols
	t.sums, t.correct = grow(t.sums, units), grow(t.correct, units)
	switch {
	case t.logits.kind == sourceForeign || t.soft.m != nil && t.soft.kind == sourceForeign:
		// At is for this goroutine alone.
		for u := range units {
			t.do(w, u)
		}
	case t.spreads():
		w.spread = true
		for u := range units {
			t.do(w, u)
		}
		w.spread = false
	default:
		w.run(t, units, elements(rows, cols))
	}
}

// spreads is spreads for the rows of t. Where all classes have coefficients, some
// of the work on a row is for one goroutine, and as many rows at once gain more.
func (t *entropy) spreads() bool {
	rows, procs := t.logits.rows, runtime.GOMAXPROCS(0)
	if !spreads(rows, t.logits.cols) || t.target != nil && t.settings.smoothing == 0 {
		return spreads(rows, t.logits.cols)
	}
	// What spreading gains if a quarter of the work is not shared, beside what
	// goroutines with rows of their own do.
	rounds := (rows + procs - 1) / procs
	return 4*procs*rounds > rows*(procs+3)
}

// isOneUnit reports whether all rows are a unit, for one goroutine.
func (t *entropy) isOneUnit() bool {
	rows, cols := t.logits.rows, t.logits.cols
	// Of a small call that is seen without a division.
	return max(rows, cols) <= smallWork && rows*cols <= smallWork || rows <= t.unitRows() && cols < hugeRow
}

// byColumns reports whether rows are worked on as the columns of storage that they
// are: those of transposes of more than a few classes, of which nothing need be
// written. They take a vector of columns.
func (t *entropy) byColumns() bool {
	return t.logits.kind == sourceTransposed && t.logits.cols > kernel.FewCols && t.logits.rows >= kernel.Group &&
		t.out.Data == nil && t.target != nil && t.settings.smoothing == 0
}

// unitRows is how many rows a unit has.
func (t *entropy) unitRows() int {
	if t.byColumns() {
		if t.logits.cols > kernel.ChunkLen {
			return tileWidth(t.logits.cols)
		}
		return max(kernel.Width, groupRows(t.logits.cols))
	}
	return t.soft.together(t.logits.together(groupRows(t.logits.cols)))
}

// do computes a group of rows.
func (t *entropy) do(w *workspace, unit int) {
	size := t.unitRows()
	begin := unit * size
	t.correct[unit] = t.rows(w, begin, min(size, t.logits.rows-begin))
	t.sums[unit] = *w.sum.Total()
}

// rows computes n rows from row begin. It sets w.sum to the sum of their losses,
// and returns how many are correct.
func (t *entropy) rows(w *workspace, begin, n int) (correct int) {
	b := batch{task: t, work: w, begin: begin}
	w.sum.Reset()
	if t.byColumns() {
		b.labelledColumns(n)
		return b.correct
	}
	if isLong(t.logits.cols) || t.hasSmoothedLabels() && !t.inPlace && t.settings.byChunks(&t.logits) {
		b.long(n)
		return b.correct
	}
	b.x, b.stride = t.panelOf(&t.logits, &w.rowsIn, begin, n)
	if t.target == nil || t.settings.smoothing != 0 {
		b.weighted(n)
		return b.correct
	}
	if t.settings.weight != nil && t.sideBySide(n) {
		w.setClassWeights(t.settings.weight)
	}
	for i, rows := 0, 0; i < n; i += rows {
		rows = nextRows(n-i, t.logits.cols)
		switch {
		case b.labelAtOnce(i, rows):
		case t.sideBySide(rows):
			b.labelledFew(i, rows)
		case several(t.logits.cols):
			b.labelledSeveral(i, rows)
		default:
			b.labelled(i, rows)
		}
	}
	return b.correct
}

// panelOf returns rows i to i+n of s, which buf, grown, is for. Of a matrix of
// which only At is known it leaves those out that do not count, as 0.
func (t *entropy) panelOf(s *source, buf *[]float64, i, n int) (data []float64, stride int) {
	if s.needsBuffer() {
		*buf = grow(*buf, n*s.blockStride(s.cols))
	}
	if s.kind != sourceForeign {
		return s.panel(*buf, i, n)
	}
	for k := range n {
		row := (*buf)[k*s.cols:][:s.cols]
		if t.counts(i + k) {
			s.panel(row, i+k, 1)
		} else {
			clear(row)
		}
	}
	return *buf, s.cols
}

// counts reports whether row i counts.
func (t *entropy) counts(i int) bool {
	if t.target == nil {
		return t.settings.countsSoft(i)
	}
	return t.settings.counts(i, t.target[i])
}

// A batch is a group of rows in work.
type batch struct {
	task    *entropy
	work    *workspace
	begin   int // the first row
	x       []float64
	stride  int
	correct int
	// scaledDown is that a long row in work has coefficients of softScaledDown.
	scaledDown bool
}

// row returns row i of the group.
func (b *batch) row(i int) []float64 { return b.x[i*b.stride:][:b.task.logits.cols] }

// rowAfter and resultAfter are row and result, which may be of the next
// group, or nil where there is none.
func (b *batch) rowAfter(i int) []float64 {
	if b.task.logits.kind != sourceDense {
		return nil
	}
	return rowAfter(b.task.logits.raw.Data, b.task.logits.raw.Stride, b.task.logits.rows, b.task.logits.cols, b.begin+i)
}

func (b *batch) resultAfter(i int) []float64 {
	if b.begin+i >= b.task.logits.rows {
		return nil
	}
	return b.result(i)
}

// result returns row i of the gradient, nil where none is asked for.
func (b *batch) result(i int) []float64 {
	if b.task.out.Data == nil {
		return nil
	}
	return b.task.out.Data[(b.begin+i)*b.task.out.Stride:][:b.task.out.Cols]
}

// add takes in the loss of row i.
func (b *batch) add(i int, l float64) {
	b.work.sum.Add(l)
	if b.task.each != nil {
		b.task.each[b.begin+i] = l
	}
}

// sideBySide is sideBySide for rows whose numbers stay in range.
func (t *entropy) sideBySide(n int) bool {
	return sideBySide(n, t.logits.cols) && t.settings.shift == 0 && t.divisor.scaled == 0
}
