// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package plain has the loops that a careful user of Go writes for each job: the
// maximum is subtracted, an exponential is computed once, memory is gone through
// in its order, and only what an option needs is done for it.
package plain

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// rowsOf returns a function that gives the rows of a matrix: views of a Dense,
// copies into one buffer of anything else.
func rowsOf(m mat.Matrix) func(i int) []float64 {
	if d, ok := m.(*mat.Dense); ok {
		return d.RawRowView
	}
	_, cols := m.Dims()
	buf := make([]float64, cols)
	return func(i int) []float64 {
		mat.Row(buf, i, m)
		return buf
	}
}

func largest(x []float64) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// LogSoftmax writes log-softmax along rows.
func LogSoftmax(dst *mat.Dense, x mat.Matrix) {
	row := rowsOf(x)
	rows, _ := x.Dims()
	for i := range rows {
		x, dst := row(i), dst.RawRowView(i)
		m := largest(x)
		sum := 0.0
		for _, v := range x {
			sum += math.Exp(v - m)
		}
		log := math.Log(sum)
		for j, v := range x {
			dst[j] = v - m - log
		}
	}
}

// Softmax writes softmax along rows.
func Softmax(dst *mat.Dense, x mat.Matrix) {
	row := rowsOf(x)
	rows, _ := x.Dims()
	for i := range rows {
		expSum(dst.RawRowView(i), row(i), true)
	}
}

// expSum writes exp(x - max) to dst, divided by its sum if asked to, and returns
// the maximum and the sum.
func expSum(dst, x []float64, divide bool) (m, sum float64) {
	m = largest(x)
	for j, v := range x {
		e := math.Exp(v - m)
		dst[j] = e
		sum += e
	}
	if divide {
		r := 1 / sum
		for j := range dst {
			dst[j] *= r
		}
	}
	return m, sum
}

// LogSumExp writes the log-sum-exp of each row.
func LogSumExp(dst []float64, x mat.Matrix) {
	row := rowsOf(x)
	for i := range dst {
		x := row(i)
		m := largest(x)
		sum := 0.0
		for _, v := range x {
			sum += math.Exp(v - m)
		}
		dst[i] = m + math.Log(sum)
	}
}

// ColumnSums is the working memory of the loops down columns.
type ColumnSums struct{ max, sum []float64 }

// NewColumnSums returns memory for that many columns.
func NewColumnSums(cols int) *ColumnSums {
	return &ColumnSums{max: make([]float64, cols), sum: make([]float64, cols)}
}

// fill finds the maximum of each column and the sum of the exponentials; it
// writes those to dst if there is one.
func (c *ColumnSums) fill(dst, x *mat.Dense) {
	rows, _ := x.Dims()
	for j := range c.max {
		c.max[j], c.sum[j] = math.Inf(-1), 0
	}
	for i := range rows {
		for j, v := range x.RawRowView(i) {
			if v > c.max[j] {
				c.max[j] = v
			}
		}
	}
	for i := range rows {
		x := x.RawRowView(i)
		if dst == nil {
			for j, v := range x {
				c.sum[j] += math.Exp(v - c.max[j])
			}
			continue
		}
		dst := dst.RawRowView(i)
		for j, v := range x {
			e := math.Exp(v - c.max[j])
			dst[j] = e
			c.sum[j] += e
		}
	}
}

// LogSoftmaxColumns writes log-softmax down columns.
func LogSoftmaxColumns(dst, x *mat.Dense, c *ColumnSums) {
	c.fill(nil, x)
	for j, s := range c.sum {
		c.sum[j] = math.Log(s)
	}
	rows, _ := x.Dims()
	for i := range rows {
		dst := dst.RawRowView(i)
		for j, v := range x.RawRowView(i) {
			dst[j] = v - c.max[j] - c.sum[j]
		}
	}
}

// SoftmaxColumns writes softmax down columns.
func SoftmaxColumns(dst, x *mat.Dense, c *ColumnSums) {
	c.fill(dst, x)
	for j, s := range c.sum {
		c.sum[j] = 1 / s
	}
	rows, _ := x.Dims()
	for i := range rows {
		dst := dst.RawRowView(i)
		for j, r := range c.sum {
			dst[j] *= r
		}
	}
}

// LogSoftmaxGrad writes the gradient through log-softmax along rows.
func LogSoftmaxGrad(dst *mat.Dense, logp, upstream mat.Matrix) {
	l, u := rowsOf(logp), rowsOf(upstream)
	rows, _ := logp.Dims()
	for i := range rows {
		logp, u, dst := l(i), u(i), dst.RawRowView(i)
		sum := 0.0
		for _, v := range u {
			sum += v
		}
		for j, v := range u {
			dst[j] = v - math.Exp(logp[j])*sum
		}
	}
}

