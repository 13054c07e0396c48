// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"example.org/logsoftmax/internal/testkit"
)

// kernels is every kernel. The table drives the tests that hold them to the
// reference, that have memory beside theirs fault, that look for what they leave
// in the vector registers, and that ask the race detector what it knows of them.
// A kernel more is a row more.
var kernels = []kernelRow{
	{"MaxOf", ofSlice, func(o *operands) { o.returns(MaxOf(o.x)) }, anyValue, "x", "", ""},
	{"expSum without dst", ofSlice, func(o *operands) { o.returns(expSum(nil, o.x, o.max)) }, finite, "x", "", ""},
	{"expSum", ofSlice, func(o *operands) { o.returns(expSum(o.dst, o.x, o.max)) }, finite, "x", "dst", ""},
	{"expSum in place", ofSlice, func(o *operands) { o.returns(expSum(o.x, o.x, o.max)) }, finite, "x", "x", ""},
	{"LaneTotal without dst", ofBlock, func(o *operands) { o.returns(LaneTotal(nil, o.x, o.max)) }, finite, "x", "", ""},
	{"LaneTotal", ofBlock, func(o *operands) { o.returns(LaneTotal(o.dst, o.x, o.max)) }, finite, "x", "dst", ""},
	{"LaneTotal in place", ofBlock, func(o *operands) { o.returns(LaneTotal(o.x, o.x, o.max)) }, finite, "x", "x", ""},
	{"ExpSumAhead", ofSlice, func(o *operands) { o.returns(ExpSumAhead(nil, o.x, o.max, o.q, o.dst)) }, finite, "x", "", ""},
	{"ShiftBy", ofSlice, func(o *operands) { ShiftBy(o.dst, o.x, o.max, o.number) }, anyValue, "x", "dst", ""},
	{"ShiftBy in place", ofSlice, func(o *operands) { ShiftBy(o.x, o.x, o.max, o.number) }, anyValue, "x", "x", ""},
	{"scaleBy", ofSlice, func(o *operands) { scaleBy(o.x, o.number) }, finite, "x", "x", ""},
	{"LaneSum.addLoss", ofSlice, func(o *operands) { o.returns(new(LaneSum).addLoss(o.q, o.x, o.max, o.number)) }, finite, "x q", "", ""},
	{"LossAndSum.add", ofSlice, func(o *operands) { o.returns(new(LossAndSum).add(o.q, o.x, o.max, o.number)) }, finite, "x q", "", ""},
	{"coefficientSum", ofSlice, func(o *operands) { o.returns(coefficientSum(o.x)) }, finite, "x", "", ""},
	{"CoefficientSum.add", ofSlice, func(o *operands) { o.returns(new(CoefficientSum).add(o.x)) }, finite, "x", "", ""},
	{"WeightedGradient", ofSlice, func(o *operands) {
		WeightedGradient(o.dst, o.x, o.q, Factors{o.number, 0x1p-54 * o.number, 1}, Accumulator{3, 0x1p-54}, -o.number)
	}, anyValue, "x q", "dst", ""},
	{"addLanes", ofSlice, func(o *operands) { o.addLanes(o.dst) }, finite, "x", "dst", ""},
	{"addLanes in place", ofSlice, func(o *operands) { o.addLanes(o.x) }, finite, "x", "x", ""},
	{"AreBetween", ofSlice, func(o *operands) {
		if AreBetween(o.q, 0, math.MaxFloat64) && AreBetween(o.q[:len(o.q)/2], 0x1p-60, 0.75) {
			o.returns(1)
		} else {
			o.returns(0)
		}
	}, anyValue, "q", "", ""},
	{"RowsAreBetween", ofManyRows, func(o *operands) {
		all := RowsAreBetween(o.q, o.stride, o.rows, o.cols, 0, math.MaxFloat64)
		some := RowsAreBetween(o.q, o.stride, (o.rows+1)/2, (o.cols+1)/2, 0x1p-60, 0.75)
		o.returns(map[bool]float64{true: 1}[all], map[bool]float64{true: 1}[some])
	}, anyValue, "q", "", ""},
	{"IndexOf", ofSlice, func(o *operands) { o.returns(float64(IndexOf(o.x, o.max))) }, anyValue, "x", "", ""},
	{"VectorJacobianOf", ofSlice, func(o *operands) { VectorJacobianOf(o.dst, o.x, o.q, 0.75, 0x1p-60) }, anyValue, "x q", "dst", ""},
	{"VectorJacobianRows", ofManyRows, func(o *operands) {
		VectorJacobianRows(Rows{o.dst, o.stride}, Rows{o.x, o.stride}, Rows{o.q, o.stride}, o.rows, o.cols, o.panel.Max[o.n:], o.panel.lower[o.n:])
	}, anyValue, "x q", "dst", ""},
	{"VectorJacobianColumns", ofStrip, func(o *operands) {
		VectorJacobianColumns(Rows{o.dst, o.stride}, Rows{o.x, o.stride}, Rows{o.q, o.stride}, o.n, o.groups*Group, o.panel.Max[:], o.panel.lower[:])
	}, anyValue, "x q", "dst", ""},
	{"momentTerms", ofSlice, func(o *operands) { momentTerms(o.dst, o.q, o.x, o.x) }, anyValue, "x", "dst q", ""},
	{"largeMoments", ofTiles, func(o *operands) {
		hi, lo := o.panel.Hi[3], o.panel.Lo[3]
		largeMoments(hi[:], lo[:], o.x, o.q, o.n, o.groups)
		o.returns(append(hi[:o.groups*Group], lo[:o.groups*Group]...)...)
	}, anyValue, "", "", ""},
	{"softmaxGradRow", ofSlice, func(o *operands) {
		softmaxGradRow(o.dst, o.x, o.probabilities(), o.q, Accumulator{0.75, 0x1p-60}, Accumulator{o.number, 0x1p-55})
	}, anyValue, "x q", "dst", ""},
	{"softmaxGradColumns", ofStrip, func(o *operands) {
		softmaxGradColumns(o.dst, o.x, o.probabilities(), o.q, o.stride, o.n, o.groups*Group, o.panel.Max[:], o.panel.lower[:], o.panel.NegLogSum[:], o.panel.LogSumLow[:])
	}, anyValue, "", "", ""},

	{"Panel.RaiseMax", ofColumns, func(o *operands) { o.panel.Reset(); o.panel.RaiseMax(o.x, o.stride, o.n, o.slices()) }, anyValue, "x", "", "max"},
	{"Panel.SetFrames", ofStrip, func(o *operands) { o.panel.SetFrames(o.groups) }, finite, "", "", "shift magic lower count sums"},
	{"Panel.AddExp without dst", ofColumns, func(o *operands) { o.panel.AddExp(nil, 0, o.x, o.stride, o.n, o.slices()) }, finite, "x", "", "count sums"},
	{"Panel.AddExp", ofColumns, func(o *operands) { o.panel.AddExp(o.dst, o.stride, o.x, o.stride, o.n, o.slices()) }, finite, "x", "dst", "count sums"},
	{"Panel.AddExp in place", ofColumns, func(o *operands) { o.panel.AddExp(o.x, o.stride, o.x, o.stride, o.n, o.slices()) }, finite, "x", "x", "count sums"},
	{"Panel.AddExpAhead without dst", ofColumns, func(o *operands) {
		o.panel.AddExpAhead(nil, 0, o.x, o.stride, o.n, o.slices(), o.q, o.dst, o.stride)
	}, finite, "x", "", "count sums"},
	{"Panel.AddExpAhead", ofColumns, func(o *operands) {
		o.panel.AddExpAhead(o.dst, o.stride, o.x, o.stride, o.n, o.slices(), o.q, o.dst, o.stride)
	}, finite, "x", "dst", "count sums"},
	{"Panel.JoinLanes", ofStrip, func(o *operands) { o.panel.JoinLanes(o.groups) }, finite, "", "", "sum"},
	{"Panel.Total without dst", ofColumns, func(o *operands) { o.panel.Total(nil, 0, o.x, o.stride, o.n, o.slices()) }, finite, "x", "", "count sum"},
	{"Panel.Total", ofColumns, func(o *operands) { o.panel.Total(o.dst, o.stride, o.x, o.stride, o.n, o.slices()) }, finite, "x", "dst", "count sum"},
	{"Panel.TotalAhead without dst", ofColumns, func(o *operands) {
		o.panel.TotalAhead(nil, 0, o.x, o.stride, o.n, o.slices(), o.q, o.dst, o.stride)
	}, finite, "x", "", "count sum"},
	{"Panel.TotalAhead", ofColumns, func(o *operands) {
		o.panel.TotalAhead(o.dst, o.stride, o.x, o.stride, o.n, o.slices(), o.q, o.dst, o.stride)
	}, finite, "x", "dst", "count sum"},
	{"Panel.concludeSums", ofStrip, func(o *operands) { o.panel.concludeSums(o.groups) }, finite, "", "", "total inverse inverseLow complement complementLow"},
	{"Panel.concludeLogs", ofStrip, func(o *operands) { o.panel.concludeLogs(o.groups) }, finite, "", "", "negLogSum logSumLow"},
	{"Panel.concludeProbabilities", ofStrip, func(o *operands) { o.panel.concludeProbabilities(o.groups) }, finite, "", "", "inverse inverseLow complement complementLow"},
	{"Panel.LogSumExps", ofStrip, func(o *operands) {
		o.panel.LogSumExps(o.dst[o.n/2*o.stride:][:o.groups*Group])
		dst := o.dst[len(o.dst)-o.groups*Group:]
		o.panel.LogSumExps(dst)
		o.returns(dst...)
		o.panel.LogSumExps(dst[3:])
	}, anyValue, "", "dst", ""},
	{"Panel.Shift", ofColumns, func(o *operands) { o.panel.Shift(o.dst, o.stride, o.x, o.stride, o.n, o.slices()) }, anyValue, "x", "dst", ""},
	{"Panel.Shift in place", ofColumns, func(o *operands) { o.panel.Shift(o.x, o.stride, o.x, o.stride, o.n, o.slices()) }, anyValue, "x", "x", ""},
	{"Panel.Scale", ofColumns, func(o *operands) { o.panel.Scale(o.dst, o.stride, o.x, o.stride, o.n, o.slices()) }, finite, "x", "dst", ""},
	{"Panel.Scale in place", ofColumns, func(o *operands) { o.panel.Scale(o.x, o.stride, o.x, o.stride, o.n, o.slices()) }, finite, "x", "x", ""},
	{"Panel.Add", ofStrip, func(o *operands) { o.panel.Add(o.x, o.stride, o.n, o.groups*Group) }, finite, "x", "", "sums"},
	{"Panel.SumSlices", ofTiles, func(o *operands) { o.panel.SumSlices(o.x, o.n, o.groups) }, finite, "", "", "sum"},
	{"Panel.TakeLow", ofStrip, func(o *operands) {
		var low LowSums
		o.panel.TakeLow(&low, o.groups)
		o.panel.TakeLow(&low, o.groups)
		o.returns(append(low.mid[3][:o.groups*Group], low.low[7][:o.groups*Group]...)...)
	}, finite, "", "", "sums"},
	{"Panel.JoinLow", ofStrip, func(o *operands) {
		var low LowSums
		low.mid[2], low.low[5] = o.panel.LogSumLow, o.panel.InverseLow
		o.panel.JoinLow(&low, o.groups)
	}, finite, "", "", "sum"},
	{"VectorJacobianTile", ofTiles, func(o *operands) {
		var logp, u Tile
		copy(logp[:], o.x)
		copy(u[:], o.q)
		VectorJacobianTile(&logp, &u, o.n, o.groups*Group, o.panel.Max[:], o.panel.lower[:], o.dst, o.x, nil)
		o.returns(logp[:(o.n-1)*Width+o.groups*Group]...)
	}, anyValue, "", "", ""},
	{"Panel.WeightedLoss", ofTiles, func(o *operands) { o.panel.WeightedLoss(o.q, o.x, o.n, o.groups) }, finite, "", "", "sum"},
	{"Panel.WeightedGradient", ofTiles, func(o *operands) { o.panel.WeightedGradient(o.dst, o.q, o.x, o.n, o.groups) }, finite, "", "", ""},

	{"Product", ofStrip, func(o *operands) {
		Product(Rows{o.dst, o.stride}, o.n, o.groups*Group, Factor{o.q, 0, 1}, Rows{o.x, o.stride}, o.n, nil, false)
	}, finite, "x", "dst", ""},

	{"pack", ofRows, func(o *operands) { pack(o.tile, Width, o.x, o.stride, o.cols, o.full()) }, anyValue, "x", "", ""},
	{"pack without gaps", ofDenseRows, func(o *operands) { pack(o.dst, o.rows, o.x, o.stride, o.cols, o.full()) }, anyValue, "x", "dst", ""},
	{"Panel.packMax", ofRows, func(o *operands) { o.panel.packMax(o.tile, o.x, o.stride, o.cols, o.full()) }, anyValue, "x", "", "max"},
	{"unpack", ofRows, func(o *operands) { unpack(o.dst, o.stride, o.tile, Width, o.cols, o.full()) }, anyValue, "", "dst", ""},
	{"unpack without gaps", ofDenseRows, func(o *operands) { unpack(o.dst, o.stride, o.x, o.rows, o.cols, o.full()) }, anyValue, "x", "dst", ""},
	{"Panel.unpackScaled", ofRows, func(o *operands) { o.panel.unpackScaled(o.dst, o.stride, o.tile, o.cols, o.full()) }, finite, "", "dst", ""},
	{"Panel.ShiftRows", ofDenseRows, func(o *operands) {
		if !o.panel.ShiftRows(o.dst, o.x, o.cols, o.rows) {
			for i := range o.rows {
				ShiftBy(o.dst[i*o.cols:][:o.cols], o.x[i*o.cols:][:o.cols], o.panel.Max[i], o.panel.NegLogSum[i])
			}
		}
	}, anyValue, "x", "dst", ""},
	{"Panel.MaxOfRows", ofManyRows, func(o *operands) {
		p := o.panel
		p.MaxOfRows(o.n, o.x, o.stride, o.cols, o.rows)
		o.returnsSlices(&p.Max, &p.shift, &p.magic, &p.lower)
	}, anyValue, "x", "", ""},
	{"Panel.ExpSumRows without dst", ofManyRows, func(o *operands) {
		o.panel.ExpSumRows(o.n, nil, 0, o.x, o.stride, o.cols, o.rows, o.q, o.dst)
		o.returnsSlices(&o.panel.Count, &o.panel.Hi[0], &o.panel.Lo[0])
	}, finite, "x", "", ""},
	{"Panel.ExpSumRows", ofManyRows, func(o *operands) {
		o.panel.ExpSumRows(o.n, o.dst, o.stride, o.x, o.stride, o.cols, o.rows, nil, nil)
		o.returnsSlices(&o.panel.Count, &o.panel.Hi[0], &o.panel.Lo[0])
	}, finite, "x", "dst", ""},
	{"Panel.ExpSumRows in place", ofManyRows, func(o *operands) {
		o.panel.ExpSumRows(o.n, o.x, o.stride, o.x, o.stride, o.cols, o.rows, nil, o.x)
		o.returnsSlices(&o.panel.Count, &o.panel.Hi[0], &o.panel.Lo[0])
	}, finite, "x", "x", ""},
	{"Panel.ShiftEachRow", ofManyRows, func(o *operands) {
		o.panel.ShiftEachRow(o.n, o.dst, o.stride, o.x, o.stride, o.cols, o.rows)
	}, anyValue, "x", "dst", ""},
	{"Panel.ShiftEachRow in place", ofManyRows, func(o *operands) {
		o.panel.ShiftEachRow(o.n, o.x, o.stride, o.x, o.stride, o.cols, o.rows)
	}, anyValue, "x", "x", ""},
	{"Panel.ScaleEachRow", ofManyRows, func(o *operands) { o.panel.ScaleEachRow(o.n, o.x, o.stride, o.cols, o.rows) }, finite, "x", "x", ""},
	{"Panel.unpackGradient", ofRows, func(o *operands) {
		for k, y := range o.labels.Class {
			o.labels.AtLabel[k] = -float64(k + 1)
			if y < 0 {
				// As Label does.
				o.labels.AtLabel[k], o.panel.Factor[k] = 0, 0
			}
		}
		o.panel.unpackGradient(o.labels, o.dst, o.stride, o.tile, o.cols, o.full())
	}, finite, "", "dst", ""},
	{"SmoothedLosses", ofManyRows, smoothedLosses, anyValue, "x", "", ""},
	{"SmoothedLosses of few classes", ofFewRows, smoothedLosses, anyValue, "x", "", ""},
	{"WeightedSmoothedLosses", ofManyRows, weightedSmoothedLosses, anyValue, "x", "", ""},
	{"WeightedSmoothedLosses of few classes", ofFewRows, weightedSmoothedLosses, anyValue, "x", "", ""},
	{"Panel.WeightedLossRows", ofManyRows, func(o *operands) {
		var l Labels
		o.panel.WeightedLossRows(o.n, &l, new(RowLanes), o.q, o.stride, o.x, o.stride, o.cols, o.rows, o.panel.NegLogSum[o.n:], false)
		o.returnsSums(&l.High, &l.Low)
	}, finite, "x q", "", ""},
	{"Panel.WeightedLossRows with sums", ofManyRows, func(o *operands) {
		var l Labels
		o.panel.WeightedLossRows(o.n, &l, new(RowLanes), o.q, o.stride, o.x, o.stride, o.cols, o.rows, o.panel.NegLogSum[o.n:], true)
		o.returnsSums(&l.High, &l.Low, &o.panel.Hi[0], &o.panel.Lo[0], &o.panel.Top, new([Width]float64))
	}, finite, "x q", "", ""},
	{"Panel.WeightedGradientRows", ofManyRows, func(o *operands) {
		o.setWeightings()
		o.panel.WeightedGradientRows(o.n, o.dst, o.stride, o.x, o.stride, o.q, o.stride, o.cols, o.rows)
	}, finite, "x q", "dst", ""},
	{"Panel.WeightedGradientRows in place", ofManyRows, func(o *operands) {
		o.setWeightings()
		o.panel.WeightedGradientRows(o.n, o.x, o.stride, o.x, o.stride, o.q, o.stride, o.cols, o.rows)
	}, finite, "x q", "x", ""},
	{"Panel.WeightedGradientRows in place of the coefficients", ofManyRows, func(o *operands) {
		o.setWeightings()
		o.panel.WeightedGradientRows(o.n, o.q, o.stride, o.x, o.stride, o.q, o.stride, o.cols, o.rows)
	}, finite, "x q", "q", ""},
	{"Panel.Label", ofRows, func(o *operands) {
		o.panel.Label(o.labels, nil, o.groups)
		o.returns(append(o.labels.Loss[:], total(o.labels.Single), total(o.labels.Tied))...)
	}, finite, "", "", ""},
	{"Labels.Take", ofRows, func(o *operands) {
		target, all := make([]int, o.rows), []float64(nil)
		for k, y := range o.labels.Class[:o.rows] {
			target[k] = []int{int(y), int(y), -100, math.MinInt, 64, math.MaxInt}[k%6]
		}
		for _, classes := range []uint64{1<<64 - 1, 1<<64 - 2, 0x5555555555555555} {
			o.labels.Take(o.terms, target, classes)
			for k := range target {
				all = append(all, float64(o.labels.Class[k]), o.labels.Logit[k])
			}
		}
		o.returns(all...)
	}, anyValue, "", "", ""},
	{"Labels.Weigh", ofRows, func(o *operands) {
		sample := o.q[len(o.q)-o.rows:]
		weigh := func(weight *[FewCols]float64, sample []float64, divisor float64) (all []float64) {
			l := *o.labels
			combine := 0.0
			if l.Weigh(weight, sample, o.rows, divisor) {
				combine = 1
			}
			for _, y := range l.Class {
				all = append(all, float64(y))
			}
			return slices.Concat(all, l.Coefficient[:], l.Gradient[:], []float64{combine})
		}
		weight := (*[FewCols]float64)(o.terms[:])
		o.returns(slices.Concat(weigh(nil, nil, 3), weigh(nil, sample, 0), weigh(weight, nil, 1), weigh(weight, sample, 0x1p-60), weigh(nil, sample, 1e305))...)
	}, finite, "", "", ""},
	{"Tile.LogSoftmaxRows", ofFewRows, func(o *operands) { o.normalizeRows("LogSoftmax", o.dst) }, anyValue, "x", "dst", ""},
	{"Tile.LogSoftmaxRows in place", ofFewRows, func(o *operands) { o.normalizeRows("LogSoftmax", o.x) }, anyValue, "x", "x", ""},
	{"Tile.SoftmaxRows", ofFewRows, func(o *operands) { o.normalizeRows("Softmax", o.dst) }, anyValue, "x", "dst", ""},
	{"Tile.LogSumExpRows", ofFewRows, func(o *operands) { o.normalizeRows("LogSumExp", o.dst) }, anyValue, "x", "", ""},
	{"Labels.LabelRows", ofFewRows, func(o *operands) {
		weight, s := o.weights()
		sample := o.q[len(o.q)-o.rows:]
		copy(sample, s)
		o.tame()
		o.returns(slices.Concat(o.labelRows(weight, nil, 1, false), o.labelRows(nil, sample, -3, false),
			o.labelRows(weight, sample, 0, true), o.labelRows(nil, nil, 7, true))...)
	}, anyValue, "x", "dst", ""},
	{"Panel.WeightedRows of distributions", ofFewRows, func(o *operands) {
		_, sample := o.weights()
		o.tame()
		o.returns(slices.Concat(o.weightedRows(nil, nil, nil, 3, false), o.weightedRows(nil, nil, sample, 3, true))...)
	}, anyValue, "x q", "dst", ""},
	{"Panel.WeightedRows of labels", ofFewRows, func(o *operands) {
		weight, sample := o.weights()
		o.tame()
		base := make([]float64, o.cols)
		for j, w := range weight {
			base[j] = 0x1p-4 * w
		}
		o.returns(slices.Concat(o.weightedRows(base, weight, nil, 3, false), o.weightedRows(base, nil, nil, -3, false),
			o.weightedRows(base, nil, sample, 0, true), o.weightedRows(base, weight, sample, 7, true))...)
	}, anyValue, "x", "dst", ""},
	{"Panel.WeightedLabel", ofRows, func(o *operands) {
		o.panel.WeightedLabel(o.labels, false, o.groups)
		o.returns(append(o.labels.Loss[:], total(o.labels.Single), total(o.labels.Tied))...)
	}, finite, "", "", ""},
	{"Panel.WeightedLabel of distributions", ofRows, func(o *operands) {
		o.panel.WeightedLabel(o.labels, true, o.groups)
		o.returns(append(o.labels.Loss[:], total(o.labels.Single), total(o.labels.Tied))...)
	}, finite, "", "", ""},
	{"Panel.Label with terms", ofRows, func(o *operands) {
		o.panel.Label(o.labels, o.terms, o.groups)
		o.returns(slices.Concat(o.labels.Loss[:], o.labels.AtLabel[:], []float64{total(o.labels.Single), total(o.labels.Tied)})...)
	}, finite, "", "", "factor"},
}

