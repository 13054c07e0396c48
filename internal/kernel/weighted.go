// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// The kernels of losses and gradients that have a coefficient for every entry,
// in Go, as row.go has the others: those named …Go are reached through a
// function without that suffix, which picks the tier. Their sums are in lanes
// too: entry j belongs to lane j mod 8, a lane adds up by TwoSum in order, and
// the lanes are joined as in joinLanes.
//
// The low words of a sum of coefficients are summed by TwoSum themselves, those
// of each block of BlockLen entries together. Where one coefficient is by far
// the largest, what is left of the sum without it is in the low words alone, and
// the gradient at that entry is made of it.

// WeightedLoss returns the sum of q[c] times minus the log-probability
// x[c]-max+negLogSum, leaving out the terms whose coefficient is 0. For x that
// are log-probabilities themselves, max and negLogSum are 0.
func WeightedLoss(q, x []float64, max, negLogSum float64) Accumulator {
	var s LaneSum
	for len(q) > PieceLen {
		s.addLoss(q[:PieceLen], x, max, negLogSum)
		q, x = q[PieceLen:], x[PieceLen:]
	}
	hi, lo := s.addLoss(q, x[:len(q)], max, negLogSum)
	return Accumulator{hi, lo}
}

// WeightedLossAndSum returns what WeightedLoss and SumOf do.
func WeightedLossAndSum(q, x []float64, max, negLogSum float64) (loss, sum Accumulator) {
	var s LossAndSum
	for len(q) > PieceLen {
		s.add(q[:PieceLen], x, max, negLogSum)
		q, x = q[PieceLen:], x[PieceLen:]
	}
	hi, lo, sumHi, sumLo := s.add(q, x[:len(q)], max, negLogSum)
	return Accumulator{hi, lo}, sumAndRest(sumHi, sumLo)
}

// DistributionLoss returns the loss of a row with coefficients whose sum is sum,
// given what WeightedLoss makes of them for a negLogSum of 0:
//
//	Σ q·(max-x) + sum·log Σ e^(x-max)
//
// Of its two parts neither is negative, and each is rounded less than the
// log-probabilities are. Of a distribution that is all in one class it is the
// loss of that label to the bit.
func DistributionLoss(distances, sum Accumulator, negLogSum float64) Accumulator {
	if sum.Hi == 0 {
		return distances
	}
	part := float64(sum.Hi * -negLogSum)
	low := math.FMA(sum.Hi, -negLogSum, -part)
	low = low + float64(sum.Lo*-negLogSum)
	hi, lo := TwoSum(part, distances.Hi)
	return Accumulator{hi, lo + (low + distances.Lo)}
}

// SumOf returns Σ x[j] in two words, of which the second is right to its last
// digits too.
func SumOf(x []float64) Accumulator {
	if len(x) <= PieceLen {
		return sumAndRest(coefficientSum(x))
	}
	var s CoefficientSum
	for len(x) > PieceLen {
		s.add(x[:PieceLen])
		x = x[PieceLen:]
	}
	return sumAndRest(s.add(x))
}

// A LaneSum is the sum of WeightedLoss, of entries that come in pieces, of
// multiples of Lanes but for the last. The zero value is an empty sum. Which NaN
// it is is open, and so is the low word of an infinity.
type LaneSum struct{ hi, lo [Lanes]float64 }

// AddLoss adds what WeightedLoss returns the sum of, a piece at most.
func (s *LaneSum) AddLoss(q, x []float64, max, negLogSum float64) {
	s.addLoss(q, x[:len(q)], max, negLogSum)
}

// Sum returns what WeightedLoss does.
func (s *LaneSum) Sum() Accumulator {
	hi, lo := s.joined()
	return Accumulator{hi, lo}
}

// joined returns the sum in two words.
func (s *LaneSum) joined() (hi, lo float64) {
	sum, rest := s.hi, s.lo
	return joinLanes(&sum, &rest)
}

