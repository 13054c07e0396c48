// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
)

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
