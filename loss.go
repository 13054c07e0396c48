// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"

	"example.org/logsoftmax/internal/kernel"
)

// Loss is what a batch adds up to. Losses of batches, shards and machines
// add up, by Add, to the Loss of the whole.
//
// Sum and Weight are sums over the rows that count: those whose label is not
// ignored and whose sample weight is not 0. Each is right to the last digit
// however many rows there are. To keep them so when Losses are added, a Loss
// carries the digits that the rounding of Sum and Weight left, in fields that
// are not exported. A Loss that was decoded from JSON or gob, or filled in by
// hand, is without them: its fields then count for what they are.
type Loss struct {
	Sum     float64 // of the rows' losses
	Weight  float64 // what Mean divides by
	Rows    int     // all rows, ignored ones included
	Ignored int     // rows whose label is ignored or whose SampleWeight is 0
	Correct int     // CrossEntropy only: rows whose lowest-indexed largest logit is the target; a row with a NaN is not

	// What the rounding of Sum and Weight left. They count only while they
	// are small enough to be that, so that what is left over from a field
	// changed by hand is worth half a unit in its last place at most.
	sumLo, weightLo float64
}

// newLoss returns the Loss of a batch.
func newLoss(sum, weight kernel.Accumulator, rows, ignored int) Loss {
	l := Loss{Rows: rows, Ignored: ignored}
	l.Sum, l.sumLo = sum.Split()
	l.Weight, l.weightLo = weight.Split()
	return l
}

// Add adds m to l, so that l becomes the Loss of the rows of both. The sums
// of any split of a batch, added in any order, are within one rounding of
// the sums of the whole.
func (l *Loss) Add(m Loss) {
	sum, weight := l.words()
	mSum, mWeight := m.words()
	sum.Merge(mSum)
	weight.Merge(mWeight)
	l.Sum, l.sumLo = sum.Split()
	l.Weight, l.weightLo = weight.Split()
	l.Rows += m.Rows
	l.Ignored += m.Ignored
	l.Correct += m.Correct
}

// words returns Sum and Weight with the digits that their rounding left.
func (l *Loss) words() (sum, weight kernel.Accumulator) {
	sum = kernel.Accumulator{Hi: l.Sum, Lo: l.sumLo}
	if sum.Hi+sum.Lo != sum.Hi {
		sum.Lo = 0
	}
	weight = kernel.Accumulator{Hi: l.Weight, Lo: l.weightLo}
	if weight.Hi+weight.Lo != weight.Hi {
		weight.Lo = 0
	}
	return sum, weight
}

// Mean returns Sum/Weight, the weighted mean of the rows' losses, right to
// the last digit. It is NaN when Weight is 0, as where every row is ignored.
func (l Loss) Mean() float64 {
	if l.Weight == 0 {
		return kernel.NaN
	}
	sum, weight := l.words()
	q := sum.Hi / weight.Hi
	// Below this the remainder may have bits below the smallest subnormal.
	const tiny = 0x1p-900
	if !kernel.IsFinite(q) || math.Abs(sum.Hi) < tiny {
		return kernel.Canonical(q)
	}
	// sum - q*weight, the leading part without error.
	r := math.FMA(-q, weight.Hi, sum.Hi)
	r += sum.Lo - float64(q*weight.Lo)
	if c := q + r/weight.Hi; kernel.IsFinite(c) {
		q = c
	}
	return kernel.Canonical(q)
}

// Perplexity returns exp(Mean()): the number of classes among which an even
// choice would cost as much. It is NaN when Weight is 0.
func (l Loss) Perplexity() float64 {
	return kernel.Exponential(l.Mean())
}

// Accuracy returns Correct/(Rows-Ignored), the share of the rows that count
// whose largest logit is the target's. It is NaN when no row counts. Only
// CrossEntropy and CrossEntropyGrad count Correct.
func (l Loss) Accuracy() float64 {
	n := l.Rows - l.Ignored
	if n == 0 {
		return kernel.NaN
	}
	return float64(l.Correct) / float64(n)
}
