// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"runtime"
	"sync"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// LogSoftmaxGrad sets dst to the vector-Jacobian product of LogSoftmax: the
// gradient, with respect to x, of a function of logp = LogSoftmax(x) whose
// gradient with respect to logp is upstream. Both have the shape of x, and dim
// is that of the LogSoftmax.
//
//	dst[i,j] = u[i,j] - e^logp[i,j]·Σ_k u[i,k]    for dim 1 or -1
//	dst[i,j] = u[i,j] - e^logp[i,j]·Σ_k u[k,j]    for dim 0 or -2
//
// where u is upstream. It is computed as u·(1-p) - p·(Σ-u), for p = e^logp
// and with 1-p through expm1, so that no digits are lost where p is close to
// 1. After NLLGrad it gives, but for roundings, what CrossEntropyGrad gives at
// once and for less.
//
// An element of logp that is -Inf, or below -790, has the gradient u, as if p were
// 0, and one that is NaN has NaN. Everywhere else a NaN in upstream makes the
// gradient of its slice NaN, and so do infinities of both signs; infinities of one
// sign make it NaN where they are, and the infinity of the other sign elsewhere. No
// result is -0.
//
// An empty dst is sized; any other must have the shape of logp. dst may be
// logp or upstream itself, or any matrix on exactly the region of one of them;
// other overlap panics where it can be seen.
//
// LogSoftmaxGrad panics, in this order: with a string if dst, logp or upstream
// is nil or has less storage than its shape; with mat.ErrZeroLength if logp is
// empty; with a string if dim is not one of -2, -1, 0 and 1; with mat.ErrShape
// if upstream is not of the shape of logp, or dst neither empty nor of that
// shape; and with a string if dst shares an element with logp or upstream and
// is not the region of that one.
func LogSoftmaxGrad(dst *mat.Dense, logp, upstream mat.Matrix, dim int) {
	vectorJacobianOf("LogSoftmaxGrad", ofLogSoftmax, dst, logp, upstream, dim)
}

// SoftmaxGrad sets dst to the vector-Jacobian product of Softmax: the gradient,
// with respect to x, of a function of p = Softmax(x) whose gradient with respect
// to p is upstream. It takes logp = LogSoftmax(x). Both have the shape of x, and
// dim is that of the LogSoftmax.
//
//	dst[i,j] = p[i,j]·(u[i,j] - Σ_k p[i,k]·u[i,k])    for dim 1 or -1
//	dst[i,j] = p[i,j]·(u[i,j] - Σ_k p[k,j]·u[k,j])    for dim 0 or -2
//
// where u is upstream and p = e^logp. The Jacobian diag(p) - ppᵀ of a softmax is
// symmetric, and is the Hessian of the log-sum-exp: so this is also the product
// of that with u, and times the coefficient of the row, w[y]·s[i], or that over
// Loss.Weight for the mean, the product of u with the Hessian of any of this
// package's losses with respect to the logits, without smoothing. For logits
// x·wᵀ and a direction v of w, u = x·vᵀ, and dstᵀ·x is the Hessian-vector
// product for w.
//
// It is computed as p[c]·(u[c]·(1-p[c]) - Σ_{k≠c} p[k]·u[k]), with 1-p from logp
// and not from p where p is close to 1. So an entry of a confident slice keeps
// its digits: it is within 6 ulp of the larger of p·(1-p)·|u| and
// p·Σ_{k≠c} p[k]·|u[k]|, if p is at least 2^-1022. A p below that has fewer
// digits, as [Softmax] gives it, and what it lacks is multiplied too.
//
// An element of logp that is -Inf, or so low that p is 0, has the gradient 0, and
// its upstream does not count, whatever it is. Otherwise a NaN in logp or
// upstream makes the gradient of its slice NaN wherever p is not 0. No result is
// -0.
//
// An empty dst is sized; any other must have the shape of logp. dst may be
// logp or upstream itself, or any matrix on exactly the region of one of them;
// other overlap panics where it can be seen.
//
// SoftmaxGrad panics, in this order: with a string if dst, logp or upstream is
// nil or has less storage than its shape; with mat.ErrZeroLength if logp is
// empty; with a string if dim is not one of -2, -1, 0 and 1; with mat.ErrShape
// if upstream is not of the shape of logp, or dst neither empty nor of that
// shape; and with a string if dst shares an element with logp or upstream and
// is not the region of that one.
func SoftmaxGrad(dst *mat.Dense, logp, upstream mat.Matrix, dim int) {
	vectorJacobianOf("SoftmaxGrad", ofSoftmax, dst, logp, upstream, dim)
}

