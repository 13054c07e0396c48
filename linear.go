// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"sync"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// LinearCrossEntropy returns the cross-entropy of the logits of a linear
// layer, x·wᵀ + b, against the labels target: softmax regression, and the last
// layer of a classifier or of a language model. x is N samples by D features,
// w is C classes by D features, and b has length C or is nil for none.
//
//	logits[i,c] = Σ_d x[i,d]·w[c,d] + b[c]
//	l[i] = -w[y]·s[i]·(logits[i,y] - log Σ_k e^logits[i,k])    y = target[i]
//
// It is CrossEntropy of those logits, bit for bit and for all options, but no
// N×C matrix is made: some rows are done at a time, in no more than 4 MB for
// each goroutine, or with smoothing three rows of C numbers where that is more.
//
// A logit is a chain of fused multiply-adds from +0 over the features in their
// order, to which then b[c] is added. So its bits depend on its row of x, its
// row of w and b[c] alone: not on the other rows, on how a batch is split, on
// GOMAXPROCS or the processor. gonum's Mul and the BLAS behind other libraries
// do not promise that. The accuracy that CrossEntropy states is that for the
// logits so computed.
//
// A row whose label is in opts.Ignore, or whose sample weight is 0, does not
// count and is not read: whatever x holds there, its loss is 0. NaN and ±Inf
// in other rows of x, in w and in b make logits as IEEE 754 has it, so that 0
// times Inf is NaN, and these count as CrossEntropy documents.
//
// LinearCrossEntropy panics, in this order: with a string if x or w is nil or
// has less storage than its shape; with mat.ErrZeroLength if x or w is empty;
// and with mat.ErrShape if w has not as many columns as x, b is neither nil nor
// of length C, target has not one label for each row, a Weight not one number
// for each class, or a SampleWeight not one for each row. It then returns a
// *ValueError for the first option, in their order, whose value is not allowed,
// and else a *TargetError for the first label that is neither in [0, C) nor
// ignored; the Loss is then zero.
func LinearCrossEntropy(x, w mat.Matrix, b []float64, target []int, opts *Options) (Loss, error) {
	loss, _, err := linearCrossEntropy("LinearCrossEntropy", linearOutput{}, x, w, b, target, opts)
	return loss, err
}

// LinearCrossEntropyEach sets dst[i] to the loss of row i, the l[i] of
// LinearCrossEntropy, which is 0 for a row that does not count, and returns
// dst. With nil opts the loss is minus the log-probability of the label: of the
// next word, say, for the hidden states of a language model. A nil dst is
// allocated; any other must have length N, and must not overlap another
// argument.
//
// It panics and returns errors as LinearCrossEntropy does, and panics with
// mat.ErrShape, after that for target, if dst is neither nil nor of length N.
// On an error it returns nil, and dst is not written.
func LinearCrossEntropyEach(dst []float64, x, w mat.Matrix, b []float64, target []int, opts *Options) ([]float64, error) {
	_, each, err := linearCrossEntropy("LinearCrossEntropyEach", linearOutput{each: dst, wantsEach: true}, x, w, b, target, opts)
	return each, err
}

// LinearGrad is where LinearCrossEntropyGrad puts the gradients with respect
// to x, w and b. Those that are nil are not computed; an X or W that is empty is
// sized.
type LinearGrad struct {
	X *mat.Dense // N×D
	W *mat.Dense // C×D
	B []float64  // of length C
}

