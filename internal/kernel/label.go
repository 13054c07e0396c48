// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// Labels are the labels of rows side by side, and what Label makes of them.
type Labels struct {
	// Of each row: its class, -1 if it does not count; the logit of that
	// class; what the loss is multiplied by; and what the gradient is. A row that
	// does not count has 0 for the last three.
	Class       [Width]int64
	Logit       [Width]float64
	Coefficient [Width]float64
	Gradient    [Width]float64

	// Of rows that have coefficients for all classes: what WeightedLoss made of
	// them, in two words.
	High, Low [Width]float64

	Loss    [Width]float64 // of each row
	AtLabel [Width]float64 // the gradient there
	// How many labels of rows that count are the only largest entry, and how
	// many one of several, by vector lane.
	Single, Tied [Lanes]int
}

// WeightedRows are at most Group rows of few classes that have coefficients for all
// of them, and what is to be made of them, for Panel.WeightedRows.
type WeightedRows struct {
	N, Cols int
	X       Rows
	// The coefficients are those of distributions, or else of labels: Base for all
	// classes but the label's, On there, times its weight where Weight is not nil.
	// Classes is as for Labels.Take.
	Soft         Rows
	Target       []int
	Classes      uint64
	Base, Weight []float64
	On           float64
	// Sum is that of the coefficients where it is known, or not wanted.
	Sum      Accumulator
	SumKnown bool
	// What losses and gradients are multiplied by: nil stands for 1.
	Sample  []float64
	Divisor float64
	// The gradients go there, if it is not empty.
	Dst Rows
}

// takeGo sets the classes of the rows in t from the first on, and their logits,
// from targets. Bit y of classes tells whether y is one; a row of no class does
// not count. There is no branch on a label.
func (l *Labels) takeGo(t *Tile, target []int, classes uint64, first int) {
	for k := first; k < len(target); k++ {
		y := target[k]
		// -1 for what does not count.
		ignored := int(classes>>uint(y)&1) - 1
		l.Class[k] = int64(y | ignored)
		l.Logit[k] = t[(y&^ignored)&(FewCols-1)*Width+k]
	}
}

// weighGo sets the coefficients of n rows with classes, weight of a row's class
// times its sample weight, and gradients, which are these by divisor, or 0 where
// that is 0; nil stands for weights that are all 1. A row whose sample weight is 0
// becomes one that does not count, and so do those that are left of the last
// group. It reports whether all gradients combine.
func (l *Labels) weighGo(weight *[FewCols]float64, sample []float64, n int, divisor float64) bool {
	combine := true
	for k := range GroupsFor(n) * Group {
		c := 1.0
		switch y := l.Class[k]; {
		case k >= n:
			l.Class[k], c = -1, 0
		case y < 0:
			c = 0
		case weight != nil:
			c = weight[y&(FewCols-1)]
		}
		if sample != nil && k < n {
			c = float64(c * sample[k])
			if sample[k] == 0 {
				l.Class[k] = -1
			}
		}
		l.Coefficient[k], l.Gradient[k] = c, 0
		if divisor != 0 {
			l.Gradient[k] = c / divisor
		}
		combine = combine && Combines(l.Gradient[k])
	}
	return combine
}

// count counts row k, for its maximum and how often that is there.
func (l *Labels) count(k int, max, count float64) (single bool) {
	single = l.Logit[k] == max && count == 1
	switch {
	case l.Class[k] < 0:
	case single:
		l.Single[k%Lanes]++
	case l.Logit[k] == max:
		l.Tied[k%Lanes]++
	}
	return single
}

// labelGo finds, for the rows of groups whose sums are in c, what their labels
// make of them. A coefficient of 0 makes any loss 0. Where terms is not nil it
// also sets the gradients at the labels and c.Factor, to multiply the terms by,
// both times l.Gradient and 0 where that is 0.
func (c *Panel) labelGo(l *Labels, terms *Tile, groups int) {
	for k := range groups * Group {
		y, logit := l.Class[k], l.Logit[k]
		l.Loss[k] = 0
		if l.Coefficient[k] != 0 {
			l.Loss[k] = Canonical(float64(l.Coefficient[k] * (0 - (c.NegLogSum[k] + (logit - c.Max[k])))))
		}
		single := l.count(k, c.Max[k], c.Count[k])
		if terms == nil {
			continue
		}
		g := l.Gradient[k]
		if g == 0 {
			l.AtLabel[k], c.Factor[k] = 0, 0
			continue
		}
		rest := c.Complement[k]
		if !single {
			rest = 1 - float64(terms[y&(FewCols-1)*Width+int64(k)]*c.Inverse[k])
		}
		l.AtLabel[k] = Canonical(0 - float64(rest*g))
		if c.NegLogSum[k] != c.NegLogSum[k] {
			l.AtLabel[k] = NaN
		}
		c.Factor[k] = float64(c.Inverse[k] * g)
	}
}

// weightedLabelGo is labelGo without terms for rows that have coefficients for
// all classes, whose losses are in l.High and l.Low. Where the targets are
// distributions, of which lane 0 has the sums, they are what DistributionLoss
// takes.
func (c *Panel) weightedLabelGo(l *Labels, distributions bool, groups int) {
	for k := range groups * Group {
		loss := Accumulator{l.High[k], l.Low[k]}
		if distributions {
			loss = DistributionLoss(loss, c.Sum(k), c.NegLogSum[k])
		}
		l.Loss[k] = 0
		if l.Coefficient[k] != 0 {
			l.Loss[k] = Canonical(float64(l.Coefficient[k] * loss.Value()))
		}
		l.count(k, c.Max[k], c.Count[k])
	}
}