// weights returns weights of classes, at the end of memory, and of rows.
func (o *operands) weights() (weight, sample []float64) {
	weight, sample = o.terms[len(o.terms)-o.cols:], make([]float64, o.rows)
	for k := range sample {
		sample[k] = []float64{1, 0.3, 0, -3, 1e-310}[k%5*(k%13)%5]
	}
	for c := range weight {
		weight[c] = float64(c % 5)
	}
	return weight, sample
}

// tame makes most rows of x, by groups, such that nothing about them is special.
func (o *operands) tame() {
	for i := range o.rows {
		if i/Group%4 == 3 {
			continue
		}
		for j, v := range o.x[i*o.stride:][:o.cols] {
			if !(math.Abs(v) < 800) {
				v = float64(j)
			}
			o.x[i*o.stride+j] = v + 0x1p-20*float64(i*j)
		}
	}
}

// normalizeRows does the rows, a group at most at a time, and returns of each whether
// it was done, and the values that are not in dst. Where there is no kernel for all of
// it, it does what that is to do by those for a step each.
func (o *operands) normalizeRows(what string, dst []float64) {
	o.tame()
	var all []float64
	for i := 0; i < o.rows; i += Group {
		n := min(Group, o.rows-i)
		x, to, values := Rows{o.x[i*o.stride:], o.stride}, Rows{dst[i*o.stride:], o.stride}, make([]float64, n)
		ok, t := false, new(Tile)
		switch {
		case active != tierAVX512:
			ok = normalizeByStep(what, to, values, x, n, o.cols)
		case what == "LogSoftmax":
			ok = t.LogSoftmaxRows(to, x, n, o.cols)
		case what == "Softmax":
			ok = t.SoftmaxRows(to, x, n, o.cols)
		default:
			ok = t.LogSumExpRows(values, x, o.cols)
		}
		done := 0.0
		if ok {
			done = 1
		}
		all = append(append(all, done), values...)
	}
	o.returns(all...)
}