// LinearCrossEntropyGrad sets the fields of dst that are not nil to the
// gradients, with respect to x, w and b, of the Mean of the losses, or with
// opts.Reduction Sum of their sum, and returns the Loss that
// LinearCrossEntropy returns. With G the N×C gradient that CrossEntropyGrad
// computes for the logits x·wᵀ + b,
//
//	dst.X[i,d] = Σ_c G[i,c]·w[c,d]
//	dst.W[c,d] = Σ_i G[i,c]·x[i,d]
//	dst.B[c]   = Σ_i G[i,c]
//
// Every sum is a chain of fused multiply-adds from +0 in the order of its
// index, over the rows that count in the sums over i. So the gradients have
// the same bits whatever the number of goroutines and the processor, and a row
// of dst.X whatever the other rows; but for the division by Weight of the Mean,
// which is every row's. Where no row counts they are 0, and in dst.X so are
// the rows that do not count. No element is -0.
//
// An empty dst.X or dst.W is sized; any other must have the shape of x or w.
// dst.B must have length C. dst.X may be x itself, or any matrix on exactly its
// region. Otherwise what is written must not overlap anything that is read or
// written; where that can be seen of matrices and dst.B, it panics.
//
// LinearCrossEntropyGrad panics and returns errors as LinearCrossEntropy does.
// It also panics with a string if dst.X or dst.W has less storage than its
// shape, before all else; with mat.ErrShape if dst.B is neither nil nor of
// length C, or dst.X or dst.W neither nil nor empty nor of its shape, and with a
// string if one of them overlaps what it must not, all after the length of
// target; and, after the lengths of the options, with a string if opts.Reduction
// is neither Mean nor Sum. It returns a *ValueError also for a negative sample
// weight with Mean, whose denominator would mean nothing. On an error nothing of
// dst is sized or written.
func LinearCrossEntropyGrad(dst LinearGrad, x, w mat.Matrix, b []float64, target []int, opts *Options) (Loss, error) {
	loss, _, err := linearCrossEntropy("LinearCrossEntropyGrad", linearOutput{LinearGrad: dst, wantsGrad: true}, x, w, b, target, opts)
	return loss, err
}

// A linearOutput is what a function of a linear layer gives beside the Loss.
type linearOutput struct {
	LinearGrad
	wantsGrad bool
	each      []float64 // of the Each function, where nil is to be allocated
	wantsEach bool
}

// linearCrossEntropy is the functions of a linear layer.
func linearCrossEntropy(fn string, out linearOutput, x, w mat.Matrix, b []float64, target []int, opts *Options) (Loss, []float64, error) {
	out.checkStorage(fn)
	checkMatrix(fn, "x", x)
	checkMatrix(fn, "w", w)
	rows, features := checkNotEmpty(x)
	classes, _ := checkNotEmpty(w)
	checkShape(w, classes, features)
	checkSlice(b, classes)
	if len(target) != rows {
		panic(mat.ErrShape)
	}
	if out.wantsEach {
		checkSlice(out.each, rows)
	}
	out.check(fn, x, w, b)
	var s settings
	if err := s.resolveLabels(fn, opts, target, rows, classes, out.wantsGrad); err != nil {
		return Loss{}, nil, err
	}
	t := linears.Get().(*linear)
	t.settings, t.target = s, target
	t.x, t.w, t.b = newSource(x), newSource(w), b
	if out.wantsEach {
		t.each = prepareSlice(out.each, rows)
	}
	t.grad = out.wantsGrad
	if out.X != nil {
		t.dx = sizeDst(out.X, rows, features)
	}
	if out.W != nil {
		t.dw = sizeDst(out.W, classes, features)
	}
	t.db = out.B
	loss, each := t.run()
	return loss, each, nil
}

// checkStorage checks each matrix by itself.
func (g *LinearGrad) checkStorage(fn string) {
	if g.X != nil {
		checkDense(fn, "dst.X", g.X)
	}
	if g.W != nil {
		checkDense(fn, "dst.W", g.W)
	}
}

// check checks the shapes of g, and that nothing of it overlaps what it must
// not.
func (g *LinearGrad) check(fn string, x, w mat.Matrix, b []float64) {
	rows, features := x.Dims()
	classes, _ := w.Dims()
	checkSlice(g.B, classes)
	var dx, dw blas64.General
	db, bias := rowOf(g.B, len(g.B)), rowOf(b, len(b))
	if g.X != nil {
		dx = regionOf(g.X, rows, features)
	}
	if g.W != nil {
		dw = regionOf(g.W, classes, features)
	}
	if g.X != nil {
		checkDst(fn, "dst.X", g.X, rows, features, argument{"x", x})
	}
	apart := func(name, other string, overlap bool) {
		if overlap {
			panic(mistake(fn, name, "overlaps "+other, "none of it"))
		}
	}
	apart("dst.X", "w", overlaps(dx, w))
	apart("dst.X", "b", regionsOverlap(dx, bias))
	apart("dst.W", "x", overlaps(dw, x))
	apart("dst.W", "w", overlaps(dw, w))
	apart("dst.W", "b", regionsOverlap(dw, bias))
	apart("dst.W", "dst.X", regionsOverlap(dw, dx))
	apart("dst.B", "x", overlaps(db, x))
	apart("dst.B", "w", overlaps(db, w))
	apart("dst.B", "b", regionsOverlap(db, bias))
	apart("dst.B", "dst.X", regionsOverlap(db, dx))
	apart("dst.B", "dst.W", regionsOverlap(db, dw))
}

