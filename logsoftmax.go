// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"sync"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// LogSoftmax sets dst to the logarithm of the softmax of x along dim,
//
//	dst[i,j] = x[i,j] - log Σ_k e^x[i,k]    for dim 1 or -1: along each row
//	dst[i,j] = x[i,j] - log Σ_k e^x[k,j]    for dim 0 or -2: down each column
//
// so that the exponentials of each slice, which is a row or a column, add up
// to 1. Every element is within 2 ulp of its exact value, however large or
// small the elements of x are and however close to 0 the result. The package
// documentation says how that is done, and what was measured.
//
// A slice with a NaN or +Inf, or of -Inf only, becomes NaN throughout. Any
// other -Inf is a class of probability 0: it stays -Inf and has no effect on
// the others. No result is -0.
//
// An empty dst is sized; any other must have the shape of x. dst may be x
// itself, or any matrix on exactly its region; other overlap panics where it
// can be seen.
//
// LogSoftmax panics, in this order: with a string if dst or x is nil or has
// less storage than its shape; with mat.ErrZeroLength if x is empty; with a
// string if dim is not one of -2, -1, 0 and 1; with mat.ErrShape if dst is
// neither empty nor of the shape of x; and with a string if dst shares an
// element with x and is not its region.
//
// See Blanchard, Higham and Higham, Accurately Computing the Log-Sum-Exp and
// Softmax Functions, IMA Journal of Numerical Analysis 41(4), 2021.
func LogSoftmax(dst *mat.Dense, x mat.Matrix, dim int) {
	normalize("LogSoftmax", opLogSoftmax, dst, x, dim)
}

// Softmax sets dst to the softmax of x along dim, probabilities that add up to
// 1 in each slice:
//
//	dst[i,j] = e^x[i,j] / Σ_k e^x[i,k]    for dim 1 or -1: along each row
//	dst[i,j] = e^x[i,j] / Σ_k e^x[k,j]    for dim 0 or -2: down each column
//
// Every element is within 4 ulp of its exact value, or of the smallest
// subnormal number where it is below the normal ones.
//
// A slice with a NaN or +Inf, or of -Inf only, becomes NaN throughout. Any
// other -Inf gives 0. No probability is above 1.
//
// What dst may be, and what panics, is as for LogSoftmax.
//
// A loss is better computed from the logits or from LogSoftmax: the logarithm
// of a probability close to 1 has few digits left, and that of one below
// 2^-1074 none.
func Softmax(dst *mat.Dense, x mat.Matrix, dim int) {
	normalize("Softmax", opSoftmax, dst, x, dim)
}

// LogSumExp sets dst[i] to the logarithm of the sum of the exponentials of
// slice i of x along dim, and returns dst:
//
//	dst[i] = log Σ_j e^x[i,j]    for dim 1 or -1: of each row
//	dst[j] = log Σ_i e^x[i,j]    for dim 0 or -2: of each column
//
// It is max + log Σ e^(x-max), within 1 ulp of the largest of |max|, that
// logarithm and the result. Where the two nearly cancel the result has an error
// of that size too: LogSoftmax does not form it, and keeps its digits.
//
// A slice with a NaN gives NaN, else one with +Inf gives +Inf, and one of -Inf
// only gives -Inf.
//
// A nil dst is allocated; any other must have one element for each slice, and
// must not overlap x.
//
// LogSumExp panics, in this order: with a string if x is nil or has less
// storage than its shape; with mat.ErrZeroLength if x is empty; with a string
// if dim is not one of -2, -1, 0 and 1; and with mat.ErrShape if dst is neither
// nil nor of one element for each slice.
func LogSumExp(dst []float64, x mat.Matrix, dim int) []float64 {
	var in source
	if in.smallDense(x) {
		t := normalization{op: opLogSumExp, in: in.raw, values: dst, dim: checkDim("LogSumExp", dim)}
		if n := [...]int{in.cols, in.rows}[t.dim]; (dst == nil || len(dst) == n) && t.runsSmall() {
			t.values = prepareSlice(dst, n)
			t.runSmall()
			return t.values
		}
	}
	checkMatrix("LogSumExp", "x", x)
	rows, cols := checkNotEmpty(x)
	dim = checkDim("LogSumExp", dim)
	n := rows
	if dim == 0 {
		n = cols
	}
	checkSlice(dst, n)
	dst = prepareSlice(dst, n)
	src := newSource(x)
	t := normalizations.Get().(*normalization)
	t.op, t.values = opLogSumExp, dst
	switch {
	case src.kind == sourceDense:
		t.in = src.raw
		t.run(dim)
	case src.kind == sourceTransposed:
		t.in = src.raw
		t.run(1 - dim)
	case isLong(src.cols) && dim == 1:
		w := workspaces.Get().(*workspace)
		for i := range rows {
			w.sumSource(&src, i, nil)
			dst[i] = w.panel.LogSumExp(0)
		}
		w.release()
	case dim == 1:
		// A panel of rows at a time.
		buf := getBuffer(panelRows(cols) * cols)
		for i := 0; i < rows; i += panelRows(cols) {
			n := min(panelRows(cols), rows-i)
			data, stride := src.panel(*buf, i, n)
			t.in = blas64.General{Rows: n, Cols: cols, Stride: stride, Data: data}
			t.values = dst[i:][:n]
			t.run(1)
		}
		putBuffer(buf)
	default:
		t.foreignColumns(&src)
	}
	t.release()
	return dst
}

