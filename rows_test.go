// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"example.org/logsoftmax"
	"gonum.org/v1/gonum/mat"
)

// guardedRows is a matrix of which only At is known, and some rows of which must
// not be read.
type guardedRows struct {
	*mat.Dense
	t      *testing.T
	closed func(row int) bool
}

func (g guardedRows) At(i, j int) float64 {
	if g.closed(i) {
		g.t.Errorf("row %d is read", i)
	}
	return g.Dense.At(i, j)
}

// TestIgnoredRows: what a row that does not count holds is in no result, and
// nobody asks a matrix for it.
func TestIgnoredRows(t *testing.T) {
	r := rand.New(rand.NewPCG(71, 72))
	for _, size := range [][2]int{{1, 2}, {7, 2}, {70, 3}, {64, 10}, {9, 64}, {9, 65}, {5, 2100}} {
		rows, cols := size[0], size[1]
		d := drawing{r, rows, cols}
		clean, target, soft := d.normal(3), make([]int, rows), mat.NewDense(rows, cols, nil)
		sample := make([]float64, rows)
		closed := make([]bool, rows)
		dirty, dirtySoft := mat.DenseCopyOf(clean), soft
		for i := range rows {
			target[i], sample[i] = r.IntN(cols), 1+r.Float64()
			soft.Set(i, target[i], 0.75)
			switch i % 3 {
			case 0:
				target[i], closed[i] = -100, true
			case 1:
				closed[i] = r.IntN(2) == 0
			}
		}
		dirtySoft = mat.DenseCopyOf(soft)
		for i := range rows {
			if !closed[i] {
				continue
			}
			if target[i] >= 0 {
				sample[i] = 0
			}
			for j := range cols {
				bad := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e308}[r.IntN(4)]
				dirty.Set(i, j, bad)
				dirtySoft.Set(i, j, bad)
			}
		}
		softSample := make([]float64, rows)
		for i := range rows {
			if !closed[i] {
				softSample[i] = sample[i]
			}
		}
		for _, opts := range []logsoftmax.Options{{}, {LabelSmoothing: 0.25}} {
			opts.SampleWeight = sample
			for name, f := range map[string]func(dst *mat.Dense, x, q mat.Matrix) (logsoftmax.Loss, error){
				"CrossEntropyGrad": func(dst *mat.Dense, x, _ mat.Matrix) (logsoftmax.Loss, error) {
					return logsoftmax.CrossEntropyGrad(dst, x, target, &opts)
				},
				"SoftCrossEntropyGrad": func(dst *mat.Dense, x, q mat.Matrix) (logsoftmax.Loss, error) {
					opts := opts
					opts.SampleWeight = softSample
					return logsoftmax.SoftCrossEntropyGrad(dst, x, q, &opts)
				},
			} {
				var want mat.Dense
				wantLoss, err := f(&want, clean, soft)
				if err != nil {
					t.Fatal(err)
				}
				shut := func(i int) bool { return closed[i] }
				for layout, in := range map[string][2]mat.Matrix{
					"dense":   {dirty, dirtySoft},
					"foreign": {guardedRows{dirty, t, shut}, guardedRows{dirtySoft, t, shut}},
				} {
					var got mat.Dense
					loss, err := f(&got, in[0], in[1])
					if err != nil || loss != wantLoss {
						t.Errorf("%s of %d×%d, %s: %v, %v, want %v", name, rows, cols, layout, loss, err, wantLoss)
					}
					for i := range rows {
						for j := range cols {
							v, w := got.At(i, j), want.At(i, j)
							if closed[i] {
								w = 0
							}
							if math.Float64bits(v) != math.Float64bits(w) {
								t.Fatalf("%s of %d×%d, %s: gradient (%d, %d) is %v, want %v", name, rows, cols, layout, i, j, v, w)
							}
						}
					}
				}
			}
		}
	}
}