// vectorJacobianOf is the function named fn, whose work is the given part.
func vectorJacobianOf(fn string, part vectorJacobianPart, dst *mat.Dense, logp, upstream mat.Matrix, dim int) {
	t := vectorJacobians.Get().(*vectorJacobian)
	t.part, t.dim = part, dim
	if !t.small(dst, logp, upstream) {
		checkDense(fn, "dst", dst)
		checkMatrix(fn, "logp", logp)
		checkMatrix(fn, "upstream", upstream)
		rows, cols := checkNotEmpty(logp)
		t.dim = checkDim(fn, dim)
		checkShape(upstream, rows, cols)
		checkDst(fn, "dst", dst, rows, cols, argument{"logp", logp}, argument{"upstream", upstream})
		t.logp, t.upstream = newSource(logp), newSource(upstream)
		t.out = sizeDst(dst, rows, cols)
	}
	rows, cols := t.logp.rows, t.logp.cols
	units := (rows + t.unitRows() - 1) / t.unitRows()
	if t.dim == 0 {
		units = (cols + kernel.Width - 1) / kernel.Width
	}
	if t.logp.kind == sourceForeign || t.upstream.kind == sourceForeign {
		// At is for this goroutine alone.
		w := workspaces.Get().(*workspace)
		for u := range units {
			t.do(w, u)
		}
		w.release()
	} else if t.dim == 0 && part == ofLogSoftmax && rows >= 2*rowsApart && units < 2*runtime.GOMAXPROCS(0) {
		t.columnsApart()
	} else {
		run(t, units, elements(rows, cols))
	}
	*t = vectorJacobian{sums: kept(t.sums)}
	vectorJacobians.Put(t)
}

// small is the short way in along rows: it reports whether there is nothing more
// to check.
func (t *vectorJacobian) small(dst *mat.Dense, logp, upstream mat.Matrix) (ok bool) {
	if t.dim != 1 && t.dim != -1 || !t.logp.smallDense(logp) || !t.upstream.smallDense(upstream) {
		return false
	}
	if _, ok := smallDst(&t.out, dst, &t.upstream.raw); !ok {
		return false
	}
	t.dim = 1
	_, ok = smallDst(&t.out, dst, &t.logp.raw)
	return ok
}

// A vectorJacobian is the work of LogSoftmaxGrad or SoftmaxGrad. Its units are
// rows, or Width columns.
type vectorJacobian struct {
	part           vectorJacobianPart
	dim            int
	logp, upstream source
	out            blas64.General
	sums           []columnSums // of columnsApart
}

// A vectorJacobianPart is what the units do.
type vectorJacobianPart uint8

const (
	ofLogSoftmax vectorJacobianPart = iota // LogSoftmaxGrad
	ofSoftmax                              // SoftmaxGrad
	partSums                               // of columnsApart
	partRows
)

var vectorJacobians = sync.Pool{New: func() any { return new(vectorJacobian) }}

// together is source.together for both inputs.
func (t *vectorJacobian) together(n int) int { return t.logp.together(t.upstream.together(n)) }

// unitRows is how many rows a unit along rows has.
func (t *vectorJacobian) unitRows() int { return t.together(unitRows(t.logp.cols)) }

func (t *vectorJacobian) do(w *workspace, unit int) {
	switch t.part {
	case ofLogSoftmax:
		t.doLog(w, unit)
	case ofSoftmax:
		t.doSoftmax(w, unit)
	case partSums:
		t.sumColumns(w, unit*kernel.Width)
		t.sums[unit] = columnSums{w.panel.Hi[0], w.panel.Lo[0]}
	case partRows:
		panel, begin := unit%len(t.sums), unit/len(t.sums)*rowsApart
		w.panel.Hi[0], w.panel.Lo[0] = t.sums[panel].hi, t.sums[panel].lo
		t.writeColumns(w, panel*kernel.Width, begin, min(t.logp.rows, begin+rowsApart))
	}
}

