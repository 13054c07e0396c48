// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// TestAway holds results that are written past the caches, and those of long
// rows that are deferred, to results that are not.
func TestAway(t *testing.T) {
	defer func(before int) { farBytes = before }(farBytes)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	type shape struct{ rows, cols, stride, align int }
	shapes := []shape{
		{70, 10, 10, 0}, {40, 100, 104, 3}, {9, 2000, 2000, 1}, {33, 2049, 2056, 0}, {33, 2049, 2049, 5}, {35, 2112, 2112, 0},
		{20, 4096, 4096, 0}, {18, 4096, 4100, 7}, {17, 5000, 5000, 4}, {6, 32768, 32768, 0}, {3, 33000, 33000, 0}, {2, 140000, 140000, 3},
	}
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 42))
		for _, s := range shapes {
			if active == tierGo && s.cols > 5000 {
				continue
			}
			x, soft := mat.NewDense(s.rows, s.cols, nil), mat.NewDense(s.rows, s.cols, nil)
			target, sample := make([]int, s.rows), make([]float64, s.rows)
			for i := range s.rows {
				f := fillings[0]
				if i%3 == 1 {
					f = fillings[r.IntN(len(fillings))]
				}
				f.fill(r, x.RawRowView(i))
				fillWith(soft.RawRowView(i), func() float64 { return max(0, uniform(r)) })
				target[i], sample[i] = r.IntN(s.cols), uniform(r)
				switch i % 5 {
				case 1:
					target[i] = -100
				case 2:
					x.Set(i, target[i], 50)
				case 3:
					sample[i] = math.Ldexp(uniform(r), []int{-400, 100, -1060}[i%3])
				}
			}
			must := func(_ Loss, err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []struct {
				name string
				call func(dst *mat.Dense)
			}{
				{"LogSoftmax", func(dst *mat.Dense) { LogSoftmax(dst, x, 1) }},
				{"LogSoftmax dim 0", func(dst *mat.Dense) { LogSoftmax(dst, x, 0) }},
				{"Softmax", func(dst *mat.Dense) { Softmax(dst, x, 1) }},
				{"Softmax dim 0", func(dst *mat.Dense) { Softmax(dst, x, 0) }},
				{"CrossEntropyGrad", func(dst *mat.Dense) { must(CrossEntropyGrad(dst, x, target, nil)) }},
				{"CrossEntropyGrad of samples", func(dst *mat.Dense) {
					must(CrossEntropyGrad(dst, x, target, &Options{SampleWeight: sample, Reduction: Sum}))
				}},
				{"CrossEntropyGrad smoothed", func(dst *mat.Dense) { must(CrossEntropyGrad(dst, x, target, &Options{LabelSmoothing: 0.1})) }},
				{"SoftCrossEntropyGrad", func(dst *mat.Dense) { must(SoftCrossEntropyGrad(dst, x, soft, nil)) }},
			} {
				name := fmt.Sprintf("%s of %d×%d, stride %d, at alignment %d", f.name, s.rows, s.cols, s.stride, s.align)
				farBytes = math.MaxInt
				var want mat.Dense
				f.call(&want)
				farBytes = 1
				out := newFenced((s.rows-1)*s.stride+s.cols, s.align)
				var dst mat.Dense
				dst.SetRawMatrix(blas64.General{Rows: s.rows, Cols: s.cols, Stride: s.stride, Data: out.x})
				f.call(&dst)
				for i := range s.rows {
					if j := difference(dst.RawRowView(i), want.RawRowView(i)); j >= 0 {
						t.Fatalf("%s: entry %d, %d is %v, want %v", name, i, j, dst.At(i, j), want.At(i, j))
					}
					for _, v := range out.x[i*s.stride+s.cols : min(len(out.x), (i+1)*s.stride)] {
						if !identical(v, canary) {
							t.Fatalf("%s: wrote behind row %d", name, i)
						}
					}
				}
				if !out.intact() {
					t.Fatalf("%s: wrote outside of the result", name)
				}
			}
		}
	})
}