// TestFarWeights: a weight so large or small that it cannot be joined to what
// makes probabilities of terms multiplies the probability that Softmax returns.
func TestFarWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(73, 74))
	far := []float64{1, 1e300, 5e-324, -1e250, 1e-200, 0, -3e-310}
	for _, size := range [][2]int{{1, 2}, {7, 5}, {70, 3}, {16, 64}, {9, 65}} {
		rows, cols := size[0], size[1]
		x := drawing{r, rows, cols}.normal(1)
		target, sample := make([]int, rows), make([]float64, rows)
		for i := range rows {
			target[i], sample[i] = r.IntN(cols), far[r.IntN(len(far))]
			if i%4 == 0 {
				// Probabilities down to nothing.
				x.Set(i, (target[i]+1)%cols, -300)
			}
		}
		var p, dst mat.Dense
		logsoftmax.Softmax(&p, x, 1)
		if _, err := logsoftmax.CrossEntropyGrad(&dst, x, target, &logsoftmax.Options{SampleWeight: sample, Reduction: logsoftmax.Sum}); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			for j := range cols {
				want := float64(p.At(i, j)*sample[i]) + 0
				if j == target[i] || p.At(i, j) > 0.9 {
					continue
				}
				if got := dst.At(i, j); math.Float64bits(got) != math.Float64bits(want) {
					t.Errorf("%d×%d: gradient (%d, %d) with weight %v is %v, want %v", rows, cols, i, j, sample[i], got, want)
				}
			}
		}
	}
}

// TestLongRows holds rows that are worked on chunk by chunk to the bits of those
// that are copied whole, in every layout and in place, with ties and rows of
// special values, for every function and option.
func TestLongRows(t *testing.T) {
	const limit = 2048
	for _, procs := range []int{1, 3} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		for _, shape := range []struct{ rows, cols int }{{1, limit + 1}, {4, 3 * limit}, {3, 2*limit + 77}} {
			testLongRows(t, shape.rows, shape.cols, limit)
		}
	}
}

func testLongRows(t *testing.T, rows, cols, limit int) {
	rnd := rand.New(rand.NewPCG(81, uint64(cols)))
	x, soft := mat.NewDense(rows, cols, nil), mat.NewDense(rows, cols, nil)
	logp, upstream := new(mat.Dense), mat.NewDense(rows, cols, nil)
	target, sample, weight := make([]int, rows), make([]float64, rows), make([]float64, cols)
	for i := range rows {
		for j := range cols {
			x.Set(i, j, 3*rnd.NormFloat64())
			soft.Set(i, j, max(0, rnd.NormFloat64()))
			upstream.Set(i, j, rnd.NormFloat64())
		}
		target[i], sample[i] = rnd.IntN(cols), 1+rnd.Float64()
		switch i {
		case 1:
			// The label is the second of three largest.
			target[i] = limit + 5
			for _, j := range []int{4, limit + 5, cols - 1} {
				x.Set(i, j, 50)
			}
		case 2:
			x.Set(i, target[i], 800)
			soft.Set(i, 7, 1e3)
		case 3:
			x.Set(i, 9, math.NaN())
			target[i] = -100
		}
	}
	for j := range weight {
		weight[j] = rnd.Float64()
	}
	logsoftmax.LogSoftmax(logp, x, 1)
	// compare calls f as it is for short rows, and then in every layout.
	compare := func(what string, in *mat.Dense, f func(dst *mat.Dense, x mat.Matrix) []float64) {
		t.Run(fmt.Sprintf("%s %d×%d", what, rows, cols), func(t *testing.T) {
			want := new(mat.Dense)
			values := f(want, mat.DenseCopyOf(in))
			defer logsoftmax.BufferAtMost(limit)()
			if want.IsEmpty() {
				want = nil
			}
			eachLayout(t, in, want, func(dst *mat.Dense, x mat.Matrix) []float64 {
				if got := f(dst, x); !sameBits(got, values) {
					t.Errorf("values %v, want %v", got, values)
				}
				return values
			})
		})
	}
	for dim := range 2 {
		// Long columns are rows of the transpose.
		at := func(m *mat.Dense) *mat.Dense {
			if dim == 0 {
				return mat.DenseCopyOf(m.T())
			}
			return m
		}
		compare("LogSumExp", at(x), func(_ *mat.Dense, x mat.Matrix) []float64 { return logsoftmax.LogSumExp(nil, x, dim) })
		for name, f := range map[string]func(*mat.Dense, mat.Matrix, int){"LogSoftmax": logsoftmax.LogSoftmax, "Softmax": logsoftmax.Softmax} {
			compare(name, at(x), func(dst *mat.Dense, x mat.Matrix) []float64 { f(dst, x, dim); return nil })
		}
		for name, f := range map[string]func(*mat.Dense, mat.Matrix, mat.Matrix, int){"LogSoftmaxGrad": logsoftmax.LogSoftmaxGrad, "SoftmaxGrad": logsoftmax.SoftmaxGrad} {
			compare(name, at(logp), func(dst *mat.Dense, x mat.Matrix) []float64 { f(dst, x, at(upstream), dim); return nil })
			compare(name+" by upstream", at(upstream), func(dst *mat.Dense, u mat.Matrix) []float64 { f(dst, at(logp), u, dim); return nil })
		}
	}
	for name, o := range map[string]*logsoftmax.Options{
		"":           nil,
		" weighted":  {Weight: weight, SampleWeight: sample},
		" smoothed":  {LabelSmoothing: 0.1},
		" all":       {Weight: weight, SampleWeight: sample, LabelSmoothing: 0.3, Reduction: logsoftmax.Sum},
		" no weight": {SampleWeight: make([]float64, rows), LabelSmoothing: 0.3},
	} {
		losses := func(f lossFuncs, x mat.Matrix, dst *mat.Dense) []float64 {
			each, err := f.each(nil, x, o)
			if err != nil {
				t.Fatal(err)
			}
			l, err := f.loss(x, o)
			if err != nil {
				t.Fatal(err)
			}
			lg, err := f.grad(dst, x, o)
			if err != nil {
				t.Fatal(err)
			}
			return append(each, l.Sum, l.Weight, float64(l.Correct), lg.Sum, lg.Weight, float64(lg.Correct))
		}
		compare("CrossEntropy"+name, x, func(dst *mat.Dense, x mat.Matrix) []float64 { return losses(crossEntropyFuncs(target), x, dst) })
		compare("NLL"+name, logp, func(dst *mat.Dense, x mat.Matrix) []float64 { return losses(nllFuncs(target), x, dst) })
		compare("SoftCrossEntropy"+name, x, func(dst *mat.Dense, x mat.Matrix) []float64 { return losses(softCrossEntropyFuncs(soft), x, dst) })
		compare("SoftCrossEntropy"+name+" by target", soft, func(dst *mat.Dense, s mat.Matrix) []float64 { return losses(softCrossEntropyFuncs(s), x, dst) })
	}
}

