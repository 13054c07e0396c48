// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"example.org/logsoftmax/internal/testkit"
)

// momentKernels are the kernels of SoftmaxGrad, each with its definition.
var momentKernels = []struct {
	name         string
	kernel, inGo func(dst, p, u, hi, lo, large []float64)
}{
	{
		"momentTerms",
		func(dst, p, u, _, _, _ []float64) { momentTerms(dst, p, u) },
		func(dst, p, u, _, _, _ []float64) { momentTermsGo(dst, p, u) },
	},
	{
		"softmaxGrad",
		func(dst, p, u, hi, lo, large []float64) { softmaxGrad(dst, p, u, hi[0], lo[0], large[0]) },
		func(dst, p, u, hi, lo, large []float64) { softmaxGradGo(dst, p, u, hi[0], lo[0], large[0]) },
	},
	{"columnsSoftmaxGrad", columnsSoftmaxGrad, columnsSoftmaxGradGo},
}

// TestMomentKernels holds every tier to the definition, into dst and in place.
func TestMomentKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(57, 58))
		number := func() float64 {
			switch r.IntN(40) {
			case 0:
				return testkit.NaNs[r.IntN(len(testkit.NaNs))]
			case 1:
				return math.Inf(r.IntN(2)*2 - 1)
			case 2:
				return math.Copysign(0, testkit.Uniform(r))
			}
			return testkit.Uniform(r)
		}
		probability := func() float64 {
			switch r.IntN(12) {
			case 0:
				return 0
			case 1:
				return []float64{1, dominant, math.Nextafter(dominant, 1), 0x1p-1070, 2}[r.IntN(5)]
			}
			return math.Abs(testkit.Uniform(r)) * dominant
		}
		for n := 1; n <= 150; n++ {
			in := make([][]float64, 5)
			for i := range in {
				in[i] = make([]float64, n)
				testkit.FillWith(in[i], number)
			}
			testkit.FillWith(in[0], probability)
			for _, k := range momentKernels {
				for into := -1; into < 2; into++ {
					args := make([][]float64, len(in))
					for i := range in {
						args[i] = slices.Clone(in[i])
					}
					around := make([]float64, margin+n+margin)
					Fill(around, canary)
					dst := around[margin:][:n]
					if into >= 0 {
						copy(dst, args[into])
						args[into] = dst
					}
					want := slices.Clone(around)
					k.inGo(want[margin:][:n], in[0], in[1], in[2], in[3], in[4])
					k.kernel(dst, args[0], args[1], args[2], args[3], args[4])
					for j, v := range want {
						// Which NaN a term is is open.
						if k.name == "momentTerms" && v != v && around[j] != around[j] && j >= margin && j < margin+n {
							continue
						}
						if !testkit.Identical(v, around[j]) {
							t.Fatalf("%s of %d entries into %d: entry %d is %x, want %x", k.name, n, into, j-margin, around[j], v)
						}
					}
				}
			}
		}
	})
}