func normalizeByStep(what string, dst Rows, values []float64, x Rows, n, cols int) (ok bool) {
	if cols < 2 {
		return false
	}
	c, t := new(Panel), new(Tile)
	c.PackLogits(t, x.Data, x.Stride, n, cols)
	for _, m := range c.Max[:n] {
		if !(math.Abs(m) < shiftFrom) {
			return false
		}
	}
	var terms []float64
	if what == "Softmax" {
		terms = t[:]
	}
	c.SumTile(t, terms, cols, 1, nil, nil)
	c.Conclude(1, true)
	switch what {
	case "LogSoftmax":
		c.Shift(t[:], Width, t[:], Width, cols, n)
		t.UnpackRows(dst.Data, dst.Stride, n, cols)
	case "Softmax":
		for _, rest := range c.Complement[:n] {
			if rest < Certain {
				return false
			}
		}
		c.Factor = c.Inverse
		c.UnpackRowsScaled(t, dst.Data, dst.Stride, n, cols)
	default:
		c.LogSumExps(values)
	}
	return true
}

// targets returns labels of n rows from row i on, and which of them are classes.
func (o *operands) targets(i, n int) (target []int, classes uint64) {
	for k, y := range o.labels.Class[i:][:n] {
		target = append(target, []int{int(y), int(y), int(y), -100}[(i+5*k)%4])
	}
	classes = uint64(1)<<o.cols - 1
	if i%16 == 0 {
		classes &^= 2
	}
	return target, classes
}