// TestSharedRows holds rows that goroutines share, in losses in which every class
// has a coefficient, to the bits that one goroutine gets: with coefficients whose
// sum overflows too, in place, and of transposes.
func TestSharedRows(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	const cols = 1<<16 + 4099
	for _, rows := range []int{1, 3} {
		d := drawing{rand.New(rand.NewPCG(83, uint64(rows))), rows, cols}
		x, soft, huge := d.normal(3), d.normal(1), d.normal(1)
		target, sample, weight := make([]int, rows), make([]float64, rows), make([]float64, cols)
		for i := range rows {
			target[i], sample[i] = d.rnd.IntN(cols), 0.5+d.rnd.Float64()
			x.Set(i, d.rnd.IntN(cols), 20)
			for j := range cols {
				soft.Set(i, j, math.Abs(soft.At(i, j)))
				huge.Set(i, j, 1e306*math.Abs(huge.At(i, j)))
			}
		}
		for j := range weight {
			weight[j] = d.rnd.Float64()
		}
		for name, f := range map[string]lossFuncs{
			"labels":             crossEntropyFuncs(target),
			"distributions":      softCrossEntropyFuncs(soft),
			"large coefficients": softCrossEntropyFuncs(huge),
		} {
			for _, o := range []logsoftmax.Options{
				{LabelSmoothing: 0.1},
				{Weight: weight, SampleWeight: sample},
				{Weight: weight, SampleWeight: sample, LabelSmoothing: 0.3, Reduction: logsoftmax.Sum},
				{LabelSmoothing: 0.1, SampleWeight: make([]float64, rows)},
			} {
				all := func(procs int) []float64 {
					runtime.GOMAXPROCS(procs)
					var got []float64
					for _, transposed := range []bool{false, true} {
						var in mat.Matrix = x
						if transposed {
							in = mat.DenseCopyOf(x.T()).T()
						}
						dst, inPlace := new(mat.Dense), mat.DenseCopyOf(x)
						l, err := f.grad(dst, in, &o)
						if err != nil {
							t.Fatal(err)
						}
						if _, err := f.grad(inPlace, inPlace, &o); err != nil {
							t.Fatal(err)
						}
						alone, err := f.loss(in, &o)
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, l.Sum, l.Weight, float64(l.Correct), alone.Sum, float64(alone.Correct))
						got = append(append(got, dst.RawMatrix().Data...), inPlace.RawMatrix().Data...)
					}
					return got
				}
				if !sameBits(all(4), all(1)) {
					t.Errorf("%d rows, %s, smoothing %v, weights %v: other bits with GOMAXPROCS 4", rows, name, o.LabelSmoothing, o.Weight != nil)
				}
			}
		}
	}
}
