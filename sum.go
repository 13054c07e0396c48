// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

// An accumulator is a running sum in two words. hi is what plain additions
// in the same order would give; lo collects, through twoSum, the rounding
// error of each of them. The sum hi+lo is right to about 2^-100 of the sum
// of the magnitudes, whatever their order and number. The zero value is an
// empty sum.
//
// Every operation is a single IEEE addition, so the words have the same bits
// on every machine.
type accumulator struct {
	hi, lo float64
}

// add adds x to the sum.
//
// The chain of dependent operations from one call to the next is one addition
// long: the words are left as they fall, for value, split and merge to
// normalise.
func (a *accumulator) add(x float64) {
	s, e := twoSum(a.hi, x)
	a.hi = s
	a.lo += e
}

// merge adds the sum b to the sum a.
func (a *accumulator) merge(b accumulator) {
	s, e := twoSum(a.hi, b.hi)
	lo := (a.lo + b.lo) + e
	// Keep lo small against hi, so that a chain of merges loses nothing.
	// Where the sum is not finite there is nothing to keep.
	if h, l := twoSum(s, lo); isFinite(h) && isFinite(l) {
		s, lo = h, l
	}
	a.hi, a.lo = s, lo
}

// value returns the sum, rounded once. It is infinite or NaN where the plain
// additions were, and never -0.
func (a accumulator) value() float64 {
	hi, _ := a.split()
	return hi
}

// split returns the sum as its rounded value and what that rounding left,
// which is 0 where the value is not finite.
func (a accumulator) split() (hi, lo float64) {
	if !isFinite(a.lo) {
		// An infinite or NaN term has left a NaN here.
		a.lo = 0
	}
	hi, lo = twoSum(a.hi, a.lo)
	if !isFinite(hi) {
		return canonical(hi), 0
	}
	return canonical(hi), lo
}

// A rowSum adds up the losses of the rows of a group: those of rows i, i+8 and
// so on in lane i mod 8, as an accumulator does.
type rowSum struct {
	hi, lo [lanes]float64
}

// add adds the loss of row i of the group.
func (s *rowSum) add(i int, loss float64) {
	addTwoSum(&s.hi[i%lanes], &s.lo[i%lanes], loss)
}

// total returns the sum of the lanes, joined as joinLanes does.
func (s rowSum) total() accumulator {
	hi, lo := joinLanes(&s.hi, &s.lo)
	return accumulator{hi, lo}
}

// groupRows returns the number of rows whose losses are added up one by one
// before the sum is merged into that of the batch. It depends on the number
// of classes alone, so the sums do not depend on how the rows are shared out;
// and it is a multiple of 8 where it is not less, so that rows in lanes fill
// their vectors.
func groupRows(classes int) int {
	n := unitEntries(classes) / classes
	if n >= 8 {
		return n &^ 7
	}
	return max(n, 1)
}

// isFinite reports whether x is neither infinite nor NaN.
func isFinite(x float64) bool {
	return x-x == 0
}

// canonical returns x, with the package's one NaN for any NaN and +0 for -0.
func canonical(x float64) float64 {
	switch {
	case x != x:
		return nan
	case x == 0:
		return 0
	}
	return x
}