// An operation is what is made of each slice.
type operation uint8

const (
	opLogSoftmax operation = iota
	opSoftmax
	opLogSumExp
)

// normalize is LogSoftmax and Softmax.
func normalize(fn string, op operation, dst *mat.Dense, x mat.Matrix, dim int) {
	var in source
	if in.smallDense(x) {
		t := normalization{op: op, in: in.raw}
		if _, ok := smallDst(&t.out, dst, &in.raw); ok {
			t.dim = checkDim(fn, dim)
			if t.runsSmall() {
				t.runSmall()
				return
			}
		}
	}
	checkDense(fn, "dst", dst)
	checkMatrix(fn, "x", x)
	rows, cols := checkNotEmpty(x)
	dim = checkDim(fn, dim)
	checkDst(fn, "dst", dst, rows, cols, argument{"x", x})
	src := newSource(x)
	t := normalizations.Get().(*normalization)
	t.op, t.out = op, sizeDst(dst, rows, cols)
	if dim == 1 && src.kind == sourceTransposed && cols < hugeRow {
		t.in, t.across = t.out, src
	} else {
		t.in = src.denseIn(t.out)
	}
	t.run(dim)
	t.release()
}

// denseIn returns the elements of s in row-major storage: where they are, or
// else copied into dst.
func (s *source) denseIn(dst blas64.General) blas64.General {
	switch s.kind {
	case sourceDense:
		return s.raw
	case sourceTransposed:
		transposeInto(dst, s.raw)
	default:
		for i := range s.rows {
			row := dst.Data[i*dst.Stride:][:s.cols]
			for j := range row {
				row[j] = s.m.At(i, j)
			}
		}
	}
	return dst
}

// A normalization does an operation on every slice of a matrix.
type normalization struct {
	op      operation
	in, out blas64.General
	values  []float64 // of opLogSumExp
	// across is what in, which is out, is yet to be set to, if anything.
	across source

	dim int

	// Of columns.
	part             columnsPart
	partials, wholes []kernel.Partial
}

var normalizations = sync.Pool{New: func() any { return new(normalization) }}

// release gives t back, without the caller's storage.
func (t *normalization) release() {
	*t = normalization{partials: kept(t.partials), wholes: kept(t.wholes)}
	normalizations.Put(t)
}

// run does the operation along the given dim of in.
func (t *normalization) run(dim int) {
	t.dim = dim
	rows, cols := t.in.Rows, t.in.Cols
	work := elements(rows, cols)
	if dim == 0 {
		t.runColumns()
		return
	}
	if spreads(rows, cols) {
		w := workspaces.Get().(*workspace)
		w.spread = true
		for i := range rows {
			t.doRows(w, i, 1)
		}
		w.spread = false
		w.release()
		return
	}
	size := t.unitRows()
	run(t, (rows+size-1)/size, work)
}

// runsSmall reports whether runSmall does what t is for, given that the matrix is
// small.
func (t *normalization) runsSmall() bool {
	return t.dim == 1 || min(t.in.Rows, t.in.Cols) > 1 && t.inTiles()
}

