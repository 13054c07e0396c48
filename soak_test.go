// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"testing"
	"time"

	"example.org/logsoftmax/internal/kernel"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// TestSoak puts batches through CrossEntropyGrad and Loss.Add: memory stays
// flat, and the sums are right to the last digit. It does 200 batches, or
// those of the time that the environment variable LOGSOFTMAX_SOAK says.
func TestSoak(t *testing.T) {
	const rows, cols = 256, 37
	duration := time.Duration(0)
	if s := os.Getenv("LOGSOFTMAX_SOAK"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		duration = d
	}
	r := rand.New(rand.NewPCG(51, 52))
	x, grad := mat.NewDense(rows, cols, nil), mat.NewDense(rows, cols, nil)
	target, each := make([]int, rows), make([]float64, rows)
	sample, weight := make([]float64, rows), make([]float64, cols)
	testkit.FillWith(weight, func() float64 { return 1 + testkit.Uniform(r)/2 })
	opts := &Options{Weight: weight, SampleWeight: sample}

	// Exact sums of what CrossEntropyEach returns.
	exact := func() *big.Float { return new(big.Float).SetPrec(600) }
	wantSum, wantWeight, term := exact(), exact(), exact()
	var total Loss
	ignored := 0
	batch := func(n int) {
		for i := range rows {
			// In the first batches come losses against which the others are
			// less than a rounding.
			width := 3.0
			if n < 10 && i == n {
				width = 0x1p50
			}
			testkit.FillWith(x.RawRowView(i), func() float64 { return width * testkit.Uniform(r) })
			target[i] = int(r.Uint64() % cols)
			if i%17 == 3 {
				target[i] = -100
				ignored++
			}
			sample[i] = 1 + testkit.Uniform(r)/4
		}
		l, err := CrossEntropyGrad(grad, x, target, opts)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CrossEntropyEach(each, x, target, opts); err != nil {
			t.Fatal(err)
		}
		for i, e := range each {
			wantSum.Add(wantSum, term.SetFloat64(e))
			if target[i] >= 0 {
				wantWeight.Add(wantWeight, term.SetFloat64(float64(weight[target[i]]*sample[i])))
			}
		}
		total.Add(l)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}

	start := time.Now()
	n := 0
	for ; n < 50; n++ {
		batch(n)
	}
	before := heap()
	for ; n < 200 || time.Since(start) < duration; n++ {
		batch(n)
	}
	after := heap()
	t.Logf("%d batches of %d×%d in %v; the heap had %d bytes after 50 of them and has %d now", n, rows, cols, time.Since(start).Round(time.Millisecond), before, after)
	if after > before+1<<17 {
		t.Errorf("the heap had %d bytes after 50 batches and has %d after %d", before, after, n)
	}
	if total.Rows != n*rows || total.Ignored != ignored {
		t.Errorf("%d rows, %d of them ignored, want %d and %d", total.Rows, total.Ignored, n*rows, ignored)
	}
	if want, _ := wantSum.Float64(); total.Sum != want {
		t.Errorf("Sum is %x, want %x", total.Sum, want)
	}
	if want, _ := wantWeight.Float64(); total.Weight != want {
		t.Errorf("Weight is %x, want %x", total.Weight, want)
	}
	if want, _ := term.Quo(wantSum, wantWeight).Float64(); total.Mean() != want {
		t.Errorf("Mean is %x, want %x", total.Mean(), want)
	}
}

