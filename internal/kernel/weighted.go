// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// The kernels of losses and gradients that have a coefficient for every entry,
// in Go, as kernel.go has the others: those named …Go are reached through a
// function without that suffix, which picks the tier. Their sums are in lanes
// too: entry j belongs to lane j mod 8, a lane adds up by TwoSum in order, and
// the lanes are joined as in joinLanes.

// WeightedLoss returns the sum of q[c] times minus the log-probability
// x[c]-max+negLogSum, leaving out the terms whose coefficient is 0. For x that
// are log-probabilities themselves, max and negLogSum are 0.
func WeightedLoss(q, x []float64, max, negLogSum float64) float64 {
	var s LaneSum
	for len(q) > PieceLen {
		s.addLoss(q[:PieceLen], x, max, negLogSum)
		q, x = q[PieceLen:], x[PieceLen:]
	}
	hi, lo := s.addLoss(q, x[:len(q)], max, negLogSum)
	return Accumulator{hi, lo}.Value()
}

// WeightedLossAndSum returns what WeightedLoss and SumOf do.
func WeightedLossAndSum(q, x []float64, max, negLogSum float64) (float64, Accumulator) {
	var s LossAndSum
	for len(q) > PieceLen {
		s.add(q[:PieceLen], x, max, negLogSum)
		q, x = q[PieceLen:], x[PieceLen:]
	}
	hi, lo, sumHi, sumLo := s.add(q, x[:len(q)], max, negLogSum)
	sumHi, sumLo = sumAndRest(sumHi, sumLo)
	return Accumulator{hi, lo}.Value(), Accumulator{sumHi, sumLo}
}

// SumOf returns Σ x[j] and what rounding that lost.
func SumOf(x []float64) (sum, rest float64) {
	var s LaneSum
	for len(x) > PieceLen {
		s.add(x[:PieceLen])
		x = x[PieceLen:]
	}
	return sumAndRest(s.add(x))
}

// A LaneSum is such a sum of entries that come in pieces, of multiples of Lanes
// but for the last. The zero value is an empty sum. Which NaN it is is open, and
// so is the low word of an infinity.
type LaneSum struct{ hi, lo [Lanes]float64 }

// AddLoss adds what WeightedLoss returns the sum of, a piece at most.
func (s *LaneSum) AddLoss(q, x []float64, max, negLogSum float64) {
	s.addLoss(q, x[:len(q)], max, negLogSum)
}

// Add adds x, a piece at most, as SumOf does.
func (s *LaneSum) Add(x []float64) { s.add(x) }

// Value returns what WeightedLoss does.
func (s *LaneSum) Value() float64 {
	hi, lo := s.joined()
	return Accumulator{hi, lo}.Value()
}

// Sum returns what SumOf does.
func (s *LaneSum) Sum() Accumulator {
	hi, lo := sumAndRest(s.joined())
	return Accumulator{hi, lo}
}

// joined returns the sum in two words.
func (s *LaneSum) joined() (hi, lo float64) {
	sum, rest := s.hi, s.lo
	return joinLanes(&sum, &rest)
}

// A LossAndSum is a LaneSum of a loss, and one of its coefficients.
type LossAndSum struct{ loss, sum LaneSum }

// Add is AddLoss, and Add of q.
func (s *LossAndSum) Add(q, x []float64, max, negLogSum float64) {
	s.add(q, x[:len(q)], max, negLogSum)
}

// Results returns what WeightedLossAndSum does.
func (s *LossAndSum) Results() (float64, Accumulator) { return s.loss.Value(), s.sum.Sum() }

// addGo adds, and returns both sums joined.
func (s *LossAndSum) addGo(q, x []float64, max, negLogSum float64) (hi, lo, sumHi, sumLo float64) {
	s.loss.addLossGo(q, x, max, negLogSum)
	s.sum.addGo(q)
	hi, lo = s.loss.joined()
	sumHi, sumLo = s.sum.joined()
	return hi, lo, sumHi, sumLo
}

// addLossGo adds the terms of a loss. One that is left out may as well be added
// as +0.
func (s *LaneSum) addLossGo(q, x []float64, max, negLogSum float64) {
	for c, qc := range q {
		if qc != 0 {
			addTwoSum(&s.hi[c%Lanes], &s.lo[c%Lanes], lossTerm(qc, x[c], max, negLogSum))
		}
	}
}

func (s *LaneSum) addGo(x []float64) {
	for j, v := range x {
		addTwoSum(&s.hi[j%Lanes], &s.lo[j%Lanes], v)
	}
}

func lossTerm(q, x, max, negLogSum float64) float64 {
	return float64(q * -(negLogSum + (x - max)))
}

// addTwoSum adds v to the sum hi+lo.
func addTwoSum(hi, lo *float64, v float64) {
	sum, rest := TwoSum(*hi, v)
	*hi = sum
	*lo += rest
}

// sumAndRest returns hi+lo rounded and what that lost, nothing where the sum
// is not finite.
func sumAndRest(hi, lo float64) (sum, rest float64) {
	if !IsFinite(hi) || !IsFinite(lo) {
		return hi, 0
	}
	return fastTwoSum(hi, lo)
}

