// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"slices"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// This file is the shortest way through a cross-entropy: of rows so few that one
// kernel does all of them. To set up an entropy, which is for whatever a call may be,
// takes as long as that. All that is not as it mostly is, and all that is wrong, is
// left to the general way, before anything is written.

// A shortCall is such a call.
type shortCall struct {
	x       source
	dst     blas64.General // empty where no gradient is wanted
	each    []float64
	options *Options
	weight  kernel.ExactSum // of the Loss
	ignored int             // rows that do not count
}

// noOptions are what nil Options stand for; they are not written.
var noOptions Options

// take sets f, which is zero, to a call for n rows, and reports whether it is one that
// a kernel does, with options that have the lengths they should.
func (f *shortCall) take(out *output, logits mat.Matrix, n int, opts *Options) bool {
	if n > kernel.Group || !f.x.smallDense(logits) || f.x.rows != n || !atOnce(n, f.x.cols) {
		return false
	}
	if out.wantsEach && len(out.each) != n {
		return false
	}
	f.each = out.each
	if out.wantsGrad {
		if _, ok := smallDst(&f.dst, out.grad, &f.x.raw); !ok {
			return false
		}
	}
	f.options = opts
	if opts == nil {
		f.options = &noOptions
		return true
	}
	return (opts.Weight == nil || len(opts.Weight) == f.x.cols) && (opts.SampleWeight == nil || len(opts.SampleWeight) == n) &&
		(!out.wantsGrad || opts.Reduction == Mean || opts.Reduction == Sum)
}

// sampleWeight returns the sample weight of row k, and whether it is one that is
// allowed.
func (f *shortCall) sampleWeight(k int) (v float64, ok bool) {
	v = f.options.SampleWeight[k]
	return v, math.Abs(v) <= math.MaxFloat64 && (v >= 0 || f.dst.Data == nil || f.options.Reduction == Sum)
}

// label looks at the labels and the options for them, and reports whether nothing is
// wrong with them. It returns the bits of the labels that count.
func (f *shortCall) label(target []int) (classes uint64, ok bool) {
	cols, weight, ignore := f.x.cols, f.options.Weight, f.options.ignore()
	if f.options.LabelSmoothing != 0 {
		if e := f.options.LabelSmoothing; !(e >= leastUnscaled && e <= 1) || !areOrdinary(weight) {
			return 0, false
		}
	} else if !areSoftTargets(weight) {
		return 0, false
	}
	classes = math.MaxUint64 >> (kernel.FewCols - cols)
	for _, y := range ignore {
		if uint(y) < uint(cols) {
			classes &^= 1 << y
		}
	}
	plain := weight == nil && f.options.SampleWeight == nil
	for k, y := range target {
		v := 1.0
		if f.options.SampleWeight != nil {
			if v, ok = f.sampleWeight(k); !ok {
				return 0, false
			}
		}
		switch {
		case classes>>uint(y)&1 == 0:
			if uint(y) >= uint(cols) && !slices.Contains(ignore, y) {
				return 0, false
			}
			f.ignored++
			continue
		case v == 0:
			f.ignored++
			continue
		case plain:
			continue
		case weight != nil:
			w := weight[y]
			v = float64(w * v)
			if p := math.Abs(v); !(p >= 0x1p-1022 && p <= math.MaxFloat64) && w != 0 {
				return 0, false
			}
		}
		f.weight.Add(v)
	}
	if plain {
		f.weight.Add(float64(len(target) - f.ignored))
	}
	return classes, true
}

