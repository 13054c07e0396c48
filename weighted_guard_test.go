// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build unix

package logsoftmax

import (
	"math/rand/v2"
	"testing"
)

// TestGuardedWeightedKernels has the slices of the kernels with coefficients
// begin right behind, and end right before, a page that faults.
func TestGuardedWeightedKernels(t *testing.T) {
	a, b, c := newGuarded(t, chunkLen), newGuarded(t, chunkLen), newGuarded(t, chunkLen)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(77, 78))
		for _, n := range kernelLengths() {
			for k, from := range ends {
				for _, to := range ends {
					x, q, dst := from.take(&a, n), ends[(n+k)%2].take(&b, n), to.take(&c, n)
					fillWith(x, func() float64 { return -10 + 10*uniform(r) })
					fillWith(q, func() float64 { return uniform(r) })
					sum := accumulator{1, 0}
					var slices columns
					for _, kernel := range []struct {
						name string
						call func()
					}{
						{"weightedLossSum", func() { weightedLossSum(q, x, 1, -2) }},
						{"weightedLossSums", func() { weightedLossSums(q, x, 1, -2) }},
						{"laneSum", func() { laneSum(x) }},
						{"areSoftTargets", func() { areSoftTargets(x) }},
						{"indexOf", func() { indexOf(x, 12) }},
						{"weightedGradient", func() { weightedGradient(dst, x, q, factors{1, 0, 1}, sum, 1) }},
						{"vectorJacobianOf", func() { vectorJacobianOf(dst, x, q, 1, 0) }},
						{"columnsVectorJacobian", func() { columnsVectorJacobian(dst, x, q, q, x, 1000, 1000, 1000) }},
						{"columnsAdd", func() { columnsAdd(&slices, x, min(n, columnsWidth), n/min(n, columnsWidth), min(n, columnsWidth)) }},
					} {
						if v := fault(kernel.call); v != nil {
							t.Fatalf("%s of %d entries, from the %s to the %s of their pages: %v", kernel.name, n, from.name, to.name, v)
						}
					}
				}
			}
		}
	})
}