// largeBytes is the size of the matrices of TestLarge, which the environment
// variable LOGSOFTMAX_LARGE sets.
func largeBytes(t *testing.T) int {
	if s := os.Getenv("LOGSOFTMAX_LARGE"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 1 << 24
}

// cheap returns the element at index p of a matrix that can be had again.
func cheap(p int) float64 {
	h := uint64(p) * 0x9e3779b97f4a7c15
	return float64(int64(h^h>>29)) * 0x1p-60
}

// TestLarge is for matrices, and single slices, of more than 2^31 bytes, if
// LOGSOFTMAX_LARGE says so. What it expects of a slice is what that slice
// gives alone.
func TestLarge(t *testing.T) {
	size := largeBytes(t) / 8
	data := make([]float64, size)
	refill := func() {
		for p := range data {
			data[p] = cheap(p)
		}
	}
	t.Logf("matrices of %d bytes", 8*size)
	for _, cols := range []int{10, 1003, 1 << 17, size} {
		rows := size / cols
		x := mat.NewDense(rows, cols, data[:rows*cols])
		row := func(i int) *mat.Dense {
			m := mat.NewDense(1, cols, nil)
			for j := range cols {
				m.RawRowView(0)[j] = cheap(i*cols + j)
			}
			return m
		}
		some := []int{0, rows / 3, rows - 1}

		refill()
		values := LogSumExp(nil, x, 1)
		target := make([]int, rows)
		for i := range target {
			target[i] = i % cols
		}
		each, err := CrossEntropyEach(nil, x, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		loss, err := CrossEntropyGrad(x, x, target, &Options{Reduction: Sum})
		if err != nil {
			t.Fatal(err)
		}
		var sum kernel.ExactSum
		for _, l := range each {
			sum.Add(l)
		}
		if sum.Value() != loss.Sum || loss.Rows != rows {
			t.Errorf("%d×%d: %d rows' losses add up to %v, want %d and %v", rows, cols, loss.Rows, loss.Sum, rows, sum.Value())
		}
		for _, i := range some {
			m := row(i)
			if got, want := values[i], LogSumExp(nil, m, 1)[0]; !testkit.Identical(got, want) {
				t.Errorf("%d×%d: LogSumExp of row %d is %v, alone %v", rows, cols, i, got, want)
			}
			if _, err := CrossEntropyGrad(m, m, target[i:i+1], &Options{Reduction: Sum}); err != nil {
				t.Fatal(err)
			}
			if j := testkit.Difference(x.RawRowView(i), m.RawRowView(0)); j >= 0 {
				t.Errorf("%d×%d: CrossEntropyGrad of row %d: entry %d is %v, alone %v", rows, cols, i, j, x.At(i, j), m.At(0, j))
			}
		}

		refill()
		LogSoftmax(x, x, 1)
		for _, i := range some {
			m := row(i)
			LogSoftmax(m, m, 1)
			if j := testkit.Difference(x.RawRowView(i), m.RawRowView(0)); j >= 0 {
				t.Errorf("%d×%d: LogSoftmax of row %d: entry %d is %v, alone %v", rows, cols, i, j, x.At(i, j), m.At(0, j))
			}
		}
		if cols == size {
			continue
		}

		refill()
		Softmax(x, x, 0)
		for _, j := range []int{0, cols / 2, cols - 1} {
			m := mat.NewDense(1, rows, nil)
			for i := range rows {
				m.RawRowView(0)[i] = cheap(i*cols + j)
			}
			Softmax(m, m, 1)
			if i := testkit.Difference(mat.Col(nil, j, x), m.RawRowView(0)); i >= 0 {
				t.Errorf("%d×%d: Softmax of column %d: entry %d is %v, alone %v", rows, cols, j, i, x.At(i, j), m.At(0, i))
			}
		}
	}
	// One column.
	refill()
	column := mat.NewDense(size, 1, data)
	got := LogSumExp(nil, column, 0)[0]
	if want := LogSumExp(nil, mat.NewDense(1, size, data), 1)[0]; !testkit.Identical(got, want) {
		t.Errorf("LogSumExp of a column of %d is %v, of a row %v", size, got, want)
	}
	LogSoftmax(column, column, 0)
	for _, p := range []int{0, size / 2, size - 1} {
		if v := column.At(p, 0); math.Abs(v-(cheap(p)-got)) > 1e-13*math.Abs(v) {
			t.Errorf("LogSoftmax of a column of %d: entry %d is %v, want %v", size, p, v, cheap(p)-got)
		}
	}
}

// endless is a matrix of any size.
type endless struct{ rows, cols int }

func (e endless) Dims() (int, int)    { return e.rows, e.cols }
func (e endless) At(i, j int) float64 { return -float64(i%100+1) / float64(j%10+1) }
func (e endless) T() mat.Matrix       { return mat.Transpose{Matrix: e} }

// TestBeyondInt has matrices of more elements than an int32, or an int, can
// count. A loss of one element a row does not need to count them; a result of
// that many cannot be.
func TestBeyondInt(t *testing.T) {
	const rows = 1 << 17
	for _, cols := range []int{1 << 16, math.MaxInt/rows + 1, math.MaxInt} {
		x := endless{rows, cols}
		target := make([]int, rows)
		var want kernel.ExactSum
		for i := range target {
			target[i] = cols - 1 - i%10
			want.Add(-x.At(i, target[i]))
		}
		l, err := NLL(x, target, nil)
		if err != nil || l.Sum != want.Value() || l.Rows != rows {
			t.Errorf("NLL of %d×%d = %v, %v, want %v", rows, cols, l, err, want.Value())
		}
		if math.MaxInt/cols >= rows {
			continue
		}
		var dst mat.Dense
		for name, f := range map[string]func(){
			"NLLGrad":              func() { _, _ = NLLGrad(&dst, x, target, nil) },
			"CrossEntropyGrad":     func() { _, _ = CrossEntropyGrad(&dst, x, target, nil) },
			"SoftCrossEntropyGrad": func() { _, _ = SoftCrossEntropyGrad(&dst, x, x, nil) },
			"LogSoftmax":           func() { LogSoftmax(&dst, x, 1) },
			"Softmax":              func() { Softmax(&dst, x, 0) },
			"LogSoftmaxGrad":       func() { LogSoftmaxGrad(&dst, x, x, 1) },
		} {
			if v := panicValue(f); v != mat.ErrShape {
				t.Errorf("%s of %d×%d: panic %v, want %v", name, rows, cols, v, mat.ErrShape)
			}
		}
	}
	for _, c := range []struct{ rows, cols, want int }{{1, 1, 1}, {3, 5, 15}, {math.MaxInt, 1, math.MaxInt}, {math.MaxInt, 2, math.MaxInt}, {1 << 30, math.MaxInt, math.MaxInt}} {
		if got := elements(c.rows, c.cols); got != c.want {
			t.Errorf("elements(%d, %d) = %d, want %d", c.rows, c.cols, got, c.want)
		}
	}
}

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