// doLog does a unit of LogSoftmaxGrad.
func (t *vectorJacobian) doLog(w *workspace, unit int) {
	if t.dim == 0 {
		t.doColumns(w, unit*kernel.Width)
		return
	}
	size, step := t.unitRows(), t.together(panelRows(t.logp.cols))
	end := min(t.logp.rows, (unit+1)*size)
	for i := unit * size; i < end; i += step {
		t.doRows(w, i, min(step, end-i))
	}
}

// doRows does n rows from row i, a panel.
func (t *vectorJacobian) doRows(w *workspace, i, n int) {
	cols := t.logp.cols
	if isLong(cols) {
		for k := range n {
			t.doLong(w, i+k)
		}
		return
	}
	logp, stride := t.logp.block(&w.rowsIn, i, 0, n, cols)
	u, uStride := t.upstream.block(&w.softIn, i, 0, n, cols)
	dst := t.out.Data[i*t.out.Stride:]
	if !worthPacking(n, cols) {
		hi, lo := &w.panel.Hi[0], &w.panel.Lo[0]
		for k := range n {
			sum := kernel.SumOf(u[k*uStride:][:cols])
			hi[k], lo[k] = sum.Hi, sum.Lo
		}
		kernel.VectorJacobianRows(kernel.Rows{Data: dst, Stride: t.out.Stride}, kernel.Rows{Data: logp, Stride: stride}, kernel.Rows{Data: u, Stride: uStride},
			n, cols, hi[:], lo[:])
		return
	}
	groups := kernel.GroupsFor(n)
	w.tile.PackRows(logp, stride, n, cols)
	w.coefficientTile.PackRows(u, uStride, n, cols)
	w.panel.SumSlices(w.coefficientTile[:], cols, groups)
	kernel.VectorJacobianTile(&w.tile, &w.coefficientTile, cols, groups*kernel.Group, w.panel.Hi[0][:], w.panel.Lo[0][:], dst, t.logp.after(i+n), t.upstream.after(i+n))
	w.tile.UnpackRows(dst, t.out.Stride, n, cols)
}

// worthPacking reports whether n rows take less side by side than one after the
// other. What rows side by side take for a class is much the same for one and for
// eight.
func worthPacking(n, cols int) bool {
	return cols <= kernel.FewCols && n > 1 && n*(cols+18) >= 16*cols
}

// doLong does a long row.
func (t *vectorJacobian) doLong(w *workspace, i int) {
	var s kernel.CoefficientSum
	for u := range kernel.Chunks(t.logp.cols) {
		s.Add(t.upstream.chunk(&w.softIn, i, u))
	}
	sum := s.Sum()
	row := t.out.Data[i*t.out.Stride:][:t.out.Cols]
	for u := range kernel.Chunks(t.logp.cols) {
		kernel.VectorJacobianOf(kernel.ChunkOf(row, u), t.logp.chunk(&w.rowsIn, i, u), t.upstream.chunk(&w.softIn, i, u), sum.Hi, sum.Lo)
	}
}

// doColumns does Width columns from column first, or those that are left, going
// through memory in its order.
func (t *vectorJacobian) doColumns(w *workspace, first int) {
	t.sumColumns(w, first)
	t.writeColumns(w, first, 0, t.logp.rows)
}

// sumColumns sets lane 0 of the panel to the sums of upstream.
func (t *vectorJacobian) sumColumns(w *workspace, first int) {
	n := min(kernel.Width, t.logp.cols-first)
	w.panel.ClearSums(kernel.GroupsFor(n))
	w.lowSums.Clear()
	for i := 0; i < t.logp.rows; i += kernel.BlockLen {
		rows := min(kernel.BlockLen, t.logp.rows-i)
		u, stride := t.upstream.block(&w.softIn, i, first, rows, n)
		w.panel.Add(u, stride, rows, n)
		w.panel.TakeLow(&w.lowSums, kernel.GroupsFor(n))
	}
	w.panel.JoinLow(&w.lowSums, kernel.GroupsFor(n))
}

