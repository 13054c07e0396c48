// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build unix

package kernel

import (
	"math/rand/v2"
	"testing"

	"example.org/logsoftmax/internal/testkit"
)

// TestGuardedWeightedKernels has the slices of the kernels with coefficients
// begin right behind, and end right before, a page that faults.
func TestGuardedWeightedKernels(t *testing.T) {
	a, b, c := testkit.NewGuarded(t, ChunkLen), testkit.NewGuarded(t, ChunkLen), testkit.NewGuarded(t, ChunkLen)
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(77, 78))
		for _, n := range kernelLengths() {
			for k, from := range testkit.Ends {
				for _, to := range testkit.Ends {
					x, q, dst := from.Take(&a, n), testkit.Ends[(n+k)%2].Take(&b, n), to.Take(&c, n)
					testkit.FillWith(x, func() float64 { return -10 + 10*testkit.Uniform(r) })
					testkit.FillWith(q, func() float64 { return testkit.Uniform(r) })
					sum := Accumulator{1, 0}
					var slices Panel
					for _, kernel := range []struct {
						name string
						call func()
					}{
						{"weightedLossSum", func() { weightedLossSum(q, x, 1, -2) }},
						{"weightedLossSums", func() { weightedLossSums(q, x, 1, -2) }},
						{"laneSum", func() { laneSum(x) }},
						{"areSoftTargets", func() { AreSoftTargets(x) }},
						{"indexOf", func() { IndexOf(x, 12) }},
						{"weightedGradient", func() { WeightedGradient(dst, x, q, Factors{1, 0, 1}, sum, 1) }},
						{"vectorJacobianOf", func() { VectorJacobianOf(dst, x, q, 1, 0) }},
						{"columnsVectorJacobian", func() { ColumnsVectorJacobian(dst, x, q, q, x, 1000, 1000, 1000) }},
						{"columnsAdd", func() { slices.Add(x, min(n, Width), n/min(n, Width), min(n, Width)) }},
					} {
						if v := testkit.Fault(kernel.call); v != nil {
							t.Fatalf("%s of %d entries, from the %s to the %s of their pages: %v", kernel.name, n, from.Name, to.Name, v)
						}
					}
				}
			}
		}
	})
}