// runSmall is run for a small matrix, along t.dim: of columns, those in tiles.
func (t *normalization) runSmall() {
	w := workspaces.Get().(*workspace)
	if t.dim == 0 {
		t.doTiles(w, 0, t.in.Cols)
		workspaces.Put(w)
		return
	}
	for i, rows := 0, 0; i < t.in.Rows; i += rows {
		rows = nextRows(t.in.Rows-i, t.in.Cols)
		t.doRows(w, i, rows)
	}
	workspaces.Put(w)
}

// elements returns rows·cols, or the largest int if that is more.
func elements(rows, cols int) int {
	if rows > math.MaxInt/cols {
		return math.MaxInt
	}
	return rows * cols
}

// unitRows is how many rows of a matrix are a unit: whole panels, of some
// 2^14 elements together, or 2^16 of long rows.
func unitRows(cols int) int {
	p := panelRows(cols)
	return p * max(1, unitEntries(cols)/(p*cols))
}

func (t *normalization) unitRows() int { return t.across.together(unitRows(t.in.Cols)) }

func unitEntries(cols int) int {
	if cols > kernel.ChunkLen {
		return 1 << 16
	}
	return 1 << 14
}

func (t *normalization) do(w *workspace, unit int) {
	if t.dim == 0 {
		t.doColumns(w, unit)
		return
	}
	size := t.unitRows()
	begin, end := unit*size, min(t.in.Rows, (unit+1)*size)
	if t.across.m != nil {
		transposeInto(blas64.General{Stride: t.in.Stride, Data: t.in.Data[begin*t.in.Stride:]}, t.across.behind(begin, 0, end-begin, t.in.Cols))
	}
	for i, rows := begin, 0; i < end; i += rows {
		rows = nextRows(end-i, t.in.Cols)
		t.doRows(w, i, rows)
	}
}

// doRows does n rows from row i, a panel.
func (t *normalization) doRows(w *workspace, i, n int) {
	cols := t.in.Cols
	x := t.in.Data[i*t.in.Stride:]
	var dst []float64
	if t.op != opLogSumExp {
		dst = t.out.Data[i*t.out.Stride:]
	}
	if atOnce(n, cols) && t.doAtOnce(w, dst, x, i, n) {
		return
	}
	if sideBySide(n, cols) {
		var next []float64
		if after := i + n; after < t.in.Rows {
			next = t.in.Data[after*t.in.Stride:]
		}
		w.panel.SumRows(&w.tile, x, t.in.Stride, n, cols, t.op == opSoftmax, next, dst)
		t.conclude(&w.panel, kernel.GroupsFor(n))
		switch t.op {
		case opLogSoftmax:
			if t.in.Stride == cols && t.out.Stride == cols && w.panel.ShiftRows(dst, x, cols, n) {
				break
			}
			w.panel.Shift(w.tile[:], kernel.Width, w.tile[:], kernel.Width, cols, kernel.GroupsFor(n)*kernel.Group)
			w.tile.UnpackRows(dst, t.out.Stride, n, cols)
		case opSoftmax:
			copy(w.panel.Factor[:n], w.panel.Inverse[:])
			w.panel.UnpackRowsScaled(&w.tile, dst, t.out.Stride, n, cols)
			for k, rest := range w.panel.Complement[:n] {
				// As a rule no row is certain.
				if rest < kernel.Certain {
					w.panel.SetCertain(k, dst[k*t.out.Stride:][:cols])
				}
			}
		}
	} else if several(cols) {
		t.doSeveral(w, dst, x, i, n)
	} else if cols <= kernel.FewCols {
		for k := range n {
			row := x[k*t.in.Stride:][:cols]
			w.panel.Max[k] = kernel.MaxOf(row)
			if t.op == opSoftmax {
				w.sumRow(k, dst[k*t.out.Stride:][:cols], row)
			} else {
				w.sumRow(k, nil, row)
			}
		}
		t.conclude(&w.panel, kernel.GroupsFor(n))
		for k := range n {
			switch t.op {
			case opLogSoftmax:
				w.shiftRow(k, dst[k*t.out.Stride:][:cols], x[k*t.in.Stride:][:cols])
			case opSoftmax:
				row := dst[k*t.out.Stride:][:cols]
				w.scaleTerms(k, row, 1)
				w.panel.SetCertain(k, row)
			}
		}
	} else {
		row, next := x[:cols], rowAfter(t.in.Data, t.in.Stride, t.in.Rows, cols, i+1)
		switch t.op {
		case opLogSumExp:
			w.sumLong(nil, row, nil, next)
		case opLogSoftmax:
			w.sumLong(nil, row, dst[:cols], next)
			w.shiftLong(dst[:cols], row)
		case opSoftmax:
			w.sumLong(dst[:cols], row, nil, next)
			w.scaleTerms(0, dst[:cols], 1)
			w.panel.SetCertain(0, dst[:cols])
		}
	}
	if t.op == opLogSumExp {
		w.panel.LogSumExps(t.values[i:][:n])
	}
}