// writeColumns sets rows begin to end of columns whose sums are in the panel.
func (t *vectorJacobian) writeColumns(w *workspace, first, begin, end int) {
	n := min(kernel.Width, t.logp.cols-first)
	// Narrow rows without gaps are taken several at once.
	hi, lo, size := &w.panel.Hi[0], &w.panel.Lo[0], 1
	if t.out.Stride == n && t.logp.blockStride(n) == n && t.upstream.blockStride(n) == n {
		size = kernel.Width / n
		for k := 1; k < size; k++ {
			copy(hi[k*n:], hi[:n])
			copy(lo[k*n:], lo[:n])
		}
	}
	for i := begin; i < end; i += kernel.BlockLen {
		rows := min(kernel.BlockLen, end-i)
		logp, stride := t.logp.block(&w.rowsIn, i, first, rows, n)
		u, uStride := t.upstream.block(&w.softIn, i, first, rows, n)
		each := func(k, count, entries int) {
			kernel.VectorJacobianColumns(kernel.Rows{Data: t.out.Data[(i+k)*t.out.Stride+first:], Stride: size * t.out.Stride},
				kernel.Rows{Data: logp[k*stride:], Stride: size * stride}, kernel.Rows{Data: u[k*uStride:], Stride: size * uStride}, count, entries, hi[:], lo[:])
		}
		if full := rows / size; full > 0 {
			each(0, full, size*n)
		}
		if left := rows % size; left > 0 {
			each(rows-left, 1, left*n)
		}
	}
}

// A columnSums is the sums of upstream of some columns.
type columnSums struct{ hi, lo [kernel.Width]float64 }

// columnsApart are LogSoftmaxGrad of columns so few and so long that goroutines
// share their rows, when the sums are known.
func (t *vectorJacobian) columnsApart() {
	rows, work := t.logp.rows, elements(t.logp.rows, t.logp.cols)
	t.sums = grow(t.sums, (t.logp.cols+kernel.Width-1)/kernel.Width)
	t.part = partSums
	run(t, len(t.sums), work)
	t.part = partRows
	run(t, len(t.sums)*((rows+rowsApart-1)/rowsApart), work)
}

// rowsApart is how many rows of some columns are a unit of their own.
const rowsApart = 1 << 12

// momentsPool holds what SoftmaxGrad needs for slices side by side.
var momentsPool = sync.Pool{New: func() any { return new(kernel.Moments) }}

// doSoftmax does a unit of SoftmaxGrad.
func (t *vectorJacobian) doSoftmax(w *workspace, unit int) {
	rows, cols := t.logp.rows, t.logp.cols
	if t.dim == 1 && isLong(cols) {
		size := t.unitRows()
		for i := unit * size; i < min(rows, (unit+1)*size); i++ {
			t.doLongSoftmax(w, i)
		}
		return
	}
	if size := t.unitRows(); t.dim == 1 && !worthPacking(min(size, rows-unit*size), cols) {
		w.coefficients, w.terms = grow(w.coefficients, cols), grow(w.terms, cols)
		step, end := t.together(1), min(rows, (unit+1)*size)
		for i := unit * size; i < end; i += step {
			n := min(step, end-i)
			logp, stride := t.logp.block(&w.rowsIn, i, 0, n, cols)
			u, uStride := t.upstream.block(&w.softIn, i, 0, n, cols)
			for k := range n {
				kernel.SoftmaxGradRow(t.out.Data[(i+k)*t.out.Stride:][:cols], logp[k*stride:][:cols], u[k*uStride:][:cols], w.coefficients, w.terms)
			}
		}
		return
	}
	if n := min(kernel.Width, cols-unit*kernel.Width); t.dim == 0 && n <= kernel.Width-kernel.Group {
		t.doNarrowSoftmax(w, unit*kernel.Width, n)
		return
	}
	m := momentsPool.Get().(*kernel.Moments)
	if t.dim == 1 {
		size := t.unitRows()
		for i := unit * size; i < min(rows, (unit+1)*size); i += kernel.Width {
			t.doFewSoftmax(w, m, i, min(kernel.Width, rows-i))
		}
	} else {
		t.doSoftmaxColumns(w, m, unit*kernel.Width)
	}
	momentsPool.Put(m)
}

// doLongSoftmax does a long row.
func (t *vectorJacobian) doLongSoftmax(w *workspace, i int) {
	w.coefficients, w.terms = grow(w.coefficients, kernel.ChunkLen), grow(w.terms, kernel.ChunkLen)
	var m kernel.RowMoments
	for u := range kernel.Chunks(t.logp.cols) {
		logp := t.logp.chunk(&w.rowsIn, i, u)
		m.Add(logp, t.upstream.chunk(&w.softIn, i, u), w.coefficients[:len(logp)], w.terms[:len(logp)])
	}
	row := t.out.Data[i*t.out.Stride:][:t.out.Cols]
	for u := range kernel.Chunks(t.logp.cols) {
		logp := t.logp.chunk(&w.rowsIn, i, u)
		m.SetGradient(kernel.ChunkOf(row, u), logp, t.upstream.chunk(&w.softIn, i, u), w.coefficients[:len(logp)], w.terms[:len(logp)])
	}
}

