// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/mat"
)

// Reduction is how the losses of the rows become the one number that a Grad
// function differentiates.
type Reduction int

const (
	// Mean is the sum of the rows' losses over Loss.Weight.
	Mean Reduction = iota
	// Sum is the sum of the rows' losses.
	Sum
)

// Options says how rows and classes count. A nil *Options is the zero value,
// which has the defaults of PyTorch.
//
// A function that does not use a field does not read it: Ignore is not read
// with targets that are distributions, nor Reduction by a function that does
// not give a gradient.
//
// Weights and targets may be of any magnitude, as long as what follows from them
// can be told: coefficients that would leave the range of a float64 on the way
// to a loss or a gradient are formed times a power of two. It is an error, a
// *ValueError, if the class weight of a row that counts, times its SampleWeight, is
// not 0 and beyond the normal numbers, if one above 2^128 times a target is too
// large for a float64, or if a LabelSmoothing is so small, and class weights are so
// large or so far apart, that no power of two fits both. What is small beside the
// rest of a mean may be lost: where SampleWeight over Loss.Weight is below the
// range, the gradient is 0.
type Options struct {
	// Weight holds a weight for each class, finite and not negative; its
	// length is the number of classes. Nil stands for 1 everywhere. With
	// labels, the weight of a row's class also counts in Loss.Weight.
	//
	// With LabelSmoothing it weighs every class's share of a smoothed target,
	// as in PyTorch: the shares of rare classes with large weights may then be
	// the larger part of the loss of a frequent class. Where that is not meant,
	// give the rows the weights, by SampleWeights; its example shows the
	// difference.
	Weight []float64

	// SampleWeight holds a finite weight for each row; its length is the
	// number of rows. Nil stands for 1 everywhere. A weight may be of any
	// sign: an importance, an advantage, the upstream gradient of a loss
	// without reduction. But a Grad function with Reduction Mean takes none
	// that is negative. A row whose sample weight is 0 does not count.
	SampleWeight []float64

	// Ignore holds labels whose rows do not count, be they classes or not.
	// Nil stands for -100 alone; an empty slice for none.
	Ignore []int

	// LabelSmoothing, in [0, 1], is the share of the target that is spread
	// evenly over all classes, before Weight weighs them: see there.
	LabelSmoothing float64

	// Reduction is what a Grad function differentiates.
	Reduction Reduction
}

// defaultIgnore is what a nil Options.Ignore stands for.
var defaultIgnore = []int{-100}

// settings is an Options that has been checked, its defaults filled in. The
// slices are the caller's own; a nil weight or sampleWeight is 1 everywhere.
type settings struct {
	weight       []float64
	ordinary     bool // all of weight are known to be, or it is nil
	sampleWeight []float64
	ignored      ignoredLabels
	smoothing    float64
	reduction    Reduction
	// shift is 0, or coefficients of smoothed targets are formed times 2^shift.
	shift int
}

// ignore returns the labels whose rows do not count.
func (o *Options) ignore() []int {
	if o == nil || o.Ignore == nil {
		return defaultIgnore
	}
	return o.Ignore
}

// resolve sets s, which is empty, to the options of the function named fn for a
// batch of the given size, which it checks. First come the lengths and the reduction, which are the
// caller's mistakes and panic, then the values, which are data and are
// returned as a *ValueError; each in the order of the struct, and of the
// slices. The reduction matters only where grad is set.
func (s *settings) resolve(fn string, opts *Options, rows, classes int, grad bool) error {
	if opts == nil {
		return nil
	}
	if opts.Weight != nil && len(opts.Weight) != classes {
		panic(mat.ErrShape)
	}
	if opts.SampleWeight != nil && len(opts.SampleWeight) != rows {
		panic(mat.ErrShape)
	}
	if grad && opts.Reduction != Mean && opts.Reduction != Sum {
		panic(mistake(fn, "opts.Reduction", fmt.Sprintf("is %d", opts.Reduction), "Mean or Sum"))
	}
	if err := checkClassWeight(opts.Weight); err != nil {
		return err
	}
	if err := checkSampleWeight(opts.SampleWeight, grad && opts.Reduction == Mean); err != nil {
		return err
	}
	if e := opts.LabelSmoothing; !(e >= 0 && e <= 1) {
		return &ValueError{Name: "LabelSmoothing", Row: -1, Col: -1, Value: e}
	}
	s.weight, s.sampleWeight = opts.Weight, opts.SampleWeight
	s.smoothing, s.reduction = opts.LabelSmoothing, opts.Reduction
	// What asks for it has either.
	s.ordinary = (s.smoothing != 0 || s.sampleWeight != nil) && areOrdinary(s.weight)
	return s.setShift(classes)
}

