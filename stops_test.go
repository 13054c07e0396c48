// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// BenchmarkStops reports how long a garbage collection waits for the goroutines
// of a program to stop while one is in a function, at the median, at the 90th
// percentile and at most: assembly cannot be interrupted. impl=none has a loop
// of Go in place of the function.
func BenchmarkStops(b *testing.B) {
	const cols = 10_000_000
	x, soft, dst := mat.NewDense(1, cols, nil), mat.NewDense(1, cols, nil), mat.NewDense(1, cols, nil)
	for j := range cols {
		x.Set(0, j, math.Sin(float64(j))-1.5)
		soft.Set(0, j, 1/float64(cols))
	}
	target := []int{7}
	smoothed := &Options{LabelSmoothing: 0.1}
	weighted := &Options{Weight: soft.RawRowView(0), LabelSmoothing: 0.1}
	sum := 0.0
	for _, f := range []struct {
		name string
		call func()
	}{
		{"none", func() {
			for _, v := range x.RawMatrix().Data {
				sum += v
			}
		}},
		{"LogSoftmax", func() { LogSoftmax(dst, x, 1) }},
		{"Softmax", func() { Softmax(dst, x, 1) }},
		{"LogSumExp", func() { LogSumExp(nil, x, 1) }},
		{"LogSoftmaxGrad", func() { LogSoftmaxGrad(dst, x, soft, 1) }},
		{"SoftmaxGrad", func() { SoftmaxGrad(dst, x, soft, 1) }},
		{"NLL-smoothed", func() { _, _ = NLL(x, target, smoothed) }},
		{"NLLGrad", func() { _, _ = NLLGrad(dst, x, target, nil) }},
		{"CrossEntropyGrad", func() { _, _ = CrossEntropyGrad(dst, x, target, nil) }},
		{"CrossEntropyGrad-ignored", func() { _, _ = CrossEntropyGrad(dst, x, target, &Options{Ignore: target}) }},
		{"CrossEntropyGrad-weighted", func() { _, _ = CrossEntropyGrad(dst, x, target, weighted) }},
		{"SoftCrossEntropy", func() { _, _ = SoftCrossEntropy(x, soft, nil) }},
		{"SoftCrossEntropyGrad", func() { _, _ = SoftCrossEntropyGrad(dst, x, soft, nil) }},
	} {
		b.Run(fmt.Sprintf("func=%s/rows=1/cols=%d", f.name, cols), func(b *testing.B) {
			b.ReportAllocs()
			done := make(chan bool)
			stopped := make(chan bool)
			before := stops()
			go func() {
				defer close(stopped)
				for {
					select {
					case <-done:
						return
					default:
						runtime.GC()
					}
				}
			}()
			for b.Loop() {
				f.call()
			}
			close(done)
			<-stopped
			counts := stops()
			for i := range counts.Counts {
				counts.Counts[i] -= before.Counts[i]
			}
			for name, p := range map[string]float64{"p50-µs": 0.5, "p90-µs": 0.9, "max-µs": 1} {
				b.ReportMetric(1e6*percentile(counts, p), name)
			}
		})
	}
	_ = sum
}

// stops returns how long the collections so far took to stop all goroutines.
func stops() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(sample)
	h := sample[0].Value.Float64Histogram()
	return &metrics.Float64Histogram{Counts: append([]uint64(nil), h.Counts...), Buckets: h.Buckets}
}

// percentile returns the upper end of the bucket that a part of the counts lies
// below.
func percentile(h *metrics.Float64Histogram, part float64) float64 {
	var total, sum uint64
	for _, n := range h.Counts {
		total += n
	}
	for i, n := range h.Counts {
		if sum += n; float64(sum) >= part*float64(total) {
			return h.Buckets[i+1]
		}
	}
	return 0
}