// SoftmaxGrad writes the gradient through softmax along rows, of probabilities
// that are given by their logarithms.
func SoftmaxGrad(dst *mat.Dense, logp, upstream mat.Matrix) {
	l, u := rowsOf(logp), rowsOf(upstream)
	rows, cols := logp.Dims()
	p := make([]float64, cols)
	for i := range rows {
		logp, u, dst := l(i), u(i), dst.RawRowView(i)
		sum := 0.0
		for j, v := range u {
			p[j] = math.Exp(logp[j])
			sum += p[j] * v
		}
		for j, v := range u {
			dst[j] = p[j] * (v - sum)
		}
	}
}

// Options are those of a loss. The zero value but for Ignore is none of them.
type Options struct {
	Weight, SampleWeight []float64 // nil: all 1
	Ignore               int       // the label whose rows do not count, -100 for none
	Smoothing            float64
}

// factor returns the weight of a row: that of its class times its own.
func (o *Options) factor(i, target int) float64 {
	f := 1.0
	if o.Weight != nil {
		f = o.Weight[target]
	}
	if o.SampleWeight != nil {
		f *= o.SampleWeight[i]
	}
	return f
}

// total returns what the mean divides by.
func (o *Options) total(target []int) float64 {
	sum := 0.0
	for i, t := range target {
		if t != o.Ignore {
			sum += o.factor(i, t)
		}
	}
	return sum
}

// CrossEntropy returns the mean loss and, with a dst, writes its gradient.
func CrossEntropy(dst *mat.Dense, x mat.Matrix, target []int, o *Options) float64 {
	row := rowsOf(x)
	_, cols := x.Dims()
	total := o.total(target)
	loss := 0.0
	share := o.Smoothing / float64(cols) // of each class
	allWeights := float64(cols)
	if o.Weight != nil {
		allWeights = 0
		for _, w := range o.Weight {
			allWeights += w
		}
	}
	for i, t := range target {
		if t == o.Ignore {
			if dst != nil {
				clear(dst.RawRowView(i))
			}
			continue
		}
		x := row(i)
		f := o.factor(i, t)
		xt := x[t]
		rowWeights, own, smooth := 0.0, 1.0, 0.0 // Σ w·x, weight of this class, of a row
		if o.Smoothing != 0 {
			if o.Weight != nil {
				own = o.Weight[t]
				for j, v := range x {
					rowWeights += o.Weight[j] * v
				}
			} else {
				for _, v := range x {
					rowWeights += v
				}
			}
			smooth = 1
			if o.SampleWeight != nil {
				smooth = o.SampleWeight[i]
			}
		}
		var m, sum float64
		if dst == nil {
			m = largest(x)
			for _, v := range x {
				sum += math.Exp(v - m)
			}
		} else {
			m, sum = expSum(dst.RawRowView(i), x, false)
		}
		lse := m + math.Log(sum)
		if o.Smoothing == 0 {
			loss += f * (lse - xt)
			if dst != nil {
				dst := dst.RawRowView(i)
				scale := f / (total * sum)
				for j := range dst {
					dst[j] *= scale
				}
				dst[t] -= f / total
			}
			continue
		}
		loss += (1-o.Smoothing)*f*(lse-xt) + share*smooth*(allWeights*lse-rowWeights)
		if dst == nil {
			continue
		}
		d := dst.RawRowView(i)
		a := smooth / total
		scale := a * ((1-o.Smoothing)*own + share*allWeights) / sum
		if o.Weight == nil {
			c := a * share
			for j := range d {
				d[j] = d[j]*scale - c
			}
		} else {
			c := a * share
			for j, w := range o.Weight {
				d[j] = d[j]*scale - c*w
			}
		}
		d[t] -= a * (1 - o.Smoothing) * own
	}
	return loss / total
}

// NLL returns the mean loss of log-probabilities with smoothing.
func NLL(logp mat.Matrix, target []int, smoothing float64) float64 {
	row := rowsOf(logp)
	_, cols := logp.Dims()
	share := smoothing / float64(cols)
	loss := 0.0
	for i, t := range target {
		l := row(i)
		sum := 0.0
		for _, v := range l {
			sum += v
		}
		loss -= (1-smoothing)*l[t] + share*sum
	}
	return loss / float64(len(target))
}

// SoftCrossEntropyGrad returns the mean loss against distributions and writes
// its gradient.
func SoftCrossEntropyGrad(dst *mat.Dense, x, target mat.Matrix) float64 {
	row, soft := rowsOf(x), rowsOf(target)
	rows, _ := x.Dims()
	n := float64(rows)
	loss := 0.0
	for i := range rows {
		x, q, dst := row(i), soft(i), dst.RawRowView(i)
		all, dot := 0.0, 0.0
		for j, v := range q {
			all += v
			dot += v * x[j]
		}
		m, sum := expSum(dst, x, false)
		loss += all*(m+math.Log(sum)) - dot
		scale := all / (sum * n)
		for j, v := range q {
			dst[j] = dst[j]*scale - v/n
		}
	}
	return loss / n
}