// addLossGo adds the terms of a loss. One that is left out may as well be added
// as +0.
func (s *LaneSum) addLossGo(q, x []float64, max, negLogSum float64) {
	for c, qc := range q {
		if qc != 0 {
			addLossTerm(&s.hi[c%Lanes], &s.lo[c%Lanes], qc, x[c], max, negLogSum)
		}
	}
}

// A CoefficientSum is the sum of SumOf, in three words, of entries that come in
// pieces, of multiples of BlockLen but for the last. The zero value is an empty
// sum. Which NaN it is is open.
type CoefficientSum struct{ hi, mid, low [Lanes]float64 }

// Add adds x, a piece at most.
func (s *CoefficientSum) Add(x []float64) { s.add(x) }

// Sum returns what SumOf does.
func (s *CoefficientSum) Sum() Accumulator { return sumAndRest(s.joined()) }

func (s *CoefficientSum) addGo(x []float64) {
	for len(x) > 0 {
		n := min(len(x), BlockLen)
		var low [Lanes]float64
		for j, v := range x[:n] {
			addTwoSum(&s.hi[j%Lanes], &low[j%Lanes], v)
		}
		for l, v := range low {
			addTwoSum(&s.mid[l], &s.low[l], v)
		}
		x = x[n:]
	}
}

// joined returns the sum in two words, not normalized.
func (s *CoefficientSum) joined() (hi, lo float64) {
	t := *s
	for half := Lanes / 2; half > 0; half /= 2 {
		for l := range half {
			var rest, ofLanes, ofRest float64
			t.hi[l], rest = TwoSum(t.hi[l], t.hi[l+half])
			t.mid[l], ofLanes = TwoSum(t.mid[l], t.mid[l+half])
			t.mid[l], ofRest = TwoSum(t.mid[l], rest)
			t.low[l] = (t.low[l] + t.low[l+half]) + (ofLanes + ofRest)
		}
	}
	return t.hi[0], t.mid[0] + t.low[0]
}

// A LossAndSum is the sum of a loss, and that of its coefficients.
type LossAndSum struct {
	loss LaneSum
	sum  CoefficientSum
}

// Add is AddLoss, and Add of q.
func (s *LossAndSum) Add(q, x []float64, max, negLogSum float64) {
	s.add(q, x[:len(q)], max, negLogSum)
}

// Sums returns what WeightedLossAndSum does.
func (s *LossAndSum) Sums() (loss, sum Accumulator) { return s.loss.Sum(), s.sum.Sum() }

// addGo adds, and returns both sums joined.
func (s *LossAndSum) addGo(q, x []float64, max, negLogSum float64) (hi, lo, sumHi, sumLo float64) {
	s.loss.addLossGo(q, x, max, negLogSum)
	s.sum.addGo(q)
	hi, lo = s.loss.joined()
	sumHi, sumLo = s.sum.joined()
	return hi, lo, sumHi, sumLo
}

// addLossTerm adds q·(max-x-negLogSum) to the sum hi+lo, without rounding the
// product.
func addLossTerm(hi, lo *float64, q, x, max, negLogSum float64) {
	l := (max - x) - negLogSum
	term := float64(q * l)
	sum, rest := TwoSum(*hi, term)
	*hi = sum
	*lo += rest + math.FMA(q, l, -term)
}

// addTwoSum adds v to the sum hi+lo.
func addTwoSum(hi, lo *float64, v float64) {
	sum, rest := TwoSum(*hi, v)
	*hi = sum
	*lo += rest
}

// SumOfEqual returns the sum of first and n others, as SumOf does.
func SumOfEqual(first, other float64, n int) Accumulator {
	others := float64(other * float64(n))
	low := math.FMA(other, float64(n), -others)
	hi, lo := TwoSum(first, others)
	return sumAndRest(hi, lo+low)
}

// sumAndRest returns hi+lo rounded and what that lost, nothing where the sum
// is not finite.
func sumAndRest(hi, lo float64) Accumulator {
	if !IsFinite(hi) || !IsFinite(lo) {
		return Accumulator{Hi: hi}
	}
	hi, lo = TwoSum(hi, lo)
	return Accumulator{hi, lo}
}