// setLabelled sets l, which is zero, to what CrossEntropy returns, and writes what is
// asked for, or reports false.
func (l *Loss) setLabelled(out *output, logits mat.Matrix, target []int, opts *Options) bool {
	var f shortCall
	if !f.take(out, logits, len(target), opts) {
		return false
	}
	classes, ok := f.label(target)
	if !ok {
		return false
	}
	if f.ignored == len(target) {
		f.clear()
		l.Rows, l.Ignored = f.ignored, f.ignored
		return true
	}
	divisor := newDivisor(f.options.Reduction, &f.weight)
	if divisor.scaled != 0 {
		return false
	}
	w := workspaces.Get().(*workspace)
	correct := 0
	if o := f.options; o.LabelSmoothing == 0 {
		correct, ok = w.labels.LabelRows(&w.tile, f.x.raw.Data, f.x.raw.Stride, f.x.cols, target, classes, o.Weight, o.SampleWeight, divisor.value, f.dst.Data, f.dst.Stride)
	} else {
		off := o.LabelSmoothing / float64(f.x.cols)
		r := f.rows(divisor.value)
		r.Target, r.Classes, r.Weight = target, classes, o.Weight
		r.On = 1 - o.LabelSmoothing + off
		w.coefficients = grow(w.coefficients, f.x.cols)
		r.Base = w.coefficients
		if o.Weight == nil {
			kernel.Fill(r.Base, off)
			r.Sum, r.SumKnown = kernel.SumOfEqual(r.On, off, f.x.cols-1), true
		} else {
			for c, v := range o.Weight {
				r.Base[c] = float64(v * off)
			}
			r.SumKnown = f.dst.Data == nil
		}
		correct, ok = w.panel.WeightedRows(&w.labels, &w.tile, &w.coefficientTile, &w.termTile, &r)
	}
	if ok {
		l.setFew(&f, w.labels.Loss[:len(target)])
		l.judge(correct)
	}
	workspaces.Put(w)
	return ok
}

// setDistributed is setLabelled for SoftCrossEntropy.
func (l *Loss) setDistributed(out *output, logits, target mat.Matrix, opts *Options) bool {
	var f shortCall
	var soft source
	if !soft.smallDense(target) || !f.take(out, logits, soft.rows, opts) || soft.cols != f.x.cols ||
		f.options.Weight != nil || f.options.LabelSmoothing != 0 {
		return false
	}
	var dst blas64.General
	if out.wantsGrad {
		if _, ok := smallDst(&dst, out.grad, &soft.raw); !ok {
			return false
		}
	}
	if !areSoftTargetRows(soft.raw.Data, soft.raw.Stride, soft.rows, soft.cols) {
		return false
	}
	for k := range f.options.SampleWeight {
		v, ok := f.sampleWeight(k)
		if !ok {
			return false
		}
		if v == 0 {
			f.ignored++
		}
		f.weight.Add(v)
	}
	if f.options.SampleWeight == nil {
		f.weight.Add(float64(soft.rows))
	}
	divisor := newDivisor(f.options.Reduction, &f.weight)
	if f.ignored == soft.rows || divisor.scaled != 0 {
		return false
	}
	r := f.rows(divisor.value)
	r.Soft = kernel.Rows{Data: soft.raw.Data, Stride: soft.raw.Stride}
	w := workspaces.Get().(*workspace)
	_, ok := w.panel.WeightedRows(&w.labels, &w.tile, &w.coefficientTile, &w.termTile, &r)
	if ok {
		l.setFew(&f, w.labels.Loss[:soft.rows])
	}
	workspaces.Put(w)
	return ok
}

// rows returns what a kernel is told of f.
func (f *shortCall) rows(divisor float64) kernel.WeightedRows {
	return kernel.WeightedRows{
		N: f.x.rows, Cols: f.x.cols,
		X:       kernel.Rows{Data: f.x.raw.Data, Stride: f.x.raw.Stride},
		Dst:     kernel.Rows{Data: f.dst.Data, Stride: f.dst.Stride},
		Sample:  f.options.SampleWeight,
		Divisor: divisor,
	}
}

// setFew sets l, of which nothing is known to be correct, and the losses of the rows
// where they are wanted.
func (l *Loss) setFew(f *shortCall, losses []float64) {
	var sum kernel.ExactSum
	sum.AddAll(losses)
	l.set(&sum, &f.weight, len(losses), f.ignored)
	copy(f.each, losses)
}

// clear sets what is asked for to what rows have that do not count.
func (f *shortCall) clear() {
	clear(f.each)
	for i := 0; f.dst.Data != nil && i < f.dst.Rows; i++ {
		clearRow(f.dst.Data[i*f.dst.Stride:][:f.dst.Cols])
	}
}