// doFewSoftmax does n rows of few entries from row i.
func (t *vectorJacobian) doFewSoftmax(w *workspace, m *kernel.Moments, i, n int) {
	cols := t.logp.cols
	logp, stride := t.logp.block(&w.rowsIn, i, 0, n, cols)
	u, uStride := t.upstream.block(&w.softIn, i, 0, n, cols)
	m.LogP.PackRows(logp, stride, n, cols)
	m.U.PackRows(u, uStride, n, cols)
	m.SetTerms(cols, n)
	m.Sum(cols, n)
	m.SetGradient(cols, n)
	m.LogP.UnpackRows(t.out.Data[i*t.out.Stride:], t.out.Stride, n, cols)
}

// softmaxPiece is how many entries of narrow columns are transposed at a time.
const softmaxPiece = 8 * kernel.BlockLen

// doNarrowSoftmax does n columns from column first, too few to fill the rows of a
// tile. Each is done as a row is.
func (t *vectorJacobian) doNarrowSoftmax(w *workspace, first, n int) {
	logp, u := getBuffer(n*softmaxPiece), getBuffer(n*softmaxPiece)
	defer putBuffer(logp)
	defer putBuffer(u)
	w.coefficients, w.terms = grow(w.coefficients, softmaxPiece), grow(w.terms, softmaxPiece)
	w.moments = grow(w.moments, n)
	clear(w.moments)
	each := func(do func(m *kernel.RowMoments, logp, u, p, terms []float64), write bool) {
		for i := 0; i < t.logp.rows; i += softmaxPiece {
			size := min(softmaxPiece, t.logp.rows-i)
			across := blas64.General{Rows: n, Cols: size, Stride: size, Data: *logp}
			transposeInto(across, t.logp.strip(&w.rowsIn, i, first, size, n))
			transposeInto(blas64.General{Rows: n, Cols: size, Stride: size, Data: *u}, t.upstream.strip(&w.softIn, i, first, size, n))
			for k := range w.moments {
				do(&w.moments[k], (*logp)[k*size:][:size], (*u)[k*size:][:size], w.coefficients[:size], w.terms[:size])
			}
			if write {
				transposeInto(blas64.General{Rows: size, Cols: n, Stride: t.out.Stride, Data: t.out.Data[i*t.out.Stride+first:]}, across)
			}
		}
	}
	each((*kernel.RowMoments).Add, false)
	each(func(m *kernel.RowMoments, logp, u, p, terms []float64) { m.SetGradient(logp, logp, u, p, terms) }, true)
}

// strip is block as a matrix.
func (s *source) strip(buf *[]float64, i, j, r, c int) blas64.General {
	data, stride := s.block(buf, i, j, r, c)
	return blas64.General{Rows: r, Cols: c, Stride: stride, Data: data}
}

// doSoftmaxColumns does Width columns from column first, or those that are left.
func (t *vectorJacobian) doSoftmaxColumns(w *workspace, m *kernel.Moments, first int) {
	rows, n := t.logp.rows, min(kernel.Width, t.logp.cols-first)
	load := func(i, size int) {
		logp, stride := t.logp.block(&w.rowsIn, i, first, size, n)
		u, uStride := t.upstream.block(&w.softIn, i, first, size, n)
		kernel.CopyRows(m.LogP[:], kernel.Width, logp, stride, size, n)
		kernel.CopyRows(m.U[:], kernel.Width, u, uStride, size, n)
		m.SetTerms(size, n)
	}
	m.Reset(n)
	for i := 0; i < rows; i += kernel.BlockLen {
		size := min(kernel.BlockLen, rows-i)
		load(i, size)
		m.Add(size, n)
	}
	m.Join(n)
	for i := 0; i < rows; i += kernel.BlockLen {
		size := min(kernel.BlockLen, rows-i)
		if rows > kernel.BlockLen {
			load(i, size)
		}
		m.SetGradient(size, n)
		kernel.CopyRows(t.out.Data[i*t.out.Stride+first:], t.out.Stride, m.LogP[:], kernel.Width, size, n)
	}
}