// labelRows does the rows with labels, a group at most at a time, and returns what
// it made of each. Where there is no kernel for all of it, it does what that is to
// do by those for a step each.
func (o *operands) labelRows(weight, sample []float64, divisor float64, gradient bool) (made []float64) {
	l, tile, c := new(Labels), new(Tile), new(Panel)
	for i := 0; i < o.rows; i += Group {
		n := min(Group, o.rows-i)
		target, classes := o.targets(i, n)
		x, dst := o.x[i*o.stride:], []float64(nil)
		if gradient {
			dst = o.dst[i*o.stride:]
		}
		s := sample
		if s != nil {
			s = s[i:]
		}
		correct, ok := l.LabelRows(tile, x, o.stride, o.cols, target, classes, weight, s, divisor, dst, o.stride)
		if active != tierAVX512 {
			correct, ok = l.labelRowsByStep(c, tile, x, o.stride, o.cols, target, classes, weight, s, divisor, dst)
		}
		if !ok {
			correct = -1
			clear(l.Loss[:n])
		}
		made = append(append(made, float64(correct)), l.Loss[:n]...)
	}
	return made
}

// labelRowsByStep is LabelRows by the kernels for a step each, with dst that has
// the stride of x.
func (l *Labels) labelRowsByStep(c *Panel, t *Tile, x []float64, stride, cols int, target []int, classes uint64, weight, sample []float64, divisor float64, dst []float64) (correct int, ok bool) {
	n := len(target)
	if cols < 2 {
		return 0, false
	}
	*l, *c = Labels{}, Panel{}
	c.PackLogits(t, x, stride, n, cols)
	for _, m := range c.Max[:n] {
		if !(math.Abs(m) < shiftFrom) {
			return 0, false
		}
	}
	l.Take(t, target, classes)
	var all *[FewCols]float64
	if weight != nil {
		all = new([FewCols]float64)
		copy(all[:], weight)
	}
	if !l.Weigh(all, sample, n, divisor) {
		return 0, false
	}
	c.SumTile(t, t[:], cols, 1, nil, nil)
	c.Conclude(1, true)
	c.Label(l, t, 1)
	if total(l.Tied) > 0 {
		return 0, false
	}
	if dst != nil {
		c.UnpackGradient(l, t, dst, stride, n, cols)
	}
	return int(total(l.Single)), true
}

