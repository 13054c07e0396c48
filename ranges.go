// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"

	"example.org/logsoftmax/internal/kernel"
)

// This file is for options and targets so large or so small that a number on the
// way to a loss or a gradient would leave the range of a float64, while they
// themselves do not: coefficients are then formed times a power of two, which
// the result is divided by, and what cannot be done so is an error. Rows of
// other numbers know of it only that the power is 0.

const (
	// Between these powers of 2 no coefficient is so far from 1 that a sum of
	// their products with log-probabilities would overflow or lose digits.
	smallCoefficient = -1015
	largeCoefficient = 900
	// From here on a smoothing needs no power of two for ordinary class weights.
	leastUnscaled = 0x1p-800
	// What coefficients of a distribution whose sum overflows are scaled by.
	distributionShift = -200
)

// spread returns what the coefficients of smoothed targets are made of, times
// 2^shift: 1-e and e/C.
func (s *settings) spread(classes int) (keep, off float64) {
	if s.shift == 0 {
		return 1 - s.smoothing, s.smoothing / float64(classes)
	}
	return math.Ldexp(1-s.smoothing, s.shift), math.Ldexp(s.smoothing, s.shift) / float64(classes)
}

// setShift sets s.shift for the number of classes, 0 wherever that will do. It
// returns a *ValueError where no power of two will.
func (s *settings) setShift(classes int) error {
	if s.smoothing == 0 || s.ordinary && s.smoothing >= leastUnscaled {
		return nil
	}
	// Of the weights and of 1: what they are multiplied by is to be in range too.
	least, most := 1.0, 1.0
	if s.weight != nil {
		most = 0
		for _, w := range s.weight {
			if w > 0 {
				least, most = min(least, w), max(most, w)
			}
		}
	}
	if most == 0 {
		return nil
	}
	exponent := func(v float64) int {
		_, e := math.Frexp(v)
		return e
	}
	bottom, top := exponent(least)+exponent(s.smoothing)-exponent(float64(classes)), exponent(most)
	if bottom >= smallCoefficient && top <= largeCoefficient {
		return nil
	}
	// No more than is needed: large logits have large losses.
	s.shift = min(largeCoefficient-max(top, 0), max(0, smallCoefficient+100-bottom))
	if bottom+s.shift < smallCoefficient {
		return &ValueError{Name: "LabelSmoothing", Row: -1, Col: -1, Value: s.smoothing}
	}
	return nil
}

// checkProducts returns a *ValueError for the class weight of the first row that
// counts whose product with the sample weight is not 0 and no normal number.
func (s *settings) checkProducts(target []int) error {
	if !s.mayLeaveRange() {
		return nil
	}
	for i, v := range s.sampleWeight {
		y := target[i]
		if v == 0 || s.ignored.has(y) {
			continue
		}
		if p := math.Abs(s.weight[y] * v); !(p >= 0x1p-1022 && p <= math.MaxFloat64) && s.weight[y] != 0 {
			return &ValueError{Name: "Weight", Row: -1, Col: y, Value: s.weight[y]}
		}
	}
	return nil
}

// checkSoftProducts returns a *ValueError for the first class weight whose product
// with a target overflows. One of at most 2^128 is none: the coefficients are
// scaled down.
func (s *settings) checkSoftProducts(soft *source) error {
	if s.ordinary {
		return nil
	}
	large := false
	for _, w := range s.weight {
		large = large || w > 0x1p128
	}
	for i := 0; large && i < soft.rows; i++ {
		if !s.countsSoft(i) {
			continue
		}
		for c, w := range s.weight {
			if w > 0x1p128 && math.IsInf(w*soft.at(i, c), 1) {
				return &ValueError{Name: "Weight", Row: -1, Col: c, Value: w}
			}
		}
	}
	return nil
}

// areOrdinary reports whether all of x are from 2^-100 to 2^100, as weights mostly
// are.
func areOrdinary(x []float64) bool { return len(x) == 0 || areBetween(x, 0x1p-100, 0x1p100) }

// mayLeaveRange reports whether products of class weights and sample weights
// need checkProducts.
func (s *settings) mayLeaveRange() bool {
	if s.weight == nil || s.sampleWeight == nil {
		return false
	}
	if !s.ordinary {
		for _, w := range s.weight {
			if w != 0 && !(w >= 0x1p-500 && w <= 0x1p500) {
				return true
			}
		}
	}
	if areOrdinary(s.sampleWeight) {
		return false
	}
	for _, v := range s.sampleWeight {
		if v = math.Abs(v); v != 0 && !(v >= 0x1p-500 && v <= 0x1p500) {
			return true
		}
	}
	return false
}

// A divisor is what the gradient of a mean is divided by: Loss.Weight, or 1.
type divisor struct {
	value float64
	// Of a value that is infinite, what 2^-64 times it is.
	scaled float64
}

// newDivisor returns the one for a Loss.Weight.
func newDivisor(r Reduction, weight *kernel.ExactSum) divisor {
	if r == Sum {
		return divisor{value: 1}
	}
	d := divisor{value: weight.Value()}
	if math.IsInf(d.value, 0) {
		p, exponent := weight.Pair()
		d.scaled = math.Ldexp(p.Hi, exponent-64)
	}
	return d
}

// over returns v over the divisor, 0 where that is 0.
func (d *divisor) over(v float64) float64 {
	switch {
	case d.value == 0:
		return 0
	case d.scaled != 0:
		return float64(v*0x1p-64) / d.scaled
	}
	return v / d.value
}

// scaledProduct returns a·b·2^exponent, rounded once but for a result that is
// subnormal. 0 and what is not finite count as in a·b.
func scaledProduct(a, b float64, exponent int) float64 {
	if exponent == 0 || a == 0 || b == 0 || !kernel.IsFinite(a) || !kernel.IsFinite(b) {
		return kernel.Canonical(float64(a * b))
	}
	x, i := math.Frexp(a)
	y, j := math.Frexp(b)
	return kernel.Canonical(math.Ldexp(float64(x*y), i+j+exponent))
}

// scaleRow multiplies a row by g·2^exponent.
func scaleRow(row []float64, g float64, exponent int) {
	x, i := math.Frexp(g)
	// Beyond this all that is not 0 or infinite becomes so.
	exponent = max(-4400, min(exponent+i, 4400))
	for u := range kernel.Chunks(len(row)) {
		part := kernel.ChunkOf(row, u)
		kernel.ScaleTermsBy(part, x, 1, 1)
		for left := exponent; left != 0; {
			step := max(-1000, min(left, 1000))
			kernel.ScaleTermsBy(part, math.Ldexp(1, step), 1, 1)
			left -= step
		}
	}
}
