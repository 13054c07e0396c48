// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/mat"
)

// ClassCounts returns how often each of the classes 0 to classes-1 occurs in
// target, a row counting its SampleWeight, and a row whose label is ignored
// not at all. The other options are not read. The counts are what
// BalancedWeights and EffectiveNumberWeights take.
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
	var s settings
	if opts != nil {
		s.sampleWeight = opts.SampleWeight
	}
	if s.sampleWeight != nil && len(s.sampleWeight) != len(target) {
		panic(mat.ErrShape)
	}
	if err := checkSampleWeight(s.sampleWeight, false); err != nil {
		return nil, err
	}
	var err error
	if s.ignored, err = checkTargets(target, classes, opts.ignore()); err != nil {
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

// BalancedWeights returns class weights that make every class count the same
// in all:
//
//	w[c] = n / (C·counts[c])
//
// where C is the number of classes and n the sum of the counts. It is what
// scikit-learn calls class_weight="balanced".
//
// It panics with mat.ErrZeroLength if counts is empty, and returns a
// *ValueError for a count that is not positive, or not finite.
//
// See King and Zeng, Logistic Regression in Rare Events Data, Political
// Analysis 9(2), 2001.
func BalancedWeights(counts []float64) ([]float64, error) {
	if err := checkCounts(counts); err != nil {
		return nil, err
	}
	// Counts near the top of the range are scaled, lest their sum overflow.
	scaled := 1.0
	for _, n := range counts {
		if n > 0x1p900 {
			scaled = 0x1p-128
		}
	}
	var sum kernel.ExactSum
	for _, n := range counts {
		sum.Add(float64(n * scaled))
	}
	n, classes := sum.Value(), float64(len(counts))
	weights := make([]float64, len(counts))
	for c := range weights {
		weights[c] = n / (classes * (counts[c] * scaled))
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
// weights are right to the last digit, also for beta close to 1, where the
// formula as it stands loses most of them.
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
	v := func(n float64) kernel.Pair {
		u, exponent := kernel.OneMinusPower(logBeta, n)
		// Below 2^-1000 the low word underflows; so small a weight keeps
		// what digits it has.
		return top.Over(u).Scaled(topExponent - exponent)
	}
	var sum kernel.Pair
	for _, n := range counts {
		sum = sum.Plus(v(n))
	}
	factor := kernel.Pair{Hi: float64(len(counts))}.Over(sum)
	for c, n := range counts {
		weights[c] = v(n).Times(factor).Hi
	}
	return weights, nil
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