// weightedRows is labelRows for rows with a coefficient for every class: those of
// labels, or where base is nil of distributions, in q.
func (o *operands) weightedRows(base, weight, sample []float64, divisor float64, gradient bool) (made []float64) {
	l, c := new(Labels), new(Panel)
	for i := 0; i < o.rows; i += Group {
		n := min(Group, o.rows-i)
		r := WeightedRows{N: n, Cols: o.cols, X: Rows{o.x[i*o.stride:], o.stride}, Base: base, Weight: weight, On: 0.9, Divisor: divisor}
		if base == nil {
			r.Soft = Rows{o.q[i*o.stride:], o.stride}
		} else {
			r.Target, r.Classes = o.targets(i, n)
			if weight == nil {
				r.SumKnown, r.Sum = true, Accumulator{1, 0x1p-55}
			}
		}
		if gradient {
			r.Dst = Rows{o.dst[i*o.stride:], o.stride}
		}
		if sample != nil {
			r.Sample = sample[i:]
		}
		var x, q, terms Tile
		correct, ok := c.WeightedRows(l, &x, &q, &terms, &r)
		if active != tierAVX512 {
			correct, ok = c.weightedRowsByStep(l, &x, &q, &terms, &r)
		}
		if !ok {
			correct = -1
			clear(l.Loss[:n])
		}
		made = append(append(made, float64(correct)), l.Loss[:n]...)
	}
	return made
}

