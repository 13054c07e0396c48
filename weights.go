// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/mat"
)

// ClassCounts returns how often each of the classes 0 to classes-1 occurs in
// target, a row counting its SampleWeight, and a row whose label is ignored
// not at all. The other options are not read. Each count is the exact sum,
// rounded once. The counts are what BalancedWeights and EffectiveNumberWeights
// take, or OccurringWeights where one is 0.
//
// It panics with mat.ErrZeroLength if target is empty or classes is 0, with
// mat.ErrNegativeDimension if classes is negative, and with mat.ErrShape if
// the length of a SampleWeight is not that of target. It returns a
// *ValueError for a sample weight that is NaN or infinite, and a *TargetError
// for a label outside [0, classes) that is not ignored.
func ClassCounts(target []int, classes int, opts *Options) ([]float64, error) {
	if len(target) == 0 || classes == 0 {
		panic(mat.ErrZeroLength)
	}
	if classes < 0 {
		panic(mat.ErrNegativeDimension)
	}
	s, err := resolveRows(target, classes, opts)
	if err != nil {
		return nil, err
	}
	sums := make([]kernel.ExactSum, classes)
	for i, y := range target {
		if s.counts(i, y) {
			sums[y].Add(s.sampleWeightAt(i))
		}
	}
	counts := make([]float64, classes)
	for c := range counts {
		counts[c] = sums[c].Value()
	}
	return counts, nil
}

// resolveRows is resolveLabels of SampleWeight and Ignore alone.
func resolveRows(target []int, classes int, opts *Options) (s settings, err error) {
	var some Options
	if opts != nil {
		some.SampleWeight, some.Ignore = opts.SampleWeight, opts.Ignore
	}
	err = s.resolveLabels("", &some, target, len(target), classes, false)
	return s, err
}

// BalancedWeights returns class weights that make every class count the same
// in all:
//
//	w[c] = n / (C·counts[c])
//
// where C is the number of classes and n the sum of the counts, each weight
// within 0.501 ulp. It is what scikit-learn calls class_weight="balanced", but
// that scikit-learn leaves out classes that do not occur; see OccurringWeights.
//
// It panics with mat.ErrZeroLength if counts is empty, and returns a
// *ValueError for a count that is not positive, or not finite, or so small
// against the others that its weight would be infinite.
//
// See King and Zeng, Logistic Regression in Rare Events Data, Political
// Analysis 9(2), 2001.
func BalancedWeights(counts []float64) ([]float64, error) {
	if err := checkCounts(counts); err != nil {
		return nil, err
	}
	var sum kernel.ExactSum
	for _, n := range counts {
		sum.Add(n)
	}
	n, exponent := sum.Pair()
	classes := kernel.Pair{Hi: float64(len(counts))}
	weights := make([]float64, len(counts))
	for c := range weights {
		m, k := math.Frexp(counts[c])
		w := n.Over(classes.Times(kernel.Pair{Hi: m})).Ldexp(exponent - k)
		if !kernel.IsFinite(w) {
			return nil, &ValueError{Name: "counts", Row: -1, Col: c, Value: counts[c]}
		}
		weights[c] = w
	}
	return weights, nil
}

// EffectiveNumberWeights returns class weights by the effective number of
// samples: a class of n samples weighs
//
//	v[c] = (1 - beta) / (1 - beta^counts[c]),    w[c] = C·v[c] / Σ v
//
// where C is the number of classes, so that the weights add up to C. A beta
// of 0 makes all weights 1; as beta goes to 1 they become inversely
// proportional to the counts. The counts need not be whole numbers. The
// weights are within 0.501 ulp, also for beta close to 1, where the formula as
// it stands loses most of the digits, and for weights that are subnormal.
//
// For classes that do not occur see OccurringWeights.
//
// It panics with mat.ErrZeroLength if counts is empty, and returns a
// *ValueError for a count that is not positive, or not finite, and for a beta
// outside [0, 1).
//
// See Cui, Jia, Lin, Song and Belongie, Class-Balanced Loss Based on
// Effective Number of Samples, CVPR 2019.
func EffectiveNumberWeights(counts []float64, beta float64) ([]float64, error) {
	if err := checkCounts(counts); err != nil {
		return nil, err
	}
	if !(beta >= 0 && beta < 1) {
		return nil, &ValueError{Name: "beta", Row: -1, Col: -1, Value: beta}
	}
	weights := make([]float64, len(counts))
	if beta == 0 {
		for c := range weights {
			weights[c] = 1
		}
		return weights, nil
	}

	// 1-beta cancels. In its place stands the least of the 1-beta^n, so that
	// no v is above 1; it belongs to the least count.
	least := counts[0]
	for _, n := range counts {
		least = min(least, n)
	}
	logBeta := kernel.LogPair(beta)
	top, topExponent := kernel.OneMinusPower(logBeta, least)
	v := func(n float64) (p kernel.Pair, exponent int) {
		u, exponent := kernel.OneMinusPower(logBeta, n)
		return top.Over(u), topExponent - exponent
	}
	// The largest v is 1: what underflows here is nothing to the sum.
	var sum kernel.Pair
	for _, n := range counts {
		p, exponent := v(n)
		sum = sum.Plus(p.Scaled(exponent))
	}
	factor := kernel.Pair{Hi: float64(len(counts))}.Over(sum)
	for c, n := range counts {
		p, exponent := v(n)
		weights[c] = p.Times(factor).Ldexp(exponent)
	}
	return weights, nil
}

