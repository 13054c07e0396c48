// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// An accumulator is a running sum in two words. hi is what plain additions
// in the same order would give; lo collects, through TwoSum, the rounding
// error of each of them. The sum hi+lo is right to about 2^-100 of the sum
// of the magnitudes, whatever their order and number. The zero value is an
// empty sum.
//
// Every operation is a single IEEE addition, so the words have the same bits
// on every machine.
type Accumulator struct {
	Hi, Lo float64
}

// add adds x to the sum.
//
// The chain of dependent operations from one call to the next is one addition
// long: the words are left as they fall, for value, split and merge to
// normalise.
func (a *Accumulator) Add(x float64) {
	s, e := TwoSum(a.Hi, x)
	a.Hi = s
	a.Lo += e
}

// merge adds the sum b to the sum a.
func (a *Accumulator) Merge(b Accumulator) {
	s, e := TwoSum(a.Hi, b.Hi)
	lo := (a.Lo + b.Lo) + e
	// Keep lo small against hi, so that a chain of merges loses nothing.
	// Where the sum is not finite there is nothing to keep.
	if h, l := TwoSum(s, lo); IsFinite(h) && IsFinite(l) {
		s, lo = h, l
	}
	a.Hi, a.Lo = s, lo
}

// value returns the sum, rounded once. It is infinite or NaN where the plain
// additions were, and never -0.
func (a Accumulator) Value() float64 {
	hi, _ := a.Split()
	return hi
}

// split returns the sum as its rounded value and what that rounding left,
// which is 0 where the value is not finite.
func (a Accumulator) Split() (hi, lo float64) {
	if !IsFinite(a.Lo) {
		// An infinite or NaN term has left a NaN here.
		a.Lo = 0
	}
	hi, lo = TwoSum(a.Hi, a.Lo)
	if !IsFinite(hi) {
		return Canonical(hi), 0
	}
	return Canonical(hi), lo
}

// A RowSum adds up the losses of the rows of a group: those of rows i, i+8 and
// so on in lane i mod 8, as an accumulator does.
type RowSum struct {
	Hi, Lo [Lanes]float64
}

// add adds the loss of row i of the group.
func (s *RowSum) Add(i int, loss float64) {
	addTwoSum(&s.Hi[i%Lanes], &s.Lo[i%Lanes], loss)
}

// total returns the sum of the lanes, joined as joinLanes does.
func (s RowSum) Total() Accumulator {
	hi, lo := joinLanes(&s.Hi, &s.Lo)
	return Accumulator{hi, lo}
}