// linears holds what is no longer in use.
var linears = sync.Pool{New: func() any { return new(linear) }}

// A linear is the cross-entropy of a linear layer's logits. Rows are done in
// chunks, whose logits and then gradients, G, are in a buffer while what
// depends on them is computed, step by step. Goroutines share a step by its
// outputs, never by the terms of a sum.
//
// In a chunk the rows that count come one after the other, so that a product
// has no others.
type linear struct {
	settings settings
	x, w     source
	b        []float64
	target   []int
	each     []float64
	grad     bool
	dx, dw   blas64.General
	db       []float64

	// chunk is the cross-entropy of the chunk's logits, of which the first row
	// of the batch is begin. counted rows of it count.
	chunk          entropy
	begin, counted int
	// features are the rows of x that count.
	features kernel.Rows
	// summed is that dw and db hold the sums over earlier chunks.
	summed bool
	// fused is that the step of the logits goes on to their losses.
	fused bool
	// The logits in hand are those of held classes from class first on: all of
	// them, or a chunk of very many.
	first, held int

	step linearStep
	// The units of a step are units[0] blocks of rows, or of dw, by units[1] of
	// columns, of so many each.
	units, size [2]int

	logits, losses, copied, weights []float64
	counting, labels                []int // the rows that count, and their targets
	correct                         []int
	rows                            []longLogits     // those that count
	partials                        []kernel.Partial // of their chunks, row by row
}

// A linearStep is one of the steps that a chunk is computed in.
type linearStep uint8

const (
	linearLogits linearStep = iota
	linearLosses
	linearPartials
	linearGradient
	linearW // and B
	linearX
)

// release gives t back, without the caller's storage.
func (t *linear) release() {
	*t = linear{
		logits: kept(t.logits), losses: kept(t.losses), copied: kept(t.copied), weights: kept(t.weights),
		counting: kept(t.counting), labels: kept(t.labels), correct: kept(t.correct), rows: kept(t.rows), partials: kept(t.partials),
	}
	linears.Put(t)
}

// The products' blocks: rows of x that are packed together, classes whose
// logits are, features that are packed at a time, and classes that dX takes at
// a time.
const (
	linearRows     = kernel.Width
	linearClasses  = kernel.FewCols
	linearFeatures = 1024
	linearSteps    = 256
)

// Working memory, in elements: what a chunk's share of each goroutine should
// stay below to be in the second cache, and what it must.
const (
	linearCached = 1 << 16
	linearMost   = 1 << 19
)

// run computes the loss and whatever else t asks for, and ends t.
func (t *linear) run() (Loss, []float64) {
	var weight kernel.ExactSum
	ignored := t.settings.addLossWeight(&weight, t.target)
	t.chunk.settings = t.settings
	t.chunk.divisor = newDivisor(t.settings.reduction, &weight)
	rows, classes := t.x.rows, t.w.rows
	t.keepWeights()
	stride := linearStride(classes)
	chunkRows := t.chunkRows(stride)
	long := t.isLong(chunkRows)
	if long {
		stride = linearStride(kernel.ChunkLen)
		chunkRows = t.longChunkRows(stride)
	}
	chunkRows = min(rows, chunkRows)
	t.logits, t.losses = grow(t.logits, chunkRows*stride), grow(t.losses, chunkRows)

	var losses kernel.LossSum
	correct := 0
	for t.begin = 0; t.begin < rows; t.begin += chunkRows {
		n := min(chunkRows, rows-t.begin)
		t.setChunk(n, stride)
		if long {
			t.doLong(n)
		} else {
			t.doChunk(n)
		}
		for _, l := range t.chunk.each[:n] {
			losses.Add(l)
		}
		for _, c := range t.correct {
			correct += c
		}
	}
	if !t.summed {
		for i := range t.dw.Rows {
			clear(t.dw.Data[i*t.dw.Stride:][:t.dw.Cols])
		}
		clear(t.db)
	}
	sum := losses.Total()
	loss := newLoss(sum, &weight, rows, ignored)
	loss.judge(correct)
	each := t.each
	t.release()
	return loss, each
}

