// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// laneSums are running sums in lanes, each in two words.
type laneSums struct {
	hi, lo [Lanes]float64
}

// addLanesGo adds x, whose length is a multiple of 8, to the sums, entry j to
// lane j mod 8: to hi by TwoSum, what that leaves to lo by TwoSum, and what that
// leaves, in rest, to nothing. It reports whether any rest is not 0. Where a sum
// overflows, or a term is not finite, a lane and some rest are not finite. rest
// may be x.
func addLanesGo(s *laneSums, x, rest []float64) bool {
	left := 0
	for l := range Lanes {
		hi, lo := s.hi[l], s.lo[l]
		for j := l; j < len(x); j += Lanes {
			var v float64
			hi, v = TwoSum(hi, x[j])
			lo, v = TwoSum(lo, v)
			rest[j] = v
			if v != 0 {
				left++
			}
		}
		s.hi[l], s.lo[l] = hi, lo
	}
	return left > 0
}

// fewestInLanes is how many terms are worth a sum in lanes.
const fewestInLanes = 2 * Lanes

// A LossSum adds up the losses of rows, exactly. Its cost is a few operations a
// row: in lanes while what is left of every addition is 0, as it is unless
// losses are some 15 orders of magnitude apart, and in more lanes unless they are
// 45 apart.
type LossSum struct {
	// The sum is that of the lanes, of those for what they leave, and of exact,
	// for all else.
	lanes, more    laneSums
	used, usedMore bool // they are not empty
	exact          ExactSum
	// The first n of these are still to be added.
	waiting [Width]float64
	n       int
	// What addLanes leaves.
	rest [Width]float64
}

// AddAll adds all of x.
func (s *ExactSum) AddAll(x []float64) {
	if len(x) < fewestInLanes {
		s.addAll(x)
		return
	}
	var all LossSum
	for len(x) > Width {
		all.AddPanel(x[:Width])
		x = x[Width:]
	}
	all.AddPanel(x)
	s.Merge(all.Total())
}

// Reset empties the sum.
func (s *LossSum) Reset() {
	s.exact, s.n = ExactSum{}, 0
	if s.used {
		s.lanes, s.used = laneSums{}, false
	}
	if s.usedMore {
		s.more, s.usedMore = laneSums{}, false
	}
}

// Add adds the loss of a row.
func (s *LossSum) Add(l float64) {
	s.waiting[s.n%Width] = l
	if s.n++; s.n == Width {
		s.addWaiting()
	}
}

//go:noinline
func (s *LossSum) addWaiting() {
	s.AddPanel(s.waiting[:s.n])
	s.n = 0
}

// AddPanel adds the losses of at most Width rows.
func (s *LossSum) AddPanel(losses []float64) {
	if len(losses) >= fewestInLanes {
		inLanes := losses[:len(losses)&^(Lanes-1)]
		before := s.lanes
		if addLanes(&s.lanes, inLanes, s.rest[:len(inLanes)]) {
			s.addRest(&before, inLanes)
		}
		s.used = true
		losses = losses[len(inLanes):]
	}
	s.exact.addAll(losses)
}

// addRest adds what the last losses left, or, where they have made a lane
// infinite or NaN, the losses to the lanes as they were before.
func (s *LossSum) addRest(before *laneSums, losses []float64) {
	if !s.lanes.areFinite() {
		s.lanes = *before
		s.exact.addAll(losses)
		return
	}
	rest := s.rest[:len(losses)]
	s.usedMore = true
	if addLanes(&s.more, rest, rest) {
		s.exact.addAll(rest)
	}
}

// areFinite reports whether all sums are.
func (s *laneSums) areFinite() bool {
	not := 0.0
	for l := range Lanes {
		not += (s.hi[l] - s.hi[l]) + (s.lo[l] - s.lo[l])
	}
	return not == 0
}

// Total returns the sum, which holds until the next Reset or Add.
func (s *LossSum) Total() *ExactSum {
	if s.n > 0 {
		s.addWaiting()
	}
	if s.used {
		s.exact.addAll(s.lanes.hi[:])
		s.exact.addAll(s.lanes.lo[:])
		s.lanes, s.used = laneSums{}, false
	}
	if s.usedMore {
		s.exact.addAll(s.more.hi[:])
		s.exact.addAll(s.more.lo[:])
		s.more, s.usedMore = laneSums{}, false
	}
	return &s.exact
}