// A Weighting is what turns terms and coefficients of a slice, or of a chunk of
// it, into the gradient.
type Weighting struct {
	// The terms' factors of Factors, the last of which is in hi and lo.
	first, firstLow float64
	// The sum of the coefficients.
	hi, lo float64
	// one is 1 where the coefficients add up to exactly that. Entries whose
	// coefficient is 0 or 1 are then made as for a label, of probabilities that
	// are rounded, so that a distribution that is all in one class has the
	// gradient of that label to the bit. Elsewhere it is NaN.
	one float64
	g   float64
}

// NewWeighting returns the one for terms with these factors and coefficients with
// this sum, which makes g·(p·Q - q) of them.
func NewWeighting(f Factors, sum Accumulator, g float64) Weighting {
	w := Weighting{f.First, f.FirstLow, float64(sum.Hi * f.Second), float64(sum.Lo * f.Second), NaN, g}
	if sum.Hi == 1 && sum.Lo == 0 {
		w.one = 1
	}
	return w
}

// probability returns the probability of a term, but for the last factor, and
// what rounding it lost.
func (w *Weighting) probability(term, q float64) (p, low float64) {
	p = float64(term * w.first)
	if q != w.one && q != w.one-w.one {
		low = math.FMA(term, w.firstLow, math.FMA(term, w.first, -p))
	}
	return p, low
}

// entry returns g·(p·Q - q), Q being the sum of the coefficients.
func (w *Weighting) entry(term, q float64) float64 {
	p, low := w.probability(term, q)
	rest := math.FMA(low, w.hi, float64(p*w.lo))
	return Canonical(float64((math.FMA(p, w.hi, -q) + rest) * w.g))
}

// Largest is entry for the only largest entry, of which complement +
// complementLow = 1-p is known better than by subtraction. Where that counts,
// above one half and where the coefficient is all of the sum, it returns
// g·(p·(Q-q) - q·(1-p)). The slice's second factor is 1 there.
func (w *Weighting) Largest(term, q, complement, complementLow float64) float64 {
	p, low := w.probability(term, q)
	if p <= 0.5 && q != w.hi {
		return w.entry(term, q)
	}
	others := w.hi - q
	rest := (w.hi - others) - q
	others, othersLow := fastTwoSum(others, rest+w.lo)
	own := float64(q * complement)
	ownLow := math.FMA(q, complement, -own)
	if q != w.one {
		ownLow = math.FMA(q, complementLow, ownLow)
	}
	rest = math.FMA(low, others, math.FMA(p, othersLow, -ownLow))
	return Canonical(float64((math.FMA(p, others, -own) + rest) * w.g))
}

// weightedGradientGo sets dst[j] to Weighting.entry for terms[j] and the
// coefficient q[j]. dst may be terms or q.
func weightedGradientGo(dst, terms, q []float64, w Weighting) {
	for j, qj := range q {
		dst[j] = w.entry(terms[j], qj)
	}
}

// WeightedLargest returns what WeightedGradient sets the entry to that is the
// only largest of its slice: better, for 1-p is known.
func WeightedLargest(term, q float64, f Factors, sum Accumulator, complement, complementLow, g float64) float64 {
	w := NewWeighting(f, sum, g)
	return w.Largest(term, q, complement, complementLow)
}

// AreBetween reports whether all of x are from least to most, two numbers that
// are finite and not negative.
func AreBetween(x []float64, least, most float64) bool {
	return len(x) == 0 || RowsAreBetween(x, len(x), 1, len(x), least, most)
}

// rowsAreBetweenGo is AreBetween of rows of n > 0 entries, stride apart.
func rowsAreBetweenGo(x []float64, stride, rows, n int, least, most float64) bool {
	for i := range rows {
		if !areBetweenGo(x[i*stride:][:n], least, most) {
			return false
		}
	}
	return true
}