// linearStride returns the stride of rows of logits. Many columns of rows that
// are a power of two apart would share few sets of a cache: rows are an odd
// number of lines apart.
func linearStride(classes int) int {
	if classes <= kernel.FewCols {
		return classes
	}
	return (kernel.GroupsFor(classes) | 1) * kernel.Group
}

// keepWeights copies w, where that is small and not stored by rows.
func (t *linear) keepWeights() {
	n := elements(t.w.rows, t.w.cols)
	if t.w.kind == sourceDense || n > 2*linearCached {
		return
	}
	data, stride := t.w.block(&t.weights, 0, 0, t.w.rows, t.w.cols)
	t.w = source{rows: t.w.rows, cols: t.w.cols, raw: blas64.General{Rows: t.w.rows, Cols: t.w.cols, Stride: stride, Data: data}}
}

// chunkRows returns how many rows a chunk has, which changes no result.
func (t *linear) chunkRows(stride int) int {
	procs := t.goroutines()
	cached := procs * linearCached / (stride + t.x.cols)
	if procs > 1 {
		// There is waiting at the end of each step.
		cached *= 2
	}
	other := linearOther(t.x.cols)
	if t.settings.smoothing > 0 {
		other += 2 * stride
	}
	most := procs * max(0, linearMost-other) / (stride + t.copiedFeatures())
	n := min(max(cached, linearRows), most)
	switch {
	case n >= linearRows:
		return n / linearRows * linearRows
	case n >= kernel.Lanes:
		return n / kernel.Lanes * kernel.Lanes
	}
	return max(1, n)
}

// copiedFeatures is how many features of a row are copied.
func (t *linear) copiedFeatures() int {
	if t.x.needsBuffer() || t.settings.sampleWeight != nil || !t.settings.ignored.none() {
		return t.x.cols
	}
	return 0
}

// linearOther is how many elements a goroutine's workspace takes.
func linearOther(features int) int { return linearRows*min(features, linearFeatures) + 1<<15 }

// work is how many elements a product of n rows is worth, to tell how many
// goroutines are.
func (t *linear) work(n int) int { return elements(elements(n, t.w.rows), t.w.cols) / 16 }

// goroutines is how many goroutines there may be.
func (t *linear) goroutines() int {
	if t.w.kind == sourceForeign {
		// At is for the caller's goroutine alone.
		return 1
	}
	return goroutines(t.x.rows, t.work(t.x.rows))
}

// setChunk prepares for n rows.
func (t *linear) setChunk(n, stride int) {
	c := &t.chunk
	c.target = t.target[t.begin:][:n]
	if t.settings.sampleWeight != nil {
		c.settings.sampleWeight = t.settings.sampleWeight[t.begin:][:n]
	}
	c.each = t.losses[:n]
	if t.each != nil {
		c.each = t.each[t.begin:][:n]
	}
	c.logits = source{rows: n, cols: t.w.rows, raw: blas64.General{Rows: n, Cols: t.w.rows, Stride: stride, Data: t.logits}}
	if t.grad {
		c.out, c.inPlace = c.logits.raw, true
	}
	t.counting, t.labels = t.counting[:0], t.labels[:0]
	for i, y := range c.target {
		if c.settings.counts(i, y) {
			t.counting, t.labels = append(t.counting, i), append(t.labels, y)
		}
	}
	t.counted = len(t.counting)
	c.plain = t.settings.weight == nil && t.settings.sampleWeight == nil && t.counted == n
	t.setFeatures(n)
}

// setFeatures sets t.features.
func (t *linear) setFeatures(n int) {
	switch {
	case t.counted == n && t.x.kind == sourceDense:
		t.features = kernel.Rows{Data: t.x.raw.Data[t.begin*t.x.raw.Stride:], Stride: t.x.raw.Stride}
		return
	case t.counted == n && t.x.kind == sourceTransposed:
		data, stride := t.x.block(&t.copied, t.begin, 0, n, t.x.cols)
		t.features = kernel.Rows{Data: data, Stride: stride}
		return
	}
	t.copied = grow(t.copied, t.counted*t.x.cols)
	t.features = kernel.Rows{Data: t.copied, Stride: t.x.cols}
	for k, i := range t.counting {
		row := t.copied[k*t.x.cols:][:t.x.cols]
		if t.x.kind == sourceDense {
			copy(row, t.x.raw.Data[(t.begin+i)*t.x.raw.Stride:])
			continue
		}
		for d := range row {
			row[d] = t.x.at(t.begin+i, d)
		}
	}
}