// weightedRowsByStep is WeightedRows by the kernels for a step each.
func (c *Panel) weightedRowsByStep(l *Labels, x, q, terms *Tile, r *WeightedRows) (correct int, ok bool) {
	n, cols, distributions := r.N, r.Cols, r.Target == nil
	if cols < 2 {
		return 0, false
	}
	*l, *c = Labels{}, Panel{}
	c.PackLogits(x, r.X.Data, r.X.Stride, n, cols)
	for _, m := range c.Max[:n] {
		if !(math.Abs(m) < shiftFrom) {
			return 0, false
		}
	}
	if distributions {
		Fill(l.Logit[:], NaN)
		q.PackRows(r.Soft.Data, r.Soft.Stride, n, cols)
	} else {
		l.Take(x, r.Target, r.Classes)
		for k, y := range l.Class[:n] {
			for j := range cols {
				q[j*Width+k] = r.Base[j]
				if int64(j) == y && r.Weight != nil {
					q[j*Width+k] = float64(r.Weight[j] * r.On)
				} else if int64(j) == y {
					q[j*Width+k] = r.On
				}
			}
		}
	}
	l.Weigh(nil, r.Sample, n, r.Divisor)
	c.SumTile(x, terms[:], cols, 1, nil, nil)
	c.Conclude(1, true)
	negLogSum := c.NegLogSum
	if distributions {
		clear(c.NegLogSum[:])
	}
	c.WeightedLoss(q[:], x[:], cols, 1)
	l.High, l.Low = c.Hi[0], c.Lo[0]
	c.NegLogSum = negLogSum
	if r.SumKnown {
		c.SetSums(r.Sum, math.Inf(1), Group)
	} else {
		c.SumSlices(q[:], cols, 1)
	}
	for k := range n {
		if distributions && !(l.High[k] < math.Inf(1) && c.Hi[0][k] < math.Inf(1)) {
			return 0, false
		}
	}
	c.WeightedLabel(l, distributions, 1)
	if total(l.Tied) > 0 {
		return 0, false
	}
	if r.Dst.Data != nil {
		c.Factor = l.Gradient
		c.WeightedGradient(terms[:], q[:], x[:], cols, 1)
		terms.UnpackRows(r.Dst.Data, r.Dst.Stride, n, cols)
	}
	return int(total(l.Single)), true
}

// probabilities returns those of the entries of x.
func (o *operands) probabilities() []float64 {
	p := make([]float64, len(o.x))
	for i, y := range o.x {
		p[i] = probability(y)
	}
	return p
}

// addLanes adds x to sums that are not empty.
func (o *operands) addLanes(rest []float64) {
	s := laneSums{[Lanes]float64{3, 0x1p-30, -7, 1e300}, [Lanes]float64{0x1p-60, 0, 0x1p-53, 0x1p-1000}}
	left := 0.0
	if addLanes(&s, o.x[:len(o.x)&^(Lanes-1)], rest) {
		left = 1
	}
	o.returns(append(slices.Concat(s.hi[:], s.lo[:]), left)...)
}

// returnsSlices returns the fields' slices of rows and those before.
func (o *operands) returnsSlices(fields ...*[Width]float64) {
	o.returned = nil
	for _, f := range fields {
		for _, v := range f[:o.n+o.rows] {
			// What kind of NaN or infinity it is counts, its bits may differ.
			kind := 0.0
			if v != v {
				kind = 1
			}
			o.returned = append(o.returned, v, kind)
		}
	}
}

// smoothedLosses returns what losses sets to the losses of rows with targets.
func (o *operands) smoothedLosses(losses func(to []float64, target []int)) {
	var target []int
	for k := range o.rows {
		target = append(target, []int{k % o.cols, o.cols - 1 - k%o.cols, o.cols / 2, -100, math.MinInt, math.MaxInt, o.cols}[k%7])
	}
	to := make([]float64, o.rows, Width)
	losses(to, target)
	o.returned = nil
	for _, v := range to {
		o.returned = append(o.returned, v, math.Float64frombits(math.Float64bits(v)>>2))
	}
}

func smoothedLosses(o *operands) {
	o.smoothedLosses(func(to []float64, target []int) {
		SmoothedLosses(to, o.x, o.stride, o.cols, target, 0x1.01p-7, 0.9)
	})
}

func weightedSmoothedLosses(o *operands) {
	off := make([]float64, GroupsFor(o.cols)*Group)
	on := make([]float64, len(off))
	for j := range o.cols {
		off[j], on[j] = float64(j%5)*0x1.23p-9, float64(j%3)*0x1.2345p-1
	}
	o.smoothedLosses(func(to []float64, target []int) {
		WeightedSmoothedLosses(to, o.x, o.stride, o.cols, target, off, on)
	})
}

// setWeightings sets what gradients of rows are made of: sums of coefficients
// that are 1, and others.
func (o *operands) setWeightings() {
	for i := range o.rows {
		k := o.n + i
		o.panel.Inverse[k], o.panel.InverseLow[k] = o.number, 0x1p-54*o.number
		o.panel.setSum(k, Accumulator{3, 0x1p-54})
		if i%2 == 1 {
			o.panel.setSum(k, Accumulator{1, 0})
		}
	}
}

// returnsSums returns sums in two words of the rows, of which the second is open
// where the first is not finite.
func (o *operands) returnsSums(words ...*[Width]float64) {
	o.returned = nil
	for i := 0; i < len(words); i += 2 {
		for k := o.n; k < o.n+o.rows; k++ {
			a := Accumulator{words[i][k], words[i+1][k]}
			if !IsFinite(a.Hi) || !IsFinite(a.Lo) {
				a = Accumulator{Hi: a.Value()}
			}
			o.returned = append(o.returned, a.Hi, a.Lo)
		}
	}
}

// A kernelRow is a row of the table of kernels.
type kernelRow struct {
	name   string
	layout layout
	call   func(o *operands) // the reference where the tier is Go
	values values
	// What it reads and writes of x, q and dst that the race detector is to know,
	// and the fields of the panel that it sets.
	reads, writes, panel string
}

// values says which a kernel is tried on.
type values uint8

const (
	anyValue values = iota
	finite          // no NaN or +Inf, and not -Inf alone
)

// A layout is how the operands of a kernel lie.
type layout uint8

const (
	ofSlice     layout = iota // one slice of n entries
	ofBlock                   // the same, of at most a block
	ofStrip                   // n entries of groups of slices side by side
	ofColumns                 // the same, the last of which need not be full
	ofTiles                   // the same, Width apart
	ofRows                    // rows of cols entries, and a tile of them
	ofFewRows                 // the same for what does a group of rows at a time
	ofDenseRows               // the same without gaps
	ofManyRows                // rows of more than FewCols entries, from slice n of a panel on
)

// A kernelShape is the size of operands.
type kernelShape struct {
	n, groups, rows, cols, stride int
	open                          int // slices that the last group has not
}