func areBetweenGo(x []float64, least, most float64) bool {
	for _, v := range x {
		if !(v >= least && v <= most) {
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

// addGo adds n ≤ BlockLen entries of each of width slices to their lanes, the
// first of them to lane 0. Lanes of other slices of the last group may change.
func (c *Panel) addGo(x []float64, stride, n, width int) {
	for j := range n {
		hi, lo := &c.Hi[j%Lanes], &c.Lo[j%Lanes]
		for i, v := range x[j*stride:][:width] {
			addTwoSum(&hi[i], &lo[i], v)
		}
	}
}

// weightedLossGo sets lane 0 of slices in a tile x to what WeightedLoss returns
// for coefficients in a tile q, each of n entries. What it leaves in other lanes
// is open.
func (c *Panel) weightedLossGo(q, x []float64, n, groups int) {
	c.ClearSums(groups)
	for j := range n {
		hi, lo := &c.Hi[j%Lanes], &c.Lo[j%Lanes]
		for i, qj := range q[j*Width:][:groups*Group] {
			if qj != 0 {
				addLossTerm(&hi[i], &lo[i], qj, x[j*Width+i], c.Max[i], c.NegLogSum[i])
			}
		}
	}
	c.joinLanesGo(groups)
}

// weightedGradientGo turns the terms of slices in a tile into the
// gradient, for coefficients q and entries x in tiles too. The coefficients'
// sums are in lane 0, and factor is what the gradient is multiplied by. Where
// either is 0, so is the gradient, whatever the terms are.
func (c *Panel) weightedGradientGo(terms, q, x []float64, n, groups int) {
	for i := range groups * Group {
		w := NewWeighting(c.Factors(i), c.Sum(i), c.Factor[i])
		none := c.Hi[0][i] == 0 || c.Factor[i] == 0
		for j := range n {
			at := j*Width + i
			if none {
				terms[at] = 0
				continue
			}
			if x[at] == c.Max[i] && c.Count[i] == 1 {
				terms[at] = w.Largest(terms[at], q[at], c.Complement[i], c.ComplementLow[i])
			} else {
				terms[at] = w.entry(terms[at], q[at])
			}
		}
	}
}

// LowSums are the low words, in two, of the sums of slices in lanes that are
// longer than a block. The order of its fields is known to the assembly.
type LowSums struct{ mid, low [Lanes][Width]float64 }

// Clear empties the low words.
func (s *LowSums) Clear() { *s = LowSums{} }

// takeLowGo adds the low words of a block of the slices of the groups to s.
func (c *Panel) takeLowGo(s *LowSums, groups int) {
	for l := range Lanes {
		for i := range groups * Group {
			addTwoSum(&s.mid[l][i], &s.low[l][i], c.Lo[l][i])
			c.Lo[l][i] = 0
		}
	}
}

// joinLowGo sets lane 0 of the slices of the groups to what SumOf returns for
// each, given what takeLowGo took of all their blocks.
func (c *Panel) joinLowGo(s *LowSums, groups int) {
	for i := range groups * Group {
		var sums CoefficientSum
		for l := range Lanes {
			sums.hi[l], sums.mid[l], sums.low[l] = c.Hi[l][i], s.mid[l][i], s.low[l][i]
		}
		c.setSum(i, sumAndRest(sums.joined()))
	}
}

// sumSlicesGo sets lane 0 of the slices in a tile, of n entries, to what SumOf
// returns for each, and Top. What it leaves in other lanes is open.
func (c *Panel) sumSlicesGo(x []float64, n, groups int) {
	for i := range groups * Group {
		var s CoefficientSum
		c.Top[i] = x[i]
		for j := range n {
			addTwoSum(&s.hi[j%Lanes], &s.mid[j%Lanes], x[j*Width+i])
			c.Top[i] = max(c.Top[i], x[j*Width+i])
		}
		c.setSum(i, s.Sum())
	}
}

// SetSums sets lane 0 of n slices, and Top.
func (c *Panel) SetSums(sum Accumulator, top float64, n int) {
	for i := range n {
		c.setSum(i, sum)
		c.Top[i] = top
	}
}