// doChunk does the steps for a chunk of n rows, with all classes at once.
func (t *linear) doChunk(n int) {
	classes, stride := t.w.rows, t.chunk.logits.raw.Stride
	t.first, t.held = 0, classes
	t.fused = t.counted == n && classes <= kernel.ChunkLen
	if t.fused {
		panels := t.panels()
		t.correct = grow(t.correct, panels)
		t.share(linearLogits, panels, linearRows, 1, classes)
	} else {
		t.shareLogits()
		if t.counted > 0 {
			t.spread(t.logits, stride, classes, n)
		}
		rows := linearRows
		if classes > kernel.FewCols {
			rows = max(1, min(linearRows, (1<<14)/classes))
		}
		t.correct = grow(t.correct, (n+rows-1)/rows)
		t.share(linearLosses, len(t.correct), rows, 1, classes)
	}
	if t.grad {
		if t.counted < n {
			t.gather(t.logits, stride, classes)
		}
		t.addGradients()
	}
	t.spreadX(n)
}

// panels is how many blocks of linearRows rows count.
func (t *linear) panels() int { return (t.counted + linearRows - 1) / linearRows }

// shareLogits sets the logits in hand.
func (t *linear) shareLogits() {
	if panels := t.panels(); panels > 0 {
		blocks, size := shares(t.held, linearClasses, 4*t.goroutines()/panels)
		t.share(linearLogits, panels, linearRows, blocks, size)
	}
}

// addGradients adds what the gradient in hand, in place of the logits, gives for
// x, w and b.
func (t *linear) addGradients() {
	features, procs, panels := t.w.cols, t.goroutines(), t.panels()
	if panels == 0 {
		return
	}
	if t.dw.Data != nil || t.db != nil {
		blocks, size := shares(t.held, kernel.Lanes, 4*procs)
		parts, width := 1, features
		if t.dw.Data != nil && blocks < 2*procs {
			parts, width = shares(features, kernel.Lanes, 4*procs/blocks)
		}
		t.share(linearW, blocks, size, parts, width)
	}
	if t.dx.Data != nil {
		parts, width := 1, features
		if panels < 2*procs {
			parts, width = shares(features, 3*kernel.Lanes, 4*procs/panels)
		}
		t.share(linearX, panels, linearRows, parts, width)
	}
}

// spreadX puts the rows of the gradient with respect to x where they belong.
func (t *linear) spreadX(n int) {
	if t.dx.Data != nil {
		t.spread(t.dx.Data[t.begin*t.dx.Stride:], t.dx.Stride, t.dx.Cols, n)
	}
	t.summed = t.summed || t.counted > 0
}

// shares returns into how many blocks, and of what size, n is divided, to have
// about the wanted number of blocks of a multiple of unit.
func shares(n, unit, wanted int) (blocks, size int) {
	units := (n + unit - 1) / unit
	size = (units + max(1, wanted) - 1) / max(1, wanted) * unit
	return (n + size - 1) / size, size
}

// spread puts the counted rows of an array where they are in the chunk, of n
// rows. What is there of others becomes 0.
func (t *linear) spread(data []float64, stride, width, n int) {
	if t.counted == n {
		return
	}
	k := t.counted
	for i := n - 1; i >= 0; i-- {
		row := data[i*stride:][:width]
		switch {
		case k > 0 && t.counting[k-1] == i:
			k--
			copy(row, data[k*stride:][:width])
		default:
			clear(row)
		}
	}
}

// gather undoes spread.
func (t *linear) gather(data []float64, stride, width int) {
	for k, i := range t.counting {
		copy(data[k*stride:][:width], data[i*stride:][:width])
	}
}

// share does a step, in units of blocks of rows by blocks of columns.
func (t *linear) share(step linearStep, rowBlocks, rowSize, colBlocks, colSize int) {
	t.step, t.units, t.size = step, [2]int{rowBlocks, colBlocks}, [2]int{rowSize, colSize}
	units := rowBlocks * colBlocks
	if t.w.kind != sourceForeign {
		run(t, units, t.work(t.counted))
		return
	}
	w := workspaces.Get().(*workspace)
	for u := range units {
		t.do(w, u)
	}
	w.release()
}