// OccurringWeights returns the weights that f, as BalancedWeights, gives to the
// classes that occur, as if there were no others: those whose count is not 0.
// A class that does not occur weighs 0. So a label that occurs only in another
// batch, one to validate on, say, has no part in its loss, unless it is given
// another weight there.
//
//	OccurringWeights(counts, BalancedWeights)
//
// is what scikit-learn's class_weight="balanced" is for such counts.
//
// It panics with mat.ErrZeroLength if counts is empty, and with mat.ErrShape if
// f returns weights of another number than it was given. It returns a
// *ValueError for a count that is negative or not finite, and for the first
// where none is positive; and the error of f, a *ValueError about one of the
// counts with its place in all of them.
func OccurringWeights(counts []float64, f func(counts []float64) ([]float64, error)) ([]float64, error) {
	if len(counts) == 0 {
		panic(mat.ErrZeroLength)
	}
	var occurring []float64
	var classes []int
	for c, n := range counts {
		if n == 0 {
			continue
		}
		if !(n > 0) || !kernel.IsFinite(n) {
			return nil, &ValueError{Name: "counts", Row: -1, Col: c, Value: n}
		}
		occurring, classes = append(occurring, n), append(classes, c)
	}
	if len(occurring) == 0 {
		return nil, &ValueError{Name: "counts", Row: -1, Col: 0, Value: 0}
	}
	some, err := f(occurring)
	if err != nil {
		if bad, ok := err.(*ValueError); ok && bad.Name == "counts" && uint(bad.Col) < uint(len(classes)) {
			at := *bad
			at.Col = classes[bad.Col]
			return nil, &at
		}
		return nil, err
	}
	if len(some) != len(occurring) {
		panic(mat.ErrShape)
	}
	weights := make([]float64, len(counts))
	for i, c := range classes {
		weights[c] = some[i]
	}
	return weights, nil
}

// SampleWeights sets dst[i] to the weight of the class of row i, for
// Options.SampleWeight, and returns dst:
//
//	dst[i] = weight[y]·s[i]    y = target[i]
//
// where s is opts.SampleWeight, or 1 where it is nil, and dst[i] is 0 for a row
// whose label is in opts.Ignore. The other options are not read. Without
// smoothing, class weights given like this make the same losses as given by
// Options.Weight, but for roundings. With smoothing they do not: here all of a
// row counts as its label does; there the share of every other class has the
// weight of that class.
//
// A nil dst is allocated; any other must have the length of target, and may be
// opts.SampleWeight.
//
// It panics with mat.ErrZeroLength if target or weight is empty, and with
// mat.ErrShape if the length of dst or of a SampleWeight is not that of target.
// It returns a *ValueError for a sample weight that is NaN or infinite, a
// *TargetError for a label outside [0, len(weight)) that is not ignored, and a
// *ValueError for a class weight that is negative or not finite, and for a
// product that is too large, or so small that it would be 0. dst is then not
// written.
func SampleWeights(dst []float64, target []int, weight []float64, opts *Options) ([]float64, error) {
	if len(target) == 0 || len(weight) == 0 {
		panic(mat.ErrZeroLength)
	}
	if dst != nil && len(dst) != len(target) {
		panic(mat.ErrShape)
	}
	s, err := resolveRows(target, len(weight), opts)
	if err != nil {
		return nil, err
	}
	if err := checkClassWeight(weight); err != nil {
		return nil, err
	}
	s.weight = weight
	for i, y := range target {
		if !s.counts(i, y) {
			continue
		}
		if w := s.coefficient(i, y); !kernel.IsFinite(w) || w == 0 && weight[y] != 0 {
			return nil, &ValueError{Name: "SampleWeight", Row: i, Col: -1, Value: w}
		}
	}
	if dst == nil {
		dst = make([]float64, len(target))
	}
	for i, y := range target {
		w := 0.0
		if s.counts(i, y) {
			w = s.coefficient(i, y)
		}
		dst[i] = w
	}
	return dst, nil
}

// checkCounts panics with mat.ErrZeroLength if there are no counts, and
// returns a *ValueError for the first that is not positive and finite.
func checkCounts(counts []float64) error {
	if len(counts) == 0 {
		panic(mat.ErrZeroLength)
	}
	for c, n := range counts {
		if !(n > 0) || !kernel.IsFinite(n) {
			return &ValueError{Name: "counts", Row: -1, Col: c, Value: n}
		}
	}
	return nil
}
