// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// Labels is what Label finds out about the labels of rows side by side.
type Labels struct {
	Loss    [Width]float64 // of each row
	AtLabel [Width]float64 // the gradient there
	// How many labels are the only largest entry, and how many one of
	// several, by vector lane.
	Single, Tied [Lanes]int
}

// labelGo finds, for n rows of x from row first on, whose sums are in c,
// what their labels make of them. Where terms, a tile, is not nil it also sets
// the gradients at the labels and c.factor, to multiply the terms by, both
// times g, a positive number.
func (c *Panel) labelGo(x []float64, stride int, target []int, l *Labels, first, n int, terms []float64, g float64) {
	for k := first; k < first+n; k++ {
		y := target[k]
		logit := x[k*stride+y]
		l.Loss[k] = Canonical(0 - (c.NegLogSum[k] + (logit - c.Max[k])))
		single := logit == c.Max[k] && c.Count[k] == 1
		switch {
		case single:
			l.Single[k%Lanes]++
		case logit == c.Max[k]:
			l.Tied[k%Lanes]++
		}
		if terms == nil {
			continue
		}
		rest := c.Complement[k]
		if !single {
			rest = 1 - float64(terms[y*Width+k]*c.Inverse[k])
		}
		l.AtLabel[k] = Canonical(0 - float64(rest*g))
		if c.NegLogSum[k] != c.NegLogSum[k] {
			l.AtLabel[k] = NaN
		}
		c.Factor[k] = float64(c.Inverse[k] * g)
	}
}
