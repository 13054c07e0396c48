// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// smoothedLossesGo sets to to the losses of rows with smoothed labels, for
// log-probabilities x with row i, of n ≤ ChunkLen entries, at x[i*stride:]: the
// values of what WeightedLoss returns for coefficients on of the class that is the
// row's target and off of all others, neither of them 0. A target that is no class
// is no row's.
func smoothedLossesGo(to, x []float64, stride, n int, target []int, off, on float64) {
	for i := range to {
		var s LaneSum
		for c, v := range x[i*stride:][:n] {
			q := off
			if c == target[i] {
				q = on
			}
			addLossTerm(&s.hi[c%Lanes], &s.lo[c%Lanes], q, v, 0, 0)
		}
		to[i] = s.Sum().Value()
	}
}

// weightedSmoothedLossesGo is smoothedLossesGo for coefficients of each class, which
// may be 0.
func weightedSmoothedLossesGo(to, x []float64, stride, n int, target []int, off, on []float64) {
	for i := range to {
		var s LaneSum
		for c, v := range x[i*stride:][:n] {
			q := off[c]
			if c == target[i] {
				q = on[c]
			}
			if q != 0 {
				addLossTerm(&s.hi[c%Lanes], &s.lo[c%Lanes], q, v, 0, 0)
			}
		}
		to[i] = s.Sum().Value()
	}
}