// slices is how many lie side by side.
func (s kernelShape) slices() int { return s.groups*Group - s.open }

// shapes returns those to try a kernel of the layout on.
func (l layout) shapes() (shapes []kernelShape) {
	switch l {
	case ofSlice:
		for _, n := range kernelLengths() {
			shapes = append(shapes, kernelShape{n: n})
		}
	case ofBlock:
		for n := 1; n <= BlockLen; n++ {
			shapes = append(shapes, kernelShape{n: n})
		}
	case ofStrip, ofColumns, ofTiles:
		for n := 1; n <= BlockLen; n++ {
			for groups := 1; groups <= Width/Group; groups++ {
				s := kernelShape{n: n, groups: groups}
				if l == ofColumns {
					s.open = len(shapes) % Group
				}
				strides := []int{Width, s.slices(), s.slices() + 5}
				if l == ofTiles {
					strides = strides[:1]
				}
				for _, s.stride = range strides {
					shapes = append(shapes, s)
				}
			}
		}
	case ofManyRows:
		for k, cols := range []int{65, 66, 71, 72, 73, 79, 80, 95, 96, 100, 127, 128, 129, 191, 192, 200, 257, 300, 511, 513, 1001, 2047, 2048} {
			for rows := 1; rows <= min(2*Group, 6000/cols); rows++ {
				shapes = append(shapes, kernelShape{n: (k + rows) % 5, rows: rows, cols: cols, stride: cols + []int{0, 1, 7}[(k+rows)%3]})
			}
		}
	default:
		most := Width
		if l == ofFewRows {
			most = 3 * Group
		}
		for cols := 1; cols <= FewCols; cols++ {
			for rows := 1; rows <= most; rows++ {
				for k, stride := range []int{cols, cols + 1, cols + 5} {
					if l != ofDenseRows && (rows%Group == 0 || (cols+rows+k)%3 == 0) || k == 0 {
						shapes = append(shapes, kernelShape{groups: GroupsFor(rows), rows: rows, cols: cols, stride: stride})
					}
				}
			}
		}
	}
	return shapes
}

// someShapes is shapes where all is tried, else the smallest and some more.
func (l layout) someShapes() []kernelShape {
	all, step := l.shapes(), 23
	switch testkit.Long() {
	case 0:
	case 1:
		step = 5
	default:
		return all
	}
	some := all[:0]
	for k, s := range all {
		if k < 16 || k%step == 0 || k == len(all)-1 {
			some = append(some, s)
		}
	}
	return some
}

// operands are what a kernel works on in a test.
type operands struct {
	kernelShape
	x, q, dst   []float64 // as the layout says
	tile        []float64 // of rows side by side
	terms       *Tile     // the same, all of it
	max, number float64
	panel       *Panel
	labels      *Labels
	returned    []float64
}

func (o *operands) returns(values ...float64) { o.returned = append(o.returned[:0], values...) }

// allTerms is o.terms, nil where there are none.
func (o *operands) allTerms() []float64 {
	if o.terms == nil {
		return nil
	}
	return o.terms[:]
}

// full is how many groups the rows fill.
func (o *operands) full() int { return o.rows / Group }

// size is how many entries x, q and dst have, strip how many rows side by side.
func (l layout) size(s kernelShape) (size, strip int) {
	switch l {
	case ofSlice, ofBlock:
		return s.n, 0
	case ofStrip, ofColumns, ofTiles:
		return (s.n-1)*s.stride + s.slices(), s.n * s.groups * Group
	default:
		return (s.rows-1)*s.stride + s.cols, (s.cols-1)*Width + s.groups*Group
	}
}

// middle is the place in x, q and dst of an entry that no kernel leaves out.
//
//lint:ignore U1000 the tests of the race detector use it
func (l layout) middle(s kernelShape) int {
	switch l {
	case ofSlice, ofBlock:
		return s.n / 2
	case ofStrip, ofColumns, ofTiles:
		return s.n/2*s.stride + s.slices()/2
	default:
		return s.rows/2*s.stride + s.cols/2
	}
}

// newOperands returns operands with the numbers that r draws, in memory that
// place gives: as many words as it is asked for.
func newOperands(r *rand.Rand, l layout, v values, s kernelShape, place func(words int) []float64) *operands {
	size, strip := l.size(s)
	o := &operands{kernelShape: s, x: place(size), q: place(size), dst: place(size), number: -10 * math.Abs(testkit.Uniform(r))}
	o.panel = (*Panel)(unsafe.Pointer(&place(int(unsafe.Sizeof(Panel{}) / 8))[0]))
	*o.panel = *canaries()
	at := func(i, j int) *float64 { return &o.x[i*s.stride+j] } // of rows
	slices, length := s.rows, s.cols
	switch l {
	case ofSlice, ofBlock:
		at = func(_, j int) *float64 { return &o.x[j] }
		slices, length = 1, s.n
	case ofStrip, ofColumns, ofTiles:
		at = func(i, j int) *float64 { return &o.x[j*s.stride+i] }
		slices, length = s.slices(), s.n
	}
	slice := make([]float64, length)
	for i := range slices {
		fillings[r.IntN(len(fillings))].fill(r, slice)
		if v == finite {
			makeFinite(slice)
		}
		for j, x := range slice {
			*at(i, j) = x
		}
	}
	coefficientFillings[r.IntN(2)](r, o.q)
	switch l {
	case ofSlice, ofBlock:
		o.max = maxOfGo(o.x)
		return o
	case ofStrip, ofColumns, ofTiles:
		p := o.panel
		p.Reset()
		p.raiseMaxGo(o.x, s.stride, s.n, s.slices())
		p.setFramesGo(s.groups)
		p.addExpGo(nil, 0, o.x, s.stride, s.n, s.slices())
		joined := *p
		joined.joinLanesGo(s.groups)
		joined.concludeSumsGo(s.groups)
		p.sum, p.sumLow = joined.sum, joined.sumLow
		joined.concludeLogsGo(s.groups)
		joined.concludeProbabilitiesGo(s.groups)
		p.NegLogSum, p.LogSumLow = joined.NegLogSum, joined.LogSumLow
		p.Inverse, p.InverseLow, p.Factor = joined.Inverse, joined.InverseLow, joined.Inverse
		p.Complement, p.ComplementLow = joined.Complement, joined.ComplementLow
		copy(o.dst, o.x)
		if l == ofTiles {
			clear(p.Top[:])
			for j := range s.n {
				for i := range s.groups * Group {
					p.Top[i] = max(p.Top[i], o.q[j*Width+i])
				}
			}
			// Where a gradient is to be 0, whatever the terms are.
			for i := 3; i < s.groups*Group; i += 7 {
				p.Factor[i] = 0
				o.dst[r.IntN(s.n)*Width+i] = NaN
			}
			for i := 6; i < s.groups*Group; i += 9 {
				p.Hi[0][i] = 0
				o.dst[r.IntN(s.n)*Width+i] = math.Inf(1)
			}
		}
	case ofManyRows:
		p := o.panel
		p.maxOfRowsGo(s.n, o.x, s.stride, s.cols, s.rows)
		for i := s.n; i < s.n+s.rows; i++ {
			p.NegLogSum[i], p.Factor[i] = -math.Abs(r.NormFloat64()), r.NormFloat64()
			if r.IntN(9) == 0 {
				p.NegLogSum[i], p.Factor[i] = NaN, NaN
			}
		}
		copy(o.dst, o.x)
	default:
		c, terms := fewClasses(o.x, s.stride, s.cols, s.rows)
		*o.panel = *c
		o.panel.Factor = c.Inverse
		o.tile, o.terms = place(strip), (*Tile)(place(len(o.terms)))
		copy(o.tile, terms)
		copy(o.terms[:], terms)
		// What has a factor of 0 may be anything.
		for i := 2; i < s.rows; i += 5 {
			o.panel.Factor[i] = 0
			o.tile[r.IntN(s.cols)*Width+i] = []float64{NaN, math.Inf(1), math.Inf(-1)}[r.IntN(3)]
		}
		o.labels = (*Labels)(unsafe.Pointer(&place(int(unsafe.Sizeof(Labels{}) / 8))[0]))
		*o.labels = randomLabels(r, o.x, s.stride, s.cols, s.rows)
	}
	return o
}

