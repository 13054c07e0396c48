// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"example.org/logsoftmax/internal/kernel"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// The benchmarks are named op/rows=N/cols=C/impl=…, where impl is a tier of
// this machine on one goroutine, a tier with "-parallel" on all of them, or a
// baseline: naive (softmax, then log), stable (the loop over math.Exp),
// floats (floats.LogSumExp and subtract), copy.

var shapes = []struct{ rows, cols int }{
	{4096, 10}, {65536, 2}, {256, 100}, {1024, 1000}, {64, 50257}, {4096, 4096}, {1, 1000000},
}

// benchmark times f under every tier, serially and in parallel, on logits
// drawn from N(0, 1); bytes is what f must move per element.
func benchmark(b *testing.B, bytes int, f func(dst, x *mat.Dense, target []int)) {
	for _, s := range shapes {
		b.Run(fmt.Sprintf("rows=%d/cols=%d", s.rows, s.cols), func(b *testing.B) {
			dst, x, target := benchmarkData(s.rows, s.cols)
			for _, t := range kernel.Tiers() {
				for _, procs := range []int{1, runtime.NumCPU()} {
					name := t.String()
					if procs > 1 {
						name += "-parallel"
					}
					b.Run("impl="+name, func(b *testing.B) {
						defer kernel.Use(t)()
						defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
						measure(b, s.rows*s.cols, bytes, func() { f(dst, x, target) })
					})
				}
			}
		})
	}
}

// baseline times f row by row as one more impl.
func baseline(b *testing.B, name string, bytes int, f func(dst, x []float64)) {
	for _, s := range shapes {
		b.Run(fmt.Sprintf("rows=%d/cols=%d/impl=%s", s.rows, s.cols, name), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			dst, x, _ := benchmarkData(s.rows, s.cols)
			measure(b, s.rows*s.cols, bytes, func() {
				for i := range s.rows {
					f(dst.RawRowView(i), x.RawRowView(i))
				}
			})
		})
	}
}

func measure(b *testing.B, elements, bytes int, f func()) {
	b.ReportAllocs()
	b.SetBytes(int64(elements) * int64(bytes))
	f()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(elements), "ns/elem")
}

func benchmarkData(rows, cols int) (dst, x *mat.Dense, target []int) {
	rng := rand.New(rand.NewPCG(1, 2))
	x = mat.NewDense(rows, cols, nil)
	for i := range x.RawMatrix().Data {
		x.RawMatrix().Data[i] = rng.NormFloat64()
	}
	target = make([]int, rows)
	for i := range target {
		target[i] = rng.IntN(cols)
	}
	dst = mat.NewDense(rows, cols, nil)
	kernel.Fill(dst.RawMatrix().Data, 1)
	return dst, x, target
}

func BenchmarkLogSoftmax(b *testing.B) {
	benchmark(b, 16, func(dst, x *mat.Dense, _ []int) { LogSoftmax(dst, x, 1) })
	baseline(b, "naive", 16, naiveLogSoftmax)
	baseline(b, "stable", 16, stableLogSoftmax)
	baseline(b, "floats", 16, floatsLogSoftmax)
	baseline(b, "copy", 16, func(dst, x []float64) { copy(dst, x) })
}

func BenchmarkLogSoftmaxInPlace(b *testing.B) {
	benchmark(b, 16, func(dst, _ *mat.Dense, _ []int) { LogSoftmax(dst, dst, 1) })
}

func BenchmarkLogSoftmaxDim0(b *testing.B) {
	benchmark(b, 16, func(dst, x *mat.Dense, _ []int) { LogSoftmax(dst, x, 0) })
}

func BenchmarkLogSumExp(b *testing.B) {
	var lse []float64
	benchmark(b, 8, func(_, x *mat.Dense, _ []int) {
		if len(lse) != x.RawMatrix().Rows {
			lse = make([]float64, x.RawMatrix().Rows)
		}
		LogSumExp(lse, x, 1)
	})
	baseline(b, "floats", 8, func(_, x []float64) { benchmarkSink = floats.LogSumExp(x) })
}

func BenchmarkNLL(b *testing.B) {
	benchmark(b, 0, func(_, x *mat.Dense, target []int) { must(NLL(x, target, nil)) })
}

func BenchmarkCrossEntropy(b *testing.B) {
	benchmark(b, 8, func(_, x *mat.Dense, target []int) { must(CrossEntropy(x, target, nil)) })
}

func BenchmarkCrossEntropyGrad(b *testing.B) {
	benchmark(b, 16, func(dst, x *mat.Dense, target []int) { must(CrossEntropyGrad(dst, x, target, nil)) })
	baseline(b, "stable", 16, stableLogSoftmax)
}

func BenchmarkSoftCrossEntropyGrad(b *testing.B) {
	var soft *mat.Dense
	benchmark(b, 24, func(dst, x *mat.Dense, _ []int) {
		r, c := x.Dims()
		if soft == nil || soft.RawMatrix().Rows != r || soft.RawMatrix().Cols != c {
			soft = mat.NewDense(r, c, nil)
			Softmax(soft, x, 1)
		}
		must(SoftCrossEntropyGrad(dst, x, soft, nil))
	})
}

var benchmarkSink float64

func must(l Loss, err error) {
	if err != nil {
		panic(err)
	}
	benchmarkSink = l.Sum
}

func naiveLogSoftmax(dst, x []float64) {
	sum := 0.0
	for j, v := range x {
		dst[j] = math.Exp(v)
		sum += dst[j]
	}
	for j, e := range dst {
		dst[j] = math.Log(e / sum)
	}
}

func stableLogSoftmax(dst, x []float64) {
	m := math.Inf(-1)
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - m)
	}
	log := math.Log(sum)
	for j, v := range x {
		dst[j] = v - m - log
	}
}

func floatsLogSoftmax(dst, x []float64) {
	lse := floats.LogSumExp(x)
	for j, v := range x {
		dst[j] = v - lse
	}
}

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
			tiers := kernel.Tiers()
			if len(tiers) > 1 && s.classes > 10000 {
				// Without vectors it takes a minute.
				tiers = tiers[1:]
			}
			for _, t := range tiers {
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