// doAtOnce is doRows in one kernel, if there is one for all that these rows have.
func (t *normalization) doAtOnce(w *workspace, dst, x []float64, i, n int) bool {
	from, to := kernel.Rows{Data: x, Stride: t.in.Stride}, kernel.Rows{Data: dst, Stride: t.out.Stride}
	switch t.op {
	case opLogSoftmax:
		return w.tile.LogSoftmaxRows(to, from, n, t.in.Cols)
	case opSoftmax:
		return w.tile.SoftmaxRows(to, from, n, t.in.Cols)
	default:
		return w.tile.LogSumExpRows(t.values[i:][:n], from, t.in.Cols)
	}
}

// conclude concludes the slices of so many groups.
func (t *normalization) conclude(c *kernel.Panel, groups int) {
	if t.op == opSoftmax {
		c.ConcludeSoftmax(groups)
	} else {
		c.Conclude(groups, false)
	}
}

// doSeveral is doRows for rows of one chunk that are not of few classes; dst and
// x begin at row i.
func (t *normalization) doSeveral(w *workspace, dst, x []float64, i, n int) {
	cols := t.in.Cols
	next := rowAfter(t.in.Data, t.in.Stride, t.in.Rows, cols, i+n)
	w.panel.MaxOfRows(0, x, t.in.Stride, cols, n)
	switch t.op {
	case opLogSumExp:
		w.panel.ExpSumRows(0, nil, 0, x, t.in.Stride, cols, n, next, nil)
		t.conclude(&w.panel, kernel.GroupsFor(n))
	case opLogSoftmax:
		w.panel.ExpSumRows(0, nil, 0, x, t.in.Stride, cols, n, next, dst)
		t.conclude(&w.panel, kernel.GroupsFor(n))
		w.panel.ShiftEachRow(0, dst, t.out.Stride, x, t.in.Stride, cols, n)
	case opSoftmax:
		out := rowAfter(t.out.Data, t.out.Stride, t.out.Rows, cols, i+n)
		w.panel.ExpSumRows(0, dst, t.out.Stride, x, t.in.Stride, cols, n, next, out)
		t.conclude(&w.panel, kernel.GroupsFor(n))
		copy(w.panel.Factor[:n], w.panel.Inverse[:])
		w.panel.ScaleEachRow(0, dst, t.out.Stride, cols, n)
		for k := range n {
			w.panel.SetCertain(k, dst[k*t.out.Stride:][:cols])
		}
	}
}

// foreignColumns is LogSumExp along dim 0 of a matrix of which only At is
// known: of some columns at a time.
func (t *normalization) foreignColumns(src *source) {
	if isLong(src.rows) {
		w := workspaces.Get().(*workspace)
		for j := range t.values {
			w.sumForeignColumn(src, j)
			t.values[j] = w.panel.LogSumExp(0)
		}
		w.release()
		return
	}
	values, width := t.values, max(1, min(kernel.Width, (1<<16)/src.rows, src.cols))
	buf := getBuffer(src.rows * width)
	for first := 0; first < src.cols; first += width {
		n := min(width, src.cols-first)
		for i := range src.rows {
			row := (*buf)[i*width:][:n]
			for j := range row {
				row[j] = src.m.At(i, first+j)
			}
		}
		t.in = blas64.General{Rows: src.rows, Cols: n, Stride: width, Data: *buf}
		t.values = values[first:][:n]
		t.run(0)
	}
	putBuffer(buf)
}
