// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// An Accumulator is a running sum in two words. Hi is what plain additions
// in the same order would give; Lo collects, through TwoSum, the rounding
// error of each of them. The sum Hi+Lo is right to about 2^-100 of the sum
// of the magnitudes, whatever their order and number. The zero value is an
// empty sum.
//
// Every operation is a single IEEE addition, so the words have the same bits
// on every machine.
type Accumulator struct {
	Hi, Lo float64
}

// Add adds x to the sum.
func (a *Accumulator) Add(x float64) { addTwoSum(&a.Hi, &a.Lo, x) }

// Value returns the sum, rounded once. It is infinite or NaN where the plain
// additions were, and never -0.
func (a Accumulator) Value() float64 {
	if !IsFinite(a.Lo) {
		// An infinite or NaN term has left a NaN here.
		return Canonical(a.Hi)
	}
	return Canonical(a.Hi + a.Lo)
}