// checkClassWeight returns a *ValueError for the first class weight that is
// negative or not finite.
func checkClassWeight(weight []float64) error {
	if areSoftTargets(weight) {
		return nil
	}
	for c, w := range weight {
		if !(w >= 0) || !kernel.IsFinite(w) {
			return &ValueError{Name: "Weight", Row: -1, Col: c, Value: w}
		}
	}
	return nil
}

// checkSampleWeight returns a *ValueError for the first sample weight that
// is not finite or, where none may be negative, that is.
func checkSampleWeight(weight []float64, notNegative bool) error {
	if areSoftTargets(weight) {
		return nil
	}
	for i, w := range weight {
		if !kernel.IsFinite(w) || notNegative && w < 0 {
			return &ValueError{Name: "SampleWeight", Row: i, Col: -1, Value: w}
		}
	}
	return nil
}

// resolveLabels is resolve, and then the check of the labels, for the function
// named fn that has labels for a batch of the given size.
func (s *settings) resolveLabels(fn string, opts *Options, target []int, rows, classes int, grad bool) error {
	if err := s.resolve(fn, opts, rows, classes, grad); err != nil {
		return err
	}
	if err := s.ignored.check(target, classes, opts.ignore()); err != nil {
		return err
	}
	return s.checkProducts(target)
}

// sampleWeightAt returns the sample weight of row i.
func (s *settings) sampleWeightAt(i int) float64 {
	if s.sampleWeight == nil {
		return 1
	}
	return s.sampleWeight[i]
}

// classWeightAt returns the weight of class c.
func (s *settings) classWeightAt(c int) float64 {
	if s.weight == nil {
		return 1
	}
	return s.weight[c]
}

// fewRows are so few that a sum in lanes is not worth while.
const fewRows = kernel.Lanes

// addLossWeight adds to sum, for labels that have been checked, class weight times
// sample weight, each product rounded, of the rows that count, and returns the
// number of the other rows.
func (s *settings) addLossWeight(sum *kernel.ExactSum, target []int) (ignored int) {
	if s.weight == nil && s.sampleWeight == nil {
		if !s.ignored.none() {
			for _, y := range target {
				ignored += s.ignored.one(y)
			}
		}
		sum.Add(float64(len(target) - ignored))
		return ignored
	}
	// By panels, without a branch on what a row is.
	if n := len(target); n <= fewRows {
		var product [fewRows]float64
		ignored = s.panelWeights(product[:n], target, 0)
		sum.AddAll(product[:n])
		return ignored
	}
	var all kernel.LossSum
	var product [kernel.Width]float64
	for i := 0; i < len(target); i += kernel.Width {
		n := min(kernel.Width, len(target)-i)
		ignored += s.panelWeights(product[:n], target, i)
		all.AddPanel(product[:n])
	}
	sum.Merge(all.Total())
	return ignored
}

// panelWeights sets product to class weight times sample weight of the rows from
// row first on, 0 for those that do not count, and returns the number of these.
func (s *settings) panelWeights(product []float64, target []int, first int) (ignored int) {
	target = target[first:][:len(product)]
	if s.sampleWeight == nil {
		for k, y := range target {
			out := s.ignored.one(y)
			product[k] = unless(out, s.weight[y&(out-1)])
			ignored += out
		}
		return ignored
	}
	for k, v := range s.sampleWeight[first:][:len(product)] {
		y := target[k]
		out := s.ignored.one(y)
		if v == 0 {
			out = 1
		}
		if s.weight != nil {
			v = float64(s.weight[y&(out-1)] * v)
		}
		product[k] = unless(out, v)
		ignored += out
	}
	return ignored
}

// unless returns +0 where out is 1, and v where it is 0, without a branch.
func unless(out int, v float64) float64 {
	return math.Float64frombits(math.Float64bits(v) & uint64(out-1))
}

// addSoftLossWeight adds to sum the sample weights of the rows of a batch whose
// targets are distributions, and returns the number of rows that do not count.
func (s *settings) addSoftLossWeight(sum *kernel.ExactSum, rows int) (ignored int) {
	if s.sampleWeight == nil {
		sum.Add(float64(rows))
		return 0
	}
	for _, w := range s.sampleWeight {
		if w == 0 {
			ignored++
		}
	}
	sum.AddAll(s.sampleWeight)
	return ignored
}
