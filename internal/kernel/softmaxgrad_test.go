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

// momentKernels are the kernels for the entries of SoftmaxGrad, each with its
// definition.
var momentKernels = []struct {
	name         string
	multiple     int // of which there have to be entries
	kernel, inGo func(dst, logp, p, u, hi, lo, large, largeLow []float64)
}{
	{
		"softmaxGradRow", 1,
		func(dst, logp, p, u, hi, lo, large, largeLow []float64) {
			softmaxGradRow(dst, logp, p, u, Accumulator{hi[0], lo[0]}, Accumulator{large[0], largeLow[0]})
		},
		func(dst, logp, p, u, hi, lo, large, largeLow []float64) {
			softmaxGradRowGo(dst, logp, p, u, Accumulator{hi[0], lo[0]}, Accumulator{large[0], largeLow[0]})
		},
	},
	{
		"softmaxGradColumns", Group,
		func(dst, logp, p, u, hi, lo, large, largeLow []float64) {
			softmaxGradColumns(dst, logp, p, u, len(p), 1, len(p), hi, lo, large, largeLow)
		},
		func(dst, logp, p, u, hi, lo, large, largeLow []float64) {
			softmaxGradColumnsGo(dst, logp, p, u, len(p), 1, len(p), hi, lo, large, largeLow)
		},
	},
}

// TestMomentKernels holds every tier to the definition, into dst and in place.
func TestMomentKernels(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(57, 58))
		number := func() float64 { return oftenSpecial(r) }
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
			in := make([][]float64, 7)
			for i := range in {
				in[i] = make([]float64, n)
				testkit.FillWith(in[i], number)
			}
			testkit.FillWith(in[1], probability)
			if n%2 == 0 {
				testkit.FillWith(in[0], func() float64 { return 1e-3 * oftenSpecial(r) })
			}
			for _, k := range momentKernels {
				for into := -1; into < 3 && n%k.multiple == 0; into++ {
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
					k.inGo(want[margin:][:n], in[0], in[1], in[2], in[3], in[4], in[5], in[6])
					k.kernel(dst, args[0], args[1], args[2], args[3], args[4], args[5], args[6])
					for j, v := range want {
						if !testkit.Identical(v, around[j]) {
							t.Fatalf("%s of %d entries into %d: entry %d is %x, want %x", k.name, n, into, j-margin, around[j], v)
						}
					}
				}
			}
		}
	})
}

// oftenSpecial returns a number in [-1, 1) that is now and then a special one.
func oftenSpecial(r *rand.Rand) float64 {
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

// TestMomentTerms holds every tier to the definition, for log-probabilities and
// what is none.
func TestMomentTerms(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(59, 60))
		for n := 1; n <= 300; n++ {
			logp, u := make([]float64, n), make([]float64, n)
			testkit.FillWith(u, func() float64 { return oftenSpecial(r) })
			testkit.FillWith(logp, func() float64 {
				switch r.IntN(20) {
				case 0:
					return []float64{0, math.Log(dominant), math.Nextafter(math.Log(dominant), 0), -farthest, -700, -745, -1e300, math.Inf(-1)}[r.IntN(8)]
				case 1:
					if n%3 == 0 {
						return []float64{1, mostLogp, math.Nextafter(mostLogp, 1000), 709.7, 711, math.Inf(1), math.NaN()}[r.IntN(7)]
					}
				}
				return 5 * (testkit.Uniform(r) - 1)
			})
			var got, want [2][]float64
			for i := range got {
				got[i] = make([]float64, margin+n+margin)
				Fill(got[i], canary)
				want[i] = slices.Clone(got[i])
			}
			momentTerms(got[0][margin:][:n], got[1][margin:][:n], logp, u)
			momentTermsGo(want[0][margin:][:n], want[1][margin:][:n], logp, u)
			for i, what := range []string{"probability", "term"} {
				for j, v := range want[i] {
					// Which NaN a term is is open.
					isOpen := i == 1 && v != v && got[i][j] != got[i][j] && j >= margin && j < margin+n
					if !isOpen && !testkit.Identical(v, got[i][j]) {
						t.Fatalf("%s %d of %d, of %v and %v, is %x, want %x", what, j-margin, n, logp[j-margin], u[j-margin], got[i][j], v)
					}
				}
			}
		}
	})
}
