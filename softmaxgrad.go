// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
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
// An element of logp that is -Inf has the gradient u, and one that is NaN has
// NaN. A NaN in upstream makes the gradient NaN in its slice wherever p is not
// 0. No result is -0.
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
	checkDense("LogSoftmaxGrad", "dst", dst)
	checkMatrix("LogSoftmaxGrad", "logp", logp)
	checkMatrix("LogSoftmaxGrad", "upstream", upstream)
	rows, cols := checkNotEmpty(logp)
	dim = checkDim("LogSoftmaxGrad", dim)
	checkShape(upstream, rows, cols)
	checkDst("LogSoftmaxGrad", "dst", dst, rows, cols, argument{"logp", logp}, argument{"upstream", upstream})
	t := vectorJacobians.Get().(*vectorJacobian)
	t.dim, t.logp, t.upstream = dim, newSource(logp), newSource(upstream)
	t.out = sizeDst(dst, rows, cols)
	units := (rows + unitRows(cols) - 1) / unitRows(cols)
	if dim == 0 {
		units = (cols + kernel.Width - 1) / kernel.Width
	}
	if t.logp.kind == sourceForeign || t.upstream.kind == sourceForeign {
		// At is for this goroutine alone.
		w := workspaces.Get().(*workspace)
		for u := range units {
			t.do(w, u)
		}
		workspaces.Put(w)
	} else {
		run(t, units, elements(rows, cols))
	}
	*t = vectorJacobian{}
	vectorJacobians.Put(t)
}

// A vectorJacobian is the work of LogSoftmaxGrad. Its units are rows, or
// Width columns.
type vectorJacobian struct {
	dim            int
	logp, upstream source
	out            blas64.General
}

var vectorJacobians = sync.Pool{New: func() any { return new(vectorJacobian) }}

func (t *vectorJacobian) do(w *workspace, unit int) {
	if t.dim == 0 {
		t.doColumns(w, unit*kernel.Width)
		return
	}
	size, step := unitRows(t.logp.cols), panelRows(t.logp.cols)
	end := min(t.logp.rows, (unit+1)*size)
	for i := unit * size; i < end; i += step {
		t.doRows(w, i, min(step, end-i))
	}
}

// doRows does n rows from row i, a panel.
func (t *vectorJacobian) doRows(w *workspace, i, n int) {
	cols := t.logp.cols
	logp, stride := t.logp.block(&w.rowsIn, i, 0, n, cols)
	u, uStride := t.upstream.block(&w.softIn, i, 0, n, cols)
	dst := t.out.Data[i*t.out.Stride:]
	if cols > kernel.FewCols {
		for k := range n {
			u := u[k*uStride:][:cols]
			hi, lo := kernel.SumOf(u)
			kernel.VectorJacobianOf(dst[k*t.out.Stride:][:cols], logp[k*stride:][:cols], u, hi, lo)
		}
		return
	}
	groups := kernel.GroupsFor(n)
	w.tile.PackRows(logp, stride, n, cols)
	w.coefficientTile.PackRows(u, uStride, n, cols)
	w.panel.SumSlices(w.coefficientTile[:], cols, groups)
	for j := range cols {
		row := w.tile[j*kernel.Width:][:groups*kernel.Group]
		kernel.ColumnsVectorJacobian(row, row, w.coefficientTile[j*kernel.Width:][:groups*kernel.Group], w.panel.Hi[0][:], w.panel.Lo[0][:], 0, 0, 0)
	}
	w.tile.UnpackRows(dst, t.out.Stride, n, cols)
}

// rowsAhead is how many rows ahead of the one in work memory is prefetched.
const rowsAhead = 4

// doColumns does Width columns from column first, or those that are
// left, going through memory in its order.
func (t *vectorJacobian) doColumns(w *workspace, first int) {
	n := min(kernel.Width, t.logp.cols-first)
	w.panel.ClearSums(kernel.GroupsFor(n))
	for i := 0; i < t.logp.rows; i += kernel.BlockLen {
		rows := min(kernel.BlockLen, t.logp.rows-i)
		u, stride := t.upstream.block(&w.softIn, i, first, rows, n)
		w.panel.Add(u, stride, rows, n)
	}
	w.panel.JoinSums(n)
	for i := 0; i < t.logp.rows; i += kernel.BlockLen {
		rows := min(kernel.BlockLen, t.logp.rows-i)
		logp, stride := t.logp.block(&w.rowsIn, i, first, rows, n)
		u, uStride := t.upstream.block(&w.softIn, i, first, rows, n)
		for k := range rows {
			dst := t.out.Data[(i+k)*t.out.Stride+first:][:n]
			kernel.ColumnsVectorJacobian(dst, logp[k*stride:][:n], u[k*uStride:][:n], w.panel.Hi[0][:], w.panel.Lo[0][:],
				rowsAhead*t.out.Stride, rowsAhead*stride, rowsAhead*uStride)
		}
	}
}
