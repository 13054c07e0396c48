// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package sweep

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// The plain loops: what a careful user of Go writes for each job. The maximum is
// subtracted, an exponential is computed once, memory is gone through in its
// order, and only what an option needs is done for it.

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

func loopLogSoftmax(dst *mat.Dense, x mat.Matrix) {
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

func loopSoftmax(dst *mat.Dense, x mat.Matrix) {
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

func loopLogSumExp(dst []float64, x mat.Matrix) {
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

// columnSums is the working memory of the loops down columns.
type columnSums struct{ max, sum []float64 }

// fill finds the maximum of each column and the sum of the exponentials; it
// writes those to dst if there is one.
func (c *columnSums) fill(dst, x *mat.Dense) {
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

func loopLogSoftmaxColumns(dst, x *mat.Dense, c *columnSums) {
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

func loopSoftmaxColumns(dst, x *mat.Dense, c *columnSums) {
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

func loopLogSoftmaxGrad(dst *mat.Dense, logp, upstream mat.Matrix) {
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

// loopOptions are the options that a loop is written for; an empty slice is one
// that is not given.
type loopOptions struct {
	weight, sampleWeight []float64
	ignore               int // label, -100 for none
	smoothing            float64
}

// factor returns the weight of a row: that of its class times its own.
func (o *loopOptions) factor(i, target int) float64 {
	f := 1.0
	if o.weight != nil {
		f = o.weight[target]
	}
	if o.sampleWeight != nil {
		f *= o.sampleWeight[i]
	}
	return f
}

// total returns what the mean divides by.
func (o *loopOptions) total(target []int) float64 {
	sum := 0.0
	for i, t := range target {
		if t != o.ignore {
			sum += o.factor(i, t)
		}
	}
	return sum
}

// loopCrossEntropy returns the mean loss and, with a dst, writes its gradient.
func loopCrossEntropy(dst *mat.Dense, x mat.Matrix, target []int, o *loopOptions) float64 {
	row := rowsOf(x)
	_, cols := x.Dims()
	total := o.total(target)
	loss := 0.0
	share := o.smoothing / float64(cols) // of each class
	allWeights := float64(cols)
	if o.weight != nil {
		allWeights = 0
		for _, w := range o.weight {
			allWeights += w
		}
	}
	for i, t := range target {
		if t == o.ignore {
			if dst != nil {
				clear(dst.RawRowView(i))
			}
			continue
		}
		x := row(i)
		f := o.factor(i, t)
		xt := x[t]
		rowWeights, own, smooth := 0.0, 1.0, 0.0 // Σ w·x, weight of this class, of a row
		if o.smoothing != 0 {
			if o.weight != nil {
				own = o.weight[t]
				for j, v := range x {
					rowWeights += o.weight[j] * v
				}
			} else {
				for _, v := range x {
					rowWeights += v
				}
			}
			smooth = 1
			if o.sampleWeight != nil {
				smooth = o.sampleWeight[i]
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
		if o.smoothing == 0 {
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
		loss += (1-o.smoothing)*f*(lse-xt) + share*smooth*(allWeights*lse-rowWeights)
		if dst == nil {
			continue
		}
		d := dst.RawRowView(i)
		a := smooth / total
		scale := a * ((1-o.smoothing)*own + share*allWeights) / sum
		if o.weight == nil {
			c := a * share
			for j := range d {
				d[j] = d[j]*scale - c
			}
		} else {
			c := a * share
			for j, w := range o.weight {
				d[j] = d[j]*scale - c*w
			}
		}
		d[t] -= a * (1 - o.smoothing) * own
	}
	return loss / total
}

// loopNLL returns the mean loss of log-probabilities with smoothing.
func loopNLL(logp mat.Matrix, target []int, smoothing float64) float64 {
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

// loopSoftCrossEntropy returns the mean loss against distributions and writes
// its gradient.
func loopSoftCrossEntropy(dst *mat.Dense, x, target mat.Matrix) float64 {
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