// weightedGradientGo sets dst[j] to weightedEntry for the probability of
// terms[j] and the coefficient q[j]. dst may be terms or q.
func weightedGradientGo(dst, terms, q []float64, f Factors, sum Accumulator, g float64) {
	for j, e := range terms {
		dst[j] = weightedEntry(WeightedProbability(e, q[j], &f, sum), q[j], sum, g)
	}
}

// WeightedProbability returns the probability of a term as weightedEntry wants
// it: within 1.2 ulp but for the rounding by second. Only where all or nothing of
// the sum is in the coefficient it is what a label's gradient is made of; an
// error in it then counts once, and a distribution that is all in one class has
// the gradient of that label to the bit.
func WeightedProbability(term, q float64, f *Factors, sum Accumulator) float64 {
	low := 0.0
	if q != 0 && q != sum.Hi {
		low = float64(term * f.FirstLow)
	}
	return float64(math.FMA(term, f.First, low) * f.Second)
}

// weightedEntry returns g·(p·Q - q), Q being the sum of the coefficients.
func weightedEntry(p, q float64, sum Accumulator, g float64) float64 {
	return Canonical(float64(math.FMA(p, sum.Lo, math.FMA(p, sum.Hi, -q)) * g))
}

// WeightedLargest is weightedEntry for the only largest entry, of which
// rest = 1-p is known better than by subtraction. Where that counts, above one
// half and where the coefficient is all of the sum, it returns
// g·(p·(Q-q) - q·rest).
func WeightedLargest(p, rest, q float64, sum Accumulator, g float64) float64 {
	if p <= 0.5 && q != sum.Hi {
		return weightedEntry(p, q, sum, g)
	}
	others := (sum.Hi - q) + sum.Lo
	return Canonical(float64(math.FMA(p, others, -float64(q*rest)) * g))
}

// areSoftTargetsGo reports whether all of x are finite and not negative.
func areSoftTargetsGo(x []float64) bool {
	for _, v := range x {
		if !IsSoftTarget(v) {
			return false
		}
	}
	return true
}

func IsSoftTarget(v float64) bool { return v >= 0 && v <= math.MaxFloat64 }

// indexOfGo returns the first index of v in x, -1 if there is none.
func indexOfGo(x []float64, v float64) int {
	for j, xj := range x {
		if xj == v {
			return j
		}
	}
	return -1
}

// ClearSums empties the lanes of the slices of the groups.
func (c *Panel) ClearSums(groups int) {
	for l := range Lanes {
		clear(c.Hi[l][:groups*Group])
		clear(c.Lo[l][:groups*Group])
	}
}

// addGo adds n entries of each of width slices to their lanes, the
// first of them to lane 0. Lanes of other slices of the last group may change.
func (c *Panel) addGo(x []float64, stride, n, width int) {
	for j := range n {
		hi, lo := &c.Hi[j%Lanes], &c.Lo[j%Lanes]
		for i, v := range x[j*stride:][:width] {
			addTwoSum(&hi[i], &lo[i], v)
		}
	}
}

// weightedLossGo sets the lanes of slices in a tile x to the terms of
// WeightedLoss for coefficients in a tile q, each of n entries.
func (c *Panel) weightedLossGo(q, x []float64, n, groups int) {
	c.ClearSums(groups)
	for j := range n {
		hi, lo := &c.Hi[j%Lanes], &c.Lo[j%Lanes]
		for i, qj := range q[j*Width:][:groups*Group] {
			if qj != 0 {
				addTwoSum(&hi[i], &lo[i], lossTerm(qj, x[j*Width+i], c.Max[i], c.NegLogSum[i]))
			}
		}
	}
}

// weightedGradientGo turns the terms of slices in a tile into the
// gradient, for coefficients q and entries x in tiles too. The coefficients'
// sums are in lane 0, and factor is what the gradient is multiplied by.
func (c *Panel) weightedGradientGo(terms, q, x []float64, n, groups int) {
	for j := range n {
		at := j * Width
		for i, e := range terms[at:][:groups*Group] {
			f := c.Factors(i)
			sum := c.Sum(i)
			p := WeightedProbability(e, q[at+i], &f, sum)
			if x[at+i] == c.Max[i] && c.Count[i] == 1 {
				terms[at+i] = WeightedLargest(p, c.Complement[i], q[at+i], sum, c.Factor[i])
			} else {
				terms[at+i] = weightedEntry(p, q[at+i], sum, c.Factor[i])
			}
		}
	}
}

// SumSlices sets lane 0 of the slices in a tile to what SumOf returns for each.
func (c *Panel) SumSlices(x []float64, n, groups int) {
	c.ClearSums(groups)
	c.Add(x, Width, n, groups*Group)
	c.JoinSums(groups * Group)
}

// JoinSums joins the lanes of n slices as SumOf does.
func (c *Panel) JoinSums(n int) {
	c.JoinLanes(GroupsFor(n))
	for k := range n {
		c.Hi[0][k], c.Lo[0][k] = sumAndRest(c.Hi[0][k], c.Lo[0][k])
	}
}
