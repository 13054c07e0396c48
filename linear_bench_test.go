// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"example.org/logsoftmax/internal/kernel"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

var linearBenchmarks = []struct{ rows, features, classes int }{
	{4096, 64, 1000}, {16384, 64, 10}, {2048, 64, 8192}, {512, 768, 50257},
}

// BenchmarkLinearCrossEntropyGrad is a step of softmax regression: loss and
// gradient with respect to w and b. Beside it is what does the same on gonum's
// products, impl=gonum: Mul, CrossEntropyGrad, Mul. Its operations are the
// 4·N·D·C of the two products.
func BenchmarkLinearCrossEntropyGrad(b *testing.B) {
	for _, s := range linearBenchmarks {
		b.Run(fmt.Sprintf("rows=%d/features=%d/cols=%d", s.rows, s.features, s.classes), func(b *testing.B) {
			r := rand.New(rand.NewPCG(71, 72))
			x, w := mat.NewDense(s.rows, s.features, nil), mat.NewDense(s.classes, s.features, nil)
			testkit.FillWith(x.RawMatrix().Data, func() float64 { return testkit.Uniform(r) })
			testkit.FillWith(w.RawMatrix().Data, func() float64 { return testkit.Uniform(r) })
			target := make([]int, s.rows)
			for i := range target {
				target[i] = r.IntN(s.classes)
			}
			dw, db, bias := mat.NewDense(s.classes, s.features, nil), make([]float64, s.classes), make([]float64, s.classes)
			step := func(b *testing.B, f func()) {
				b.ReportAllocs()
				b.SetBytes(int64(8 * (s.rows*s.features + 2*s.classes*s.features)))
				for b.Loop() {
					f()
				}
				operations := 4 * float64(s.rows) * float64(s.features) * float64(s.classes)
				b.ReportMetric(operations*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			}
			for _, t := range kernel.Tiers() {
				for _, procs := range []int{1, runtime.NumCPU()} {
					name := t.String()
					if procs > 1 {
						name += "-parallel"
					}
					b.Run("impl="+name, func(b *testing.B) {
						defer kernel.Use(t)()
						defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
						step(b, func() {
							if _, err := LinearCrossEntropyGrad(LinearGrad{W: dw, B: db}, x, w, bias, target, nil); err != nil {
								b.Fatal(err)
							}
						})
					})
				}
			}
			for _, procs := range []int{1, runtime.NumCPU()} {
				name := "gonum"
				if procs > 1 {
					name += "-parallel"
				}
				b.Run("impl="+name, func(b *testing.B) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					logits := mat.NewDense(s.rows, s.classes, nil)
					step(b, func() {
						logits.Mul(x, w.T())
						if _, err := CrossEntropyGrad(logits, logits, target, nil); err != nil {
							b.Fatal(err)
						}
						dw.Mul(logits.T(), x)
					})
				})
			}
		})
	}
}
