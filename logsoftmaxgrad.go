// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"sync"

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
		units = (cols + columnsWidth - 1) / columnsWidth
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
// columnsWidth columns.
type vectorJacobian struct {
	dim            int
	logp, upstream source
	out            blas64.General
}

var vectorJacobians = sync.Pool{New: func() any { return new(vectorJacobian) }}

func (t *vectorJacobian) do(w *workspace, unit int) {
	if t.dim == 0 {
		t.doColumns(w, unit*columnsWidth)
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
	if cols > fewCols {
		for k := range n {
			u := u[k*uStride:][:cols]
			hi, lo := sumOf(u)
			vectorJacobianOf(dst[k*t.out.Stride:][:cols], logp[k*stride:][:cols], u, hi, lo)
		}
		return
	}
	groups := groupsFor(n)
	w.tile.packRows(logp, stride, n, cols)
	w.coefficientTile.packRows(u, uStride, n, cols)
	w.sumSlices(w.coefficientTile[:], cols, groups)
	for j := range cols {
		row := w.tile[j*columnsWidth:][:groups*group]
		columnsVectorJacobian(row, row, w.coefficientTile[j*columnsWidth:][:groups*group], w.hi[0][:], w.lo[0][:], 0, 0, 0)
	}
	w.tile.unpackRows(dst, t.out.Stride, n, cols)
}

// rowsAhead is how many rows ahead of the one in work memory is prefetched.
const rowsAhead = 4

// doColumns does columnsWidth columns from column first, or those that are
// left, going through memory in its order.
func (t *vectorJacobian) doColumns(w *workspace, first int) {
	n := min(columnsWidth, t.logp.cols-first)
	w.clearSums(groupsFor(n))
	for i := 0; i < t.logp.rows; i += blockLen {
		rows := min(blockLen, t.logp.rows-i)
		u, stride := t.upstream.block(&w.softIn, i, first, rows, n)
		columnsAdd(&w.columns, u, stride, rows, n)
	}
	w.joinSums(n)
	for i := 0; i < t.logp.rows; i += blockLen {
		rows := min(blockLen, t.logp.rows-i)
		logp, stride := t.logp.block(&w.rowsIn, i, first, rows, n)
		u, uStride := t.upstream.block(&w.softIn, i, first, rows, n)
		for k := range rows {
			dst := t.out.Data[(i+k)*t.out.Stride+first:][:n]
			columnsVectorJacobian(dst, logp[k*stride:][:n], u[k*uStride:][:n], w.hi[0][:], w.lo[0][:],
				rowsAhead*t.out.Stride, rowsAhead*stride, rowsAhead*uStride)
		}
	}
}

// vectorJacobianEntry returns u·(1-p) - p·(sum - u) for p = e^logp and the
// sum hi+lo of the slice's u: so written, what nearly cancels in u - p·sum
// keeps its digits. 0 times anything is 0.
func vectorJacobianEntry(logp, u, hi, lo float64) float64 {
	p, rest := expAndRest(logp)
	var own, others float64
	if u != 0 || logp != logp {
		own = float64(u * rest)
		if rest == 0 {
			own = 0
		}
	}
	if sum := (hi - u) + lo; p != 0 && sum != 0 {
		others = float64(p * sum)
	}
	return canonical(own - others)
}

// seriesEnd is how far from 0 1 - e^y is formed by its power series.
const seriesEnd = 1.0 / 28

// expAndRest returns e^y and 1 - e^y, the latter through expm1: the one
// within 1.2 ulp, the other within 3.
func expAndRest(y float64) (p, rest float64) {
	switch {
	case y != y:
		return nan, nan
	case y > 710:
		return math.Inf(1), math.Inf(-1)
	case y < -farthest:
		return 0, 1
	}
	// Terms are formed times 2^128 for y ≤ 0, so that only the last product
	// rounds to a subnormal number, and halved for others, so that only that
	// overflows.
	f, back := frame{magic: magic - 16}, 2.0
	if y <= 0 {
		f, back = frame{magic: magic + 16*scaleBits}, unscale
	}
	p = float64(f.term(y) * back)
	if math.Abs(y) > 50 {
		return p, 1 - p
	}
	f = frame{magic: magic}
	s, q := f.parts(y)
	if math.Abs(y) < seriesEnd {
		// Here what q's polynomial leaves of e^y would be too much.
		q = math.FMA(y, 1.0/40320, 1.0/5040)
		q = math.FMA(q, y, 1.0/720)
		q = math.FMA(q, y, 1.0/120)
		q = math.FMA(q, y, 1.0/24)
		q = math.FMA(q, y, 1.0/6)
		q = math.FMA(q, y, 0.5)
		return p, -math.FMA(q, float64(y*y), y)
	}
	// With s = 2^(n/16), 1 - e^y is (1 - s) - s·q; 1 - s is exact from ½ to 2.
	return p, math.FMA(-s, q, 1-s)
}