// doLosses does n rows of the chunk, from row i. Their losses are kept, and added
// up later.
func (t *linear) doLosses(w *workspace, unit, i, n int) {
	t.correct[unit] = t.chunk.rows(w, i, n)
	w.sum.Reset()
}

// do does a unit of a step.
func (t *linear) do(w *workspace, unit int) {
	i, j := unit/t.units[1]*t.size[0], unit%t.units[1]*t.size[1]
	block := func(begin, size, end int) int { return min(size, end-begin) }
	switch t.step {
	case linearLogits:
		n := block(i, t.size[0], t.counted)
		t.doLogits(w, i, n, t.first+j, block(j, t.size[1], t.held))
		if t.fused {
			t.doLosses(w, unit, i, n)
		}
	case linearLosses:
		t.doLosses(w, unit, i, block(i, t.size[0], t.chunk.logits.rows))
	case linearPartials:
		t.doPartial(i)
	case linearGradient:
		t.doGradient(i)
	case linearW:
		t.doW(t.first+i, block(i, t.size[0], t.held), j, block(j, t.size[1], t.w.cols))
	case linearX:
		t.doX(w, i, block(i, t.size[0], t.counted), j, block(j, t.size[1], t.w.cols))
	}
}

// doLogits sets the logits of n rows from row i, for classes from class c on.
//
// Lanes are rows: so w is read as it lies, and x, which is less, is packed.
func (t *linear) doLogits(w *workspace, i, n, c, classes int) {
	features, stride := t.x.cols, t.chunk.logits.raw.Stride
	step := min(features, linearFeatures)
	w.features = grow(w.features, step*linearRows)
	packed := -1
	for end := c + classes; c < end; c += linearClasses {
		classes := min(linearClasses, end-c)
		var b []float64
		for d := 0; d < features; d += step {
			m := min(step, features-d)
			if packed != d {
				kernel.PackRows(w.features, t.features.Data[i*t.features.Stride+d:], t.features.Stride, n, m)
				packed = d
			}
			if d+m == features && t.b != nil {
				b = t.b[c:][:classes]
			}
			data, wStride := t.w.block(&w.softIn, c, d, classes, m)
			kernel.Product(kernel.Rows{Data: w.tile[:], Stride: kernel.Width}, classes, n,
				kernel.Factor{Data: data, Row: wStride, Step: 1}, kernel.Rows{Data: w.features, Stride: linearRows}, m, b, d > 0)
		}
		w.tile.UnpackRows(t.logits[i*stride+c-t.first:], stride, n, classes)
	}
}

// one is a factor of 1 for every row.
var one = kernel.Factor{Data: []float64{1}}

// doW adds the chunk's part of the gradient with respect to w for some classes
// and features, and of that with respect to b.
func (t *linear) doW(c, classes, d, features int) {
	stride := t.chunk.logits.raw.Stride
	if t.dw.Data != nil {
		kernel.Product(kernel.Rows{Data: t.dw.Data[c*t.dw.Stride+d:], Stride: t.dw.Stride}, classes, features,
			kernel.Factor{Data: t.logits[c-t.first:], Row: 1, Step: stride},
			kernel.Rows{Data: t.features.Data[d:], Stride: t.features.Stride}, t.counted, nil, t.summed)
	}
	if t.db != nil && d == 0 {
		kernel.Product(kernel.Rows{Data: t.db[c:], Stride: classes}, 1, classes,
			one, kernel.Rows{Data: t.logits[c-t.first:], Stride: stride}, t.counted, nil, t.summed)
	}
}

// doX sets the gradient with respect to n rows of x from row i, for some
// features.
func (t *linear) doX(w *workspace, i, n, d, features int) {
	stride, dst := t.chunk.logits.raw.Stride, kernel.Rows{Data: t.dx.Data[(t.begin+i)*t.dx.Stride+d:], Stride: t.dx.Stride}
	for c := t.first; c < t.first+t.held; c += linearSteps {
		classes := min(linearSteps, t.first+t.held-c)
		data, wStride := t.w.block(&w.softIn, c, d, classes, features)
		kernel.Product(dst, n, features,
			kernel.Factor{Data: t.logits[i*stride+c-t.first:], Row: stride, Step: 1},
			kernel.Rows{Data: data, Stride: wStride}, classes, nil, c > 0)
	}
}

// From here on is the cross-entropy of a linear layer of so many classes that the
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