// randomLabels returns labels of the rows of x, of which some do not count and
// some have a coefficient of 0.
func randomLabels(r *rand.Rand, x []float64, stride, cols, rows int) (l Labels) {
	for i := range rows {
		l.Class[i], l.Coefficient[i], l.Gradient[i] = int64(r.IntN(cols)), 1, 0x1p-6
		row := x[i*stride:][:cols]
		if i%4 == 0 {
			// Labels that are right.
			for j, v := range row {
				if v > row[l.Class[i]] {
					l.Class[i] = int64(j)
				}
			}
		}
		l.Logit[i] = row[l.Class[i]]
		switch r.IntN(4) {
		case 0:
			l.Coefficient[i], l.Gradient[i] = 10*testkit.Uniform(r)-5, 0x1p60*r.NormFloat64()
		case 1:
			some := []float64{0, 1, -1e-310, 1e300, -0x1p-299}
			l.Coefficient[i], l.Gradient[i] = some[r.IntN(len(some))], some[r.IntN(len(some))]
		case 2:
			if r.IntN(2) == 0 {
				l.Class[i], l.Logit[i], l.Coefficient[i], l.Gradient[i] = -1, r.NormFloat64(), 0, 0
			}
		}
	}
	for i := rows; i%Group != 0; i++ {
		l.Class[i] = -1
	}
	for i := range l.High {
		l.High[i] = 1e3 * r.NormFloat64()
		l.Low[i] = 0x1p-60 * r.NormFloat64()
		if i%11 == 3 {
			l.High[i], l.Low[i] = math.Inf(1), NaN
		}
	}
	return l
}

// plain is memory for operands that is like any other.
func plain(words int) []float64 { return make([]float64, words) }

// memory is what a kernel can have changed.
func (o *operands) memory() map[string][]float64 {
	return map[string][]float64{"x": o.x, "q": o.q, "dst": o.dst, "the tile": o.tile, "the terms": o.allTerms()}
}

// differs returns a description of the first difference from what the reference
// made of the same operands.
func (o *operands) differs(row *kernelRow, want *operands) string {
	for j, v := range o.returned {
		if w := want.returned[j]; !testkit.Identical(v, w) && v != w && (IsFinite(v) || IsFinite(w)) {
			return fmt.Sprintf("it returned %v, want %v", o.returned, want.returned)
		}
	}
	reference := want.memory()
	for name, x := range o.memory() {
		if j := testkit.Difference(x, reference[name]); j >= 0 {
			return fmt.Sprintf("entry %d of %s is %v (%#x), want %v (%#x)", j, name, x[j], math.Float64bits(x[j]), reference[name][j], math.Float64bits(reference[name][j]))
		}
	}
	// What is left in slices that there are not is open.
	fields, wanted := o.panel.all(), want.panel.all()
	for k := range fields {
		copy(fields[k][:o.groups*Group][o.slices():], wanted[k][o.slices():])
	}
	return o.panel.differs(want.panel, o.groups, row.values == finite, strings.Fields(row.panel)...)
}

// all returns every field.
func (c *Panel) all() [][Width]float64 {
	return unsafe.Slice(&c.Max, unsafe.Sizeof(*c)/unsafe.Sizeof(c.Max))
}

// TestKernels holds every kernel of every tier to the reference, between
// canaries.
func TestKernels(t *testing.T) {
	for _, it := range Tiers()[1:] {
		for k := range kernels {
			row := &kernels[k]
			for m, s := range row.layout.someShapes() {
				var all []fenced
				place := func(words int) []float64 {
					all = append(all, newFenced(words, (m+5*len(all))%8))
					return all[len(all)-1].x
				}
				got := newOperands(rand.New(rand.NewPCG(31, uint64(m))), row.layout, row.values, s, place)
				want := newOperands(rand.New(rand.NewPCG(31, uint64(m))), row.layout, row.values, s, place)
				onTier(it, func() { row.call(got) })
				onTier(tierGo, func() { row.call(want) })
				if d := got.differs(row, want); d != "" {
					t.Fatalf("tier %v: %s of %+v: %s", it, row.name, s, d)
				}
				for i := range all {
					if !all[i].intact() {
						t.Fatalf("tier %v: %s of %+v wrote outside of its operands", it, row.name, s)
					}
				}
			}
		}
	}
}
